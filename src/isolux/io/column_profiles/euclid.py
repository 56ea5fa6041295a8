"""Columns of Euclid's MER catalogues, Quick Release 1: positions and Sérsic fluxes, and the morphology of Sérsic fits.

Fluxes are microjansky. The structure is that of one set of bands, ``VIS`` or ``NIR``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isolux.io.column_profiles.light import NANOJANSKY, Light
from isolux.result import CatalogueColumn

ZERO_POINT = 23.9
MICROJANSKY = 10 ** (0.4 * (NANOJANSKY - ZERO_POINT))
PLACE = ("RIGHT_ASCENSION", "DECLINATION")
"""Columns of the position."""
NIR = ("Y", "J", "H")
ONE = "one standard deviation of it"


def columns(light: Light, first: int) -> Iterator[CatalogueColumn]:
    """The columns of galaxies, the first of which is row ``first`` of the catalogue."""
    yield "OBJECT_ID", np.arange(first, first + len(light), dtype=np.int64), "", "number of the row, from 0"
    yield "RIGHT_ASCENSION", light.ra, "deg", "right ascension, ICRS"
    yield "DECLINATION", light.dec, "deg", "declination, ICRS"
    for band, flux in light.flux.items():
        scaled = flux / MICROJANSKY
        yield f"FLUX_{band.upper()}_SERSIC", scaled[:, 0], "uJy", f"total flux in {band}, AB"
        yield f"FLUXERR_{band.upper()}_SERSIC", scaled[:, 1], "uJy", ONE
    shape = structure(list(light.flux))
    described = (
        ("RADIUS", light.radius, "arcsec", "half-light semi-major axis"),
        ("AXIS_RATIO", light.axis_ratio, "", "minor over major axis"),
        ("INDEX", light.index, "", "Sersic index"),
    )
    for name, pair, unit, meaning in described:
        yield f"{shape}_{name}", pair[:, 0], unit, meaning
        yield f"{shape}_{name}_ERR", pair[:, 1], unit, ONE
    yield "SERSIC_ANGLE", light.pa_sky[:, 0], "deg", "major axis, east of north; NaN without a WCS"
    yield "SERSIC_ANGLE_ERR", light.pa_sky[:, 1], "deg", ONE
    chi2 = next(iter(light.chi2.values()))
    yield "SERSIC_VISNIR_REDUCED_CHI2", chi2, "", "chi-square over degrees of freedom of the stamp"
    yield "SERSIC_VISNIR_ITERATIONS", light.steps, "", "steps of the solver"


def structure(bands: Sequence[str]) -> str:
    """What the columns of the structure begin with: that of NIR if the first band is one of its, else of VIS."""
    return f"SERSIC_SERSIC_{'NIR' if bands[0].upper() in NIR else 'VIS'}"


def back(table: Mapping[str, Any], bands: Sequence[str]) -> dict[str, np.ndarray]:
    """Isolux's columns of a MER catalogue's: magnitudes, arcsec, b/a, degrees east of north."""

    def at(name: str) -> np.ndarray:
        return np.asarray(table[name], dtype=np.float64)

    out = {"ra": at("RIGHT_ASCENSION"), "dec": at("DECLINATION")}
    for band in bands:
        flux = np.where(at(f"FLUX_{band.upper()}_SERSIC") > 0, at(f"FLUX_{band.upper()}_SERSIC"), np.nan)
        error = at(f"FLUXERR_{band.upper()}_SERSIC")
        out |= {
            f"magnitude_{band}": ZERO_POINT - 2.5 * np.log10(flux),
            f"magnitude_{band}_err": 2.5 / np.log(10) * error / flux,
        }
    shape = structure(bands)
    named = {"effective_radius": "RADIUS", "axis_ratio": "AXIS_RATIO", "sersic_index": "INDEX"}
    for name, theirs in named.items():
        out |= {name: at(f"{shape}_{theirs}"), f"{name}_err": at(f"{shape}_{theirs}_ERR")}
    return out | {"pa_sky": at("SERSIC_ANGLE"), "pa_sky_err": at("SERSIC_ANGLE_ERR")}
