"""One figure a galaxy, after Figures 2 and B.6 of Chen et al. (2024): how well the model describes the data.

Left: data, model, what the model leaves over and its histogram, and each component where there are several.
Right: the radial profile. Above: name, goodness of fit, status and fitted parameters.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from isolux.batch import Batch
from isolux.report import panels
from isolux.report.curve import draw_curve
from isolux.report.fitted import view_of
from isolux.report.labels import file_stems, plain_name
from isolux.report.style import (
    BLACK,
    COMPONENT_COLOURS,
    TEXT_SIZE,
    TITLE_SIZE,
    VERMILLION,
    Sheet,
    checked_formats,
    house_style,
    printable,
    save,
)
from isolux.report.view import GalaxyView
from isolux.result import Result
from isolux.scene import Scene

PANEL, GAP, EDGE = 1.95, 0.14, 0.16
"""Inches: width of an image panel, between panels, at the edges."""
ABOVE, BELOW = 0.2, 0.5
"""Inches above each panel for its title and below it for its colour bar."""
LINE = 0.17
CURVE, CURVE_LEFT, CURVE_BELOW = 3.3, 0.62, 0.42
WRAP = 14.5
"""Letters an inch, at the least."""


def galaxy_figure(batch: Batch, scene: Scene, result: Result, galaxy: int | str) -> Figure:
    """Draw the fit of one galaxy.

    Parameters
    ----------
    batch : Batch
        What was fitted.
    scene : Scene
        The model that was fitted.
    result : Result
        What came out of it.
    galaxy : int or str
        Number in the batch, or id.

    Returns
    -------
    matplotlib.figure.Figure
        No window is opened; write it with :func:`isolux.report.save` or its own ``savefig``. A galaxy that was
        not fitted is drawn with the reason why.

    Raises
    ------
    InputError
        If there is no such galaxy, or the result is of another batch or scene.
    """
    return draw(view_of(batch, scene, result, galaxy))


def save_galaxy_figures(
    batch: Batch,
    scene: Scene,
    result: Result,
    folder: str | Path,
    formats: Sequence[str] = ("png",),
    limit: int | None = None,
) -> list[Path]:
    """Write a figure for each galaxy of a batch.

    Parameters
    ----------
    batch, scene, result
        As for :func:`galaxy_figure`.
    folder : str or path
        Made if it is not there.
    formats : sequence of str
        Any of ``png``, ``pdf``, ``svg``.
    limit : int, optional
        Only the first so many galaxies.

    Returns
    -------
    list of Path
        The files, named after the galaxies.

    Raises
    ------
    InputError
        For an unknown format, or if the result is of another batch or scene.
    """
    suffixes = checked_formats(formats)
    chosen = range(len(batch))[:limit]
    written = []
    for k, stem in zip(chosen, file_stems(batch.id[k] for k in chosen), strict=True):
        figure = galaxy_figure(batch, scene, result, k)
        written += [save(figure, Path(folder) / f"{stem}.{suffix}") for suffix in suffixes]
    return written


def draw(view: GalaxyView) -> Figure:
    """Draw a galaxy: all panels, or data and reason where it was not fitted."""
    with house_style():
        return _draw_fit(view) if view.model is not None else _draw_unfitted(view)


def _draw_fit(view: GalaxyView) -> Figure:
    parts = view.light if len(view.light) > 1 else ()
    count = 4 + len(parts)
    rows = 2 if count <= 8 else 3
    columns = -(-count // rows)
    tall = _panel_height(view)
    images = 2 * EDGE + columns * PANEL + (columns - 1) * GAP
    width = images + CURVE_LEFT + CURVE + EDGE
    header = _header(view, width - 2 * EDGE)
    head = EDGE + 0.26 + LINE * len(header) + 0.04
    body = rows * (ABOVE + tall + BELOW)
    sheet = Sheet.of(width, head + body)
    _write_header(sheet, view, header)
    places = [
        (EDGE + (k % columns) * (PANEL + GAP), head + ABOVE + (k // columns) * (ABOVE + tall + BELOW))
        for k in range(rows * columns)
    ]
    _draw_images(sheet, view, places, columns, tall)
    right, height = images + CURVE_LEFT, body - ABOVE - CURVE_BELOW
    upper = sheet.axes(right, head + ABOVE, CURVE, 0.73 * height)
    lower = sheet.axes(right, head + ABOVE + 0.75 * height, CURVE, 0.25 * height)
    draw_curve(upper, lower, view)
    sheet.figure.align_ylabels([upper, lower])
    return sheet.figure


def _draw_images(
    sheet: Sheet, view: GalaxyView, places: list[tuple[float, float]], columns: int, tall: float
) -> None:
    """Data, model, residual, then components, and the histogram in the last place."""
    stretch = panels.Stretch.of(view)
    parts = view.light if len(view.light) > 1 else ()
    axes = [sheet.axes(left, top, PANEL, tall) for left, top in (*places[: 3 + len(parts)], places[-1])]
    assert view.model is not None
    panels.draw_light(axes[0], view, view.image, stretch, above=True, masked=True)
    panels.draw_scale(axes[0], view)
    panels.draw_ellipse(axes[0], view.shape)
    panels.draw_light(axes[1], view, view.model, stretch, above=True, masked=False)
    panels.draw_residual(axes[2], view, stretch)
    for panel, name in zip(axes, ("data", "model", "data − model"), strict=False):
        panels.title(panel, name)
    for number, (panel, part) in enumerate(zip(axes[3:-1], parts, strict=True)):
        panels.draw_light(panel, view, part.image, stretch, above=False, masked=False)
        panels.draw_ellipse(axes[1], part.shape, number)
        panels.title(panel, plain_name(part.name), COMPONENT_COLOURS[number % len(COMPONENT_COLOURS)])
    panels.draw_histogram(axes[-1], view)
    panels.title(axes[-1], "residuals")


def _draw_unfitted(view: GalaxyView) -> Figure:
    tall = _panel_height(view)
    sheet = Sheet.of(PANEL + 3 * EDGE + 3.4, EDGE + 0.36 + ABOVE + tall + BELOW)
    sheet.text(EDGE, EDGE, printable(view.name), fontsize=TITLE_SIZE, fontweight="bold", parse_math=False)
    axes = sheet.axes(EDGE, EDGE + 0.36 + ABOVE, PANEL, tall)
    stretch = panels.Stretch.of(view)
    panels.draw_light(axes, view, view.image, stretch, above=True, masked=True)
    if not view.mask.all():
        panels.draw_scale(axes, view)
    panels.title(axes, "data")
    reason = "\n".join(textwrap.wrap(printable(view.status), 54))
    sheet.text(PANEL + 2 * EDGE, EDGE + 0.36 + ABOVE, "not fitted", color=VERMILLION, fontweight="bold")
    sheet.text(PANEL + 2 * EDGE, EDGE + 0.56 + ABOVE, reason, linespacing=1.4, parse_math=False)
    return sheet.figure


def _panel_height(view: GalaxyView) -> float:
    tall, wide = view.image.shape
    return PANEL * min(max(tall / wide, 0.5), 1.6)


def _header(view: GalaxyView, width: float) -> list[tuple[str, str]]:
    """Lines above the panels with their colours, without the galaxy's name: status first."""
    lines = [(line, BLACK) for line in textwrap.wrap(printable(view.status), int(WRAP * width))]
    several = len(view.light) > 1
    numbers = {component.name: k for k, component in enumerate(view.light)}
    for component, line in zip(view.components, view.lines, strict=False):
        coloured = several and component.name in numbers
        colour = COMPONENT_COLOURS[numbers[component.name] % len(COMPONENT_COLOURS)] if coloured else BLACK
        if line:
            lines.append((f"{plain_name(component.name)}:  {line}", colour))
    return lines


def _write_header(sheet: Sheet, view: GalaxyView, lines: list[tuple[str, str]]) -> None:
    sheet.text(EDGE, EDGE, printable(view.name), fontsize=TITLE_SIZE, fontweight="bold", parse_math=False)
    sheet.text(sheet.width - EDGE, EDGE, view.summary, fontsize=TEXT_SIZE, ha="right")
    for number, (line, colour) in enumerate(lines):
        sheet.text(EDGE, EDGE + 0.26 + LINE * number, line, fontsize=TEXT_SIZE, color=colour)
