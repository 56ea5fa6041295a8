"""The HDUs of a FITS file, found without decoding a pixel.

A FITS file is a chain of HDUs: a header of 80-character cards in blocks of 2880 bytes, then data whose length
the header tells (FITS standard 4.0, sections 3 and 4):

    bytes = |BITPIX| / 8 * GCOUNT * (PCOUNT + NAXIS1 * NAXIS2 * ...)

Large samples are a few files a galaxy, opened from a reading thread. This walk needs a small part of the time
of a general reader, tells a cut-off file before anything is decoded, and gives no warnings about odd cards
(which could not be silenced here: filters of warnings are shared by all threads).
"""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import re
import zlib
from collections.abc import Iterator
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO, Any, TypeAlias

from isolux.errors import InputError

BLOCK = 2880
CARD = 80
Value: TypeAlias = str | bool | int | float | None

_STRING = re.compile(r"\s*'((?:[^']|'')*)'")
_UNREADABLE = (OSError, EOFError, zlib.error)


@dataclasses.dataclass(frozen=True, eq=False)
class Hdu:
    """One HDU: its number, its header as text, and where its data lie in the (unpacked) file.

    Attributes
    ----------
    number : int
        From 0, the primary HDU.
    text : str
        The header's cards, 80 characters each.
    start : int
        First byte of the data.
    """

    number: int
    text: str
    start: int

    @cached_property
    def cards(self) -> dict[str, str]:
        """Keyword -> what stands behind the equals sign; the first one where a keyword is repeated."""
        found: dict[str, str] = {}
        for first in range(0, len(self.text), CARD):
            card = self.text[first : first + CARD]
            if card.startswith("HIERARCH "):
                keyword, equals, value = card[9:].partition("=")
            else:
                keyword, equals, value = card[:8], card[8:9].strip(), card[9:]
            if equals:
                found.setdefault(keyword.strip(), value)
        return found

    def value(self, keyword: str, default: Any = None) -> Any:
        """The value of a keyword, ``default`` where there is none."""
        text = self.cards.get(keyword.upper().removeprefix("HIERARCH ").strip())
        found = None if text is None else parse(text)
        return default if found is None else found

    def integer(self, keyword: str, default: int = 0) -> int:
        """An integer that the format itself needs; 0 where it is nonsense."""
        found = self.value(keyword, default)
        return int(found) if isinstance(found, int | float) else 0

    @property
    def name(self) -> str:
        """EXTNAME; ``PRIMARY`` or an empty string without one."""
        return str(self.value("EXTNAME", "" if self.number else "PRIMARY")).strip()

    @cached_property
    def compressed(self) -> bool:
        """Whether it is a table that holds a tile-compressed image."""
        return self.value("ZIMAGE") is True

    @cached_property
    def kind(self) -> str:
        """``IMAGE``, ``COMPRESSED IMAGE``, ``BINTABLE`` or ``TABLE``."""
        if self.compressed:
            return "COMPRESSED IMAGE"
        return str(self.value("XTENSION", "IMAGE")).strip()

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """Lengths of the image's axes, slowest first; empty for tables and HDUs without data."""
        letter = "Z" if self.compressed else ""
        if self.kind not in ("IMAGE", "COMPRESSED IMAGE"):
            return ()
        return tuple(self.integer(f"{letter}NAXIS{k}") for k in range(self.integer(f"{letter}NAXIS"), 0, -1))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The axes without degenerate ones beyond two: (1, y, x) is (y, x)."""
        extra = len(self.axes) - 2
        kept = []
        for length in self.axes:
            if length == 1 and extra > 0:
                extra -= 1
            else:
                kept.append(length)
        return tuple(kept)

    @property
    def has_image(self) -> bool:
        """Whether there are two-dimensional data in it."""
        return len(self.shape) == 2 and prod(self.shape) > 0

    @cached_property
    def length(self) -> int:
        """Bytes of data, without what fills the last block."""
        if not (dimensions := self.integer("NAXIS")):
            return 0
        elements = prod(self.integer(f"NAXIS{k}") for k in range(1, dimensions + 1))
        return (
            abs(self.integer("BITPIX")) // 8 * self.integer("GCOUNT", 1) * (self.integer("PCOUNT") + elements)
        )

    @property
    def end(self) -> int:
        """First byte of the next HDU."""
        return self.start + -(-self.length // BLOCK) * BLOCK

    def __str__(self) -> str:
        size = " x ".join(map(str, reversed(self.axes))) or "no data"
        return f"{self.number} {self.name or '-'} ({self.kind.lower()}, {size})"


def parse(text: str) -> Value:
    """The value of a card: text, logical, number, or None where it is empty or nothing of these."""
    if match := _STRING.match(text):
        return match[1].replace("''", "'").rstrip()
    body = text.partition("/")[0].strip()
    if body in ("T", "F"):
        return body == "T"
    for convert in (int, lambda number: float(number.upper().replace("D", "E"))):
        with contextlib.suppress(ValueError):
            return convert(body)
    return None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a FITS file, unpacked where it is gzip or bzip2, whatever its name.

    Raises
    ------
    InputError
        If it is missing, unreadable or no FITS file.
    """
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(path.open("rb"))
            stream: Any = raw
            start = raw.read(3)
            raw.seek(0)
            if start.startswith(b"\x1f\x8b"):
                stream = stack.enter_context(gzip.open(raw))
            elif start == b"BZh":
                stream = stack.enter_context(bz2.open(raw))
            yield stream
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except _UNREADABLE as error:
        raise InputError(f"{path}: cannot be read, {error}") from None


def walk(stream: IO[bytes], path: Path) -> Iterator[Hdu]:
    """The HDUs of a file, one after the other, without their data.

    Raises
    ------
    InputError
        If it is no FITS file, or ends within a header.
    """
    number = position = 0
    while True:
        stream.seek(position)
        text = _header(stream, path, number)
        if not text:
            return
        hdu = Hdu(number, text, position + len(text))
        yield hdu
        number, position = number + 1, hdu.end


def _header(stream: IO[bytes], path: Path, number: int) -> str:
    """The next header; empty at the end of the file, or where something that is no HDU follows."""
    blocks: list[bytes] = []
    while True:
        block = stream.read(BLOCK)
        if not blocks and not block.startswith(b"XTENSION" if number else b"SIMPLE"):
            if number:
                return ""
            what = f"begins with {block[:8]!r}" if block else "is empty"
            raise InputError(f"{path}: not a FITS file, it {what}")
        if len(block) < BLOCK:
            raise InputError(f"{path}: cut off within the header of HDU {number}")
        blocks.append(block)
        if any(block[k : k + 8] == b"END     " for k in range(0, BLOCK, CARD)):
            return b"".join(blocks).decode("ascii", "replace")


def payload(stream: IO[bytes], hdu: Hdu, path: Path) -> bytes:
    """The bytes of an HDU's data.

    Raises
    ------
    InputError
        If the file ends before them.
    """
    stream.seek(hdu.start)
    data = stream.read(hdu.length)
    if len(data) < hdu.length:
        raise InputError(f"{path}: cut off, HDU {hdu.number} has {len(data)} of {hdu.length} bytes of data")
    return data
