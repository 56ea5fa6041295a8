"""All that the page's scripts are given, as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from isolux.io.catalogue import Rows
from isolux.report.page import columns as named
from isolux.report.page.columns import Column
from isolux.report.page.encode import listed, packed, rounded, texts
from isolux.report.page.facts import Tally
from isolux.report.page.gather import PLACE, Counted, Sampled, fitted
from isolux.report.page.histogram import Histogram
from isolux.report.page.truth import Compared, number

BINS = 60
ROOM = 600_000
"""Numbers of all points together that the page has room for."""
CHI2 = "reduced_chi2"
FINER = 4
"""Points of the expected distribution in a bin."""
EXPECTED_OF = 1000
"""Galaxies from whose degrees of freedom the expected distribution of chi-square is made."""
PULLS = 6.0
"""Where histograms of pulls end."""


def payload(
    sampled: Sampled,
    counted: Counted,
    columns: Sequence[Column],
    main: Sequence[str],
    truths: Sequence[Compared],
) -> dict[str, Any]:
    """What the charts and the gallery need; images are added by the caller."""
    names = {column.name for column in columns}
    points, place = joined(sampled)
    drawn = pointed(columns, main, truths, len(points))
    values = {column.name: found for column in drawn if (found := packed(points, column)) is not None}
    wanted = [name for name in (*main, CHI2) if name in counted.values]
    words = named.labels(columns)
    return {
        "total": sampled.total,
        "points": len(points),
        "columns": [vars(column) | {"label": words[column.name]} for column in columns],
        "main": list(main),
        "aliases": dict(named.aliases(main)),
        "magnitude": named.magnitude_of(columns),
        "sky": ["ra", "dec"] if {"ra", "dec"} <= names and _placed(points) else None,
        "values": values,
        "ids": texts(points, "id"),
        "shown": place,
        "full": {column.name: listed(sampled.shown, column) for column in columns},
        "order": sampled.shown[PLACE].to_pylist(),
        "histograms": {name: drawn_histogram(counted.values[name]) for name in wanted},
        "chi2": expected_chi2(points, counted.values[CHI2]) if CHI2 in counted.values else None,
        "compared": [comparison(pair, counted) for pair in truths],
    }


def joined(sampled: Sampled) -> tuple[Rows, list[int]]:
    """The points, the gallery's galaxies among them, and where those are."""
    import pyarrow
    import pyarrow.compute as pc

    points, shown = sampled.points, sampled.shown
    missing = shown.filter(pc.invert(pc.is_in(shown[PLACE], points[PLACE].combine_chunks())))
    table = pyarrow.concat_tables([points, missing], promote_options="default").combine_chunks()
    where = {row: k for k, row in enumerate(table[PLACE].to_pylist())}
    return table, [where[row] for row in shown[PLACE].to_pylist()]


def pointed(
    columns: Sequence[Column], main: Sequence[str], truths: Sequence[Compared], points: int
) -> list[Column]:
    """The columns that every point has: those of the charts, and as many others as there is room for."""
    needed = [*main, *(f"{name}_err" for name in main), "status", "flags", CHI2, "ra", "dec"]
    needed += [name for pair in truths for name in (pair.column, pair.truth, pair.error)]
    needed += [name for name in (named.magnitude_of(columns), "model", "star", "snr", "primary") if name]
    first = [column for column in columns if column.name in needed]
    rest = [column for column in columns if column.name not in needed and column.name != "id"]
    room = ROOM // max(points, 1) - len(first)
    return first + rest[: max(room, 0)]


def bins_for(total: int) -> int:
    """Bins of a histogram of so many values: as the cube root of their number (Scott 1979, Biometrika 66, 605)."""
    return int(np.clip(3.2 * total ** (1 / 3), 10, BINS))


