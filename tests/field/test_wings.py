"""Wings of a PSF beyond where stars show them."""

import numpy as np
import pytest

from isolux.field.wings import REACH, SLOPES, with_wings
from isolux.psf_model import PsfModel


def moffat(side, beta, width=3.0):
    rows = np.arange(side) - side // 2
    return (1 + (rows[:, None] ** 2 + rows**2) / width**2) ** -beta


@pytest.mark.parametrize("beta", [1.6, 2.0])
def test_a_moffat_that_was_cut_is_continued_as_it_was(beta):
    whole = moffat(2 * REACH + 1, beta)
    cut = PsfModel.constant(whole[REACH - 15 : REACH + 16, REACH - 15 : REACH + 16])
    found = with_wings(cut).at(0, 0)[0]
    assert found.shape == whole.shape
    radius = np.hypot(*(np.mgrid[: 2 * REACH + 1, : 2 * REACH + 1] - REACH))
    expected = np.where(radius <= REACH, whole, 0) / whole[radius <= REACH].sum()
    # what was beyond the cut: the light there to 10 %, for a Moffat is no power law where it was seen
    assert found[radius > 15].sum() == pytest.approx(expected[radius > 15].sum(), rel=0.1)
    assert found.max() == pytest.approx(expected.max(), rel=0.02)
    assert found.sum() == pytest.approx(1)
    # no step where the two are joined
    ring = [found[(radius >= r) & (radius < r + 1)].mean() for r in range(10, 20)]
    assert (np.diff(np.log(ring)) < 0).all()
    assert (np.diff(np.log(ring)) > -0.6).all()


def test_psfs_that_end_stay_as_they_are():
    rows = np.arange(31) - 15
    gaussian = PsfModel.constant(np.exp(-(rows[:, None] ** 2 + rows**2) / 8))
    assert with_wings(gaussian) is gaussian
    wide = PsfModel.constant(moffat(2 * REACH + 21, 2.0))
    assert with_wings(wide) is wide


def test_wings_that_do_not_fall_are_not_believed():
    rows = np.arange(31) - 15
    flat = PsfModel.constant(np.exp(-(rows[:, None] ** 2 + rows**2) / 8) + 1e-4)
    found = with_wings(flat).at(0, 0)[0]
    radius = np.hypot(*(np.mgrid[: 2 * REACH + 1, : 2 * REACH + 1] - REACH))
    inner, outer = (found[(radius > r) & (radius < r + 1)].mean() for r in (20, 50))
    assert inner / outer > 0.9 * (50.5 / 20.5) ** SLOPES[0]
    negative = PsfModel.constant(np.exp(-(rows[:, None] ** 2 + rows**2) / 8) - 1e-4)
    assert with_wings(negative) is negative


def test_a_psf_that_varies_and_is_oversampled():
    one = moffat(61, 2.0, 6.0)
    basis = np.stack([one / one.sum(), np.zeros_like(one), np.zeros_like(one)])
    basis[1, 30, 28], basis[1, 30, 32] = 0.01, -0.01
    found = with_wings(PsfModel(basis, degree=1, scale=(100.0, 100.0), oversampling=2))
    assert found.size == (4 * REACH + 1, 4 * REACH + 1)
    left, right = found.at([-50, 50], [0, 0])
    assert left.sum() == pytest.approx(1)
    assert np.abs(left - right).max() > 1e-4
    assert np.allclose((left - right)[:, :80], 0)
