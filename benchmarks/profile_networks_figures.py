"""The figures of the benchmark of networks, after Figures 3 to 6 of Smith et al. (2021)."""

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from profile_networks_scores import BRIGHT, Scores
from profile_networks_truth import GRID
from small_figures import save_small

COLOURS = {
    "polar": "#c1440e", "isophotes": "#1f5a8c", "Sersic": "#7a7a7a", "pix2prof": "#b58900",
    "photutils": "#2a8a57", "AutoProf": "#7d4aa3",
}  # fmt: skip
NAMES = {"own": "own simulator", "mocks": "GalSim mocks", "shifted": "shifted GalSim galaxies"}
LEFT, FLOOR = 0.1, 0.003
TICKS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)
"""Lines end where fewer than this share of profiles is left; deviations below the second are drawn at it."""
Found = dict[str, dict[str, Scores]]


def spelt(code: str) -> str:
    """A code's name."""
    return "Sérsic" if code == "Sersic" else code


def codes_of(found: Found) -> list[plt.Line2D]:
    """Entries of the legend."""
    shown = [c for c in COLOURS if any(c in some for some in found.values())]
    return [plt.Line2D([], [], color=COLOURS[c], label=spelt(c)) for c in shown]


def draw(found: Found, folder: Path | None) -> None:
    """All of them, to docs/figures or a folder."""
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    for name, figure in (
        ("networks-profiles", profiles(found)),
        ("networks-deviation", lines(found)),
        ("networks-histograms", violins(found)),
        ("networks-dependence", dependence(found)),
    ):
        if figure is not None:
            save_small(figure, name if folder is None else str(folder.resolve() / name))
            plt.close(figure)


def profiles(found: Found) -> plt.Figure | None:
    """Profiles of galaxies taken at random, and the deviations (the paper's Figure 3)."""
    chosen = []
    for name, some in found.items():
        count = len(some["isophotes"].samples)
        rows = np.random.default_rng(3).permutation(count)[:4]
        chosen += [(name, k) for k in rows]
    figure = plt.figure(figsize=(9, 9.5), layout="constrained")
    grid = figure.add_gridspec(2 * len(found), 4, height_ratios=[2.2, 1] * len(found))
    for place, (name, k) in enumerate(chosen):
        row, column = divmod(place, 4)
        top = figure.add_subplot(grid[2 * row, column])
        below = figure.add_subplot(grid[2 * row + 1, column], sharex=top)
        _profile(top, below, found[name], int(k), name)
        if column == 0:
            top.set_ylabel("mag/arcsec²")
            below.set_ylabel("deviation")
        if row == len(found) - 1:
            below.set_xlabel("semi-major axis (arcsec)")
    handles = [plt.Line2D([], [], color="k", lw=1.4, label="truth")]
    figure.legend(handles=handles + codes_of(found), loc="outside upper center", ncols=7, frameon=False)
    return figure


def _profile(top: plt.Axes, below: plt.Axes, some: dict[str, Scores], k: int, name: str) -> None:
    sample = some["isophotes"].samples[k]
    radii = GRID * sample.pixel_scale
    truth = some["isophotes"].truth[k]
    end = radii[np.isfinite(truth)][-1]
    top.plot(radii, truth, color="k", lw=1.4, zorder=3)
    below.axhline(0, color="k", lw=0.8)
    for code, scores in some.items():
        names = [s.name for s in scores.samples]
        if sample.name in names:
            own = names.index(sample.name)
            said = np.where(scores.said[own] < 40, scores.said[own], np.nan)
            top.plot(radii, said, color=COLOURS[code], lw=0.9)
            below.plot(radii, scores.deviation[own], color=COLOURS[code], lw=0.9)
    good = truth[np.isfinite(truth)]
    top.set_ylim(good.max() + 1.2, good.min() - 0.5)
    top.set_xlim(radii[1], 1.3 * end)
    top.set_xscale("log")
    below.set_ylim(0.5, -0.5)
    top.tick_params(labelbottom=False)
    _log_ticks(below)
    kind = sample.survey if name == "own" else f"{sample.survey}, {sample.kind}"
    top.set_title(f"{NAMES[name]}\n{kind}", fontsize=7, pad=2)


