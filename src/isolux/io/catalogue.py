"""Catalogues that lose nothing: every batch is on disk as soon as it is done, whatever the format.

While a run goes on its rows lie in ``<name>.parts/``, a Parquet file a batch, each put there in one step; their
numbers are their order, so that batches may be done in any.
Closing joins them, a part at a time, to the catalogue and removes the folder. After a killed run the folder
is still there: :func:`read_catalogue` reads it, a writer with ``resume=True`` goes on from it, and
:func:`recover` joins it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TypeAlias

import numpy as np
import pyarrow
import pyarrow.parquet
from astropy.table import QTable, Table

from isolux.errors import InputError
from isolux.io.formats import check_format, save
from isolux.io.tables import format_of, from_arrow, read_table, to_arrow
from isolux.result import Result

Rows: TypeAlias = pyarrow.Table
"""Rows of a catalogue as :func:`rows_of` makes them."""
TEXT = ("id", "message", "flags_text")
"""Columns of a catalogue that are text even where they look like numbers."""


class CatalogueWriter:
    """Writes a catalogue row by row, batch by batch; use it in a ``with`` statement.

    Leaving the block joins the rows to the catalogue; an exception leaves them in their folder.

    Parameters
    ----------
    path : str or path
        The catalogue: ``.fits``, ``.parquet``, ``.ecsv``, ``.csv``, ``.hdf5`` or ``.h5``.
    resume : bool
        Go on with a catalogue or an unfinished run that is there already; its galaxies are in ``done``.
    overwrite : bool
        Replace it.

    Raises
    ------
    InputError
        If the format is unknown, or something is there and neither option is given.
    MissingExtra
        If the format needs a library that is not installed.
    """

    def __init__(self, path: str | Path, *, resume: bool = False, overwrite: bool = False) -> None:
        self.path = Path(path).expanduser()
        self.format = format_of(self.path)
        check_format(self.format)
        self.folder = parts_folder(self.path)
        if (self.path.exists() or self.folder.exists()) and not (resume or overwrite):
            what = "is there already" if self.path.exists() else "has an unfinished run"
            raise InputError(f"{self.path}: {what}; resume it or overwrite it")
        self._keep = resume and self.path.exists()
        self._replace = overwrite and not resume
        self._columns: list[str] | None = None
        self._parts: int | None = None
        self._last = 0
        self.done = frozenset() if self._replace else frozenset(self._ids())

    def __enter__(self) -> CatalogueWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def write(self, rows: Result | Table | Rows, place: int | None = None) -> None:
        """Add the rows of a batch; they are safe when this returns.

        Parameters
        ----------
        rows : Result or Table
            The rows; an Arrow table as :func:`rows_of` makes it is taken as it is.
        place : int, optional
            Where they stand among those of this writer, from 1, whatever the order in which they are written;
            behind the last where left out.

        Raises
        ------
        InputError
            If the columns are not those of the rows that are there: another model.
        """
        table = rows if isinstance(rows, pyarrow.Table) else rows_of(rows, self.format)
        if not self._replace:
            self._check_columns(table.column_names)
        self._make_room()
        if self._parts is None:
            self._parts = max((int(part.stem) for part in part_files(self.folder)), default=0)
        self._last = max(self._last, place or self._last + 1)
        part = self.folder / f"{self._parts + (place or self._last):06d}.parquet"
        with part.with_suffix(".tmp").open("wb") as file:
            pyarrow.parquet.write_table(table, file)
            _to_disk(file)
        os.replace(part.with_suffix(".tmp"), part)

    def close(self) -> Path:
        """Join all rows to the catalogue and remove their folder."""
        if not part_files(self.folder):
            return self.path
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        schema = joined_schema(self.path, self._keep)
        save(self.format, temporary, schema, lambda: joined_rows(self.path, self._keep, schema))
        with temporary.open("rb") as file:
            _to_disk(file)
        os.replace(temporary, self.path)
        shutil.rmtree(self.folder)
        self._keep = True
        return self.path

    def _make_room(self) -> None:
        if self._replace:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.path.unlink(missing_ok=True)
            self._replace = False
        self.folder.mkdir(parents=True, exist_ok=True)

    def _ids(self) -> list[str]:
        done = [str(name) for name in read_table(self.path, TEXT)["id"]] if self._keep else []
        for part in part_files(self.folder):
            done += read_part(part, ["id"])["id"].to_pylist()
        return done

    def _check_columns(self, names: list[str]) -> None:
        if self._columns is None:
            parts = part_files(self.folder)
            if parts:
                self._columns = pyarrow.parquet.read_schema(parts[0]).names
            elif self._keep:
                self._columns = read_table(self.path, TEXT).colnames
        if self._columns is not None:
            other = [n for n in sorted(set(names) ^ set(self._columns)) if not _is_sky(n)]
            if other:
                raise InputError(f"{self.path}: its rows are of another model; these columns differ", other)
        self._columns = names


def write_catalogue(rows: Result | Table, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a result as a catalogue, in the format of the name's ending.

    Parameters
    ----------
    rows : Result or Table
        What to write.
    path : str or path
        ``.fits``, ``.parquet``, ``.ecsv``, ``.csv``, ``.hdf5`` or ``.h5``.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
    """
    with CatalogueWriter(path, overwrite=overwrite) as writer:
        writer.write(rows)
    return writer.path


