"""Runs that are killed, and what they leave: gone on with, they have the rows of a run that nobody disturbed."""

import dataclasses
import errno
import multiprocessing
import shutil
import signal
import sys
import time

import pyarrow
import pytest
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError

import isolux.export  # noqa: F401 - the module, whose name in the package is its function
from isolux.cli import survey as commands
from isolux.cli.survey import _ending
from isolux.io.plan_files import PlanWriter
from isolux.io.run_folder import Quarantined, RunFolder
from isolux.survey import run as running
from isolux.survey.cluster import _forget
from isolux.survey.drive import RunStopped
from isolux.survey.options import SurveyOptions
from isolux.survey.run import survey
from isolux.survey.setup import SurveyRun
from isolux.survey.work import Failure, Fault, do_part
from survey.stub_input import Stub

COUNT, PART = 60, 3
ALONE = {"dashboard_address": "127.0.0.1:0", "processes": False, "n_workers": 1, "threads_per_worker": 2}


@pytest.fixture(scope="module")
def client():
    with LocalCluster(**ALONE) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(autouse=True)
def _in_this_process(client, monkeypatch):
    monkeypatch.setattr(running, "open_cluster", lambda options: Opened(client))


@pytest.fixture(scope="module")
def forks():
    """Starts processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["isolux.survey.run", "distributed", "survey.stub_input"])
    return context


@pytest.fixture
def undisturbed():
    """The rows of a run that nobody has killed."""
    stub = Stub(count=COUNT)
    pieces = [stub.measure(part, frozenset()).rows for part in stub.plan(PART, 0)]
    return pyarrow.concat_tables(pieces)


class Opened:
    """A cluster that stays open."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        return self.client

    def __exit__(self, *error):
        return None


def run_of(folder, count=COUNT, **more):
    source = Stub(count=count, seconds=0.02, **more)
    return SurveyRun(source, folder, survey=SurveyOptions(part_galaxies=PART, retries=0))


def rows_of(folder):
    return pyarrow.concat_tables(RunFolder(folder).rows())


def written(folder):
    return {number: folder.part_file(number).stat().st_mtime_ns for number in folder.done()}


def lead(folder, slow):
    """A whole run in a process of its own; ``slow`` holds it before a function of a run's folder."""
    if slow:
        real = getattr(RunFolder, slow)

        def late(self, *args):
            if slow != "write_receipt" or len(self.done()) >= 2:
                time.sleep(60)
            return real(self, *args)

        setattr(RunFolder, slow, late)
    with LocalCluster(**ALONE) as cluster, Client(cluster) as client:
        running.open_cluster = lambda options: Opened(client)
        survey(run_of(folder))


def part_without_receipt(folder):
    parts = {path.stem for path in folder.part_files()}
    return bool(parts - {path.stem for path in folder.path.glob("receipts/*/part-*.json")})


MOMENTS = {
    "the plan is there, the manifest is not": ("write_manifest", lambda f: (f.path / "plan").exists()),
    "rows are there, their receipt is not": ("write_receipt", part_without_receipt),
    "one part is done": ("", lambda f: len(list(f.path.glob("receipts/*/part*"))) >= 1),
    "some parts are done": ("", lambda f: len(list(f.path.glob("receipts/*/part*"))) >= 7),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_and_gone_on_with_has_the_same_rows(tmp_path, forks, undisturbed, moment):
    slow, come = MOMENTS[moment]
    folder = RunFolder(tmp_path / "run")
    process = forks.Process(target=lead, args=(folder.path, slow))
    process.start()
    until = time.monotonic() + 120
    while not come(folder):
        assert time.monotonic() < until
        assert process.is_alive()
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    before = written(folder)
    survey(run_of(folder.path))
    assert rows_of(folder.path).equals(undisturbed)
    assert written(folder).items() >= before.items()
    assert not list(folder.path.glob("**/.*.tmp"))


class Killed(BaseException):
    """Ends a run as a signal would, without anybody's saying so."""


@pytest.mark.parametrize("victim", ["receipts", "quarantine", "portraits", "parts"])
def test_a_run_that_is_killed_while_it_overwrites_another_keeps_nothing_of_it(tmp_path, monkeypatch, victim):
    survey(run_of(tmp_path / "run", offset=1))
    real = shutil.rmtree

    def remove(path, **options):
        if path.name == victim:
            raise Killed
        real(path, **options)

    monkeypatch.setattr("isolux.io.run_folder.shutil.rmtree", remove)
    with pytest.raises(Killed):
        survey(run_of(tmp_path / "run"), overwrite=True)
    monkeypatch.undo()
    monkeypatch.setattr(running, "open_cluster", None)
    with pytest.raises(Exception, match="another configuration"):
        survey(run_of(tmp_path / "run"))


def test_what_is_left_of_a_run_without_a_manifest_is_no_part_of_the_next(tmp_path):
    survey(run_of(tmp_path / "run", offset=1))
    RunFolder(tmp_path / "run").clear()
    survey(run_of(tmp_path / "run"))
    assert rows_of(tmp_path / "run")["square"].to_pylist() == [float(n * n) for n in range(COUNT)]


def test_a_worker_that_has_outlived_its_run_writes_nothing_into_the_next(tmp_path):
    survey(run_of(tmp_path / "run"))
    folder = RunFolder(tmp_path / "run")
    before = written(folder)
    job = running.Job.of(folder.path, Stub(count=COUNT, offset=1), 0.0, "the run before")
    found = do_part(job, 0, 1)
    assert isinstance(found, Failure)
    assert found.fault is Fault.RUN
    assert "another run" in found.reason
    folder.clear()
    assert isinstance(do_part(job, 0, 1), Failure)
    assert not folder.part_files()
    assert before


def test_what_killed_writers_leave_is_swept_up_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path / "run")
    survey(run_of(folder.path))
    (folder.path / ".notes.tmp").touch()
    for where in (".", "parts/00000", "receipts/00000"):
        (folder.path / where / ".part-00000000.json.0123456789ab.tmp").touch()
    (folder.path / ".catalogue_hats.0123456789ab.tmp" / "dataset").mkdir(parents=True)
    survey(run_of(folder.path))
    assert [path.name for path in folder.path.glob("**/.*.tmp")] == [".notes.tmp"]


