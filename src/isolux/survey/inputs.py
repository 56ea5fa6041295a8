"""Which input the section ``[input]`` of a survey's run file means: stamps, a folder of them, or a catalogue.

Its keys are those of :class:`isolux.io.source.StampSource`; ``folder`` or ``catalogue`` say that they are all in one
place, ``carry`` what goes from the table into the catalogue, ``band`` and ``psf_fwhm`` more of images in a catalogue.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isolux.errors import InputError
from isolux.io.runfile import check_names, source_from
from isolux.io.source import IMAGES, StampSource
from isolux.options import RunOptions
from isolux.scene import Scene
from isolux.survey.catalogue import CatalogueInput
from isolux.survey.part import Input
from isolux.survey.stamps import StampsInput

PLACES = ("image", "table", "folder", "catalogue")
NOISE = ("sigma", "variance", "ivar")
EXTRA = ("folder", "catalogue", "carry", "band", "psf_fwhm")


def read_input(table: Mapping[str, Any], folder: str | Path, scene: Scene, options: RunOptions) -> Input:
    """The stamps that a section names.

    Parameters
    ----------
    table : mapping
        The section ``[input]``.
    folder : str or path
        Where the run file is: paths are relative to it.
    scene : Scene
        The model.
    options : RunOptions
        How it is fitted.

    Raises
    ------
    InputError
        For an unknown key, which names the nearest, keys that exclude each other, or a folder without stamps.
    """
    fields = [field.name for field in dataclasses.fields(StampSource)]
    check_names("key of [input]", table, [*fields, *EXTRA])
    where = Path(os.path.abspath(Path(folder).expanduser()))
    places = [name for name in PLACES if name in table]
    if not places:
        raise InputError("[input]: where are the galaxies?", sorted(table) or None, ", ".join(PLACES))
    if ("folder" in table and len(places) > 1) or {"catalogue", "table"} <= set(places):
        raise InputError("[input]: these keys exclude each other", places)
    carry = _names(table.get("carry", ()))
    given = {key: value for key, value in table.items() if key not in EXTRA}
    if "catalogue" in table:
        path = _path("catalogue", table["catalogue"], where)
        source = source_from({**given, "table": str(path)}, where)
        band, width = table.get("band"), table.get("psf_fwhm")
        return CatalogueInput(
            scene=scene,
            options=options,
            path=str(path),
            source=source,
            carry=carry,
            band=band,
            psf_fwhm=width,
        )
    for key in ("band", "psf_fwhm"):
        if key in table:
            raise InputError(f"[input]: {key} is for images in a catalogue", table[key])
    within = None
    if "folder" in table:
        within = str(_path("folder", table["folder"], where))
        given = folder_patterns(within, given)
    return StampsInput(
        scene=scene, options=options, source=source_from(given, where), carry=carry, folder=within
    )


def folder_patterns(folder: str | Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Patterns for the stamps in a folder, with what is given beside.

    Where there are files ``<id>_image.fits``, packed or not, they are the images, and ``<id>_sigma.fits``,
    ``<id>_mask.fits``, ``<id>_psf.fits`` and so on what belongs to them. Else every FITS file is an image.

    Raises
    ------
    InputError
        If it is no folder, or there are no FITS files in it.
    """
    folder = str(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    if glob.has_magic(folder):
        raise InputError("folder: its name has wildcards", folder, "names without * ? [")
    if not glob.glob(f"{folder}/*_image.fits*"):
        if not glob.glob(f"{folder}/*.fits*"):
            hint = "; give its Parquet files as catalogue" * bool(glob.glob(f"{folder}/*.parquet"))
            raise InputError(f"{folder}: no FITS files in it{hint}")
        return {**given, "image": f"{folder}/*.fits*"}
    found = {kind: f"{folder}/*_{kind}.fits*" for kind in IMAGES if glob.glob(f"{folder}/*_{kind}.fits*")}
    if any(name in given for name in NOISE):
        found = {kind: pattern for kind, pattern in found.items() if kind not in NOISE}
    return {**found, **given}


def _path(key: str, value: Any, folder: Path) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise InputError(f"[input]: {key}", value, "a path")
    return Path(os.path.abspath(folder / Path(value).expanduser()))


def _names(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InputError("[input]: carry", value, "names of columns")
    return tuple(names)
