"""Several processes find what one finds, and one that dies takes nothing with it."""

import dataclasses
import io
import os
import sys
import threading
from typing import ClassVar

import numpy as np
import pytest
from astropy.io import fits

import isolux
import isolux.workers
from isolux.crowd import Lost, Process
from isolux.errors import FitWarning, InputError
from isolux.io.blocks import read_block
from isolux.io.catalogue import read_catalogue
from isolux.io.listing import list_stamps
from isolux.io.profile_file import find_profile
from isolux.io.source import StampSource
from isolux.measure import measure
from isolux.options import RunOptions, cores
from isolux.parameters import Column, Fixed
from isolux.profiles import Sersic
from isolux.scene import Scene
from isolux.status import Status
from isolux.task import Task
from isolux.workers import COMMAND, CannotSend, Crew, packed, ready
from stubs import first_use

NAMES = ("a", "b", "c", "d", "e")
SCENE = Scene(galaxy=Sersic(sersic_index=Fixed(1.0)))


@pytest.fixture
def source(tmp_path, rng):
    """Return five small exponential discs without PSF."""
    y, x = np.mgrid[:24, :24].astype(float)
    for k, name in enumerate(NAMES):
        image = 50 * np.exp(-np.hypot(x - 11.5, (y - 11.5) / (0.5 + 0.1 * k)) / 3)
        fits.writeto(tmp_path / f"{name}_image.fits", image + rng.normal(0, 0.5, x.shape))
    return StampSource(image=f"{tmp_path}/*_image.fits", sigma=0.5, zero_point=25.0, pixel_scale=0.5)


@pytest.fixture
def options(tmp_path):
    return RunOptions(folder=tmp_path / "run", batch_size=2, device="cpu", workers=2)


def without_times(options):
    table = read_catalogue(options.path)
    return {name: np.asarray(table[name]).tolist() for name in table.colnames if name != "seconds"}


MORTAL = """
import os, pathlib, signal, torch, isolux

class Mortal(isolux.RadialProfile):
    parameters = (isolux.Parameter("length", "pixel", "scale", lower=0.1, upper=500, log=True, guess="radius"),)

    def brightness(self, r, length):
        try:
            pathlib.Path({flag!r}).unlink()
        except FileNotFoundError:
            return torch.exp(-r / length)
        print("the end", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_workers_find_what_one_process_finds_and_are_replaced_when_killed(source, options, tmp_path):
    """With a user's own profile, which ends its process the first time that it is drawn."""
    flag, file = tmp_path / "flag", tmp_path / "mortal.py"
    file.write_text(MORTAL.format(flag=str(flag)))
    scene = Scene(galaxy=find_profile(f"{file}:Mortal")())
    alone = dataclasses.replace(options, workers=1, folder=tmp_path / "alone")
    measure(source, scene, alone)
    flag.touch()
    seen, kept = [], []
    with pytest.warns(FitWarning, match="a worker was ended by SIGKILL; its batch was fitted again"):
        run = measure(
            source,
            scene,
            options,
            progress=seen.append,
            after=lambda batch, result: kept.append((batch, result)),
        )
    np.testing.assert_equal(without_times(options), without_times(alone))
    assert (run.progress.done, run.progress.status) == (5, {"converged": 5})
    assert sorted(name for state in seen for name in state.latest.id) == list(NAMES)
    assert all(batch.id == result.id for batch, result in kept)
    for name in NAMES:
        one, two = (read_block(o.blocks_folder / f"{name}.fits") for o in (options, alone))
        np.testing.assert_array_equal(one.model, two.model)


class Fake:
    """Stands for a worker: dies as it is told, else does its order in this process."""

    dies = ()
    one_at_a_time = threading.Lock()
    alive: ClassVar[list["Fake"]] = []

    def __init__(self, command, task, threads):
        self.orders = []
        self.process = self
        Fake.alive.append(self)

    def do(self, order):
        names = {file.id for file in order.files}
        if names & set(self.dies):
            raise Lost("ended with exit code 7")
        with self.one_at_a_time:
            batch = self.task.read(order, isolux.workers.shared_reader())
            return self.task.finish(order, batch, isolux.workers.Workplace(self.task.options.torch_device))

    def kill(self):
        pass

    def end(self):
        Fake.alive.remove(self)


