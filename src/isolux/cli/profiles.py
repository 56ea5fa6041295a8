"""The profiles and their parameters as tables."""

from __future__ import annotations

from collections.abc import Sequence

from isolux.cli import console
from isolux.io.profile_file import find_profile
from isolux.parameters import Parameter
from isolux.profiles import PROFILES, SHORT_NAMES, Profile


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
        title = f"{short.get(name, name)}: {says}"
        table = console.table(
            title, ["parameter", "unit", "lowest", "highest", "start", "meaning"], right=[2, 3]
        )
        console.print_rows(table, [_row(parameter) for parameter in declared(kind)])
        console.OUT.print()


def declared(kind: type[Profile]) -> tuple[Parameter, ...]:
    """The parameters of a profile, those that the library adds included."""
    return kind().declared({})


def _row(parameter: Parameter) -> tuple[str, ...]:
    start = "from the image" if parameter.default is None else f"{parameter.default:g}"
    if parameter.fixed:
        start += ", held"
    name = parameter.name if parameter.size == 1 else f"{parameter.name}[{parameter.size}]"
    return name, parameter.unit, f"{parameter.lower:g}", f"{parameter.upper:g}", start, parameter.meaning
