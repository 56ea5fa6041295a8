"""Rows of Parquet files: which columns and row groups have what is wanted, and one read of the file at most.

A structure's fields are columns of their own in Parquet, so that of an image with its noise and mask only what is used
is read. Row groups are the smallest pieces that can be found without reading what is before them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from isolux.errors import InputError
from isolux.io.parquet_layout import BAND, Place

AT_ONCE = 1 << 13
VALUES_AT_ONCE = 1 << 24
"""Rows, and numbers, that are decoded together at most."""
WORDS = ("list", "element", "item", "bag", "array_element", "array")
"""What writers of Parquet put between the names of nested fields."""


def leaves(file: pyarrow.parquet.FileMetaData, wanted: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """Paths of the columns, as Parquet stores them, in which these fields are, and their numbers."""
    paths = {file.schema.column(k).path: k for k in range(file.num_columns)}
    return {path: k for path, k in paths.items() if any(_is_in(path, parts) for parts in wanted)}


def fields_of(places: Sequence[Place]) -> list[tuple[str, ...]]:
    """The fields that are read for some places: they, and the names of bands beside them."""
    bands = [(*place.parts[:-1], BAND) for place in places if len(place.parts) > 1]
    return list(dict.fromkeys([*(place.parts for place in places), *bands]))


def pixels_a_row(file: pyarrow.parquet.FileMetaData, place: Place, bands: int) -> list[tuple[int, int]]:
    """Rows of each row group, and pixels of an image in it on average, rounded up."""
    columns = list(leaves(file, [place.parts]).values())
    found = []
    for group in (file.row_group(k) for k in range(file.num_row_groups)):
        values = sum(group.column(c).num_values for c in columns)
        found.append((group.num_rows, -(-values // max(1, group.num_rows * bands))))
    return found


def spans_of(groups: Sequence[tuple[int, int]], galaxies: int, pixels: int) -> list[tuple[int, int]]:
    """Neighbouring spans of rows of at most so many galaxies and pixels: whole row groups, or even pieces of one.

    Parameters
    ----------
    groups : sequence of (int, int)
        Rows of each row group, and pixels of each of its galaxies.
    galaxies, pixels : int
        Of a span; a galaxy that is larger is a span of its own.
    """
    spans: list[tuple[int, int]] = []
    first, end, held = 0, 0, 0
    for rows, each in groups:
        if end > first and (end + rows - first > galaxies or held + rows * each > pixels):
            spans.append((first, end))
            first, held = end, 0
        end, held = end + rows, held + rows * each
        most = max(1, min(galaxies, pixels // max(each, 1)))
        if end - first > most and rows > most:
            pieces = -(-rows // most)
            edges = [first + rows * k // pieces for k in range(pieces + 1)]
            spans += itertools.pairwise(edges)
            first, held = end, 0
    return [*spans, (first, end)] if end > first else spans


def stream_spans(
    path: str, columns: Sequence[str], spans: Sequence[tuple[int, int]]
) -> Iterator[pyarrow.Table]:
    """Columns of neighbouring spans of rows that begin with the first, span by span."""
    if not columns:
        yield from (pyarrow.table({"": pyarrow.nulls(last - first)}) for first, last in spans)
        return
    with pyarrow.parquet.ParquetFile(path) as file:
        # Asked for all row groups at a time, pyarrow keeps what it has read of all of them.
        groups = range(file.metadata.num_row_groups)
        pieces_of = (file.iter_batches(AT_ONCE, row_groups=[k], columns=list(columns)) for k in groups)
        batches = itertools.chain.from_iterable(pieces_of)
        pieces: list[pyarrow.Table] = []
        for first, last in spans:
            while sum(map(len, pieces)) < last - first:
                pieces.append(pyarrow.Table.from_batches([next(batches)]))
            table = pyarrow.concat_tables(pieces)
            yield table.slice(0, last - first).combine_chunks()
            pieces = [table.slice(last - first)]


def read_rows(path: str, columns: Sequence[str], rows: np.ndarray) -> Iterator[tuple[np.ndarray, Any]]:
    """Some rows (row,) of a file: places in ``rows`` and a record batch of the rows that belong there.

    Raises
    ------
    InputError
        If the file has not so many rows.
    """
    order = np.argsort(rows, kind="stable")
    wanted = rows[order]
    with pyarrow.parquet.ParquetFile(path) as file:
        meta = file.metadata
        edges = np.cumsum([0, *(meta.row_group(k).num_rows for k in range(meta.num_row_groups))])
        if len(rows) and wanted[-1] >= edges[-1]:
            raise InputError(f"{path}: has {edges[-1]} rows, but row {wanted[-1]} is wanted")
        for group in np.unique(np.searchsorted(edges, wanted, side="right") - 1).tolist():
            start = int(edges[group])
            final = wanted[np.searchsorted(wanted, edges[group + 1]) - 1]
            size = _rows_at_once(meta, group, columns)
            for batch in file.iter_batches(size, row_groups=[group], columns=list(columns)):
                a, b = np.searchsorted(wanted, [start, start + len(batch)])
                if b > a:
                    yield order[a:b], batch.take(pyarrow.array(wanted[a:b] - start))
                start += len(batch)
                if start > final:
                    break


def _rows_at_once(file: pyarrow.parquet.FileMetaData, group: int, columns: Sequence[str]) -> int:
    """Rows of a row group that hold no more numbers than are decoded together."""
    found = file.row_group(group)
    numbers = [k for k in range(file.num_columns) if file.schema.column(k).path in columns]
    values = sum(found.column(k).num_values for k in numbers)
    return max(1, min(AT_ONCE, VALUES_AT_ONCE * found.num_rows // max(values, 1)))


def _is_in(path: str, parts: tuple[str, ...]) -> bool:
    """Whether a column of Parquet belongs to a field."""
    if path != parts[0] and not path.startswith(parts[0] + "."):
        return False
    k = 1
    for word in path[len(parts[0]) + 1 :].split("."):
        if k < len(parts) and word == parts[k]:
            k += 1
        elif k < len(parts) and word not in WORDS:
            return False
    return k == len(parts)
