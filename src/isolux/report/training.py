"""The figure of a training: its loss, its rate, and the scores of the validation set against the step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isolux.report.style import Sheet, house_style, save

WIDTH, HEIGHT, LEFT, TOP, GAP = 6.4, 1.5, 0.75, 0.2, 0.12
NAMES = {
    "loss": "loss",
    "score": "median |Δμ|",
    "inside": "in 68 % interval",
    "end_rings": "rings, end",
    "empty_right": "empty found",
    "end_steps": "steps, end",
}


def save_training_figure(rows: Sequence[dict[str, float]], path: Path) -> Path:
    """Draw the log of a training.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the log; ``step`` and some of ``NAMES``.
    path : Path
        Of the figure.
    """
    names = [name for name in NAMES if name in rows[0]]
    with house_style():
        sheet = Sheet.of(WIDTH, TOP + len(names) * (HEIGHT + GAP) + 0.4)
        for number, name in enumerate(names):
            axes = sheet.axes(LEFT, TOP + number * (HEIGHT + GAP), WIDTH - LEFT - 0.15, HEIGHT)
            axes.plot([row["step"] for row in rows], [row[name] for row in rows], lw=1, marker=".", ms=3)
            axes.set_ylabel(NAMES[name], fontsize=8)
            if name in ("loss", "score"):
                axes.set_yscale("log" if min(row[name] for row in rows) > 0 else "linear")
            if name == "inside":
                axes.axhline(0.6827, color="0.6", lw=0.8)
            if number < len(names) - 1:
                axes.tick_params(labelbottom=False)
        axes.set_xlabel("step", fontsize=8)
        return save(sheet.figure, path)
