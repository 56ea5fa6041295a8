"""The panels of a galaxy's figure that are images, and the histogram of its residuals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from isolux.report.labels import number, plain_name
from isolux.report.profile1d import Shape
from isolux.report.stretch import Stretch, asinh_ticks, reach, robust_scatter
from isolux.report.style import BLACK, BLUE, COMPONENT_COLOURS, DASHES, SMALL, image_map, tidy_ticks
from isolux.report.view import GalaxyView

LIGHT_MAP, RESIDUAL_MAP = "magma", "RdBu_r"
SCALE_BARS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


def draw_light(
    axes: Axes, view: GalaxyView, image: np.ndarray, stretch: Stretch, above: bool, masked: bool
) -> None:
    """Draw data or a model, with its colour bar; data with their masked pixels grey."""
    pixels = np.where(view.mask, np.nan, image) if masked else image
    drawn = _show(axes, stretch.scaled(pixels, above), image_map(LIGHT_MAP), stretch.norm())
    if masked and view.mask.all():
        axes.text(0.5, 0.5, "no usable pixel", transform=axes.transAxes, ha="center", va="center")
        return
    _colour_bar(axes, drawn, stretch.label(), asinh_ticks(stretch))


def draw_residual(axes: Axes, view: GalaxyView, stretch: Stretch) -> None:
    """Draw data less model in units of sigma, or of flux where sigma is not known."""
    if view.sigma is None:
        values = view.residual / 10.0**stretch.exponent
        label, least = stretch.label(above=False), 0.0
    else:
        values = view.residual / view.sigma
        label, least = "residual / σ", 3.0
    limit = reach(values, 99.5, least)
    drawn = _show(axes, values, image_map(RESIDUAL_MAP), Normalize(-limit, limit))
    step = float(f"{0.7 * limit:.1g}")
    _colour_bar(axes, drawn, label, [-step, 0.0, step])


def draw_histogram(axes: Axes, view: GalaxyView) -> None:
    """Draw the residuals over sigma (or over their own scatter) beside the Gaussian of unit width."""
    values = view.residual[~view.mask]
    if view.sigma is None:
        scatter = robust_scatter(values) if values.size else 0.0
        values, label = values / (scatter or 1.0), "residual / scatter"
    else:
        values, label = values / view.sigma[~view.mask], "residual / σ"
    limit = reach(values, 99.7, 5.0)
    axes.hist(values, bins=40, range=(-limit, limit), density=True, color=BLUE, alpha=0.55, label="pixels")
    grid = np.linspace(-limit, limit, 400)
    axes.plot(grid, np.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi), color=BLACK, lw=1, label="unit Gaussian")
    axes.set_xlim(-limit, limit)
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])
    axes.set_yticks([])
    axes.set_xlabel(label, fontsize=SMALL, labelpad=2)
    axes.legend(loc="upper left", borderaxespad=0.2, handlelength=1.2, labelspacing=0.2)
    axes.xaxis.set_major_locator(MaxNLocator(6, symmetric=True, prune="both", steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    rms = values.std()
    form = ".2f" if 0.05 < rms < 100 else ".2e"
    mean = float(f"{values.mean():{form}}") + 0.0  # no minus zero
    text = f"mean {mean:{form}}\nrms {rms:{form}}"
    axes.text(0.97, 0.955, text, transform=axes.transAxes, ha="right", va="top", fontsize=SMALL)


def draw_ellipse(axes: Axes, shape: Shape | None, component: int | None = None) -> None:
    """Draw the half-light ellipse of a component: white, or in the colour of component ``component``."""
    if shape is None or shape.effective_radius is None:
        return
    colour = "white" if component is None else COMPONENT_COLOURS[component % len(COMPONENT_COLOURS)]
    dash = DASHES[0] if component is None else DASHES[component % len(DASHES)]
    width, height = 2 * shape.effective_radius * shape.axis_ratio, 2 * shape.effective_radius
    place = (shape.x, shape.y)
    patch = Ellipse(place, width, height, angle=shape.position_angle, fc="none", ec=colour, lw=1.0, ls=dash)
    if component is not None:
        patch.set_path_effects([withStroke(linewidth=1.9, foreground="white", alpha=0.6)])
    axes.add_patch(patch)


def draw_scale(axes: Axes, view: GalaxyView) -> None:
    """Draw a scale bar in arcsec and a circle as wide as the PSF's half maximum."""
    tall, wide = view.image.shape
    across = wide * view.pixel_scale
    length = max((bar for bar in SCALE_BARS if bar <= 0.3 * across), default=SCALE_BARS[0])
    left, low = 0.06 * wide - 0.5, 0.06 * tall - 0.5
    axes.plot(
        [left, left + length / view.pixel_scale], [low, low], color="white", lw=1.6, solid_capstyle="butt"
    )
    edge = [withStroke(linewidth=1.2, foreground=BLACK)]
    words: dict[str, Any] = {"color": "white", "fontsize": SMALL, "va": "bottom", "path_effects": edge}
    axes.text(left, low + 0.02 * tall, f"{length:g}″", **words)
    if view.psf_width is not None:
        radius = 0.5 * view.psf_width
        right = 0.94 * wide - 0.5 - radius
        axes.add_patch(Circle((right, low + radius), radius, fc="none", ec="white", lw=0.9))
        axes.text(right - radius - 0.02 * wide, low, "PSF", **words, ha="right")


def title(axes: Axes, text: str, colour: str = BLACK) -> None:
    """Put a title close above a panel."""
    axes.set_title(plain_name(text), pad=3, color=colour, parse_math=False)


def _show(axes: Axes, pixels: np.ndarray, cmap: Any, norm: Normalize) -> AxesImage:
    axes.set_xticks([])
    axes.set_yticks([])
    shown = np.ma.masked_invalid(pixels)
    drawn = axes.imshow(shown, origin="lower", cmap=cmap, norm=norm, interpolation="nearest", aspect="equal")
    axes.autoscale(False)
    return drawn


def _colour_bar(axes: Axes, drawn: AxesImage, label: str, ticks: list[float]) -> None:
    place = axes.inset_axes((0.0, -0.07, 1.0, 0.035))
    bar = axes.figure.colorbar(drawn, cax=place, orientation="horizontal", ticks=ticks)
    bar.ax.minorticks_off()
    bar.ax.set_xticklabels([number(tick) for tick in ticks])
    tidy_ticks(bar.ax)
    bar.ax.tick_params(pad=1.5, length=2)
    bar.outline.set_linewidth(0.5)
    bar.set_label(label, fontsize=SMALL, labelpad=1)
