"""The radial profile gives back what was drawn, with masks left out and errors that follow from sigma."""

import math

import numpy as np
import pytest
import torch

import isolux
from isolux.report.profile1d import (
    GROWTH,
    Annuli,
    Shape,
    elliptical_radius,
    psf_fwhm,
    shape_of_light,
    surface_brightness,
)
from stubs import gaussian_psf

SIZE, SCALE, ZERO_POINT = 161, 0.4, 22.5


def drawn(n: float) -> tuple[np.ndarray, Shape]:
    """Draw a Sérsic galaxy without noise or PSF, and return it with its ellipse."""
    shape = Shape(80.3, 79.6, 0.6, 30.0, effective_radius=12.0)
    blank = np.zeros((1, SIZE, SIZE))
    batch = isolux.Batch.from_arrays(blank, sigma=blank + 1, zero_point=ZERO_POINT, dtype=torch.float64)
    galaxy = isolux.Sersic(
        x=shape.x,
        y=shape.y,
        magnitude=16.0,
        effective_radius=12.0,
        sersic_index=n,
        axis_ratio=0.6,
        position_angle=30.0,
    )
    scene = isolux.Scene(galaxy=galaxy)
    return scene.images(batch, scene.values(1))[0].numpy(), shape


def expected(radius: np.ndarray, n: float) -> np.ndarray:
    """Return the surface brightness of the same galaxy in closed form."""
    r, r_e, index = (torch.as_tensor(v, dtype=torch.float64)[:, None] for v in (radius, [12.0], [n]))
    profile = isolux.Sersic()
    flux = 10 ** (-0.4 * (16.0 - ZERO_POINT))
    central = flux / (0.6 * profile.total(r_e, index))
    light = (central * profile.brightness(r, r_e, index))[:, 0].numpy()
    return ZERO_POINT - 2.5 * np.log10(light / SCALE**2)


@pytest.mark.parametrize("n", [0.7, 1.0, 4.0])
@pytest.mark.parametrize(("growth", "inner", "tolerance"), [(GROWTH, 4, 0.035), (0.02, 12, 0.008)])
def test_a_drawn_sersic_gives_back_its_surface_brightness(n, growth, inner, tolerance):
    """The wider the annuli, the more the mean light differs from the light at the mean radius."""
    image, shape = drawn(n)
    annuli = Annuli.around(shape, np.zeros(image.shape, dtype=bool), growth)
    found = surface_brightness(annuli.mean(image), ZERO_POINT, SCALE)
    outside_the_core = (annuli.radius > inner) & (annuli.radius < 50)
    assert outside_the_core.sum() > 15
    difference = found - expected(annuli.radius, n)
    assert np.abs(difference[outside_the_core]).max() < tolerance


@pytest.mark.parametrize("ratio", [0.08, 0.2, 0.5])
@pytest.mark.parametrize("angle", [0.0, 33.0, 88.0])
def test_flat_galaxies_have_annuli_to_the_edge(ratio, angle):
    """Near the centre few or no pixels lie in an annulus of a flat ellipse: that is not the end of the stamp."""
    annuli = Annuli.around(Shape(20.3, 19.6, ratio, angle), np.zeros((41, 41), dtype=bool))
    assert annuli.radius.max() > 17
    assert len(annuli) > 10


def test_masked_pixels_do_not_count():
    image, shape = drawn(1.0)
    mask = np.zeros(image.shape, dtype=bool)
    mask[90:120, 40:90] = True
    spoilt = np.where(mask, 1e6, image)
    annuli = Annuli.around(shape, mask)
    found = surface_brightness(annuli.mean(spoilt), ZERO_POINT, SCALE)
    far = (annuli.radius > 4) & (annuli.radius < 50)
    assert np.abs(found - expected(annuli.radius, 1.0))[far].max() < 0.05
    assert annuli.pixels.sum() == (annuli.member >= 0).sum()
    assert (annuli.member[mask] == -1).all()


def test_everything_masked_leaves_no_annulus():
    annuli = Annuli.around(Shape(5, 5), np.ones((11, 11), dtype=bool))
    assert len(annuli) == 0
    assert annuli.mean(np.ones((11, 11))).shape == (0,)


def test_errors_of_the_mean(rng):
    annuli = Annuli.around(Shape(40.0, 40.0, 0.7, 20.0), np.zeros((81, 81), dtype=bool))
    np.testing.assert_allclose(annuli.error(np.full((81, 81), 2.0)), 2 / np.sqrt(annuli.pixels))
    scatter = annuli.scatter_error(2 * rng.standard_normal((81, 81)))
    many = annuli.pixels > 100
    np.testing.assert_allclose(scatter[many], 2 / np.sqrt(annuli.pixels[many]), rtol=0.25)
    assert (scatter > 0).all()


def test_the_angle_counts_from_up_to_the_left():
    radius = elliptical_radius(Shape(10, 10, 0.5, 90.0), (21, 21))
    assert radius[10, 15] == pytest.approx(5)
    assert radius[15, 10] == pytest.approx(10)


def test_a_boxy_ellipse_reaches_its_axes_at_the_same_radius():
    radius = elliptical_radius(Shape(10, 10, 0.5, 0.0, boxiness=1.0), (21, 21))
    assert radius[15, 10] == pytest.approx(5, abs=1e-4)
    assert radius[10, 15] == pytest.approx(10, abs=1e-4)
    assert radius[15, 15] < math.hypot(5, 10)


def test_moments_find_the_ellipse():
    image, shape = drawn(0.7)
    found = shape_of_light(image)
    assert found.x == pytest.approx(shape.x, abs=0.05)
    assert found.y == pytest.approx(shape.y, abs=0.05)
    assert found.axis_ratio == pytest.approx(0.6, abs=0.01)
    assert (found.position_angle - 30 + 90) % 180 - 90 == pytest.approx(0, abs=0.5)
    assert shape_of_light(np.zeros((5, 7))) == Shape(3.0, 2.0)


def test_surface_brightness_of_nothing_is_nan():
    found = surface_brightness(np.array([1.0, 0.0, -1.0]), 20.0, 0.5)
    assert found[0] == pytest.approx(20 - 2.5 * math.log10(4))
    assert np.isnan(found[1:]).all()


def test_width_of_the_psf():
    assert psf_fwhm(gaussian_psf(21, 4.0)) == pytest.approx(4.0, rel=0.03)
    assert psf_fwhm(gaussian_psf(31, 6.0), oversampling=3) == pytest.approx(2.0, rel=0.03)
