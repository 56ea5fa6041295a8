"""Sérsic models drawn as GALFIT draws them, as far as its own model images tell.

1. The component is moved to the centre of the nearest pixel. Within CORE pixels of it, along the major axis, the
   profile is averaged over each pixel; farther out its value at the centre of the pixel is taken.
2. The image is convolved with the PSF, which is shifted by what the component was moved, with sinc interpolation.

Nothing of Isolux's own drawing is used here, so that the two can be compared.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from isolux.profiles.sersic import sersic_b

NAMES = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
STEPS = (0.01, 0.01, 0.005, 0.02, 0.01, 0.002, 0.1)
"""Differences for derivatives."""
CORE = 15.0
FINE, FINEST = 11, 201
"""Points a pixel in each direction in the core, and in the central pixel."""
PAD = 30
Component = Mapping[str, float]


def draw(
    components: Sequence[Component], sky: float, psf: np.ndarray, shape: tuple[int, int], zero_point: float
):
    """Model image (y, x)."""
    image = np.full(shape, sky)
    tall, wide = (size + 2 * PAD for size in shape)
    for component in components:
        x, y = round(component["x"]), round(component["y"])
        sharp = _sampled({**component, "x": x + PAD, "y": y + PAD}, (tall, wide), zero_point)
        moved = _moved(psf, component["y"] - y, component["x"] - x)
        image += _convolved(sharp, moved)[PAD:-PAD, PAD:-PAD]
    return image


def minimise(components, sky, image, sigma, good, psf, zero_point, rounds=4):
    """Gauss-Newton from the given values: chi2 at the start, at the end, and the components and sky there."""

    def model(values: np.ndarray) -> np.ndarray:
        parts = values[:-1].reshape(-1, len(NAMES))
        named = [dict(zip(NAMES, part, strict=True)) for part in parts]
        return (draw(named, values[-1], psf, image.shape, zero_point) / sigma)[good]

    data = (image / sigma)[good]
    values = np.array([*(component[name] for component in components for name in NAMES), sky])
    steps = np.array([*STEPS * len(components), 1e-3])
    fitted = model(values)
    first = best = float(((data - fitted) ** 2).sum())
    for _ in range(rounds):
        moves = np.diag(steps)
        slopes = [
            (model(values + m) - model(values - m)) / (2 * s) for m, s in zip(moves, steps, strict=True)
        ]
        change = np.linalg.lstsq(np.stack(slopes, 1), data - fitted, rcond=None)[0]
        trial = model(values + change)
        chi2 = float(((data - trial) ** 2).sum())
        if chi2 >= best:
            break
        gained, best, values, fitted = best - chi2, chi2, values + change, trial
        if gained < 1e-3:
            break
    parts = values[:-1].reshape(-1, len(NAMES))
    return first, best, [dict(zip(NAMES, part.tolist(), strict=True)) for part in parts], float(values[-1])


def _brightness(c: Component, x: np.ndarray, y: np.ndarray, zero_point: float) -> np.ndarray:
    n, q, radius = c["sersic_index"], c["axis_ratio"], c["effective_radius"]
    b = float(sersic_b(torch.tensor(n, dtype=torch.float64)))
    total = 2 * math.pi * q * radius**2 * n * math.exp(b) * b ** (-2 * n) * math.gamma(2 * n)
    flux = 10 ** (-0.4 * (c["magnitude"] - zero_point))
    return flux / total * np.exp(-b * ((_radius(c, x, y) / radius) ** (1 / n) - 1))


def _radius(c: Component, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle = math.radians(c["position_angle"])
    dx, dy = x - c["x"], y - c["y"]
    major = dy * math.cos(angle) - dx * math.sin(angle)
    minor = dx * math.cos(angle) + dy * math.sin(angle)
    return np.hypot(major, minor / c["axis_ratio"])


def _sampled(c: Component, shape: tuple[int, int], zero_point: float) -> np.ndarray:
    """Values at pixels, averaged over the pixel in the core."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    image = _brightness(c, x, y, zero_point)
    core = _radius(c, x, y) <= CORE
    image[core] = (
        sum(_brightness(c, x[core] + u, y[core] + v, zero_point) for u, v in _points(FINE)) / FINE**2
    )
    u, v = np.array(_points(FINEST)).T
    image[int(c["y"]), int(c["x"])] = _brightness(c, c["x"] + u, c["y"] + v, zero_point).mean()
    return image


def _points(count: int) -> list[tuple[float, float]]:
    offsets = (np.arange(count) + 0.5) / count - 0.5
    return [(u, v) for u in offsets for v in offsets]


def _moved(psf: np.ndarray, down: float, right: float) -> np.ndarray:
    """The PSF (v, u) shifted by less than a pixel."""
    wide = np.pad(psf / psf.sum(), 3)
    rows, columns = (
        np.sinc(np.arange(n)[:, None] - shift - np.arange(n))
        for n, shift in zip(wide.shape, (down, right), strict=True)
    )
    return rows @ wide @ columns.T


def _convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    size = [i + k - 1 for i, k in zip(image.shape, kernel.shape, strict=True)]
    full = np.fft.irfft2(np.fft.rfft2(image, size) * np.fft.rfft2(kernel, size), size)
    top, left = (k // 2 for k in kernel.shape)
    return full[top : top + image.shape[0], left : left + image.shape[1]]
