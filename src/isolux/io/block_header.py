"""The header of a model image: a fit's parameters as GALFIT writes them, and in full precision.

GALFIT's way is ``1_XC = '65.43 +/- 0.02'`` with pixels from 1, ``[fixed]``, ``{tied}`` and ``*in trouble*`` (at a
bound, or without an error). Beside it stand ``PARn``, ``VALn``, ``ERRn``, ``KINDn``: every parameter under its own
name, with pixels from 0.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from isolux.io.cards import card
from isolux.result import Result

GALFIT_KEYS = {
    "x": "XC",
    "y": "YC",
    "magnitude": "MAG",
    "effective_radius": "RE",
    "scale_radius": "RS",
    "fwhm": "FWHM",
    "core_radius": "RC",
    "truncation_radius": "RT",
    "outer_radius": "RAD",
    "sersic_index": "N",
    "beta": "C",
    "alpha": "ALPHA",
    "truncation_sharpness": "ALPHA",
    "central_slope": "BETA",
    "axis_ratio": "AR",
    "position_angle": "PA",
    "boxiness": "C0",
    "level": "SKY",
    "gradient_x": "DSDX",
    "gradient_y": "DSDY",
}
KINDS = {
    "sersic_index": "sersic",
    "scale_radius": "expdisk",
    "beta": "moffat",
    "fwhm": "gaussian",
    "core_radius": "king",
    "outer_radius": "ferrer",
    "level": "sky",
}
"""GALFIT's name of a component by a parameter that only it has; one with a place and light alone is a ``psf``."""


def describe(result: Result, galaxy: int, shape: Sequence[int]) -> str:
    """The cards of the fit of a galaxy.

    Parameters
    ----------
    result : Result
        The fit.
    galaxy : int
        Which row of it.
    shape : (int, int)
        Rows and columns of the image.
    """
    row = _Row(
        result,
        galaxy,
        result.values[galaxy].tolist(),
        result.errors[galaxy].tolist(),
        result.at_bound[galaxy].tolist(),
    )
    cards = [
        card("MAGZPT", float(result.zero_point[galaxy]), "Magnitude zeropoint"),
        card("PIXSCALE", float(result.pixel_scale[galaxy]), "arcsec a pixel"),
    ]
    names: dict[str, dict[str, int]] = {}
    for k, column in enumerate(result.columns):
        component, _, short = column.name.partition(".")
        names.setdefault(component, {})[short] = k
    for number, (component, columns) in enumerate(names.items(), start=1):
        other = "psf" if set(columns) <= {"x", "y", "magnitude", "flux"} else component
        kind = next((kind for short, kind in KINDS.items() if short in columns), other)
        cards.append(card(f"COMP_{number}", kind, component))
        if kind == "sky":
            cards.append(card(f"{number}_XC", f"[{(shape[1] + 1) / 2:.4f}]"))
            cards.append(card(f"{number}_YC", f"[{(shape[0] + 1) / 2:.4f}]"))
        cards += _magnitude_card(row, f"{number}_MAG", component)
        cards += _component_cards(row, number, columns)
    return "".join(cards + _full_cards(row) + _statistics_cards(result, galaxy))


@dataclasses.dataclass(frozen=True)
class _Row:
    """A galaxy's row of a result, its numbers as lists."""

    result: Result
    galaxy: int
    values: list[float]
    errors: list[float]
    at_bound: list[bool]


def _magnitude_card(row: _Row, key: str, component: str) -> list[str]:
    """The magnitude of a component whose parameter is another measure of its light."""
    result, derived = row.result, [q.name for q in row.result.derived]
    if f"{component}.magnitude" not in derived:
        return []
    k = derived.index(f"{component}.magnitude")
    value, error = (float(t[row.galaxy, k]) for t in (result.derived_values, result.derived_errors))
    return [card(key, galfit_text(value, error, "free", False), "total magnitude")]


def _component_cards(row: _Row, number: int, columns: Mapping[str, int]) -> list[str]:
    cards = []
    for short, k in columns.items():
        if short in GALFIT_KEYS:
            value = row.values[k] + (short in ("x", "y"))
            text = galfit_text(value, row.errors[k], row.result.kinds[k], row.at_bound[k])
            cards.append(card(f"{number}_{GALFIT_KEYS[short]}", text, row.result.columns[k].meaning[:40]))
    return cards


def galfit_text(value: float, error: float, kind: str, trouble: bool) -> str:
    """A parameter as GALFIT writes it: ``value +/- error``, ``[fixed]``, ``{tied}``, ``*trouble*``."""
    number, spread = (_short(n, value) for n in (value, error))
    if kind == "fixed":
        return f"[{number}]"
    if trouble or not math.isfinite(value + error):
        return f"*{number}* +/- *{spread}*"
    return f"{{{number}}} +/- {{{spread}}}" if kind == "tied" else f"{number} +/- {spread}"


def _short(number: float, beside: float) -> str:
    """Four decimals, as GALFIT has them; an exponent where these would hide the value."""
    return f"{number:.4e}" if 0 < abs(beside) < 0.01 else f"{number:.4f}"


def _full_cards(row: _Row) -> list[str]:
    cards = []
    for k, column in enumerate(row.result.columns):
        cards.append(card(f"PAR{k + 1}", column.name, column.unit))
        for keyword, numbers in (("VAL", row.values), ("ERR", row.errors)):
            if math.isfinite(numbers[k]):
                cards.append(card(f"{keyword}{k + 1}", numbers[k]))
        cards.append(card(f"KIND{k + 1}", row.result.kinds[k]))
    return cards


def _statistics_cards(result: Result, galaxy: int) -> list[str]:
    numbers: dict[str, tuple[float, str]] = {
        "CHISQ": (float(result.chi2[galaxy]), "Chi^2 of fit"),
        "NDOF": (int(result.dof[galaxy]), "Degrees of freedom"),
        "CHI2NU": (float(result.reduced_chi2[galaxy]), "Reduced Chi^2"),
        "NFREE": (int(result.n_free[galaxy]), "Number of free parameters"),
        "STATUS": (int(result.status[galaxy]), "0 converged"),
        "FLAGS": (int(result.flags[galaxy]), "sum of the codes of the remarks"),
    }
    cards = [
        card(key, number, meaning) for key, (number, meaning) in numbers.items() if math.isfinite(number)
    ]
    return [*cards, card("STATTEXT", result.describe(galaxy))]
