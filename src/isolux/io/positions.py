"""Positions of sources to measure, from a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from isolux.errors import InputError
from isolux.field.image import FieldImage
from isolux.io.tables import read_table

RA = ("ra", "alpha_j2000", "raj2000", "_raj2000", "ra_icrs", "alphawin_j2000", "right_ascension")
DEC = ("dec", "delta_j2000", "dej2000", "_dej2000", "de_icrs", "deltawin_j2000", "declination")
NAMES = ("id", "name", "number", "object_id", "objid", "source_id")


@dataclasses.dataclass(frozen=True, eq=False)
class Positions:
    """Sources to measure.

    Attributes
    ----------
    id : tuple of str
        Their names.
    x, y : numpy.ndarray
        (source,): 0-based pixels; they may lie outside the image.
    """

    id: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray


def read_positions(path: str | Path, field: FieldImage) -> Positions:
    """Positions from the columns ``ra`` and ``dec`` (degrees where they have no unit), else ``x`` and ``y`` (0-based).

    Raises
    ------
    InputError
        If the columns are not there, have a unit that is no angle, are not finite or out of range, or the image has no
        WCS to find them by; if ids are repeated.
    """
    table = read_table(path)
    if len(table) == 0:
        raise InputError(f"{path}: no rows")
    names = {name.lower(): name for name in table.colnames}
    ra, dec = (next((names[n] for n in wanted if n in names), None) for wanted in (RA, DEC))
    if ra is not None and dec is not None:
        x, y = _from_sky(path, table, ra, dec, field)
    elif "x" in names and "y" in names:
        x, y = (_numbers(path, table, names[axis], None) for axis in "xy")
    else:
        raise InputError(f"{path}: no columns ra and dec, nor x and y", tuple(table.colnames))
    key = next((names[n] for n in NAMES if n in names), None)
    ids = [str(k + 1) for k in range(len(table))] if key is None else [str(v) for v in table[key]]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InputError(f"{path}: an id is given to more than one source", twice)
    return Positions(tuple(ids), x, y)


def _from_sky(
    path: str | Path, table: Any, ra: str, dec: str, field: FieldImage
) -> tuple[np.ndarray, np.ndarray]:
    if field.wcs is None:
        raise InputError(
            f"{path}: has {ra} and {dec}, but {field.source or 'the image'} has no WCS; give x and y"
        )
    east, north = (_numbers(path, table, name, u.deg) for name in (ra, dec))
    for name, values, low, high in ((ra, east, -360.0, 360.0), (dec, north, -90.0, 90.0)):
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(
                f"{path}: {name} in row {row + 1}", float(values[row]), f"{low:g} to {high:g} degrees"
            )
    sky = SkyCoord(east * u.deg, north * u.deg, frame="icrs")
    # World to pixel far outside of a tangent plane is no number: such positions are not on the image.
    x, y = field.wcs.celestial.world_to_pixel(sky)
    return np.nan_to_num(np.asarray(x, float), nan=-1e9), np.nan_to_num(np.asarray(y, float), nan=-1e9)


def _numbers(path: str | Path, table: Any, name: str, unit: Any) -> np.ndarray:
    column = table[name]
    given = getattr(column, "unit", None)
    if unit is None and given is not None and given not in (u.pix, u.dimensionless_unscaled):
        raise InputError(f"{path}: unit of column {name}", str(given), "pixels")
    if unit is not None and given is not None and given != u.dimensionless_unscaled:
        if not given.is_equivalent(unit):
            raise InputError(f"{path}: unit of column {name}", str(given), "an angle, such as deg")
        column = u.Quantity(column).to(unit)
    values: Sequence[Any] = getattr(column, "value", column)
    try:
        numbers = np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan))
    except (TypeError, ValueError):
        raise InputError(f"{path}: column {name} does not hold numbers", str(values[0])) from None
    if not np.isfinite(numbers).all():
        row = int(np.argmax(~np.isfinite(numbers)))
        raise InputError(f"{path}: {name} in row {row + 1} is not finite", float(numbers[row]))
    return numbers
