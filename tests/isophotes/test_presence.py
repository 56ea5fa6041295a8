"""What is a galaxy and what is noise, a gradient, a star off the middle, or nothing."""

import numpy as np
import pytest
import torch

from isolux.batch import Batch
from isolux.isophotes import IsophoteOptions, measure_isophotes
from isolux.isophotes.presence import aperture_signals, block_scatter, light_present, near_middle
from isolux.isophotes.quality import ProfileFlag
from isolux.nets.frame import Frame


def noise(count, tall, wide, sigma, rng):
    """Of variance one; correlated as if smoothed by a Gaussian."""
    white = rng.normal(size=(count, tall, wide))
    if not sigma:
        return white
    rows, columns = np.fft.fftfreq(tall)[:, None], np.fft.rfftfreq(wide)[None]
    smooth = np.exp(-2 * (np.pi * sigma) ** 2 * (rows**2 + columns**2))
    image = np.fft.irfft2(np.fft.rfft2(white) * smooth, s=(tall, wide))
    return image / image.std()


def present(images, mask=None):
    batch = Batch.from_arrays(images, sigma=np.ones_like(images), mask=mask)
    frame = Frame.of(batch)
    times, middle = frame.binning, 0.5 * (frame.binning - 1)
    seen = light_present(frame.image, frame.good, frame.x, frame.y)
    return (seen & near_middle(batch, frame.x * times + middle, frame.y * times + middle)).tolist()


def disc(tall, wide, x, y, peak, scale):
    rows, columns = np.mgrid[:tall, :wide]
    return peak * np.exp(-np.hypot(rows - y, columns - x) / scale)


@pytest.mark.parametrize("sigma", [0.0, 0.6, 0.9, 1.3])
@pytest.mark.parametrize("side", [48, 128])
def test_noise_is_no_galaxy(sigma, side):
    images = noise(60, side, side, sigma, np.random.default_rng(side))
    # One of 500 is taken for one; a gate on the pixels' noise of 7 takes up to half of the smoothest.
    assert sum(present(images)) <= 1


def test_correlated_noise_would_pass_by_the_noise_of_pixels():
    images = noise(60, 128, 128, 1.3, np.random.default_rng(1))
    frame = Frame.of(Batch.from_arrays(images, sigma=np.ones_like(images)))
    assert (
        float((aperture_signals(frame.image, frame.good, frame.x, frame.y).amax(1) > 7).float().mean()) > 0.3
    )


@pytest.mark.parametrize("sigma", [0.0, 0.9])
def test_block_scatter_is_that_of_sums(sigma):
    images = noise(40, 192, 192, sigma, np.random.default_rng(2))
    frame = Frame.of(Batch.from_arrays(images, sigma=np.ones_like(images)))
    found = block_scatter(frame.image, frame.good).mean(0)
    for k, side in enumerate((4, 7, 14)):
        cut = images[:, : 192 // side * side, : 192 // side * side] / frame.unit.numpy()[:, None, None]
        sums = cut.reshape(40, 192 // side, side, 192 // side, side).sum((2, 4)) / side
        # Squares side by side share a little of smooth noise; of 300 differences the quartile is known to 8 %.
        assert abs(float(found[k]) / max(sums.std(), 1.0) - 1) < 0.15


def test_a_gradient_is_no_galaxy():
    images = noise(20, 96, 96, 0.0, np.random.default_rng(3)) + np.linspace(-0.3, 0.3, 96)
    assert sum(present(images)) <= 1


@pytest.mark.parametrize(("peak", "scale"), [(5.0, 3.0), (2.0, 10.0), (300.0, 1.0), (50.0, 40.0)])
def test_galaxies_are_there(peak, scale):
    images = disc(96, 80, 40.3, 46.9, peak, scale) + noise(10, 96, 80, 0.6, np.random.default_rng(4))
    assert all(present(images))


def test_galaxies_that_fill_small_stamps_are_there():
    images = disc(16, 18, 8.0, 8.0, 20.0, 6.0) + noise(10, 16, 18, 0.9, np.random.default_rng(5))
    assert all(present(images))


@pytest.mark.parametrize("place", [(8, 48), (88, 20), (70, 70)])
def test_a_star_off_the_middle_is_no_galaxy(place):
    images = disc(96, 96, *place, 300.0, 1.2) + noise(10, 96, 96, 0.0, np.random.default_rng(6))
    assert not any(present(images))


def test_off_the_middle_is_told_by_each_stamps_own_size():
    """In company stamps are padded at the top and the right: their middle stays where it was."""
    rng = np.random.default_rng(7)
    small = disc(48, 48, 23.5, 23.5, 50.0, 3.0) + rng.normal(size=(48, 48))
    large = disc(120, 150, 74.0, 60.0, 50.0, 3.0) + rng.normal(size=(120, 150))
    batch = Batch.from_arrays([small, large], sigma=[np.ones_like(small), np.ones_like(large)])
    frame = Frame.of(batch)
    assert near_middle(batch, frame.x, frame.y).tolist() == [True, True]
    assert near_middle(batch, frame.x + 9.5, frame.y).tolist() == [False, True]


def test_in_small_stamps_some_pixels_off_the_middle_are_none():
    images = disc(12, 11, 7.7, 3.4, 60.0, 1.5) + noise(5, 12, 11, 0.0, np.random.default_rng(10))
    assert all(present(images))


@pytest.mark.parametrize("kind", ["negative", "masked", "nan"])
def test_nothing_to_see_is_no_galaxy(kind):
    rng = np.random.default_rng(8)
    images = rng.normal(size=(2, 64, 64)) + disc(64, 64, 31.5, 31.5, 40.0, 4.0)
    mask = np.zeros(images.shape, bool)
    if kind == "negative":
        images[0] -= 2 * disc(64, 64, 31.5, 31.5, 40.0, 4.0)
    if kind == "masked":
        mask[0] = True
    if kind == "nan":
        images[0] = np.nan
    assert present(images, mask) == [False, True]


def test_masked_light_does_not_count():
    rng = np.random.default_rng(9)
    images = rng.normal(size=(4, 64, 64))
    mask = np.zeros(images.shape, bool)
    mask[:, 28:36, 28:36] = True
    images[:, 28:36, 28:36] += 1000.0
    frame = Frame.of(Batch.from_arrays(images, mask=mask, sigma=np.ones_like(images)))
    assert torch.isfinite(block_scatter(frame.image, frame.good)).all()
    assert not any(present(images, mask))


@pytest.mark.parametrize("sigma", [0.0, 1.3])
def test_isophotes_of_empty_sky_are_empty(sigma):
    images = noise(40, 96, 96, sigma, np.random.default_rng(11))
    found = measure_isophotes(Batch.from_arrays(images, sigma=np.ones_like(images)))
    assert (
        int((found.length > 0).sum()) <= 1
    )  # by the noise of pixels alone a quarter of the smooth ones had a profile
    assert ProfileFlag.NO_GALAXY in found.flags[int((found.length == 0).long().argmax())]


def test_isophotes_of_a_star_off_the_middle_are_asked_for():
    images = disc(96, 96, 8, 48, 300.0, 1.2) + noise(3, 96, 96, 0.0, np.random.default_rng(6))
    batch = Batch.from_arrays(images, sigma=np.ones_like(images))
    assert measure_isophotes(batch).length.tolist() == [0, 0, 0]
    # A caller who names the brightest place, wherever it is, gets it.
    near = Batch.from_arrays(np.roll(images, 22, 2), sigma=np.ones_like(images))
    assert bool((measure_isophotes(near, IsophoteOptions(place="brightest")).length > 0).all())
