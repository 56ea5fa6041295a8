"""The plainest FITS files, which most stamps are, in a quarter of the time that opening one with astropy takes.

Plain is an image of two axes in the first HDU, neither packed nor scaled nor with BLANK pixels. astropy reads its
header; its pixels are taken as they lie behind it. For all other files, faulty ones included, the answer is None,
and astropy has to say what they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

from isolux.io.headers import card_value, quiet

BLOCK, CARD = 2880, 80
MOST_BLOCKS = 200
"""Header blocks that are looked through for the end."""
TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
FIRST = b"SIMPLE  =                    T"
SCALED = ("BSCALE", "BZERO", "BLANK", "GROUPS")


def read_plain(path: Path) -> tuple[fits.Header, np.ndarray] | None:
    """Header and pixels (y, x) of a plain file."""
    try:
        with path.open("rb") as file:
            header = _header(file)
            found = None if header is None else _layout(header)
            if header is None or found is None:
                return None
            kind, shape = found
            count = shape[0] * shape[1] * kind.itemsize
            pixels = file.read(count)
    except OSError:
        return None
    if len(pixels) < count:
        return None
    return header, np.frombuffer(pixels, kind).reshape(shape).astype(kind.newbyteorder("="))


def plain_shape(path: Path) -> tuple[int, int] | None:
    """Rows and columns of a plain file, from its header alone."""
    found = plain_outline(path)
    return None if found is None else found[0]


def plain_outline(path: Path) -> tuple[tuple[int, int], fits.Header] | None:
    """Rows and columns of a plain file, and its header."""
    try:
        with path.open("rb") as file:
            header = _header(file)
    except OSError:
        return None
    found = None if header is None else _layout(header)
    return None if header is None or found is None else (found[1], header)


def _header(file: BinaryIO) -> fits.Header | None:
    """The first header of a file, which is then at its data; None where it does not begin or end like one."""
    blocks: list[bytes] = []
    while len(blocks) < MOST_BLOCKS:
        block = file.read(BLOCK)
        if len(block) < BLOCK or not block.isascii() or not (blocks or block.startswith(FIRST)):
            return None
        blocks.append(block)
        if any(block.startswith(b"END     ", k) for k in range(0, BLOCK, CARD)):
            with quiet():
                return fits.Header.fromstring(b"".join(blocks).decode("ascii"))
    return None


def _layout(header: fits.Header) -> tuple[np.dtype, tuple[int, int]] | None:
    """Type and shape of the pixels; None where the image is not plain."""
    with quiet():
        numbers = [card_value(header, key) for key in ("NAXIS", "BITPIX", "NAXIS2", "NAXIS1")]
        if not all(type(number) is int for number in numbers) or any(key in header for key in SCALED):
            return None
    axes, bits, rows, columns = numbers
    if axes != 2 or bits not in TYPES or rows < 1 or columns < 1:
        return None
    return np.dtype(TYPES[bits]), (rows, columns)
