"""Galaxies that GalSim draws through three cameras are recovered, with errors that are right."""

import numpy as np
import pytest
import torch

import isolux
from cameras import CAMERAS, WAVELENGTHS, drawn, expected, truths
from isolux import Fixed, Flag, LevenbergMarquardt, Scene, Status

pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")

SHAPE = ("x", "y", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
COUNT = 100
SLOPES = {"radius": 0.12, "index": -0.15, "axis_ratio": 0.05}
FINE = LevenbergMarquardt(tolerance=1e-7)


def scene():
    return Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())


@pytest.fixture(scope="module")
def truth():
    return truths(COUNT, seed=3)


@pytest.fixture(scope="module")
def batches(truth):
    return drawn(truth, seed=4)


@pytest.fixture(scope="module")
def result(batches):
    return isolux.fit_bands(batches, scene())


@pytest.fixture(scope="module")
def few():
    """Six galaxies in float64, and what they are."""
    truth = truths(6, seed=5)
    return truth, drawn(truth, seed=6, dtype=torch.float64)


def off(result, band, name, value):
    """Fitted less true value of a parameter of a band, angles within 90 degrees."""
    difference = result.bands[band][f"galaxy.{name}"].numpy() - value
    return (difference + 90) % 180 - 90 if name == "position_angle" else difference


def test_every_parameter_of_every_band_is_recovered(truth, result):
    assert all(result.converged)
    for band, camera in CAMERAS.items():
        for name, value in expected(truth, camera, band).items():
            pull = off(result, band, name, value) / result.bands[band].error(f"galaxy.{name}").numpy()
            assert np.abs(pull).max() < 5, (band, name)


def test_errors_are_as_wide_as_the_scatter(truth, result):
    """Pulls of 100 galaxies: the standard deviation of a width of one is 0.07, of a mean 0.1; four of them are let."""
    for band, camera in CAMERAS.items():
        for name, value in expected(truth, camera, band).items():
            pull = off(result, band, name, value) / result.bands[band].error(f"galaxy.{name}").numpy()
            assert 0.72 < pull.std() < 1.28, (band, name)
            assert abs(pull.mean()) < 0.4, (band, name)
    for first, second in (("g", "r"), ("r", "i"), ("g", "i")):
        colour, error = (column.numpy() for column in result.colour(first, second))
        pull = (colour - (truth[first] - truth[second])) / error
        assert 0.72 < pull.std() < 1.28


def test_colours_scatter_less_than_those_of_separate_fits(truth, batches, result):
    separate = [isolux.fit(batches[band], scene())["galaxy.magnitude"] for band in "gr"]
    apart = (separate[0] - separate[1]).numpy() - (truth["g"] - truth["r"])
    together = result.colour("g", "r")[0].numpy() - (truth["g"] - truth["r"])
    assert together.std() < 0.5 * apart.std()
    magnitudes = [result.error(f"galaxy.magnitude_{band}") for band in "gr"]
    assert (result.colour("g", "r")[1] < torch.hypot(*magnitudes)).all(), "the covariance was not used"


def structure(covariance, columns):
    """Marginal covariance (galaxy, parameter, parameter) of the structure."""
    chosen = [columns.index(f"galaxy.{name}") for name in SHAPE]
    return covariance[:, chosen][:, :, chosen].numpy()


def test_information_of_bands_adds_up(few):
    """At the same point the inverse covariance of the shared structure is the sum of the bands' own.

    Tolerance: that of double precision after two inversions of matrices with a condition of 1e4.
    """
    truth, batches = few
    once = LevenbergMarquardt(max_steps=1)
    starts = {band: expected(truth, camera, band) for band, camera in CAMERAS.items()}
    home = {f"galaxy.{name}": value for name, value in starts["g"].items() if name != "magnitude"}
    light = {f"galaxy.magnitude_{band}": truth[band] for band in CAMERAS}
    joint = isolux.fit_bands(batches, scene(), start={**home, **light, "sky.level": 0.0}, solver=once)
    total = 0.0
    for band, camera in CAMERAS.items():
        start = {f"galaxy.{name}": value for name, value in starts[band].items()}
        alone = isolux.fit(batches[band], scene(), start={**start, "sky.level": 0.0}, solver=once)
        from_frame = np.eye(len(SHAPE))
        from_frame[:2, :2] = np.linalg.inv(camera.jacobian) @ CAMERAS["g"].jacobian
        from_frame[2, 2] = CAMERAS["g"].scale / camera.scale
        from_frame[5, 5] = -1.0 if camera.mirrored else 1.0
        own = structure(alone.covariance, [column.name for column in alone.columns])
        total = total + from_frame.T @ np.linalg.inv(own) @ from_frame
        shared = structure(joint.bands[band].covariance, [c.name for c in alone.columns])
        smaller = np.diagonal(shared, 0, 1, 2) < np.diagonal(own, 0, 1, 2)
        assert smaller.all(), "errors of a common structure are smaller than those of each band"
    found = structure(joint.joint.covariance, [column.name for column in joint.joint.columns])
    assert np.allclose(found, np.linalg.inv(total), rtol=1e-5, atol=1e-12)


