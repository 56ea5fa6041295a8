"""What every loss has in common, and chi-square."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.types import Images, Points, Rows, Tensor


@dataclasses.dataclass(frozen=True)
class Loss(ABC):
    """Cost of each pixel, and the weighted least-squares problem that is tangent to it."""

    @abstractmethod
    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """Cost, residual and factor of each pixel.

        Parameters
        ----------
        data, model : Tensor
            (row, pixel): image and model, each times the pixel's weight; zero where masked.
        galaxies : Tensor
            (row,): whose they are.

        Returns
        -------
        cost : Tensor
            (row, pixel): zero where masked.
        residual : Tensor
            (row, pixel): r.
        factor : Tensor or None
            (row, pixel): u, one where None. With J the derivatives of the weighted model, -1/2 dcost/dtheta is
            sum u J r, and the curvature of half the cost is sum (u J)(u J).
        """

    @property
    def first(self) -> Loss | None:
        """A loss that leads near the minimum from where this one would not; None where none is needed."""
        return None

    def weight(self, batch: Batch) -> Images:
        """What image and model are multiplied by (galaxy, y, x): 1 / sigma, zero where masked."""
        return torch.where(batch.mask, torch.zeros_like(batch.sigma), 1 / batch.sigma)

    def on(self, batch: Batch) -> Loss:
        """The loss with what it needs to know of a batch's galaxies."""
        return self

    def faults(self, batch: Batch) -> list[str]:
        """Why a galaxy cannot be fitted with it, one sentence a galaxy; empty where it can."""
        return [""] * len(batch)


@dataclasses.dataclass(frozen=True)
class SquaredLoss(Loss):
    """Chi-square: the square of (data - model) / sigma."""

    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """(d - m)^2, d - m, and one."""
        residual = data - model
        return residual * residual, residual, None


SQUARED = SquaredLoss()


def above_zero(what: str, value: float) -> None:
    """Refuse a number that is not finite and above 0."""
    if not 0 < value < float("inf"):
        raise InputError(what, value, "a finite number above 0")
