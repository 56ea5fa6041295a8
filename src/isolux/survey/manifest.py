"""What a run is, so that it can be gone on with by the same configuration and by no other."""

from __future__ import annotations

import datetime
import platform
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from isolux.errors import InputError
from isolux.io.plan_files import Plan
from isolux.io.run_folder import RunFolder
from isolux.survey.options import SurveyOptions
from isolux.survey.part import Input

FORMAT = 1
"""Of the run folder; a folder of another format is refused."""
LIBRARIES = ("isolux", "torch", "numpy", "astropy", "scipy", "sep", "pyarrow", "dask", "distributed")


def configuration(source: Input, options: SurveyOptions) -> dict[str, str]:
    """All that decides over the rows, as text by dotted name."""
    cut = {"part_galaxies": options.part_galaxies, "part_pixels": options.part_pixels}
    return {"kind": source.kind, **flattened(source.describe()), **flattened({"survey": cut})}


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def manifest(name: str, settings: Mapping[str, str], plan: Plan, files: int) -> dict[str, Any]:
    """The manifest of a new run."""
    return {
        "format": FORMAT,
        "name": name,
        "run": uuid.uuid4().hex,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "configuration": dict(settings),
        "versions": versions(),
        "seeds": {key: value for key, value in settings.items() if key.rpartition(".")[2] == "seed"},
        "plan": plan.summary,
        "input_files": files,
    }


def check_same(folder: RunFolder, settings: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of a run that is to go on with this configuration.

    Raises
    ------
    InputError
        If the folder's run is another one; the differences are named.
    """
    there = folder.manifest()
    if there.get("format") != FORMAT:
        raise InputError(f"{folder.path}: is a run folder of another format", there.get("format"), FORMAT)
    different = differences(there.get("configuration", {}), settings)
    if different:
        told = "\n  ".join(different)
        raise InputError(
            f"{folder.path}: holds a run of another configuration; give another folder, or overwrite it."
            f" What differs:\n  {told}"
        )
    return there


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two configurations, in words."""
    told = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old != new:
            words = [
                f"was {old}" if old is not None else "was not there",
                f"is {new}" if new is not None else "is gone",
            ]
            told.append(f"{key}: {', '.join(words)}")
    return told


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as text by dotted name."""
    out: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            out |= flattened(value, f"{name}.")
        else:
            out[name] = str(value)
    return out
