"""The run file of a survey: ``isolux fit``'s sections, and what a survey adds to them.

``[input]`` says where the galaxies come from: stamps (as for ``isolux fit``), ``folder``, ``catalogue``, ``fields`` or
``mocks``. ``[model.<component>]`` and ``[fit]`` are for stamps, ``[field]`` for fields. ``[survey]`` has the fields of
:class:`SurveyOptions`, ``[cluster]`` of :class:`ClusterOptions`, ``[output]`` the folder and what is made in the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isolux.errors import InputError
from isolux.io.runfile import check_names, read_toml, run_options, scene_from
from isolux.scene import Scene
from isolux.survey.options import EXPORTS, ClusterOptions, SurveyOptions
from isolux.survey.part import Input
from isolux.survey.setup import SurveyRun

SECTIONS = ("input", "model", "fit", "field", "survey", "cluster", "output")
OUTPUT = ("folder", "exports", "columns", "name", "maps")
SHOWN_A_FIELD = 12
"""Sources of a field whose images are kept for the report."""


def read_survey_file(path: str | Path, **changes: Any) -> SurveyRun:
    """Read the run file of a survey.

    Parameters
    ----------
    path : str or path
        The file; paths in it are relative to it.
    **changes
        Fields of :class:`SurveyRun`, :class:`SurveyOptions` or :class:`ClusterOptions` that win over the file's.

    Raises
    ------
    InputError
        If it is missing, is not TOML, or has a section, key or value that is unknown.
    """
    path = Path(path).expanduser()
    content = read_toml(path, SECTIONS)
    try:
        return _run(content, path, changes)
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error


def _run(content: Mapping[str, Any], path: Path, changes: Mapping[str, Any]) -> SurveyRun:
    output = {"folder": path.stem, "name": path.stem, **content.get("output", {})}
    check_names("key of [output]", output, OUTPUT)
    exports = output.get("exports", ())
    exports = [exports] if isinstance(exports, str) else exports
    check_names("export", exports, EXPORTS)
    survey = _filled(SurveyOptions, "survey", content, changes)
    cluster = _filled(ClusterOptions, "cluster", content, changes)
    own = {key: value for key, value in changes.items() if key in _names(SurveyRun)}
    target = Path(changes.get("folder", path.parent / Path(output["folder"]).expanduser()))
    values = {
        "folder": target,
        "exports": tuple(exports),
        "columns": output.get("columns", "isolux"),
        "name": output["name"],
        **own,
    }
    maps = str(target.resolve() / "maps") if output.get("maps") else None
    return SurveyRun(_input(content, path.parent, cluster, maps), survey=survey, cluster=cluster, **values)


def _input(content: Mapping[str, Any], folder: Path, cluster: ClusterOptions, maps: str | None) -> Input:
    table = content.get("input")
    if not table:
        raise InputError("there is no section [input]")
    if "fields" in table:
        for section in ("model", "fit"):
            if section in content:
                raise InputError(f"fields take no section [{section}]; write [field]")
        from isolux.survey.fields import field_options, fields_input

        options = dataclasses.replace(field_options(content.get("field", {})), device=cluster.device)
        return fields_input(table, folder, options, maps, SHOWN_A_FIELD)
    if maps is not None:
        raise InputError("maps = true in [output] is for fields")
    if "field" in content:
        raise InputError("[field] is for fields = ... in [input]")
    if not content.get("model"):
        raise InputError("there is no section [model.<component>]")
    fitting = dict(content.get("fit", {}))
    for name in ("workers", "threads", "device"):
        if name in fitting:
            raise InputError(f"{name} belongs to [cluster] here, not to [fit]")
    settings = run_options({**fitting, "threads": cluster.threads, "device": cluster.device}, {}, folder)
    scene: Scene = scene_from(content["model"], folder)
    if "mocks" in table:
        from isolux.survey.mocks import mocks_input

        return mocks_input(table, folder, scene, settings)
    from isolux.survey.inputs import read_input

    return read_input(table, folder, scene, settings)


def _filled(kind: type, section: str, content: Mapping[str, Any], changes: Mapping[str, Any]) -> Any:
    values = dict(content.get(section, {}))
    check_names(f"key of [{section}]", values, _names(kind))
    return kind(**values | {key: value for key, value in changes.items() if key in _names(kind)})


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]