def test_a_part_that_is_given_up_leaves_no_rows(tmp_path):
    folder = RunFolder(tmp_path / "run")
    survey(run_of(folder.path))
    folder.quarantine(Quarantined(3, PART, "", "it is damaged", []))
    assert len(rows_of(folder.path)) == COUNT - PART
    assert 3 not in [receipt.part for receipt in folder.receipts()]
    survey(run_of(folder.path))
    assert not folder.quarantined()
    assert len(rows_of(folder.path)) == COUNT


def test_a_line_that_a_full_disk_has_cut_off_does_not_spoil_the_next(tmp_path):
    folder = RunFolder(tmp_path)
    folder.tell("began")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "sto')
    folder.tell("resumed")
    folder.tell("ended")
    assert [event["event"] for event in folder.events()] == ["began", "resumed", "ended"]


@pytest.mark.parametrize(
    "where",
    [(PlanWriter, "add"), (RunFolder, "write_manifest"), (RunFolder, "tell")],
    ids=lambda pair: pair[1],
)
def test_a_disk_that_is_full_for_the_leading_process_stops_the_run(tmp_path, monkeypatch, where):
    def full(*args, **details):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*where, full)
    with pytest.raises(RunStopped, match="cannot be written: No space left on device"):
        survey(run_of(tmp_path / "run"))
    monkeypatch.undo()


def test_a_disk_too_full_to_say_so_stops_the_run_with_the_first_reason(tmp_path, monkeypatch):
    real = RunFolder.tell

    def full(self, event, **details):
        if event == "stopped":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, event, **details)

    monkeypatch.setattr(RunFolder, "tell", full)
    source = Stub(count=20, faults=((6, "full"),))
    with pytest.raises(RunStopped, match="somewhere: No space left"):
        survey(SurveyRun(source, tmp_path / "run", survey=SurveyOptions(part_galaxies=4)))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_queue_and_a_closed_terminal_end_a_run_as_ctrl_c_does(sent):
    before = signal.signal(sent, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), _ending():
            signal.raise_signal(sent)
        assert signal.getsignal(sent) == signal.SIG_DFL
    finally:
        signal.signal(sent, before)


def test_nohup_keeps_a_run_from_its_terminals_end():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _ending():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_disk_that_is_full_when_the_catalogue_is_made_stops_the_run_after_its_parts(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError("Not enough space on disk")

    monkeypatch.setattr(sys.modules["isolux.export"], "export", full)
    run = dataclasses.replace(run_of(tmp_path / "run"), exports=("fits",))
    with pytest.raises(RunStopped, match="all parts are done, but the catalogue as fits: Not enough space"):
        survey(run)
    assert len(rows_of(tmp_path / "run")) == COUNT
    monkeypatch.undo()


def test_a_disk_that_is_full_when_the_report_is_written_is_said(tmp_path, monkeypatch):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(commands, "read_survey_file", lambda path: run_of(tmp_path / "run"))
    monkeypatch.setattr(commands, "write_page", full)
    with pytest.raises(commands.Ended, match="the report cannot be written") as told:
        commands.survey_and_show(tmp_path / "run.toml", None, False, True, {})
    assert told.value.code == 3


@pytest.mark.parametrize("error", [CommClosedError("in <TCP>: Stream is closed"), TimeoutError("no answer")])
def test_a_scheduler_that_goes_while_it_is_greeted_stops_the_run(tmp_path, monkeypatch, error):
    def gone(options):
        raise error

    monkeypatch.setattr(running, "open_cluster", gone)
    with pytest.raises(RunStopped, match="the scheduler is gone"):
        survey(run_of(tmp_path / "run"))
    assert [event["event"] for event in RunFolder(tmp_path / "run").events()] == ["began", "stopped"]
    monkeypatch.undo()


def test_a_client_that_has_been_closed_is_left_in_peace(client):
    with Client(client.scheduler.address, set_as_default=False) as other:
        other.close()
        _forget(other)
