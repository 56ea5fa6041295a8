"""Rows of fields that all have the same columns, whatever was found in each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
from astropy.table import Column, QTable

from isolux.errors import InputError
from isolux.io.catalogue import Rows, rows_of


def field_rows(table: QTable, field: str, primary: np.ndarray, zero_point: float, pixel_scale: float) -> Rows:
    """Rows of a field's catalogue with names that are unique in a survey.

    Parameters
    ----------
    table : QTable
        The catalogue of the field.
    field : str
        Its name.
    primary : numpy.ndarray
        (source,) of bool.
    zero_point, pixel_scale : float
        AB magnitude of one image unit; arcsec a pixel.
    """
    count = len(table)
    out = table.copy(copy_data=False)
    out["id"] = np.array([f"{field}_{name}" for name in table["id"]], dtype=str)
    out["id"].info.description = "name of the source: its field and its number there"
    added: dict[str, tuple[Any, str, str]] = {
        "field": (np.full(count, field), "", "name of the field"),
        "primary": (primary, "", "whether this is the row to count of a source that several fields show"),
        "zero_point": (np.full(count, float(zero_point)), "mag", "AB magnitude of one image unit"),
        "pixel_scale": (np.full(count, float(pixel_scale)), "arcsec", "side of a pixel"),
    }
    for name, (values, unit, meaning) in added.items():
        out[name] = Column(values, unit=unit or None, description=meaning)
    first = ["id", "field", "primary"]
    last = [name for name in out.colnames if name.startswith("truth_")]
    others = [name for name in out.colnames if name not in (*first, *last)]
    return rows_of(out[first + others + last], "parquet")


def columns_of(rows: Rows) -> Any:
    """Names, types, units and descriptions of the columns of rows."""
    return rows.schema


def conformed(rows: Rows, columns: Any) -> Rows:
    """Rows with exactly these columns; NaN, empty text, no or -1 where they lack one.

    Raises
    ------
    InputError
        If they have a column that is not among these, or of another kind.
    """
    extra = [name for name in rows.column_names if name not in columns.names]
    if extra:
        raise InputError("columns that no other field has", extra[:5])
    arrays = []
    for column in columns:
        if column.name in rows.column_names:
            try:
                arrays.append(rows[column.name].combine_chunks().cast(column.type))
            except pyarrow.ArrowInvalid as error:
                raise InputError(
                    f"column {column.name} is of another kind than in other fields, {error}"
                ) from None
        else:
            arrays.append(_missing(column.type, len(rows)))
    return pyarrow.Table.from_arrays(arrays, schema=columns)


def _missing(kind: Any, count: int) -> Any:
    types = pyarrow.types
    if types.is_floating(kind):
        return pyarrow.array(np.full(count, np.nan), kind)
    if types.is_boolean(kind):
        return pyarrow.array(np.zeros(count, bool), kind)
    return (
        pyarrow.array([""] * count, kind)
        if types.is_string(kind)
        else pyarrow.array(np.full(count, -1), kind)
    )
