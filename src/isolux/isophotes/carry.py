"""Isophotes of one image in the pixels of another: forced photometry of other bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.isophotes.ellipses import Ellipses, nodes
from isolux.isophotes.profiles import Isophotes

STEP = 0.5
"""Pixels over which the change from one grid to the other is followed."""


def carried(profiles: Isophotes, batch: Batch) -> Ellipses:
    """The isophotes of profiles in the pixels of a batch of the same galaxies.

    Where both have a WCS it says where pixels are; else they are taken to be on one grid.

    Parameters
    ----------
    profiles : Isophotes
        Of the band that gives the shape.
    batch : Batch
        Stamps in another band, galaxy by galaxy.

    Raises
    ------
    InputError
        If the galaxies are not the same.
    """
    if tuple(batch.id) != tuple(profiles.id):
        raise InputError("galaxies of another band", batch.id[:3], f"those of the first, {profiles.id[:3]}")
    sma = nodes(batch.shape, batch.image.device)
    rows = [_one(profiles, batch, k, sma.cpu().numpy()) for k in range(len(batch))]
    x, y, shape = (
        torch.as_tensor(np.stack(part), device=batch.image.device) for part in zip(*rows, strict=True)
    )
    return Ellipses(x, y, shape)


def grid_of(profiles: Isophotes, batch: Batch, galaxy: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the centre of a galaxy is in a batch's pixels, and the matrix that takes offsets there."""
    centre = np.array([float(profiles.x[galaxy]), float(profiles.y[galaxy])])
    one, other = profiles.wcs[galaxy], batch.wcs[galaxy]
    if one is None or other is None or not np.isfinite(centre).all():
        return centre, np.eye(2)
    points = centre + STEP * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    found = _into(other, one.all_pix2world(points, 0))
    matrix = np.stack([found[1] - found[2], found[3] - found[4]], 1) / (2 * STEP)
    return (found[0], matrix) if np.isfinite(found).all() else (centre, np.eye(2))


def _into(wcs: Any, world: np.ndarray) -> np.ndarray:
    return np.asarray(wcs.all_world2pix(world, 0, quiet=True))


def _one(profiles: Isophotes, batch: Batch, k: int, sma: np.ndarray) -> tuple[np.ndarray, ...]:
    centre, matrix = grid_of(profiles, batch, k)
    own = profiles.sma[k].cpu().numpy()
    shape = np.nan_to_num(profiles.shape[k].cpu().numpy())
    used = own > 0
    moved, radii = _turned(shape[used], own[used], matrix)
    parts = [np.interp(np.log(sma), np.log(radii), moved[:, j]) for j in range(2)]
    return np.nan_to_num(centre[0])[()], np.nan_to_num(centre[1])[()], np.stack(parts, 1)


def _turned(shape: np.ndarray, sma: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapes (radius, 2) and semi-major axes after a linear change of the pixels."""
    half = 0.5 * np.arctan2(shape[:, 1], shape[:, 0])
    q = 1 - np.hypot(shape[:, 0], shape[:, 1])
    major = np.stack([-np.sin(half), np.cos(half)], 1)
    minor = np.stack([np.cos(half), np.sin(half)], 1) * q[:, None]
    left, size, _ = np.linalg.svd(matrix @ np.stack([major, minor], 2))
    angle = np.arctan2(-left[:, 0, 0], left[:, 1, 0])
    e = 1 - size[:, 1] / size[:, 0]
    return e[:, None] * np.stack([np.cos(2 * angle), np.sin(2 * angle)], 1), sma * size[:, 0]
