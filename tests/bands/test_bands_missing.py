"""A band that cannot be used for a galaxy is left out of that galaxy's fit, and nothing else changes."""

import dataclasses

import numpy as np
import pytest
import torch

import isolux
from cameras import WAVELENGTHS, drawn, truths
from isolux import Flag, LevenbergMarquardt, Scene, Status

pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")
FINE = LevenbergMarquardt(tolerance=1e-6)
COUNT = 7


def scene():
    return Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())


@pytest.fixture(scope="module")
def batches():
    return drawn(truths(COUNT, seed=11), seed=12)


@pytest.fixture(scope="module")
def whole(batches):
    return isolux.fit_bands(batches, scene())


def spoilt(batch, galaxies, value=torch.nan):
    """The batch with images of one value for some galaxies, checked anew."""
    image = batch.image.clone()
    image[galaxies] = value
    return isolux.Batch.from_arrays(
        image,
        sigma=batch.sigma,
        psf=batch.psf[0],
        zero_point=batch.zero_point.numpy(),
        pixel_scale=batch.pixel_scale.numpy(),
        wcs=list(batch.wcs),
    )


def assert_same_bits(first, second, rows, other_rows=None):
    other_rows = rows if other_rows is None else other_rows
    pairs = [(first.joint, second.joint), *((first.bands[b], second.bands[b]) for b in first.bands)]
    for one, two in pairs:
        for field in ("values", "errors", "chi2", "steps", "covariance", "derived_values", "derived_errors"):
            a, b = getattr(one, field)[rows], getattr(two, field)[other_rows]
            assert torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)), field
        assert [one.status[r] for r in rows] == [two.status[r] for r in other_rows]
        assert [one.flags[r] for r in rows] == [two.flags[r] for r in other_rows]


def test_a_band_of_nans_is_left_out(batches, whole):
    broken = isolux.fit_bands({**batches, "r": spoilt(batches["r"], [2])}, scene())
    assert_same_bits(whole, broken, [0, 1, 3, 4, 5, 6])
    assert broken.status[2] is Status.CONVERGED
    assert Flag.BAND_MISSING in broken.flags[2]
    assert "band r" in broken.joint.message[2]
    assert broken.present[2].tolist() == [True, False, True]
    for name in ("galaxy.magnitude_r", "sky.level_r", "galaxy.flux_r", "galaxy.colour_g_r"):
        assert torch.isnan(broken[name][2])
        assert torch.isnan(broken.error(name)[2])
    assert torch.isfinite(broken["galaxy.magnitude_g"][2])
    assert torch.isfinite(broken.colour("g", "i")[1][2])
    assert broken.bands["r"].status[2] is Status.MASKED_OUT
    assert torch.isnan(broken.bands["r"].chi2[2])
    assert torch.isfinite(broken.bands["r"]["galaxy.effective_radius"][2]), "the other bands tell"
    assert broken.joint.n_free[2] == whole.joint.n_free[2] - 2


def test_what_is_left_is_a_fit_of_the_others(batches):
    broken = isolux.fit_bands({**batches, "r": spoilt(batches["r"], [2])}, scene(), solver=FINE)
    others = isolux.fit_bands({b: batches[b].select([2]) for b in "gi"}, scene(), solver=FINE)
    for name in ("galaxy.x", "galaxy.effective_radius", "galaxy.magnitude_g", "galaxy.magnitude_i"):
        assert abs(broken[name][2] - others[name][0]) < 0.02 * others.error(name)[0]
        assert float(broken.error(name)[2]) == pytest.approx(float(others.error(name)[0]), rel=1e-3)


def test_without_the_reference_another_band_gives_the_pixels(batches, whole):
    broken = isolux.fit_bands({**batches, "g": spoilt(batches["g"], [4])}, scene())
    assert_same_bits(whole, broken, [0, 1, 2, 3, 5, 6])
    assert broken.frame.tolist() == [0, 0, 0, 0, 1, 0, 0]
    one, two = whole.table()[4], broken.table()[4]
    assert two["frame"] == "r"
    assert two["bands"] == "r i"
    for name in ("ra", "dec"):
        assert abs((one[name] - two[name]).to_value("arcsec")) < 0.02
    error = two["galaxy_effective_radius_err"]
    assert abs(one["galaxy_effective_radius"] - two["galaxy_effective_radius"]) < 4 * error
    assert (
        abs((one["galaxy_pa_sky"] - two["galaxy_pa_sky"]).value) < 4 * two["galaxy_position_angle_err"].value
    )