def read_catalogue(path: str | Path) -> QTable:
    """Read a catalogue, or as much as an unfinished run has written of it.

    Raises
    ------
    InputError
        If there is neither.
    """
    path = Path(path).expanduser()
    if not part_files(parts_folder(path)):
        return read_table(path, TEXT)
    schema = joined_schema(path, path.exists())
    return from_arrow(pyarrow.concat_tables(joined_rows(path, path.exists(), schema)))


def recover(path: str | Path) -> Path:
    """Join the rows that a killed run has left to a catalogue.

    Raises
    ------
    InputError
        If no run has left any.
    """
    path = Path(path).expanduser()
    if not part_files(parts_folder(path)):
        raise InputError(f"{parts_folder(path)}: holds no rows of an unfinished run")
    return CatalogueWriter(path, resume=True).close()


def rows_of(rows: Result | Table, kind: str) -> Rows:
    """Rows as they are written in one of the formats of :data:`isolux.io.tables.FORMATS`."""
    table = rows.table() if isinstance(rows, Result) else rows
    return to_arrow(spread(table) if kind == "csv" else table)


def join_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of several parts of one batch; empty cells where one of them lacks a column."""
    return pyarrow.concat_tables(parts, promote_options="default")


def parts_folder(path: Path) -> Path:
    """Where the rows of a catalogue lie while it is written."""
    return path.with_name(path.name + ".parts")


def part_files(folder: Path) -> list[Path]:
    """The parts in a folder, in the order in which they were written."""
    return sorted(folder.glob("[0-9]*.parquet"))


def read_part(part: Path, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """The rows of a part, or some of their columns."""
    with pyarrow.parquet.ParquetFile(part) as file:
        return file.read(columns)


def joined_schema(path: Path, finished: bool) -> pyarrow.Schema:
    """Columns of the parts and, where there is one, of the finished catalogue; units are the parts'."""
    schemas = [pyarrow.parquet.read_schema(part) for part in part_files(parts_folder(path))]
    if finished:
        schemas.append(to_arrow(read_table(path, TEXT)).schema)
    return max(schemas, key=lambda schema: len(schema.names))


def joined_rows(path: Path, finished: bool, schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    """The finished catalogue where there is one, then the parts one by one, all with the same columns.

    Galaxies of the catalogue are left out of the parts: a run killed while it closed has them in both.
    """
    there: set[str] = set()
    if finished:
        old = to_arrow(read_table(path, TEXT))
        there.update(old["id"].to_pylist())
        yield _aligned(old, schema)
    for part in part_files(parts_folder(path)):
        rows = read_part(part)
        new = [name not in there for name in rows["id"].to_pylist()]
        yield _aligned(rows.filter(pyarrow.array(new, pyarrow.bool_())), schema)


def spread(table: Table) -> QTable:
    """A table with a column for each element of its array columns: ``name_0``, ``name_1``, ..."""
    out = QTable()
    for name in table.colnames:
        column = table[name]
        if column.ndim == 1:
            out[name] = column
            continue
        for k in range(column.shape[1]):
            out[f"{name}_{k}"] = column[:, k]
            out[f"{name}_{k}"].info.description = column.info.description
    return out


def _to_disk(file: IO[bytes]) -> None:
    """Wait until a file that was written is safe from a loss of power too."""
    file.flush()
    os.fsync(file.fileno())


def _is_sky(name: str) -> bool:
    """Whether it is a column that only galaxies with a WCS have."""
    return name in ("ra", "dec") or name.endswith("_pa_sky")


def _aligned(table: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    """The columns of a schema; NaN or empty text where a table lacks one."""
    arrays = []
    for field in schema:
        if field.name in table.column_names:
            arrays.append(table[field.name].combine_chunks().cast(field.type))
        else:
            text = pyarrow.types.is_string(field.type)
            arrays.append(pyarrow.array(np.full(len(table), "" if text else np.nan), type=field.type))
    return pyarrow.Table.from_arrays(arrays, schema=schema)
