"""Every kind of bad input: a status that says so, and every other galaxy the same to the bit."""

import re

import numpy as np
import pytest
import torch

import isolux
from isolux import Batch, Flag, FlatSky, Scene, Sersic, Status
from stubs import gaussian_psf, mock_batch

BAD = 1


@pytest.fixture(scope="module")
def stamps():
    """Four good galaxies as lists of arrays, so that one of them can be anything."""
    batch, _ = mock_batch(count=4, size=40, sky=0.02)
    return {
        "image": [image.numpy().astype(float) for image in batch.image],
        "sigma": [sigma.numpy().astype(float) for sigma in batch.sigma],
        "mask": [np.zeros((40, 40), bool) for _ in range(4)],
        "psf": [gaussian_psf() for _ in range(4)],
        "zero_point": [22.5] * 4,
        "pixel_scale": [0.4] * 4,
    }


def fit(stamps, **changes):
    """Fit with one galaxy's inputs replaced."""
    lists = {name: list(values) for name, values in stamps.items()}
    for name, value in changes.items():
        lists[name][BAD] = value
    batch = Batch.from_arrays(lists.pop("image"), **lists)
    return isolux.fit(batch, Scene(galaxy=Sersic(), sky=FlatSky()))


@pytest.fixture(scope="module")
def clean(stamps):
    return fit(stamps)


def edited(array, value, where=(slice(3, 6), slice(30, 33))):
    changed = np.array(array, dtype=float)
    changed[where] = value
    return changed


CENTRE = (slice(18, 22), slice(18, 22))
EVERYWHERE = (slice(None), slice(None))

REPAIRED = {
    "nan pixels": lambda s: {"image": edited(s["image"][BAD], np.nan)},
    "infinite pixels": lambda s: {"image": edited(s["image"][BAD], -np.inf)},
    "sigma zero": lambda s: {"sigma": edited(s["sigma"][BAD], 0.0)},
    "sigma negative": lambda s: {"sigma": edited(s["sigma"][BAD], -1.0)},
    "sigma nan": lambda s: {"sigma": edited(s["sigma"][BAD], np.nan)},
}
REFUSED = {
    "all nan": (
        lambda s: {"image": edited(s["image"][BAD], np.nan, EVERYWHERE)},
        Status.MASKED_OUT,
        "masked or not finite",
    ),
    "all masked": (lambda s: {"mask": np.ones((40, 40))}, Status.MASKED_OUT, "all 1600 pixels"),
    "sigma all zero": (lambda s: {"sigma": np.zeros((40, 40))}, Status.MASKED_OUT, "masked or not finite"),
    "sigma of other shape": (
        lambda s: {"sigma": np.ones((40, 41))},
        Status.BAD_INPUT,
        r"sigma has shape \(40, 41\)",
    ),
    "mask of other shape": (
        lambda s: {"mask": np.zeros((39, 40))},
        Status.BAD_INPUT,
        r"mask has shape \(39, 40\)",
    ),
    "image of three axes": (
        lambda s: {"image": np.zeros((2, 40, 40))},
        Status.BAD_INPUT,
        "not \\(rows, columns\\)",
    ),
    "empty image": (lambda s: {"image": np.zeros((0, 40))}, Status.BAD_INPUT, "shape"),
    "psf even": (
        lambda s: {"psf": gaussian_psf(21)[:20, :20]},
        Status.BAD_PSF,
        "20 x 20 pixels: both must be odd",
    ),
    "psf nan": (lambda s: {"psf": edited(gaussian_psf(), np.nan, CENTRE)}, Status.BAD_PSF, "not finite"),
    "psf negative": (lambda s: {"psf": -gaussian_psf()}, Status.BAD_PSF, "must be positive"),
    "psf zero": (lambda s: {"psf": np.zeros((5, 5))}, Status.BAD_PSF, "must be positive"),
    "pixel scale zero": (lambda s: {"pixel_scale": 0.0}, Status.BAD_INPUT, "pixel_scale is 0"),
    "zero point nan": (lambda s: {"zero_point": np.nan}, Status.BAD_INPUT, "zero_point is nan"),
}
FITTED = {
    "centre masked": (lambda s: {"mask": edited(np.zeros((40, 40)), 1, CENTRE)}, Flag.CENTRE_MASKED),
    "psf not normalised": (lambda s: {"psf": 3e5 * gaussian_psf()}, Flag.PSF_SCALED),
    "psf partly negative": (
        lambda s: {"psf": edited(gaussian_psf(), -0.004, (slice(0, 3), slice(0, 3)))},
        Flag.PSF_NEGATIVE,
    ),
}


def assert_others_unchanged(result, clean):
    others = [k for k in range(4) if k != BAD]
    for field in (
        "values",
        "errors",
        "covariance",
        "chi2",
        "derived_values",
        "derived_errors",
        "steps",
        "at_bound",
    ):
        one, two = (getattr(r, field)[others] for r in (result, clean))
        assert torch.equal(torch.nan_to_num(one), torch.nan_to_num(two)), field
    for field in ("status", "flags", "message"):
        assert [getattr(result, field)[k] for k in others] == [getattr(clean, field)[k] for k in others], (
            field
        )


@pytest.mark.parametrize("change", REPAIRED.values(), ids=REPAIRED.keys())
def test_bad_pixels_are_masked_and_the_galaxy_is_fitted(stamps, clean, change):
    result = fit(stamps, **change(stamps))
    assert result.status[BAD] is Status.CONVERGED
    assert Flag.PIXELS_REPAIRED in result.flags[BAD]
    assert int(result.n_pixels[BAD]) == 1600 - 9
    assert_others_unchanged(result, clean)


@pytest.mark.parametrize(("change", "status", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_unusable_galaxy_has_a_row_that_says_why(stamps, clean, change, status, text):
    result = fit(stamps, **change(stamps))
    assert result.status[BAD] is status
    assert re.search(text, result.message[BAD]), result.message[BAD]
    assert "galaxy 1" in result.message[BAD]
    assert torch.isnan(result.values[BAD]).all()
    assert torch.isnan(result.chi2[BAD])
    assert_others_unchanged(result, clean)


@pytest.mark.parametrize(("change", "flag"), FITTED.values(), ids=FITTED.keys())
def test_doubtful_input_is_fitted_and_flagged(stamps, clean, change, flag):
    result = fit(stamps, **change(stamps))
    assert result.status[BAD] is Status.CONVERGED
    assert flag in result.flags[BAD]
    assert_others_unchanged(result, clean)


def test_psf_larger_than_the_image_is_used_whole(stamps):
    """Its wings scatter light from outside the stamp; here they hold next to nothing."""
    large = [np.pad(gaussian_psf(), 20) for _ in range(4)]
    result = fit(stamps | {"psf": large})
    plain = fit(stamps)
    assert result.converged.all()
    assert ((result.values - plain.values).abs() <= 0.05 * plain.errors.clamp_min(1e-9)).all()


def test_galaxy_of_extreme_flux_among_ordinary_ones(stamps, clean):
    for unit in (1e-12, 1e6):
        result = fit(stamps, image=stamps["image"][BAD] * unit, sigma=stamps["sigma"][BAD] * unit)
        assert result.status[BAD] is Status.CONVERGED
        assert float(result["galaxy.sersic_index"][BAD]) == pytest.approx(
            float(clean["galaxy.sersic_index"][BAD]), rel=1e-3
        )
        assert_others_unchanged(result, clean)
