"""The model as the command line writes it, turned into what ``[model]`` is in a run file.

``core:sersic+halo:exponential+sky`` are components with their profiles; a component without a colon is called like
its profile. ``bulge``, ``disc`` (or ``disk``) and ``bar`` stand for a Sérsic profile that starts at index 4, an
exponential and a Ferrer profile, and those of them that are in a model share one centre.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isolux.cli.arguments import ModelArguments
from isolux.cli.declare import number_or_text
from isolux.errors import InputError, unknown_name

Table = dict[str, dict[str, Any]]
"""``[model]``: component -> profile and settings of parameters."""
SHORTCUTS: dict[str, dict[str, Any]] = {
    "bulge": {"profile": "sersic", "sersic_index": {"start": 4.0}},
    "disc": {"profile": "exponential"},
    "disk": {"profile": "exponential"},
    "bar": {"profile": "ferrer"},
}
_NAME = re.compile(r"[A-Za-z_]\w*")


def model_table(arguments: ModelArguments, in_file: Mapping[str, Any] | None = None) -> Table:
    """The components of ``--model`` (or else of the run file) with what the other options say of them.

    Raises
    ------
    InputError
        If there is no model, or a part of it cannot be read.
    """
    if arguments.model is not None:
        table = components_of(arguments.model)
    elif in_file:
        table = {name: dict(component) for name, component in in_file.items()}
    elif arguments.profile:
        table = {}
    else:
        raise InputError("no model: give --model, such as sersic, sersic+sky or bulge+disc+sky")
    for text in arguments.profile or ():
        _add(table, *_own_component(text))
    for text in arguments.set or ():
        component, parameter, value = _split(text, "--set", table)
        start = number_or_text(value)
        key = "column" if isinstance(start, str) else "start"
        setting = {
            k: v for k, v in _as_free(component.get(parameter)).items() if k not in ("start", "column")
        }
        component[parameter] = {**setting, key: start}
    for text in arguments.bound or ():
        component, parameter, value = _split(text, "--bound", table)
        component[parameter] = {**_as_free(component.get(parameter)), **_bounds(text, value)}
    for text in arguments.fix or ():
        component, parameter, value = _split(text, "--fix", table)
        component[parameter] = {"fixed": number_or_text(value)}
    for text in arguments.tie or ():
        component, parameter, value = _split(text, "--tie", table)
        component[parameter] = {"tied": value}
    return table


def components_of(model: str) -> Table:
    """The components of a sum such as ``bulge+disc+sky``."""
    table: Table = {}
    centre: str | None = None
    for term in (part.strip() for part in model.split("+")):
        name, colon, profile = (part.strip() for part in term.partition(":"))
        if name.endswith(".py"):
            _add(table, *_own_component(term))
        elif colon:
            _add(table, name, {"profile": profile})
        elif name in SHORTCUTS:
            shared = {} if centre is None else {"x": {"tied": f"{centre}.x"}, "y": {"tied": f"{centre}.y"}}
            _add(table, name, {**SHORTCUTS[name], **shared})
            centre = centre or name
        else:
            _add(table, name, {"profile": name})
    return table


def _own_component(text: str) -> tuple[str, dict[str, Any]]:
    """Name and table of ``mybar.py:MyBar`` or ``bar=mybar.py:MyBar``; the path is made absolute."""
    name, _, place = text.rpartition("=")
    path, colon, kind = place.strip().partition(":")
    if not path.endswith(".py"):
        raise InputError("--profile", text, "mybar.py:MyBar or bar=mybar.py:MyBar")
    profile = f"{Path(path).expanduser().resolve()}{colon}{kind}"
    return name.strip() or (kind or Path(path).stem).lower(), {"profile": profile}


def _add(table: Table, name: str, component: dict[str, Any]) -> None:
    if not _NAME.fullmatch(name) or not component["profile"]:
        allowed = "profiles or name:profile joined by +, as in sersic+sky or core:sersic+halo:exponential"
        raise InputError("--model: a component cannot be read", name, allowed)
    if name in table:
        message = f"--model: two components are called {name}; give them names, as in one:sersic+two:sersic"
        raise InputError(message)
    table[name] = component


def _split(text: str, flag: str, table: Table) -> tuple[dict[str, Any], str, str]:
    """The component's table, the parameter's name and the value of ``component.parameter=value``."""
    full_name, equals, value = (part.strip() for part in text.partition("="))
    name, dot, parameter = full_name.partition(".")
    if not (equals and dot and name and parameter and value):
        raise InputError(flag, text, "component.parameter=value, such as bulge.sersic_index=4")
    if name not in table:
        raise unknown_name(f"component in {flag}", name, table)
    return table[name], parameter, value


def _as_free(setting: Any) -> dict[str, Any]:
    """A setting as the table of a free parameter; what held or tied it is dropped."""
    if isinstance(setting, Mapping):
        return {key: value for key, value in setting.items() if key not in ("fixed", "tied")}
    return {} if setting is None else {"start": setting}


def _bounds(text: str, value: str) -> dict[str, float]:
    ends: Sequence[str] = [end.strip() for end in value.split(":")]
    found = {key: number_or_text(end) for key, end in zip(("lower", "upper"), ends, strict=False) if end}
    if len(ends) != 2 or not found or any(isinstance(end, str) for end in found.values()):
        raise InputError("--bound", text, "component.parameter=low:high, such as disc.axis_ratio=0.1:1")
    return {key: float(end) for key, end in found.items()}
