"""The figure of the scores in bins: docs/figures/field-scores.png."""

from collections.abc import Mapping
from typing import Any

import field_bound
import field_scores as scoring
import matplotlib as mpl
import numpy as np
from small_figures import save_small

mpl.use("Agg")
import matplotlib.pyplot as plt

LABELS = {
    "re": "half-light radius, relative",
    "n": "Sérsic index, dex",
    "q": "axis ratio",
    "magnitude": "magnitude",
}
FEWEST = 5
"""Galaxies of a bin that is shown."""
EMPTY = scoring.Bin(0, np.nan, np.nan, np.nan)
COLOURS = {"Isolux": "#0b5fa5", "SExtractor": "#d1741b"}


def draw(shown: Mapping[tuple[str, str], Any]) -> None:
    """Dispersion, bias and outliers of both codes against magnitude, for the surveys' single Sersic fields."""
    import field_tables as ft

    surveys = [survey for survey, kind in shown if kind == "sersic"]
    if not surveys:
        return
    figure, axes = plt.subplots(
        2 * len(surveys),
        4,
        figsize=(11.5, 4.6 * len(surveys)),
        squeeze=False,
        layout="constrained",
        sharey="row",
    )
    for row, survey in enumerate(surveys):
        mock, *pair = shown[survey, "sersic"]
        sigma = ft.bound_of(mock, field_bound.isolated(mock))
        edges = ft.edges_of(mock)
        middle = np.append(edges[1] - 0.5, (edges[1:-1] + edges[2:]) / 2)
        for column, name in enumerate(ft.QUANTITIES["sersic"]):
            above, below = axes[2 * row, column], axes[2 * row + 1, column]
            for one in pair:
                bins = [
                    b if b.count >= FEWEST else EMPTY
                    for b in ft.binned(mock, one, name, ft.common(tuple(pair)))
                ]
                colour, title = COLOURS[one.found.title], one.found.title
                above.plot(
                    middle,
                    [b.dispersion for b in bins],
                    "o-",
                    ms=4,
                    color=colour,
                    label=f"{title}, dispersion",
                )
                above.plot(middle, [abs(b.bias) for b in bins], ":", color=colour, label=f"{title}, |bias|")
                below.plot(middle, [100 * b.outliers for b in bins], "o-", ms=4, color=colour, label=title)
            expected = [
                scoring.expected_dispersion(sigma[name][inside])
                for inside in scoring.in_bins(mock.truth["magnitude"], edges)
            ]
            above.plot(middle, expected, "-", color="black", lw=1, label="bound, isolated galaxies")
            above.set(yscale="log", ylim=(2e-3, 3))
            above.set_title(LABELS[name], fontsize=10)
            below.set(xlabel=f"true magnitude, {mock.image.band}", ylim=(-2, 62))
            for axis in (above, below):
                axis.grid(alpha=0.3)
        axes[2 * row, 0].set_ylabel(f"{survey.upper()}-like\nerror")
        axes[2 * row + 1, 0].set_ylabel("outliers, %")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=9, loc="outside upper center", ncols=5)
    save_small(figure, "field-scores")
    plt.close(figure)