def _log_ticks(axes: plt.Axes) -> None:
    low, high = axes.get_xlim()
    places = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000, 10000) if low <= t <= high]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))


def lines(found: Found) -> plt.Figure:
    """Median |deviation| against brightness and radius, with the middle half (the paper's Figure 4, lines)."""
    figure, axes = plt.subplots(
        2, len(found), figsize=(9, 5.4), sharey=True, layout="constrained", squeeze=False
    )
    brightness, radius = np.arange(16, 28.6, 0.5), np.geomspace(0.05, 8, 18)
    for column, (name, some) in enumerate(found.items()):
        for code, scores in some.items():
            half = np.array([s.half_light for s in scores.samples])[:, None]
            for place, values, edges in ((0, scores.truth, brightness), (1, GRID[None] / half, radius)):
                _line(axes[place, column], scores, np.broadcast_to(values, scores.truth.shape), edges, code)
        axes[0, column].set_title(NAMES[name])
        axes[0, column].axvline(BRIGHT, color="0.7", lw=0.8, ls=":")
        axes[0, column].set_xlabel("true surface brightness (mag/arcsec²)")
        axes[1, column].set_xlabel("semi-major axis / r50")
        axes[1, column].set_xscale("log")
        axes[1, column].set_xlim(0.05, 8)
        _log_ticks(axes[1, column])
    for axis in axes[:, 0]:
        axis.set_ylabel("median |deviation| (mag/arcsec²)")
        _deviation_axis(axis)
    figure.legend(handles=codes_of(found), loc="outside upper center", ncols=6, frameon=False)
    return figure


def _deviation_axis(axis: plt.Axes) -> None:
    axis.set_yscale("log")
    axis.set_ylim(FLOOR, 3)
    axis.yaxis.set_major_locator(FixedLocator(TICKS))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))


def _line(axes: plt.Axes, scores: Scores, values: np.ndarray, edges: np.ndarray, code: str) -> None:
    middles, rows = [], []
    for low, high in itertools.pairwise(edges):
        each = scores.within((values >= low) & (values < high)).each()
        each = each[np.isfinite(each)]
        if len(each) >= max(5, LEFT * len(scores.samples)):
            middles.append(np.sqrt(low * high))
            rows.append(np.maximum(np.percentile(each, (25, 50, 75)), FLOOR))
    if not rows:
        return
    quarter, half, three = np.array(rows).T
    axes.plot(middles, half, color=COLOURS[code], lw=1.6 if code in ("polar", "isophotes") else 1)
    if code in ("polar", "isophotes"):
        axes.fill_between(middles, quarter, three, color=COLOURS[code], alpha=0.15, lw=0)


def violins(found: Found) -> plt.Figure:
    """Distributions of each profile's median |deviation|, at all radii and brighter ones (the paper's Figure 4)."""
    figure, axes = plt.subplots(
        1, len(found), figsize=(9, 3.4), sharey=True, layout="constrained", squeeze=False
    )
    for axis, (name, some) in zip(axes[0], found.items(), strict=True):
        for place, (code, scores) in enumerate(some.items()):
            for side, part in (("low", scores), ("high", scores.within(scores.truth < BRIGHT))):
                each = part.each()
                each = np.log10(np.clip(each[np.isfinite(each)], FLOOR, 3))
                if len(each) < 5:
                    continue
                drawn = axis.violinplot([each], [place], widths=0.8, showextrema=False, side=side)
                drawn["bodies"][0].set(facecolor=COLOURS[code], alpha=0.75 if side == "low" else 0.35)
                step = -0.2 if side == "low" else 0.2
                axis.plot([place, place + step], [np.median(each)] * 2, color="k", lw=1.2)
        labels = [f"{spelt(c)}\n{np.isfinite(s.each()).sum()}" for c, s in some.items()]
        axis.set_xticks(range(len(some)), labels, fontsize=6.5)
        axis.set_title(NAMES[name])
    axes[0, 0].set_yticks(np.log10(TICKS), [f"{tick:g}" for tick in TICKS])
    axes[0, 0].set_ylabel("median |deviation| of a profile\n(mag/arcsec²)")
    figure.supxlabel(
        "left half: all radii; right half: brighter than 26.5 mag/arcsec²; number of profiles", fontsize=7
    )
    return figure


