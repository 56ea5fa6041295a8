"""What a pixel costs, given how far the model is from it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

from isolux.types import Points, Tensor


class Loss(ABC):
    """Cost of each pixel, and the weighted least-squares problem that is tangent to it."""

    @abstractmethod
    def weigh(self, data: Points, model: Points) -> tuple[Points, Points, Tensor | None]:
        """Cost, residual and factor of each pixel.

        Parameters
        ----------
        data, model : Tensor
            (row, pixel): image and model, each times the pixel's weight; zero where masked.

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


@dataclasses.dataclass(frozen=True)
class SquaredLoss(Loss):
    """Chi-square: the square of (data - model) / sigma."""

    def weigh(self, data: Points, model: Points) -> tuple[Points, Points, Tensor | None]:
        """(d - m)^2, d - m, and one."""
        residual = data - model
        return residual * residual, residual, None


SQUARED = SquaredLoss()
