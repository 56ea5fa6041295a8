"""Surface-brightness profiles on disk: a table of radii and one of galaxies, written batch by batch."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from astropy.table import QTable

from isolux.errors import InputError, unknown_name
from isolux.io.catalogue import CatalogueWriter
from isolux.io.tables import FORMATS, read_table
from isolux.isophotes.colours import Colours
from isolux.isophotes.profiles import Isophotes

KINDS = tuple(dict.fromkeys(FORMATS.values()))
PROFILES, GALAXIES, COLOURS = "profiles", "galaxies", "colours"


class ProfileWriter:
    """Writes profiles to ``profiles.KIND`` (a row a radius) and ``galaxies.KIND`` (a row a galaxy) in a folder.

    Where there are several bands ``colours.KIND`` (a row a radius) has their brightness and colours.

    Use it in a ``with`` statement; an exception leaves what was done in ``*.parts`` folders.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    kind : str
        fits, parquet, ecsv, csv or hdf5.
    overwrite : bool
        Replace tables that are there.

    Raises
    ------
    InputError
        If the kind is unknown, or tables are there and are not to be replaced.
    """

    def __init__(self, folder: str | Path, kind: str = "fits", overwrite: bool = False) -> None:
        if kind not in KINDS:
            raise unknown_name("kind of table", kind, KINDS)
        self.folder = Path(folder).expanduser()
        self.profiles, self.galaxies, self.colours = (
            self.folder / f"{name}.{kind}" for name in (PROFILES, GALAXIES, COLOURS)
        )
        paths = (self.profiles, self.galaxies, self.colours)
        for path in paths:
            if path.exists() and not overwrite:
                raise InputError(f"{path} is there already: give another folder, or overwrite")
        self._writers = [CatalogueWriter(path, overwrite=overwrite) for path in paths]

    def __enter__(self) -> ProfileWriter:
        for writer in self._writers:
            writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers:
            writer.__exit__(kind, error, trace)

    def write(self, found: Isophotes, colours: Colours | None = None) -> None:
        """Add the profiles of a batch, and those of other bands where there are any."""
        tables = [found.table(), found.summary()] + ([] if colours is None else [colours.table()])
        for writer, table in zip(self._writers, tables, strict=False):
            writer.write(table)


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
