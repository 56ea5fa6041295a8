"""One figure a galaxy for surface-brightness profiles, whatever measured them.

Left: the image with isophotes, and what is left of it when the profile is taken away. Right, over semi-major axis:
surface brightness with errors and the 68.3 % interval along the isophote, ellipticity, position angle and the curve of
growth. Of a method that says less, what it does not say is left out.
"""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from isolux.batch import Batch
from isolux.isophotes.ellipses import Ellipses, nodes
from isolux.isophotes.pixels import Curve
from isolux.isophotes.profiles import Isophotes
from isolux.isophotes.quality import PROFILE_MESSAGES, ProfileFlag, Quality
from isolux.report import panels
from isolux.report.labels import file_stems, number, with_error
from isolux.report.profile1d import Shape
from isolux.report.stretch import Stretch
from isolux.report.style import (
    BLACK,
    BLUE,
    COMPONENT_COLOURS,
    GREY,
    ORANGE,
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

IMAGE, GAP, EDGE = 2.75, 0.16, 0.18
HEAD, BELOW = 0.62, 0.46
LEFT, WIDE = 0.66, 4.1
HEIGHTS = (2.6, 0.95, 0.95, 1.15)
"""Inches of the panels over radius: brightness, ellipticity, angle, growth."""
ALONE = 3.2
"""That of the brightness where there is nothing else."""
REMARK = 122
"""Letters of a line of remarks."""
LETTER, SMALLEST = (0.088, 0.065), 0.65
"""Inches of a letter of the name and of the numbers, and the least size of a name over the usual."""
SHOWN = 9
"""Isophotes drawn on the image."""
FAINT = 0.35
"""Errors of the brightness in magnitudes above which points are drawn lighter."""


def isophote_figure(
    batch: Batch, profiles: Isophotes, galaxy: int | str, others: Mapping[str, Isophotes] | None = None
) -> Figure:
    """Draw the profile of one galaxy.

    Parameters
    ----------
    batch : Batch
        What was measured.
    profiles : Isophotes
        What came out of it.
    galaxy : int or str
        Number in the batch, or id.
    others : mapping of str to Isophotes, optional
        Profiles of the same galaxies in other bands, by name.

    Returns
    -------
    matplotlib.figure.Figure
        Also of a galaxy with an empty profile, with the reason.
    """
    k = batch.id.index(galaxy) if isinstance(galaxy, str) else galaxy
    with house_style():
        return _draw(batch, profiles, k, others or {})


def save_isophote_figures(
    batch: Batch,
    profiles: Isophotes,
    folder: str | Path,
    formats: Sequence[str] = ("png",),
    limit: int | None = None,
    others: Mapping[str, Isophotes] | None = None,
) -> list[Path]:
    """Write a figure for each galaxy of a batch, named after it; ``limit``: only the first so many.

    Raises
    ------
    InputError
        For an unknown format.
    """
    suffixes = checked_formats(formats)
    chosen = range(len(batch))[:limit]
    written = []
    for k, stem in zip(chosen, file_stems(batch.id[k] for k in chosen), strict=True):
        figure = isophote_figure(batch, profiles, k, others)
        written += [save(figure, Path(folder) / f"{stem}.{suffix}") for suffix in suffixes]
    return written


def _draw(batch: Batch, profiles: Isophotes, k: int, others: Mapping[str, Isophotes]) -> Figure:
    view = _view(batch, profiles, k)
    alone = "ellipticity" in profiles.unsaid
    heights = (ALONE,) if alone else HEIGHTS
    height = HEAD + sum(heights) + BELOW
    sheet = Sheet.of(EDGE + IMAGE + LEFT + WIDE + EDGE, height)
    _write_head(sheet, profiles, k)
    tall = IMAGE * min(max(view.image.shape[0] / view.image.shape[1], 0.5), 1.02)
    first = sheet.axes(EDGE, HEAD, IMAGE, tall)
    stretch = Stretch.of(view)
    panels.draw_light(first, view, view.image, stretch, above=True, masked=True)
    if not view.mask.all():
        panels.draw_scale(first, view)
    length = int(profiles.length[k])
    if length < 2:
        reason = "\n".join(_said(profiles, k))
        sheet.text(EDGE + IMAGE + LEFT, HEAD, "no profile", color=VERMILLION, fontweight="bold")
        sheet.text(EDGE + IMAGE + LEFT, HEAD + 0.2, printable(reason), fontsize=TEXT_SIZE, wrap=True)
        return sheet.figure
    if not alone:
        _draw_ellipses(first, profiles, k)
        top = HEAD + tall + 0.66
        second = sheet.axes(EDGE, top, IMAGE, min(tall, height - top - BELOW))
        _draw_rest(second, view, profiles, k, stretch)
    top = HEAD
    axes: list[Axes] = []
    for high in heights:
        axes.append(sheet.axes(EDGE + IMAGE + LEFT, top, WIDE, high))
        top += high
    _draw_brightness(axes[0], profiles, k, others)
    if not alone:
        _draw_shape(axes[1], axes[2], profiles, k)
        _draw_growth(axes[3], profiles, k)
    last = float(profiles.sma[k, length - 1] * profiles.pixel_scale[k])
    for panel in axes:
        panel.set_xlim(-0.02 * last, 1.03 * last)
        panel.tick_params(labelbottom=panel is axes[-1], top=True, right=True)
    axes[-1].set_xlabel("semi-major axis [arcsec]")
    sheet.figure.align_ylabels(axes)
    return sheet.figure


def _view(batch: Batch, profiles: Isophotes, k: int) -> GalaxyView:
    """The stamp without its padding."""
    tall, wide = max(batch.height[k], 1), max(batch.width[k], 1)
    part = (slice(0, tall), slice(0, wide))
    image, sigma = (t[k].double().cpu().numpy()[part] for t in (batch.image, batch.sigma))
    mask = batch.mask[k].cpu().numpy()[part]
    scale, zero = float(profiles.pixel_scale[k]), float(profiles.zero_point[k])
    shape = Shape((wide - 1) / 2, (tall - 1) / 2)
    return GalaxyView(batch.id[k], image, mask, sigma, (), zero, scale, shape)


def _write_head(sheet: Sheet, profiles: Isophotes, k: int) -> None:
    named = (
        ("total_magnitude", "m", " mag"),
        ("r50", "$R_{50}$", "″"),
        ("r90", "$R_{90}$", "″"),
        ("d25", "$D_{25}$", "″"),
    )
    parts = []
    for name, symbol, unit in named:
        if name not in [column.name for column in profiles.columns]:
            continue
        scale = 1.0 if name == "total_magnitude" else float(profiles.pixel_scale[k])
        value, error = float(profiles[name][k]) * scale, float(profiles.error_of(name)[k]) * scale
        if math.isfinite(value):
            parts.append(f"{symbol} = {with_error(value, error)}{unit}")
    numbers = ",   ".join(parts)
    sheet.text(sheet.width - EDGE, EDGE, numbers, fontsize=TEXT_SIZE, ha="right")
    room = sheet.width - 2 * EDGE - LETTER[1] * len(re.sub(r"[${}_]", "", numbers))
    name, size = _fitting(printable(profiles.id[k]), room / LETTER[0])
    sheet.text(EDGE, EDGE, name, fontsize=size, fontweight="bold", parse_math=False)
    remarks = "; ".join(_said(profiles, k))
    if remarks and int(profiles.length[k]) >= 2:
        lines = textwrap.wrap(remarks, REMARK, max_lines=2, placeholder=" ...")
        for number_, line in enumerate(lines):
            place = EDGE + 0.18 + 0.115 * number_
            sheet.text(EDGE, place, printable(line), fontsize=TEXT_SIZE - 1, color=VERMILLION)


def _fitting(name: str, letters: float) -> tuple[str, float]:
    """A name and its size where there is room for so many letters: smaller, or without its middle."""
    share = min(letters / max(len(name), 1), 1.0)
    if share < SMALLEST:
        half = max(int(letters / SMALLEST - 3) // 2, 4)
        name, share = f"{name[:half]}...{name[-half:]}" if len(name) > 2 * half + 3 else name, SMALLEST
    return name, TITLE_SIZE * share


def _said(profiles: Isophotes, k: int) -> list[str]:
    """The remarks on a galaxy; what a flag says in general is left out where its message says it in particular."""
    flags, message = profiles.flags[k], profiles.message[k]
    general = [m for m in flags.messages if not (message and m == PROFILE_MESSAGES[ProfileFlag.RESAMPLED])]
    return [*general, *([message] if message else [])]


def _draw_ellipses(axes: Axes, profiles: Isophotes, k: int) -> None:
    """Some of the isophotes, the same distance apart, dashed where their shape is held."""
    count = int(profiles.length[k])
    last = float(profiles.sma[k, count - 1])
    wanted = last * (np.arange(1, SHOWN + 1) / SHOWN) ** 1.3
    sma = profiles.sma[k, :count].cpu().numpy()
    for number_ in sorted({int(np.abs(sma - a).argmin()) for a in wanted} - {0}):
        e, angle = float(profiles.ellipticity[k, number_]), float(profiles.position_angle[k, number_])
        held = bool(int(profiles.quality[k, number_]) & int(Quality.HELD))
        size = 2 * sma[number_]
        place = float(profiles.x[k]), float(profiles.y[k])
        axes.add_patch(
            Ellipse(
                place,
                size * (1 - e),
                size,
                angle=angle,
                fc="none",
                ec="white",
                lw=0.7,
                ls=(0, (3, 2)) if held else "-",
            )
        )


def _draw_rest(axes: Axes, view: GalaxyView, profiles: Isophotes, k: int, stretch: Stretch) -> None:
    """Image less the profile along the isophotes."""
    model = profile_image(profiles, k, view.image.shape)
    left = dataclasses.replace(view, model=model)
    panels.draw_residual(axes, left, stretch)
    panels.title(axes, "image − isophotes")


def profile_image(profiles: Isophotes, galaxy: int, size: tuple[int, int]) -> np.ndarray:
    """The image (y, x) that the profile of a galaxy stands for, with the sky; the last brightness goes on as sky."""
    count = int(profiles.length[galaxy])
    sma = nodes(size)
    known = profiles.sma[galaxy].double().cpu().numpy()
    own = np.log(np.maximum(known, 1e-3))

    def at_nodes(values: torch.Tensor) -> torch.Tensor:
        found = np.interp(np.log(sma.numpy()), own[1:], values.double().cpu().numpy()[1:])
        return torch.as_tensor(found)

    shape = torch.stack([at_nodes(profiles.shape[galaxy, :, j]) for j in range(2)], 1)[None]
    x, y = (t[galaxy : galaxy + 1].double().cpu() for t in (profiles.x, profiles.y))
    radius = Ellipses(x, y, shape).semi_major_axis(size)
    level = at_nodes(profiles.intensity[galaxy])
    level = torch.where(sma > known[count - 1], 0.0, level)
    centre = profiles.intensity[galaxy, :1].double().cpu()
    light = Curve(centre, level[None]).at(radius.flatten(1).double()).reshape(size)
    light = torch.where(radius[0] > known[count - 1], 0.0, light)
    named = "sky" in [column.name for column in profiles.columns]
    sky = float(profiles["sky"][galaxy]) if named else math.nan
    return light.numpy() + (sky if math.isfinite(sky) else 0.0)


def _points(profiles: Isophotes, k: int) -> dict[str, np.ndarray]:
    count = int(profiles.length[k])
    scale = float(profiles.pixel_scale[k])
    names = (
        "surface_brightness",
        "surface_brightness_error",
        "ellipticity",
        "position_angle",
        "position_angle_error",
    )
    found = {name: getattr(profiles, name)[k, :count].double().cpu().numpy() for name in names}
    for name in ("intensity", "low", "high", "growth", "growth_error", "shape_error"):
        found[name] = getattr(profiles, name)[k, :count].double().cpu().numpy()
    found["radius"] = profiles.sma[k, :count].double().cpu().numpy() * scale
    found["held"] = (profiles.quality[k, :count].cpu().numpy() & int(Quality.HELD)) > 0
    return found


def _draw_brightness(axes: Axes, profiles: Isophotes, k: int, others: Mapping[str, Isophotes]) -> None:
    own = _points(profiles, k)
    zero, scale = float(profiles.zero_point[k]), float(profiles.pixel_scale[k])

    def magnitudes(flux: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return zero - 2.5 * np.log10(np.where(flux > 0, flux, np.nan) / scale**2)

    good = np.isfinite(own["surface_brightness"])
    faint = np.nanmax(own["surface_brightness"]) if good.any() else 30.0
    bright = np.nanmin(own["surface_brightness"]) if good.any() else 20.0
    low, high = (magnitudes(own[name]) for name in ("low", "high"))
    low = np.where(np.isfinite(low), low, faint + 9)
    measured = profiles.method == "isophotes"
    said = "68.3 % along the isophote" if measured else "68 % interval"
    if np.isfinite(own["low"]).any():
        axes.fill_between(own["radius"], high, low, color=ORANGE, alpha=0.22, lw=0, label=said)
    for number_, (name, other) in enumerate(others.items()):
        theirs = _points(other, k)
        line: dict[str, Any] = {
            "color": COMPONENT_COLOURS[number_ % len(COMPONENT_COLOURS)],
            "lw": 1.1,
            "label": name,
        }
        axes.plot(theirs["radius"], theirs["surface_brightness"], **line)
        if len(theirs["radius"]) and np.isfinite(theirs["surface_brightness"]).any():
            faint = max(faint, float(np.nanmax(theirs["surface_brightness"])))
            bright = min(bright, float(np.nanmin(theirs["surface_brightness"])))
    error = np.minimum(own["surface_brightness_error"], 3.0)
    style: dict[str, Any] = {
        "ms": 2.6,
        "mec": BLACK,
        "mew": 0.3,
        "elinewidth": 0.8,
        "ecolor": GREY,
        "color": ORANGE,
    }
    if measured:
        axes.errorbar(own["radius"], own["surface_brightness"], error, fmt="o", label="mean", **style)
    else:
        label = f"{profiles.method}, median" if np.isfinite(own["low"]).any() else profiles.method
        axes.plot(
            own["radius"],
            own["surface_brightness"],
            "o",
            color=ORANGE,
            ms=2.6,
            mec=BLACK,
            mew=0.3,
            label=label,
        )
    span = faint - bright
    axes.set_ylim(faint + 0.12 * span + 0.3, bright - 0.06 * span - 0.1)
    axes.set_ylabel(r"$\mu$ [mag arcsec$^{-2}$]")
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True, prune="lower"))
    axes.legend(loc="upper right")


def _draw_shape(upper: Axes, lower: Axes, profiles: Isophotes, k: int) -> None:
    own = _points(profiles, k)
    radius, held = own["radius"], own["held"]
    used = radius > 0
    angle = np.degrees(np.unwrap(np.radians(2 * own["position_angle"][used]))) / 2
    shown = np.degrees(0.5 * np.angle(np.exp(2j * np.radians(np.median(angle)))))
    angle = angle + 180 * np.round((shown - np.median(angle)) / 180)
    rows = (
        (upper, own["ellipticity"][used], own["shape_error"][used], "ellipticity"),
        (lower, angle, own["position_angle_error"][used], "PA [deg]"),
    )
    for axes, values, error, label in rows:
        axes.fill_between(radius[used], values - error, values + error, color=BLUE, alpha=0.2, lw=0)
        axes.plot(radius[used], np.where(held[used], np.nan, values), color=BLUE, lw=1.2)
        axes.plot(radius[used], np.where(held[used], values, np.nan), color=BLUE, lw=1.0, ls=(0, (2, 1.5)))
        axes.set_ylabel(label)
        axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    top = float(np.nanmax(own["ellipticity"][used]))
    upper.set_ylim(0, min(1.0, max(1.25 * top + 0.05, 0.2)))
    low, high = float(np.min(angle)), float(np.max(angle))
    room = max(0.15 * (high - low), 0.5 * (24.0 - (high - low)), 2.0)
    lower.set_ylim(low - room, high + room)


def _draw_growth(axes: Axes, profiles: Isophotes, k: int) -> None:
    own = _points(profiles, k)
    total = own["growth"][-1]
    if not total > 0:
        total = float(np.nanmax(np.abs(own["growth"]))) or 1.0
    share, error = own["growth"] / total, own["growth_error"] / total
    axes.fill_between(own["radius"], share - error, share + error, color=BLACK, alpha=0.2, lw=0)
    axes.plot(own["radius"], share, color=BLACK, lw=1.2)
    scale = float(profiles.pixel_scale[k])
    for name in ("r50", "r90"):
        radius = float(profiles[name][k]) * scale if name in [c.name for c in profiles.columns] else math.nan
        if math.isfinite(radius):
            axes.axvline(radius, color=GREY, lw=0.8, ls=(0, (4, 2)))
            axes.text(radius, 0.06, f" {name.upper()}", color=GREY, fontsize=TEXT_SIZE - 1, va="bottom")
    axes.set_ylim(0, 1.12)
    axes.set_ylabel("flux inside")
    axes.set_yticks([0, 0.5, 1.0], ["0", "0.5", number(1.0)])
