"""GALFIT's constraints files: limits of single parameters, and links that keep several in step.

Links become ties: ``3_2 x offset`` is ``x of 2 = x of 3 + (their difference at the start)``, ``3_2 re ratio`` keeps
the quotient. Limits on differences and quotients (``3-7 mag``, ``3/5 re``) have no counterpart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from isolux.io.galfit_file import GalfitComponent, GalfitParameter
from isolux.io.galfit_text import lines

_NAMES = {
    "mag": "3",
    "re": "4",
    "rs": "4",
    "n": "5",
    "q": "9",
    "pa": "10",
    "c": "C0",
    "c0": "C0",
    "x": "1x",
    "y": "1y",
}
Parameters: TypeAlias = list[dict[str, GalfitParameter]]


@dataclasses.dataclass(frozen=True)
class Limit:
    """A line ``1 n 0.1 to 8`` (absolute) or ``1 x -2 2`` (relative to the start) of a constraints file."""

    component: int
    item: str
    lower: float
    upper: float
    relative: bool


@dataclasses.dataclass(frozen=True)
class Link:
    """A line ``3_2_1 x offset`` or ``... ratio``: the first component's parameter drives the others'."""

    components: tuple[int, ...]
    item: str
    ratio: bool


def read_constraints(path: Path) -> tuple[list[Limit], list[Link], list[str]]:
    """Limits and links of a constraints file, and the lines that have no counterpart."""
    limits: list[Limit] = []
    links: list[Link] = []
    others: list[str] = []
    for line in lines(path):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        item = _NAMES.get(words[1].lower(), words[1].upper()) if len(words) > 1 else ""
        if len(words) > 2 and words[2].lower() in ("offset", "ratio"):
            components = tuple(int(number) - 1 for number in words[0].split("_"))
            links.append(Link(components, item, words[2].lower() == "ratio"))
        elif words[0].isdecimal() and (limit := _limit(int(words[0]) - 1, item, words[2:])):
            limits.append(limit)
        else:
            others.append(line.strip())
    return limits, links, others


def _limit(component: int, item: str, words: Sequence[str]) -> Limit | None:
    absolute = "to" in words
    try:
        lower, upper = (float(text) for text in words if text != "to")
    except ValueError:
        return None
    return Limit(component, item, lower, upper, not absolute)


def constrained(components: Sequence[GalfitComponent], path: Path) -> tuple[list[GalfitComponent], list[str]]:
    """Components with the limits and links of a constraints file, and its lines that have no counterpart."""
    limits, links, notes = read_constraints(path)
    parameters = [dict(component.parameters) for component in components]
    for limit in limits:
        if not _apply_limit(limit, components, parameters):
            notes.append(f"{limit.component + 1} {limit.item} {limit.lower} {limit.upper}")
    for link in links:
        if not _apply_link(link, components, parameters):
            notes.append("_".join(str(c + 1) for c in link.components) + f" {link.item}")
    pairs = zip(components, parameters, strict=True)
    return [dataclasses.replace(component, parameters=changed) for component, changed in pairs], notes


def _find(
    component: int, item: str, components: Sequence[GalfitComponent], parameters: Parameters
) -> str | None:
    """Isolux's name of a parameter; None where there is none (surface brightness is another quantity)."""
    if not 0 <= component < len(components):
        return None
    short = components[component].items.get(item, "")
    return short if short in parameters[component] and short != "intensity" else None


def _apply_limit(limit: Limit, components: Sequence[GalfitComponent], parameters: Parameters) -> bool:
    short = _find(limit.component, limit.item, components, parameters)
    if short is None:
        return False
    old = parameters[limit.component][short]
    base = old.value if limit.relative else -1.0 if short in ("x", "y") else 0.0
    new = dataclasses.replace(old, lower=base + limit.lower, upper=base + limit.upper)
    parameters[limit.component][short] = new
    return True


def _apply_link(link: Link, components: Sequence[GalfitComponent], parameters: Parameters) -> bool:
    shorts = [_find(component, link.item, components, parameters) for component in link.components]
    if None in shorts:
        return False
    leader, first = link.components[0], str(shorts[0])
    start, name = parameters[leader][first].value, f"{components[leader].name}.{first}"
    for component, short in zip(link.components[1:], map(str, shorts[1:]), strict=True):
        own = parameters[component][short]
        tie = f"{own.value / start!r} * {name}" if link.ratio else f"{name} + {own.value - start!r}"
        parameters[component][short] = dataclasses.replace(own, tied=tie)
    return True
