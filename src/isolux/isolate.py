"""Fit a batch so that nothing unexpected in one galaxy costs the others their results, nor a GPU the run.

Faults that are foreseen have a status. For all else: a batch whose fit raises is halved, and its halves again,
until the culprit is alone; it gets a row that says what happened, and the others theirs. Halving also takes a
batch that is too large for the memory of a GPU to one that is not. A GPU that fails altogether (its context is
then of no use to the process any more) hands its batch, and those that follow, to the CPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.fit import fit
from isolux.result import Result
from isolux.scene import Scene
from isolux.status import Flag

CPU = torch.device("cpu")
Found = TypeVar("Found")


class Workplace:
    """Where a run computes: a device and, once that is lost, the CPU.

    Attributes
    ----------
    device : torch.device
        Where the next batch goes.
    lost : str
        What became of the first device; empty while it lasts.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.lost = ""

    def do(self, work: Callable[[torch.device], Found]) -> Found:
        """What ``work`` gives on the device; where that is lost, on the CPU."""
        if self.device.type != "cpu":
            try:
                return work(self.device)
            except RuntimeError as error:
                if not is_lost(error):
                    raise
                reason = str(error).splitlines()[0]
                self.lost = f"{self.device} was lost ({reason}): the rest is done on the CPU"
                self.device = CPU
        return work(CPU)

    def marked(self, result: Result) -> Result:
        """A result with a remark on every galaxy if the device is lost."""
        if not self.lost:
            return result
        return dataclasses.replace(result, flags=tuple(flag | Flag.GPU_LOST for flag in result.flags))


def is_lost(error: BaseException) -> bool:
    """Whether an error says that a GPU cannot be used any more; being short of memory does not."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error)


def fit_each(
    batch: Batch,
    scene: Scene,
    start: Mapping[str, np.ndarray],
    *,
    device: torch.device = CPU,
    strict: bool = False,
    **options: Any,
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
    device : torch.device
        Where to fit them.
    strict : bool
        Pass an :class:`InputError` on: before anything has been fitted it is the caller's mistake.
    **options
        Of :func:`isolux.fit`.

    Returns
    -------
    Result
        As :func:`isolux.fit` gives it.

    Raises
    ------
    RuntimeError
        If the device is lost, see :func:`is_lost`.
    """
    try:
        return fit(batch.to(device), scene, start=start or None, **options)
    except Exception as error:
        if (strict and isinstance(error, InputError)) or (device.type != "cpu" and is_lost(error)):
            raise
        if len(batch) == 1:
            return failed(batch, scene, start, f"{type(error).__name__}: {error}", **options)
    half = len(batch) // 2
    found = []
    for rows in (list(range(half)), list(range(half, len(batch)))):
        some = {name: column[rows] for name, column in start.items()}
        found.append(fit_each(batch.select(rows), scene, some, device=device, **options))
    return Result.concatenate(found)


def failed(batch: Batch, scene: Scene, start: Mapping[str, np.ndarray], what: str, **options: Any) -> Result:
    """The row of the galaxy of a batch of one: that of a stamp without pixels, with what happened."""
    blank = batch.blanked(f"galaxy {batch.id[0]}: {what}")
    return fit(blank, scene, start=start or None, **options)
