"""Rows of a catalogue as a survey puts them together: the same columns in every part, in the order of its listing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow
from astropy.table import QTable

from isolux.io.catalogue import Rows
from isolux.io.tables import to_arrow
from isolux.status import Flag, Status

SKY = {"ra": "right ascension, ICRS", "dec": "declination, ICRS"}
TILTED = "_position_angle_mark"


def rows_from(columns: Mapping[str, Any]) -> Rows:
    """Rows from columns of numbers or text; a pair is values and their unit."""
    table = to_arrow(QTable({name: v[0] if isinstance(v, tuple) else v for name, v in columns.items()}))
    fields = []
    for field in table.schema:
        given = columns[field.name]
        fields.append(field.with_metadata({"unit": given[1]}) if isinstance(given, tuple) else field)
    return table.cast(pyarrow.schema(fields))


def with_sky(rows: Rows) -> Rows:
    """Rows with ``ra`` and ``dec`` behind ``id`` and an angle on the sky behind each position angle; NaN if unknown."""
    for place, (name, meaning) in enumerate(SKY.items(), start=1):
        if name not in rows.column_names:
            rows = rows.add_column(place, *_unknown(name, meaning, len(rows)))
    for name in [name for name in rows.column_names if name.endswith(TILTED)]:
        turned = name.removesuffix(TILTED) + "_pa_sky"
        if turned not in rows.column_names:
            place = rows.column_names.index(name) + 1
            rows = rows.add_column(place, *_unknown(turned, "major axis, east of north", len(rows)))
    return rows


def with_columns(rows: Rows, more: Rows) -> Rows:
    """Rows with further columns; where both have one, its values fill those of the first that are not finite."""
    for field in more.schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, more[field.name])
        elif pyarrow.types.is_floating(rows.schema.field(field.name).type):
            place = rows.column_names.index(field.name)
            first, second = (np.asarray(t[field.name], dtype=np.float64) for t in (rows, more))
            filled = pyarrow.array(np.where(np.isfinite(first), first, second))
            rows = rows.set_column(
                place, rows.schema.field(place), filled.cast(rows.schema.field(place).type)
            )
    return rows


def without(rows: Rows, names: Sequence[str]) -> Rows:
    """Rows without some of their columns."""
    return rows.drop_columns([name for name in names if name in rows.column_names])


def in_order(pieces: Sequence[Rows], ids: Sequence[str]) -> Rows:
    """Rows of several pieces in the order of the ids; columns are the first piece's."""
    rows = pyarrow.concat_tables([piece.cast(pieces[0].schema) for piece in pieces]).combine_chunks()
    places = {name: k for k, name in enumerate(text_of(rows, "id"))}
    return rows.take(pyarrow.array([places[name] for name in ids], pyarrow.int64()))


def text_of(rows: Rows, name: str) -> list[str]:
    """A column of text."""
    return [str(value) for value in rows[name].to_pylist()]


def numbers_of(rows: Rows, name: str) -> np.ndarray:
    """A column of numbers."""
    return np.asarray(rows[name].to_numpy(zero_copy_only=False))


def how_they_ended(rows: Rows) -> tuple[dict[str, int], dict[str, int]]:
    """How many galaxies ended in each way, by lower-case status, and have each remark, by flag."""
    codes = Counter(numbers_of(rows, "status").tolist())
    flags = numbers_of(rows, "flags").astype(np.int64)
    marked = {flag.name: int(np.count_nonzero(flags & int(flag))) for flag in Flag if flag.name}
    status = {Status(code).name.lower(): count for code, count in sorted(codes.items())}
    return status, {name: count for name, count in marked.items() if count}


def digest(rows: Rows) -> str:
    """A checksum of the content of rows, the same however they are cut in memory."""
    fresh = rows.take(pyarrow.array(np.arange(len(rows)))).combine_chunks()
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, fresh.schema) as stream:
        stream.write_table(fresh)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _unknown(name: str, meaning: str, count: int) -> tuple[pyarrow.Field, pyarrow.Array]:
    field = pyarrow.field(name, pyarrow.float64(), metadata={"unit": "deg", "description": meaning})
    return field, pyarrow.array(np.full(count, np.nan))
