"""The sky and its noise."""

import numpy as np
import pytest

from isolux.errors import InputError
from isolux.field.background import measure_background
from isolux.field.image import FieldImage


def test_level_and_noise_of_empty_sky(rng):
    sky = measure_background(FieldImage.from_arrays(rng.normal(7.0, 2.0, (300, 200))))
    # 4096 pixels a box: the level to 2/64, the noise to 2/90; boxes cut off at the edges have a quarter of the pixels.
    np.testing.assert_allclose(sky.level, 7.0, atol=0.3)
    np.testing.assert_allclose(sky.rms, 2.0, rtol=0.08)
    assert sky.typical == pytest.approx((7.0, 2.0), abs=0.1)


def test_a_slope_is_followed_and_does_not_pass_for_noise(rng):
    slope = 0.3 * np.arange(256) + np.zeros((256, 1))
    sky = measure_background(FieldImage.from_arrays(rng.normal(0.0, 1.0, slope.shape) + slope))
    inner = np.s_[40:-40, 40:-40]
    np.testing.assert_allclose(sky.level[inner], slope[inner], atol=0.6)
    # Within a box of 64 pixels the slope alone has a standard deviation of 5.5.
    assert np.median(sky.rms) < 1.3


def test_masked_sources_do_not_count(rng):
    image = rng.normal(0.0, 1.0, (128, 128))
    sources = np.zeros(image.shape, bool)
    sources[::2] = True
    image[sources] += 50
    sky = measure_background(FieldImage.from_arrays(image), sources)
    np.testing.assert_allclose(sky.level, 0.0, atol=0.2)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_any_unit_of_flux(rng, scale):
    image = rng.normal(5.0, 1.0, (96, 96))
    one = measure_background(FieldImage.from_arrays(image))
    other = measure_background(FieldImage.from_arrays(image * scale))
    np.testing.assert_allclose(other.level / scale, one.level, rtol=1e-4)
    np.testing.assert_allclose(other.rms / scale, one.rms, rtol=1e-3)


@pytest.mark.parametrize(
    "image",
    [
        np.ones((50, 60)),
        np.zeros((64, 64)),
        np.ones((1, 1)),
        np.ones((1, 200)),
        np.where(np.eye(70), 1.0, np.nan),
    ],
)
def test_images_with_nothing_in_them(image):
    sky = measure_background(FieldImage.from_arrays(image))
    assert np.isfinite(sky.level).all()
    assert (sky.rms > 0).all()


def test_bad_input(rng):
    field = FieldImage.from_arrays(rng.normal(size=(64, 64)))
    with pytest.raises(InputError, match="box"):
        measure_background(field, box=4)
    with pytest.raises(InputError, match="shape of the map"):
        measure_background(field, np.zeros((3, 3), bool))