def test_a_polynomial_loses_its_highest_orders(batches):
    degrees = {"effective_radius": 2, "sersic_index": 1}
    options = {"wavelengths": WAVELENGTHS, "degrees": degrees}
    broken = isolux.fit_bands({**batches, "r": spoilt(batches["r"], [2])}, scene(), **options)
    radius, index = (broken.series[f"galaxy.{name}"] for name in degrees)
    assert torch.isnan(radius.coefficients[2]).tolist() == [False, False, True]
    assert torch.isfinite(index.coefficients[2]).all()
    assert torch.isnan(broken.bands["r"]["galaxy.effective_radius"][2])
    middle = broken.bands["r"]["galaxy.sersic_index"][2]
    ends = [broken.bands[band]["galaxy.sersic_index"][2] for band in "gi"]
    assert torch.log(middle) == pytest.approx(float(torch.log(torch.stack(ends)).mean()), abs=1e-6)
    assert torch.isfinite(broken.bands["r"].error("galaxy.sersic_index")[2])


def test_a_galaxy_without_any_band(batches, whole):
    spoiled = {band: spoilt(batch, [1]) for band, batch in batches.items()}
    broken = isolux.fit_bands(spoiled, scene())
    assert_same_bits(whole, broken, [0, 2, 3, 4, 5, 6])
    assert broken.status[1] is Status.MASKED_OUT
    assert torch.isnan(broken.joint.values[1]).all()
    assert all(f"band {band}" in broken.joint.message[1] for band in "gri")
    assert len(broken.table()) == COUNT


def test_a_stamp_of_another_place_is_left_out(batches, whole):
    far = [wcs.deepcopy() for wcs in batches["i"].wcs]
    far[3].wcs.crval = [151.0, 2.0]
    broken = isolux.fit_bands({**batches, "i": dataclasses.replace(batches["i"], wcs=tuple(far))}, scene())
    assert_same_bits(whole, broken, [0, 1, 2, 4, 5, 6])
    assert Flag.BAND_MISSING in broken.flags[3]
    assert "outside the stamp" in broken.joint.message[3]
    assert broken.status[3] is Status.CONVERGED
    assert torch.isnan(broken["galaxy.magnitude_i"][3])


def test_bands_that_do_not_overlap_at_all(batches):
    far = [wcs.deepcopy() for wcs in batches["i"].wcs]
    for wcs in far:
        wcs.wcs.crval = [10.0, -40.0]
    apart = isolux.fit_bands({**batches, "i": dataclasses.replace(batches["i"], wcs=tuple(far))}, scene())
    alone = isolux.fit_bands({b: batches[b] for b in "gr"}, scene())
    assert all(Flag.BAND_MISSING in flags for flags in apart.flags)
    assert apart.converged.all()
    assert torch.isnan(apart["galaxy.magnitude_i"]).all()
    near = (apart["galaxy.magnitude_g"] - alone["galaxy.magnitude_g"]).abs()
    assert (near < 0.05 * alone.error("galaxy.magnitude_g")).all()


