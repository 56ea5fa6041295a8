"""FITS headers as astropy reads them: what they say of an HDU, without warnings about odd cards."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

IMAGES = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Without astropy's warnings about odd files, which many surveys have; not to be nested.

    The filters of warnings belong to the whole process, and files are read in several threads: one that puts
    back what it found could undo what another has set. So there is a lock: one thread at a time.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield


def card_value(header: fits.Header, keyword: str, default: Any = None) -> Any:
    """The value of a keyword; ``default`` where there is none, or it cannot be understood."""
    try:
        value = header.get(keyword, default)
    except fits.VerifyError:
        return default
    return default if isinstance(value, fits.card.Undefined) else value


def describe(hdu: Any) -> str:
    """Name, kind and size of an HDU, for messages."""
    kind = str(hdu.header.get("XTENSION", "image")).lower()
    if isinstance(hdu, fits.CompImageHDU):
        kind = "compressed image"
    size = " x ".join(map(str, reversed(hdu.shape))) if isinstance(hdu, IMAGES) else ""
    return f"{hdu.name or '-'} ({kind}, {size or 'no data'})"


def shape(hdu: Any) -> tuple[int, ...]:
    """The axes without degenerate ones beyond two: (1, y, x) is (y, x)."""
    axes = list(hdu.shape)
    while len(axes) > 2 and 1 in axes:
        axes.remove(1)
    return tuple(axes)


def is_image(hdu: Any) -> bool:
    """Whether there is a two-dimensional image in it."""
    return isinstance(hdu, IMAGES) and len(shape(hdu)) == 2 and 0 not in shape(hdu)


def bytes_behind(path: Path, hdu: Any) -> int | None:
    """Bytes of a file behind the data of an HDU, less than 0 where it is cut off; None where it is packed."""
    place = hdu.fileinfo()
    if not place or place["file"].compression:
        return None
    return path.stat().st_size - place["datLoc"] - place["datSpan"]
