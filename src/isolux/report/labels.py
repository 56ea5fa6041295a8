"""Fitted parameters as text: symbols, units and as many digits as the error warrants; names of files."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable

from isolux.result import Result

SYMBOLS = {
    "magnitude": "m",
    "flux": "F",
    "intensity": "I",
    "effective_radius": "$r_e$",
    "scale_radius": "$r_s$",
    "core_radius": "$r_c$",
    "truncation_radius": "$r_t$",
    "outer_radius": "$r_{out}$",
    "alpha": "α",
    "sersic_index": "n",
    "axis_ratio": "q",
    "position_angle": "PA",
    "boxiness": "B",
    "fwhm": "FWHM",
    "beta": "β",
}
UNITS = {"mag": " mag", "deg": "°", "arcsec": "″"}
HIDDEN = ("x", "y")
MOST_PLACES = 7
"""Most digits behind the point."""
MOST = 7
"""Most parameters named for one component."""


def symbol(parameter: str) -> str:
    """Symbol of a parameter, or its name in words."""
    short = parameter.rpartition(".")[2]
    return SYMBOLS.get(short, short.replace("_", " "))


def plain_name(component: str) -> str:
    """Name of a component as a legend can show it."""
    return component.replace("_", " ").strip() or "component"


def with_error(value: float, error: float) -> str:
    """A number and its error with two digits of the error; four digits where there is no error.

    Examples
    --------
    >>> with_error(3.14159, 0.0273)
    '3.142 ± 0.027'
    >>> with_error(17.0, float("nan"))
    '17'
    """
    if not math.isfinite(value):
        return "–"
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}".replace("-", "−")
    size = max(abs(value), error)
    if not 1e-3 <= size < 1e6:
        power = math.floor(math.log10(size))
        inner = with_error(value / 10.0**power, error / 10.0**power)
        return rf"({inner}) $\times 10^{{{power}}}$"
    places = max(1 - math.floor(math.log10(error)), 0)
    if places > MOST_PLACES:
        return f"{number(value, MOST_PLACES)} ± {number(error, 2)}"
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "−")


def number(value: float, digits: int = 3) -> str:
    """A number of few digits, with a power of ten where it is very large or small."""
    text = f"{value:.{digits}g}"
    mantissa, _, power = text.partition("e")
    if power:
        mantissa = {"1": "", "-1": "-"}.get(mantissa, rf"{mantissa}\times ")
        return rf"${mantissa}10^{{{int(power)}}}$"
    return text.replace("-", "−")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A fitted parameter: full name, unit, ``free``, ``fixed`` or ``tied``, value and error."""

    name: str
    unit: str
    kind: str
    value: float
    error: float
    at_bound: bool = False


def entries_of(result: Result, galaxy: int) -> list[Entry]:
    """The parameters of a galaxy."""
    columns = zip(result.columns, result.kinds, strict=True)
    numbers = zip(
        result.values[galaxy].tolist(),
        result.errors[galaxy].tolist(),
        result.at_bound[galaxy].tolist(),
        strict=True,
    )
    return [
        Entry(column.name, column.unit, kind, *number)
        for (column, kind), number in zip(columns, numbers, strict=True)
    ]


def component_line(entries: list[Entry], component: str, pixel_scale: float) -> str:
    """The parameters of a component, without its centre, as one line; sizes in arcsec."""
    parts: list[str] = []
    for entry in entries:
        owner, _, short = entry.name.partition(".")
        dull = short == "boxiness" and entry.kind == "fixed"
        if owner != component or short in HIDDEN or "[" in short or dull:
            continue
        size = entry.unit == "pixel"
        scale = pixel_scale if size else 1.0
        text = with_error(entry.value * scale, entry.error * scale)
        text = f"{symbol(short)} = {text}{UNITS.get('arcsec' if size else entry.unit, '')}"
        remark = "at bound" if entry.at_bound else entry.kind
        parts.append(text if remark == "free" else f"{text} ({remark})")
    return ",  ".join(parts[:MOST])


def file_stems(names: Iterable[str]) -> list[str]:
    """File names for galaxies: letters, digits and ``._+-`` stay; no two are the same."""
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^\w.+-]", "_", name).strip(".") or "galaxy"
        stem, number = plain, 2
        while stem.lower() in taken:
            stem, number = f"{plain}_{number}", number + 1
        taken.add(stem.lower())
        stems.append(stem)
    return stems
