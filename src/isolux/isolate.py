"""Fit a batch so that nothing unexpected in one galaxy costs the others their results.

Faults that are foreseen have a status. For all else: a batch whose fit raises is halved, and its halves again,
until the culprit is alone; it gets a row that says what happened, and the others theirs. Halving also takes a
batch that is too large for the memory of a GPU to one that is not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.fit import fit
from isolux.result import Result
from isolux.scene import Scene
from isolux.status import Status


def fit_each(
    batch: Batch, scene: Scene, start: Mapping[str, np.ndarray], *, strict: bool = False, **options: Any
) -> Result:
    """Fit a batch; whatever one of its galaxies provokes becomes a row of that galaxy.

    Parameters
    ----------
    batch : Batch
        The galaxies.
    scene : Scene
        The model.
    start : mapping
        Columns (galaxy,) of starting values; may be empty.
    strict : bool
        Pass an :class:`InputError` on: before anything has been fitted it is the caller's mistake.
    **options
        Of :func:`isolux.fit`.

    Returns
    -------
    Result
        As :func:`isolux.fit` gives it.
    """
    try:
        return fit(batch, scene, start=start or None, **options)
    except Exception as error:
        if strict and isinstance(error, InputError):
            raise
        if len(batch) == 1:
            return _failed(batch, scene, start, error, options)
    half = len(batch) // 2
    found = []
    for rows in (list(range(half)), list(range(half, len(batch)))):
        some = {name: column[rows] for name, column in start.items()}
        found.append(fit_each(batch.select(rows), scene, some, **options))
    return Result.concatenate(found)


def _failed(
    batch: Batch, scene: Scene, start: Mapping[str, np.ndarray], error: Exception, options: dict[str, Any]
) -> Result:
    """The row of a galaxy that provoked an exception: that of a stamp without pixels, with what happened."""
    blank = dataclasses.replace(
        batch,
        image=torch.zeros_like(batch.image),
        sigma=torch.ones_like(batch.sigma),
        mask=torch.ones_like(batch.mask),
        psf=None,
        status=(Status.FAILED,),
        message=(f"galaxy {batch.id[0]}: {type(error).__name__}: {error}",),
    )
    return fit(blank, scene, start=start or None, **options)
