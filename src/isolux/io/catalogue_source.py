"""Rows of any catalogue that Isolux has written, a piece at a time: a run's folder of parts, or a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from isolux.errors import InputError
from isolux.io.catalogue import TEXT, Rows
from isolux.io.run_folder import RunFolder
from isolux.io.tables import FORMATS, format_of, read_table, to_arrow

AT_ONCE = 20_000
"""Rows of a piece of a file."""
CATALOGUE = "catalogue"
"""Name of the file in the folders of ``isolux fit`` and ``isolux measure``."""


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogueSource:
    """A catalogue to read from.

    Attributes
    ----------
    path : Path
        Where it is.
    schema : pyarrow.Schema
        Its columns, with units and descriptions.
    pieces : callable
        Gives its rows in pieces, as often as it is called.
    rows : int
        How many.
    notes : mapping
        What is to be said of it in files that are made from it.
    remarks : tuple of str
        What the user should know.
    """

    path: Path
    schema: pyarrow.Schema
    pieces: Callable[[], Iterator[Rows]]
    rows: int
    notes: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def open_catalogue(path: str | Path) -> CatalogueSource:
    """Open the catalogue of a survey run, of a folder of ``isolux fit`` or ``isolux measure``, or a file.

    Raises
    ------
    InputError
        If there is none, or no part of the run is done.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        return _of_file(path)
    run = RunFolder(path)
    if run.exists():
        return _of_run(run)
    found = sorted(p for p in path.glob(f"{CATALOGUE}.*") if p.suffix in FORMATS)
    if len(found) != 1:
        what = "several catalogues" if found else "neither a survey run nor a catalogue"
        raise InputError(
            f"{path}: holds {what}; name a run's folder or a file", [p.name for p in found] or None
        )
    return _of_file(found[0])


def only(rows: Rows, name: str) -> Rows:
    """The rows in which a column is True."""
    return rows.filter(pyarrow.compute.fill_null(rows[name].cast(pyarrow.bool_()), False))


def _of_run(run: RunFolder) -> CatalogueSource:
    """The parts that are done; those that are missing are said."""
    manifest = run.manifest()
    receipts = {receipt.part: receipt for receipt in run.receipts()}
    files = {number: file for number in sorted(receipts) if (file := run.part_file(number)).exists()}
    if not files:
        raise InputError(f"{run.path}: no part of this run is done")
    schema = pyarrow.parquet.read_schema(next(iter(files.values())))
    given_up = run.quarantined()
    planned = int(manifest.get("plan", {}).get("parts", len(files) + len(given_up)))
    rows = sum(receipts[number].rows for number in files)
    notes = {
        "run": str(manifest.get("name", run.path.name)),
        "complete": f"{len(files)} of {planned} parts, {rows} galaxies",
    }
    remarks = []
    if len(files) < planned:
        galaxies = manifest.get("plan", {}).get("galaxies")
        missing = f" and {int(galaxies) - rows} galaxies" if galaxies is not None else ""
        why = f", {len(given_up)} of which were given up" if given_up else ""
        remarks.append(f"{run.path}: {planned - len(files)} of {planned} parts{missing} are missing{why}")
    order = list(files.values())
    return CatalogueSource(run.path, schema, lambda: _parts(order, schema), rows, notes, tuple(remarks))


def _parts(files: list[Path], schema: pyarrow.Schema) -> Iterator[Rows]:
    for path in files:
        try:
            with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
                rows = file.read()
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{path}: is damaged, {error}; resume the run to measure it again") from None
        if rows.schema != schema:
            differing = sorted({f.name for f in set(rows.schema) ^ set(schema)})
            raise InputError(f"{path}: its columns differ from those of {files[0].name}", differing[:5])
        yield rows


def _of_file(path: Path) -> CatalogueSource:
    if format_of(path) == "parquet":
        if not path.exists():
            raise InputError(f"{path}: no such file")
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                schema, count = file.schema_arrow, file.metadata.num_rows
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{path}: cannot be read as parquet, {error}") from None
        return CatalogueSource(path, schema, lambda: _row_groups(path), count, {})
    whole = to_arrow(read_table(path, TEXT))
    return CatalogueSource(path, whole.schema, lambda: _slices(whole), len(whole), {})


def _row_groups(path: Path) -> Iterator[Rows]:
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(AT_ONCE):
            yield pyarrow.Table.from_batches([batch])
        if file.metadata.num_rows == 0:
            yield file.schema_arrow.empty_table()


def _slices(rows: Rows) -> Iterator[Rows]:
    for first in range(0, max(len(rows), 1), AT_ONCE):
        yield rows.slice(first, AT_ONCE)
