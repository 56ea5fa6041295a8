"""Tables written a piece at a time in each format: Parquet, FITS, ECSV, CSV and HDF5.

Every writer takes a schema (names, types, units and descriptions of the columns) and a function that yields
the rows in pieces, as often as it is called; none holds more than one piece in memory.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from astropy.io import fits

from isolux.errors import MissingExtra
from isolux.io.tables import from_arrow, plain_column, plain_values

Pieces: TypeAlias = Callable[[], Iterator[pyarrow.Table]]
BLOCK = 2880
NOTE = b"isolux_"
"""Metadata of a schema that begin so are kept in files that have a place for them."""


def save(kind: str, path: Path, schema: pyarrow.Schema, pieces: Pieces) -> None:
    """Write a table in one of the formats of :data:`isolux.io.tables.FORMATS`."""
    writers = {"parquet": _parquet, "fits": _fits, "ecsv": _ecsv, "csv": _csv, "hdf5": _hdf5}
    writers[kind](path, schema, pieces)


def check_format(kind: str) -> None:
    """See that a format can be written before anything is done.

    Raises
    ------
    MissingExtra
        If the library that it needs is not installed.
    """
    if kind == "hdf5":
        try:
            import h5py  # noqa: F401
        except ImportError:
            raise MissingExtra("h5py", "hdf5") from None


def _parquet(path: Path, schema: pyarrow.Schema, pieces: Pieces) -> None:
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for piece in pieces():
            writer.write_table(piece)


def _csv(path: Path, schema: pyarrow.Schema, pieces: Pieces) -> None:
    with pyarrow.csv.CSVWriter(path, _spread(schema.empty_table()).schema) as writer:
        for piece in pieces():
            writer.write_table(_spread(piece))


def _spread(table: pyarrow.Table) -> pyarrow.Table:
    """A table with a column for each element of its lists of fixed size: ``name_0``, ``name_1``, ..."""
    columns: dict[str, Any] = {}
    for field in table.schema:
        if not pyarrow.types.is_fixed_size_list(field.type):
            columns[field.name] = table[field.name]
            continue
        flat = table[field.name].combine_chunks().flatten()
        width = field.type.list_size
        columns |= {f"{field.name}_{k}": flat[k::width] for k in range(width)}
    return pyarrow.table(columns)


def _ecsv(path: Path, schema: pyarrow.Schema, pieces: Pieces) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, piece in enumerate(pieces()):
            text = io.StringIO()
            from_arrow(piece).write(text, format="ascii.ecsv")
            lines = text.getvalue().splitlines(keepends=True)
            heading = sum(line.startswith("#") for line in lines) + 1
            file.writelines(lines if number == 0 else lines[heading:])


def _hdf5(path: Path, schema: pyarrow.Schema, pieces: Pieces) -> None:
    import h5py

    total = sum(len(piece) for piece in pieces())
    with h5py.File(path, "w") as file:
        file.attrs["columns"] = schema.names
        first = 0
        for piece in pieces():
            table = from_arrow(piece)
            for name in schema.names:
                values, unit, description = plain_column(table, name)
                if name not in file:
                    kind = h5py.string_dtype() if values.dtype.kind == "U" else values.dtype
                    file.create_dataset(name, (total, *values.shape[1:]), kind)
                    file[name].attrs.update({"unit": unit, "description": description})
                file[name][first : first + len(values)] = (
                    values.astype(object) if values.dtype.kind == "U" else values
                )
            first += len(piece)


def _fits(path: Path, schema: pyarrow.Schema, pieces: Pieces) -> None:
    kinds, total = _fits_types(schema, pieces)
    header = fits.BinTableHDU(np.empty(0, kinds)).header
    header["EXTNAME"] = "CATALOGUE"
    for number, field in enumerate(schema, start=1):
        notes = {key.decode(): _ascii(value.decode()) for key, value in (field.metadata or {}).items()}
        if "unit" in notes:
            header.set(f"TUNIT{number}", notes["unit"], after=f"TFORM{number}")
        if "description" in notes:
            header.set(f"TCOMM{number}", notes["description"], after=f"TFORM{number}")
    for key, value in (schema.metadata or {}).items():
        if key.startswith(NOTE):
            header.add_history(f"{key.decode()}: {_ascii(value.decode())}")
    header["NAXIS2"] = total
    letters = {
        name: (np.dtype("S1"), kinds[name].shape) for name in schema.names if kinds[name].base.kind == "b"
    }
    kinds = np.dtype(
        [(name, *letters.get(name, (kinds[name].base, kinds[name].shape))) for name in schema.names]
    )
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        file.write(header.tostring().encode("ascii"))
        for piece in pieces():
            file.write(_records(piece, kinds).tobytes())
        file.write(bytes(-total * kinds.itemsize % BLOCK))


def _fits_types(schema: pyarrow.Schema, pieces: Pieces) -> tuple[np.dtype[Any], int]:
    """The record of a row, big-endian, with room for the longest text of each column; the number of rows."""
    widths = dict.fromkeys(schema.names, 1)
    kinds: dict[str, Any] = {}
    total = 0
    for piece in pieces():
        total += len(piece)
        for name in schema.names:
            values = plain_values(piece, name)
            if values.dtype.kind == "U":
                widths[name] = max(widths[name], *(len(_ascii(text)) for text in values.tolist()), 1)
                kinds[name] = (name, f"S{widths[name]}")
            else:
                # Whole numbers become floats in pieces with empty cells.
                before = kinds[name][1] if name in kinds else values.dtype
                kinds[name] = (name, np.result_type(before, values).newbyteorder(">"), values.shape[1:])
    return np.dtype([kinds[name] for name in schema.names]), total


def _records(piece: pyarrow.Table, kinds: np.dtype[Any]) -> np.ndarray:
    records = np.empty(len(piece), kinds)
    for name in kinds.names or ():
        values = plain_values(piece, name)
        if values.dtype.kind == "U":
            records[name] = [_ascii(text).encode("ascii") for text in values.tolist()]
        elif values.dtype.kind == "b":
            records[name] = np.where(values, b"T", b"F")
        else:
            records[name] = values
    return records


def _ascii(text: str) -> str:
    """Text as FITS can hold it."""
    return text.encode("ascii", "backslashreplace").decode("ascii")
