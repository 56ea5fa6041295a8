"""Columns of the DESI Legacy Imaging Surveys' Tractor catalogues, DR9 and DR10 (legacysurvey.org/dr10/catalogs).

Fluxes are nanomaggies (AB 22.5), errors inverse variances that are 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isolux.io.column_profiles.light import NANOJANSKY, Light
from isolux.io.column_profiles.shapes import (
    from_inverse_variance,
    from_lensing,
    inverse_variance,
    lensing,
    sky_errors,
)
from isolux.result import CatalogueColumn

ZERO_POINT = 22.5
NANOMAGGY = 10 ** (0.4 * (NANOJANSKY - ZERO_POINT))
"""Nanojansky in a nanomaggy, 3631."""
FIT_BACKGROUND, HIT_RADIUS_LIMIT, HIT_SERSIC_LIMIT = 0x2, 0x4, 0x8
"""Of ``fitbits`` (legacypipe, bits.py)."""
PLACE = ("ra", "dec")
"""Columns of the position."""
IVAR = "inverse variance; 0 where there is no error or the value was held"


def columns(light: Light, first: int) -> Iterator[CatalogueColumn]:
    """The columns of galaxies, the first of which is row ``first`` of the catalogue."""
    yield "objid", np.arange(first, first + len(light), dtype=np.int64), "", "number of the row, from 0"
    if light.primary is not None:
        yield "brick_primary", light.primary, "", "True in one of the fields that overlap here"
    yield "type", light.kind, "", "PSF, REX, EXP, DEV, SER; COMP for several components; empty without a fit"
    yield (
        "fitbits",
        _fitbits(light),
        "",
        "2 sky level fitted, 4 radius at its bound, 8 Sersic index at its bound",
    )
    yield "ra", light.ra, "deg", "right ascension, ICRS"
    yield "dec", light.dec, "deg", "declination, ICRS"
    for name, error in zip(PLACE, sky_errors(light), strict=True):
        note = " (no cosine term)" if name == "ra" else ""
        yield f"{name}_ivar", inverse_variance(np.stack([error, error], 1)), "deg-2", IVAR + note
    yield "bx", light.x[:, 0], "pix", "column of the centre in the image that was fitted, from 0"
    yield "by", light.y[:, 0], "pix", "row of the centre in the image that was fitted, from 0"
    for band, flux in light.flux.items():
        scaled = flux / NANOMAGGY
        yield f"flux_{band}", scaled[:, 0], "nanomaggy", f"total flux in {band}, AB"
        yield f"flux_ivar_{band}", inverse_variance(scaled), "nanomaggy-2", IVAR
    for band, value in light.chi2.items():
        yield (
            f"rchisq_{band}",
            value,
            "",
            "chi-square over degrees of freedom of the stamp, not profile-weighted",
        )
    yield from _shape(light)


def _shape(light: Light) -> Iterator[CatalogueColumn]:
    yield "sersic", light.index[:, 0], "", "Sersic index; 1 for EXP and REX, 4 for DEV"
    yield "sersic_ivar", inverse_variance(light.index), "", IVAR
    yield "shape_r", light.radius[:, 0], "arcsec", "half-light semi-major axis; 0 for PSF"
    yield "shape_r_ivar", inverse_variance(light.radius), "arcsec-2", IVAR
    for name, pair in zip(("e1", "e2"), lensing(light), strict=True):
        wave = "cos" if name == "e1" else "sin"
        meaning = f"(1 - q) / (1 + q) {wave} 2 PA, PA east of north; NaN without a WCS"
        yield f"shape_{name}", pair[:, 0], "", meaning
        yield f"shape_{name}_ivar", inverse_variance(pair), "", IVAR


def _fitbits(light: Light) -> np.ndarray:
    bits = FIT_BACKGROUND * light.sky_fitted + HIT_RADIUS_LIMIT * light.radius_bound
    return (bits + HIT_SERSIC_LIMIT * light.index_bound).astype(np.int16)


def back(table: Mapping[str, Any], bands: Sequence[str]) -> dict[str, np.ndarray]:
    """Isolux's columns of a Tractor catalogue's: magnitudes, arcsec, b/a, degrees east of north.

    Errors of axis ratio and angle do not come back: e1 and e2 have lost how they belong together.
    """
    at = {name: np.asarray(table[name], dtype=np.float64) for name in _needed(bands)}
    ratio, angle = from_lensing(at["shape_e1"], at["shape_e2"])
    out = {"ra": at["ra"], "dec": at["dec"]}
    for band in bands:
        flux = np.where(at[f"flux_{band}"] > 0, at[f"flux_{band}"], np.nan)
        error = from_inverse_variance(at[f"flux_ivar_{band}"])
        out |= {
            f"magnitude_{band}": ZERO_POINT - 2.5 * np.log10(flux),
            f"magnitude_{band}_err": 2.5 / np.log(10) * error / flux,
        }
    out |= {
        "effective_radius": at["shape_r"],
        "effective_radius_err": from_inverse_variance(at["shape_r_ivar"]),
    }
    out |= {"sersic_index": at["sersic"], "sersic_index_err": from_inverse_variance(at["sersic_ivar"])}
    return out | {"axis_ratio": ratio, "pa_sky": angle}


def _needed(bands: Sequence[str]) -> list[str]:
    fluxes = [f"{stem}_{band}" for stem in ("flux", "flux_ivar") for band in bands]
    shape = ["shape_r", "shape_r_ivar", "shape_e1", "shape_e2", "sersic", "sersic_ivar"]
    return ["ra", "dec", *fluxes, *shape]
