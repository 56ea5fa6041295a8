"""HATS catalogues: Parquet files that are cut by HEALPix cells, with a margin round each, as LSDB reads them.

hats-import does the cutting; it keeps units and descriptions, which lie in the fields of the Parquet files.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from isolux.errors import InputError, MissingExtra
from isolux.io.catalogue import Rows
from isolux.io.formats import Pieces
from isolux.io.rows import numbers_of
from isolux.io.safe_files import put_whole

FINEST = 8
"""HEALPix order of the smallest cells, a quarter of a degree; the memory for counting grows fourfold an order."""
WIDEST = 36_000.0
"""Arcsec: margins are narrower than cells, the largest of which have 59 degrees on a side."""
CELL_BYTES = 1 << 28
"""Bytes in memory of the rows of a cell, at most."""
CELL_ROWS = (10_000, 1_000_000)
GATHERED = 100_000
"""Rows of a file that hats-import reads."""
NAMES = ("collection.properties", "hats.properties")
"""Files by which a HATS catalogue is known."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What became of rows.

    Attributes
    ----------
    inside, outside : int
        Rows in the catalogue; rows without a position.
    rest : Path or None
        The file of those.
    """

    inside: int
    outside: int
    rest: Path | None


def check_hats() -> None:
    """See that HATS catalogues can be written.

    Raises
    ------
    MissingExtra
        If hats-import is not installed.
    """
    with quiet():
        try:
            import hats_import  # noqa: F401
        except ImportError:
            raise MissingExtra("hats-import", "hats") from None


def write_hats(
    path: Path,
    schema: pyarrow.Schema,
    pieces: Pieces,
    place: tuple[str, str],
    *,
    margin: float = 5.0,
    notes: Mapping[str, str] | None = None,
    client: Any = None,
) -> Written:
    """Write a HATS collection: the catalogue and its margin.

    Parameters
    ----------
    path : Path
        The folder; one that is there is replaced when the new one is whole.
    schema, pieces
        The columns; the rows in pieces.
    place : (str, str)
        Columns of right ascension and declination in degrees. Rows where one of them is NaN go into
        ``<path>_without_position.parquet``.
    margin : float
        Arcsec.
    notes : mapping, optional
        Further properties.
    client : distributed.Client, optional
        Where the work is done; a thread of this process where left out.

    Raises
    ------
    InputError
        If no row has a position, the margin is too wide, or a folder that is there is no HATS catalogue.
    MissingExtra
        If hats-import is not installed.
    """
    check_hats()
    if not 0 <= margin <= WIDEST:
        raise InputError("margin in arcsec", margin, f"0 to {WIDEST:g}")
    refuse_other_folders(path)
    work = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    rest = path.with_name(f"{path.name}_without_position.parquet")
    try:
        with _apart(rest, schema) as lost:
            counts = _gather(work / "rows", schema, pieces, place, _finest(margin), lost)
            if not counts.any():
                raise InputError(f"{path}: no row has a position ({place[0]}, {place[1]}), which HATS needs")
            _cut(work, path.name, schema, place, counts, margin, notes or {}, client)
        _put(work / "made" / path.name, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not lost.rows:
        rest.unlink(missing_ok=True)
    return Written(int(counts.sum()), lost.rows, rest if lost.rows else None)


def refuse_other_folders(path: Path) -> None:
    """Keep what is no HATS catalogue from being replaced by one.

    Raises
    ------
    InputError
        If there is such a thing.
    """
    if path.exists() and not any((path / name).exists() for name in NAMES):
        raise InputError(f"{path}: is there and is no HATS catalogue; give another folder")


class _Rest:
    """Takes rows without a position."""

    def __init__(self, writer: pyarrow.parquet.ParquetWriter) -> None:
        self.writer = writer
        self.rows = 0

    def take(self, rows: Rows) -> None:
        """Write them."""
        if len(rows):
            self.writer.write_table(rows)
            self.rows += len(rows)


@contextmanager
def _apart(path: Path, schema: pyarrow.Schema) -> Iterator[_Rest]:
    with put_whole(path) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
        yield _Rest(writer)


def _finest(margin: float) -> int:
    """HEALPix order of the smallest cells: a margin must lie within one."""
    with quiet():
        from hats.pixel_math.healpix_shim import margin2order

        return min(FINEST, int(margin2order(np.array([margin / 60]))[0]) - 1) if margin > 0 else FINEST


def _gather(
    folder: Path, schema: pyarrow.Schema, pieces: Pieces, place: tuple[str, str], order: int, lost: _Rest
) -> np.ndarray:
    """Put the rows that have a position into files of a good size; their number in each cell of an order."""
    with quiet():
        from hats.pixel_math.healpix_shim import radec2pix

    folder.mkdir(parents=True)
    waiting: list[Rows] = []
    counts, written = np.zeros(12 * 4**order, np.int64), 0
    for piece in pieces():
        sky = np.stack([np.asarray(numbers_of(piece, name), float) for name in place])
        known = np.isfinite(sky).all(0)
        lost.take(piece.filter(pyarrow.array(~known)))
        if known.any():
            counts += np.bincount(radec2pix(order, *sky[:, known]), minlength=len(counts))
            waiting.append(piece.filter(pyarrow.array(known)).cast(schema.remove_metadata()))
        if sum(map(len, waiting)) >= GATHERED:
            pyarrow.parquet.write_table(pyarrow.concat_tables(waiting), folder / f"{written:06d}.parquet")
            waiting, written = [], written + 1
    if waiting:
        pyarrow.parquet.write_table(pyarrow.concat_tables(waiting), folder / f"{written:06d}.parquet")
    return counts


def _cut(
    work: Path,
    name: str,
    schema: pyarrow.Schema,
    place: tuple[str, str],
    counts: np.ndarray,
    margin: float,
    notes: Mapping[str, str],
    client: Any,
) -> None:
    """Have hats-import cut the rows into cells."""
    with quiet():
        from hats_import.catalog.file_readers import ParquetPyarrowReader
        from hats_import.collection.arguments import CollectionArguments
        from hats_import.pipeline import pipeline_with_client

        files = sorted((work / "rows").glob("*.parquet"))
        with pyarrow.parquet.ParquetFile(files[0]) as file:
            each = max(file.read_row_group(0).nbytes / max(file.metadata.row_group(0).num_rows, 1), 1.0)
        pyarrow.parquet.write_metadata(schema.remove_metadata(), work / "schema.parquet")
        arguments = CollectionArguments(
            output_artifact_name=name,
            output_path=work / "made",
            progress_bar=False,
            resume=False,
            addl_hats_properties={f"isolux_{key}": value for key, value in notes.items()},
        ).catalog(
            input_file_list=files,
            file_reader=ParquetPyarrowReader(),
            ra_column=place[0],
            dec_column=place[1],
            use_schema_file=work / "schema.parquet",
            expected_total_rows=int(counts.sum()),
            highest_healpix_order=_finest(margin),
            pixel_threshold=max(int(np.clip(CELL_BYTES / each, *CELL_ROWS)), int(counts.max())),
        )
        if margin > 0:
            arguments = arguments.add_margin(margin_threshold=margin, is_default=True)
        with _client(work, client) as given:
            pipeline_with_client(arguments, given)


def _client(work: Path, client: Any) -> Any:
    """The client that was given, else one in this process."""
    if client is not None:
        return nullcontext(client)
    from distributed import Client

    where = {"dashboard_address": None, "local_directory": str(work / "dask")}
    return Client(processes=False, n_workers=1, threads_per_worker=1, **where)


def _put(made: Path, path: Path) -> None:
    """Let a whole folder take its place in one step; one that was there goes after it."""
    old = made.with_name(f"{made.name}.old")
    if path.exists():
        os.replace(path, old)
    os.replace(made, path)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and notes of the libraries of HATS, which speak to their developers."""
    loud = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(loud)
