"""Cut-outs of stars with the weight of each pixel, and what places a PSF's samples onto them.

A PSF sampled ``oversampling`` times a pixel is put on the pixels of a star by Lanczos interpolation, one matrix for
the rows and one for the columns, so that hundreds of stars are drawn at once.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from isolux.field.background import Background
from isolux.field.image import FieldImage

LANCZOS = 5
"""Half-width of the interpolation's kernel in samples."""
STEP = 0.25
"""Width in pixels of the rings in which the stars' profile is taken."""


@dataclasses.dataclass(frozen=True, eq=False)
class StarStamps:
    """Cut-outs of stars.

    Attributes
    ----------
    pixels, sigma : numpy.ndarray
        (star, y, x): above the sky, in units of the star's flux so far; standard deviations of the sky's noise.
    photons : numpy.ndarray
        (star,): variance of the noise of a star's own light in units of that light; 0 where the noise holds it.
    good : numpy.ndarray
        (star, y, x): what is neither bad nor another source's.
    x, y : numpy.ndarray
        (star,): position less that of the middle pixel.
    field_x, field_y : numpy.ndarray
        (star,): position in the field.
    """

    pixels: np.ndarray
    sigma: np.ndarray
    photons: np.ndarray
    good: np.ndarray
    x: np.ndarray
    y: np.ndarray
    field_x: np.ndarray
    field_y: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: np.ndarray) -> StarStamps:
        return StarStamps(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))


def cut_stars(
    field: FieldImage,
    sky: Background,
    labels: np.ndarray,
    number: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    flux: np.ndarray,
    half: int,
) -> StarStamps:
    """Cut stars out.

    Parameters
    ----------
    field : FieldImage
        The image.
    sky : Background
        Its sky.
    labels, number : numpy.ndarray
        Segmentation (y, x), and labels (star,) of the stars in it.
    x, y, flux : numpy.ndarray
        (star,).
    half : int
        Pixels on each side of the middle one.
    """
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    side = 2 * half + 1
    shape = (len(x), side, side)
    pixels, sigma, good = np.zeros(shape), np.ones(shape), np.zeros(shape, bool)
    rows, columns = field.shape
    for k in range(len(x)):
        top, left = row[k] - half, column[k] - half
        inside = np.s_[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
        there = np.s_[
            k,
            max(-top, 0) : side - max(top + side - rows, 0),
            max(-left, 0) : side - max(left + side - columns, 0),
        ]
        strangers = ~np.isin(labels[inside], (0, number[k]))
        if strangers.any():
            strangers = ndimage.binary_dilation(strangers, np.ones((3, 3), bool), iterations=2)
        good[there] = ~(field.mask[inside] | strangers)
        noise = sky.rms[inside] if field.sigma is None else field.sigma[inside]
        pixels[there] = (field.data[inside].astype(np.float64) - sky.level[inside]) / flux[k]
        sigma[there] = noise.astype(np.float64) / flux[k]
    # What a pixel happens to have must not say how much it counts: the noise of its light comes from the model, later.
    known = np.isfinite(field.gain) and not field.sigma_includes_sources
    photons = 1 / (field.gain * flux) if known else np.zeros(len(x))
    return StarStamps(pixels, sigma, photons, good, x - column, y - row, x, y)


def interpolation(shift: np.ndarray, side: int, samples: int, oversampling: int) -> np.ndarray:
    """Matrices (star, pixel, sample) that give the pixels of stars, shifted from the middle pixel, from PSF samples."""
    pixel = np.arange(side) - side // 2
    sample = np.arange(samples) - samples // 2
    distance = (pixel[None, :, None] - np.asarray(shift)[:, None, None]) * oversampling - sample
    kernel = np.where(np.abs(distance) < LANCZOS, np.sinc(distance) * np.sinc(distance / LANCZOS), 0)
    total = kernel.sum(axis=2, keepdims=True)
    # At the grid's ends part of the kernel is missing, where a PSF is next to nothing.
    return kernel / np.where(np.abs(total) > 0.5, total, 1)


def onto_pixels(rows: np.ndarray, images: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Stars (star, y, x) from PSF samples (star, v, u), with the matrices of :func:`interpolation`."""
    return np.matmul(np.matmul(rows, images), columns.transpose(0, 2, 1))


def onto_samples(rows: np.ndarray, pixels: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The transpose of :func:`onto_pixels`: (star, v, u) from (star, y, x)."""
    return np.matmul(np.matmul(rows.transpose(0, 2, 1), pixels), columns)


def width_of(stars: StarStamps) -> float:
    """Full width at half maximum of the stars in pixels, from all their pixels against the distance from the centre."""
    axis = np.arange(stars.pixels.shape[1]) - stars.pixels.shape[1] // 2
    distance = np.hypot(
        axis[None, None, :] - stars.x[:, None, None], axis[None, :, None] - stars.y[:, None, None]
    )
    steps = np.floor(distance / STEP).astype(int)
    count = int(min(steps.max(), 200)) + 1
    profile = np.full(count, np.nan)
    for k in range(count):
        ring = stars.pixels[(steps == k) & stars.good]
        profile[k] = np.median(ring) if ring.size else np.nan
    known = np.flatnonzero(np.isfinite(profile))
    values = profile[known]
    below = np.flatnonzero(values < values[0] / 2) if len(values) else np.zeros(0, int)
    if not len(below) or not values[0] > 0:
        return float("nan")
    outer, inner = below[0], below[0] - 1
    part = (values[inner] - values[0] / 2) / (values[inner] - values[outer])
    return float(2 * STEP * (known[inner] + 0.5 + part * (known[outer] - known[inner])))
