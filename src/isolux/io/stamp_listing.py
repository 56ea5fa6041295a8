"""The files of galaxies as rows of a table, with their sizes and places: what a survey's plan keeps of a sample.

``path:image`` and ``value:sigma`` are where a plane comes from, ``number:zero_point`` or ``keyword:zero_point`` where a
number does, ``rows`` and ``columns`` the size of the stamp, ``fault`` why it cannot be read, ``start:`` a column of
starting values and ``carry:`` one that goes into the catalogue. Columns in which all cells are empty are left out.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from astropy import units as u

from isolux.errors import InputError, unknown_name
from isolux.io.catalogue import Rows
from isolux.io.fits import image_outline, path_and_hdu
from isolux.io.patterns import Plane, with_hdu
from isolux.io.positions import DEC, RA
from isolux.io.source import IMAGES, NUMBERS, StampFiles
from isolux.io.stamps import READERS
from isolux.io.stream import Size
from isolux.io.tables import plain_values
from isolux.io.wcs import celestial_wcs
from isolux.sky import icrs

START, CARRY = "start:", "carry:"
TRUTH = "truth_"
"""Columns whose names begin so go into the catalogue without being asked for."""
POSITION = [pyarrow.field(name, pyarrow.float64(), metadata={"unit": "deg"}) for name in ("ra", "dec")]
BOUNDS = {"ra": (-360.0, 360.0), "dec": (-90.0, 90.0)}


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a look at the files of a galaxy tells.

    Attributes
    ----------
    files : StampFiles
        With absolute paths of the files that are there; with a fault, and no paths, where one is not.
    size : (int, int) or None
        Rows and columns of the image; None where it cannot be read.
    ra, dec : float
        Of the image's middle in degrees, ICRS; NaN without a WCS, or where nobody asked.
    """

    files: StampFiles
    size: Size | None
    ra: float = math.nan
    dec: float = math.nan


def look_at(files: Sequence[StampFiles], places: bool = True) -> list[Seen]:
    """Sizes and, from the WCS of their headers, places of stamps, in order."""
    find = lru_cache(maxsize=1 << 12)(_found)
    with ThreadPoolExecutor(READERS, "isolux-sizes") as pool:
        return list(pool.map(lambda one: _look(one, places, find), files))


def _look(files: StampFiles, places: bool, find: Any) -> Seen:
    if files.fault is not None:
        return Seen(_blank(files, files.fault), None)
    # The image is the galaxy's own; other files may be those of many.
    first, *others = files.planes
    planes = [_found(first) if isinstance(first, str) else (first, None)]
    planes += [find(plane) if isinstance(plane, str) else (plane, None) for plane in others]
    missing = next((fault for _, fault in planes if fault), None)
    if missing is not None:
        return Seen(_blank(files, missing), None)
    here = dataclasses.replace(files, planes=tuple(plane for plane, _ in planes), table=None)
    if here.planes[0] is None:
        return Seen(here, None)
    try:
        size, header = image_outline(str(here.planes[0]))
        wcs = celestial_wcs(header) if places and header is not None else None
    except Exception:  # the fault is found, and told, when the stamp is read
        return Seen(here, None)
    return Seen(here, size, *((math.nan, math.nan) if wcs is None else _middle(wcs, size)))


def _blank(files: StampFiles, fault: str) -> StampFiles:
    return dataclasses.replace(files, planes=(None,) * len(IMAGES), fault=fault, table=None)


def _found(plane: str) -> tuple[str, str | None]:
    """The absolute path of a file, HDU and all; and what is wrong where there is none."""
    path, hdu = path_and_hdu(plane)
    if not os.path.exists(path):
        return plane, f"{path}: no such file"
    return with_hdu(os.path.abspath(path), hdu), None


def _middle(wcs: Any, size: Size) -> tuple[float, float]:
    try:
        ra, dec = icrs(wcs, np.array([[(size[1] - 1) / 2, (size[0] - 1) / 2]]))[0].tolist()
    except Exception:  # a WCS that makes no sense gives no place
        return math.nan, math.nan
    return (ra, dec) if math.isfinite(ra) and abs(dec) <= 90 else (math.nan, math.nan)


