"""Where the stars are in a diagram of size and signal-to-noise, and from which peak on they are saturated.

Stars are all as large as the PSF: at high signal-to-noise they are the narrow locus of the smallest sources. Its place
is the size around which sources are densest compared with the wider surroundings. Where a detector is full the peaks of
the brightest stars no longer grow with their fluxes, and pile up at one value.
"""

from __future__ import annotations

import dataclasses

import numpy as np

HALF_LIGHT = 0.58
"""Half-light radius over the full width at half maximum of stars, for want of a locus."""
NARROW, BROAD = 0.05, 0.35
"""Half-widths in the logarithm of the size of the locus, and of the surroundings it is compared with."""
DENSER = 1.5
"""Sources up to 1.4 times as large, at most, for each in a locus that stands out."""
FEWEST = 4
"""Stars at least in a locus."""
LEVELS = (300.0, 100.0, 40.0, 20.0)
"""Signal-to-noise from which on sources are looked at: the first at which a locus stands out counts."""
SMALLEST = 0.6
"""Half-light radius in pixels above that of a hot pixel, and below that of any star."""
STARLIKE = 2.2
"""Saturated stars look larger than others, up to so many times."""
PILE, SPAN = 0.75, 2.5
"""Peaks above this part of the highest pile up if the fluxes of at least four such stars differ by this factor."""


@dataclasses.dataclass(frozen=True)
class Locus:
    """Where the stars are in a diagram of sizes.

    Attributes
    ----------
    radius, scatter : float
        Half-light radius in pixels, and its relative scatter.
    found : bool
        Whether stars stand out; else the values are what is expected from the width of the smallest sources.
    """

    radius: float
    scatter: float
    found: bool


def star_locus(
    size: np.ndarray, snr: np.ndarray, clean: np.ndarray, expected: float, near: bool = False
) -> Locus:
    """The locus of the stars among the bright sources.

    Parameters
    ----------
    size, snr, clean : numpy.ndarray
        (source,): half-light radius in pixels, signal-to-noise, and whether a source is neither blended nor cut off.
    expected : float
        Half-light radius in pixels for want of a locus.
    near : bool
        Whether the locus is within a third of it.
    """
    with np.errstate(invalid="ignore"):
        clean = clean & np.isfinite(size) & (size > SMALLEST)
    sizes = np.zeros(0)
    for level in LEVELS:
        sizes = np.sort(np.log(size[clean & (snr > level)]))
        if near:
            sizes = sizes[np.abs(sizes - np.log(expected)) < 0.3]
        locus = _stands_out(sizes) if len(sizes) >= FEWEST + 1 else None
        if locus:
            return locus
    smallest = float(np.exp(sizes[min(len(sizes) - 1, 2)])) if len(sizes) > 1 else expected
    return Locus(smallest if abs(np.log(smallest / expected)) < 0.3 else expected, 0.08, False)


def _stands_out(sizes: np.ndarray) -> Locus | None:
    """The densest place of the sorted logarithms of sizes, if few are smaller and it is denser than what is above."""
    near = np.searchsorted(sizes, sizes + NARROW, "right") - np.searchsorted(sizes, sizes - NARROW)
    far = np.searchsorted(sizes, sizes + BROAD, "right") - np.searchsorted(sizes, sizes - BROAD)
    # Of two places that stand out as well the smaller ones are the stars.
    score = near / np.sqrt(1 + far) * (1 - 0.3 * np.arange(len(sizes)) / len(sizes))
    best = float(sizes[np.argmax(score)])
    for _ in range(5):
        inside = sizes[np.abs(sizes - best) < 1.5 * NARROW]
        best = float(np.median(inside))
    smaller = np.count_nonzero(sizes < best - 2 * NARROW)
    larger = np.count_nonzero((sizes > best + NARROW) & (sizes < best + BROAD))
    count = np.count_nonzero(np.abs(sizes - best) < NARROW)
    if count < FEWEST or smaller > 0.25 * count or larger > DENSER * count:
        return None
    scatter = 1.4826 * float(np.median(np.abs(inside - best)))
    return Locus(float(np.exp(best)), float(np.clip(scatter, 0.01, 0.1)), True)


def saturation_peak(size: np.ndarray, flux: np.ndarray, peak: np.ndarray, locus: Locus) -> float | None:
    """Peak above the sky from which on stars are saturated; None where none is seen to be.

    Parameters
    ----------
    size, flux, peak : numpy.ndarray
        (source,).
    locus : Locus
        Of the stars.
    """
    if not locus.found:
        return None
    with np.errstate(invalid="ignore"):
        stars = np.flatnonzero((size > 0.7 * locus.radius) & (size < STARLIKE * locus.radius) & (flux > 0))
    if len(stars) < 10:
        return None
    level = PILE * float(peak[stars].max())
    piled = stars[peak[stars] > level]
    return level if len(piled) >= FEWEST and flux[piled].max() > SPAN * flux[piled].min() else None
