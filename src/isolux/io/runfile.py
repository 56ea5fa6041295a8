"""The run file: a whole run as TOML, so that it can be repeated.

``[input]`` has the fields of :class:`StampSource`, ``[model.<component>]`` a profile and how its parameters are
treated, ``[fit]`` and ``[output]`` the fields of :class:`RunOptions`. Paths are relative to the run file.
"""

from __future__ import annotations

import dataclasses
import inspect
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isolux.errors import InputError, unknown_name
from isolux.io.patterns import split_hdu
from isolux.io.profile_file import find_profile
from isolux.io.source import IMAGES, StampSource
from isolux.loss import loss_from
from isolux.options import RunOptions
from isolux.parameters import Column, Fixed, Free, Tied
from isolux.priors import priors_from
from isolux.profiles.base import Profile
from isolux.scene import Scene
from isolux.solve import FirstOrder, LevenbergMarquardt, Sampler

SOLVERS = {"levenberg-marquardt": LevenbergMarquardt, "first-order": FirstOrder}
OUTPUT = ("folder", "catalogue", "blocks", "figures", "resume", "overwrite")


@dataclasses.dataclass(frozen=True, eq=False)
class RunFile:
    """What a run file says.

    Attributes
    ----------
    source : StampSource
        The stamps.
    scene : Scene
        The model.
    options : RunOptions
        How to fit and what to write.
    """

    source: StampSource
    scene: Scene
    options: RunOptions


def read_run_file(path: str | Path) -> RunFile:
    """Read a run file.

    Raises
    ------
    InputError
        If it is missing, is not TOML, or has a section, key or value that is unknown.
    """
    path = Path(path).expanduser()
    content = read_toml(path, ("input", "model", "fit", "output"))
    for name in ("input", "model"):
        if not content.get(name):
            raise InputError(f"{path}: has no section [{name}]")
    try:
        source = source_from(content["input"], path.parent)
        scene = scene_from(content["model"], path.parent)
        options = run_options(content.get("fit", {}), content.get("output", {}), path.parent)
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error
    return RunFile(source, scene, options)


def read_toml(path: Path, sections: Iterable[str]) -> dict[str, Any]:
    """The content of a run file whose sections are known.

    Raises
    ------
    InputError
        If it is missing, is not TOML, or has an unknown section.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML, {error}") from None
    check_names(f"section of {path}", content, sections)
    for name, section in content.items():
        if not isinstance(section, Mapping):
            raise InputError(f"{path}: {name} is no section; write [{name}]", section)
    return content


def scene_from(model: Mapping[str, Any], folder: str | Path = ".") -> Scene:
    """A scene from its components' tables: ``{"disc": {"profile": "sersic", "sersic_index": 1.0}}``.

    Raises
    ------
    InputError
        If a component has no profile, or a name in it is unknown.
    """
    components: dict[str, Profile] = {}
    for name, table in model.items():
        if not isinstance(table, Mapping) or not isinstance(table.get("profile"), str):
            raise InputError(f'[model.{name}] needs a profile, such as profile = "sersic"')
        kind = find_profile(table["profile"], folder)
        own = _own_arguments(kind)
        settings = {
            key: value if key in own else setting_from(f"{name}.{key}", value)
            for key, value in table.items()
            if key != "profile"
        }
        components[name] = kind(**settings)
    return Scene(**components)


def setting_from(name: str, value: Any) -> Any:
    """How a parameter is to be treated, from a number or a table.

    ``1.5`` is a starting value; ``{start, lower, upper, log}`` a free parameter, ``{column}`` with the start
    taken from the table of stamps; ``{fixed}`` a number or column's name; ``{tied}`` an expression.

    Raises
    ------
    InputError
        For unknown or contradictory keys.
    """
    if isinstance(value, str):
        raise InputError(f'{name}: write {{ column = "{value}" }} or {{ tied = "{value}" }}')
    if not isinstance(value, Mapping):
        return Free(value)
    check_names(f"key of {name}", value, ("start", "lower", "upper", "log", "fixed", "tied", "column"))
    kinds = [key for key in ("start", "fixed", "tied", "column") if key in value]
    if len(kinds) > 1 or (kinds and kinds[0] in ("fixed", "tied") and len(value) > 1):
        raise InputError(f"{name}: these keys exclude each other", sorted(value))
    if "tied" in value:
        return Tied(value["tied"])
    if "fixed" in value:
        fixed = value["fixed"]
        return Fixed(Column(fixed) if isinstance(fixed, str) else fixed)
    start = Column(value["column"]) if "column" in value else value.get("start")
    return Free(start, value.get("lower"), value.get("upper"), value.get("log"))


def source_from(table: Mapping[str, Any], folder: Path) -> StampSource:
    """The stamps that a table of options names; paths in it are relative to ``folder``.

    Raises
    ------
    InputError
        For an unknown key, which names the nearest, or a value that cannot be meant.
    """
    check_names("key of [input]", table, [field.name for field in dataclasses.fields(StampSource)])
    values = dict(table)
    if "table" in values:
        values["table"] = str(folder / Path(values["table"]).expanduser())
    for name in set(IMAGES) & set(values):
        values[name] = _located(values[name], folder, "table" in values)
    return StampSource(**values)


def _located(value: Any, folder: Path, with_table: bool) -> Any:
    """A path, pattern or list relative to the run file; beside a table, text that is no file is a column."""
    if isinstance(value, list):
        return [_located(item, folder, with_table) for item in value]
    if not isinstance(value, str):
        return value
    path = folder / Path(value).expanduser()
    return str(path) if not with_table or Path(split_hdu(path)[0]).is_file() else value


def run_options(fitting: Mapping[str, Any], output: Mapping[str, Any], folder: Path) -> RunOptions:
    """The options of a run from the sections ``[fit]`` and ``[output]``.

    Raises
    ------
    InputError
        If a key is unknown, or a value out of range.
    """
    known = [field.name for field in dataclasses.fields(RunOptions)]
    check_names("key of [fit]", fitting, [name for name in known if name not in OUTPUT])
    check_names("key of [output]", output, OUTPUT)
    values = {**fitting, **output}
    if "solver" in values:
        values["solver"] = solver_from(values["solver"])
    if "sampler" in values:
        check_names(
            "option of the sampler", values["sampler"], [field.name for field in dataclasses.fields(Sampler)]
        )
        values["sampler"] = Sampler(**values["sampler"])
    if "loss" in values:
        values["loss"] = loss_from(values["loss"])
    if "priors" in values:
        values["priors"] = priors_from(values["priors"])
    values["folder"] = folder / Path(values.get("folder", RunOptions.folder)).expanduser()
    return RunOptions(**values)


def solver_from(value: Any) -> LevenbergMarquardt | FirstOrder:
    """A solver from its name, or from a table of its name and options."""
    table = {"name": value} if isinstance(value, str) else dict(value)
    name = table.pop("name", "levenberg-marquardt")
    check_names("solver", [name], SOLVERS)
    kind = SOLVERS[name]
    fields = [field.name for field in dataclasses.fields(kind)]
    check_names(f"option of {name}", table, fields)
    return kind(**table)


def _own_arguments(kind: type[Profile]) -> set[str]:
    """What a profile's constructor takes beside the settings of its parameters."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, p in inspect.signature(kind).parameters.items() if p.kind in plain}


def check_names(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a name that is not known, and say which is nearest.

    Raises
    ------
    InputError
        At the first unknown name.
    """
    choices = list(known)
    for name in names:
        if name not in choices:
            raise unknown_name(kind, name, choices)
