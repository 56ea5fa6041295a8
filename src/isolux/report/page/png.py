"""PNG images with a palette, in the few lines that they take."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png(codes: np.ndarray, palette: np.ndarray) -> bytes:
    """An image file.

    Parameters
    ----------
    codes : numpy.ndarray
        (y, x) of uint8, the first row at the top.
    palette : numpy.ndarray
        (code, 3) of uint8: red, green, blue.
    """
    tall, wide = codes.shape
    lines = np.zeros((tall, wide + 1), np.uint8)  # each row begins with the number of its filter: none
    lines[:, 1:] = codes
    header = struct.pack(">IIBBBBB", wide, tall, 8, 3, 0, 0, 0)
    chunks = {b"IHDR": header, b"PLTE": palette.astype(np.uint8).tobytes()}
    chunks |= {b"IDAT": zlib.compress(lines.tobytes(), 9), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
