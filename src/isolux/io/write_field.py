"""A mock field to files, as a survey would give them, with its truth.

<survey>_<band>.fits           image; its header has zero point, gain, saturation, band and WCS
<survey>_<band>_weight.fits    inverse variance of the sky a pixel, zero in bad columns; sources' photons not in it
<survey>_<band>_psf.fits       a star in the middle of the field, PSFSAMP samples apart
<survey>_<band>.psf            the PSF over the field, as PSFEx writes it
<survey>_<band>_defects.fits   1 bad column, 2 cosmic ray, 4 saturated, added up
<survey>_truth.fits            a row a source
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from astropy.table import Column, Table

from isolux.errors import InputError
from isolux.io.tables import format_of, to_arrow
from isolux.io.write_psfex import write_psfex
from isolux.io.write_stamps import write_image
from isolux.mock import MockField
from isolux.mock.columns import meaning
from isolux.mock.detector import BAD_COLUMN

TRUTHS = ("fits", "parquet", "ecsv")


def write_field(
    mock: MockField,
    folder: str | Path,
    *,
    truth: str = "fits",
    noiseless: bool = False,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write a mock field.

    Parameters
    ----------
    mock : MockField
        The field.
    folder : str or path
        Made if needed.
    truth : {"fits", "parquet", "ecsv"}
        Format of the truth.
    noiseless : bool
        Whether to write ``<survey>_<band>_noiseless.fits`` too: the sources alone.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    dict
        The files by what they are: ``"truth"``, and ``"<band>"``, ``"<band> weight"``, ``"<band> psf"``, ...

    Raises
    ------
    InputError
        If a file is there and is not to be replaced, or the format of the truth is unknown.
    """
    folder = Path(folder)
    if truth not in TRUTHS:
        raise InputError("format of the truth", truth, ", ".join(TRUTHS))
    stem = mock.survey.name
    kinds = {
        "": ".fits",
        "weight": "_weight.fits",
        "psf": "_psf.fits",
        "psfex": ".psf",
        "defects": "_defects.fits",
    }
    if noiseless:
        kinds["noiseless"] = "_noiseless.fits"
    files = {
        f"{band} {kind}".strip(): folder / f"{stem}_{band}{ending}"
        for band in mock.bands
        for kind, ending in kinds.items()
    }
    files["truth"] = folder / f"{stem}_truth.{truth}"
    there = [path for path in files.values() if path.exists()]
    if there and not overwrite:
        raise InputError(f"{there[0]}: is there already; say overwrite, or give another folder")
    for band in mock.bands:
        _write_band(mock, band, {kind: files[f"{band} {kind}".strip()] for kind in kinds})
    write_truth(truth_table(mock), files["truth"])
    return files


def truth_table(mock: MockField) -> Table:
    """The truth as an astropy table, with units and descriptions."""
    table = Table(meta={"SURVEY": mock.survey.name, "SEED": mock.seed})
    for name, values in mock.truth.items():
        unit, text = meaning(name, mock.bands)
        table[name] = Column(values, unit=unit or None, description=text or None)
    return table


def write_truth(table: Table, path: str | Path) -> Path:
    """Write a truth, or any table, in the format of the name's ending; it is replaced if it is there."""
    path = Path(path)
    kind = format_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        pyarrow.parquet.write_table(to_arrow(table), path)
    else:
        table.write(path, format="ascii.ecsv" if kind == "ecsv" else kind, overwrite=True)
    return path


def _write_band(mock: MockField, name: str, files: dict[str, Path]) -> None:
    band, image, psf = mock.band(name), mock.bands[name], mock.psf[name]
    cards = _cards(mock, name)
    pixels = np.where(image.saturated, np.float32(mock.full[name]), image.data)
    write_image(files[""], pixels, cards)
    usable = (mock.defects[name] & BAD_COLUMN) == 0
    weight = np.where(usable, np.float32(1 / mock.sigma[name] ** 2), np.float32(0))
    write_image(files["weight"], weight, {**_wcs_cards(image.wcs), "WHTTYPE": "IVAR"})
    star = psf.at(*psf.offset)[0].astype(np.float32)
    samples = {"PSFSAMP": 1 / psf.oversampling, "OVERSAMP": psf.oversampling, "PIXSCALE": band.pixel_scale}
    write_image(files["psf"], star, samples)
    write_psfex(psf, files["psfex"])
    write_image(files["defects"], mock.defects[name], _wcs_cards(image.wcs))
    if "noiseless" in files:
        write_image(files["noiseless"], mock.noiseless[name], cards)


def _cards(mock: MockField, name: str) -> dict[str, Any]:
    band = mock.band(name)
    return {
        "OBJECT": f"mock {mock.survey.name}",
        "TELESCOP": "mock",
        "FILTER": name,
        "BAND": name,
        "WAVELEN": band.wavelength,
        "EXPTIME": band.exposure,
        "MAGZERO": band.zero_point,
        "GAIN": mock.gain[name],
        "SATURATE": float(np.float32(mock.full[name])),
        "SKYSIGMA": mock.sigma[name],
        "PIXSCALE": band.pixel_scale,
        "SEED": mock.seed,
        **_wcs_cards(mock.bands[name].wcs),
    }


def _wcs_cards(wcs: Any) -> dict[str, Any]:
    """Keywords of a WCS, with CD for the matrix."""
    header = {key: value for key, value in wcs.to_header().items() if not key.startswith(("PC", "CDELT"))}
    matrix = wcs.pixel_scale_matrix
    return header | {f"CD{i + 1}_{j + 1}": float(matrix[i, j]) for i in (0, 1) for j in (0, 1)}
