"""Values of one band, where a row of a Parquet file has several: an array of one value a row for any place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute

from isolux.errors import InputError, unknown_name
from isolux.io.parquet_layout import BAND, Layout, Place, is_banded, is_list

LOOKED_AT = 100
"""Rows whose bands are looked at before a run."""


def values_of(rows: Any, place: Place, band: int | str | None) -> Any:
    """What each row has in a place; null where it lacks the band.

    Parameters
    ----------
    rows : pyarrow.RecordBatch or pyarrow.Table
        Of which the place's column is read, and the names of bands beside it.
    place : Place
        Column and field.
    band : int or str, optional
        Number or name of a band; the only one where left out.

    Returns
    -------
    pyarrow.Array
        (row,).
    """
    column = array_of(rows, place.parts[0])
    for part in place.parts[1:]:
        if is_list(column.type):
            column = _picked(column, which_of(column, band))
        bands = pyarrow.compute.struct_field(column, BAND) if is_banded(column.type) else None
        column = pyarrow.compute.struct_field(column, part)
        if bands is not None and is_list(column.type):
            column = _picked(column, which_of(bands, band))
    return column


def array_of(rows: Any, name: str) -> Any:
    """A column as one array."""
    column = rows[name]
    return column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column


def which_of(column: Any, band: int | str | None) -> list[int | None]:
    """Number of the band in each row of a list of names, or of structures with names; None where it is not there."""
    found: list[int | None] = []
    for names in names_of(column):
        if names is None:
            found.append(None)
        elif isinstance(band, str):
            found.append(next((k for k, n in enumerate(names) if same_name(n, band)), None))
        else:
            k = band if band is not None else 0 if len(names) == 1 else -1
            found.append(k if 0 <= k < len(names) else None)
    return found


def names_of(column: Any) -> list[list[str | None] | None]:
    """Names of the bands of each row; of bands without names, as many None."""
    inner = column.type.value_type
    if not pyarrow.types.is_struct(inner):
        return column.to_pylist()
    starts, lengths = _starts(column)
    place = inner.get_field_index(BAND)
    every = (
        [None] * len(column.values)
        if place < 0
        else pyarrow.compute.struct_field(column.values, place).to_pylist()
    )
    valid = column.is_valid().to_pylist()
    return [every[a : a + n] if ok else None for a, n, ok in zip(starts, lengths, valid, strict=True)]


def same_name(name: Any, band: str) -> bool:
    """Whether a name is that of the band; case is of no account."""
    return name is not None and str(name).strip().casefold() == band.strip().casefold()


def check_band(where: str, rows: Any, layout: Layout) -> int:
    """How many bands an image has; refuses what cannot be meant before anything is read.

    Parameters
    ----------
    where : str
        The catalogue, for messages.
    rows : pyarrow.RecordBatch or pyarrow.Table
        The first rows, with the names of their bands.
    layout : Layout
        Where the image is, and the band that is wanted.

    Raises
    ------
    InputError
        If there are several bands and none, or one that is not there, is wanted.
    """
    parts, band = layout.planes["image"].parts, layout.band
    column = array_of(rows, parts[0])
    listed = None
    if len(parts) > 1 and is_list(column.type):
        listed = names_of(column)
    elif len(parts) > 1 and is_banded(column.type):
        listed = pyarrow.compute.struct_field(column, BAND).to_pylist()
    if listed is None:
        return 1
    most = max((len(names) for names in listed if names), default=1)
    names = sorted({str(name) for row in listed for name in row or () if name is not None})
    shown = ", ".join(names) or f"0 to {most - 1}"
    if band is None and most > 1:
        raise InputError(f"{where}: each image has {most} bands; give band", allowed=shown)
    if isinstance(band, str) and not any(same_name(name, band) for name in names):
        raise unknown_name(f"band of {where}", band, names)
    if isinstance(band, int) and not 0 <= band < most:
        raise InputError(f"{where}: band", band, shown)
    return most


def _starts(column: Any) -> tuple[list[int], list[int]]:
    """Where the values of each row begin among those of a column of lists, and how many they are."""
    if pyarrow.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        return ((np.arange(len(column)) + column.offset) * size).tolist(), [size] * len(column)
    offsets = column.offsets.to_numpy()
    return offsets[:-1].tolist(), np.diff(offsets).tolist()


def _picked(column: Any, which: list[int | None]) -> Any:
    """One value of each row of a column of lists."""
    starts, lengths = _starts(column)
    valid = column.is_valid().to_pylist()
    index = [
        a + k if ok and k is not None and k < n else None
        for a, n, k, ok in zip(starts, lengths, which, valid, strict=True)
    ]
    return column.values.take(pyarrow.array(index, pyarrow.int64()))