@pytest.mark.parametrize("field", ["zero_point", "pixel_scale", "psf", "wcs"])
def test_other_faults_of_one_stamp(batches, whole, field):
    batch = batches["r"]
    numbers = getattr(batch, field if field == "pixel_scale" else "zero_point").numpy().copy()
    numbers[5] = np.nan
    psf = np.broadcast_to(batch.psf.numpy(), (COUNT, *batch.psf.shape[1:])).copy()
    psf[5] = np.nan
    wcs = [None if k == 5 else w for k, w in enumerate(batch.wcs)]
    values = {"zero_point": numbers, "pixel_scale": numbers, "psf": psf, "wcs": wcs}
    spoiled = isolux.Batch.from_arrays(
        batch.image,
        sigma=batch.sigma,
        **{
            "zero_point": 25.0,
            "pixel_scale": 0.4,
            "psf": batch.psf[0],
            "wcs": list(batch.wcs),
            field: values[field],
        },
    )
    broken = isolux.fit_bands({**batches, "r": spoiled}, scene())
    assert Flag.BAND_MISSING in broken.flags[5]
    assert broken.status[5] is Status.CONVERGED
    assert torch.isfinite(broken["galaxy.magnitude_i"][5])
    assert torch.isnan(broken["galaxy.magnitude_r"][5])
    rows = [0, 1, 2, 3, 4, 6]
    if field == "psf":  # one PSF a galaxy in place of one for all: other products of the same numbers
        near = (broken.joint.values - whole.joint.values).abs()[rows]
        assert (near <= 0.02 * whole.joint.errors[rows] + 1e-9).all()
    else:
        assert_same_bits(whole, broken, rows)


def test_model_that_turns_nan_changes_no_other(batches, whole):
    sigma = batches["g"].sigma.clone()
    sigma[4] = 1e-38
    broken = isolux.fit_bands({**batches, "g": dataclasses.replace(batches["g"], sigma=sigma)}, scene())
    assert broken.status[4] is Status.NOT_FINITE
    assert_same_bits(whole, broken, [0, 1, 2, 3, 5, 6])


def test_order_changes_nothing(batches, whole):
    order = [3, 6, 0, 5, 1, 4, 2]
    shuffled = isolux.fit_bands({band: batch.select(order) for band, batch in batches.items()}, scene())
    assert_same_bits(whole, shuffled, order, list(range(COUNT)))


def test_alone_as_in_company(batches, whole):
    """Alone, matrix products take other code paths: equal to 2 % of an error, set by float32 near the minimum."""
    for k in (0, 5):
        alone = isolux.fit_bands({band: batch.select([k]) for band, batch in batches.items()}, scene())
        difference = (alone.joint.values[0] - whole.joint.values[k]).abs()
        assert (difference <= 0.02 * whole.joint.errors[k].clamp_min(1e-6)).all()


def test_rows_are_picked_and_put_together(batches, whole):
    parts = [whole.select(range(3)), whole.select(range(3, COUNT))]
    again = type(whole).concatenate(parts)
    assert_same_bits(whole, again, list(range(COUNT)))
    assert again.id == whole.id
    assert again.frame.tolist() == whole.frame.tolist()
    for first, second in zip(whole.colour("g", "i"), again.colour("g", "i"), strict=True):
        assert torch.equal(first, second)
    assert np.array_equal(again.table()["galaxy_colour_r_i_err"], whole.table()["galaxy_colour_r_i_err"])


def test_few_pixels_in_every_band(batches, whole):
    few = {}
    for band, batch in batches.items():
        mask = batch.mask.clone()
        mask[2] = True
        mask[2, 20, 18:22] = False
        few[band] = dataclasses.replace(batch, mask=mask)
    broken = isolux.fit_bands(few, scene())
    assert broken.status[2] is Status.TOO_FEW_PIXELS
    assert "fewer than 8 good pixels" in broken.joint.message[2]
    assert broken.bands["r"].status[2] is Status.TOO_FEW_PIXELS
    assert_same_bits(whole, broken, [0, 1, 3, 4, 5, 6])


def test_wings_alone_do_not_show_a_galaxy(batches, whole):
    """Beyond a band's edge: its stamp has good pixels, but none near the galaxy. In all bands it is fitted for that."""
    cut = {}
    for band, batch in batches.items():
        mask = batch.mask.clone()
        mask[3, :, : 3 * mask.shape[2] // 4 + 1] = True
        cut[band] = dataclasses.replace(batch, mask=mask)
    broken = isolux.fit_bands({**batches, "i": cut["i"]}, scene())
    assert "middle half" in broken.joint.message[3]
    assert torch.isnan(broken["galaxy.magnitude_i"][3])
    assert_same_bits(whole, broken, [0, 1, 2, 4, 5, 6])
    everywhere = isolux.fit_bands(cut, scene())
    assert everywhere.present[3].all()
    assert Flag.CENTRE_MASKED in everywhere.flags[3]
