"""How figures look: sizes, fonts and colours, the same everywhere and set for the moment of drawing only.

Lines have the colours of Okabe and Ito (2008), images a perceptually uniform map, residuals a diverging map that
the colour-blind can read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from isolux.errors import InputError

ORANGE, BLUE, GREEN, VERMILLION = "#E69F00", "#0072B2", "#009E73", "#D55E00"
PURPLE, SKY_BLUE, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#8C8C8C"
COMPONENT_COLOURS = (VERMILLION, BLUE, GREEN, PURPLE, SKY_BLUE)
DASHES: tuple[Any, ...] = (
    (0, (5, 2)),
    (0, (1, 1.3)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
TEXT_SIZE, SMALL, TITLE_SIZE = 8.0, 7.0, 10.0
DPI = 200
FORMATS = ("png", "pdf", "svg")

RC: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT_SIZE,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": TEXT_SIZE,
    "axes.labelsize": TEXT_SIZE,
    "axes.linewidth": 0.7,
    "axes.unicode_minus": True,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "text.usetex": False,
}


def house_style() -> AbstractContextManager[None]:
    """The style as a context; nothing outside it changes."""
    return matplotlib.style.context(["default", dict(RC)])


def image_map(name: str) -> Colormap:
    """A colour map with grey for masked pixels."""
    return matplotlib.colormaps[name].with_extremes(bad="0.62")


@dataclasses.dataclass(frozen=True, eq=False)
class Sheet:
    """A figure whose axes are placed in inches from its upper left corner."""

    figure: Figure
    width: float
    height: float

    @classmethod
    def of(cls, width: float, height: float) -> Sheet:
        """An empty sheet; no window is ever opened."""
        return cls(Figure(figsize=(width, height)), width, height)

    def axes(self, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
        """Axes at a place, with ticks as on every figure."""
        bottom = 1 - (top + height) / self.height
        place = (left / self.width, bottom, width / self.width, height / self.height)
        axes = self.figure.add_axes(place, **options)
        tidy_ticks(axes)
        return axes

    def text(self, left: float, top: float, text: str, **options: Any) -> None:
        """Text whose upper edge lies at ``top``."""
        self.figure.text(left / self.width, 1 - top / self.height, text, va="top", **options)


def tidy_ticks(axes: Axes) -> None:
    """Ticks inward, with the font size written down so that it outlives the style."""
    axes.tick_params(which="both", direction="in", labelsize=SMALL, width=0.6)


def printable(text: str) -> str:
    """The text with every character that the font lacks replaced by a question mark."""
    font = get_font(findfont("DejaVu Sans"))
    return "".join(c if font.get_char_index(ord(c)) else "?" for c in text.expandtabs(4).replace("\n", " "))


def checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """File formats without dots, in lower case.

    Raises
    ------
    InputError
        For a format that is not one of ``FORMATS``.
    """
    listed = [formats] if isinstance(formats, str) else formats
    plain = tuple(name.lower().lstrip(".") for name in listed)
    for name in plain:
        if name not in FORMATS:
            raise InputError("format of a figure", name, ", ".join(FORMATS))
    return plain


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format of the path's suffix, for print.

    Raises
    ------
    InputError
        For a suffix that is not one of ``FORMATS``.
    """
    path = Path(path)
    checked_formats([path.suffix])
    path.parent.mkdir(parents=True, exist_ok=True)
    with house_style():
        figure.savefig(path, dpi=DPI)
    return path
