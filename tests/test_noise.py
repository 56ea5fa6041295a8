"""Correlation functions of noise: what is refused, what is measured, what is drawn."""

import numpy as np
import pytest
import torch

from isolux import InputError
from isolux.noise import (
    check_correlation,
    correlated_noise,
    correlation_fault,
    nearest_positive,
    negative_power,
    noise_correlation,
)
from stubs import drizzled


def spoilt(value, where=(2, 1)):
    rho = drizzled().copy()
    rho[where] = value
    return rho


BAD = {
    "even": (drizzled()[:-1], r"shape \(6, 7\); allowed: \(rows, columns\), both odd"),
    "a number": (0.5, r"shape \(\)"),
    "three axes": (np.ones((2, 3, 3)), r"shape \(2, 3, 3\)"),
    "nan": (spoilt(np.nan), "1 values that are not finite"),
    "not one in the middle": (2 * drizzled(), "is 2 in the middle; allowed: 1"),
    "all zero": (np.zeros((3, 3)), "is 0 in the middle"),
    "not symmetric": (spoilt(0.9), "from its point reflection"),
    "not positive definite": (
        np.pad([[0.9, 1.0, 0.9]], ((1, 1), (0, 0))),
        r"not positive definite: 14 % .* -0\.8 ",
    ),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD)
def test_what_no_noise_can_have_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        check_correlation(given)


@pytest.mark.parametrize("given", [drizzled(), drizzled().astype(">f4"), [[1.0]], torch.eye(1)])
def test_what_noise_can_have_is_taken(given):
    rho = check_correlation(given)
    assert rho.dtype == np.float64
    assert rho[rho.shape[0] // 2, rho.shape[1] // 2] == 1
    assert np.array_equal(rho, rho[::-1, ::-1])


def test_negative_power_of_a_known_function():
    """1 + 1.8 cos(f): at worst -0.8, and negative from arccos(-1 / 1.8) on."""
    lowest, share = negative_power(np.array([[0.9, 1.0, 0.9]]))
    f = np.linspace(0, np.pi, 100_001)
    power = 1 + 1.8 * np.cos(f)
    assert lowest == pytest.approx(-0.8)
    # twelve frequencies stand for all of them
    assert share == pytest.approx(-power[power < 0].sum() / np.abs(power).sum(), abs=0.02)


def test_nearest_positive_function():
    wrong = np.pad([[0.6, 1.0, 0.6]], ((1, 1), (1, 1)))
    near = nearest_positive(wrong)
    assert correlation_fault(near) == ""
    assert np.abs(near - wrong).max() < 0.11  # 0.5 is the largest there is for one neighbour
    assert np.allclose(nearest_positive(drizzled()), drizzled())


def test_nearest_positive_refuses_what_it_cannot_read():
    with pytest.raises(InputError, match="both odd"):
        nearest_positive(np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(40, 31), (5, 4)], ids=["larger than the function", "smaller"])
def test_drawn_noise_has_the_correlation(shape):
    rho = torch.as_tensor(drizzled())
    count = 40_000 // shape[0]
    noise = correlated_noise(rho, shape, count, torch.Generator().manual_seed(1)).numpy()
    assert noise.shape == (count, *shape)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (2, 1), (3, 3), (shape[0] - 1, 0)):
        ahead, behind = noise[:, dy:, dx:], noise[:, : shape[0] - dy, : shape[1] - dx]
        expected = drizzled()[3 + dy, 3 + dx] if max(dy, dx) <= 3 else 0.0
        each = (ahead * behind).mean((1, 2))
        assert each.mean() == pytest.approx(expected, abs=4 * each.std() / np.sqrt(count))


def test_measured_correlation_is_that_of_the_noise(rng):
    rho = torch.as_tensor(drizzled())
    noise = correlated_noise(rho, (200, 150), 4, torch.Generator().manual_seed(2)).numpy()
    mask = rng.random(noise.shape) < 0.3
    sigma = rng.uniform(1, 3, noise.shape)
    sky = np.where(mask, np.nan, 5 * sigma * noise)
    measured = noise_correlation(list(sky), list(mask), sigma=list(sigma), reach=4)
    assert correlation_fault(measured) == ""
    # twice the sum of rho^2 over 84,000 good pixels makes a standard deviation of 0.013 at small shifts
    assert np.abs(measured - np.pad(drizzled(), 1)).max() < 0.03


def test_measured_correlation_agrees_with_galsim():
    galsim = pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")
    noise = correlated_noise(torch.as_tensor(drizzled()), (128, 128), 1, torch.Generator().manual_seed(3))[
        0
    ].numpy()
    drawn = galsim.Image(9, 9, scale=1.0)
    galsim.CorrelatedNoise(galsim.Image(noise), scale=1.0).drawImage(drawn)
    theirs = drawn.array[1:-1, 1:-1] / drawn.array[4, 4]
    # theirs divides by all pixels for every shift and wraps round, ours by the pairs that there are
    assert np.abs(noise_correlation(noise, reach=3) - theirs).max() < 0.02


def test_measuring_refuses_what_it_cannot_use():
    sky = np.zeros((20, 20))
    with pytest.raises(InputError, match="reach"):
        noise_correlation(sky, reach=0)
    with pytest.raises(InputError, match="400 pixels of blank sky for 221 shifts"):
        noise_correlation(sky, reach=10)
    with pytest.raises(InputError, match="mask has shape"):
        noise_correlation(sky, np.zeros((20, 19)), reach=1)
    with pytest.raises(InputError, match="1 images but 2 masks"):
        noise_correlation(sky, [sky, sky], reach=1)
    with pytest.raises(InputError, match="blank sky has shape"):
        noise_correlation([np.zeros(7)], reach=1)
