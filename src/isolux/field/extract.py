"""What sep needs to be robust: limits raised and tried again, holes in stars filled, the noise of filtered images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import sep
from scipy import ndimage

from isolux.errors import InputError

PIXELS = 1_000_000
"""Pixels above the threshold at the same time that sep has room for at first."""
SUB_OBJECTS = 4096
"""Sources that one footprint may be split into at first."""
TRIES = 4
"""How often the limits are raised, fourfold each time."""
PIECES = 16
"""Pieces of the image, at most, whose filtered noise is looked at."""

BLOCK = 32
"""Sides in pixels of the blocks in which its spread is measured."""


@dataclasses.dataclass(frozen=True, eq=False)
class Extracted:
    """Sources as sep gives them.

    Attributes
    ----------
    table : numpy.ndarray
        sep's structured array.
    segmentation : numpy.ndarray
        (y, x), int32.
    remarks : tuple of str
        What a user should know.
    """

    table: np.ndarray
    segmentation: np.ndarray
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)


def extract(
    image: np.ndarray,
    noise: np.ndarray,
    mask: np.ndarray,
    *,
    threshold: float,
    kernel: np.ndarray,
    min_area: int,
    levels: int = 32,
    contrast: float = 0.005,
) -> Extracted:
    """Sources above a threshold.

    Parameters
    ----------
    image, noise, mask : numpy.ndarray
        (y, x): the image above the sky, its standard deviation, and what is bad (True).
    threshold : float
        In units of the noise that the filtered image has where pixels are independent.
    kernel : numpy.ndarray
        The filter.
    min_area, levels, contrast
        As sep has them.

    Raises
    ------
    InputError
        If there are too many pixels above the threshold, or sources in one footprint, for sep at any limit.
    """
    options = {
        "err": noise,
        "mask": mask,
        "minarea": min_area,
        "filter_kernel": kernel,
        "filter_type": "conv",
    }
    options |= {"deblend_nthresh": levels, "segmentation_map": True}
    # sep's filter "matched" would find the same where the noise is even, but loses sources when it cleans.
    level = threshold * float(np.sqrt(np.sum(kernel.astype(np.float64) ** 2)))
    for attempt in range(TRIES + 1):
        last = attempt == TRIES
        with room(min(PIXELS * 4**attempt, 2 * image.size + 1000), SUB_OBJECTS * 4**attempt):
            try:
                table, labels = sep.extract(image, level, deblend_cont=1.0 if last else contrast, **options)
            except Exception as error:
                message = str(error)
                if last or not any(word in message for word in ("pixel buffer", "overflow", "limit")):
                    raise InputError(f"sources cannot be extracted: {message}") from None
                continue
        return Extracted(table, labels, ("too crowded to split sources that touch",) if last else ())
    raise AssertionError("unreachable")


@contextmanager
def room(pixels: int, sub_objects: int = SUB_OBJECTS) -> Iterator[None]:
    """Sep's limits, which belong to the whole process, raised for a while."""
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    sep.set_extract_pixstack(max(before[0], pixels))
    sep.set_sub_object_limit(max(before[1], sub_objects))
    try:
        yield
    finally:
        sep.set_extract_pixstack(before[0])
        sep.set_sub_object_limit(before[1])


def gaussian_kernel(fwhm: float) -> np.ndarray:
    """A Gaussian filter of sum one, float32, with odd sides that reach to twice the width."""
    half = max(1, round(fwhm))
    v, u = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = np.exp(-4 * np.log(2) * (u**2 + v**2) / fwhm**2)
    return (kernel / kernel.sum()).astype(np.float32)


def filtered_noise(image: np.ndarray, noise: np.ndarray, hidden: np.ndarray, kernel: np.ndarray) -> float:
    """How many times the noise of the filtered image is what independent pixels of this noise would have.

    Parameters
    ----------
    image, noise : numpy.ndarray
        (y, x).
    hidden : numpy.ndarray
        (y, x) of bool: bad pixels and sources.
    kernel : numpy.ndarray
        The filter.

    Returns
    -------
    float
        1 or more: where it is less, weights may be too large by chance, and the threshold should stay.
    """
    side = 8 * BLOCK
    corners = [(y, x) for y in range(0, image.shape[0], side) for x in range(0, image.shape[1], side)]
    spreads = []
    for y, x in corners[:: max(1, len(corners) // PIECES)]:
        piece = np.s_[y : y + side, x : x + side]
        clear = ~hidden[piece]
        values = np.where(clear, image[piece] / noise[piece], 0).astype(np.float32)
        smooth = ndimage.convolve(values, kernel, mode="constant")
        weight = ndimage.convolve(clear.astype(np.float32), kernel, mode="constant")
        clear &= weight > 0.99
        # In small blocks, so that what is left of the sky's slopes does not count.
        for top in range(0, values.shape[0], BLOCK):
            for left in range(0, values.shape[1], BLOCK):
                block = np.s_[top : top + BLOCK, left : left + BLOCK]
                inner = smooth[block][clear[block]]
                if inner.size > BLOCK**2 // 4:
                    low, middle = np.percentile(inner, (15.865, 50))
                    spreads.append((middle - low) / np.sqrt(np.sum(kernel.astype(np.float64) ** 2)))
    return max(1.0, float(np.median(spreads))) if spreads else 1.0


def without_holes(data: np.ndarray, saturated: np.ndarray) -> np.ndarray:
    """The image with each patch of saturated pixels filled with the highest value at its rim.

    A star without its core would else be found as the pieces of a ring.
    """
    if not saturated.any():
        return data
    filled = data.copy()
    labels, count = ndimage.label(saturated, np.ones((3, 3), bool))
    for label, where in enumerate(ndimage.find_objects(labels, count), start=1):
        box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in where)
        inside = labels[box] == label
        rim = ndimage.binary_dilation(inside, np.ones((3, 3), bool)) & ~saturated[box]
        around = data[box][rim]
        filled[box][inside] = around.max() if around.size else data.max()
    return filled
