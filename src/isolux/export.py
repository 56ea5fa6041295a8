"""Catalogues as others want them: one file or a HATS catalogue, in Isolux's columns or a survey's.

The parts of a run go through one at a time, so that memory does not grow with the survey; what is written is put in
place in one step.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from isolux.errors import FitWarning, InputError, unknown_name
from isolux.io.catalogue import Rows
from isolux.io.catalogue_source import CatalogueSource, only, open_catalogue
from isolux.io.column_profiles import check_profile, convert, light_of, place_of
from isolux.io.formats import save
from isolux.io.hats import check_hats, refuse_other_folders, write_hats
from isolux.io.safe_files import put_whole
from isolux.io.votable import write_votable

Format = Literal["parquet", "fits", "votable", "ecsv", "csv", "hats"]
ENDINGS = {
    "parquet": ".parquet",
    "fits": ".fits",
    "votable": ".vot",
    "ecsv": ".ecsv",
    "csv": ".csv",
    "hats": "",
}
"""Of the names of files."""
KNOWN = {".parquet": "parquet", ".pq": "parquet", ".fits": "fits", ".fit": "fits", ".vot": "votable"} | {
    ".votable": "votable",
    ".xml": "votable",
    ".ecsv": "ecsv",
    ".csv": "csv",
}
TRUTH = "truth_"
ON_SKY = ("legacy", "euclid")
"""Columns with angles on the sky."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is taken of a catalogue, and in which columns.

    Parameters
    ----------
    profile : {"isolux", "legacy", "rubin", "euclid"}
        Whose names and units.
    band : str, optional
        Name of the band, for the columns of surveys, where the catalogue has one and does not say it.
    component : str, optional
        The component whose light and shape are meant, of a model with several.
    pixel_scale : float, optional
        Arcsec, where the catalogue does not say it, as those of fields.
    truth : bool
        The truth that is known of simulated galaxies in place of what was measured.
    primary : bool
        Of sources that were measured in several fields, only where they are primary.

    Raises
    ------
    InputError
        If they cannot be had together.
    """

    profile: str = "isolux"
    band: str | None = None
    component: str | None = None
    pixel_scale: float | None = None
    truth: bool = False
    primary: bool = False

    def __post_init__(self) -> None:
        check_profile(self.profile)
        if self.truth and self.profile != "isolux":
            raise InputError("truth is exported in Isolux's columns", self.profile, "isolux")
        if self.pixel_scale is not None and not self.pixel_scale > 0:
            raise InputError("pixel_scale in arcsec", self.pixel_scale, "above 0")

    @property
    def place(self) -> tuple[str, str]:
        """The columns of the position."""
        return (f"{TRUTH}ra", f"{TRUTH}dec") if self.truth else place_of(self.profile)


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : Path
        The file or folder.
    rows : int
        Rows in it.
    without_position : Path or None
        Rows that could not be in a HATS catalogue.
    remarks : tuple of str
        What the user should know.
    """

    path: Path
    rows: int
    without_position: Path | None = None
    remarks: tuple[str, ...] = ()


def export(
    source: str | Path,
    out: str | Path | None = None,
    *,
    format: str | None = None,
    columns: str = "isolux",
    band: str | None = None,
    component: str | None = None,
    pixel_scale: float | None = None,
    truth: bool = False,
    primary_only: bool = False,
    margin: float = 5.0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    client: Any = None,
) -> Exported:
    """Write a catalogue in another format or in the columns of a survey.

    Parameters
    ----------
    source : str or path
        The folder of a survey run, of ``isolux fit`` or ``isolux measure``, or a catalogue.
    out : str or path, optional
        The file; for HATS the folder. Beside the rows that are read where left out.
    format : {"parquet", "fits", "votable", "ecsv", "csv", "hats"}, optional
        By the ending of ``out`` where left out; Parquet where that is left out too.
    columns : {"isolux", "legacy", "rubin", "euclid"}
        Names and units of Isolux, of the Legacy Surveys' Tractor catalogues, of Rubin's DP1 or of Euclid's Q1.
    band, component, pixel_scale, truth
        As in :class:`Wanted`.
    primary_only : bool
        Leave out sources that are primary in another field.
    margin : float
        Arcsec round each cell of a HATS catalogue; 0 for none.
    overwrite : bool
        Replace what is there.
    progress : callable, optional
        Called with rows done and rows in all; formats that need the rows twice begin again.
    client : distributed.Client, optional
        Does the work for HATS.

    Returns
    -------
    Exported

    Raises
    ------
    InputError
        If the source cannot be read, has not what the columns need, or something is there already.
    MissingExtra
        If HATS is asked for and hats-import is not installed.

    Warns
    -----
    FitWarning
        If parts of the run are missing, or rows have no position.
    """
    taken = Wanted(columns, band, component, pixel_scale, truth, primary_only)
    path, kind = _where(Path(source).expanduser(), out, format, taken)
    given = open_catalogue(source)
    _refuse(path, kind, given, overwrite)
    plan = _Rows(given, taken, progress)
    rest = None
    if kind == "hats":
        check_hats()
        done = write_hats(
            path, plan.schema, plan.pieces, taken.place, margin=margin, notes=plan.notes, client=client
        )
        rest, rows = done.rest, done.inside
        if rest is not None:
            plan.remarks.append(f"{done.outside} rows have no position: they are in {rest}")
    else:
        rows = _write(path, kind, plan)
    if plan.unturned and taken.profile in ON_SKY:
        plan.remarks.append(
            f"{plan.unturned} galaxies have no WCS: angles and ellipticities on the sky are NaN"
        )
    for remark in plan.remarks:
        warnings.warn(remark, FitWarning, stacklevel=2)
    return Exported(path, rows, rest, tuple(plan.remarks))


