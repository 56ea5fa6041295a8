"""What the header of a field's image says, without its pixels: size, band, where it is on the sky."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from isolux.errors import InputError
from isolux.io import field_header
from isolux.io.field_planes import find_plane, list_planes
from isolux.io.fits import image_shape, path_and_hdu
from isolux.io.wcs import celestial_wcs
from isolux.sky import icrs

POINTS = 8
"""Places along each edge that the outline on the sky is followed through."""


@dataclasses.dataclass(frozen=True, eq=False)
class Glance:
    """What a header says.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    band : str
        Name of the band; empty where unknown.
    outline : numpy.ndarray or None
        (point, 2): right ascension and declination in degrees along the edges of the image; None without a WCS.
    centre : numpy.ndarray or None
        (2,): of the middle of the image.
    """

    shape: tuple[int, int]
    band: str
    outline: np.ndarray | None = None
    centre: np.ndarray | None = None


def glance(path: str, reading: Mapping[str, Any]) -> Glance:
    """Look at the header of an image.

    Parameters
    ----------
    path : str
        As :func:`isolux.io.field_image.read_field` takes it.
    reading : mapping
        Its arguments; ``hdu`` and ``band`` are used.

    Raises
    ------
    InputError
        If the file is missing or has no image.
    """
    file, wanted = path_and_hdu(path, reading.get("hdu"))
    if file.suffix == ".npy":
        return Glance(image_shape(file), str(reading.get("band", "")))
    planes = list_planes(file)
    plane = find_plane(planes, file, wanted)
    if len(plane.shape) != 2:
        raise InputError(f"{path}: shape of the image", plane.shape, "(rows, columns)")
    rows, columns = plane.shape
    band = reading.get("band") or field_header.band(plane.cards, file.name)
    wcs = celestial_wcs(plane.header)
    if wcs is None:
        return Glance((rows, columns), str(band))
    sky = icrs(wcs, np.concatenate([_edges(rows, columns), [[(columns - 1) / 2, (rows - 1) / 2]]]))
    if not np.isfinite(sky).all():
        raise InputError(f"{path}: its WCS puts a part of the image nowhere on the sky")
    return Glance((rows, columns), str(band), sky[:-1], sky[-1])


def _edges(rows: int, columns: int) -> np.ndarray:
    """Pixel positions (point, 2) around an image, along the outer edges of its pixels."""
    step = np.arange(POINTS) / POINTS
    low, right, top = -0.5, columns - 0.5, rows - 0.5
    across, up = low + columns * step, low + rows * step
    sides = [
        np.stack([across, np.full(POINTS, low)], 1),
        np.stack([np.full(POINTS, right), up], 1),
        np.stack([right - columns * step, np.full(POINTS, top)], 1),
        np.stack([np.full(POINTS, low), top - rows * step], 1),
    ]
    return np.concatenate(sides)
