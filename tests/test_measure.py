"""The way of a sample: every galaxy gets a row, nothing is lost, nobody is harmed by another."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table

import isolux.isolate
from isolux.errors import FitWarning, InputError
from isolux.fit import fit
from isolux.footprint import Footprint
from isolux.io.blocks import read_block
from isolux.io.catalogue import read_catalogue
from isolux.io.listing import list_stamps
from isolux.io.source import StampSource
from isolux.measure import measure
from isolux.options import RunOptions
from isolux.parameters import Column, Fixed, Free
from isolux.profiles import Sersic
from isolux.scene import Scene
from isolux.solve import LevenbergMarquardt
from isolux.status import Status
from isolux.task import Task

NAMES = ("a", "b", "c", "d", "e")
SCENE = Scene(galaxy=Sersic(sersic_index=Fixed(1.0)))


def write(folder, name, kind, array):
    fits.writeto(folder / f"{name}_{kind}.fits", array.astype(np.float32), overwrite=True)


@pytest.fixture
def source(tmp_path, rng):
    """Return five small exponential discs without PSF."""
    y, x = np.mgrid[:32, :32].astype(float)
    for k, name in enumerate(NAMES):
        radius = np.hypot(x - 15.5, (y - 15.5) / (0.5 + 0.1 * k))
        write(tmp_path, name, "image", 50 * np.exp(-radius / 3) + rng.normal(0, 0.5, x.shape))
        write(tmp_path, name, "sigma", np.full(x.shape, 0.5))
    return StampSource(
        image=f"{tmp_path}/*_image.fits", sigma=f"{tmp_path}/*_sigma.fits", zero_point=25.0, pixel_scale=0.5
    )


@pytest.fixture
def options(tmp_path):
    return RunOptions(folder=tmp_path / "run", batch_size=2, device="cpu", solver=LevenbergMarquardt(width=4))


def rows(options):
    table = read_catalogue(options.path)
    return table[np.argsort(table["id"])]


def test_catalogue_and_blocks(source, options):
    seen = []
    run = measure(source, SCENE, options, progress=seen.append)
    table = rows(options)
    assert list(table["id"]) == list(NAMES)
    assert (table["status"] == 0).all()
    np.testing.assert_allclose(table["galaxy_axis_ratio"], [0.5, 0.6, 0.7, 0.8, 0.9], atol=0.05)
    assert [(state.done, state.total) for state in seen] == [(2, 5), (4, 5), (5, 5)]
    assert run.progress.status == {"converged": 5}
    assert run.catalogue == options.path
    assert run.skipped == 0
    block = read_block(options.blocks_folder / "c.fits")
    assert block.values["galaxy.axis_ratio"] == table["galaxy_axis_ratio"][2]
    assert np.abs(block.residual).mean() < 0.5


def test_faulty_galaxies_have_rows_and_harm_nobody(source, options, tmp_path):
    measure(source, SCENE, options)
    alone = rows(options)
    write(tmp_path, "b", "image", np.full((32, 32), np.nan))
    (tmp_path / "d_sigma.fits").unlink()
    (tmp_path / "e_image.fits").write_bytes(b"SIMPLE")

    run = measure(source, SCENE, dataclasses.replace(options, overwrite=True))
    table = rows(options)
    status = [Status(code) for code in table["status"]]
    assert status == [
        Status.CONVERGED,
        Status.MASKED_OUT,
        Status.CONVERGED,
        Status.BAD_INPUT,
        Status.BAD_INPUT,
    ]
    assert np.isnan(table["galaxy_magnitude"][[1, 3, 4]]).all()
    assert "e_image.fits" in table["message"][4]
    for k in (0, 2):
        assert table["galaxy_magnitude"][k].value == pytest.approx(
            alone["galaxy_magnitude"][k].value, abs=1e-4
        )
    assert run.progress.status == {"converged": 2, "masked_out": 1, "bad_input": 2}
    assert sorted(path.stem for path in options.blocks_folder.iterdir()) == list(NAMES)


def test_killed_run_is_resumed(source, options):

    def kill(batch, result):
        if "c" in batch.id:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(source, SCENE, options, after=kill)
    assert list(read_catalogue(options.path)["id"]) == ["a", "b"]
    with pytest.raises(InputError, match="unfinished run; resume it or overwrite it"):
        measure(source, SCENE, options)
    again = dataclasses.replace(options, resume=True)
    run = measure(source, SCENE, again)
    assert (run.skipped, run.progress.done) == (2, 3)
    assert list(rows(options)["id"]) == list(NAMES)
    assert measure(source, SCENE, again).progress.total == 0


def test_unexpected_error_is_one_galaxys(source, options, monkeypatch):
    calls = []

    def fragile(batch, scene, **keywords):
        calls.append(batch.id)
        if "d" in batch.id and not batch.mask.all():
            raise RuntimeError("surprise")
        return fit(batch, scene, **keywords)

    monkeypatch.setattr(isolux.isolate, "fit", fragile)

    measure(source, SCENE, dataclasses.replace(options, batch_size=5, blocks=False))
    table = rows(options)
    assert [Status(s) is Status.FAILED for s in table["status"]] == [name == "d" for name in NAMES]
    assert table["message"][3] == "galaxy d: RuntimeError: surprise"
    assert np.isnan(table["galaxy_x"][3])
    assert len(calls) < 10


def test_the_run_goes_on_though_all_galaxies_fail(source, options, tmp_path):
    for name in NAMES[:2]:
        write(tmp_path, name, "image", np.full((32, 32), np.nan))
    run = measure(source, SCENE, options)
    assert run.progress.status == {"masked_out": 2, "converged": 3}
    for name in NAMES[2:]:
        (tmp_path / f"{name}_image.fits").write_bytes(b"nothing")
    with pytest.warns(FitWarning, match="no galaxy has a fit; see the column message"):
        run = measure(source, SCENE, dataclasses.replace(options, overwrite=True))
    assert run.progress.status == {"masked_out": 2, "bad_input": 3}
    table = rows(options)
    assert len(table) == 5
    assert "all 1024 pixels" in table["message"][0]
    assert "not a FITS file" in table["message"][4]


def test_callers_mistake_is_an_error(source, options):
    with pytest.raises(InputError, match="column"):
        measure(source, Scene(galaxy=Sersic(x=Column("nothing"))), options)


def test_starting_values_from_the_table(source, options, tmp_path):
    table = Table({"id": NAMES, "image": [f"{n}_image.fits" for n in NAMES], "centre": [15.0] * 4 + [np.nan]})
    table.write(tmp_path / "galaxies.csv")
    listed = StampSource(table=tmp_path / "galaxies.csv", sigma=0.5, zero_point=25.0, pixel_scale=0.5)
    scene = Scene(galaxy=Sersic(x=Free(Column("centre")), sersic_index=Fixed(1.0)))
    measure(listed, scene, options)
    assert [Status(s) for s in rows(options)["status"]] == [Status.CONVERGED] * 4 + [Status.BAD_START]


def test_other_formats(source, options):

    parquet = dataclasses.replace(options, catalogue="result.parquet", blocks=False)
    measure(source, SCENE, parquet)
    assert len(read_catalogue(parquet.path)) == 5
    assert not options.blocks_folder.exists()


def test_options_are_checked():
    with pytest.raises(InputError, match="unknown option 'batchsize'; did you mean 'batch_size'"):
        RunOptions.from_dict({"batchsize": 3})
    assert RunOptions.from_dict({"batch_size": 3}).batch_size == 3
    for wrong in ({"batch_size": 0}, {"batch_size": 2.5}, {"dtype": "half"}, {"errors": "no"}, {"starts": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            RunOptions(**wrong)
    with pytest.raises(InputError, match="exclude"):
        RunOptions(resume=True, overwrite=True)
    with pytest.raises(InputError, match="device 'gpu'"):
        _ = RunOptions(device="gpu").torch_device
    assert RunOptions(device="cpu", dtype="float64").torch_dtype == torch.float64


def test_batches_fit_the_free_memory(monkeypatch):
    footprint = Footprint((128, 128), (41, 41))
    monkeypatch.setattr("isolux.options.free_memory", lambda device: 1 << 36)
    monkeypatch.setattr("isolux.options.cores", lambda: 4)
    assert RunOptions(device="cpu").batch_galaxies(footprint) == 128
    assert RunOptions(device="cpu", batch_size=500).batch_galaxies(footprint) == 500
    assert RunOptions(device="cpu", max_pixels=3 << 14).batch_galaxies(footprint) == 3
    assert RunOptions(device="cpu", max_pixels=1).batch_galaxies(footprint) == 1
    free = 800_000_000
    monkeypatch.setattr("isolux.options.free_memory", lambda device: free)
    few = RunOptions(device="cpu", ahead=1).batch_galaxies(footprint)
    assert footprint.run(few, 1) <= free / 2 / 4 < footprint.run(2 * few, 1)
    assert RunOptions(device="cpu", ahead=1, workers=3).batch_galaxies(footprint) == few
    assert RunOptions(device="cpu", ahead=1, workers=16).batch_galaxies(footprint) == 1


def test_batches_are_planned_for_the_stamps_and_psfs_there_are(source, options, tmp_path):
    task = Task(source, SCENE, options)
    bare = task.footprint(list_stamps(source))
    assert (bare.psf, bare.components, bare.own_psf) == (None, 1, False)
    for name in NAMES:
        write(tmp_path, name, "psf", np.ones((9, 7)))
    own = dataclasses.replace(source, psf=f"{tmp_path}/*_psf.fits", psf_oversampling=2)
    found = Task(own, SCENE, dataclasses.replace(options, dtype="float64")).footprint(list_stamps(own))
    assert (found.psf, found.own_psf, found.oversampling, found.dtype) == ((9, 7), True, 2, torch.float64)
    assert (
        not Task(dataclasses.replace(source, psf=tmp_path / "a_psf.fits"), SCENE, options)
        .footprint(list_stamps(dataclasses.replace(source, psf=tmp_path / "a_psf.fits")))
        .own_psf
    )
    assert [len(members) for members, _ in task.plan(list_stamps(source))] == [2, 2, 1]
