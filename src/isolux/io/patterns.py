"""File names: patterns and what their wildcards match, and HDUs named behind a path as in ``a.fits[SCI]``."""

from __future__ import annotations

import dataclasses
import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from isolux.errors import InputError

Plane: TypeAlias = str | float | np.ndarray | None
"""Where an image's pixels come from: a path, one number for all pixels, the pixels themselves, or nothing."""
Paths: TypeAlias = str | Path | float | Sequence[str | Path | None] | None
Hdu: TypeAlias = int | str | None

_HDU_SUFFIX = re.compile(r"(.*\.\w+)\[(\w[\w ,-]*)\]")
_ENDINGS = re.compile(r"(\.(fits|fit|fts|fz|gz|bz2|npy))+$", re.IGNORECASE)
_WILDCARDS = re.compile(r"(\*\*/|\*+|\?|\[[^\]]+\])")


def split_hdu(path: str | Path) -> tuple[str, str | None]:
    """Path and HDU of ``path[hdu]``; a file whose very name ends like that is taken as it is."""
    text = str(Path(path).expanduser())
    match = _HDU_SUFFIX.fullmatch(text) if text.endswith("]") else None
    return (match[1], match[2].strip()) if match and not Path(text).exists() else (text, None)


def with_hdu(path: str | Path, hdu: Hdu) -> str:
    """A path that names its HDU, unless it names one already."""
    return str(path) if hdu is None or split_hdu(path)[1] is not None else f"{path}[{hdu}]"


def stem(path: str | Path) -> str:
    """Name of a file without folder and endings, with its HDU: ``a/b.fits.gz[2]`` is ``b_2``."""
    text, hdu = split_hdu(path)
    return _ENDINGS.sub("", Path(text).name) + ("" if hdu is None else f"_{hdu}")


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of one kind (images, sigmas, ...).

    Attributes
    ----------
    matched : mapping
        File by what the wildcards matched, where a pattern was given.
    listed : list, optional
        A file a galaxy, where a list was given.
    shared : str or float, optional
        The file or number for all galaxies, where one was given.
    """

    matched: Mapping[str, str] = dataclasses.field(default_factory=dict)
    listed: Sequence[Plane] | None = None
    shared: Plane = None

    def of(self, key: str, index: int) -> Plane:
        """The file of a galaxy, by its key or its place; None where there is none."""
        if self.listed is not None:
            return self.listed[index]
        return self.matched.get(key, self.shared)

    def lacks(self, key: str) -> bool:
        """Whether a pattern was given that matches no file for the galaxy."""
        return bool(self.matched) and key not in self.matched


def find_files(kind: str, given: Paths, hdu: Hdu = None) -> Files:
    """Find what a pattern, path, list or number stands for.

    Raises
    ------
    InputError
        If a pattern matches nothing, or two files of one galaxy.
    """
    if given is None:
        return Files()
    if isinstance(given, int | float):
        return Files(shared=float(given))
    if not isinstance(given, str | Path):
        return Files(listed=[None if path is None else with_hdu(path, hdu) for path in given])
    pattern, suffix = split_hdu(given)
    hdu = hdu if suffix is None else suffix
    if not glob.has_magic(pattern):
        return Files(shared=with_hdu(pattern, hdu))
    expression = wildcard_expression(pattern)
    found: dict[str, str] = {}
    for path in sorted(glob.glob(pattern, recursive=True)):
        match = expression.fullmatch(path)
        groups = match.groups() if match else (path,)
        key = "_".join(part.replace("/", "_") for part in groups if part)
        if key in found:
            raise InputError(f"{kind}: {given} matches two files for galaxy {key!r}: {found[key]} and {path}")
        found[key] = with_hdu(path, hdu)
    if not found:
        raise InputError(f"{kind}: no file matches the pattern", str(given))
    return Files(found)


def wildcard_expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression with a group a wildcard; a second ``*`` at its end names nothing."""
    head = pattern.rstrip("*")
    ending = "[^/]*" if head != pattern and glob.has_magic(head) else ""
    pieces = _WILDCARDS.split(head if ending else pattern)
    return re.compile("".join(map(_translated, pieces)) + ending, re.DOTALL)


def _translated(piece: str) -> str:
    if piece == "**/":
        return "(?:(.*)/)?"
    if piece.startswith("*"):
        return "([^/]*)"
    if piece == "?":
        return "([^/])"
    if _WILDCARDS.fullmatch(piece):
        return f"({piece.replace('[!', '[^')})"
    return re.escape(piece)
