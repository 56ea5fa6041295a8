"""What the header of a survey's image says of its photometry: zero point, gain, saturation, band.

Surveys do not agree on keywords. Zero points are AB magnitudes of one image unit, taken in this order: a keyword that
holds one; ``FLUXMAG0`` (LSST's pipelines: image units of magnitude 0); the unit in ``BUNIT`` where that is a flux,

    m = 8.90 - 2.5 log10(f / Jy)      (Oke & Gunn 1983, ApJ 266, 713: 3631 Jy are magnitude 0);

or the keywords of the Hubble Space Telescope (ACS data handbook, section 5.1.1),

    m = -2.5 log10 PHOTFLAM - 5 log10 PHOTPLAM - 2.408.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

JANSKY = 8.9
"""AB magnitude of a jansky, to the hundredth that the definition of AB magnitudes has."""
ZERO_POINTS = (
    *(
        "MAGZERO",
        "MAGZPT",
        "MAGZP",
        "MAGZPAB",
        "ABMAGZP",
        "ABZP",
        "ZPAB",
        "ZP_AB",
        "MAG_ZP",
        "PHOTZP",
        "PHOTZPT",
    ),
    *("ZEROPNT", "ZEROPOINT", "ZEROPT", "ZPT", "ZP", "MAGZEROPOINT", "ZP_MAG", "PHOT_ZP"),
)
GAINS = ["GAIN", "EGAIN", "EFFGAIN", "GAINEFF", "CCDGAIN", "HIERARCH_GAIN", "ATODGAIN", "GAINX"]
SATURATIONS = ["SATURATE", "SATLEVEL", "SATURATI", "SATUR", "SATLEV", "SATURLEV", "SATCLEV", "SATURVAL"]
EXPOSURES = ["EXPTIME", "TEXPTIME", "EXPOSURE", "XPOSURE", "EFFEXPTM"]
FILTERS = ["FILTER", "FILTNAM", "FILTNAM1", "FILTER1", "FILTER2", "FILTERS", "BAND", "INSFILTE", "PUPIL"]
SCALES = ["PIXSCALE", "PIXSCAL1", "SECPIX", "SECPIX1", "PIXELSCL", "PIXSCL", "D001SCAL"]
NO_FILTER = ("CLEAR", "OPEN", "NONE", "EMPTY", "BLANK", "N/A", "UNKNOWN", "0")
JANSKYS = {
    "jy": 1.0,
    "mjy": 1e-3,
    "ujy": 1e-6,
    "microjy": 1e-6,
    "microjansky": 1e-6,
    "njy": 1e-9,
    "nanojansky": 1e-9,
}
MAGGIES = {
    "maggie": 0.0,
    "maggy": 0.0,
    "nanomaggy": 22.5,
    "nanomaggie": 22.5,
    "nmgy": 22.5,
    "mgy": 0.0,
    "nmaggy": 22.5,
}
COUNTS = (
    "adu",
    "dn",
    "count",
    "counts",
    "ct",
    "cts",
    "electron",
    "electrons",
    "e-",
    "e",
    "photon",
    "photons",
    "ph",
)
WAVELENGTHS = {
    "u": 355, "g": 477, "r": 623, "i": 763, "z": 905, "y": 971, "Z": 880, "Y": 1020, "J": 1250, "H": 1640, "K": 2150,
    "Ks": 2150, "U": 365, "B": 440, "V": 550, "R": 655, "I": 800, "VIS": 715,
}  # fmt: skip
"""Effective wavelengths in nanometres: SDSS (Doi et al. 2010), Johnson and Cousins, VISTA, Euclid VIS."""
Cards = Mapping[str, Any]


def number(cards: Cards, names: Iterable[str]) -> tuple[str, float] | None:
    """The first of these keywords that holds a finite number."""
    for name in names:
        value = cards.get(name)
        if isinstance(value, bool) or value is None:
            continue
        try:
            found = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(found):
            return name, found
    return None


def unit(cards: Cards) -> str:
    """``BUNIT``, in small letters and without blanks; empty where there is none."""
    text = str(cards.get("BUNIT", "") or "").strip().lower().replace(" ", "")
    return text.removesuffix("/pixel").removesuffix("/pix").removesuffix("pixel-1").rstrip("*.")


def per_second(cards: Cards) -> bool:
    """Whether the image is in counts a second."""
    return bool(re.search(r"(/s(ec)?|s-1|s\^-1|s\*\*-1|/second)$", unit(cards)))


def is_counts(cards: Cards) -> bool:
    """Whether the unit is a known kind of counts, a second or in all."""
    return re.split(r"/|\*|s-1|s\^", unit(cards))[0] in COUNTS


def unknown_unit(cards: Cards) -> bool:
    """Whether there is a unit of which nothing is known."""
    return bool(unit(cards)) and not is_counts(cards) and unit_zero_point(cards, math.nan) is None


def unit_zero_point(cards: Cards, pixel_scale: float) -> float | None:
    """Zero point of an image whose unit is a flux, or a surface brightness; None for all others.

    Parameters
    ----------
    cards : mapping
        The header.
    pixel_scale : float
        Arcsec a pixel, for MJy/sr.
    """
    name = unit(cards)
    factor, name = _factor(name)
    if name.removesuffix("s") in MAGGIES:
        return MAGGIES[name.removesuffix("s")] - 2.5 * math.log10(factor)
    if name in JANSKYS:
        return JANSKY - 2.5 * math.log10(JANSKYS[name] * factor)
    if name in ("mjy/sr", "mjysr-1", "mjy/ster") and str(cards.get("BUNIT", "")).strip().startswith("MJ"):
        area = number(cards, ["PIXAR_SR"])
        sterad = area[1] if area else (pixel_scale * math.pi / 180 / 3600) ** 2
        return JANSKY - 2.5 * math.log10(1e6 * factor * sterad) if sterad > 0 or math.isnan(sterad) else None
    return None


def _factor(name: str) -> tuple[float, str]:
    """A number in front of a unit, as in ``1e-9maggy`` or ``10**-9jy``."""
    match = re.fullmatch(r"(?:([\d.]+(?:e[+-]?\d+)?)\*?|10(?:\*\*|\^)\(?([+-]?\d+)\)?\*?)([a-z].*)", name)
    if match is None:
        return 1.0, name
    factor = 10.0 ** int(match[2]) if match[2] else float(match[1])
    return (factor, match[3]) if factor > 0 else (1.0, name)


def zero_point(cards: Cards, pixel_scale: float) -> tuple[float, str] | None:
    """AB zero point and where it comes from; None where the header does not say."""
    found = number(cards, ZERO_POINTS)
    if found and found[1] != 0:
        return found[1], found[0]
    magnitude0 = number(cards, ["FLUXMAG0"])
    if magnitude0 and magnitude0[1] > 0:
        return 2.5 * math.log10(magnitude0[1]), "FLUXMAG0"
    of_unit = unit_zero_point(cards, pixel_scale)
    if of_unit is not None and math.isfinite(of_unit):
        return of_unit, f"BUNIT = {str(cards['BUNIT']).strip()}"
    lam, pivot = number(cards, ["PHOTFLAM"]), number(cards, ["PHOTPLAM"])
    if lam and pivot and lam[1] > 0 and pivot[1] > 0:
        zero = -2.5 * math.log10(lam[1]) - 5 * math.log10(pivot[1]) - 2.408
        time = number(cards, EXPOSURES)
        if is_counts(cards) and not per_second(cards) and time and time[1] > 0:
            zero += 2.5 * math.log10(time[1])
        return zero, "PHOTFLAM and PHOTPLAM"
    return (found[1], found[0]) if found else None


def gain(cards: Cards) -> tuple[float, str] | None:
    """Electrons an image unit, and where that comes from."""
    time = number(cards, EXPOSURES)
    seconds = time[1] if per_second(cards) and time and time[1] > 0 else 1.0
    electrons = unit(cards).startswith(("electron", "e-", "e/", "photon"))
    if electrons and (seconds != 1.0 or not per_second(cards)):
        return seconds, f"BUNIT = {str(cards['BUNIT']).strip()}"
    found = number(cards, GAINS)
    flux = unit_zero_point(cards, 1.0) is not None
    if found is None or found[1] <= 0 or flux or (per_second(cards) and seconds == 1.0):
        return None
    return found[1] * seconds, found[0]


def saturation(cards: Cards) -> tuple[float, str] | None:
    """Value from which pixels are saturated, and its keyword."""
    found = number(cards, SATURATIONS)
    return (found[1], found[0]) if found and found[1] > 0 else None


def band(cards: Cards, file_name: str = "") -> str:
    """Name of the filter: from the header, or a single letter at the end of the file's name; empty where unknown."""
    for keyword in FILTERS:
        words = re.split(r"[\s,;]+", str(cards.get(keyword, "") or "").strip())
        for word in words:
            if word and not word.upper().startswith(NO_FILTER):
                return _short(word)
    match = re.search(
        r"(?:^|[-_.])([ugrizyYZJHK]|Ks|VIS)(?:[-_.](?:sci|image|coadd|band))?\.(?:fits|fit|fz|npy)", file_name
    )
    return match[1] if match else ""


