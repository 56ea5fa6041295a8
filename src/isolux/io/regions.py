r"""A DS9 region file of measured sources: the ellipse of each that holds half of its light, with its name.

Colours say what became of a source:

    green   a galaxy, fitted without a remark that matters
    cyan    a point source, likewise
    yellow  fitted, but look at its flags
    orange  cut off, saturated, or much of it masked
    red     the fit did not converge, or there is none

Places are on the sky (ICRS), so that the file fits images of other bands as well. Without a WCS, or in an image that is
mirrored (east to the right), for which DS9's angles are another thing, they are pixels counted from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isolux.errors import InputError
from isolux.field.image import FieldImage
from isolux.status import Flag, Status

GALAXY, POINT, DOUBTFUL, CUT, FAILED = "green", "cyan", "yellow", "orange", "red"
LOOK = (
    Flag.AT_BOUND
    | Flag.NO_COVARIANCE
    | Flag.CENTRE_MASKED
    | Flag.OFF_CENTRE
    | Flag.NOT_QUADRATIC
    | Flag.NEIGHBOUR_MASKED
    | Flag.STAMP_LIMIT
    | Flag.MOVED
)
"""Remarks that make a fit doubtful."""
PARTIAL = Flag.EDGE | Flag.SATURATED | Flag.MUCH_MASKED | Flag.OUTSIDE
"""Remarks that say that part of the source was not seen."""
SMALLEST = 2.0
"""Pixels: least semi-major axis, so that the ellipse can be seen."""
THINNEST = 0.05
HEAD = '# Region file format: DS9 version 4.1\nglobal dashlist=8 3 width=1 font="helvetica 10 normal roman"\n'
Columns = dict[str, np.ndarray]


def write_regions(path: str | Path, table: Any, field: FieldImage) -> Path:
    """Write the sources of a catalogue as regions for DS9.

    Parameters
    ----------
    path : str or path
        The file; what is there is replaced.
    table : astropy.table.Table
        A row a source: ``id``, ``x`` and ``y`` in pixels from 0, and, where there are, ``effective_radius`` and
        ``detected_radius`` in arcsec, ``axis_ratio``, ``position_angle``, ``model``, ``status``, ``flags``, and
        ``ra``, ``dec`` and ``pa_sky`` in degrees.
    field : FieldImage
        The image: its WCS and pixel scale.

    Returns
    -------
    Path
        The file. Sources without a position are not in it; a line says how many.

    Raises
    ------
    InputError
        If the table has no ``id``, ``x`` or ``y``.
    """
    missing = [name for name in ("id", "x", "y") if name not in table.colnames]
    if missing:
        raise InputError("columns that regions need", missing, "a table with id, x and y")
    columns = _columns(table, field)
    on_sky = _upright(field) and {"ra", "dec", "pa_sky"} <= set(table.colnames)
    write_one = _sky_ellipse if on_sky else _pixel_ellipse
    placed = np.isfinite(columns["ra"] + columns["dec"] if on_sky else columns["x"] + columns["y"])
    lines = [_region(table, columns, k, write_one) for k in np.flatnonzero(placed).tolist()]
    lost = len(placed) - len(lines)
    note = [f"# {lost} of {len(placed)} sources have no position"] if lost else []
    target = Path(path)
    body = "\n".join([*note, "icrs" if on_sky else "image", *lines])
    target.write_text(f"{HEAD}{body}\n", encoding="utf-8")
    return target


def colour(status: int, flags: int, model: str) -> str:
    """The colour of a source."""
    if status != Status.CONVERGED:
        return FAILED
    if flags & PARTIAL:
        return CUT
    if flags & LOOK:
        return DOUBTFUL
    return POINT if model == "point" else GALAXY


def label(name: str) -> str:
    """A name between braces: one line, without what would end it."""
    text = "".join(c if c.isprintable() else " " for c in name)
    return "{" + text.translate(str.maketrans("{}", "()")).strip() + "}"


def _columns(table: Any, field: FieldImage) -> Columns:
    """Numbers (source,) that make ellipses; radii in pixels, NaN where there is none."""

    def numbers(name: str, default: float = math.nan) -> np.ndarray:
        if name not in table.colnames:
            return np.full(len(table), default)
        column = table[name]
        filled = np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(np.float64), np.nan)
        return np.asarray(filled)

    found = {name: numbers(name) for name in ("x", "y", "ra", "dec")}
    size = numbers("effective_radius")
    seen = numbers("detected_radius")
    size = np.where(size > 0, size, np.where(seen > 0, seen, 0.0)) / field.pixel_scale
    ratio, angle, on_sky = (numbers(name) for name in ("axis_ratio", "position_angle", "pa_sky"))
    round_ = ~np.isfinite(ratio + angle)
    found["major"] = np.maximum(size, SMALLEST)
    found["minor"] = found["major"] * np.where(round_, 1.0, np.clip(ratio, THINNEST, 1.0))
    found["angle"] = np.where(round_, 0.0, angle)
    found["angle_sky"] = np.where(round_ | ~np.isfinite(on_sky), 0.0, on_sky)
    found["scale"] = np.full(len(table), field.pixel_scale)
    return found


def _region(table: Any, columns: Columns, k: int, write_one: Callable[[Columns, int], str]) -> str:
    status, flags = (int(table[name][k]) if name in table.colnames else 0 for name in ("status", "flags"))
    model = str(table["model"][k]) if "model" in table.colnames else ""
    return f"{write_one(columns, k)} # color={colour(status, flags, model)} text={label(str(table['id'][k]))}"


def _sky_ellipse(columns: Columns, k: int) -> str:
    """DS9 counts angles on the sky from west through north."""
    axes = ",".join(f'{columns[name][k] * columns["scale"][k]:.4f}"' for name in ("major", "minor"))
    turn = (columns["angle_sky"][k] + 90) % 180
    return f"ellipse({columns['ra'][k]:.7f},{columns['dec'][k]:.7f},{axes},{turn:.3f})"


def _pixel_ellipse(columns: Columns, k: int) -> str:
    """DS9 counts pixels from 1, and angles in an image from +x counter-clockwise."""
    axes = ",".join(f"{columns[name][k]:.3f}" for name in ("major", "minor"))
    turn = (columns["angle"][k] + 90) % 180
    return f"ellipse({columns['x'][k] + 1:.3f},{columns['y'][k] + 1:.3f},{axes},{turn:.3f})"


def _upright(field: FieldImage) -> bool:
    """Whether the image has a celestial WCS in which east is left of north."""
    if field.wcs is None or not getattr(field.wcs, "has_celestial", False):
        return False
    return float(np.linalg.det(field.wcs.celestial.pixel_scale_matrix)) < 0
