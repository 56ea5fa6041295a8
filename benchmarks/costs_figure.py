"""The figure of costs.py: cost against size, with lines of n log n."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from small_figures import save_small

from isolux.report.style import BLUE, GREEN, GREY, ORANGE, Sheet, house_style

TITLES = {
    "stamp": "stamp, pixels a side",
    "PSF": "PSF, pixels a side (stamp of 128)",
    "components": "Sérsic components (stamp of 128)",
    "sample": "galaxies of a sample (stamps of 64)",
}
PARTS = {"start": ORANGE, "fit": BLUE, "errors": GREEN}
SAMPLE_PARTS = {
    "listing and planning": ORANGE,
    "reading, fitting, writing": BLUE,
    "joining the catalogue": GREEN,
}


def save(found: Mapping[str, Sequence[Any]]) -> None:
    """Write docs/figures/costs.png."""
    with house_style():
        sheet = Sheet.of(7.2, 5.6)
        for k, (kind, rows) in enumerate(found.items()):
            axes = sheet.axes(0.55 + 3.6 * (k % 2), 0.2 + 2.75 * (k // 2), 2.9, 2.1)
            panel(axes, kind, rows)
        save_small(sheet.figure, "costs", dpi=130)


def panel(axes: Any, kind: str, rows: Sequence[Any]) -> None:
    """One size: the parts of the cost, and how n log n would grow through the middle of the largest."""
    whole = kind == "sample"
    scale = np.array([row.size / 1e3 if whole else 1.0 for row in rows])
    size, n = (np.array([getattr(row, name) for row in rows]) for name in ("size", "n"))
    parts = SAMPLE_PARTS if whole else PARTS
    for k, (name, colour) in enumerate(parts.items()):
        line = scale * [row.parts[k] for row in rows]
        axes.plot(size, line, "o-", ms=3, color=colour, label=name)
    main = scale * [row.parts[1] for row in rows]
    ideal, name = (n, "proportional") if kind == "components" else (n * np.log(n), "n log n")
    middle = len(rows) // 2
    axes.plot(size, main[middle] * ideal / ideal[middle], "--", lw=0.9, color=GREY, label=name, zorder=1)
    axes.set(xscale="log", yscale="log", xlabel=TITLES[kind])
    axes.set_ylabel("processor seconds" if whole else "processor ms a galaxy")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.35)
    if not whole:
        axes.set_xticks(size, [str(s) for s in size])
        axes.minorticks_off()
    axes.legend(fontsize=6.5, loc="upper left", ncols=1 if whole else 2)
