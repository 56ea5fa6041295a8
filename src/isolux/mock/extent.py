"""How large the stamps must be that sources are drawn on.

The half side is where the surface brightness of the galaxy's components, and that of the PSF's wings, has fallen to
half of what may be cut off. Sides are rounded up to a few numbers, so that sources of about one size are drawn
together.
"""

from __future__ import annotations

import numpy as np

from isolux.mock.light import reach
from isolux.mock.surveys import Band
from isolux.mock.truth import Truth
from isolux.profiles.exponential import HALF_LIGHT
from isolux.psf_model import PsfModel

SIDES = (24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048)
BEYOND = 10**6
"""The side of those that are larger."""
MARGIN = 3
"""Pixels that stamps reach beyond where they must."""


def stamp_sides(truth: Truth, band: Band, psf: PsfModel, level: float) -> np.ndarray:
    """Sides (source,) in pixels of stamps at whose edges sources are fainter than ``level``."""
    scale, half = band.pixel_scale, level / 2
    flux = {name: band.flux(truth[name]) for name in ("magnitude", "bulge_magnitude", "disc_magnitude")}
    radii = [_wing(psf, flux["magnitude"], half)]
    for which, radius, index, ratio in (
        ("magnitude", truth["effective_radius"], truth["sersic_index"], truth["axis_ratio"]),
        (
            "bulge_magnitude",
            truth["bulge_effective_radius"],
            truth["bulge_sersic_index"],
            truth["bulge_axis_ratio"],
        ),
        (
            "disc_magnitude",
            truth["disc_scale_radius"] * HALF_LIGHT,
            np.ones(len(radii[0])),
            truth["disc_axis_ratio"],
        ),
    ):
        known = np.isfinite(radius)
        far = np.zeros(len(known))
        far[known] = reach(flux[which][known], (radius / scale)[known], index[known], ratio[known], half)
        radii.append(far)
    needed = 2 * (np.max(radii, axis=0) + MARGIN) + 1
    place = np.searchsorted(SIDES, needed)
    return np.append(SIDES, BEYOND)[place]


def _wing(psf: PsfModel, flux: np.ndarray, level: float) -> np.ndarray:
    """Radii in pixels beyond which the PSF times the flux is below a level."""
    image = psf.at(*psf.offset)[0] * psf.oversampling**2
    half = image.shape[0] // 2
    y, x = np.indices(image.shape) - half
    ring = np.minimum(np.hypot(y, x).astype(int), half)
    most = np.zeros(half + 1)
    np.maximum.at(most, ring.ravel(), image.ravel())
    outward = np.maximum.accumulate(most[::-1])
    return (half + 1 - np.searchsorted(outward, level / flux)) / psf.oversampling
