"""The header of a model image: a fit's parameters as GALFIT writes them, and in full precision.

GALFIT's way is ``1_XC = '65.43 +/- 0.02'`` with pixels from 1, ``[fixed]``, ``{tied}`` and ``*in trouble*`` (at a
bound, or without an error). Beside it stand ``PARn``, ``VALn``, ``ERRn``, ``KINDn``: every parameter under its own
name, with pixels from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from astropy.io import fits

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


def describe(header: fits.Header, result: Result, galaxy: int, shape: Sequence[int]) -> None:
    """Put the fit of a galaxy into a header.

    Parameters
    ----------
    header : Header
        Changed in place.
    result : Result
        The fit.
    galaxy : int
        Which row of it.
    shape : (int, int)
        Rows and columns of the image.
    """
    header["MAGZPT"] = (float(result.zero_point[galaxy]), "Magnitude zeropoint")
    header["PIXSCALE"] = (float(result.pixel_scale[galaxy]), "arcsec a pixel")
    names: dict[str, dict[str, int]] = {}
    for k, column in enumerate(result.columns):
        component, _, short = column.name.partition(".")
        names.setdefault(component, {})[short] = k
    for number, (component, columns) in enumerate(names.items(), start=1):
        other = "psf" if set(columns) <= {"x", "y", "magnitude", "flux"} else component
        kind = next((kind for short, kind in KINDS.items() if short in columns), other)
        header[f"COMP_{number}"] = (kind, component)
        if kind == "sky":
            header[f"{number}_XC"] = f"[{(shape[1] + 1) / 2:.4f}]"
            header[f"{number}_YC"] = f"[{(shape[0] + 1) / 2:.4f}]"
        _magnitude_card(header, result, galaxy, f"{number}_MAG", component)
        _component_cards(header, result, galaxy, number, columns)
    _full_cards(header, result, galaxy)
    _statistics_cards(header, result, galaxy)


def _magnitude_card(header: fits.Header, result: Result, galaxy: int, key: str, component: str) -> None:
    """The magnitude of a component whose parameter is another measure of its light."""
    derived = [q.name for q in result.derived]
    if f"{component}.magnitude" in derived:
        k = derived.index(f"{component}.magnitude")
        value, error = float(result.derived_values[galaxy, k]), float(result.derived_errors[galaxy, k])
        header[key] = (galfit_text(value, error, "free", False), "total magnitude")


def _component_cards(
    header: fits.Header, result: Result, galaxy: int, number: int, columns: Mapping[str, int]
) -> None:
    for short, k in columns.items():
        if short in GALFIT_KEYS:
            value = float(result.values[galaxy, k]) + (short in ("x", "y"))
            error, stuck = float(result.errors[galaxy, k]), bool(result.at_bound[galaxy, k])
            text = galfit_text(value, error, result.kinds[k], stuck)
            header[f"{number}_{GALFIT_KEYS[short]}"] = (text, plain(result.columns[k].meaning)[:40])


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


def _full_cards(header: fits.Header, result: Result, galaxy: int) -> None:
    for k, column in enumerate(result.columns, start=1):
        header[f"PAR{k}"] = (column.name, column.unit)
        for keyword, table in (("VAL", result.values), ("ERR", result.errors)):
            number = float(table[galaxy, k - 1])
            if math.isfinite(number):
                header[f"{keyword}{k}"] = number
        header[f"KIND{k}"] = result.kinds[k - 1]


def _statistics_cards(header: fits.Header, result: Result, galaxy: int) -> None:
    numbers: dict[str, tuple[float, str]] = {
        "CHISQ": (float(result.chi2[galaxy]), "Chi^2 of fit"),
        "NDOF": (int(result.dof[galaxy]), "Degrees of freedom"),
        "CHI2NU": (float(result.reduced_chi2[galaxy]), "Reduced Chi^2"),
        "NFREE": (int(result.n_free[galaxy]), "Number of free parameters"),
        "STATUS": (int(result.status[galaxy]), "0 converged"),
        "FLAGS": (int(result.flags[galaxy]), "sum of the codes of the remarks"),
    }
    for keyword, (number, meaning) in numbers.items():
        if math.isfinite(number):
            header[keyword] = (number, meaning)
    header["STATTEXT"] = plain(result.describe(galaxy))


def plain(text: str) -> str:
    """Text as a FITS header can hold it."""
    return text.encode("ascii", "replace").decode("ascii").replace("\n", " ")
