"""Numbers of whole galaxies and their errors, against light that is known."""

import math

import galsim
import numpy as np
import pytest
import torch

from isolux import Batch
from isolux.isophotes import IsophoteOptions, measure_isophotes
from isolux.isophotes.total import light_beyond
from isophote_skies import ZERO, batch_of, disc, noisy

COUNT, SIGMA, LENGTH, RATIO, TOP = 60, 0.5, 4.0, 0.6, 60.0


@pytest.fixture(scope="module")
def many():
    """The same disc in many skies."""
    image = disc(scale=LENGTH, q=RATIO, level=TOP)
    return measure_isophotes(batch_of([noisy(image, SIGMA, k) for k in range(COUNT)], SIGMA))


def width(values, errors):
    pull = (values / errors).numpy()
    low, high = np.percentile(pull, (15.865, 84.135))
    return (high - low) / 2, float(np.median(pull))


def test_error_of_the_centre():
    """Of a galaxy seen through a PSF, since splines through a cusp are drawn to the pixels' middles.

    The tolerance is that of sixty galaxies: a width is known to a tenth.
    """
    light = galsim.Exponential(half_light_radius=6, flux=8000).shear(q=0.6, beta=30 * galsim.degrees)
    seen = galsim.Convolve(light, galsim.Moffat(beta=3, fwhm=3.2))
    image = seen.drawImage(nx=64, ny=64, scale=1.0, offset=(0.23, -0.31), dtype=float).array
    found = measure_isophotes(batch_of([noisy(image, SIGMA, k) for k in range(COUNT)], SIGMA))
    for name, true in (("x", 31.5 + 0.23), ("y", 31.5 - 0.31)):
        spread, middle = width(found[name] - true, found.error_of(name))
        assert 0.7 < spread < 1.4
        assert abs(middle) < 0.5


def test_error_of_the_extrapolated_magnitude(many):
    true = ZERO - 2.5 * math.log10(2 * math.pi * LENGTH**2 * RATIO * TOP)
    off = many["extrapolated_magnitude"] - true
    assert bool(torch.isfinite(off).all())
    spread, middle = width(off, many.error_of("extrapolated_magnitude"))
    assert 0.4 < spread < 1.4
    assert abs(middle) < 0.7
    assert off.abs().median() < 0.03
    # What is beyond the last isophote is added.
    assert bool((many["extrapolated_magnitude"] < many["total_magnitude"]).all())


@pytest.mark.parametrize("name", ["r50", "r90"])
def test_error_of_the_radii_of_the_curve_of_growth(many, name):
    """They are those of the light inside the last isophote, a percent less than all."""
    x = many["last_sma"].numpy() / LENGTH
    share = float(name[1:]) / 100
    grid = np.linspace(0, 12, 4001)
    growth = 1 - (1 + grid) * np.exp(-grid)
    true = LENGTH * np.interp(share * np.interp(x, grid, growth), growth, grid)
    spread, middle = width(many[name] - torch.as_tensor(true), many.error_of(name))
    assert 0.5 < spread < 1.5
    assert abs(middle) < 0.7


def test_error_of_isophotal_radii(many):
    level = 3.0
    magnitude = ZERO - 2.5 * math.log10(level / 0.4**2)
    again = measure_isophotes(
        batch_of([noisy(disc(scale=LENGTH, q=RATIO, level=TOP), SIGMA, k) for k in range(30)], SIGMA),
        IsophoteOptions(levels=(magnitude,)),
    )
    name = next(c.name for c in again.columns if c.name.startswith("radius"))
    spread, middle = width(again[name] - LENGTH * math.log(TOP / level), again.error_of(name))
    assert 0.4 < spread < 1.5
    assert abs(middle) < 0.8


def test_error_of_the_curve_of_growth(many):
    """At three scale lengths, well inside the stamp."""
    at = int((many.sma[0] - 3 * LENGTH).abs().argmin())
    x = float(many.sma[0, at]) / LENGTH
    true = 2 * math.pi * LENGTH**2 * RATIO * TOP * (1 - (1 + x) * math.exp(-x))
    off = many.growth[:, at] - true
    assert float(off.abs().median()) < 0.03 * true
    spread, _ = width(off, many.error_of("total_flux"))
    assert spread < 3


def test_given_centre_has_no_error(many):
    from isolux.isophotes.carry import carried

    batch = batch_of([noisy(disc())])
    first = measure_isophotes(batch)
    forced = measure_isophotes(batch, ellipses=carried(first, batch), sma=first.sma)
    assert torch.isfinite(first.error_of("x")).all()
    assert torch.isnan(forced.error_of("x")).all()


def test_summary_has_the_errors(many):
    table = many.summary()
    assert {"x_err", "y_err", "extrapolated_magnitude", "extrapolated_magnitude_err"} < set(table.colnames)
    assert (table["x_err"].value > 0).all()


def test_light_beyond_an_exponential_is_known():
    sma = torch.linspace(0, 40, 400, dtype=torch.float64)[None]
    level = 100 * torch.exp(-sma / 8)
    end, ratio = torch.tensor([30.0]).double(), torch.tensor([0.5]).double()
    light, error, by_sky = light_beyond(sma, level, 1e-4 * torch.ones_like(sma), end, ratio)
    true = 2 * math.pi * 0.5 * 100 * math.exp(-30 / 8) * 8 * (30 + 8)
    assert abs(float(light) / true - 1) < 1e-3
    assert 0.3 * true < float(error) < true
    # By differences: the change with a sky that is a little higher.
    more = light_beyond(sma, level + 1e-3, 1e-4 * torch.ones_like(sma), end, ratio)[0]
    assert abs(float(by_sky) / float((more - light) / 1e-3) - 1) < 0.05


def test_nothing_is_extrapolated_that_does_not_fall():
    sma = torch.linspace(0, 40, 400, dtype=torch.float64)[None]
    end, ratio = torch.tensor([30.0]).double(), torch.tensor([0.5]).double()
    for level in (torch.full_like(sma, 3.0), 1 + 0.1 * sma, torch.exp(-sma / 200)):
        found = light_beyond(sma, level, 1e-4 * torch.ones_like(sma), end, ratio)
        assert all(bool(torch.isnan(t).all()) for t in found)


@pytest.mark.parametrize(("scale", "pixels"), [(0.4, 0.5), (0.1, 2.0), (0.03, 2.0)])
def test_the_usual_step_is_a_fifth_of_an_arcsec_or_two_pixels(scale, pixels):
    found = measure_isophotes(
        Batch.from_arrays(np.zeros((1, 48, 48)), sigma=np.ones((1, 48, 48)), pixel_scale=scale)
    )
    np.testing.assert_allclose(found.sma[0, :3].numpy(), pixels * np.arange(3))
    given = measure_isophotes(
        Batch.from_arrays(np.zeros((1, 48, 48)), sigma=np.ones((1, 48, 48)), pixel_scale=scale),
        IsophoteOptions(step=0.5),
    )
    np.testing.assert_allclose(given.sma[0, 1].numpy(), 0.5 / scale)
