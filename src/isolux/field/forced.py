"""Forced photometry: the table of detections for positions that somebody gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import sep
from scipy import ndimage
from scipy.spatial import cKDTree

from isolux.errors import InputError
from isolux.field.extract import room
from isolux.field.image import FieldImage
from isolux.field.measured import ellipses, photometry, star_width, touches

SIGMA = 2.3548200450309493
"""Full width at half maximum of a Gaussian over its standard deviation."""


def measure_at(
    field: FieldImage,
    image: np.ndarray,
    noise: np.ndarray,
    x: Any,
    y: Any,
    labels: np.ndarray,
    fwhm: float | None,
) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    """Columns of :class:`~isolux.field.detect.Detections` for positions, a segmentation of them, the width of stars.

    Parameters
    ----------
    field : FieldImage
        The image's masks and gain.
    image, noise : numpy.ndarray
        (y, x): the image above the sky, and its standard deviation.
    x, y : array
        (source,): 0-based pixels.
    labels : numpy.ndarray
        (y, x): the segmentation of what was detected.
    fwhm : float, optional
        Width of stars in pixels; measured where left out.
    """
    xs, ys = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (x, y))
    if xs.shape != ys.shape or xs.ndim != 1:
        raise InputError("shapes of x and y", (xs.shape, ys.shape), "the same, (source,)")
    with np.errstate(invalid="ignore"):
        inside = (xs >= -0.5) & (xs < field.shape[1] - 0.5) & (ys >= -0.5) & (ys < field.shape[0] - 0.5)
    here, labels = np.flatnonzero(inside), np.ascontiguousarray(labels, np.int32)
    shapes = _shapes(image, labels)
    fwhm = fwhm or star_width(shapes)
    number = (here + 1).astype(np.int32)
    mine, owner, split = _relabelled(labels, xs[here], ys[here], number, len(xs), fwhm)
    star = max(fwhm, 1.5) / SIGMA
    a, b, angle = (np.full(len(here), value) for value in (star, star, 0.0))
    own = owner >= 0
    a[own], b[own], angle[own] = ellipses(shapes[owner[own]])
    rows = photometry(field, image, noise, mine, number, xs[here], ys[here], a, b, angle, fwhm, centre=False)
    rows |= _footprints(mine, here, image)
    rows["saturated"] = touches(field.saturated, mine, len(xs))[here]
    rows["edge"] |= touches(field.mask & ~field.saturated, mine, len(xs), 0.05)[here]
    rows["edge"] |= (rows["npix"] > 0) & (
        (rows["xmin"] == 0)
        | (rows["ymin"] == 0)
        | (rows["xmax"] == field.shape[1] - 1)
        | (rows["ymax"] == field.shape[0] - 1)
    )
    rows["blended"] |= split
    table = {name: _spread(values, here, len(xs)) for name, values in rows.items()}
    table |= {"x": xs, "y": ys, "number": np.arange(1, len(xs) + 1, dtype=np.int32), "outside": ~inside}
    return table, mine, fwhm


def _shapes(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sep's table of the sources of a segmentation: row k is label k + 1."""
    table = np.zeros(int(labels.max(initial=0)), sep.extract(np.zeros((8, 8)), 1.0).dtype)
    there = np.flatnonzero(np.bincount(labels.ravel(), minlength=len(table) + 1)[1:])
    if len(there):
        compact = np.zeros(len(table) + 1, np.int32)
        compact[there + 1] = np.arange(1, len(there) + 1)
        with room(int(np.count_nonzero(labels)) + 1000):
            table[there] = sep.extract(image, 1.0, segmentation_map=compact[labels])[0]
    return table


def _relabelled(
    old: np.ndarray, x: np.ndarray, y: np.ndarray, number: np.ndarray, count: int, fwhm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A segmentation with the positions' labels; which detection each is in (-1: none); whether it shares it."""
    column = np.clip(np.rint(x).astype(int), 0, old.shape[1] - 1)
    row = np.clip(np.rint(y).astype(int), 0, old.shape[0] - 1)
    owner = old[row, column].astype(np.int64) - 1
    detected = int(old.max(initial=0))
    members = np.bincount(owner[owner >= 0], minlength=detected)
    # Detections that no position is in come after the positions.
    renamed = np.zeros(detected + 1, np.int32)
    renamed[1:] = count + 1 + np.arange(detected)
    shared = owner >= 0
    shared[shared] = members[owner[shared]] > 1
    single = (owner >= 0) & ~shared
    renamed[owner[single] + 1] = number[single]
    labels = renamed[old]
    boxes = ndimage.find_objects(old) if shared.any() else []
    for detection in np.unique(owner[shared]):
        several, box = np.flatnonzero(owner == detection), boxes[detection]
        v, u = np.nonzero(old[box] == detection + 1)
        v, u = v + box[0].start, u + box[1].start
        nearest = cKDTree(np.stack([x[several], y[several]], 1)).query(np.stack([u, v], 1))[1]
        labels[v, u] = number[several][nearest]
    for k in np.flatnonzero(owner < 0):
        _disc(labels, x[k], y[k], max(fwhm / 2, 1.0), number[k])
    return labels, owner, shared


def _disc(labels: np.ndarray, x: float, y: float, radius: float, number: int) -> None:
    """Label the pixels around a position that are nobody's."""
    reach = int(np.ceil(radius))
    left, top = max(round(x) - reach, 0), max(round(y) - reach, 0)
    piece = labels[top : round(y) + reach + 1, left : round(x) + reach + 1]
    v, u = np.mgrid[top : top + piece.shape[0], left : left + piece.shape[1]]
    piece[(piece == 0) & ((u - x) ** 2 + (v - y) ** 2 <= radius**2)] = number


def _footprints(labels: np.ndarray, here: np.ndarray, image: np.ndarray) -> dict[str, np.ndarray]:
    """Sizes, first and last columns and rows, and peaks of the footprints."""
    names = ("xmin", "xmax", "ymin", "ymax", "npix")
    columns: dict[str, np.ndarray] = {name: np.zeros(len(here), np.int64) for name in names}
    peak = np.full(len(here), np.nan)
    boxes = ndimage.find_objects(labels)
    for k, number in enumerate(here + 1):
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            continue
        inside = labels[box] == number
        columns["npix"][k] = np.count_nonzero(inside)
        columns["ymin"][k], columns["ymax"][k] = box[0].start, box[0].stop - 1
        columns["xmin"][k], columns["xmax"][k] = box[1].start, box[1].stop - 1
        peak[k] = image[box][inside].max()
    return columns | {"peak": peak}


def _spread(values: np.ndarray, here: np.ndarray, count: int) -> np.ndarray:
    """Values of the rows inside the image in a column of all."""
    if len(here) == count:
        return values
    column = np.full(count, np.nan) if values.dtype.kind == "f" else np.zeros(count, values.dtype)
    column[here] = values
    return column
