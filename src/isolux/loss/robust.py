"""Losses that outliers cannot pull far: Huber's and Student's.

Both are minimised as least squares with weights w = psi / r, psi = c'(r) / 2, that are computed anew at each step.
The weighted squares lie above the cost and touch it (Huber & Ronchetti 2009, section 7.8), so that what they
promise is not lost on the cost itself.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod

import torch

from isolux.loss.base import Loss, above_zero
from isolux.types import PerGalaxy, Points, Rows, Tensor


@dataclasses.dataclass(frozen=True)
class RobustLoss(Loss):
    """A loss of r = (data - model) / sigma that grows more slowly than its square where |r| is large.

    The errors are those of an M-estimate: with psi = c'(r) / 2, the variance is that of chi-square times

        mean of psi^2 / (mean of psi')^2                                 (Huber & Ronchetti 2009, section 7.6)

    over the pixels. Where the noise has the density that the loss stands for, this is one over its expected
    information; where it has not, it is the variance all the same.
    """

    @abstractmethod
    def score(self, residual: Points) -> tuple[Points, Points]:
        """Psi and its derivative at r (row, pixel)."""

    def dispersion(self, residual: Points, good: Tensor, free: int) -> PerGalaxy:
        """Variance (row,) of the fit over that of chi-square on Gaussian noise of the same sigma.

        Parameters
        ----------
        residual : Tensor
            (row, pixel): (data - model) / sigma at the best fit.
        good : Tensor
            (row, pixel) of bool: not masked.
        free : int
            Free parameters.
        """
        psi, slope = self.score(residual)
        number = good.sum(1).double()
        square = torch.where(good, psi * psi, 0.0).sum(1, dtype=torch.float64) / (number - free).clamp_min(1)
        mean = torch.where(good, slope, 0.0).sum(1, dtype=torch.float64) / number
        return torch.where(mean > 0, square / mean**2, torch.nan)


@dataclasses.dataclass(frozen=True)
class Huber(RobustLoss):
    """Square near the model, absolute value far from it.

    Parameters
    ----------
    delta : float
        Where one becomes the other, in sigma. At 1.345 the errors on Gaussian noise are 2.5 per cent larger than
        those of chi-square.
    """

    delta: float = 1.345

    def __post_init__(self) -> None:
        above_zero("Huber: delta", self.delta)

    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """Cost; residual and factor of the weighted squares."""
        residual = data - model
        size = residual.abs()
        cost = torch.where(size <= self.delta, residual * residual, self.delta * (2 * size - self.delta))
        factor = torch.sqrt(self.delta / size.clamp_min(self.delta))
        return cost, residual * factor, factor

    def score(self, residual: Points) -> tuple[Points, Points]:
        """Psi = r between -delta and delta, and no more than those."""
        return residual.clamp(-self.delta, self.delta), (residual.abs() <= self.delta).to(residual)


@dataclasses.dataclass(frozen=True)
class StudentT(RobustLoss):
    """Noise of Student's t-distribution: sigma is the width of its core, far pixels hardly count.

    Parameters
    ----------
    nu : float
        Degrees of freedom: the smaller, the more outliers. Infinitely many would be chi-square.
    """

    nu: float = 4.0

    def __post_init__(self) -> None:
        above_zero("StudentT: nu", self.nu)

    @property
    def first(self) -> Loss:
        """Huber's: from far off, a galaxy would itself pass for an outlier."""
        return Huber()

    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """Cost; residual and factor of the weighted squares."""
        residual = data - model
        square = residual * residual
        factor = torch.sqrt((self.nu + 1) / (self.nu + square))
        return (self.nu + 1) * torch.log1p(square / self.nu), residual * factor, factor

    def score(self, residual: Points) -> tuple[Points, Points]:
        """Psi = (nu + 1) r / (nu + r^2)."""
        square = residual * residual
        weight = (self.nu + 1) / (self.nu + square)
        return weight * residual, weight * (self.nu - square) / (self.nu + square)
