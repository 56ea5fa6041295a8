"""Rows of Parquet files as stamps: names, numbers and paths when a survey is planned, pixels when they are needed.

The pixels of an image are a list of rows of numbers, a flat list (square, or with a column ``rows`` or ``shape``), a
list of fixed size, or a tensor of a fixed shape. What is wrong with those of one galaxy is its fault.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from astropy.table import QTable

from isolux.errors import InputError
from isolux.io.listing import files_in_table
from isolux.io.parquet_bands import array_of, values_of
from isolux.io.parquet_layout import PSF_FWHM, Layout, is_list, stored
from isolux.io.source import IMAGES, NUMBERS, StampFiles
from isolux.io.stamp_listing import is_number, plain_numbers, plain_text

BETA = 3.5
"""Exponent of Moffat PSFs of which only the width is known."""
WIDTHS = 6
"""A PSF reaches so many full widths from its centre."""
WIDEST = 64
"""Full width in pixels of a PSF at most."""


def plain_files(layout: Layout, table: pyarrow.Table, root: str, name: str, first: int) -> list[StampFiles]:
    """All of some rows but their pixels; those without a name have a fault.

    Parameters
    ----------
    layout : Layout
        Where everything is.
    table : pyarrow.Table
        The rows.
    root : str
        Folder that relative paths begin at.
    name : str
        Of the file, for the names of galaxies that have none.
    first : int
        Number of the first row in the file.
    """
    count = len(table)
    named = _names(array_of(table, layout.plain["id"])) if "id" in layout.plain else None
    names = [text or f"{name}:{first + k}" for k, text in enumerate(named or [""] * count)]
    columns: dict[str, Any] = {"id": names}
    for what, column in layout.plain.items():
        if what != "id":
            columns[what] = _hdus(array_of(table, column))
    for what, place in layout.light.items():
        values = values_of(table, place, layout.band)
        if what != PSF_FWHM:
            columns[what] = (
                plain_numbers(values) if place.form == "number" else plain_text(values).to_pylist()
            )
    if layout.in_file:
        columns["image"] = [""] * count
    source = dataclasses.replace(layout.source, table=str(Path(root) / "catalogue"), id=None)
    files = files_in_table(source, QTable({what: np.asarray(values) for what, values in columns.items()}))
    return [
        dataclasses.replace(one, id=names[k], table=None, fault=_unnamed(layout, named, name, first, k))
        for k, one in enumerate(files)
    ]


def with_pixels(layout: Layout, rows: Any, files: Sequence[StampFiles]) -> list[StampFiles]:
    """Galaxies with their pixels.

    Parameters
    ----------
    layout : Layout
        Where everything is.
    rows : pyarrow.RecordBatch
        A row a galaxy.
    files : sequence of StampFiles
        What :func:`plain_files` has made of them.
    """
    columns = {kind: values_of(rows, place, layout.band) for kind, place in layout.pixels.items()}
    shapes = {kind: values_of(rows, place, layout.band) for kind, place in layout.shapes.items()}
    widths = [layout.psf_fwhm] * len(files)
    if PSF_FWHM in layout.numbers:
        widths = plain_numbers(values_of(rows, layout.numbers[PSF_FWHM], layout.band)).tolist()
    found = []
    for k, one in enumerate(files):
        try:
            found.append(one if one.fault else _filled(layout, one, columns, shapes, k, widths[k]))
        except (ValueError, pyarrow.ArrowException) as error:
            fault = f"galaxy {one.id}: {error}"
            found.append(dataclasses.replace(one, planes=(None,) * len(IMAGES), fault=fault))
    return found


def pixels_of(column: Any, row: int, shape: Any = None, band: int | str | None = None) -> np.ndarray | None:
    """The pixels (y, x) in a row of a column; None where there are none.

    Parameters
    ----------
    column : pyarrow.Array
        Lists or tensors.
    row : int
        Which.
    shape : int or list of int, optional
        Rows, or rows and columns, of a flat list.
    band : int or str, optional
        Which of several, where a row has several images.

    Raises
    ------
    ValueError
        If they are no image.
    """
    value = column[row]
    if not value.is_valid:
        return None
    values = value.value.values if isinstance(value, pyarrow.ExtensionScalar) else value.values
    tensors = isinstance(column.type, pyarrow.FixedShapeTensorType)
    pixels = _tensor(values, column.type) if tensors else _unpacked(values)
    if pixels.size == 0:
        raise ValueError("has no pixels")
    if pixels.ndim == 1:
        pixels = _folded(pixels, shape)
    if pixels.ndim == 3:
        pixels = _of_band(pixels, band)
    if pixels.ndim != 2:
        raise ValueError(f"has {pixels.ndim} axes, not rows and columns")
    return pixels


def check_planes(where: str, rows: Any, layout: Layout) -> int:
    """How many images each row has in a column of three axes; refuses what cannot be meant.

    Raises
    ------
    InputError
        If there are several and none, or one that is not there, is wanted.
    """
    value = rows[layout.planes["image"].parts[0]][0]
    depth = _depth(value)
    if depth is None:
        if layout.band is not None:
            raise InputError(f"{where}: there are no bands to choose from", layout.band)
        return 1
    if isinstance(layout.band, str) or (layout.band is None and depth > 1):
        raise InputError(
            f"{where}: each row has {depth} images without names; band", layout.band, f"0 to {depth - 1}"
        )
    if not 0 <= (layout.band or 0) < depth:
        raise InputError(f"{where}: band", layout.band, f"0 to {depth - 1}")
    return depth


def _depth(value: Any) -> int | None:
    """Images in a value of three axes; None where it is one image or nothing."""
    if not value.is_valid:
        return None
    if isinstance(value.type, pyarrow.FixedShapeTensorType):
        return value.type.shape[0] if len(value.type.shape) == 3 else None
    kind, axes = stored(value.type), 0
    while is_list(kind):
        kind, axes = stored(kind.value_type), axes + 1
    return len(value.values) if axes == 3 else None


def round_psf(fwhm: float) -> np.ndarray:
    """A round Moffat PSF whose full width at half maximum, the pixel contained, is ``fwhm`` pixels; sums to one."""
    reach = max(2, round(WIDTHS / 2 * fwhm))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    squared = (x**2 + y**2) * (4 * (2 ** (1 / BETA) - 1) / fwhm**2)
    psf = (1 + squared) ** -BETA
    return psf / psf.sum()


_shared_psf = lru_cache(maxsize=256)(round_psf)


def _filled(
    layout: Layout,
    files: StampFiles,
    columns: Mapping[str, Any],
    shapes: Mapping[str, Any],
    row: int,
    width: float | None,
) -> StampFiles:
    planes: dict[str, Any] = dict(zip(IMAGES, files.planes, strict=True))
    for kind, column in columns.items():
        shape = shapes[kind][row].as_py() if kind in shapes else None
        try:
            planes[kind] = pixels_of(column, row, shape, layout.band)
        except ValueError as error:
            raise ValueError(f"{layout.planes[kind].name} {error}") from None
    if planes["image"] is None:
        band = "" if layout.band is None else f" in band {layout.band}"
        raise ValueError(f"{layout.planes['image'].name} is empty{band}")
    if planes["psf"] is None and width is not None:
        planes["psf"] = _psf_of(files, width)
    return dataclasses.replace(files, planes=tuple(planes.values()))


def _psf_of(files: StampFiles, width: float) -> np.ndarray:
    scale = files.numbers[NUMBERS.index("pixel_scale")]
    if not isinstance(scale, float | int) or not scale > 0:
        raise ValueError("psf_fwhm is in arcsec: it needs a pixel_scale")
    if not 0 < width / scale < WIDEST:
        raise ValueError(f"psf_fwhm is {width:g} arcsec, of pixels of {scale:g}")
    return _shared_psf(width / scale)


def _unpacked(values: Any) -> np.ndarray:
    """Numbers in an array of lists of lists, of equal lengths on each level; NaN where one is empty."""
    if isinstance(values.type, pyarrow.FixedShapeTensorType):
        return np.stack([_tensor(value.value.values, values.type) for value in values])
    if isinstance(values, pyarrow.ExtensionArray):
        values = values.storage
    if is_list(values.type):
        if values.null_count:
            raise ValueError(f"has {values.null_count} rows of pixels that are empty")
        lengths = np.unique(values.value_lengths().to_numpy())
        if len(lengths) > 1:
            raise ValueError(f"has rows of {lengths[0]} to {lengths[-1]} pixels")
        inner = _unpacked(values.flatten())
        return inner.reshape(len(values), int(lengths[0]) if len(lengths) else 0, *inner.shape[1:])
    if not (is_number(values.type) or pyarrow.types.is_boolean(values.type)):
        raise ValueError(f"has pixels of type {values.type}")
    if values.null_count and not pyarrow.types.is_floating(values.type):
        values = values.cast(pyarrow.float64())
    return np.array(values.to_numpy(zero_copy_only=False))


def _tensor(values: Any, kind: pyarrow.FixedShapeTensorType) -> np.ndarray:
    """An element of a column of tensors, in the order in which its axes are meant."""
    tensor = _unpacked(values).reshape(kind.shape)
    return tensor if kind.permutation is None else tensor.transpose(kind.permutation)


def _folded(pixels: np.ndarray, shape: Any) -> np.ndarray:
    """Rows and columns of a flat list."""
    count = len(pixels)
    if shape is None:
        side = round(count**0.5)
        if side * side != count:
            raise ValueError(f"has {count} pixels, which are no square: a column rows or shape must tell")
        return pixels.reshape(side, side)
    wanted = [int(n) for n in shape] if isinstance(shape, list) else [int(shape), count // max(int(shape), 1)]
    if len(wanted) != 2 or wanted[0] * wanted[1] != count or min(wanted) < 1:
        what = "rows and columns" if isinstance(shape, list) else "rows"
        raise ValueError(f"has {count} pixels, which do not make {shape} {what}")
    return pixels.reshape(wanted)


def _of_band(pixels: np.ndarray, band: int | str | None) -> np.ndarray:
    if isinstance(band, str) or (band is None and len(pixels) > 1):
        raise ValueError(f"has {len(pixels)} images without names: give band as a number")
    if (band or 0) >= len(pixels):
        raise ValueError(f"has no band {band}: there are {len(pixels)}")
    return pixels[band or 0]


def _names(column: Any) -> list[str]:
    """Names of galaxies as text; empty where there is none."""
    values = column.to_pylist()
    texts = (v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values)
    return ["" if text is None else str(text).strip() for text in texts]


def _hdus(column: Any) -> list[Any]:
    """Numbers or names of HDUs; the first where there is none."""
    if is_number(column.type):
        return pyarrow.compute.fill_null(column, 0).to_pylist()
    return [text or "0" for text in plain_text(column).to_pylist()]


def _unnamed(layout: Layout, named: Sequence[str] | None, name: str, first: int, row: int) -> str | None:
    if named is None or named[row]:
        return None
    return f"row {first + row} of {name} has no {layout.plain['id']}"
