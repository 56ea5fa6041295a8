"""The wings of a PSF beyond where its stars show them one by one.

Stars faint enough not to saturate show their PSF out to some half widths; the light farther out is small in each pixel
but not in all of them together, and bright stars have it as a halo. From the last rings that are seen it is continued
as a power law of the radius,

    I(r) = I(r_1) (r / r_1)^-p,

which the outskirts of seeing are (p near 3 to 3.7; Racine 1996, PASP 108, 699), the same in all directions and all over
the field.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np

from isolux.psf_model import PsfModel

REACH = 60
"""Pixels to which wings are continued."""
SEEN = (0.6, 0.95)
"""Rings that the power law is taken from, in parts of the radius that the PSF has."""
SLOPES = (2.6, 6.0)
"""Exponents that are believed: flatter is sky, steeper is nothing."""
LEAST = 1e-4
"""Light in a ring, over that in the PSF, below which nothing is continued."""


def with_wings(psf: PsfModel, reach: int = REACH) -> PsfModel:
    """The PSF continued to a radius in pixels; itself where its rings do not say how.

    Parameters
    ----------
    psf : PsfModel
        As measured from stars.
    reach : int
        Pixels to each side that it is to have.
    """
    middle = psf.at(*psf.offset)[0]
    half = min(middle.shape) // 2
    wanted = reach * psf.oversampling
    if wanted <= half:
        return psf
    radius = _radii(middle.shape)
    rings = [half * (SEEN[0] + (SEEN[1] - SEEN[0]) * part) for part in (0, 1 / 3, 2 / 3, 1)]
    means, places = [], []
    for low, high in pairwise(rings):
        inside = (radius >= low) & (radius < high)
        means.append(float(middle[inside].mean()))
        places.append(float(np.exp(np.log(radius[inside]).mean())))
    if min(means) <= 0 or np.pi * (SEEN[0] * half) ** 2 * means[0] < LEAST:
        return psf
    slope = -np.polyfit(np.log(places), np.log(means), 1)[0]
    if not slope > SLOPES[0]:
        slope = SLOPES[0]
    if slope > SLOPES[1]:
        return psf
    level = float(np.exp(np.mean(np.log(means) + slope * np.log(places))))
    rows, columns = (max(length, 2 * wanted + 1) for length in middle.shape)
    edge = SEEN[1] * half
    whole = _radii((rows, columns))
    halo = np.where((whole > edge) & (whole <= wanted), level * np.maximum(whole, 1.0) ** -slope, 0.0)
    terms = len(psf.basis)
    basis = np.zeros((terms, rows, columns))
    top, left = (rows - middle.shape[0]) // 2, (columns - middle.shape[1]) // 2
    inner = (slice(top, top + middle.shape[0]), slice(left, left + middle.shape[1]))
    basis[:, inner[0], inner[1]] = psf.basis
    basis[:, whole > edge] = 0.0
    basis[0] += halo * psf.basis[0].sum()
    return dataclasses.replace(psf, basis=basis)


def _radii(shape: tuple[int, ...]) -> np.ndarray:
    """Distance of each sample (v, u) from the middle."""
    rows, columns = (np.arange(length) - length // 2 for length in shape)
    return np.hypot(rows[:, None], columns)
