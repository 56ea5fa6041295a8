"""A GPU that fails in the middle of a run costs its batch a second fit, and the run nothing else."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits

import isolux.isolate
from isolux.batch import Batch
from isolux.errors import FitWarning
from isolux.fit import fit
from isolux.io.blocks import read_block
from isolux.io.catalogue import read_catalogue
from isolux.io.source import StampSource
from isolux.isolate import Workplace, fit_each, is_lost
from isolux.measure import measure
from isolux.options import RunOptions
from isolux.parameters import Fixed
from isolux.profiles import Sersic
from isolux.scene import Scene
from isolux.status import FLAG_MESSAGES, Flag
from stubs import first_use

SCENE = Scene(galaxy=Sersic(sersic_index=Fixed(1.0)))
GPU = torch.device("cuda:0")
LOST = [
    RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA`"),
    torch.AcceleratorError("CUDA error: unspecified launch failure"),
]


@pytest.fixture
def source(tmp_path, rng):
    """Return six small exponential discs without PSF."""
    y, x = np.mgrid[:24, :24].astype(float)
    for k in range(6):
        image = 50 * np.exp(-np.hypot(x - 11.5, (y - 11.5) / (0.5 + 0.08 * k)) / 3)
        fits.writeto(tmp_path / f"g{k}_image.fits", image + rng.normal(0, 0.5, x.shape))
    return StampSource(image=f"{tmp_path}/*_image.fits", sigma=0.5, zero_point=25.0, pixel_scale=0.5)


@pytest.fixture
def options(tmp_path):
    first_use()
    return RunOptions(folder=tmp_path / "run", batch_size=2, device="cpu", workers=1)


class Gpu:
    """A device that computes on the CPU, counts the batches it is given, and fails as it is told."""

    def __init__(self, monkeypatch):
        self.fits = self.errors = 0
        self.fails = {}
        move = Batch.to
        monkeypatch.setattr(RunOptions, "torch_device", GPU)
        monkeypatch.setattr(Batch, "to", lambda batch, device=None: self.take(batch, move, device))
        monkeypatch.setattr("isolux.options.free_memory", lambda device: 1 << 30)
        monkeypatch.setattr(isolux.isolate, "fit", self.fit)
        self.busy = False

    def take(self, batch, move, device):
        self.busy = device == GPU
        return batch if self.busy else move(batch, device)

    def fit(self, batch, scene, **keywords):
        if self.busy:
            self.fits += 1
            error = self.fails.get(self.fits)
            if error is not None:
                raise error
        return fit(batch, scene, **keywords)


@pytest.fixture
def gpu(monkeypatch):
    return Gpu(monkeypatch)


@pytest.mark.parametrize("error", LOST)
def test_the_batch_is_fitted_on_the_cpu_and_so_are_those_that_follow(source, options, tmp_path, gpu, error):
    gpu.fails = {2: error}
    with pytest.warns(FitWarning, match=r"cuda:0 was lost \(CUDA error: .*\): the rest is done on the CPU"):
        run = measure(source, SCENE, options)
    table = read_catalogue(options.path)
    assert gpu.fits == 2
    assert run.progress.status == {"converged": 6}
    assert len(run.progress.remarks) == 1
    assert [bool(Flag.GPU_LOST & flags) for flags in table["flags"]] == [False] * 2 + [True] * 4
    assert FLAG_MESSAGES[Flag.GPU_LOST] in table["flags_text"][2]
    assert len(list(options.blocks_folder.iterdir())) == 6


def test_results_are_those_of_the_cpu(source, options, tmp_path, monkeypatch):
    alone = dataclasses.replace(options, folder=tmp_path / "alone")
    measure(source, SCENE, alone)
    gpu = Gpu(monkeypatch)
    gpu.fails = {1: LOST[0]}
    with pytest.warns(FitWarning, match="lost"):
        measure(source, SCENE, options)
    one, two = (read_catalogue(o.path) for o in (options, alone))
    for name in set(one.colnames) - {"seconds", "flags", "flags_text"}:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(two[name]))


def test_a_gpu_lost_while_blocks_are_drawn(source, options, gpu, monkeypatch):
    draw = Scene.component_images
    count = []

    def fragile(scene, batch, values):
        count.append(gpu.busy)
        if len(count) == 2:
            raise LOST[1]
        return draw(scene, batch, values)

    monkeypatch.setattr(Scene, "component_images", fragile)
    with pytest.warns(FitWarning, match="lost"):
        measure(source, SCENE, options)
    assert count == [True, True, False, False]
    flags = read_catalogue(options.path)["flags"]
    assert [bool(Flag.GPU_LOST & flag) for flag in flags] == [False] * 4 + [True] * 2
    assert np.isfinite(read_block(options.blocks_folder / "g3.fits").model).all()


def test_too_little_memory_is_no_loss(source, options, gpu):
    gpu.fails = {1: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")}
    run = measure(source, SCENE, dataclasses.replace(options, batch_size=6))
    assert run.progress.status == {"converged": 6}
    assert gpu.fits == 3
    assert not run.progress.remarks
    assert not any(Flag.GPU_LOST & flags for flags in read_catalogue(options.path)["flags"])


def test_what_a_loss_is():
    assert all(is_lost(error) for error in LOST)
    assert not is_lost(RuntimeError("shape '[3]' is invalid for input of size 4"))
    assert not is_lost(torch.OutOfMemoryError("CUDA out of memory"))


def test_other_errors_stay_with_their_galaxy(monkeypatch):
    """On the CPU even a message about CUDA is only that galaxy's."""

    def fragile(batch, scene, **keywords):
        if not batch.mask.all():
            raise LOST[0]
        return fit(batch, scene, **keywords)

    monkeypatch.setattr(isolux.isolate, "fit", fragile)
    ones = np.ones((2, 8, 8))
    result = fit_each(Batch.from_arrays(ones, sigma=ones), SCENE, {})
    assert {status.name for status in result.status} == {"FAILED"}
    place = Workplace(torch.device("cpu"))
    with pytest.raises(RuntimeError, match="illegal"):
        place.do(lambda device: (_ for _ in ()).throw(LOST[0]))
    assert not place.lost
