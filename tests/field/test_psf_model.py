"""A PSF that varies over a field."""

import numpy as np
import pytest

from isolux.errors import InputError
from isolux.psf_model import PsfModel, half_maximum_width, monomials, terms


def gaussian(sigma: float, size: int = 25, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    v, u = np.mgrid[:size, :size] - size // 2
    image = np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2))
    return image / image.sum()


def test_constant_psf_is_its_image_everywhere():
    model = PsfModel.constant(7.0 * gaussian(2.0))
    images = model.at([0.0, 4000.0, np.nan], [3.0, -5.0, 1.0])
    assert images.shape == (3, 25, 25)
    np.testing.assert_allclose(images, np.broadcast_to(gaussian(2.0), (3, 25, 25)), rtol=1e-12)


def test_monomials_are_in_the_order_of_psfex():
    x, y = np.array([2.0]), np.array([3.0])
    # 1, x, x^2, x^3, y, xy, x^2 y, y^2, x y^2, y^3
    np.testing.assert_array_equal(monomials(x, y, 3), [[1, 2, 4, 8, 3, 6, 12, 9, 18, 27]])
    assert [terms(k) for k in range(4)] == [1, 3, 6, 10]


def test_varies_as_its_polynomial():
    narrow, wide = gaussian(1.5), gaussian(3.0)
    basis = np.stack([(narrow + wide) / 2, (wide - narrow) / 2, np.zeros_like(wide)])
    model = PsfModel(basis, degree=1, offset=(100.0, 50.0), scale=(100.0, 50.0))
    images = model.at([0.0, 200.0, 100.0], [50.0, 0.0, 50.0])
    np.testing.assert_allclose(images, [narrow, wide, (narrow + wide) / 2], atol=1e-15)


def test_where_the_polynomial_loses_the_flux_the_middle_is_taken():
    basis = np.stack([gaussian(2.0), -gaussian(2.0), np.zeros((25, 25))])
    model = PsfModel(basis, degree=1)
    np.testing.assert_allclose(model.at(5.0, 0.0)[0], gaussian(2.0), rtol=1e-12)


@pytest.mark.parametrize("oversampling", [1, 2, 5])
@pytest.mark.parametrize("fwhm", [1.8, 3.0, 6.5])
def test_width_of_a_gaussian(fwhm, oversampling):
    model = PsfModel.constant(gaussian(oversampling * fwhm / 2.3548, 101), oversampling)
    # Counting samples of an eighth of a pixel gives the area, and so the width, to about a hundredth.
    assert model.fwhm == pytest.approx(fwhm, rel=0.02)


def test_width_of_an_image_between_pixels():
    assert half_maximum_width(gaussian(1.2, x=0.5, y=0.3)) == pytest.approx(1.2 * 2.3548, rel=0.02)


def test_not_finite_is_told_with_file_and_number():
    basis = np.stack([gaussian(2.0)] * 3)
    basis[1, 3, 3:8] = np.nan
    basis[2, 0, 0] = np.inf
    with pytest.raises(InputError, match=r"night1\.psf: 6 of 1875 coefficients"):
        PsfModel(basis, degree=1, source="night1.psf")


@pytest.mark.parametrize(
    ("basis", "options"),
    [
        (np.ones((1, 4, 5)), {}),
        (np.ones((5, 5)), {}),
        (np.ones((2, 5, 5)), {"degree": 1}),
        (np.ones((1, 5, 5)), {"degree": -1}),
        (np.ones((1, 5, 5)), {"oversampling": 0}),
        (np.ones((1, 5, 5)), {"scale": (0.0, 1.0)}),
        (np.ones((1, 5, 5)), {"offset": (np.nan, 1.0)}),
        (np.zeros((1, 5, 5)), {}),
    ],
)
def test_bad_input(basis, options):
    with pytest.raises(InputError):
        PsfModel(basis, **options)
