"""Profiles by name: Isolux's own, and a user's class from the user's file, ``mybar.py:MyBar``."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import zlib
from pathlib import Path
from types import ModuleType

from isolux.errors import InputError, unknown_name
from isolux.profiles import profile_named
from isolux.profiles.base import Profile

LOOSE = "isolux_user_"
"""How the names of modules begin that were made from a user's file."""


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


def load_module(name: str, file: Path) -> ModuleType:
    """Run a Python file as a module of a name, under which what it defines can be pickled.

    Raises
    ------
    InputError
        If it cannot be run.
    """
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file}: cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{file}: {type(error).__name__}: {error}") from error
    return module


def is_loose(module: str) -> bool:
    """Whether a module was made by :func:`load_module`, so that another process cannot import it by its name."""
    return module.startswith(LOOSE)


def _profiles_in(file: Path) -> dict[str, type[Profile]]:
    """The profiles that a file defines, by name."""
    file = file.absolute()
    module = load_module(f"{LOOSE}{file.stem}_{zlib.crc32(str(file).encode()):08x}", file)
    return {
        name: item
        for name, item in vars(module).items()
        if inspect.isclass(item)
        and issubclass(item, Profile)
        and item.__module__ == module.__name__
        and not inspect.isabstract(item)
    }
