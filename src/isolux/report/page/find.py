"""What a path leads to: a survey's run, a folder with a catalogue, or a catalogue."""

from __future__ import annotations

from pathlib import Path

from isolux.errors import InputError
from isolux.io.run_folder import RunFolder
from isolux.io.tables import FORMATS
from isolux.report.page.fit_folder import catalogue_origin
from isolux.report.page.origin import Origin
from isolux.report.page.survey_run import survey_origin


def open_origin(path: str | Path) -> Origin:
    """What a path leads to.

    Parameters
    ----------
    path : str or path
        A folder that ``isolux survey``, ``fit`` or ``measure`` wrote, or a catalogue.

    Raises
    ------
    InputError
        If there is nothing that a page could be made of.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file():
        return catalogue_origin(path)
    if RunFolder(path).exists():
        return survey_origin(RunFolder(path))
    found = _catalogues(path)
    if not found:
        raise InputError(f"{path}: neither a survey's manifest.json nor a catalogue is in this folder")
    return catalogue_origin(found[0])


def _catalogues(folder: Path) -> list[Path]:
    """Catalogues of a folder, Parquet before the others; also of a run that has not ended."""
    order = {kind: k for k, kind in enumerate(("parquet", "fits", "ecsv", "hdf5", "csv"))}
    names = [p.with_name(p.name.removesuffix(".parts")) for p in folder.glob("catalogue.*")]
    known = {p for p in names if p.suffix.lower() in FORMATS}
    return sorted(known, key=lambda p: order[FORMATS[p.suffix.lower()]])
