"""One image from a file: any HDU of a FITS file, packed or compressed or not, or a NumPy file.

astropy reads the FITS files, but for the pixels of the plainest (:mod:`isolux.io.plain`). Its remarks on odd
headers, which many surveys have, are kept from the user; see :func:`isolux.io.headers.quiet`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from isolux.errors import InputError, unknown_name
from isolux.io.headers import bytes_behind, card_value, describe, is_image, quiet, shape
from isolux.io.patterns import split_hdu
from isolux.io.plain import plain_outline, read_plain
from isolux.io.wcs import celestial_wcs


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """An image as it lies in a file.

    Attributes
    ----------
    pixels : numpy.ndarray
        (y, x), in the machine's byte order; integers stay integers where the file does not scale them.
    source : str
        File and HDU, for messages.
    header : astropy.io.fits.Header or None
        None for NumPy files.
    """

    pixels: np.ndarray
    source: str
    header: fits.Header | None = None

    @property
    def wcs(self) -> WCS | None:
        """The celestial WCS, if the header has one."""
        return None if self.header is None else celestial_wcs(self.header)

    def number(self, keyword: str) -> float:
        """A number from the header.

        Raises
        ------
        InputError
            If the keyword is missing or not a number.
        """
        if self.header is None:
            raise InputError(f"{self.source}: has no header to take {keyword} from")
        with quiet():
            value, keywords = card_value(self.header, keyword), list(self.header)
        if value is None:
            text = str(unknown_name("keyword", keyword, keywords)).partition("; allowed")[0]
            raise InputError(f"{self.source}: {text}")
        try:
            return float(value)
        except (TypeError, ValueError):
            raise InputError(f"{self.source}: {keyword} is not a number", value) from None


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
    path, wanted = path_and_hdu(name, hdu)
    if path.suffix == ".npy":
        return Picture(_numpy_array(path)[...], str(path))
    plain = read_plain(path) if wanted is None else None
    if plain is not None:
        return Picture(plain[1], str(path), plain[0])
    with _opened(path) as hdus:
        number, found = _find(hdus, path, wanted)
        source = f"{path}[{number}]" if number else str(path)
        try:
            pixels = _pixels(path, number, found)
        except Exception as error:
            if (bytes_behind(path, found) or 0) < 0:
                raise InputError(f"{path}: cut off within the data of HDU {number}, {error}") from None
            raise InputError(f"{source}: the pixels cannot be read, {error}") from error
        native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        return Picture(native.reshape(shape(found)), source, found.header)


def image_shape(name: str | Path, hdu: int | str | None = None) -> tuple[int, int]:
    """Rows and columns of an image, from its header alone; raises as :func:`read_image` does."""
    return image_outline(name, hdu)[0]


def image_outline(
    name: str | Path, hdu: int | str | None = None
) -> tuple[tuple[int, int], fits.Header | None]:
    """Rows and columns of an image and its header, without its pixels; raises as :func:`read_image` does."""
    path, wanted = path_and_hdu(name, hdu)
    if path.suffix == ".npy":
        rows, columns = _numpy_array(path, mmap_mode="r").shape
        return (rows, columns), None
    plain = plain_outline(path) if wanted is None else None
    if plain is not None:
        return plain
    with _opened(path) as hdus:
        found = _find(hdus, path, wanted)[1]
        rows, columns = shape(found)
        return (rows, columns), found.header


def path_and_hdu(name: str | Path, hdu: int | str | None = None) -> tuple[Path, int | str | None]:
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


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    """An open FITS file, with astropy's warnings off."""
    with quiet():
        try:
            hdus = fits.open(path, memmap=False, lazy_load_hdus=True)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except Exception as error:
            raise InputError(f"{path}: cannot be read, not a FITS file or cut off: {error}") from None
        with hdus:
            yield hdus


def _find(hdus: fits.HDUList, path: Path, wanted: int | str | None) -> tuple[int, Any]:
    """Number and HDU of the image that is wanted."""
    name, _, version = str(wanted).strip().partition(",")
    try:
        if wanted is None:
            number = next(k for k, hdu in enumerate(hdus) if is_image(hdu))
        elif name.isdecimal():
            number = int(name)
        else:
            number = hdus.index_of((name.strip(), int(version)) if version else name)
        found = hdus[number]
    except Exception:
        what = "no two-dimensional image" if wanted is None else f"no HDU {wanted!r}"
        if (bytes_behind(path, hdus[-1]) or 0) > 0:
            what += f", it is cut off or spoilt within the header of HDU {len(hdus)}"
        listed = "; ".join(f"{k} {describe(hdu)}" for k, hdu in enumerate(hdus))
        raise InputError(f"{path}: has {what}; its HDUs are {listed}") from None
    if not is_image(found):
        raise InputError(f"{path}: HDU {number} {describe(found)} holds no two-dimensional image")
    return number, found


def _pixels(path: Path, number: int, hdu: Any) -> np.ndarray:
    """The physical values, NaN where BLANK: astropy by itself passes over BLANK = 0, and over unsigned data."""
    blank = card_value(hdu.header, "BLANK")
    if isinstance(hdu, fits.CompImageHDU) or hdu.header["BITPIX"] < 0 or not isinstance(blank, int):
        return hdu.data
    with fits.open(path, memmap=False, do_not_scale_image_data=True) as stored:
        return np.where(stored[number].data == blank, np.nan, hdu.data)