def dependence(found: Found) -> plt.Figure | None:
    """Each profile's deviation by S/N, size, shape and crowding (the paper's Figure 6), and by survey (Figure 5)."""
    code = "polar" if all("polar" in s for s in found.values()) else "isophotes"
    figure, axes = plt.subplots(2, 3, figsize=(9, 5.6), sharey=True, layout="constrained")
    panels = [
        ("S/N inside r50", lambda s: s.significance, (5, 2e4)),
        ("r50 (pixels)", lambda s: s.half_light, (1.2, 60)),
        ("ellipticity of the last isophote", lambda s: s.last_ellipticity, None),
        ("next neighbour / r50", lambda s: s.nearest / s.half_light, (1, 60)),
    ]
    for axis, (label, value, span) in zip(axes.flat, panels, strict=False):
        _scatter(axis, found, code, value, span)
        axis.set_xlabel(label)
    for axis, name in zip(axes.flat[4:], ("own", "shifted"), strict=True):
        _by_survey(axis, found[name][code])
        axis.set_xlabel(f"semi-major axis / r50 ({NAMES[name]})")
    for axis in axes[:, 0]:
        axis.set_ylabel("median |deviation| (mag/arcsec²)")
        _deviation_axis(axis)
    shown = dict.fromkeys((code, "isophotes"))
    handles = [
        plt.Line2D(
            [],
            [],
            color=COLOURS[c],
            marker="o" if c == code else None,
            ms=3,
            label=spelt(c),
        )
        for c in shown
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _scatter(axis: plt.Axes, found: Found, code: str, value, span: tuple[float, float] | None) -> None:
    if span:
        axis.set_xscale("log")
        axis.set_xlim(*span)
        _log_ticks(axis)
    for name in dict.fromkeys((code, "isophotes")):
        x = np.array([value(s) for some in found.values() for s in some[name].samples])
        y = np.concatenate([some[name].each() for some in found.values()])
        good = np.isfinite(x) & np.isfinite(y)
        x, y = x[good], np.maximum(y[good], FLOOR)
        if name == code:
            axis.plot(x, y, ".", color=COLOURS[name], ms=3, alpha=0.4, mew=0)
        order = np.argsort(x)
        parts = [p for p in np.array_split(order, 12) if len(p) >= 5]
        axis.plot(
            [np.median(x[p]) for p in parts], [np.median(y[p]) for p in parts], color=COLOURS[name], lw=1.6
        )


def _by_survey(axis: plt.Axes, scores: Scores) -> None:
    surveys = np.array([s.survey for s in scores.samples])
    edges = np.geomspace(0.05, 8, 14)
    for number, name in enumerate(sorted(set(surveys.tolist()))):
        some = scores.pick(surveys == name)
        radii = GRID[None] / np.array([s.half_light for s in some.samples])[:, None]
        x, y = [], []
        for low, high in itertools.pairwise(edges):
            each = some.within((radii >= low) & (radii < high)).each()
            if np.isfinite(each).sum() >= max(5, LEFT * len(each)):
                x.append(np.sqrt(low * high))
                y.append(max(np.nanmedian(each), FLOOR))
        axis.plot(x, y, color=plt.cm.viridis(number / 5), label=name, lw=1.4)
    axis.set_xscale("log")
    axis.set_xlim(0.05, 8)
    _log_ticks(axis)
    axis.legend(frameon=False, fontsize=6.5)
