"""A table of columns from any tabular file: CSV, ECSV, FITS, Parquet or HDF5.

Whatever the format, numbers come as NumPy arrays with NaN where a cell is empty, text with an empty string
there, and units stay on the columns that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from astropy import units as u
from astropy.io import fits
from astropy.io.ascii import InconsistentTableError
from astropy.table import Column, QTable, Table

from isolux.errors import InputError, MissingExtra
from isolux.io.headers import quiet

FORMATS = {
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".hdf5": "hdf5",
    ".h5": "hdf5",
}
_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    InconsistentTableError,
    pyarrow.ArrowException,
)


def format_of(path: str | Path) -> str:
    """``csv``, ``ecsv``, ``fits``, ``parquet`` or ``hdf5``, by the name's ending.

    Raises
    ------
    InputError
        For another ending.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in (".gz", ".bz2"):
        suffixes.pop()
    if not suffixes or suffixes[-1] not in FORMATS:
        raise InputError(f"{path}: unknown kind of table", allowed=", ".join(FORMATS))
    return FORMATS[suffixes[-1]]


def read_table(path: str | Path, text: Sequence[str] = ("id",)) -> QTable:
    """Read a table.

    Parameters
    ----------
    path : str or path
        Its ending tells the format.
    text : sequence of str
        Columns of a CSV file that are text even where they look like numbers.

    Raises
    ------
    InputError
        If it is missing, of an unknown kind, or cannot be read.
    """
    path = Path(path).expanduser()
    kind = format_of(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    readers = {"csv": _csv, "ecsv": _ecsv, "fits": _fits, "parquet": _parquet, "hdf5": _hdf5}
    try:
        with quiet():
            return readers[kind](path, text)
    except (MissingExtra, InputError):
        raise
    except _FAULTS as error:
        raise InputError(f"{path}: cannot be read as {kind}, {error}") from error


def from_arrow(table: pyarrow.Table) -> QTable:
    """Columns of an Arrow table, with the units and descriptions of their metadata."""
    notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    out = QTable(meta={key: value for key, value in notes.items() if key.startswith("isolux_")})
    for field in table.schema:
        described = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        values = plain_values(table, field.name)
        out[field.name] = described_column(
            values, described.get("unit", ""), described.get("description", "")
        )
    return out


def plain_values(table: pyarrow.Table, name: str) -> np.ndarray:
    """Numbers or text of a column of an Arrow table."""
    return _from_arrow_column(table[name].combine_chunks())


def to_arrow(table: Table) -> pyarrow.Table:
    """The reverse of :func:`from_arrow`."""
    arrays, fields = [], []
    for name in table.colnames:
        values, unit, description = plain_column(table, name)
        array = _to_arrow_column(values)
        metadata = {"unit": unit, "description": description}
        fields.append(pyarrow.field(name, array.type, metadata={k: v for k, v in metadata.items() if v}))
        arrays.append(array)
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def plain_column(table: Table, name: str) -> tuple[np.ndarray, str, str]:
    """Numbers or text of a column, its unit as text, and its description."""
    column = table[name]
    unit = "" if column.info.unit is None else _unit_text(u.Unit(column.info.unit))
    values = getattr(column, "value", column)
    return filled(values), unit, str(column.info.description or "")


def described_column(values: np.ndarray, unit: str, description: str) -> Any:
    """A column or quantity with a description; text that is no unit is kept as it is, without warnings."""
    parsed = u.Unit(unit, parse_strict="silent") if unit else None
    if parsed is None or values.dtype.kind not in "fiu" or isinstance(parsed, u.UnrecognizedUnit):
        return Column(values, unit=parsed, description=description or None)
    quantity = u.Quantity(
        values, parsed, copy=False, dtype=values.dtype if values.dtype.kind == "f" else None
    )
    quantity.info.description = description or None
    return quantity


def filled(values: Any) -> np.ndarray:
    """Numbers with NaN, text with an empty string where a cell is empty; text stripped of padding."""
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        if values.dtype.kind in "iu":
            values = values.astype(np.float64)
        values = values.filled(np.nan if values.dtype.kind == "f" else values.dtype.type())
    array = np.asarray(values)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "O":
        array = np.array([_text(value) for value in array.tolist()], dtype=str)
    if array.dtype.kind == "U":
        return np.char.rstrip(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _text(value: Any) -> str:
    return (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
    )


def _unit_text(unit: u.UnitBase) -> str:
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        return str(unit.to_string())


def _from_arrow_column(array: Any) -> np.ndarray:
    kind, types = array.type, pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        flat = _from_arrow_column(array.flatten())
        width = kind.list_size if types.is_fixed_size_list(kind) else len(flat) // max(len(array), 1)
        return flat.reshape(len(array), width)
    if types.is_null(kind):
        return np.full(len(array), np.nan)
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        if array.null_count and not types.is_floating(kind):
            array = array.cast(pyarrow.float64())
        return np.array(array.to_numpy(zero_copy_only=False))
    return np.char.rstrip(
        np.array(["" if value is None else str(value) for value in array.to_pylist()], dtype=str)
    )


def _to_arrow_column(values: np.ndarray) -> Any:
    if values.ndim > 1:
        flat = pyarrow.array(values.reshape(-1))
        return pyarrow.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
    return pyarrow.array(values.tolist() if values.dtype.kind in "US" else values)


def _csv(path: Path, text: Sequence[str]) -> QTable:
    types = dict.fromkeys(text, pyarrow.string())
    nulls = ["", "nan", "NaN", "null", "NULL", "N/A", "--"]
    options = pyarrow.csv.ConvertOptions(column_types=types, null_values=nulls, strings_can_be_null=True)
    return from_arrow(pyarrow.csv.read_csv(path, convert_options=options))


def _parquet(path: Path, text: Sequence[str]) -> QTable:
    return from_arrow(pyarrow.parquet.read_table(path))


def _ecsv(path: Path, text: Sequence[str]) -> QTable:
    return _cleaned(Table.read(path, format="ascii.ecsv"))


def _fits(path: Path, text: Sequence[str]) -> QTable:
    with fits.open(path, memmap=False) as opened:
        tables = [hdu for hdu in opened if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise InputError(f"{path}: holds no table")
        out = QTable()
        for k, column in enumerate(tables[0].columns, start=1):
            values = filled(tables[0].data[column.name])
            out[column.name] = described_column(
                values, column.unit or "", str(tables[0].header.get(f"TCOMM{k}", ""))
            )
    return out


def _hdf5(path: Path, text: Sequence[str]) -> QTable:
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "hdf5") from None
    out = QTable()
    with h5py.File(path) as file:
        structured = [item for item in file.values() if isinstance(item, h5py.Dataset) and item.dtype.names]
        if structured:
            return _cleaned(Table(structured[0][...]))
        for name in file.attrs.get("columns", list(file)):
            unit, description = (str(file[name].attrs.get(key, "")) for key in ("unit", "description"))
            out[str(name)] = described_column(filled(file[name][...]), unit, description)
    return out


def _cleaned(table: Table) -> QTable:
    out = QTable(meta=table.meta)
    for name in table.colnames:
        out[name] = described_column(*plain_column(table, name))
    return out
