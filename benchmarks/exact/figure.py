"""The figure of the documentation: errors of all codes, and where in an image they are."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from exact.cases import NAMED, PLACES, SWEEPS, compared
from exact.compare import Answers
from exact.score import LARGEST
from exact.store import kept

COLOURS = {
    "isolux": "#0072B2",
    "pyimfit": "#D55E00",
    "petrofit": "#E69F00",
    "astrophot": "#CC79A7",
    "galmoss": "#009E73",
    "pysersic": "#555555",
}
MARKS = {"isolux": "o", "pyimfit": "s", "petrofit": "D", "astrophot": "^", "galmoss": "v", "pysersic": "x"}
TITLES = {"index": "Sérsic index", "radius": "effective radius, pixels", "q": "axis ratio"}
SHOWN = (4.0, 5.0, 0.6)
"""The galaxy whose image is shown."""
MAPPED = ("isolux", "pyimfit", "astrophot", "galmoss", "pysersic")


def draw(answers: Sequence[Answers], references: Path, path: Path) -> None:
    """Sweeps and distributions above, maps of differences below."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [a for a in answers if "pixel" not in a.row.options]
    figure = plt.figure(figsize=(13, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = above.subplots(1, 4, sharey=True)
    for axis, (field, values) in zip(axes, SWEEPS.items(), strict=False):
        sweep(axis, shown, field, values)
    distribution(axes[3], shown)
    axes[0].set(ylabel="largest error / maximum", ylim=(2e-6, 2))
    handles, labels = axes[0].get_legend_handles_labels()
    above.legend(handles, labels, loc="outside upper center", ncols=7, frameon=False, fontsize="small")
    maps(below, shown, references)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def sweep(axis, answers: Sequence[Answers], field: str, values: Sequence[float]) -> None:
    """Errors along one parameter, the worst of the places; dashed with the PSF at points."""
    for answer in answers:
        largest = np.array([o.largest for o in answer.errors[f"sweep {field}"]])
        star = answer.row.psf == "effective"
        style = {"color": COLOURS[answer.row.code], "lw": 1.4 if star else 0.8, "ls": "-" if star else "--"}
        style |= {"marker": MARKS[answer.row.code], "ms": 3.5} if star else {}
        name = answer.row.title.strip("*").split(",")[0]
        axis.plot(values, largest.reshape(-1, len(PLACES)).max(1), label=name if star else None, **style)
    axis.set(xscale="log", yscale="log", xlabel=TITLES[field])
    ticks = {"index": (0.3, 0.5, 1, 2, 4), "radius": (0.3, 1, 3, 10, 30), "q": (0.05, 0.1, 0.2, 0.5, 1)}[
        field
    ]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    finish(axis)


def distribution(axis, answers: Sequence[Answers]) -> None:
    """Share of the images whose error is below."""
    for answer in answers:
        if answer.row.psf != "effective":
            continue
        largest = np.sort([o.largest for name in ("ordinary", "extreme") for o in answer.errors[name]])
        share = (np.arange(len(largest)) + 1) / len(largest)
        axis.plot(100 * share, np.nan_to_num(largest, nan=1e3), color=COLOURS[answer.row.code], lw=1.4)
    axis.set(xlabel="share of all images with less, %", xlim=(0, 100))
    finish(axis)


def finish(axis) -> None:
    axis.axhline(LARGEST, color="k", lw=0.7, ls=":")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25, lw=0.5)


def maps(figure, answers: Sequence[Answers], references: Path) -> None:
    """One galaxy, and what the codes draw less what GalSim does, in per cent of its maximum."""
    case = compared()["named"][NAMED.index(SHOWN) * len(PLACES)]
    true = kept(references, "galaxy", (case.galaxy, case.psf, case.size), dict)["truth"]
    by_code = {a.row.code: a for a in answers if a.row.psf == "effective"}
    codes = [code for code in MAPPED if code in by_code]
    axes = figure.subplots(1, 1 + len(codes))
    middle = case.size // 2
    centre = slice(middle - 11, middle + 12)
    show(axes[0], np.log10(true / true.max())[centre, centre], (-3, 0), "GalSim, log10", "viridis")
    for axis, code in zip(axes[1:], codes, strict=True):
        difference = 100 * (by_code[code].images[case.name] - true)[centre, centre] / true.max()
        limit = 0.02 if code == "isolux" else 4.0
        name = by_code[code].row.title.strip("*").split(",")[0]
        show(axis, difference, (-limit, limit), f"{name} − GalSim, %", "RdBu_r")


def show(axis, image: np.ndarray, limits: tuple[float, float], title: str, colours: str) -> None:
    drawn = axis.imshow(image, origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1])
    axis.set_title(title, fontsize="medium")
    axis.set_axis_off()
    axis.figure.colorbar(drawn, ax=axis, orientation="horizontal", shrink=0.9, aspect=15, pad=0.03)
