"""Stars told from galaxies, and the PSF that they show, against GalSim's."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree

from field.sky import SIDE, field, psf_image, sky
from isolux.errors import InputError
from isolux.field.detect import detect
from isolux.field.image import FieldImage
from isolux.field.locus import saturation_peak, star_locus
from isolux.field.moffat import Moffat
from isolux.field.pixel_psf import centroid, shifted
from isolux.field.star_stamps import interpolation, onto_pixels, onto_samples
from isolux.field.stars import psf_from_stars, select_stars, star_likeness


def measured(**options):
    pixels, truth = sky(**options)
    image = field(pixels)
    return image, truth, detect(image)


@pytest.fixture(scope="module")
def seen():
    return measured()


def truth_of(found, truth):
    return truth[cKDTree(truth[:, 1:3]).query(np.stack([found.x, found.y], 1))[1]]


def worst(psf, fwhm, vary):
    """Return the largest difference from GalSim's PSF in units of its peak, over the field."""
    off = []
    for x in (0.15 * SIDE, 0.5 * SIDE, 0.85 * SIDE):
        for y in (0.15 * SIDE, 0.85 * SIDE):
            true = psf_image(x, y, fwhm, vary, psf.size, psf.oversampling)
            off.append(np.abs(psf.at(x, y)[0] - true).max() / true.max())
    return max(off)


def test_stars_are_likely_stars(seen):
    _, truth, found = seen
    likely = star_likeness(found, 3.1)
    star = truth_of(found, truth)[:, 0] == 1
    assert np.mean(likely[star] > 0.5) > 0.9
    assert np.mean(likely[~star] < 0.1) > 0.9
    assert ((likely >= 0) & (likely <= 1)).all()


def test_select_stars(seen):
    image, truth, found = seen
    chosen = select_stars(image, found)
    assert len(chosen) >= 20
    assert (truth_of(found, truth)[chosen, 0] == 1).all()
    assert (np.diff(found.flux[chosen]) <= 0).all()


# The noise of some 35 stars of S/N 25 to 150 leaves about 0.6 per cent of the peak; neighbours and the sky the rest.
@pytest.mark.parametrize(("fwhm", "oversampling", "limit"), [(3.0, 1, 0.015), (2.0, 2, 0.02), (1.2, 3, 0.04)])
def test_psf_is_that_of_galsim(fwhm, oversampling, limit):
    image, _, found = measured(fwhm=fwhm)
    psf = psf_from_stars(image, found, degree=0, half_size=12)
    assert psf.oversampling == oversampling
    assert psf.includes_pixel
    assert psf.stars >= 20
    assert worst(psf, fwhm, 0.0) < limit


def test_psf_that_varies():
    image, _, found = measured(stars=70, galaxies=8, vary=0.15)
    constant, linear = (psf_from_stars(image, found, degree=k, half_size=12) for k in (0, 1))
    # The widths differ by 27 per cent from corner to corner.
    off = worst(linear, 3.0, 0.15)
    assert off < 0.05
    assert off < worst(constant, 3.0, 0.15) / 3


