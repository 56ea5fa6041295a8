"""The sky of a field and its noise, on a mesh: SExtractor's way (Bertin & Arnouts 1996, section 3), by sep.

In each box of the mesh values are clipped around the median until they stay; the mode is 2.5 median - 1.5 mean where
the box is not crowded, else the median. A median filter over boxes takes out those that a large galaxy fills, and a
bicubic spline joins them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import sep

from isolux.errors import InputError
from isolux.field.image import FieldImage

BOX = 64
"""Sides of the boxes in pixels, unless the caller says otherwise."""
SMOOTHED = 3
"""Boxes a side of the median filter."""
LEAST_GOOD = 0.05
"""With a smaller part of the image left over once sources are masked the sources are not masked."""


@dataclasses.dataclass(frozen=True, eq=False)
class Background:
    """The sky at each pixel.

    Attributes
    ----------
    level, rms : numpy.ndarray
        (y, x), float32: the sky and its standard deviation a pixel, in image units.
    """

    level: np.ndarray
    rms: np.ndarray

    @property
    def typical(self) -> tuple[float, float]:
        """Medians of level and rms."""
        return float(np.median(self.level[::4, ::4])), float(np.median(self.rms[::4, ::4]))


def measure_background(field: FieldImage, sources: np.ndarray | None = None, box: int = BOX) -> Background:
    """Measure the sky.

    Parameters
    ----------
    field : FieldImage
        The image.
    sources : numpy.ndarray, optional
        (y, x) of bool: pixels with sources in them, which are left out.
    box : int
        Sides of the mesh in pixels; smaller where the image is.

    Returns
    -------
    Background

    Raises
    ------
    InputError
        If the box is smaller than 8 pixels, or ``sources`` has another shape.
    """
    if box < 8:
        raise InputError("box of the background in pixels", box, "8 or more")
    bad = field.mask
    if sources is not None:
        if sources.shape != field.shape:
            raise InputError("shape of the map of sources", sources.shape, f"{field.shape}, as the image")
        both = bad | sources
        bad = both if np.count_nonzero(~both) >= max(LEAST_GOOD * both.size, 50) else bad
    tall, wide = (min(box, side) for side in field.shape)
    scale = unit_of(field)
    image = np.ascontiguousarray(field.data / scale, np.float32)
    level = np.zeros_like(image)
    # What is left of a slope within a box would pass for noise: so the mesh is laid twice.
    for _ in range(2):
        mesh = sep.Background(image - level, mask=bad, bw=wide, bh=tall, fw=SMOOTHED, fh=SMOOTHED)
        more = mesh.back(dtype=np.float32)
        level += np.where(np.isfinite(more), more, 0)
    rms = mesh.rms(dtype=np.float32) * scale
    level *= scale
    return Background(*_mended(field, bad, level, rms))


def unit_of(field: FieldImage) -> np.float32:
    """A number near the noise, by which the image is divided: sep has absolute limits, and fluxes may be 1e-12."""
    good = field.data[::3, ::3][~field.mask[::3, ::3]]
    if not good.size:
        good = field.data[~field.mask]
    low, middle, high = np.percentile(good, (16, 50, 84))
    spread = max(middle - low, (high - low) / 2, 0)
    if not spread > 0:
        spread = float(np.std(good.astype(np.float64))) or float(np.abs(good).max())
    return np.float32(spread) if spread > 0 and np.isfinite(spread) else np.float32(1)


def _mended(
    field: FieldImage, bad: np.ndarray, level: np.ndarray, rms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Finite levels and positive noise everywhere: the image's own where the mesh has none."""
    good = field.data[~bad]
    sky = np.median(good)
    noise = 1.4826 * np.median(np.abs(good - sky)) or float(np.std(good)) or np.float32(1)
    wrong = ~np.isfinite(level) | ~np.isfinite(rms)
    level = np.where(wrong, np.float32(sky), level)
    typical = np.median(rms[~wrong]) if (~wrong).any() else 0
    rms = np.where(wrong | ~(rms > 0), np.float32(typical if typical > 0 else noise), rms)
    return level.astype(np.float32), rms.astype(np.float32)
