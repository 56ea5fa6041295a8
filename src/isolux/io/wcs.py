"""Sky coordinates of an image from its FITS header, quickly and quietly.

Reading a whole header with :class:`astropy.wcs.WCS` takes a millisecond or two and warns about old-fashioned
cards. Here only the cards of the celestial axes are given to it: number by number where the header is plain,
as a small header where it has distortions or rotations in the old style.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from isolux.io.headers import card_value, quiet

CELESTIAL = ("RA--", "DEC-", "GLON", "GLAT", "ELON", "ELAT", "SLON", "SLAT")
_PLAIN = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT)[12]|(CD|PC)[12]_[12]|WCSAXES|RADESYS|RADECSYS|EQUINOX|L(ON|AT)POLE"
)
_ANY = re.compile(rf"{_PLAIN.pattern}|CROTA[12]|PV[12]_\d+|[AB]P?_(ORDER|DMAX|\d_\d)|MJD-OBS|DATE-OBS")


def celestial_wcs(header: fits.Header) -> WCS | None:
    """The WCS of an image's first two axes; None where they are not celestial or make no sense."""
    with quiet():
        kinds = [str(card_value(header, f"CTYPE{k}", "")) for k in (1, 2)]
        if not all(kind.startswith(CELESTIAL) for kind in kinds):
            return None
        keywords = {keyword for keyword in header if _ANY.fullmatch(keyword)}
        plain = all(_PLAIN.fullmatch(k) for k in keywords - {"MJD-OBS", "DATE-OBS"})
        make = _from_numbers if plain and "-SIP" not in kinds[0] else _from_cards
        try:
            wcs = make(header, keywords)
            wcs.wcs.set()
        except (ValueError, TypeError, RuntimeError, MemoryError, fits.VerifyError):
            return None
    return wcs


def pixel_scale(wcs: WCS) -> float:
    """Side of a pixel in arcsec: the square root of its area."""
    matrix = wcs.pixel_scale_matrix
    return 3600 * float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def _from_numbers(header: fits.Header, keywords: set[str]) -> WCS:
    wcs = WCS(naxis=2)
    core: Any = wcs.wcs

    def pair(name: str, default: Any) -> list[Any]:
        return [card_value(header, f"{name}{k}", default) for k in (1, 2)]

    def matrix(name: str, diagonal: float) -> list[list[float]]:
        return [[card_value(header, f"{name}{i}_{j}", diagonal * (i == j)) for j in (1, 2)] for i in (1, 2)]

    core.ctype = [kind.strip() for kind in pair("CTYPE", "")]
    core.crval, core.crpix, core.cunit = pair("CRVAL", 0.0), pair("CRPIX", 0.0), pair("CUNIT", "deg")
    if any(keyword.startswith("CD") and "_" in keyword for keyword in keywords):
        core.cd = matrix("CD", 0.0)
    else:
        core.pc, core.cdelt = matrix("PC", 1.0), pair("CDELT", 1.0)
    core.radesys = str(card_value(header, "RADESYS", card_value(header, "RADECSYS", "")))
    core.equinox = float(card_value(header, "EQUINOX", np.nan))
    core.lonpole, core.latpole = (
        float(card_value(header, "LONPOLE", np.nan)),
        float(card_value(header, "LATPOLE", np.nan)),
    )
    return wcs


def _from_cards(header: fits.Header, keywords: set[str]) -> WCS:
    chosen = fits.Header([card for card in header.cards if card.keyword in keywords - {"WCSAXES"}])
    return WCS(chosen, naxis=2, fix=False)


def tangent_wcs(ra: float, dec: float, scale: float, x: float, y: float) -> WCS:
    """A tangent projection, north up and east left: where (ra, dec) in degrees is pixel (x, y); arcsec a pixel."""
    wcs = WCS(naxis=2)
    core: Any = wcs.wcs
    core.ctype, core.crval, core.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [x + 1, y + 1]
    core.cdelt, core.cunit = [-scale / 3600, scale / 3600], ["deg", "deg"]
    core.set()
    return wcs
