"""A field from file to catalogue: read -> measure -> catalogue, maps, figure.

    isolux.measure_field("image.fits")

writes all that is known of each source into a folder: the catalogue, the models and what they leave of the image, the
segmentation, a region file for DS9, the PSF that was used. The measuring itself is in :mod:`isolux.field.survey`.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isolux.errors import FitWarning, InputError
from isolux.field.catalogue import catalogue
from isolux.field.image import FieldImage
from isolux.field.options import FieldOptions
from isolux.field.survey import Measured, measure_sources
from isolux.io.catalogue import write_catalogue
from isolux.io.field_image import read_field
from isolux.io.field_maps import write_map
from isolux.io.positions import read_positions
from isolux.io.psfex import read_psf, write_psfex
from isolux.io.regions import write_regions
from isolux.io.tables import format_of
from isolux.options import cores
from isolux.psf_model import PsfModel


@dataclasses.dataclass(frozen=True, eq=False)
class FieldRun:
    """What measuring a field has given.

    Attributes
    ----------
    catalogue : Path
        The catalogue.
    table : QTable
        The same in memory.
    files : dict
        What else was written, by name.
    measured : Measured
        Sources, fits and maps.
    remarks : tuple of str
        What the user should know.
    """

    catalogue: Path
    table: Any
    files: dict[str, Path]
    measured: Measured
    remarks: tuple[str, ...]


def measure_field(
    image: str | Path | FieldImage,
    *,
    psf: str | Path | PsfModel | None = None,
    psf_oversampling: int = 1,
    psf_includes_pixel: bool = True,
    positions: str | Path | None = None,
    out: str | Path | None = None,
    catalogue_name: str = "catalogue.fits",
    overwrite: bool = False,
    options: FieldOptions | None = None,
    progress: Callable[[str, int, int], object] | None = None,
    **reading: Any,
) -> FieldRun:
    """Measure all sources of a survey image.

    Parameters
    ----------
    image : str, path or FieldImage
        The image; a file is read by :func:`isolux.io.field_image.read_field`.
    psf : str, path or PsfModel, optional
        An image of the PSF, a PSFEx file, or a model; measured from the field's stars where left out.
    psf_oversampling : int
        Samples a pixel of a PSF image.
    psf_includes_pixel : bool
        False if a PSF image is without the pixel's response.
    positions : str or path, optional
        A table of the sources to measure in place of those that are detected, with columns ``ra`` and ``dec`` or ``x``
        and ``y``.
    out : str or path, optional
        Folder for everything; ``<image>_sources`` beside the image where left out.
    catalogue_name : str
        Its ending is the format.
    overwrite : bool
        Replace the catalogue that is there.
    options : FieldOptions, optional
        How.
    progress : callable, optional
        Told what is being done, how much of it is done and of how much.
    **reading
        Of :func:`isolux.io.field_image.read_field`: ``weight``, ``mask``, ``zero_point``, ``gain``, ...

    Returns
    -------
    FieldRun

    Raises
    ------
    InputError
        If a file cannot be used or a catalogue is there already. What is wrong with one source is in its row.
    """
    options = options or FieldOptions()
    folder = _folder(image, out)
    target = folder / catalogue_name
    format_of(target)
    if target.exists() and not overwrite:
        raise InputError(f"{target}: is there already; overwrite it, or give another folder")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitWarning)
        field = image if isinstance(image, FieldImage) else read_field(image, **reading)
        model = psf
        if isinstance(psf, str | Path):
            model = read_psf(psf, oversampling=psf_oversampling, includes_pixel=psf_includes_pixel)
        assert model is None or isinstance(model, PsfModel)
        places = None if positions is None else read_positions(positions, field)
        measured = measure_sources(
            field,
            psf=model,
            options=options,
            positions=None if places is None else (places.x, places.y),
            cores=cores(),
            progress=progress,
        )
    for warning in caught:
        if not issubclass(warning.category, FitWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    table = catalogue(measured)
    if places is not None:
        table["id"] = np.array(places.id, dtype=str)
    told = [str(w.message) for w in caught if issubclass(w.category, FitWarning)]
    remarks = tuple(dict.fromkeys([*field.remarks, *told, *measured.detections.remarks, *measured.remarks]))
    table.meta |= _about(measured)
    folder.mkdir(parents=True, exist_ok=True)
    write_catalogue(table, target, overwrite=overwrite)
    return FieldRun(target, table, _write_maps(folder, measured, table), measured, remarks)


def _folder(image: str | Path | FieldImage, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out).expanduser()
    name = image.source if isinstance(image, FieldImage) else str(image)
    path = Path(name.partition("[")[0] or "field").expanduser()
    stem = path.name
    for ending in (".gz", ".fz", ".bz2", ".xz", ".Z", ".fits", ".fit", ".fts", ".npy"):
        stem = stem.removesuffix(ending)
    parent = path.parent if os.access(path.parent, os.W_OK) else Path()
    return parent / f"{stem}_sources"


def _about(measured: Measured) -> dict[str, Any]:
    """What goes into the head of the catalogue."""
    field = measured.field
    return {
        "image": Path(field.source).name,
        "band": field.band,
        "zero_point": field.zero_point,
        "pixel_scale": field.pixel_scale,
        "psf_fwhm": float("nan") if measured.psf is None else measured.psf.fwhm * field.pixel_scale,
        "models": ",".join(measured.options.models),
    }


def _write_maps(folder: Path, measured: Measured, table: Any) -> dict[str, Path]:
    field = measured.field
    files = {
        "residual": write_map(
            folder / "residual.fits", measured.residual, field, "image less background and models"
        ),
        "model": write_map(folder / "model.fits", measured.model, field, "models of all sources"),
        "segmentation": write_map(
            folder / "segmentation.fits",
            measured.detections.segmentation,
            field,
            "number of the source; 0 for none",
        ),
        "background": write_map(
            folder / "background.fits", measured.sheet.background, field, "sky that was subtracted"
        ),
        "regions": write_regions(folder / "sources.reg", table, field),
    }
    if measured.psf is not None:
        files["psf"] = write_psfex(measured.psf, folder / "psf.psf")
    return files