def _short(word: str) -> str:
    """``g`` for g.MP9401, HSC-G, sdss_g, g_SDSS, DECam-g."""
    match = re.fullmatch(r"([ugrizyYJHKZUBVRI]s?)[.'_].*", word) or re.fullmatch(
        r"(?i:sdss|hsc|des|decam|ps1|lsst|euclid|kids|omegacam|vista)[-_. ]?([A-Za-z]+)", word
    )
    if match is None:
        return word
    upper = word.upper().startswith(("HSC", "EUCLID")) and match[1].upper() in ("G", "R", "I", "Z")
    return match[1].lower() if upper else match[1]


def wavelength(cards: Cards, name: str) -> float:
    """Effective wavelength in nanometres from the header, or from the name of the band; NaN where unknown."""
    pivot = number(cards, ["PHOTPLAM"])
    if pivot and pivot[1] > 0:
        return pivot[1] / 10
    match = re.fullmatch(r"F(\d{3,4})[A-Z]+\d?", name.upper())
    if match:
        tens = len(match[1]) == 4 or int(match[1]) < 200
        webb = str(cards.get("INSTRUME", "")).strip().upper() in ("NIRCAM", "NIRISS", "MIRI")
        return float(match[1]) * (10 if tens or webb else 1)
    return float(WAVELENGTHS.get(name, math.nan))
