"""Which files belong to which galaxy: by patterns and lists of paths, or by a table with a row a galaxy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from astropy.table import QTable

from isolux.errors import InputError, unknown_name
from isolux.io.patterns import Files, Hdu, Plane, find_files, split_hdu, stem, with_hdu
from isolux.io.source import IMAGES, NUMBERS, Number, StampFiles, StampSource
from isolux.io.tables import plain_column, read_table

Columns: TypeAlias = dict[str, tuple[np.ndarray, str]]
"""Name -> numbers (galaxy,) and unit."""
KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}|HIERARCH .*")


def list_stamps(source: StampSource) -> list[StampFiles]:
    """The files of every galaxy; looks at folders and the table, opens no image.

    Raises
    ------
    InputError
        If a pattern matches nothing, a column does not exist, there is no galaxy, or ids repeat.
    """
    found = _from_paths(source) if source.table is None else files_in_table(source, read_source_table(source))
    if not found:
        raise InputError(f"{source.table or source.image}: no galaxies in it")
    counts = Counter(files.id for files in found)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        raise InputError(f"ids given to more than one galaxy: {', '.join(repeated[:5])}{more}")
    return found


def table_columns(files: Sequence[StampFiles]) -> Columns:
    """Numbers in the other columns of the table for these galaxies, with their units; empty without a table."""
    table = files[0].table if files else None
    if table is None:
        return {}
    others = [name for name in table.colnames if name not in (*IMAGES, *NUMBERS)]
    some = table[[f.row for f in files]]
    columns = {name: plain_column(some, name) for name in others if table[name].dtype.kind in "fiu"}
    return {name: (values, unit) for name, (values, unit, _) in columns.items()}


def starting_values(columns: Columns, pixel_scale: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of :func:`table_columns` as starting values.

    Those in arcsec, such as the sizes in a catalogue, become pixels by the galaxies' ``pixel_scale``.
    """
    return {
        name: values / (pixel_scale if unit == "arcsec" else 1.0) for name, (values, unit) in columns.items()
    }


def read_source_table(source: StampSource) -> QTable:
    """The table of a source; names of galaxies and files stay text."""
    named = [getattr(source, name) or name for name in ("id", *IMAGES)]
    return read_table(str(source.table), text=[name for name in named if isinstance(name, str)])


def _from_paths(source: StampSource) -> list[StampFiles]:
    columns = {
        kind: find_files(kind, getattr(source, kind), getattr(source, f"{kind}_hdu")) for kind in IMAGES
    }
    images = columns["image"]
    if images.listed is not None:
        keys = [stem(str(path)) for path in images.listed]
    else:
        keys = list(images.matched) or [stem(str(images.shared))]
    for kind, files in columns.items():
        if files.listed is not None and (images.listed is None or len(files.listed) != len(keys)):
            raise InputError(f"{kind} is a list of {len(files.listed)}, so image must be a list as long")
    names = keys if source.id is None else _given_names(source, len(keys))
    numbers = tuple(getattr(source, name) for name in NUMBERS)
    return [
        StampFiles(
            id=names[k],
            planes=tuple(files.of(key, k) for files in columns.values()),
            numbers=numbers,
            bad_values=source.bad_values,
            fault=_fault(source, names[k], key, columns),
        )
        for k, key in enumerate(keys)
    ]


def _given_names(source: StampSource, count: int) -> list[str]:
    given = [source.id] if isinstance(source.id, str) else list(source.id or ())
    if len(given) != count:
        raise InputError(f"{count} galaxies but {len(given)} ids")
    return [str(name) for name in given]


def _fault(source: StampSource, name: str, key: str, columns: dict[str, Files]) -> str | None:
    missing = [f"{kind} ({getattr(source, kind)})" for kind, files in columns.items() if files.lacks(key)]
    return f"galaxy {name}: no file for it among {', '.join(missing)}" if missing else None


def files_in_table(source: StampSource, table: QTable) -> list[StampFiles]:
    """The files of every row of a table that is the source's, or as good as that."""
    planes = [_planes(source, table, kind) for kind in IMAGES]
    numbers = [_numbers(source, table, name) for name in NUMBERS]
    names = _table_names(source, table, planes[0])
    bad = _bad_values(source, table)
    return [
        StampFiles(name, tuple(p[k] for p in planes), tuple(n[k] for n in numbers), bad[k], None, table, k)
        for k, name in enumerate(names)
    ]


def _bad_values(source: StampSource, table: QTable) -> Sequence[tuple[float, ...] | None]:
    if not isinstance(source.mask_bad, str):
        return [source.bad_values] * len(table)
    if source.mask_bad not in table.colnames:
        raise unknown_name(f"column of {source.table} for mask_bad", source.mask_bad, table.colnames)
    return [(float(value),) for value in plain_column(table, source.mask_bad)[0].tolist()]


def _table_names(source: StampSource, table: QTable, images: Sequence[Plane]) -> list[str]:
    if source.id is not None and not isinstance(source.id, str):
        return _given_names(source, len(table))
    column = source.id or "id"
    if column in table.colnames:
        return [str(value) for value in plain_column(table, column)[0].tolist()]
    if source.id is not None:
        raise unknown_name(f"column of {source.table}", column, table.colnames)
    return [stem(str(path)) for path in images]


def _planes(source: StampSource, table: QTable, kind: str) -> Sequence[Plane]:
    """A path, number or None for each row."""
    given, hdu = getattr(source, kind), getattr(source, f"{kind}_hdu")
    if isinstance(given, int | float):
        return [float(given)] * len(table)
    column = kind if given is None else str(given)
    if column in table.colnames:
        values = plain_column(table, column)[0]
        if values.dtype.kind in "fiu" and kind != "image":
            return [float(value) for value in values.tolist()]
        folder = Path(str(source.table)).expanduser().parent
        pairs = zip(map(str, values.tolist()), _hdus(table, kind, hdu), strict=True)
        return [with_hdu(folder / Path(text).expanduser(), h) if text else None for text, h in pairs]
    if given is None and kind != "image":
        return [None] * len(table)
    if given is not None and Path(split_hdu(column)[0]).is_file():
        return [with_hdu(column, hdu)] * len(table)
    raise unknown_name(f"column of {source.table} for {kind}", column, table.colnames)


def _hdus(table: QTable, kind: str, given: Hdu) -> Sequence[Hdu]:
    column = f"{kind}_hdu" if given is None else str(given)
    if column in table.colnames:
        return [h if isinstance(h, str) else int(h) for h in plain_column(table, column)[0].tolist()]
    return [given] * len(table)


def _numbers(source: StampSource, table: QTable, name: str) -> Sequence[Number]:
    """A number, header keyword or None for each row."""
    given = getattr(source, name)
    column = name if given == getattr(StampSource, name) and name in table.colnames else given
    if isinstance(column, str) and column in table.colnames:
        return [float(value) for value in plain_column(table, column)[0].tolist()]
    if isinstance(column, str) and not KEYWORD.fullmatch(column):
        raise unknown_name(f"column of {source.table} for {name}", column, table.colnames)
    return [column] * len(table)
