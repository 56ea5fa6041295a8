"""Stamps from files: load one galaxy's images, or a whole sample that fits into memory.

What is wrong with the files of one galaxy becomes that galaxy's fault; the others are loaded all the same.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch

from isolux.batch import Batch
from isolux.errors import FitWarning, InputError, unknown_name
from isolux.io.fits import Picture, read_image
from isolux.io.listing import list_stamps
from isolux.io.patterns import Plane
from isolux.io.source import IMAGES, NUMBERS, Number, StampFiles, StampSource
from isolux.io.wcs import pixel_scale
from isolux.stamp import Stamp

Reader: TypeAlias = Callable[[str], Picture]
READERS = 4
"""Files that are read at the same time."""
SHAREABLE = ("psf", "noise_correlation")
SHARED = 64
"""Images kept in memory because other galaxies may use them too (a PSF for all)."""


def read_stamps(
    source: StampSource | None = None, *, dtype: torch.dtype = torch.float32, **options: Any
) -> Batch:
    """Read all stamps of a sample into memory, as one batch.

    Parameters
    ----------
    source : StampSource, optional
        Where they are; or give its fields as keyword arguments.
    dtype : torch.dtype
        float32 or float64.
    **options
        Fields of :class:`StampSource`: ``image``, ``sigma``, ``psf``, ``zero_point``, ...

    Returns
    -------
    Batch
        All galaxies, those whose files are faulty included: their status says so.

    Raises
    ------
    InputError
        If a pattern matches nothing, an option or column is unknown, or ids repeat.

    Examples
    --------
    >>> batch = read_stamps(
    ...     image="stamps/*_image.fits",
    ...     sigma="stamps/*_sigma.fits",
    ...     psf="psf.fits",
    ...     zero_point=22.5,
    ...     pixel_scale=0.2,
    ... )  # doctest: +SKIP
    """
    source = source_of(source, options)
    batch = batch_of(load_stamps(list_stamps(source)), source, dtype=dtype)
    if batch.remark:
        warnings.warn(batch.remark, FitWarning, stacklevel=2)
    return batch


def source_of(source: StampSource | None, options: dict[str, Any]) -> StampSource:
    """A source with some of its fields replaced, or made from the fields alone."""
    known = [field.name for field in dataclasses.fields(StampSource)]
    for name in options:
        if name not in known:
            raise unknown_name("option of the stamps", name, known)
    return StampSource(**options) if source is None else dataclasses.replace(source, **options)


def batch_of(
    stamps: Sequence[Stamp], source: StampSource, *, dtype: torch.dtype, size: tuple[int, int] | None = None
) -> Batch:
    """A batch of loaded stamps with what the source says of all PSFs."""
    return Batch.from_stamps(
        stamps,
        psf_oversampling=source.psf_oversampling,
        psf_includes_pixel=source.psf_includes_pixel,
        dtype=dtype,
        size=size,
    )


def shared_reader() -> Reader:
    """A reader that remembers the last images, so that one PSF for all galaxies is read once."""
    return lru_cache(maxsize=SHARED)(read_image)


def load_stamps(files: Sequence[StampFiles], read: Reader | None = None) -> list[Stamp]:
    """The stamps of several galaxies, in order."""
    reader = read or shared_reader()
    if len(files) == 1:
        return [load_stamp(files[0], reader)]
    with ThreadPoolExecutor(READERS, "isolux-read") as pool:
        return list(pool.map(lambda f: load_stamp(f, reader), files))


def load_stamp(files: StampFiles, read: Reader | None = None) -> Stamp:
    """The images of one galaxy; never raises, ``fault`` says what is wrong with its files.

    Parameters
    ----------
    files : StampFiles
        From :func:`list_stamps`.
    read : callable, optional
        Reads PSFs and other shared images.
    """
    where = files.planes[0] if isinstance(files.planes[0], str) else f"galaxy {files.id}"
    if files.fault is not None:
        return Stamp(files.id, source=where, fault=files.fault)
    try:
        return _load(files, read or read_image, where)
    except InputError as error:
        return Stamp(files.id, source=where, fault=str(error))
    except Exception as error:
        return Stamp(files.id, source=where, fault=f"{where}: {type(error).__name__}: {error}")


def _load(files: StampFiles, read: Reader, where: str) -> Stamp:
    planes = dict(zip(IMAGES, files.planes, strict=True))
    if planes["image"] is None:
        raise InputError(f"galaxy {files.id}: no image is named for it")
    pixels = planes["image"]
    picture = Picture(pixels, where) if isinstance(pixels, np.ndarray) else read_image(str(pixels))
    arrays: dict[str, Any] = {
        name: _plane(planes[name], read if name in SHAREABLE else read_image) for name in IMAGES[1:]
    }
    if arrays["mask"] is not None and files.bad_values is not None:
        arrays["mask"] = np.isin(arrays["mask"], files.bad_values)
    labels = arrays.pop("segmentation")
    if labels is not None:
        arrays["mask"] = _with_neighbours(arrays["mask"], labels, picture)
    named = dict(zip(NUMBERS, files.numbers, strict=True))
    numbers = {name: _number(value, picture) for name, value in named.items()}
    wcs = picture.wcs
    if numbers["pixel_scale"] is None:
        if wcs is None:
            raise InputError(f"{picture.source}: has no WCS to take the pixel scale from; give pixel_scale")
        numbers["pixel_scale"] = pixel_scale(wcs)
    given: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
    return Stamp(files.id, image=picture.pixels, wcs=wcs, source=where, **arrays, **given)


def _with_neighbours(mask: np.ndarray | None, labels: np.ndarray, picture: Picture) -> np.ndarray:
    """The mask with the other sources of a segmentation map added: labels but 0 and the one at the centre."""
    if np.shape(labels) != picture.pixels.shape:
        raise InputError(
            f"{picture.source}: the segmentation map has shape {np.shape(labels)}, the image {picture.pixels.shape}"
        )
    rows, columns = labels.shape
    others = (labels != 0) & (labels != labels[rows // 2, columns // 2])
    return others if mask is None else others | (np.asarray(mask) != 0)


def _plane(plane: Plane, read: Reader) -> np.ndarray | float | None:
    return read(plane).pixels if isinstance(plane, str) else plane


def _number(value: Number, picture: Picture) -> float | None:
    return picture.number(value) if isinstance(value, str) else value
