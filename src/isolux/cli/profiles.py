"""The profiles and their parameters as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isolux.cli import console
from isolux.io.profile_file import find_profile
from isolux.parameters import Parameter
from isolux.profiles import PROFILES, SHORT_NAMES, Profile

MEASURED = ("x", "y", "axis_ratio", "position_angle")
"""Parameters that start from the image even though they have a default."""

HEAD = ("parameter", "unit", "lowest", "highest", "start", "meaning")


def show_profiles(names: Sequence[str]) -> None:
    """Print a table for each profile named, or for all.

    Raises
    ------
    InputError
        For an unknown name.
    """
    short = {full: name for name, full in SHORT_NAMES.items()}
    for kind in [find_profile(name) for name in names] or PROFILES:
        name = kind.__name__.lower()
        says = (kind.__doc__ or "").strip().partition("\n")[0]
        rows = [_row(parameter) for parameter in declared(kind)]
        console.print_table(f"{short.get(name, name)}: {says}", rows, head=HEAD, right=[2, 3])
        console.OUT.print()


def declared(kind: type[Profile]) -> tuple[Parameter, ...]:
    """The parameters of a profile, those that the library adds included."""
    return kind().declared({})


def _row(parameter: Parameter) -> tuple[str, ...]:
    estimated = parameter.default is None or parameter.name in MEASURED
    start = "from the image" if estimated else f"{parameter.default:g}"
    if parameter.fixed:
        start += ", held"
    name = parameter.name if parameter.size == 1 else f"{parameter.name}[{parameter.size}]"
    lowest, highest = (f"{end:g}" if math.isfinite(end) else "" for end in (parameter.lower, parameter.upper))
    return name, parameter.unit, lowest, highest, start, parameter.meaning
