"""Which HDUs of a file are a survey's image, its noise and its mask.

The image is the one that is asked for; else among the two-dimensional images those whose name does not say otherwise,
one named SCI or IMAGE first, the first of the largest else. Noise and mask are HDUs of the same shape whose name
(EXTNAME) begins with one of the words below, and whose EXTVER is that of the image where there are several.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from astropy.io import fits

from isolux.errors import InputError
from isolux.io.headers import IMAGES, card_value, describe, is_image, quiet, shape

ROLES = {
    "sigma": "ERR ERROR ERRORS RMS SIGMA STD STDDEV NOISE UNCERT UNCERTAINTY",
    "variance": "VAR VARIANCE",
    "ivar": "IVAR INVVAR INVVARIANCE",
    "weight": "WHT WEIGHT WEIGHTS WGT WEIGHTMAP",
    "mask": "MASK DQ FLAG FLAGS FLG BPM BADPIX QUALITY",
    "other": "CON CTX CONTEXT EXP EXPMAP TIME COVERAGE SEG SEGM SEGMENTATION PSF BKG BACKGROUND SKY MODEL NSAMP AREA",
}
ROLE = {word: role for role, words in ROLES.items() for word in words.split()}
IMAGE_NAMES = ("SCI", "IMAGE", "SCIENCE", "DATA", "PRIMARY", "COADD")


@dataclasses.dataclass(frozen=True)
class Plane:
    """An image in a file.

    Attributes
    ----------
    number : int
        Of its HDU.
    name : str
        EXTNAME in capitals.
    version : int
        EXTVER.
    shape : tuple of int
        Rows and columns.
    role : str
        What its name says that it is; empty where it could be an image of the sky.
    cards : dict
        Its header, and what the first HDU's says beyond it.
    header : astropy.io.fits.Header
        Its own header.
    """

    number: int
    name: str
    version: int
    shape: tuple[int, ...]
    role: str
    cards: dict[str, Any]
    header: fits.Header


def list_planes(path: Path) -> list[Plane]:
    """All two-dimensional images of a file.

    Raises
    ------
    InputError
        If the file is missing or no FITS file, or has none; then its HDUs are listed.
    """
    with quiet():
        try:
            with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
                planes = [_plane(k, hdu, hdus[0].header) for k, hdu in enumerate(hdus) if is_image(hdu)]
                listed = "; ".join(f"{k} {describe(hdu)}" for k, hdu in enumerate(hdus))
                cube = [k for k, hdu in enumerate(hdus) if isinstance(hdu, IMAGES) and len(shape(hdu)) > 2]
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: cannot be read, not a FITS file or cut off: {error}") from None
    if not planes:
        hint = f"; HDU {cube[0]} is a cube: write its planes to files of their own" if cube else ""
        raise InputError(f"{path}: has no two-dimensional image; its HDUs are {listed}{hint}")
    return planes


def _plane(number: int, hdu: Any, first: fits.Header) -> Plane:
    cards = {**_cards(first), **_cards(hdu.header)}
    name = str(hdu.name or "").upper()
    words = [word for word in re.split(r"[^A-Z]+", name) if word]
    role = next((ROLE[word] for word in words if word in ROLE and words[0] not in IMAGE_NAMES), "")
    return Plane(number, name, int(hdu.ver or 1), shape(hdu), role, cards, hdu.header)


def _cards(header: fits.Header) -> dict[str, Any]:
    """Keywords and values, without those that cannot be understood."""
    keys = [key for key in header if key and key not in ("COMMENT", "HISTORY", "")]
    values = {key: card_value(header, key) for key in keys}
    return {key: value for key, value in values.items() if value is not None}


def find_plane(planes: list[Plane], path: Path, wanted: int | str | None) -> Plane:
    """The image of the sky.

    Raises
    ------
    InputError
        If the one that is asked for is not there.
    """
    if wanted is not None:
        name, _, version = str(wanted).strip().upper().partition(",")
        for plane in planes:
            if (
                plane.number == int(name)
                if name.isdecimal()
                else plane.name == name.strip() and (not version or plane.version == int(version))
            ):
                return plane
        there = ", ".join(f"{p.number} {p.name or '-'}" for p in planes)
        raise InputError(f"{path}: has no image in HDU {wanted!r}; images are in {there}")
    sky = [plane for plane in planes if not plane.role] or planes
    named = [plane for plane in sky if plane.name in ("SCI", "IMAGE", "SCIENCE")]
    largest = max(plane.shape[0] * plane.shape[1] for plane in sky)
    return (named or [plane for plane in sky if plane.shape[0] * plane.shape[1] == largest])[0]


def companions(planes: list[Plane], image: Plane) -> tuple[dict[str, Plane], list[str]]:
    """Noise and mask HDUs by their role, and remarks on those that do not fit."""
    found: dict[str, Plane] = {}
    remarks = []
    for plane in planes:
        if plane is image or plane.role in ("", "other") or plane.role in found:
            continue
        if sum(other.name == plane.name for other in planes) > 1 and plane.version != image.version:
            continue
        if plane.shape == image.shape:
            found[plane.role] = plane
        else:
            sizes = " x ".join(map(str, plane.shape)), " x ".join(map(str, image.shape))
            remarks.append(
                f"HDU {plane.number} {plane.name} is left out: it has {sizes[0]} pixels, the image {sizes[1]}"
            )
    return found, remarks
