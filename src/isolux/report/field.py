"""A figure of a measured field: what was seen, what was fitted, what is left."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from isolux.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, Sheet, house_style, image_map

COLOURS = {
    "point": BLUE,
    "exponential": GREEN,
    "sersic": ORANGE,
    "bulge+disc": VERMILLION,
    "sersic+point": PURPLE,
    "": GREY,
}
MOST_DRAWN = 400
"""Sources whose ellipses are drawn; more hide the image."""
LARGEST = 1500
"""Pixels a side that are drawn; larger fields are binned."""
SIDE, GAP, HEAD, FOOT = 3.4, 0.1, 0.5, 0.36


def field_figure(
    image: np.ndarray, model: np.ndarray, noise: np.ndarray, mask: np.ndarray, table: Any, title: str
) -> Figure:
    """Image with ellipses, model, and residual over noise.

    Parameters
    ----------
    image, model, noise : numpy.ndarray
        (y, x): without the background.
    mask : numpy.ndarray
        (y, x) of bool: True is bad.
    table : QTable
        The catalogue.
    title : str
        Above the panels.
    """
    step = max(1, -(-max(image.shape) // LARGEST))
    seen, drawn, sigma = (_binned(a, mask, step) for a in (image, model, noise))
    sigma = sigma / step
    wide = SIDE
    tall = min(SIDE * image.shape[0] / image.shape[1], 2 * SIDE)
    with house_style():
        sheet = Sheet.of(3 * wide + 4 * GAP, tall + HEAD + FOOT)
        typical = float(np.nanmedian(sigma)) or 1.0
        top = max(float(np.nanpercentile(seen, 99.8)), 10 * typical)
        norm = AsinhNorm(linear_width=2 * typical, vmin=-2 * typical, vmax=top)
        panels = [sheet.axes(GAP + k * (wide + GAP), HEAD, wide, tall) for k in range(3)]
        box = (-0.5, image.shape[1] - 0.5, -0.5, image.shape[0] - 0.5)
        for axes, pixels, name in zip(panels, (seen, drawn), ("image", "models"), strict=False):
            axes.imshow(
                pixels, norm=norm, cmap=image_map("gray"), origin="lower", extent=box, interpolation="nearest"
            )
            axes.set_title(name)
        with np.errstate(invalid="ignore", divide="ignore"):
            left = (seen - drawn) / np.sqrt(sigma**2)
        panels[2].imshow(
            left,
            vmin=-5,
            vmax=5,
            cmap=image_map("RdBu_r"),
            origin="lower",
            extent=box,
            interpolation="nearest",
        )
        panels[2].set_title("residual over sky noise, -5 to 5")
        _ellipses(panels[0], table)
        for axes in panels:
            axes.set_xlim(box[0], box[1])
            axes.set_ylim(box[2], box[3])
            axes.set_xticks([])
            axes.set_yticks([])
        sheet.figure.text(
            0.5, 1 - 0.04 / sheet.height, title, ha="center", va="top", fontsize=9, weight="bold"
        )
        _legend(sheet, table)
    return sheet.figure


def _binned(pixels: np.ndarray, mask: np.ndarray, step: int) -> np.ndarray:
    """Means over boxes of good pixels; NaN where there are none."""
    good = np.where(mask, np.nan, pixels.astype(np.float64))
    rows, columns = (length // step * step for length in good.shape)
    boxes = good[:rows, :columns].reshape(rows // step, step, columns // step, step)
    count = np.isfinite(boxes).sum((1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, np.nansum(boxes, (1, 3)) / count, np.nan)


def _ellipses(axes: Axes, table: Any) -> None:
    """Half-light ellipses twice enlarged, of the brightest sources."""
    if len(table) == 0:
        return
    plain = {
        n: np.asarray(getattr(table[n], "value", table[n]))
        for n in ("x", "y", "axis_ratio", "position_angle")
    }
    magnitude = np.nan_to_num(np.asarray(table["magnitude"].value), nan=99)
    scale = table.meta.get("pixel_scale", 1.0)
    radius = np.nan_to_num(np.asarray(table["effective_radius"].value)) / scale
    for k in np.argsort(magnitude)[:MOST_DRAWN]:
        major = 2 * max(2 * radius[k], 5.0)
        ratio = plain["axis_ratio"][k] if np.isfinite(plain["axis_ratio"][k]) else 1.0
        angle = plain["position_angle"][k] if np.isfinite(plain["position_angle"][k]) else 0.0
        axes.add_patch(
            Ellipse(
                (plain["x"][k], plain["y"][k]),
                major * ratio,
                major,
                angle=angle,
                fill=False,
                linewidth=0.7,
                edgecolor=COLOURS.get(str(table["model"][k]), GREY),
            )
        )


def _legend(sheet: Sheet, table: Any) -> None:
    """How many sources each model describes, in its colour."""
    counts = Counter(str(name) for name in table["model"])
    x = GAP / sheet.width
    for name, count in counts.most_common():
        text = f"{name or 'no fit'} {count}"
        sheet.figure.text(
            x, 0.12 / sheet.height, text, color=COLOURS.get(str(name), GREY), fontsize=8, weight="bold"
        )
        x += (0.085 * len(text) + 0.25) / sheet.width
