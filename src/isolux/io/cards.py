"""FITS headers and image HDUs as text and bytes, for files that are written by the thousand.

astropy verifies each card and HDU that it writes, which takes longer than the fit of a small galaxy. What is
written here has the same form: fixed format for numbers and text, CONTINUE for long text, HIERARCH for long
keywords (FITS standard 4.0, sections 4.1 to 4.3).
"""

from __future__ import annotations

import numpy as np

BLOCK, CARD = 2880, 80
LONGEST_TEXT = 68
"""Characters between the quotes of a card."""


def card(keyword: str, value: str | bool | int | float, comment: str = "") -> str:
    """A card, or several where text is continued: 80 characters each.

    Parameters
    ----------
    keyword : str
        In capitals; longer ones than eight characters become HIERARCH cards.
    value : str, bool, int or float
        Floats are written so that they are read back the same to the bit; they must be finite.
    comment : str
        Cut off where it does not fit.
    """
    start = f"{keyword:<8}= " if len(keyword) <= 8 else f"HIERARCH {keyword} = "
    if isinstance(value, str):
        quoted = plain(value).replace("'", "''")
        if len(start) + len(quoted) + 2 > CARD:
            return _continued(start, quoted)
        text = f"'{quoted:<8}'".ljust(20)
    else:
        text = f"{_number(value):>20}" if len(keyword) <= 8 else _number(value)
    end = f" / {plain(comment)}" if comment else ""
    return (start + text + end)[:CARD].ljust(CARD)


def header_bytes(cards: str) -> bytes:
    """A header of cards as it stands in a file."""
    text = cards + "END".ljust(CARD)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def primary_bytes() -> bytes:
    """An empty first HDU."""
    begin = card("SIMPLE", True, "conforms to FITS standard") + card("BITPIX", 8) + card("NAXIS", 0)
    return header_bytes(begin + card("EXTEND", True))


def image_bytes(cards: str, pixels: np.ndarray) -> bytes:
    """An image extension of float32 pixels (y, x) with further cards in its header."""
    rows, columns = pixels.shape
    begin = card("XTENSION", "IMAGE", "Image extension") + card("BITPIX", -32) + card("NAXIS", 2)
    begin += card("NAXIS1", columns) + card("NAXIS2", rows) + card("PCOUNT", 0) + card("GCOUNT", 1)
    data = np.asarray(pixels, ">f4").tobytes()
    return header_bytes(begin + cards) + data + bytes(-len(data) % BLOCK)


def plain(text: str) -> str:
    """Text as a FITS header can hold it."""
    printable = text.encode("ascii", "replace").decode("ascii")
    return printable if printable.isprintable() else "".join(c if c.isprintable() else " " for c in printable)


def _number(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    return repr(value).upper()


def _continued(start: str, quoted: str) -> str:
    """Cards of text that is too long for one; a doubled quote stays on one card."""
    cards = ""
    while quoted:
        room = min(LONGEST_TEXT, CARD - len(start) - 2)
        last = len(quoted) <= room
        cut = len(quoted) if last else room - 1
        if not last and (len(quoted[:cut]) - len(quoted[:cut].rstrip("'"))) % 2:
            cut -= 1
        cards += f"{start}'{quoted[:cut]}{'' if last else '&'}'".ljust(CARD)
        start, quoted = "CONTINUE  ", quoted[cut:]
    return cards
