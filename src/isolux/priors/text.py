"""Priors as run files and the command line write them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from isolux.errors import InputError, unknown_name
from isolux.parameters import Column
from isolux.priors.kinds import GaussianPrior, LogNormalPrior, Prior, UniformPrior

PRIORS: dict[str, type[Prior]] = {
    "gaussian": GaussianPrior,
    "log-normal": LogNormalPrior,
    "uniform": UniformPrior,
}
"""By the names that run files and the command line know."""
AS_TEXT = "NAME=gaussian:MEAN:WIDTH, NAME=log-normal:MEDIAN:DEX or NAME=uniform:LOW:HIGH"


def priors_from(values: Any) -> tuple[Prior, ...]:
    """Priors from a list of texts and tables.

    Raises
    ------
    InputError
        If one of them cannot be read.
    """
    if not isinstance(values, list | tuple):
        raise InputError("priors", values, f"a list, as in [{AS_TEXT.split(',')[0]!r}]")
    return tuple(map(prior_from, values))


def prior_from(value: Prior | str | Mapping[str, Any]) -> Prior:
    """A prior from itself, from text, or from a table.

    ``"disc.sersic_index=gaussian:1.0:0.2"`` (an end of a range may be left out) and ``{"on": "disc.sersic_index",
    "kind": "gaussian", "mean": 1.0, "width": 0.2}`` are the same. Numbers may be names of columns.

    Raises
    ------
    InputError
        For an unknown kind or key, one that is missing, or text that cannot be read.
    """
    if isinstance(value, Prior):
        return value
    if isinstance(value, str):
        return _from_table(_table(value))
    if isinstance(value, Mapping):
        return _from_table(value)
    raise InputError("a prior cannot be read", value, AS_TEXT)


def _from_table(table: Mapping[str, Any]) -> Prior:
    """A prior from a table of what it is ``on``, its ``kind`` and its numbers; text is a column's name."""
    values = dict(table)
    on, kind = values.pop("on", None), values.pop("kind", None)
    if not isinstance(on, str) or kind is None:
        raise InputError("a prior needs what it is on and its kind", dict(table))
    if kind not in PRIORS:
        raise unknown_name(f"kind of the prior on {on},", kind, PRIORS)
    fields = dataclasses.fields(PRIORS[kind])[1:]
    for key in values:
        if key not in {field.name for field in fields}:
            raise unknown_name(f"key of the prior on {on},", key, [field.name for field in fields])
    missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in values]
    if missing:
        raise InputError(f"the prior on {on} ({kind}) needs {' and '.join(missing)}")
    return PRIORS[kind](on, **{k: Column(v) if isinstance(v, str) else v for k, v in values.items()})


def _table(text: str) -> dict[str, Any]:
    """The table that ``disc.sersic_index=gaussian:1.0:0.2`` stands for."""
    on, equals, rest = (part.strip() for part in text.rpartition("="))
    kind, *numbers = (part.strip() for part in rest.split(":"))
    if not (equals and on) or len(numbers) != 2 or kind not in PRIORS:
        raise InputError("a prior cannot be read", text, AS_TEXT)
    names = [field.name for field in dataclasses.fields(PRIORS[kind])[1:3]]
    given = {name: _number(number) for name, number in zip(names, numbers, strict=True) if number}
    return {"on": on, "kind": kind, **given}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
