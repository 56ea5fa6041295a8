"""The true profile of a galaxy from its image without noise, by SciPy's splines alone, for the benchmark of networks.

At each semi-major axis the ellipse about the true centre along which the second-order Fourier terms vanish, as in
isophotes_mocks.py, and the mean brightness along it; where an ellipse leaves the image its shape is the last one's, and
the mean that of what is on the image.
"""

import isophotes_mocks as mocks
import numpy as np

GRID = np.concatenate([[0.0], 0.8 * 1.08 ** np.arange(72)])
"""Semi-major axes in pixels of all codes; the first is for their sake alone and not scored."""
FAINTEST, POWER, RING, LEAST_ON = 28.5, 4.0, 0.1, 0.75
FINE = mocks.FINE


def faintest(zero_point: float, scale: float) -> float:
    """The flux a pixel at which truths end."""
    return 10 ** (-0.4 * (FAINTEST - zero_point)) * scale**2


def isophotes(
    image: np.ndarray, centre: tuple[float, float], limit: float, points: int = FINE
) -> tuple[np.ndarray, ...]:
    """Semi-major axes in pixels, brightness and ellipticity of the isophotes of an image of some points a pixel."""
    coefficients, part = mocks.spline(image), points / FINE
    tall, wide = ((n - 1) / points for n in image.shape)
    rows, shape, whole = [], np.array([0.1, 0.0]), True
    # The functions of isophotes_mocks.py take places in units of FINE points.
    x0, y0 = (c * part for c in centre)
    for a in np.concatenate([[0.0], 0.4 * 1.08 ** np.arange(85)]):
        if a > 0 and whole:
            shape = mocks.isophote(coefficients, x0, y0, a * part, shape)
        e, angle = np.hypot(*shape), 0.5 * np.degrees(np.arctan2(shape[1], shape[0]))
        x, y = mocks.ring(x0, y0, a * part, e, angle)[:2]
        on = (x >= 0) & (x <= wide * part) & (y >= 0) & (y <= tall * part)
        whole = bool(on.all())
        if on.mean() < LEAST_ON:
            break
        level = mocks.sample(coefficients, x[on], y[on]).mean()
        if level < limit:
            break
        rows.append((a, level, e))
    return tuple(np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(1),) * 3


def on_grid(sma: np.ndarray, level: np.ndarray, e: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and ellipticity at :data:`GRID`, NaN where there is no truth or it is below what is scored."""
    log_grid, log_sma = np.log(np.maximum(GRID, 0.2)), np.log(np.maximum(sma, 0.2))
    found = np.exp(np.interp(log_grid, log_sma, np.log(np.maximum(level, 1e-30))))
    shape = np.interp(log_grid, log_sma, e)
    around = 2 * np.pi * GRID * np.sqrt(1 - shape)
    power = (found / noise) ** 2 * np.maximum(around * np.maximum(RING * GRID, 1.0), 1.0)
    bad = (power < POWER) | (sma[-1] < GRID)
    there = (np.cumsum(bad) == 0) & (GRID > 0)
    return np.where(there, found, np.nan), np.where(there, shape, np.nan)
