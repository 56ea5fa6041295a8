"""Columns of Rubin's Object table, Data Preview 1, for its MultiProFit Sérsic fits.

The names are those of lsst/pipe_tasks, ``schemas/Object.yaml``. Fluxes are nanojansky; the half-light ellipse is that
of a covariance matrix in pixels (see :mod:`isolux.io.column_profiles.shapes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isolux.io.column_profiles.light import NANOJANSKY, Light
from isolux.io.column_profiles.shapes import covariance_ellipse, from_covariance_ellipse, sky_errors
from isolux.result import CatalogueColumn
from isolux.status import Status

PLACE = ("coord_ra", "coord_dec")
"""Columns of the position."""
NO_DATA = (Status.MASKED_OUT, Status.TOO_FEW_PIXELS, Status.BAD_INPUT)
ONE = "one standard deviation of it"


def columns(light: Light, first: int) -> Iterator[CatalogueColumn]:
    """The columns of galaxies, the first of which is row ``first`` of the catalogue."""
    yield "objectId", np.arange(first, first + len(light), dtype=np.int64), "", "number of the row, from 0"
    if light.primary is not None:
        yield "detect_isPrimary", light.primary, "", "True in one of the fields that overlap here"
    yield "coord_ra", light.ra, "deg", "right ascension, ICRS"
    yield "coord_dec", light.dec, "deg", "declination, ICRS"
    east, north = sky_errors(light)
    yield "sersic_ra", light.ra, "deg", "right ascension, ICRS"
    yield "sersic_raErr", east, "deg", f"{ONE}, without cosine"
    yield "sersic_dec", light.dec, "deg", "declination, ICRS"
    yield "sersic_decErr", north, "deg", ONE
    for name, pair in (("x", light.x), ("y", light.y)):
        yield f"sersic_{name}", pair[:, 0], "pix", "centre in the image that was fitted, from 0"
        yield f"sersic_{name}Err", pair[:, 1], "pix", ONE
    for band, flux in light.flux.items():
        yield f"{band}_sersicFlux", flux[:, 0], "nJy", f"total flux in {band}, AB"
        yield f"{band}_sersicFluxErr", flux[:, 1], "nJy", ONE
    yield from _shape(light)
    yield from _ended(light)


def _shape(light: Light) -> Iterator[CatalogueColumn]:
    meanings = {
        "reff_x": ("pix", "square root of the half-light ellipse's xx"),
        "reff_y": ("pix", "square root of the half-light ellipse's yy"),
        "rho": ("", "correlation of the half-light ellipse, xy / sqrt(xx yy)"),
    }
    for (name, (unit, meaning)), pair in zip(meanings.items(), covariance_ellipse(light), strict=True):
        yield f"sersic_{name}", pair[:, 0], unit, meaning
        yield f"sersic_{name}Err", pair[:, 1], unit, ONE
    yield "sersic_index", light.index[:, 0], "", "Sersic index"
    yield "sersic_indexErr", light.index[:, 1], "", ONE


def _ended(light: Light) -> Iterator[CatalogueColumn]:
    fitted = np.isin(light.status, [int(s) for s in Status if s.fitted])
    no_data = np.isin(light.status, [int(s) for s in NO_DATA])
    chi2 = next(iter(light.chi2.values()))
    yield "sersic_n_iter", light.steps, "", "steps of the solver"
    yield "sersic_chisq_reduced", chi2, "", "chi-square over degrees of freedom of the stamp"
    yield "sersic_no_data_flag", no_data, "", "no pixels that could be used"
    yield "sersic_unknown_flag", ~fitted & ~no_data, "", "the fit failed"


def back(table: Mapping[str, Any], bands: Sequence[str], pixel_scale: float = 0.2) -> dict[str, np.ndarray]:
    """Isolux's columns of an Object table's: magnitudes, arcsec, b/a, degrees from +y of its pixels."""
    at = {name: np.asarray(table[name], dtype=np.float64) for name in _needed(bands)}
    major, ratio, angle = from_covariance_ellipse(at["sersic_reff_x"], at["sersic_reff_y"], at["sersic_rho"])
    out = {"ra": at["coord_ra"], "dec": at["coord_dec"]}
    for band in bands:
        flux = np.where(at[f"{band}_sersicFlux"] > 0, at[f"{band}_sersicFlux"], np.nan)
        out |= {
            f"magnitude_{band}": NANOJANSKY - 2.5 * np.log10(flux),
            f"magnitude_{band}_err": 2.5 / np.log(10) * at[f"{band}_sersicFluxErr"] / flux,
        }
    out |= {"effective_radius": major * pixel_scale, "axis_ratio": ratio, "position_angle": angle}
    return out | {"sersic_index": at["sersic_index"], "sersic_index_err": at["sersic_indexErr"]}


def _needed(bands: Sequence[str]) -> list[str]:
    fluxes = [f"{band}_sersicFlux{end}" for band in bands for end in ("", "Err")]
    shape = ["reff_x", "reff_y", "rho", "index", "indexErr"]
    return [*PLACE, *fluxes, *(f"sersic_{name}" for name in shape)]