def test_psf_is_centred(seen):
    psf = psf_from_stars(seen[0], seen[2])
    for image in psf.at([50.0, 300.0], [80.0, 330.0]):
        assert np.unravel_index(np.argmax(image), image.shape) == (image.shape[0] // 2, image.shape[1] // 2)
        assert centroid(image) == pytest.approx((0, 0), abs=0.02)
        assert image.sum() == pytest.approx(1)


def test_neighbours_and_cosmic_rays_are_kept_out(seen):
    image, _, found = seen
    stars = select_stars(image, found)
    pixels = image.data.copy()
    rng = np.random.default_rng(3)
    for k in stars[::3]:
        column, row = np.rint([found.x[k], found.y[k]]).astype(int) + rng.integers(-5, 6, 2)
        pixels[row, column] += 300
    spoilt = psf_from_stars(field(pixels), found, stars=stars, degree=0)
    assert worst(spoilt, 3.0, 0.0) < 0.02


def test_a_galaxy_among_the_stars_is_left_out(seen):
    image, truth, found = seen
    galaxy = np.flatnonzero(truth_of(found, truth)[:, 0] == 0)
    stars = np.r_[select_stars(image, found), galaxy[np.argsort(-found.flux[galaxy])[:4]]]
    psf = psf_from_stars(image, found, stars=stars, degree=0)
    assert worst(psf, 3.0, 0.0) < 0.02


def test_too_few_stars_make_a_moffat_profile(seen):
    image, _, found = seen
    stars = select_stars(image, found)
    psf = psf_from_stars(image, found, stars=stars[:3])
    assert "only 3 stars" in psf.remarks[0]
    assert worst(psf, 3.0, 0.0) < 0.08
    none = psf_from_stars(image, found, stars=stars[:0])
    assert none.stars == 0
    assert "no star" in none.remarks[0]
    assert none.fwhm == pytest.approx(found.fwhm, rel=0.05)


def test_without_stars_galaxies_do_not_make_the_psf():
    image, _, found = measured(stars=0, galaxies=60)
    assert len(select_stars(image, found)) <= 3


def test_nothing_detected():
    image = FieldImage.from_arrays(np.random.default_rng(0).normal(size=(64, 64)))
    found = detect(image, None)
    assert len(select_stars(image, found)) == 0
    assert star_likeness(found, 3.0).shape == (len(found),)
    assert psf_from_stars(image, found).fwhm > 0


def test_likeness_without_size(seen):
    found = dataclasses.replace(seen[2], half_light_radius=np.full(len(seen[2]), np.nan))
    assert np.isnan(star_likeness(found, 3.0)).all()


def test_bad_input(seen):
    image, _, found = seen
    with pytest.raises(InputError, match="fwhm"):
        star_likeness(found, 0.0)
    with pytest.raises(InputError, match="degree"):
        psf_from_stars(image, found, degree=9)
    with pytest.raises(InputError, match="oversampling"):
        psf_from_stars(image, found, oversampling=0)


def test_placing_samples_and_its_transpose_agree(rng):
    rows, columns = (interpolation(rng.uniform(-0.5, 0.5, 3), 11, 31, 2) for _ in range(2))
    samples, pixels = rng.normal(size=(3, 31, 31)), rng.normal(size=(3, 11, 11))
    left = (onto_pixels(rows, samples, columns) * pixels).sum()
    assert left == pytest.approx((samples * onto_samples(rows, pixels, columns)).sum())


def test_interpolation_of_a_smooth_profile():
    profile, shift = Moffat(6.0, 3.0, 0.1, -0.05), np.array([0.3])
    axis = np.arange(-20, 21.0)
    samples = profile(axis[None, :] / 2, axis[:, None] / 2)[None]
    drawn = onto_pixels(interpolation(-shift, 15, 41, 2), samples, interpolation(shift, 15, 41, 2))[0]
    pixel = np.arange(-7, 8.0)
    expected = profile(pixel[None, :] - 0.3, pixel[:, None] + 0.3)
    # Two samples a pixel on a profile six pixels wide: what is left is the Lanczos kernel's ripple.
    np.testing.assert_allclose(drawn, expected, atol=1e-3)


def test_moffat_has_its_width_and_flattening():
    profile = Moffat(4.0, 2.5, 0.2, 0.0)
    assert profile(np.array(0.0), np.array(0.0)) == 1
    # Along x the half-width at half maximum is that of the circle times sqrt((1 + e) / (1 - e)).
    assert profile(np.array(2 * np.sqrt(1.2 / 0.8)), np.array(0.0)) == pytest.approx(0.5)
    assert profile(np.array(0.0), np.array(2 * np.sqrt(0.8 / 1.2))) == pytest.approx(0.5)


def test_centroid_finds_a_shift():
    v, u = np.mgrid[:31, :31] - 15
    image = np.exp(-(u**2 + v**2) / 8)
    assert centroid(shifted(image, 0.37, -0.21)) == pytest.approx((0.37, -0.21), abs=1e-3)


def test_peaks_that_pile_up_are_saturated():
    rng = np.random.default_rng(6)
    flux, size = 10 ** rng.uniform(2, 5, 60), np.exp(rng.normal(np.log(1.8), 0.02, 60))
    locus = star_locus(size, flux / 5, np.ones(60, bool), 1.8)
    assert locus.found
    assert locus.radius == pytest.approx(1.8, rel=0.02)
    assert saturation_peak(size, flux, flux / 12, locus) is None
    level = saturation_peak(size, flux, np.minimum(flux / 12, 2000 * rng.uniform(0.9, 1, 60)), locus)
    assert 1300 < level < 2000


def test_sizes_of_galaxies_have_no_locus():
    rng = np.random.default_rng(7)
    size = np.exp(rng.uniform(np.log(1.5), np.log(8), 200))
    assert not star_locus(size, np.full(200, 200.0), np.ones(200, bool), 1.8).found