def drawn_histogram(histogram: Histogram) -> dict[str, Any]:
    """A histogram over all galaxies for the page; ends are logarithms where ``log``."""
    low, high = _ends(histogram)
    counts, below, above = histogram.coarse(low, high, bins_for(histogram.total))
    return {
        "log": histogram.log,
        "low": low,
        "high": high,
        "counts": counts.tolist(),
        "below": below,
        "above": above,
        "total": histogram.total,
        "quantiles": rounded([histogram.quantile(q) for q in (0.15865, 0.5, 0.84135)]),
    }


def expected_chi2(points: Rows, histogram: Histogram) -> dict[str, Any]:
    """Reduced chi-square, and how it would be spread if every model were right and every sigma too."""
    low, high = max(histogram.low, 0.0), histogram.high
    middle = histogram.quantile(0.5)
    spread = max(histogram.quantile(0.95) - middle, middle - histogram.quantile(0.05), 0.02)
    low, high = max(low, middle - 4 * spread, 0.0), min(high, middle + 4 * spread)
    out = drawn_histogram(histogram) | {"low": low, "high": high}
    bins = bins_for(histogram.total)
    counts, below, above = histogram.coarse(low, high, bins)
    out |= {"counts": counts.tolist(), "below": below, "above": above, "expected": None}
    freedom = _degrees(fitted(points))
    if freedom.size:
        edges = np.linspace(low, high, FINER * bins + 1)
        share = np.diff(stats.chi2.cdf(edges[:, None] * freedom, freedom).mean(1))
        out["expected"] = rounded(FINER * share * histogram.total, 4)
    return out


def comparison(pair: Compared, counted: Counted) -> dict[str, Any]:
    """How a column compares with its truth, over all galaxies that have a fit."""
    away, pull = counted.differences[pair.column], counted.pulls[pair.column]
    low, high = -PULLS, PULLS
    counts, below, above = pull.coarse(low, high, 2 * (bins_for(pull.total) // 2))
    numbers = {
        "n": pull.total,
        "offset": away.quantile(0.5),
        "scatter": away.scatter(),
        "offset_error": 1.2533 * away.scatter() / max(away.total, 1) ** 0.5,
        "pull_offset": pull.quantile(0.5),
        "pull_width": pull.scatter(),
        "outliers": 100 * _beyond(pull, 5.0) / max(pull.total, 1),
    }
    return {
        **vars(pair),
        **{key: rounded([value])[0] for key, value in numbers.items()},
        "pulls": {"low": low, "high": high, "counts": counts.tolist(), "below": below, "above": above},
    }


def tally_lines(lines: Sequence[Tally]) -> list[Mapping[str, Any]]:
    """Lines of a table of statuses or flags for the scripts."""
    return [
        {"code": line.code, "name": line.name, "message": line.message, "count": line.count} for line in lines
    ]


def _degrees(rows: Rows) -> np.ndarray:
    """Degrees of freedom of some galaxies; empty where the catalogue does not tell."""
    if "dof" in rows.column_names:
        freedom = number(rows, "dof")
    elif {"n_pixels", "n_free"} <= set(rows.column_names):
        freedom = number(rows, "n_pixels") - number(rows, "n_free")
    else:
        return np.empty(0)
    return freedom[np.isfinite(freedom) & (freedom > 0)][:EXPECTED_OF]


def _ends(histogram: Histogram) -> tuple[float, float]:
    """Ends of what is drawn: the middle 99.8 per cent, with a little room."""
    if not histogram.total:
        return histogram.low, histogram.high
    low, high = histogram.quantile(0.001), histogram.quantile(0.999)
    if histogram.log:
        low, high = np.log10(low), np.log10(high)
    room = 0.03 * (high - low) or 0.5 * (histogram.high - histogram.low)
    return float(max(low - room, histogram.low)), float(min(high + room, histogram.high))


def _beyond(pull: Histogram, limit: float) -> int:
    _, below, above = pull.coarse(-limit, limit, 100)
    return below + above


def _placed(points: Rows) -> bool:
    return bool((np.isfinite(number(points, "ra")) & np.isfinite(number(points, "dec"))).any())
