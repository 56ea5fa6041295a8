"""One galaxy's images and profile as the page holds them: PNG files of few colours, and short lists of numbers.

Data and model share the stretch of the figures; the residual is in units of sigma, or of its own scatter where sigma is
not known. Larger images than the page has room for are averaged in blocks; the profile is taken before that.
"""

from __future__ import annotations

import base64
import math
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np

from isolux.report.curve import Curve
from isolux.report.page.png import png
from isolux.report.panels import LIGHT_MAP, RESIDUAL_MAP
from isolux.report.stretch import Stretch, asinh_ticks, reach, robust_scatter
from isolux.report.view import GalaxyView

LIGHT_LEVELS, RESIDUAL_LEVELS = 96, 32
"""Colours of an image: noise is told apart no finer than it needs, so that files stay small."""
BAD = (150, 150, 150)
"""Colour of masked pixels."""
ROOM = 5_200_000
"""Pixels of all galaxies of a page together, one image each."""
SMALLEST, LARGEST = 32, 256


def largest_side(galaxies: int) -> int:
    """Rows or columns that an image of a page may have."""
    return int(min(max(math.sqrt(ROOM / max(galaxies, 1)), SMALLEST), LARGEST))


def picture(view: GalaxyView, side: int) -> dict[str, Any]:
    """What the page holds of a galaxy that has images.

    Parameters
    ----------
    view : GalaxyView
        The galaxy; ``model`` may be None.
    side : int
        Rows and columns that the images may have at most.
    """
    factor = max(1, math.ceil(max(view.image.shape) / side))
    scale = view.pixel_scale * factor
    out: dict[str, Any] = {"across": round(view.image.shape[1] * view.pixel_scale, 4), "scale": scale}
    if view.mask.all():
        return out
    stretch = Stretch.of(view)
    mask = _binned(view.mask.astype(float), factor) > 0.5
    data = _averaged(stretch.scaled(view.image), view.mask, factor)
    out["data"] = _light(data, mask, stretch)
    out["stretch"] = {"ticks": [round(float(t), 6) for t in asinh_ticks(stretch)]}
    out["stretch"] |= {"low": stretch.low, "high": stretch.high, "noise": stretch.noise}
    out["stretch"]["power"] = stretch.exponent
    if view.model is None:
        return out
    out["model"] = _light(_binned(stretch.scaled(view.model), factor), np.zeros_like(mask), stretch)
    out |= _residual(view, factor, mask)
    out["profile"] = profile(view)
    return out


def profile(view: GalaxyView) -> dict[str, list[Any]]:
    """Surface brightness along the annuli in magnitudes a square arcsec, None where not seen; radius in arcsec."""
    curve = Curve.of(view)
    middle = np.where(curve.seen, curve.magnitudes(curve.data), np.nan)
    up, down = (np.full(len(middle), np.nan) for _ in range(2))
    up[curve.seen], down[curve.seen] = curve.bars()
    limit = np.where(curve.seen, np.nan, curve.magnitudes(np.maximum(curve.data, 0) + 2 * curve.error))
    columns = {"radius": curve.radius, "data": middle, "up": up, "down": down, "limit": limit}
    columns["model"] = curve.magnitudes(curve.model)
    return {name: _short(values) for name, values in columns.items()}


def _residual(view: GalaxyView, factor: int, mask: np.ndarray) -> dict[str, Any]:
    good = ~view.mask
    if view.sigma is None:
        sigma = np.full(view.image.shape, robust_scatter(view.residual[good]) or 1.0)
    else:
        sigma = np.where(good & (view.sigma > 0), view.sigma, np.inf)
    ratio = np.where(good, np.nan_to_num(view.residual) / sigma, 0.0)
    ratio = _averaged(ratio, view.mask, factor)
    limit = min(reach(ratio[~mask], 99.5, 3.0), 20.0) if (~mask).any() else 3.0
    place = np.clip((ratio + limit) / (2 * limit), 0, 1)
    codes = np.where(mask, 0, 1 + np.rint(place * (RESIDUAL_LEVELS - 2))).astype(np.uint8)
    return {
        "residual": _uri(codes, _palette(RESIDUAL_MAP, RESIDUAL_LEVELS)),
        "limit": round(limit, 2),
        "per": "scatter" if view.sigma is None else "σ",
        "binned": factor,
    }


def _light(pixels: np.ndarray, mask: np.ndarray, stretch: Stretch) -> str:
    place = np.clip(np.asarray(stretch.norm()(pixels), dtype=float), 0, 1)
    codes = np.where(mask, 0, 1 + np.rint(np.nan_to_num(place) * (LIGHT_LEVELS - 2))).astype(np.uint8)
    return _uri(codes, _palette(LIGHT_MAP, LIGHT_LEVELS))


@lru_cache
def _palette(name: str, levels: int) -> np.ndarray:
    """Colours (level, 3): the first for masked pixels, then those of a map."""
    colours = 255 * matplotlib.colormaps[name](np.linspace(0, 1, levels - 1))[:, :3]
    return np.concatenate([[BAD], np.rint(colours)]).astype(np.uint8)


def _uri(codes: np.ndarray, palette: np.ndarray) -> str:
    content = png(codes[::-1], palette)  # row 0 is at the bottom
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _averaged(image: np.ndarray, mask: np.ndarray, factor: int) -> np.ndarray:
    """Mean of the good pixels of each block; 0 where there are none."""
    good = (~mask).astype(float)
    weight = _binned(good, factor)
    return _binned(np.where(mask, 0.0, np.nan_to_num(image)), factor) / np.where(weight > 0, weight, 1.0)


def _binned(image: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks; the last rows and columns may be of smaller ones."""
    if factor == 1:
        return np.asarray(image, dtype=float)
    rows, columns = (np.arange(0, n, factor) for n in image.shape)
    total = np.add.reduceat(np.add.reduceat(np.asarray(image, dtype=float), rows, 0), columns, 1)
    tall, wide = (np.minimum(factor, n - np.arange(0, n, factor)) for n in image.shape)
    return total / np.outer(tall, wide)


def _short(values: np.ndarray) -> list[Any]:
    return [round(float(v), 3) if math.isfinite(v) else None for v in values]
