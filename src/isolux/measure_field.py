"""A field from file to catalogue: read -> measure -> catalogue, maps, figure.

    isolux.measure_field("image.fits")

writes all that is known of each source into a folder: the catalogue, the models and what they leave of the image, the
segmentation, a region file for DS9, the PSF that was used. The measuring itself is in :mod:`isolux.field.survey`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isolux.errors import FitWarning, InputError
from isolux.field.band_book import InBands
from isolux.field.band_columns import band_columns
from isolux.field.bands import measure_bands
from isolux.field.catalogue import add, catalogue
from isolux.field.image import FieldImage
from isolux.field.options import FieldOptions
from isolux.field.survey import Measured, measure_sources
from isolux.io.catalogue import write_catalogue
from isolux.io.field_image import read_field
from isolux.io.field_maps import write_map
from isolux.io.positions import Positions, read_positions
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
    bands : InBands or None
        The sources in further bands.
    """

    catalogue: Path
    table: Any
    files: dict[str, Path]
    measured: Measured
    remarks: tuple[str, ...]
    bands: InBands | None = None


def measure_field(
    image: str | Path | FieldImage,
    *,
    psf: str | Path | PsfModel | None = None,
    psf_oversampling: int = 1,
    psf_includes_pixel: bool = True,
    positions: str | Path | None = None,
    also: Sequence[str | Path | FieldImage] = (),
    degrees: Mapping[str, int] | None = None,
    hold: bool = False,
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
    also : sequence of str, path or FieldImage
        The same piece of sky in further bands, of any pixel scale: the sources of the first are fitted to all at the
        same time.
    degrees : mapping, optional
        With ``also``: degrees of polynomials in wavelength by the parameter's name, such as
        ``{"effective_radius": 1}``; structure is the same in all bands where left out.
    hold : bool
        With ``also``: keep the structure of the first band, and measure light alone in the others.
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
    folder = _folder(image, out)
    target = folder / catalogue_name
    format_of(target)
    if target.exists() and not overwrite:
        raise InputError(f"{target}: is there already; overwrite it, or give another folder")
    found = measure_image(
        image,
        psf=psf,
        psf_oversampling=psf_oversampling,
        psf_includes_pixel=psf_includes_pixel,
        positions=positions,
        also=also,
        degrees=degrees,
        hold=hold,
        options=options,
        progress=progress,
        **reading,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_catalogue(found.table, target, overwrite=overwrite)
    files = _write_maps(folder, found.measured, found.table)
    if found.bands is not None:
        files |= _write_bands(folder, found.bands)
    return FieldRun(target, found.table, files, found.measured, found.remarks, found.bands)


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredImage:
    """A field that has been measured, in memory.

    Attributes
    ----------
    table : QTable
        The catalogue.
    measured : Measured
        Sources, fits and maps.
    bands : InBands or None
        The sources in further bands.
    remarks : tuple of str
        What the user should know.
    """

    table: Any
    measured: Measured
    bands: InBands | None
    remarks: tuple[str, ...]


def measure_image(
    image: str | Path | FieldImage,
    *,
    psf: str | Path | PsfModel | None = None,
    psf_oversampling: int = 1,
    psf_includes_pixel: bool = True,
    positions: str | Path | Positions | None = None,
    also: Sequence[str | Path | FieldImage] = (),
    degrees: Mapping[str, int] | None = None,
    hold: bool = False,
    options: FieldOptions | None = None,
    processes: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
    **reading: Any,
) -> MeasuredImage:
    """Measure all sources of a survey image, and write nothing: :func:`measure_field` without its files.

    Parameters
    ----------
    image, psf, psf_oversampling, psf_includes_pixel, also, degrees, hold, options, progress, **reading
        Of :func:`measure_field`.
    positions : str, path or Positions, optional
        A table of the sources to measure, or these.
    processes : int, optional
        Processes where the options do not say; one a core where left out.

    Returns
    -------
    MeasuredImage

    Raises
    ------
    InputError
        If a file cannot be used. What is wrong with one source is in its row.
    """
    with _fit_warnings() as told:
        field = image if isinstance(image, FieldImage) else read_field(image, **reading)
        model = psf
        if isinstance(psf, str | Path):
            model = read_psf(psf, oversampling=psf_oversampling, includes_pixel=psf_includes_pixel)
        assert model is None or isinstance(model, PsfModel)
        places = read_positions(positions, field) if isinstance(positions, str | Path) else positions
        count = processes or cores()
        measured = measure_sources(
            field,
            psf=model,
            options=options or FieldOptions(),
            positions=None if places is None else (places.x, places.y),
            cores=count,
            progress=progress,
        )
        bands = None
        if also:
            others = _others(field, also)
            measured = dataclasses.replace(measured, field=_named(field, set(others)))
            bands = measure_bands(
                measured, others, degrees=degrees, hold=hold, cores=count, progress=progress
            )
    table = catalogue(measured)
    if bands is not None:
        add(table, band_columns(bands))
    if places is not None:
        table["id"] = np.array(places.id, dtype=str)
    table.meta |= _about(measured)
    remarks = [*field.remarks, *told, *measured.detections.remarks, *measured.remarks]
    remarks += [] if bands is None else bands.remarks
    return MeasuredImage(table, measured, bands, tuple(dict.fromkeys(remarks)))


@contextmanager
def _fit_warnings() -> Iterator[list[str]]:
    """The texts of all warnings of fits, which are kept from the user; other warnings pass."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitWarning)
        yield told
    for warning in caught:
        if issubclass(warning.category, FitWarning):
            told.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


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


def _others(field: FieldImage, also: Sequence[str | Path | FieldImage]) -> dict[str, FieldImage]:
    """The further bands by name."""
    found: dict[str, FieldImage] = {}
    for k, image in enumerate(also, start=2):
        band = image if isinstance(image, FieldImage) else read_field(image)
        name = plain_name(band.band) or plain_name(Path(band.source).name.partition(".")[0]) or str(k)
        if name in found or name == plain_name(field.band):
            name = plain_name(Path(band.source).name.partition(".")[0]) or f"{name}-{k}"
        if name in found:
            raise InputError("two further bands have one name", name)
        found[name] = dataclasses.replace(band, band=name)
    return found


def _named(field: FieldImage, taken: set[str]) -> FieldImage:
    """The first band with a name that no other has."""
    name = plain_name(field.band) or plain_name(Path(field.source).name.partition(".")[0]) or "1"
    return dataclasses.replace(field, band=f"{name}-1" if name in taken else name)


def plain_name(name: str) -> str:
    """What of a name may stand in a column's name."""
    return re.sub("[^A-Za-z0-9+-]", "", name)


def _write_bands(folder: Path, bands: InBands) -> dict[str, Path]:
    """What is left of the images of further bands."""
    files = {}
    for band in bands.bands[1:]:
        sheet = bands.sheets[band]
        left = np.where(sheet.field.mask, np.float32(0), sheet.image - sheet.light)
        files[f"residual in {band}"] = write_map(
            folder / f"residual_{band}.fits", left, sheet.field, "image less background and models"
        )
    return files


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
