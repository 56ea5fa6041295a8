"""The noise of an image that nobody says the noise of: one number for all pixels."""

from __future__ import annotations

import numpy as np

CLIPS = 8


def sky_scatter(image: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Standard deviation of the sky's pixels: from those below the clipped median, since sources lie above it.

    Parameters
    ----------
    image : numpy.ndarray
        (y, x).
    mask : numpy.ndarray, optional
        (y, x): True is bad.

    Returns
    -------
    float
        NaN where there are no good pixels, or all are the same.
    """
    good = np.isfinite(image) if mask is None else np.isfinite(image) & ~np.asarray(mask, bool)
    pixels = np.sort(np.asarray(image, float)[good])
    for _ in range(CLIPS):
        if not len(pixels):
            return float("nan")
        middle = np.median(pixels)
        low = middle - np.percentile(pixels, 15.865)
        kept = pixels[np.abs(pixels - middle) <= 3 * low]
        if len(kept) == len(pixels):
            break
        pixels = kept
    return float(low) if low > 0 else float("nan")