@pytest.fixture
def fakes(monkeypatch):
    first_use()
    monkeypatch.setattr(isolux.workers, "Process", Fake)
    monkeypatch.setattr(isolux.workers, "packed", lambda task: setattr(Fake, "task", task))
    yield Fake
    assert not Fake.alive


@pytest.mark.parametrize("keep", [False, True])
def test_a_galaxy_that_ends_its_workers_has_a_row_that_says_so(source, options, fakes, monkeypatch, keep):
    monkeypatch.setattr(fakes, "dies", ("b",))
    kept = []
    with pytest.warns(FitWarning, match="its batch was fitted again"):
        run = measure(
            source, SCENE, options, after=(lambda batch, result: kept.append(batch.id)) if keep else None
        )
    table = read_catalogue(options.path)
    assert list(table["id"]) == list(NAMES)
    assert [Status(s) is Status.FAILED for s in table["status"]] == [name == "b" for name in NAMES]
    assert table["message"][1] == "galaxy b: the process that fitted it ended with exit code 7"
    assert run.progress.status == {"converged": 4, "failed": 1}
    assert {name for names in kept for name in names} == (set(NAMES) if keep else set())


def test_workers_that_all_die_end_the_run_and_lose_nothing(source, options, fakes, monkeypatch):
    monkeypatch.setattr(fakes, "dies", ("d", "e"))
    monkeypatch.setattr(isolux.workers, "MOST_DEATHS", 3)
    text = "3 workers died, the last one ended with exit code 7.* fewer workers"
    with pytest.warns(FitWarning), pytest.raises(InputError, match=text):
        measure(source, SCENE, dataclasses.replace(options, batch_size=1))
    again = dataclasses.replace(options, batch_size=1, resume=True)
    monkeypatch.setattr(fakes, "dies", ())
    assert measure(source, SCENE, again).skipped > 0
    assert sorted(read_catalogue(options.path)["id"]) == list(NAMES)


def test_a_run_that_stops_ends_its_workers(source, options):
    task = Task(source, SCENE, options)
    crew = Crew(task, 1)
    work = crew.work(task.plan(list_stamps(source)))
    assert len(next(work).result) == 2
    (worker,) = crew.workers
    assert worker.process.poll() is None
    work.close()
    assert worker.process.returncode is not None
    assert not crew.workers


def test_a_worker_ends_with_the_process_that_started_it(source, options):
    worker = Process(COMMAND, packed(Task(source, SCENE, options)))
    worker.process.stdin.close()
    assert worker.process.wait(60) == 0
    worker.end()


def test_callers_mistake_is_an_error_in_the_first_order_of_a_worker(source, options):
    task = Task(source, Scene(galaxy=Sersic(x=Column("nothing"))), options)
    work = ready(io.BytesIO(packed(task)))
    with pytest.raises(InputError, match="column"):
        work(next(task.orders(task.plan(list_stamps(source)))))


def test_what_cannot_be_sent_is_fitted_here_or_refused(source, options, monkeypatch):
    class Local(Sersic):
        pass

    scene = Scene(galaxy=Local(sersic_index=Fixed(1.0)))
    with pytest.raises(InputError, match=r"several workers cannot be used, .*Local.*; give workers = 1"):
        measure(source, scene, options)
    auto = dataclasses.replace(options, workers=None)
    monkeypatch.setattr(RunOptions, "worker_count", lambda self, pixels: 2)
    assert measure(source, scene, auto).progress.status == {"converged": 5}
    Local.__module__, Local.__qualname__ = "__main__", "Local"
    monkeypatch.setattr(sys.modules["__main__"], "Local", Local, raising=False)
    with pytest.raises(CannotSend, match="in the script itself"):
        packed(Task(source, scene, options))


def test_number_of_workers(monkeypatch):
    monkeypatch.setattr(isolux.options, "cores", lambda: 8)
    assert RunOptions(device="cpu").worker_count(100) == 1
    assert RunOptions(device="cpu").worker_count(1 << 40) == 8
    assert RunOptions(device="cpu", threads=4).worker_count(1 << 40) == 2
    assert RunOptions(device="cpu", workers=3).worker_count(100) == 3
    with pytest.raises(InputError, match="workers"):
        RunOptions(workers=0)
    monkeypatch.undo()
    assert 1 <= cores() <= (os.cpu_count() or 1)