def test_free_in_every_band_is_a_fit_of_each(few):
    """Degree bands - 1 leaves nothing in common: values to 5e-3 of an error, where both stop; errors to 5e-3."""
    truth, batches = few
    starts = {band: expected(truth, camera, band) for band, camera in CAMERAS.items()}
    home = {f"galaxy.{name}": starts["g"][name] for name in SHAPE}
    light = {f"galaxy.magnitude_{band}": truth[band] for band in CAMERAS}
    joint = isolux.fit_bands(
        batches, scene(), degrees=dict.fromkeys(SHAPE, 2), start={**home, **light}, solver=FINE
    )
    for band in CAMERAS:
        start = {f"galaxy.{name}": value for name, value in starts[band].items()}
        alone, own = isolux.fit(batches[band], scene(), start=start, solver=FINE), joint.bands[band]
        error = alone.errors.clamp_min(1e-12)
        same = ~alone.at_bound.any(1)
        assert same.sum() >= 4
        assert ((own.values - alone.values).abs() / error)[same].max() < 5e-3
        assert torch.allclose(own.errors[same], alone.errors[same], rtol=5e-3, atol=1e-9)
        assert torch.allclose(own.chi2[same], alone.chi2[same], rtol=1e-6)
        assert torch.allclose(own.derived_errors[same], alone.derived_errors[same], rtol=5e-3, equal_nan=True)


def test_a_polynomial_is_recovered():
    truth = truths(40, seed=7)
    batches = drawn(truth, seed=8, slopes=SLOPES, noise=0.5)
    result = isolux.fit_bands(
        batches,
        scene(),
        wavelengths=WAVELENGTHS,
        degrees={"effective_radius": 1, "galaxy.sersic_index": 1, "axis_ratio": 1},
    )
    assert set(result.series) == {"galaxy.effective_radius", "galaxy.sersic_index", "galaxy.axis_ratio"}
    assert all(result.converged)
    for band, camera in CAMERAS.items():
        for name, value in expected(truth, camera, band, slopes=SLOPES).items():
            pull = off(result, band, name, value) / result.bands[band].error(f"galaxy.{name}").numpy()
            assert np.abs(np.nan_to_num(pull)).max() < 5, (band, name)
    quadratic = np.array([Flag.NOT_QUADRATIC not in flags for flags in result.flags])
    true = {
        "effective_radius": np.stack([np.log(truth["radius"] / CAMERAS["g"].scale), np.full(40, 0.12)], 1),
        "sersic_index": np.stack([np.log(truth["index"]), np.full(40, -0.15)], 1),
        "axis_ratio": np.stack([truth["axis_ratio"], np.full(40, 0.05)], 1),
    }
    for name, coefficients in true.items():
        series = result.series[f"galaxy.{name}"]
        pull = (series.coefficients.numpy() - coefficients) / series.errors.numpy()
        good = np.isfinite(pull).all(1) & quadratic
        assert good.sum() > 25
        assert np.abs(pull[good].std(0) - 1).max() < 0.45, name


def test_degrees_cost_what_they_say(few):
    _, batches = few
    degrees = {"effective_radius": 1, "axis_ratio": 2}
    result = isolux.fit_bands(batches, scene(), wavelengths=WAVELENGTHS, degrees=degrees)
    assert (result.joint.n_free == 2 + 3 + 2 + 1 + 3 + 1 + 3).all()
    names = [column.name for column in result.joint.columns]
    assert "galaxy.effective_radius_i" in names
    assert "galaxy.sersic_index" in names


