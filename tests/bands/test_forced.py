"""Light measured with shapes that are known from another image."""

import dataclasses

import numpy as np
import pytest
import torch

import isolux
from cameras import CAMERAS, drawn, expected, truths
from isolux import Flag, FlatSky, InputError, Scene, Sersic, Status, Tied
from isolux.bands.photometry import with_shapes_held

pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")
COUNT = 40


def scene():
    return Scene(galaxy=Sersic(), sky=FlatSky())


@pytest.fixture(scope="module")
def truth():
    return truths(COUNT, seed=21)


@pytest.fixture(scope="module")
def batches(truth):
    return drawn(truth, seed=22)


def shape_of(truth, band):
    found = expected(truth, CAMERAS[band], band)
    return {f"galaxy.{name}": value for name, value in found.items() if name != "magnitude"}


def test_with_true_shapes_pulls_are_one(truth, batches):
    """Widths of the pulls of 40 fluxes: 1 within 3 of their standard deviations, 0.11 each."""
    for band, camera in CAMERAS.items():
        result = isolux.forced(batches[band], scene(), shape_of(truth, band))
        flux = 10 ** (-0.4 * (truth[band] - camera.zero_point))
        pull = (result["galaxy.flux"].numpy() - flux) / result.error("galaxy.flux").numpy()
        assert abs(pull.std() - 1) < 0.34
        assert abs(pull.mean()) < 0.5
        assert result.converged.all()
        assert (result.steps <= 2).all()
        assert (result.error("galaxy.x") == 0).all()


def test_shapes_are_carried_from_another_band(truth, batches):
    """Through a turn, a mirror and another pixel scale: chi-square is that of a good fit."""
    shapes = isolux.fit(batches["r"], scene())
    for band in "gi":
        result = isolux.forced(batches[band], scene(), shapes)
        there = expected(truth, CAMERAS[band], band)
        for name in ("x", "y"):
            assert np.abs(result[f"galaxy.{name}"].numpy() - there[name]).max() < 0.5
        assert float(result.reduced_chi2.mean()) == pytest.approx(1, abs=0.02)
        error = np.hypot(result.error("galaxy.magnitude").numpy(), 0.3)
        assert (np.abs(result["galaxy.magnitude"].numpy() - truth[band]) < 4 * error).all()


def test_rows_go_by_id(batches):
    shapes = isolux.fit(batches["r"], scene())
    order = list(range(COUNT))[::-1]
    one = isolux.forced(batches["i"], scene(), shapes)
    two = isolux.forced(batches["i"], scene(), shapes.select(order))
    assert torch.equal(one.values, two.values)


def test_bands_of_a_joint_fit_give_shapes(batches):
    joint = isolux.fit_bands({band: batches[band] for band in "ri"}, scene())
    result = isolux.forced(batches["g"], scene(), joint.bands["i"])
    assert result.converged.all()
    assert float(result.reduced_chi2.mean()) == pytest.approx(1, abs=0.02)


def test_faint_fluxes_may_be_negative(truth, batches):
    """An image of noise alone: fluxes scatter about zero by their errors, and half have no magnitude."""
    rng = np.random.default_rng(23)
    batch = batches["g"]
    noise = batch.sigma * torch.as_tensor(rng.standard_normal(batch.image.shape)).float()
    result = isolux.forced(dataclasses.replace(batch, image=noise), scene(), shape_of(truth, "g"))
    flux = result["galaxy.flux"]
    assert result.converged.all()
    assert abs(float((flux / result.error("galaxy.flux")).mean())) < 0.6
    assert 5 < int((flux < 0).sum()) < 35
    assert torch.equal(torch.isnan(result["galaxy.magnitude"]), flux <= 0)


def test_a_galaxy_without_a_shape(batches):
    shapes = isolux.fit(batches["r"], scene())
    values = shapes.values.clone()
    values[3] = torch.nan
    whole = isolux.forced(batches["i"], scene(), shapes)
    result = isolux.forced(batches["i"], scene(), dataclasses.replace(shapes, values=values))
    assert result.status[3] is Status.BAD_START
    others = [k for k in range(COUNT) if k != 3]
    assert torch.equal(result.values[others], whole.values[others])
    fewer = isolux.forced(batches["i"], scene(), shapes.select([k for k in others if k != 7]))
    assert fewer.status[3] is Status.BAD_START
    assert fewer.status[7] is Status.BAD_START
    assert torch.isnan(fewer["galaxy.flux"][7])


def test_a_galaxy_outside_its_stamp(truth, batches):
    shapes = shape_of(truth, "g")
    shapes["galaxy.x"] = shapes["galaxy.x"].copy()
    shapes["galaxy.x"][5] = 500.0
    result = isolux.forced(batches["g"], scene(), shapes)
    assert Flag.OFF_CENTRE in result.flags[5]
    assert Flag.NO_COVARIANCE in result.flags[5]
    assert torch.isnan(result["galaxy.flux"][5])
    assert Flag.OFF_CENTRE not in result.flags[4]


def test_ties_and_amplitudes_are_kept():
    held = with_shapes_held(
        Scene(
            bulge=Sersic(x=Tied("disc.x"), y=Tied("disc.y"), intensity=isolux.Free()),
            disc=isolux.Exponential(),
            star=isolux.PointSource(flux=3.0, x=2.0, y=2.0),
        )
    )
    kinds = {entry.full_name: type(entry.setting).__name__ for entry in held.parameters}
    assert {name for name, kind in kinds.items() if kind == "Free"} == {
        "bulge.intensity",
        "disc.flux",
        "star.flux",
    }
    assert kinds["bulge.x"] == "Tied"
    assert kinds["disc.x"] == kinds["star.x"] == "Fixed"
    assert not held.components["disc"].has_boxiness


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"galaxy.x": 20.0}, "there is no column"),
        ("none", "no galaxy of the batch has a shape"),
        ("other scale", "need a WCS in both images"),
        ("no sersic", "there is no column"),
    ],
)
def test_wrong_shapes(batches, shapes, words):
    batch = batches["g"].select([0, 1])
    found = isolux.fit(batch, scene())
    if shapes == "none":
        shapes = dataclasses.replace(found, id=("a", "b"))
    elif shapes == "other scale":
        shapes = dataclasses.replace(found, wcs=(None, None), pixel_scale=found.pixel_scale * 2)
    elif shapes == "no sersic":
        shapes = isolux.fit(batch, Scene(galaxy=isolux.Exponential()))
    with pytest.raises(InputError, match=words):
        isolux.forced(batch, scene(), shapes)


def test_nothing_to_measure(batches):
    batch = batches["g"].select([0])
    found = isolux.fit(batch, scene())
    held = Scene(galaxy=Sersic(flux=isolux.Fixed(3.0)))
    with pytest.raises(InputError, match="no flux and no sky"):
        isolux.forced(batch, held, found)
    with pytest.raises(InputError, match="its shape"):
        isolux.forced(batch, scene(), found, geometry=np.eye(3))
