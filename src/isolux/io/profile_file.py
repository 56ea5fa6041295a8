"""Profiles by name: Isolux's own, and a user's class from the user's file, ``mybar.py:MyBar``."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

from isolux.errors import InputError, unknown_name
from isolux.profiles import profile_named
from isolux.profiles.base import Profile


def find_profile(name: str, folder: str | Path = ".") -> type[Profile]:
    """The profile of a name.

    Parameters
    ----------
    name : str
        ``sersic``, ``point``, ..., or ``path/to/mybar.py:MyBar`` (the class may be left out where the file has
        one alone).
    folder : str or path
        Where relative paths begin.

    Raises
    ------
    InputError
        If there is no such profile, file or class, or the file cannot be run.
    """
    path, _, wanted = name.partition(":")
    if not path.endswith(".py"):
        return profile_named(name)
    file = Path(folder) / Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"profile {name}: no such file as {file}")
    found = _profiles_in(file)
    if not wanted and len(found) == 1:
        return next(iter(found.values()))
    if wanted not in found:
        if not found:
            raise InputError(f"profile {name}: the file defines no subclass of a profile")
        raise unknown_name(f"profile in {file}", wanted, found)
    return found[wanted]


def _profiles_in(file: Path) -> dict[str, type[Profile]]:
    """The profiles that a file defines, by name."""
    spec = importlib.util.spec_from_file_location(f"isolux_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{file}: {type(error).__name__}: {error}") from error
    return {
        name: item
        for name, item in vars(module).items()
        if inspect.isclass(item)
        and issubclass(item, Profile)
        and item.__module__ == module.__name__
        and not inspect.isabstract(item)
    }