def listing_of_stamps(
    seen: Sequence[Seen], ra: np.ndarray, dec: np.ndarray, more: Rows | None = None
) -> Rows:
    """Rows for galaxies.

    Parameters
    ----------
    seen : sequence of Seen
        From :func:`look_at`.
    ra, dec : numpy.ndarray
        (galaxy,): degrees, NaN where unknown.
    more : Rows, optional
        Further columns, a row a galaxy.
    """
    files = [one.files for one in seen]
    columns: dict[str, pyarrow.Array] = {
        "id": pyarrow.array([f.id for f in files], pyarrow.string()),
        "ra": pyarrow.array(np.asarray(ra, np.float64)),
        "dec": pyarrow.array(np.asarray(dec, np.float64)),
        "rows": pyarrow.array([s.size and s.size[0] for s in seen], pyarrow.int32()),
        "columns": pyarrow.array([s.size and s.size[1] for s in seen], pyarrow.int32()),
    }
    for k, name in enumerate(IMAGES):
        columns |= _mixed([f.planes[k] for f in files], f"path:{name}", f"value:{name}")
    for k, name in enumerate(NUMBERS):
        columns |= _mixed([f.numbers[k] for f in files], f"keyword:{name}", f"number:{name}")
    bad = pyarrow.array([f.bad_values for f in files], pyarrow.list_(pyarrow.float64()))
    fault = pyarrow.array([f.fault for f in files], pyarrow.string())
    columns |= {
        name: array for name, array in (("bad", bad), ("fault", fault)) if array.null_count < len(array)
    }
    listing = pyarrow.table(columns)
    for field in more.schema if more is not None else ():
        listing = listing.append_column(field, more[field.name])  # type: ignore[index]
    return listing


def _mixed(values: Sequence[Any], text: str, number: str) -> dict[str, pyarrow.Array]:
    """Text and numbers of a column that may have both, or nothing."""
    words = pyarrow.array([v if isinstance(v, str) else None for v in values], pyarrow.string())
    numbers = pyarrow.array(
        [float(v) if isinstance(v, int | float) else None for v in values],
        pyarrow.float64(),
        from_pandas=False,
    )
    return {name: a for name, a in ((text, words), (number, numbers)) if a.null_count < len(a)}


def stamps_listed(listing: Rows) -> tuple[list[StampFiles], list[Size | None]]:
    """The reverse of :func:`listing_of_stamps`: files and sizes of stamps."""
    count = len(listing)

    def column(name: str) -> list[Any]:
        return listing[name].to_pylist() if name in listing.column_names else [None] * count

    def mixed(text: str, number: str) -> list[Any]:
        pairs = zip(column(text), column(number), strict=True)
        return [second if first is None else first for first, second in pairs]

    planes = zip(*(mixed(f"path:{name}", f"value:{name}") for name in IMAGES), strict=True)
    numbers = zip(*(mixed(f"keyword:{name}", f"number:{name}") for name in NUMBERS), strict=True)
    bad = [None if values is None else tuple(values) for values in column("bad")]
    rows = zip(column("id"), planes, numbers, bad, column("fault"), strict=True)
    sizes = zip(column("rows"), column("columns"), strict=True)
    return (
        [StampFiles(str(name), p, n, b, fault) for name, p, n, b, fault in rows],
        [None if tall is None else (tall, wide) for tall, wide in sizes],
    )


def files_listed(listing: Rows) -> list[str]:
    """Paths of the files of a listing, without HDUs, each once."""
    planes: dict[Plane, None] = {}
    for name in IMAGES:
        if f"path:{name}" in listing.column_names:
            planes |= dict.fromkeys(listing[f"path:{name}"].unique().drop_null().to_pylist())
    return list(dict.fromkeys(str(path_and_hdu(str(plane))[0]) for plane in planes))


def _behind(listing: Rows, prefix: str) -> tuple[list[pyarrow.Field], list[Any]]:
    """The columns whose names begin with ``prefix``, without it."""
    chosen = [name for name in listing.column_names if name.startswith(prefix)]
    fields = [listing.schema.field(name).with_name(name.removeprefix(prefix)) for name in chosen]
    return fields, [listing[name].combine_chunks() for name in chosen]


def carried_columns(listing: Rows) -> Rows:
    """``ra``, ``dec`` and the columns that go into the catalogue as they are."""
    rows = listing.select(["ra", "dec"]).cast(pyarrow.schema(POSITION))
    for field, column in zip(*_behind(listing, CARRY), strict=True):
        rows = rows.append_column(field, column)
    return rows


def start_columns(listing: Rows) -> dict[str, tuple[np.ndarray, str]]:
    """Starting values with their units, as :func:`isolux.io.listing.starting_values` takes them; NaN if empty."""
    fields, arrays = _behind(listing, START)
    if not fields:
        return {}
    rows = pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))
    return {field.name: (plain_values(rows, field.name), unit_of(field)) for field in fields}


