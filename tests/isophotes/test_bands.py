"""Forced isophotes and colours."""

import numpy as np
import pytest
import torch
from astropy.wcs import WCS

import isolux
from isolux.isophotes import IsophoteOptions, colour_profiles, measure_isophotes
from isolux.isophotes.carry import carried
from isophote_skies import SCALE, batch_of, disc, noisy


def wcs_of(scale, x, y, turn=0.0):
    """A tangent projection with the same sky place at pixel (x, y)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, 2.0], [x + 1, y + 1]
    cos, sin = (scale / 3600 * f(np.radians(turn)) for f in (np.cos, np.sin))
    wcs.wcs.cd = [[-cos, sin], [sin, cos]]
    wcs.wcs.set()
    return wcs


def test_colour_of_the_same_light_is_the_difference_of_the_zero_points():
    image = disc()
    colours = colour_profiles({"g": batch_of([noisy(image)]), "r": batch_of([noisy(2 * image, 0.5, 5)])})
    colour, error = colours.colour("g", "r")
    valid = torch.isfinite(colour)
    assert int(valid.sum()) > 30
    pull = (colour[valid] - 2.5 * np.log10(2)) / error[valid]
    assert float(pull.abs().median()) < 1.5
    table = colours.table()
    assert {"g", "g_err", "r", "r_err", "g_r", "g_r_err"} < set(table.colnames)


def test_isophotes_follow_the_sky_to_another_grid():
    image = noisy(disc(64, 31.7, 31.2, q=0.6, angle=30, scale=6), 0.05)
    first = measure_isophotes(batch_of([image], 0.05, wcs=[wcs_of(SCALE, 31.7, 31.2)]))
    finer = batch_of(
        [disc(128, 60.0, 66.0)], 0.05, wcs=[wcs_of(SCALE / 2, 60.0, 66.0, 25.0)], pixel_scale=SCALE / 2
    )
    there = carried(first, finer)
    assert abs(float(there.x[0]) - 60) < 0.1
    assert abs(float(there.y[0]) - 66) < 0.1
    own = first.shape[0, 30]
    moved = there.shape_at(first.sma[:, 30:31] * 2)[0, 0]
    assert abs(float(own.norm() - moved.norm())) < 0.005
    turn = 0.5 * torch.rad2deg(torch.atan2(moved[1], moved[0]) - torch.atan2(own[1], own[0]))
    assert abs((float(turn) + 90) % 180 - 90 + 25) < 1.0


def test_other_scale_has_the_same_surface_brightness():
    wide, fine = (
        disc(64, 31.5, 31.5, q=0.7, angle=10, scale=6),
        disc(128, 63.5, 63.5, q=0.7, angle=10, scale=12) / 4,
    )
    batches = {
        "a": batch_of([noisy(wide, 0.05)], 0.05, wcs=[wcs_of(SCALE, 31.5, 31.5)]),
        "b": batch_of(
            [noisy(fine, 0.025)], 0.025, wcs=[wcs_of(SCALE / 2, 63.5, 63.5)], pixel_scale=SCALE / 2
        ),
    }
    colour, error = colour_profiles(batches).colour("a", "b")
    used = torch.isfinite(colour)
    used[:, :10] = False
    # Each band measures its own sky under the same tail: a hundredth of a magnitude where the disc fills the stamp.
    assert float(colour[used].median().abs()) < 0.02
    assert float((colour[used].abs() / (error[used] + 0.01)).median()) < 2


def test_bands_that_cannot_be():
    batch = batch_of([disc()])
    with pytest.raises(isolux.InputError, match="band"):
        colour_profiles({})
    with pytest.raises(isolux.InputError, match="band"):
        colour_profiles({"g": batch}, reference="r")
    with pytest.raises(isolux.InputError, match="galaxies"):
        colour_profiles({"g": batch, "r": batch_of([disc()], id=["other"])})
    with pytest.raises(isolux.InputError, match="band"):
        colour_profiles({"g": batch}, IsophoteOptions()).colour("g", "i")
