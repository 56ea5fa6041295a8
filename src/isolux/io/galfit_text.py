"""The text of GALFIT's files: items such as ``3) 20.1 1 # magnitude``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from isolux.errors import InputError

Items: TypeAlias = dict[str, tuple[str, str]]
"""Item -> its value and comment."""

_LINE = re.compile(r"\s*(\w{1,3})\)([^#]*)(?:#(.*))?")


def read_items(path: Path) -> tuple[Items, list[Items]]:
    """Control items of a file, and the items of each of its objects.

    Raises
    ------
    InputError
        If it cannot be read or has no object.
    """
    control: Items = {}
    objects: list[Items] = []
    for line in lines(path):
        match = _LINE.match(line)
        if not match:
            continue
        item = match[1].upper()
        if item == "0":
            objects.append({})
        target = objects[-1] if objects else control
        target[item] = (match[2].strip(), (match[3] or "").lower())
    if not objects:
        raise InputError(f"{path}: not a GALFIT file, it has no object (item 0)")
    return control, [renumbered(items) for items in objects]


def renumbered(items: Items) -> Items:
    """Items as GALFIT 3 numbers them: GALFIT 2 has axis ratio, angle and boxiness as 8, 9 and 10."""
    if is_empty(items, "8"):
        return items
    moved = {"8": "9", "9": "10", "10": "C0"}
    return {moved.get(item, item): value for item, value in items.items()}


def is_empty(items: Items, item: str) -> bool:
    """Whether an item is missing, unused (``# -----``) or all zeros."""
    value, comment = items.get(item, ("", ""))
    return "---" in comment or not re.search(r"[1-9a-z]", value.lower().partition(" ")[0])


def word(items: Items, item: str) -> str | None:
    """First word of an item; None where it is missing or ``none``."""
    words = items.get(item, ("", ""))[0].split()
    return None if not words or words[0].lower() == "none" else words[0]


def numbers(path: Path, items: Items, item: str, count: int) -> list[float]:
    """The numbers of an item, 0 where it is missing; brackets and stars are dropped."""
    words = re.sub(r"[\[\]{}*]", " ", items.get(item, ("", ""))[0]).split()[:count]
    try:
        found = [float(text) for text in words]
    except ValueError:
        raise InputError(f"{path}: item {item}) is no number", " ".join(words)) from None
    return found + [0.0] * (count - len(found))


def lines(path: Path) -> list[str]:
    """The lines of a file, without those that are comments."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror}") from None
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]