def plain_numbers(column: Any) -> np.ndarray:
    """Numbers of a column, NaN where it is empty."""
    return np.asarray(column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False))


def unit_of(field: pyarrow.Field) -> str:
    """Unit in the metadata of a column."""
    return (field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace")


def chosen_columns(
    where: str,
    schema: pyarrow.Schema,
    starts: Iterable[str],
    carry: Sequence[str],
    names: Sequence[str] | None = None,
) -> dict[str, str]:
    """Names in a listing of the columns of a table that are wanted there, with those of the table.

    Parameters
    ----------
    where : str
        Of the table, for messages.
    schema : pyarrow.Schema
        Its columns.
    starts : iterable of str
        Columns that the model needs; of those with a dot, which are parameters, as many as are there.
    carry : sequence of str
        Columns that are to be carried over, beside those of the truth.
    names : sequence of str, optional
        Of all columns, where the schema is of some.

    Raises
    ------
    InputError
        If one is not there, or starting values are no numbers.
    """
    known = schema.names if names is None else names
    found: dict[str, str] = {}
    for name in starts:
        if name in schema.names:
            if not is_number(_element(schema.field(name).type)):
                raise InputError(
                    f"{where}: column {name} does not hold numbers", str(schema.field(name).type)
                )
            found[START + name] = name
        elif "." not in name:
            raise unknown_name(f"column of {where} for the model", name, known)
    for name in carry:
        if name not in schema.names:
            raise unknown_name(f"column of {where} to carry over", name, known)
    truth = [name for name in schema.names if name.startswith(TRUTH)]
    return found | {CARRY + name: name for name in dict.fromkeys([*carry, *truth])}


def _element(kind: pyarrow.DataType) -> pyarrow.DataType:
    """Type of the elements of a column of vectors of one length; of other columns their own."""
    return kind.value_type if pyarrow.types.is_fixed_size_list(kind) else kind


def is_number(kind: pyarrow.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    types = pyarrow.types
    return bool(
        types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind) or types.is_null(kind)
    )


def is_text(kind: pyarrow.DataType) -> bool:
    """Whether a column of this type holds text."""
    types = pyarrow.types
    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def plain_text(column: Any) -> Any:
    """Text of a column as plain strings, empty where a cell is."""
    return pyarrow.compute.fill_null(column.cast(pyarrow.string()), "")


def listed_columns(table: Rows, chosen: Mapping[str, str]) -> Rows:
    """Columns of a table by their names in a listing; text is plain, and numbers are NaN where there are none."""
    arrays, fields = [], []
    for new, name in chosen.items():
        field, column = table.schema.field(name), table[name]
        if is_text(field.type):
            column = plain_text(column)
        elif pyarrow.types.is_floating(field.type):
            column = pyarrow.compute.fill_null(column, math.nan)
        arrays.append(column)
        fields.append(pyarrow.field(new, column.type, metadata=field.metadata))
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def sky_columns(names: Iterable[str]) -> tuple[str, str] | None:
    """Columns with right ascension and declination, in any usual spelling."""
    known = {name.lower(): name for name in names}
    pair = [next((known[n] for n in wanted if n in known), None) for wanted in (RA, DEC)]
    return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])


def positions_of(where: str, table: Rows, pair: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination (galaxy,) in degrees; both NaN where one is empty or out of range.

    Raises
    ------
    InputError
        If a column holds no numbers, or its unit is no angle.
    """
    found = []
    for name, (low, high) in zip(pair, BOUNDS.values(), strict=True):
        field = table.schema.field(name)
        if not is_number(field.type):
            raise InputError(f"{where}: column {name} does not hold numbers", str(field.type))
        values = plain_numbers(table[name]) * _degrees(where, name, unit_of(field))
        with np.errstate(invalid="ignore"):
            found.append(np.where((values >= low) & (values <= high), values, np.nan))
    known = np.isfinite(found[0]) & np.isfinite(found[1])
    return np.where(known, found[0], np.nan), np.where(known, found[1], np.nan)


def _degrees(where: str, name: str, unit: str) -> float:
    """Degrees of one of a unit; degrees where there is none."""
    if not unit:
        return 1.0
    try:
        return float(u.Unit(unit).to(u.deg))
    except (ValueError, TypeError, u.UnitConversionError):
        raise InputError(f"{where}: unit of column {name}", unit, "an angle, such as deg") from None