class _Rows:
    """Rows on their way out: some of them, in other columns."""

    def __init__(
        self, given: CatalogueSource, taken: Wanted, progress: Callable[[int, int], None] | None
    ) -> None:
        self.given, self.taken, self.progress = given, taken, progress
        self.remarks = list(given.remarks)
        self.rows, self.unturned = 0, 0
        if taken.primary and "primary" not in given.schema.names:
            raise InputError(f"{given.path}: has no column primary, which only the runs over fields have")
        if taken.truth and not any(name.startswith(TRUTH) for name in given.schema.names):
            raise InputError(f"{given.path}: has no columns truth_*, which only simulated galaxies have")
        schema = self._converted(given.schema.empty_table(), 0).schema
        self.notes = {"version": _version(), "columns": taken.profile, **given.notes}
        notes = {f"isolux_{key}": value for key, value in self.notes.items()}
        self.schema = schema.with_metadata(notes)

    def pieces(self) -> Iterator[Rows]:
        """The rows, piece by piece, all with the same columns."""
        self.rows, self.unturned, read = 0, 0, 0
        for piece in self.given.pieces():
            read += len(piece)
            if self.taken.primary:
                piece = only(piece, "primary")
            made = self._converted(piece, self.rows)
            self.rows += len(made)
            yield made.cast(self.schema)
            if self.progress is not None:
                self.progress(read, self.given.rows)

    def _converted(self, rows: Rows, first: int) -> Rows:
        taken = self.taken
        if taken.truth:
            return rows.select([n for n in rows.column_names if n == "id" or n.startswith(TRUTH)])
        if taken.profile == "isolux":
            return rows
        light = light_of(rows, band=taken.band, component=taken.component, pixel_scale=taken.pixel_scale)
        known = np.isfinite(light.radius[:, 0]) & np.isfinite(light.angle[:, 0])
        self.unturned += int((known & np.isnan(light.pa_sky[:, 0])).sum())
        return convert(light, taken.profile, first)


def _write(path: Path, kind: str, plan: _Rows) -> int:
    with put_whole(path) as temporary:
        if kind == "votable":
            write_votable(temporary, plan.schema, plan.pieces, plan.given.rows)
        else:
            save(kind, temporary, plan.schema, plan.pieces)
    return plan.rows


def _where(source: Path, out: str | Path | None, format: str | None, taken: Wanted) -> tuple[Path, str]:
    """The place of what is written, and its format."""
    if format is not None and format not in get_args(Format):
        raise unknown_name("format", format, get_args(Format))
    if out is not None:
        path = Path(out).expanduser()
        kind = format or KNOWN.get(path.suffix.lower())
        if kind is None:
            raise InputError(
                f"{path}: unknown kind of catalogue; give the format", allowed=", ".join(get_args(Format))
            )
        return path, kind
    kind = format or "parquet"
    label = "truth" if taken.truth else taken.profile
    if source.is_dir():
        stem, folder = "catalogue", source
    else:
        stem, folder = source.name.partition(".")[0], source.parent
    name = stem if label == "isolux" else f"{stem}_{label}"
    return folder / (f"{name}_hats" if kind == "hats" else name + ENDINGS[kind]), kind


def _refuse(path: Path, kind: str, given: CatalogueSource, overwrite: bool) -> None:
    if path.resolve() == given.path.resolve():
        raise InputError(f"{path}: is the catalogue itself; give another name")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: is there already; overwrite it or give another name")
    if kind == "hats":
        refuse_other_folders(path)
    elif path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")


def _version() -> str:
    try:
        return version("isolux")
    except PackageNotFoundError:
        return "unknown"
