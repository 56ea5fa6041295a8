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
    def cost(self, residual: Points) -> Points:
        """Cost c at r; zero at zero."""

    @abstractmethod
    def share(self, residual: Points) -> Points:
        """Weight psi / r of a pixel, which may not grow with |r|."""

    @abstractmethod
    def slope(self, residual: Points) -> Points:
        """Derivative psi' of psi = c' / 2."""

    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """Cost; residual and factor of the weighted squares."""
        residual = data - model
        factor = torch.sqrt(self.share(residual))
        return self.cost(residual), residual * factor, factor

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
        psi, number = self.share(residual) * residual, good.sum(1).double()
        square = torch.where(good, psi * psi, 0.0).sum(1, dtype=torch.float64) / (number - free).clamp_min(1)
        mean = torch.where(good, self.slope(residual), 0.0).sum(1, dtype=torch.float64) / number
        return torch.where(mean > 0, square / mean**2, torch.nan)


@dataclasses.dataclass(frozen=True)
class Huber(RobustLoss):
    """Square near the model, absolute value far from it.

    Parameters
    ----------
    delta : float
        Where one becomes the other, in sigma. At 1.345 the errors on Gaussian noise are 2.6 per cent larger than
        those of chi-square.
    """

    delta: float = 1.345

    def __post_init__(self) -> None:
        above_zero("Huber: delta", self.delta)

    def cost(self, residual: Points) -> Points:
        """r^2, or 2 delta |r| - delta^2 beyond delta."""
        size = residual.abs()
        return torch.where(size <= self.delta, residual * residual, self.delta * (2 * size - self.delta))

    def share(self, residual: Points) -> Points:
        """One, or delta / |r| beyond delta."""
        return self.delta / residual.abs().clamp_min(self.delta)

    def slope(self, residual: Points) -> Points:
        """One, or zero beyond delta."""
        return (residual.abs() <= self.delta).to(residual)


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

    def cost(self, residual: Points) -> Points:
        """(nu + 1) ln(1 + r^2 / nu)."""
        return (self.nu + 1) * torch.log1p(residual * residual / self.nu)

    def share(self, residual: Points) -> Points:
        """(nu + 1) / (nu + r^2)."""
        return (self.nu + 1) / (self.nu + residual * residual)

    def slope(self, residual: Points) -> Points:
        """(nu + 1) (nu - r^2) / (nu + r^2)^2."""
        square = residual * residual
        return self.share(residual) * (self.nu - square) / (self.nu + square)