def test_the_order_of_bands_is_of_no_account(few):
    """Another reference: other pixels, the same galaxies; to 5e-3 of an error, where the solver stops."""
    _, batches = few
    first = isolux.fit_bands(batches, scene(), solver=FINE)
    other = isolux.fit_bands({band: batches[band] for band in "irg"}, scene(), reference="r", solver=FINE)
    for band in CAMERAS:
        one, two = first.bands[band], other.bands[band]
        assert ((one.values - two.values).abs() <= 5e-3 * one.errors + 1e-9).all()
        assert torch.allclose(one.errors, two.errors, rtol=5e-3, atol=1e-9)


def test_given_geometry_is_that_of_the_wcs(few):
    _, batches = few
    affine = {}
    for band, camera in CAMERAS.items():
        matrix = np.linalg.inv(camera.jacobian) @ CAMERAS["g"].jacobian
        affine[band] = np.column_stack([matrix, camera.origin - matrix @ CAMERAS["g"].origin])
    from_wcs = isolux.fit_bands(batches, scene(), solver=FINE)
    given = isolux.fit_bands(batches, scene(), geometry=affine, solver=FINE)
    near = (given.joint.values - from_wcs.joint.values).abs() <= 5e-3 * given.joint.errors + 1e-9
    assert near.all()


def test_fixed_numbers_hold_in_all_bands(few):
    truth, batches = few
    home = expected(truth, CAMERAS["g"], "g")
    held = Scene(
        galaxy=isolux.Sersic(
            x=Fixed(home["x"]),
            y=Fixed(home["y"]),
            effective_radius=Fixed(home["effective_radius"]),
            position_angle=Fixed(home["position_angle"]),
            sersic_index=isolux.Free(lower=0.5, upper=4.0),
        )
    )
    result = isolux.fit_bands(batches, held)
    for band, camera in CAMERAS.items():
        there = expected(truth, camera, band)
        for name in ("x", "y", "effective_radius"):
            assert np.allclose(result.bands[band][f"galaxy.{name}"].numpy(), there[name], atol=1e-4)
            assert (result.bands[band].error(f"galaxy.{name}") == 0).all()
        assert np.abs(off(result, band, "position_angle", there["position_angle"])).max() < 1e-3


def test_bounds_hold_in_every_band(few):
    truth, batches = few
    narrow = isolux.Sersic(axis_ratio=isolux.Free(lower=0.5, upper=0.55))
    result = isolux.fit_bands(
        batches, Scene(galaxy=narrow), wavelengths=WAVELENGTHS, degrees={"axis_ratio": 1}
    )
    for band in CAMERAS:
        ratio = result.bands[band]["galaxy.axis_ratio"]
        assert ((ratio >= 0.5 - 1e-9) & (ratio <= 0.55 + 1e-9)).all()
    flat = truth["axis_ratio"] < 0.45
    assert all(Flag.AT_BOUND in flags for flags, bad in zip(result.flags, flat, strict=True) if bad)


def test_other_solvers_find_the_same(few):
    _, batches = few
    one = {band: batch.select([0]) for band, batch in batches.items()}
    best = isolux.fit_bands(one, scene(), solver=FINE)
    start = {f"galaxy.{name}": best[f"galaxy.{name}"] for name in SHAPE}
    start |= {f"galaxy.magnitude_{band}": best[f"galaxy.magnitude_{band}"] + 0.01 for band in CAMERAS}
    line_search = {"line_search_fn": "strong_wolfe"}
    solver = isolux.FirstOrder("LBFGS", learning_rate=1.0, iterations=3, patience=10, options=line_search)
    slow = isolux.fit_bands(one, scene(), start=start, solver=solver)
    assert torch.allclose(slow.joint.chi2, best.joint.chi2, rtol=0, atol=0.1)
    assert torch.isfinite(slow.joint.errors).all()


def test_without_errors(few):
    _, batches = few
    result = isolux.fit_bands(batches, scene(), errors="none")
    assert result.joint.covariance is None
    assert torch.isnan(result.joint.errors).all()
    assert torch.isfinite(result.colour("g", "r")[0]).all()
    assert torch.isnan(result.colour("g", "r")[1]).all()
    assert all(status is Status.CONVERGED for status in result.status)
    assert not any(Flag.NO_COVARIANCE in flags for flags in result.flags)
