"""A survey's image with all that its file says of it: noise, bad pixels, zero point, gain, saturation, scale, band.

    field = read_field("coadd.fits.fz")

What is given overrides what the file says; what neither says is left open (sigma and gain are None and NaN) or has a
default with a remark in ``FieldImage.remarks`` (zero point 0, pixel scale 1).
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy import ndimage

from isolux.errors import FitWarning, InputError
from isolux.field.image import FieldImage
from isolux.io import field_header as header
from isolux.io.field_noise import KINDS, sigma_from
from isolux.io.field_planes import Plane, companions, find_plane, list_planes
from isolux.io.fits import path_and_hdu, read_image
from isolux.io.patterns import split_hdu
from isolux.io.wcs import celestial_wcs
from isolux.io.wcs import pixel_scale as scale_of

Map: TypeAlias = "str | Path | np.ndarray | None"
FINE = (
    "DETECTED",
    "DETECTED_NEGATIVE",
    "EDGE",
    "CLIPPED",
    "SENSOR_EDGE",
    "INEXACT_PSF",
    "REJECTED",
    "NOT_DEBLENDED",
)
"""Bit planes (LSST's ``MP_...``) with which a pixel may still be used."""
USABLE = (
    "INTRP",
    "STREAK",
    "SUSPECT",
    "CROSSTALK",
    "CROSSTALK_RESIDUAL",
    "BRIGHT_OBJECT",
    "UNMASKEDNAN",
    "CR",
)
NAMES = {"ivar": ("ivar", "invvar"), "variance": ("variance", "_var", ".var"), "sigma": ("sigma", "rms")}
"""Parts of names that say what a noise map holds."""
LARGE_ZERO = 3
"""Pixels of exactly 0 whose neighbours this many a side are all 0 have no data."""


def read_field(
    path: str | Path,
    *,
    weight: Map = None,
    weight_type: str = "auto",
    mask: Map = None,
    zero_point: float | str | None = None,
    gain: float | str | None = None,
    saturation: float | str | None = None,
    pixel_scale: float | str | None = None,
    band: str | None = None,
    wavelength: float | None = None,
    hdu: int | str | None = None,
) -> FieldImage:
    """Read one band of a field.

    Parameters
    ----------
    path : str or path
        A FITS file, packed or compressed or not, or a ``.npy`` file; ``file.fits[SCI]`` names an HDU.
    weight : str, path or array, optional
        Noise of the pixels; an HDU of the image's file where left out, if there is one (WHT, IVAR, VAR, ERR, ...).
    weight_type : {"auto", "ivar", "variance", "sigma", "relative"}
        What the weight is; found from its name, and by the noise of the image, for "auto".
    mask : str, path or array, optional
        Non-zero is bad (of LSST's bit planes those that make pixels unusable); an HDU of the file where left out.
    zero_point, gain, saturation, pixel_scale : float or str, optional
        AB magnitude of one image unit, electrons an image unit, value from which pixels are saturated, arcsec a
        pixel. A number or a keyword; from the header where left out.
    band : str, optional
        Name of the band.
    wavelength : float, optional
        Effective wavelength in nanometres.
    hdu : int or str, optional
        The image's HDU.

    Returns
    -------
    FieldImage

    Raises
    ------
    InputError
        If a file is missing or no image, weight or mask have another shape, or there is no good pixel.

    Warns
    -----
    FitWarning
        If the image's unit is unknown and there is no zero point.
    """
    if weight_type not in KINDS:
        raise InputError("weight_type", weight_type, ", ".join(KINDS))
    image, extra, remarks = _planes(path, hdu)
    pixels, cards, source = image.pixels, image.cards, image.source
    given = {"zero_point": zero_point, "gain": gain, "saturation": saturation, "pixel_scale": pixel_scale}
    numbers = {name: _given(value, name, cards, source) for name, value in given.items()}
    facts, said = _facts(numbers, image, Path(split_hdu(path)[0]).name)
    remarks += said
    bad, full = _mask(mask, extra.get("mask"), pixels.shape, source)
    bad = bad | _empty(pixels, remarks)
    field = FieldImage.from_arrays(
        pixels, mask=bad, saturation=_level(numbers, cards, pixels, bad, remarks), **facts
    )
    likely, noise = _noise(weight, extra, field)
    if noise is not None:
        sigma, said = sigma_from(noise, weight_type, field, likely)
        remarks += said
        keep = field.saturated
        field = FieldImage.from_arrays(np.where(field.mask, np.nan, field.data), sigma=sigma, **facts)
        field = dataclasses.replace(field, saturated=keep)
    if band is not None or wavelength is not None:
        named = field.band if band is None else band
        known = header.wavelength(cards, named) if wavelength is None else float(wavelength)
        field = dataclasses.replace(field, band=named, wavelength=known)
    return dataclasses.replace(field, saturated=field.saturated | full, remarks=tuple(remarks))


@dataclasses.dataclass(frozen=True, eq=False)
class _Image:
    """Pixels and keywords of the image, and where they are from."""

    pixels: np.ndarray
    cards: dict[str, Any]
    source: str
    wcs: Any


def _planes(
    path: str | Path, hdu: int | str | None
) -> tuple[_Image, dict[str, tuple[np.ndarray, Plane]], list[str]]:
    """The image, its companions in the same file by their role, and remarks."""
    file, wanted = path_and_hdu(path, hdu)
    if file.suffix == ".npy":
        picture = read_image(file)
        return _Image(picture.pixels, {}, picture.source, None), {}, []
    planes = list_planes(file)
    image = find_plane(planes, file, wanted)
    beside, remarks = companions(planes, image)
    others = [p for p in planes if not p.role and p is not image and p.shape == image.shape]
    if others and wanted is None:
        numbers = ", ".join(str(p.number) for p in others)
        remarks.append(
            f"HDU {image.number} is measured; there are images in HDU {numbers} too (choose one with hdu)"
        )
    picture = read_image(file, image.number)
    extra = {role: (read_image(file, plane.number).pixels, plane) for role, plane in beside.items()}
    return _Image(picture.pixels, image.cards, picture.source, celestial_wcs(image.header)), extra, remarks


def _given(value: float | str | None, name: str, cards: dict[str, Any], source: str) -> float | None:
    """A number that the caller gives, as such or by a keyword."""
    if value is None:
        return None
    try:
        number = float(cards.get(value, value) if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise InputError(
            f"{source}: {name}", value, "a number, or a keyword of the header that holds one"
        ) from None
    if not np.isfinite(number) or (name in ("gain", "pixel_scale") and number <= 0):
        raise InputError(
            f"{source}: {name}", value, "a finite number" if name == "zero_point" else "a positive number"
        )
    return number


def _facts(
    numbers: dict[str, float | None], image: _Image, file_name: str
) -> tuple[dict[str, Any], list[str]]:
    """Attributes of the field from keywords, and remarks on what is missing."""
    cards, remarks = image.cards, []
    scale = numbers["pixel_scale"]
    if scale is None and image.wcs is not None:
        scale = scale_of(image.wcs)
    if scale is None:
        said = header.number(cards, header.SCALES)
        scale = said[1] if said and said[1] > 0 else None
    if image.wcs is None:
        remarks.append("no celestial WCS: sky coordinates are left out")
    if scale is None:
        remarks.append("no pixel scale: sizes in arcsec are in pixels")
        scale = 1.0
    zero = numbers["zero_point"]
    if zero is None:
        found = header.zero_point(cards, scale)
        if found is None and header.unknown_unit(cards):
            text = f"{image.source}: unknown unit {cards['BUNIT']!r}; magnitudes are -2.5 log10 of it"
            warnings.warn(text, FitWarning, stacklevel=3)
        if found is None:
            remarks.append("no zero point: it is taken as 0")
        else:
            remarks.append(f"zero point {found[0]:.6g} from {found[1]}")
        zero = found[0] if found else 0.0
    electrons = numbers["gain"]
    if electrons is None:
        known = header.gain(cards)
        electrons = known[0] if known else np.nan
    name = header.band(cards, file_name)
    facts = {"zero_point": zero, "pixel_scale": float(scale), "gain": float(electrons), "wcs": image.wcs}
    facts |= {"band": name, "wavelength": header.wavelength(cards, name), "source": image.source}
    return facts, remarks


def _level(
    numbers: dict[str, float | None],
    cards: dict[str, Any],
    pixels: np.ndarray,
    bad: np.ndarray,
    remarks: list[str],
) -> float | None:
    """From which value pixels are saturated: a keyword only where it is above nearly all of the image."""
    if numbers["saturation"] is not None:
        return numbers["saturation"]
    found = header.saturation(cards)
    if found is None:
        return None
    values = pixels[::5, ::5][~bad[::5, ::5]]
    if values.size and np.nanpercentile(values, 99) >= found[0]:
        remarks.append(f"{found[1]} = {found[0]:g} is not above the image and is left out of account")
        return None
    return found[0]


def _array(
    what: Map, name: str, shape: tuple[int, ...], source: str
) -> tuple[np.ndarray, dict[str, Any], str]:
    """A map that the caller gives: its values, its header and what it is called in messages."""
    if isinstance(what, str | Path):
        picture = read_image(what)
        values, cards, called = picture.pixels, dict(picture.header or {}), picture.source
    else:
        values, cards, called = np.asarray(what), {}, f"the {name} map"
    if values.shape != shape:
        raise InputError(
            f"{called}: shape of the {name} map", values.shape, f"{shape}, as the image {source}"
        )
    return values, cards, called


def _mask(
    mask: Map, inside: tuple[np.ndarray, Plane] | None, shape: tuple[int, ...], source: str
) -> tuple[np.ndarray, np.ndarray]:
    """Maps of bad and of saturated pixels."""
    if mask is not None:
        values, cards, _ = _array(mask, "mask", shape, source)
    elif inside is not None:
        values, cards = inside[0], inside[1].cards
    else:
        return np.zeros(shape, bool), np.zeros(shape, bool)
    planes = {key[3:]: int(bit) for key, bit in cards.items() if key.startswith("MP_")}
    if not planes or values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return (values != 0), np.zeros(shape, bool)
    bits = values.astype(np.int64)
    wrong = sum(1 << bit for name, bit in planes.items() if name not in FINE + USABLE)
    full = 1 << planes["SAT"] if "SAT" in planes else 0
    return (bits & wrong) != 0, (bits & full) != 0


def _empty(pixels: np.ndarray, remarks: list[str]) -> np.ndarray:
    """Where there are no data: patches of exactly zero, as surveys leave them outside their exposures."""
    zero = pixels == 0
    if not zero.any():
        return zero
    kernel = np.ones((LARGE_ZERO, LARGE_ZERO), bool)
    patches = ndimage.binary_opening(zero, kernel)
    if not patches.any() or np.count_nonzero(~patches) < 0.01 * patches.size:
        return np.zeros_like(zero)
    remarks.append(f"{np.count_nonzero(patches)} pixels in patches of exactly 0 are taken as without data")
    return patches


def _noise(
    weight: Map, extra: dict[str, tuple[np.ndarray, Plane]], field: FieldImage
) -> tuple[str | None, np.ndarray | None]:
    """What a noise map is by its name, and the map; None where there is none."""
    if weight is not None:
        values, cards, called = _array(weight, "weight", field.shape, field.source)
        return _likely(called, cards), values
    role = next((role for role in ("sigma", "variance", "ivar", "weight") if role in extra), None)
    return (None if role == "weight" else role), (extra[role][0] if role else None)


def _likely(name: str, cards: dict[str, Any]) -> str | None:
    """What the name of a file or of its HDU says that its map is; None for weights of any kind."""
    words = f"{cards.get('EXTNAME', '')} {Path(name).name}".lower()
    return next((kind for kind, parts in NAMES.items() if any(part in words for part in parts)), None)
