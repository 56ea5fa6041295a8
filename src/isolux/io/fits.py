"""One image from a file: any HDU of a FITS file, compressed or not, or a NumPy file.

:mod:`isolux.io.hdu` finds the HDU; the numbers of a plain image are then

    value = BZERO + BSCALE * stored        (NaN where stored is BLANK)

Tile-compressed images (``.fz``, Rice, gzip, ...) are decoded by astropy.
"""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from isolux.errors import InputError, unknown_name
from isolux.io import hdu as hdus
from isolux.io.hdu import CARD, Hdu
from isolux.io.patterns import split_hdu
from isolux.io.wcs import celestial_wcs

_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_NEEDED = re.compile(
    r"XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|T(TYPE|FORM|SCAL|ZERO|NULL|DIM)\d+|Z\w+|BSCALE|BZERO|BLANK"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """An image as it lies in a file.

    Attributes
    ----------
    pixels : numpy.ndarray
        (y, x), in the machine's byte order; integers stay integers where the file does not scale them.
    source : str
        File and HDU, for messages.
    hdu : Hdu or None
        The header; None for NumPy files.
    """

    pixels: np.ndarray
    source: str
    hdu: Hdu | None = None

    @property
    def wcs(self) -> WCS | None:
        """The celestial WCS, if the header has one."""
        return None if self.hdu is None else celestial_wcs(self.hdu)

    def number(self, keyword: str) -> float:
        """A number from the header.

        Raises
        ------
        InputError
            If the keyword is missing or not a number.
        """
        if self.hdu is None:
            raise InputError(f"{self.source}: has no header to take {keyword} from")
        value = self.hdu.value(keyword)
        if value is None:
            raise unknown_keyword(self.source, keyword, self.hdu)
        try:
            return float(value)
        except ValueError:
            raise InputError(f"{self.source}: {keyword} is not a number", value) from None


def unknown_keyword(source: str, keyword: str, hdu: Hdu) -> InputError:
    """The error for a keyword that a header does not have."""
    text = str(unknown_name("keyword", keyword, hdu.cards)).partition("; allowed")[0]
    return InputError(f"{source}: {text}")


def read_image(name: str | Path, hdu: int | str | None = None) -> Picture:
    """Read one two-dimensional image.

    Parameters
    ----------
    name : str or path
        A FITS file, plain or packed, or a ``.npy`` file; ``file.fits[SCI]`` and ``file.fits[2]`` name HDUs.
    hdu : int or str, optional
        Number, EXTNAME or ``"EXTNAME,EXTVER"``; the first HDU with a two-dimensional image where left out.

    Returns
    -------
    Picture

    Raises
    ------
    InputError
        If the file is missing, cut off or no FITS file, the HDU is not there or holds no image.
    """
    path, wanted = _path_and_hdu(name, hdu)
    if path.suffix == ".npy":
        return Picture(_numpy_array(path)[...], str(path))
    with hdus.opened(path) as stream:
        found = _find(stream, path, wanted)
        data = hdus.payload(stream, found, path)
    source = f"{path}[{found.number}]" if found.number else str(path)
    try:
        pixels = _decompressed(found, data) if found.compressed else _scaled(found, data)
    except Exception as error:
        raise InputError(f"{source}: the pixels cannot be decoded, {error}") from error
    return Picture(pixels.reshape(found.shape), source, found)


def image_shape(name: str | Path, hdu: int | str | None = None) -> tuple[int, int]:
    """Rows and columns of an image, from its header alone; raises as :func:`read_image` does."""
    path, wanted = _path_and_hdu(name, hdu)
    if path.suffix == ".npy":
        rows, columns = _numpy_array(path, mmap_mode="r").shape
        return rows, columns
    with hdus.opened(path) as stream:
        rows, columns = _find(stream, path, wanted).shape
    return rows, columns


def _path_and_hdu(name: str | Path, hdu: int | str | None) -> tuple[Path, int | str | None]:
    """Path and HDU; where the file is missing but a packed one is there, that one."""
    text, suffix = split_hdu(name)
    path = Path(text)
    if not path.exists():
        packed = (path.with_name(path.name + ending) for ending in (".gz", ".fz", ".bz2"))
        path = next((p for p in packed if p.exists()), path)
    return path, suffix if hdu is None else hdu


def _numpy_array(path: Path, **options: Any) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False, **options)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read, {error}") from None
    if array.ndim > 2:
        array = array.reshape([n for n in array.shape if n > 1] or (1, 1))
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise InputError(f"{path}: not an image, it has shape {array.shape} and type {array.dtype}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _find(stream: Any, path: Path, wanted: int | str | None) -> Hdu:
    seen: list[Hdu] = []
    for hdu in hdus.walk(stream, path):
        seen.append(hdu)
        if hdu.has_image if wanted is None else _is_wanted(hdu, wanted):
            break
    else:
        what = "no two-dimensional image" if wanted is None else f"no HDU {wanted!r}"
        raise InputError(f"{path}: has {what}; its HDUs are " + "; ".join(map(str, seen)))
    if not hdu.has_image:
        raise InputError(f"{path}: HDU {hdu} holds no two-dimensional image")
    if not hdu.compressed and hdu.integer("BITPIX") not in _DTYPES:
        raise InputError(
            f"{path}: HDU {hdu.number} has an unknown BITPIX", hdu.value("BITPIX"), list(_DTYPES)
        )
    return hdu


def _is_wanted(hdu: Hdu, wanted: int | str) -> bool:
    text = str(wanted).strip()
    if text.isdecimal():
        return hdu.number == int(text)
    name, _, version = text.partition(",")
    same = hdu.name.upper() == name.strip().upper()
    return same and (not version or hdu.integer("EXTVER", 1) == int(version))


def _scaled(hdu: Hdu, data: bytes) -> np.ndarray:
    """The physical values of a plain image."""
    bitpix = hdu.integer("BITPIX")
    stored = np.frombuffer(data, _DTYPES[bitpix])
    scale, zero = float(hdu.value("BSCALE", 1.0)), float(hdu.value("BZERO", 0.0))
    blank = hdu.value("BLANK") if bitpix > 0 else None
    native = stored.dtype.newbyteorder("=")
    if scale == 1 and zero == 0 and blank is None:
        return stored.astype(native)
    values = stored.astype(np.float32 if bitpix in (8, 16, -32) else np.float64)
    np.multiply(values, scale, out=values)
    np.add(values, zero, out=values)
    if blank is not None:
        values[stored == blank] = np.nan
    return values


def _decompressed(hdu: Hdu, data: bytes) -> np.ndarray:
    """A tile-compressed image; only the cards that its decoding needs are passed on."""
    cards = (hdu.text[k : k + CARD] for k in range(0, len(hdu.text), CARD))
    kept = "".join(card for card in cards if _NEEDED.fullmatch(card[:8].strip()))
    primary = "".join(
        f"{card:<80}" for card in ("SIMPLE  =                    T", "BITPIX  = 8", "NAXIS   = 0", "END")
    )
    text = "".join(
        part.ljust(-(-len(part) // hdus.BLOCK) * hdus.BLOCK) for part in (primary, kept + "END".ljust(CARD))
    )
    whole = text.encode("ascii") + data + bytes(-len(data) % hdus.BLOCK)
    with fits.open(io.BytesIO(whole), memmap=False) as opened:
        pixels = np.asarray(opened[1].data)
    return pixels.astype(pixels.dtype.newbyteorder("="))


def _header(cards: list[str]) -> bytes:
    text = "".join(card.ljust(CARD) for card in [*cards, "END"])
    return text.ljust(-(-len(text) // hdus.BLOCK) * hdus.BLOCK).encode("ascii", "replace")
