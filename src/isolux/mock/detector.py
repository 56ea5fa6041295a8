"""What the sky and the detector do to the light: background, photons, noise, saturation, bad columns, cosmic rays.

    image = background + Poisson(gain * light) / gain + Normal(0, sigma)

The sky's own photons are part of sigma, so that the background is what sky subtraction left. Where pixels share noise
all of it is Gaussian, image = background + light + sqrt(sigma^2 + light / gain) n, with n drawn from the correlation
function of white noise smoothed with a Gaussian (:mod:`isolux.noise`).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from isolux.mock.dice import Dice
from isolux.mock.options import FieldOptions
from isolux.mock.surveys import FWHM
from isolux.noise import correlated_noise

BAD_COLUMN, COSMIC_RAY, SATURATED = 1, 2, 4
"""Bits of the map of defects."""
HIT = (500.0, 5000.0)
"""Range of electrons that a cosmic ray leaves in a pixel, log-uniform."""
LONGEST = 30.0
"""Pixels that a cosmic ray runs through at most."""


@dataclasses.dataclass(frozen=True)
class Exposed:
    """An image as it comes from the telescope.

    Attributes
    ----------
    image : numpy.ndarray
        (y, x), float32.
    defects : numpy.ndarray
        (y, x), uint8: bits ``BAD_COLUMN``, ``COSMIC_RAY``, ``SATURATED``.
    background : numpy.ndarray
        (y, x), float32: what of the sky is left in it.
    """

    image: np.ndarray
    defects: np.ndarray
    background: np.ndarray


def expose(
    light: np.ndarray,
    options: FieldOptions,
    dice: Dice,
    *,
    band: str,
    sigma: float,
    gain: float,
    full: float,
    correlation: float = 0.0,
) -> Exposed:
    """Add sky, noise and defects to the light of a band, the same ones for the same seed.

    Parameters
    ----------
    light : numpy.ndarray
        (y, x): noiseless sources in image units, whoever drew them.
    options : FieldOptions
        Background, gradient, bad columns, cosmic rays, bleeding.
    dice : Dice
        Of random numbers.
    band : str
        Its name, part of the seed.
    sigma, gain, full : float
        The sky's noise a pixel, electrons per image unit, and image units at which a pixel is full.
    correlation : float
        Width (FWHM, in pixels) of the kernel that the noise looks as if smoothed with; 0 for independent pixels.
    """
    rng = dice.of("noise", band)
    background = sky_plane(light.shape, options, dice, sigma, band)
    positive = np.maximum(light, 0)
    if correlation > 0:
        rho = torch.as_tensor(smoothed_correlation(correlation))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        shape = (light.shape[0], light.shape[1])
        noise = correlated_noise(rho.float(), shape, 1, generator)[0].numpy()
        image = background + light + np.sqrt(sigma**2 + positive / gain) * noise
    else:
        image = background + rng.poisson(positive * gain) / gain
        image += sigma * rng.standard_normal(light.shape, dtype=np.float32)
    defects = np.zeros(light.shape, dtype=np.uint8)
    _cosmic_rays(image, defects, options.cosmic_rays, gain, dice.of("cosmic rays", band))
    saturate(image, defects, full, options.bleed)
    columns = dice.of("columns", band).choice(light.shape[1], min(options.bad_columns, light.shape[1]), False)
    image[:, columns] = 0.0
    defects[:, columns] |= BAD_COLUMN
    return Exposed(image.astype(np.float32), defects, background)


def sky_plane(
    shape: tuple[int, ...], options: FieldOptions, dice: Dice, sigma: float, band: str
) -> np.ndarray:
    """The background (y, x): a plane in any direction, its ends ``gradient`` sigma apart, bent a little."""
    angle = dice.of("background", band).uniform(0, 2 * math.pi)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    across = (y[:, None] * math.sin(angle) + x * math.cos(angle)) / (
        abs(math.sin(angle)) + abs(math.cos(angle))
    )
    bent = 0.5 * across + 0.1 * (across**2 - 0.25)
    return np.asarray(sigma * (options.background + options.gradient * bent), dtype=np.float32)


def smoothed_correlation(fwhm: float) -> np.ndarray:
    """Correlation function (v, u) of white noise smoothed with a Gaussian: a Gaussian sqrt(2) times as wide."""
    spread = fwhm / FWHM * math.sqrt(2)
    half = max(1, math.ceil(5 * spread))
    axis = np.exp(-0.5 * (np.arange(-half, half + 1) / spread) ** 2)
    return axis[:, None] * axis


def saturate(image: np.ndarray, defects: np.ndarray, full: float, bleed: bool) -> None:
    """Cut pixels off at ``full``, in place; with ``bleed`` the charge above it runs up and down the column."""
    over = image >= full
    if bleed:
        for column in np.flatnonzero(over.any(0)):
            _bleed(image[:, column], full)
        over = image >= full
    image[over] = full
    defects[over] |= SATURATED


def _bleed(column: np.ndarray, full: float) -> None:
    """Fill the nearest pixels that have room with what is above ``full``, half of it to each side."""
    over = np.flatnonzero(column > full)
    for run in np.split(over, np.flatnonzero(np.diff(over) > 1) + 1):
        excess = float((column[run] - full).sum())
        column[run] = full
        for pixels in (np.arange(run[0] - 1, -1, -1), np.arange(run[-1] + 1, len(column))):
            room = np.cumsum(np.maximum(full - column[pixels], 0.0))
            filled = pixels[room <= excess / 2]
            column[filled] = full


def _cosmic_rays(
    image: np.ndarray, defects: np.ndarray, per_million: float, gain: float, rng: np.random.Generator
) -> None:
    """Straight tracks of random length and direction."""
    count = int(rng.poisson(per_million * image.size / 1e6)) if per_million else 0
    for _ in range(count):
        y, x = (rng.uniform(0, n) for n in image.shape)
        length = min(LONGEST, 1 + rng.exponential(4.0))
        angle = rng.uniform(0, 2 * math.pi)
        steps = np.arange(0, length, 0.5)
        rows = np.floor(y + steps * math.sin(angle)).astype(int)
        columns = np.floor(x + steps * math.cos(angle)).astype(int)
        on = (rows >= 0) & (rows < image.shape[0]) & (columns >= 0) & (columns < image.shape[1])
        cells = np.unique(np.stack([rows[on], columns[on]]), axis=1)
        image[cells[0], cells[1]] += math.exp(rng.uniform(math.log(HIT[0]), math.log(HIT[1]))) / gain
        defects[cells[0], cells[1]] |= COSMIC_RAY
