"""The figure of docs/non-parametric.md: what is measured without a model, on a smooth galaxy and on two that overlap.

ISOLUX_REAL_DATA=/the/folder python benchmarks/shapes_figure.py
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as Drawn
from shapes import Galaxy, real, run_statmorph
from small_figures import save_small

from isolux.nonparametric import Shapes, gini_m20, measure_shapes
from isolux.nonparametric.apertures import Ellipse
from isolux.nonparametric.petrosian import ETA, brightness_ratio
from isolux.nonparametric.stamps import as_stamps
from isolux.nonparametric.turn import Turner
from isolux.nonparametric.view import View, filled_image, look
from isolux.report.style import BLACK, BLUE, GREEN, ORANGE, SKY_BLUE, VERMILLION, house_style

SHOWN = {"gama-kids G265940": "G265940, KiDS r", "sdss-pymorph 00000018": "two galaxies, SDSS r"}
HALF = 1.7
"""Half the side of an image, in Petrosian radii."""


def main() -> None:
    folder = os.environ.get("ISOLUX_REAL_DATA")
    if not folder:
        sys.exit("set ISOLUX_REAL_DATA, the folder of the images")
    with tempfile.TemporaryDirectory() as work:
        galaxies = {galaxy.name: galaxy for galaxy in real(Path(folder), Path(work))}
    with house_style():
        figure = Figure(figsize=(7.4, 4.2))
        panels = figure.subplots(2, 4)
        figure.subplots_adjust(left=0.01, right=0.99, bottom=0.17, top=0.95, wspace=0.12, hspace=0.28)
        for row, (name, title) in zip(panels, SHOWN.items(), strict=True):
            draw_galaxy(row, galaxies[name], title)
        panels[1, 1].set_xlabel("radius, pixels")
        for axes, left, columns in ((panels[1, 0], 0.01, 5), (panels[1, 1], 0.44, 2)):
            handles, labels = axes.get_legend_handles_labels()
            place = {
                "loc": "lower left",
                "bbox_to_anchor": (left, 0.0),
                "columnspacing": 1.0,
                "handlelength": 1.2,
            }
            figure.legend(handles, labels, ncol=columns, **place)
        save_small(figure, "shapes", dpi=130)


def draw_galaxy(row: np.ndarray, galaxy: Galaxy, title: str) -> None:
    """Apertures, growth curve, difference from the turned image, and pixels of Gini and M20."""
    run_statmorph(galaxy)
    their = galaxy.theirs
    q, angle = 1 / their["elongation_asymmetry"], np.degrees(their["orientation_asymmetry"]) - 90
    numbers = {"x": their["xc_centroid"], "y": their["yc_centroid"], "axis_ratio": q, "position_angle": angle}
    shapes = measure_shapes(
        galaxy.image[None], galaxy.mask[None], their["sky_sigma"], **numbers, gain=galaxy.gain
    )
    names = {"sigma_sky": their["sky_sigma"], "gain": galaxy.gain, "psf_fwhm": None, "max_radius": None}
    stamps, _ = as_stamps(galaxy.image[None], galaxy.mask[None], None, numbers | names)
    x, y = shapes["x"], shapes["y"]
    circle = look(stamps, Ellipse.circle(x, y), torch.ones_like(x))
    ellipse = look(stamps, Ellipse.of(x, y, stamps.axis_ratio, stamps.angle), stamps.axis_ratio)
    filled = filled_image(stamps, ellipse)
    draw_apertures(row[0], filled[0].numpy(), shapes, q, angle, title)
    draw_growth(row[1], circle, shapes)
    draw_difference(row[2], filled, shapes)
    draw_pixels(row[3], filled, circle, ellipse, shapes)


def draw_apertures(axes: Axes, image: np.ndarray, shapes: Shapes, q: float, angle: float, title: str) -> None:
    frame(axes, shapes, title)
    axes.imshow(image, norm=AsinhNorm(3.0, -3, 0.7 * image.max()), cmap="gray_r", origin="lower")
    place = (float(shapes["x"][0]), float(shapes["y"][0]))
    for name, colour, label in (
        ("r20", SKY_BLUE, "$r_{20}$"),
        ("r50", BLUE, "$r_{50}$"),
        ("r80", GREEN, "$r_{80}$"),
    ):
        radius = float(shapes[name][0])
        axes.add_patch(Drawn(place, 2 * radius, 2 * radius, **line(colour, label)))
    for name, times, colour, label in (
        ("petrosian_radius", 1.0, VERMILLION, "Petrosian"),
        ("kron_radius", 2.5, ORANGE, "2.5 Kron"),
    ):
        major = 2 * times * float(shapes[name][0])
        patch = Drawn(place, q * major, major, angle=angle, **line(colour, label))
        axes.add_patch(patch)


def line(colour: str, label: str) -> dict[str, object]:
    return {"fill": False, "edgecolor": colour, "linewidth": 1.1, "label": label}


def draw_growth(axes: Axes, circle: View, shapes: Shapes) -> None:
    """Light within and brightness over mean brightness, against the radius of circles."""
    radius = circle.growth.radius.numpy()
    light = circle.growth.flux[0].numpy()
    petrosian = float(shapes["petrosian_radius_circular"][0])
    total = float(circle.growth.at(torch.tensor([[1.5 * petrosian]], dtype=torch.float64)))
    ratio = brightness_ratio(circle.growth, torch.ones(1, dtype=torch.float64))[0].numpy()
    far = radius <= 2.1 * petrosian
    axes.plot(radius[far], light[far] / total, color=BLACK, label="light within $r$ (over that of 1.5 $r_P$)")
    far &= radius >= 1
    axes.plot(radius[far], ratio[far], color=VERMILLION, label="brightness at $r$ / mean within")
    axes.axhline(ETA, color=VERMILLION, linewidth=0.6, linestyle=":")
    axes.axvline(petrosian, color=VERMILLION, linewidth=0.6)
    axes.axvline(1.5 * petrosian, color=BLACK, linewidth=0.6, linestyle=":")
    for name, colour in (("r20", SKY_BLUE), ("r50", BLUE), ("r80", GREEN)):
        axes.axvline(float(shapes[name][0]), color=colour, linewidth=0.8)
    axes.set(xlim=(0, 2.1 * petrosian), ylim=(-0.05, 1.15))
    axes.set_title(f"C = {float(shapes['concentration'][0]):.2f}")
    axes.set_box_aspect(1)


def draw_difference(axes: Axes, filled: torch.Tensor, shapes: Shapes) -> None:
    change = (filled - Turner.of(filled).about(shapes["x"], shapes["y"]))[0].numpy()
    frame(axes, shapes, f"image − turned: A = {float(shapes['asymmetry'][0]):.2f}")
    axes.imshow(change, norm=Normalize(-12, 12), cmap="RdBu_r", origin="lower")
    radius = 3 * float(shapes["petrosian_radius_circular"][0])
    place = (float(shapes["x"][0]), float(shapes["y"][0]))
    axes.add_patch(Drawn(place, radius, radius, fill=False, edgecolor=BLACK, linewidth=0.8))


def draw_pixels(axes: Axes, filled: torch.Tensor, circle: View, ellipse: View, shapes: Shapes) -> None:
    """The pixels of Gini, and the brightest of them that hold a fifth of the light."""
    axis = ellipse.radius / ellipse.stretch
    smooth = gini_m20.gaussian(filled, gini_m20.SMOOTHING * axis)
    edges = [(axis + half) * ellipse.stretch for half in (-0.5, 0.5)]
    ring = ellipse.inside(edges[1]) - ellipse.inside(edges[0])
    level = (ring * smooth.flatten(1)).sum(1) / ring.sum(1)
    pixels = gini_m20.segment(smooth, level.double(), circle.over.radius, circle.radius).pixels[0].numpy()
    values = np.sort(filled[0].numpy()[pixels])
    bright = values[np.searchsorted(values.cumsum(), 0.8 * values.sum())]
    kinds = pixels.astype(int) + (pixels & (filled[0].numpy() >= bright))
    m20 = f"{float(shapes['m20'][0]):.2f}".replace("-", "−")
    frame(axes, shapes, f"G = {float(shapes['gini'][0]):.2f}, $M_{{20}}$ = {m20}")
    axes.imshow(kinds, cmap=ListedColormap(["white", "#CCCCCC", VERMILLION]), vmin=0, vmax=2, origin="lower")


def frame(axes: Axes, shapes: Shapes, title: str) -> None:
    """An image without ticks, centred on the galaxy."""
    half = HALF * float(shapes["petrosian_radius"][0])
    x, y = float(shapes["x"][0]), float(shapes["y"][0])
    axes.set(xticks=[], yticks=[], xlim=(x - half, x + half), ylim=(y - half, y + half))
    axes.set_title(title)
    axes.set_box_aspect(1)
    axes.set_aspect("equal", adjustable="box")


if __name__ == "__main__":
    main()
