"""Fitted against true values, or one code against another, after Figure 3 of Chen et al. (2024)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from isolux.errors import InputError
from isolux.report.labels import number, plain_name, symbol
from isolux.report.pairs import Pair, Values, pair_of
from isolux.report.style import BLUE, ORANGE, SMALL, Sheet, house_style, tidy_ticks

UNITS = {
    "magnitude": "mag",
    "position_angle": "deg",
    "effective_radius": "pixel",
    "circularised_radius": "pixel",
}
PANEL, MARGIN, SIDE, GAP, EDGE = 1.75, 0.52, 0.3, 0.06, 0.12
"""Inches: panel, room for its labels, marginal histogram, space between them, edge of the figure."""
MOST_BARS = 200
"""Most points that are drawn with error bars."""
MOST_BINS = 30


def comparison_figure(
    fitted: Values,
    truth: Values,
    names: Sequence[str],
    *,
    errors: Mapping[str, Any] | None = None,
    labels: tuple[str, str] = ("fitted", "true"),
    units: Mapping[str, str] | None = None,
) -> Figure:
    """Draw one panel a parameter: fitted against true values with the one-to-one line.

    Parameters
    ----------
    fitted, truth : mapping or Result
        Arrays (galaxy,) by parameter name. A name is looked up as it stands, then without its component, so that
        ``galaxy.magnitude`` also finds ``magnitude``.
    names : sequence of str
        Which parameters. Position angles, half a turn apart at most, are brought next to the true ones.
    errors : mapping, optional
        Errors of the fitted values by name; a Result brings its own. Drawn for up to 200 galaxies.
    labels : (str, str)
        What the vertical and the horizontal axes hold.
    units : mapping, optional
        Unit of each parameter, by its name without the component.

    Returns
    -------
    matplotlib.figure.Figure
        Each panel says R^2 = 1 - sum (fitted - true)^2 / sum (true - mean true)^2, and the median and half the
        16 to 84 per cent range of fitted less true. Values that are not finite are left out.

    Raises
    ------
    InputError
        For no names, an unknown one, or arrays of different lengths.
    """
    if not names:
        raise InputError("a comparison needs at least one parameter")
    pairs = [pair_of(name, fitted, truth, errors) for name in names]
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    cell = MARGIN + PANEL + GAP + SIDE
    with house_style():
        sheet = Sheet.of(2 * EDGE + columns * cell, 2 * EDGE + rows * cell)
        for k, pair in enumerate(pairs):
            left, top = EDGE + (k % columns) * cell, EDGE + (k // columns) * cell
            _draw_pair(sheet, left, top, pair, labels, {**UNITS, **(units or {})})
    return sheet.figure


def _draw_pair(
    sheet: Sheet, left: float, top: float, pair: Pair, labels: tuple[str, str], units: Mapping[str, str]
) -> None:
    main = sheet.axes(left + MARGIN, top + SIDE + GAP, PANEL, PANEL)
    above = sheet.axes(left + MARGIN, top, PANEL, SIDE)
    beside = sheet.axes(left + MARGIN + PANEL + GAP, top + SIDE + GAP, SIDE, PANEL)
    low, high = pair.range()
    _scatter(main, pair)
    main.plot([low, high], [low, high], color=ORANGE, lw=1.0, zorder=3)
    short = pair.name.rpartition(".")[2]
    quantity = f"{symbol(short)} [{units[short]}]" if units.get(short) else symbol(short)
    for axis, label in ((main.yaxis, labels[0]), (main.xaxis, labels[1])):
        axis.set_label_text(f"{plain_name(label)} {quantity}")
        axis.labelpad = 2
    _limit(main, low, high, pair.is_log)
    bins = min(max(int(2 * math.sqrt(pair.truth.size)), 8), MOST_BINS)
    edges = (np.geomspace if pair.is_log else np.linspace)(low, high, bins + 1).tolist()
    above.hist(pair.truth, bins=edges, color=BLUE, alpha=0.45)
    beside.hist(pair.fitted, bins=edges, orientation="horizontal", color=BLUE, alpha=0.45)
    for side in (above, beside):
        side.axis("off")
    if pair.is_log:
        above.set_xscale("log")
        beside.set_yscale("log")
    above.set_xlim(low, high)
    beside.set_ylim(low, high)
    main.text(
        0.04, 0.965, _verdict(pair), transform=main.transAxes, va="top", fontsize=SMALL, linespacing=1.3
    )


def _scatter(axes: Axes, pair: Pair) -> None:
    count = len(pair.truth)
    if pair.error is not None and 0 < count <= MOST_BARS:
        bars: dict[str, Any] = {"ms": 2.6, "elinewidth": 0.7, "color": BLUE, "ecolor": BLUE, "alpha": 0.75}
        axes.errorbar(pair.truth, pair.fitted, np.nan_to_num(pair.error), fmt="o", mec="none", **bars)
        return
    alpha = min(0.8, max(0.06, 20 / math.sqrt(count) / 5)) if count else 1.0
    size = 2.6 if count <= 1000 else 1.6
    axes.plot(
        pair.truth, pair.fitted, "o", ms=size, mec="none", color=BLUE, alpha=alpha, rasterized=count > 2000
    )


def _limit(axes: Axes, low: float, high: float, is_log: bool) -> None:
    """Give both axes the same range and ticks."""
    if is_log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    for axis in (axes.xaxis, axes.yaxis):
        if is_log:
            decades = math.log10(high / low)
            axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if decades < 3 else (1.0,)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        else:
            axis.set_major_locator(MaxNLocator(4))
    tidy_ticks(axes)


def _verdict(pair: Pair) -> str:
    """R^2, offset and scatter as text, and how many points lie outside the panel."""
    if not pair.truth.size:
        return "no values"
    difference = pair.fitted - pair.truth
    low, middle, high = np.percentile(difference, (15.87, 50, 84.13))
    low_end, high_end = pair.range()
    both = np.stack([pair.fitted, pair.truth])
    outside = int(((both < low_end) | (both > high_end)).any(0).sum())
    lines = [f"$R^2$ = {pair.r_squared:.4f}" if math.isfinite(pair.r_squared) else "$R^2$ –"]
    lines.append(f"Δ = {number(middle, 2)} ± {number((high - low) / 2, 2)}")
    return "\n".join([*lines, f"{outside} outside"] if outside else lines)
