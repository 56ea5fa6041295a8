"""Two looks at a catalogue of any length, a piece at a time: first counts and a fair sample, then histograms over all.

The sample is made of the rows whose number, scrambled, is smallest: it is the same for the same catalogue, and every
galaxy has the same chance whatever the order of the parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow
import pyarrow.compute as pc

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.report.page.columns import Column, short_name
from isolux.report.page.histogram import Histogram
from isolux.report.page.truth import Compared, number
from isolux.status import Flag, Status

PLACE, ORDER = "__row", "__order"
"""Columns of the sample: number of the row in the catalogue, and the same scrambled."""
REVIEWED = 10
"""One in so many galaxies of the gallery at most is one without a fit."""
FITTED = [int(status) for status in Status if status.fitted]

FEW = 3
SHARES = ("axis_ratio", "bulge_fraction")
"""Parameters between 0 and 1, never drawn on a logarithmic scale."""

Pieces = Callable[[Sequence[str] | None], Iterator[Rows]]


@dataclasses.dataclass(eq=False)
class Sampled:
    """What the first look finds.

    Attributes
    ----------
    total : int
        Galaxies.
    status, flags : mapping
        How many have each code.
    points : Rows
        The sample.
    shown : Rows
        Galaxies of the gallery, in the catalogue's order.
    """

    total: int
    status: Mapping[int, int]
    flags: Mapping[int, int]
    points: Rows
    shown: Rows


def sample(
    pieces: Pieces, names: Sequence[str], points: int, gallery: int, pictured: frozenset[str] | None
) -> Sampled:
    """Look at all galaxies once.

    Parameters
    ----------
    pieces : callable
        The catalogue.
    names : sequence of str
        Columns that are wanted of the sample.
    points, gallery : int
        Galaxies of the sample and of the gallery.
    pictured : frozenset of str or None
        Galaxies that have images; None where every one may have.
    """
    total, status, flags = 0, np.zeros(len(Status), np.int64), np.zeros(32, np.int64)
    kept: list[Rows] = []
    with_images: list[Rows] = []
    wanted = None if pictured is None else pyarrow.array(sorted(pictured)[:gallery], pyarrow.string())
    for piece in pieces(names):
        place = np.arange(total, total + len(piece), dtype=np.int64)
        total += len(piece)
        status += _codes(piece)
        flags += _bits(piece)
        piece = piece.append_column(PLACE, pyarrow.array(place))
        piece = piece.append_column(ORDER, pyarrow.array(scrambled(place)))
        if wanted is not None:
            with_images.append(piece.filter(pc.is_in(piece["id"].cast(pyarrow.string()), wanted)))
        kept.append(piece)
        if sum(map(len, kept)) > 2 * points + len(piece):
            kept = [_first(kept, points)]
    if not total:
        raise InputError("the catalogue holds no galaxy: there is nothing to show")
    chosen = _first(kept, points)
    seen = {Flag(1 << k): int(n) for k, n in enumerate(flags) if n and (1 << k) in Flag.__members__.values()}
    return Sampled(
        total,
        {k: int(n) for k, n in enumerate(status) if n},
        {int(flag): n for flag, n in seen.items()},
        chosen,
        _gallery(chosen, with_images, gallery),
    )


def scrambled(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers (galaxy,) scrambled, none twice: SplitMix64 of Steele, Lea & Flood (2014, OOPSLA)."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


@dataclasses.dataclass(frozen=True, eq=False)
class Counted:
    """What the second look finds: histograms over all galaxies that have a fit.

    Attributes
    ----------
    values, errors : mapping of str to Histogram
        By column.
    differences, pulls : mapping of str to Histogram
        By compared column: fitted less true value, and the same over its error.
    """

    values: Mapping[str, Histogram]
    errors: Mapping[str, Histogram]
    differences: Mapping[str, Histogram]
    pulls: Mapping[str, Histogram]


def count(
    pieces: Pieces, points: Rows, columns: Sequence[str], logs: frozenset[str], truths: Sequence[Compared]
) -> Counted:
    """Look at all galaxies a second time, in ranges that the sample tells."""
    found = fitted(points)
    values = {name: Histogram.around(number(found, name), name in logs) for name in columns}
    sized = [name for name in columns if f"{name}_err" in points.column_names]
    errors = {name: Histogram.around(number(found, f"{name}_err"), True) for name in sized}
    away = {c.column: c.difference(found) for c in truths}
    differences = {name: Histogram.around(pair[0]) for name, pair in away.items()}
    pulls = {c.column: Histogram(-50.0, 50.0) for c in truths}
    needed = {"status", *columns, *(f"{name}_err" for name in sized)}
    for c in truths:
        needed |= {c.column, c.truth, c.error}
    for piece in pieces(sorted(needed)):
        rows = fitted(piece)
        for name in columns:
            values[name].add(number(rows, name))
        for name in sized:
            errors[name].add(number(rows, f"{name}_err"))
        for c in truths:
            difference, error = c.difference(rows)
            differences[c.column].add(difference)
            with np.errstate(divide="ignore", invalid="ignore"):
                pulls[c.column].add(np.where(error > 0, difference / error, np.nan))
    return Counted(values, errors, differences, pulls)


def fitted(rows: Rows) -> Rows:
    """The rows of galaxies that have a fit."""
    return rows.filter(pc.is_in(rows["status"], pyarrow.array(FITTED, rows["status"].type)))


def varying(points: Rows, columns: Sequence[Column]) -> list[Column]:
    """The columns without those of numbers that are the same for all galaxies, such as fixed parameters.

    Errors stay, and of few galaxies all columns.
    """
    found = fitted(points)
    if len(found) < FEW:
        return list(columns)
    return [
        c for c in columns if c.kind == "text" or c.name.endswith("_err") or _differ(number(found, c.name))
    ]


def wide_ranging(points: Rows, columns: Sequence[Column]) -> frozenset[str]:
    """Columns of positive numbers that range over nearly a decade or more: drawn on a logarithmic scale."""
    found = set()
    for column in columns:
        if short_name(column.name) in SHARES:
            continue
        values = number(fitted(points), column.name)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = np.quantile(values, [0.02, 0.98])
            if low > 0 and high > 7 * low and column.unit not in ("mag", "°"):
                found.add(column.name)
    return frozenset(found)


def _differ(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and np.ptp(finite) > 0)


def _codes(rows: Rows) -> np.ndarray:
    codes = number(rows, "status")
    known = codes[(codes >= 0) & (codes < len(Status))].astype(np.int64)
    return np.bincount(known, minlength=len(Status))


def _bits(rows: Rows) -> np.ndarray:
    flags = np.nan_to_num(number(rows, "flags")).astype(np.int64)
    return np.array([(flags >> k & 1).sum() for k in range(32)])


def _first(pieces: Sequence[Rows], count: int) -> Rows:
    """The rows that come first in the scrambled order."""
    table = pyarrow.concat_tables(pieces, promote_options="default")
    order = np.argsort(table[ORDER].to_numpy(), kind="stable")
    return table.take(pyarrow.array(order[:count])).combine_chunks()


def _gallery(points: Rows, with_images: Sequence[Rows], size: int) -> Rows:
    """Galaxies with images, and of those without a fit some; where any may have images, those of the sample."""
    if not with_images:
        chosen = points.slice(0, size)
    else:
        pictured = pyarrow.concat_tables(with_images, promote_options="default")
        lost = points.filter(
            pc.invert(pc.is_in(points["status"], pyarrow.array(FITTED, points["status"].type)))
        )
        lost = lost.filter(pc.invert(pc.is_in(lost[PLACE], pictured[PLACE].combine_chunks())))
        room = max(size // REVIEWED, size - len(pictured)) if len(lost) else 0
        some = lost.slice(0, min(room, max(size // REVIEWED, 1)))
        chosen = pyarrow.concat_tables([pictured.slice(0, size - len(some)), some], promote_options="default")
    return chosen.sort_by(PLACE).combine_chunks()
