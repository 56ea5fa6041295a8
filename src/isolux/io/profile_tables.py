"""Surface-brightness profiles on disk: a table of radii and one of galaxies, written batch by batch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from astropy.table import QTable

from isolux.errors import InputError, unknown_name
from isolux.io.catalogue import CatalogueWriter, part_files, parts_folder, read_catalogue
from isolux.io.safe_files import put_text
from isolux.io.tables import FORMATS, read_table
from isolux.isophotes.colours import Colours
from isolux.isophotes.profiles import Isophotes

KINDS = tuple(dict.fromkeys(FORMATS.values()))
PROFILES, COLOURS, GALAXIES = "profiles", "colours", "galaxies"
UNFINISHED = "unfinished.json"
"""The file that says what a run is, as long as it is not finished."""


class ProfileWriter:
    """Writes profiles to ``profiles.KIND`` (a row a radius) and ``galaxies.KIND`` (a row a galaxy) in a folder.

    Where there are several bands ``colours.KIND`` (a row a radius) has their brightness and colours.

    Use it in a ``with`` statement. Whatever ends it early leaves what was done in ``*.parts`` folders. A batch is done
    when its galaxies are written, which is last: rows of a batch that was not are removed by the run that goes on.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    kind : str
        fits, parquet, ecsv, csv or hdf5.
    overwrite : bool
        Replace tables, and unfinished runs, that are there.
    setting : mapping, optional
        What the run is, as JSON can hold it. A run that was ended early goes on with the same setting; without one it
        does not.

    Attributes
    ----------
    done : int
        Batches that are there already, of an earlier run.
    closing : bool
        Whether that run has done all of them, and was ended while it joined their tables.

    Raises
    ------
    InputError
        If the kind is unknown; or tables, or an unfinished run of another setting, are there and not to be replaced.
    """

    def __init__(
        self,
        folder: str | Path,
        kind: str = "fits",
        overwrite: bool = False,
        setting: Mapping[str, Any] | None = None,
    ) -> None:
        if kind not in KINDS:
            raise unknown_name("kind of table", kind, KINDS)
        self.folder = Path(folder).expanduser()
        self.profiles, self.colours, self.galaxies = (
            self.folder / f"{name}.{kind}" for name in (PROFILES, COLOURS, GALAXIES)
        )
        self._paths = (self.profiles, self.colours, self.galaxies)
        self._marker = self.folder / UNFINISHED
        self._setting = None if setting is None else json.loads(json.dumps({**setting, "format": kind}))
        self._goes_on = self._setting is not None and self._marker.exists() and not overwrite
        self._overwrite = overwrite
        self.done, self.closing = 0, False
        if self._goes_on:
            self._compare()
            self._tidy()
        elif there := [path for path in self._paths if path.exists() and not overwrite]:
            raise InputError(f"{there[0]} is there already: give another folder, or --overwrite")
        self._writers = [
            CatalogueWriter(path, resume=self._goes_on, overwrite=overwrite) for path in self._paths
        ]

    def __enter__(self) -> ProfileWriter:
        if self._overwrite:
            self._clear()
        if self._setting is not None and not self._goes_on:
            put_text(self._marker, json.dumps(self._setting, indent=1) + "\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        for writer in self._writers:
            writer.close()
        self._marker.unlink(missing_ok=True)

    def write(self, found: Isophotes, colours: Colours | None = None) -> None:
        """Add the profiles of a batch, and those of other bands where there are any."""
        profiles, others, galaxies = self._writers
        profiles.write(found.table())
        if colours is not None:
            others.write(colours.table())
        galaxies.write(found.summary())

    def before(self) -> QTable | None:
        """The galaxies that an earlier run has done; None where there are none."""
        return read_catalogue(self.galaxies) if self._goes_on and (self.done or self.closing) else None

    def _compare(self) -> None:
        """Refuse to go on with a run that was another."""
        try:
            before = json.loads(self._marker.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        assert self._setting is not None
        for name in sorted({*before, *self._setting}):
            if before.get(name) != self._setting.get(name):
                raise InputError(
                    f"{self.folder}: an unfinished run of other settings is there; give another folder, or "
                    f"--overwrite it: {name}",
                    self._setting.get(name),
                    before.get(name),
                )

    def _tidy(self) -> None:
        """Find what is done, and remove rows of batches that are not."""
        self.closing = any(path.exists() for path in self._paths)
        if self.closing:
            return
        done = {part.name for part in part_files(parts_folder(self.galaxies))}
        self.done = len(done)
        for path in self._paths:
            for part in part_files(parts_folder(path)):
                if part.name not in done:
                    part.unlink()

    def _clear(self) -> None:
        """Remove the tables, and an unfinished run of any format."""
        for path in self._paths:
            path.unlink(missing_ok=True)
        for name in (PROFILES, COLOURS, GALAXIES):
            for kind in KINDS:
                shutil.rmtree(parts_folder(self.folder / f"{name}.{kind}"), ignore_errors=True)
        self._marker.unlink(missing_ok=True)


def read_profiles(folder: str | Path) -> tuple[QTable, QTable]:
    """The tables of radii and of galaxies in a folder.

    Raises
    ------
    InputError
        If there are none.
    """
    folder = Path(folder).expanduser()
    for kind in KINDS:
        paths = [folder / f"{name}.{kind}" for name in (PROFILES, GALAXIES)]
        if all(path.exists() for path in paths):
            radii, galaxies = (read_table(path, ("id", "profile_flags_text")) for path in paths)
            return radii, galaxies
    raise InputError(f"{folder}: no tables of profiles")
