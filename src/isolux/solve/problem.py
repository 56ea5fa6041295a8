"""What a solver is given and what it returns."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch

from isolux.types import PerGalaxy, Rows, Tensor, Theta


@dataclasses.dataclass(frozen=True)
class Linearised:
    """A sum of squares and its linear model at a point, for some rows.

    Attributes
    ----------
    cost : Tensor
        (row,): sum of squared residuals, float64.
    gradient : Tensor
        (row, free): J^T W r, minus half the gradient of the cost, float64.
    hessian : Tensor
        (row, free, free): J^T W J, float64.
    """

    cost: PerGalaxy
    gradient: Theta
    hessian: Tensor

    @property
    def finite(self) -> Tensor:
        """(row,) of bool."""
        gradient_ok = torch.isfinite(self.gradient).all(1)
        return torch.isfinite(self.cost) & gradient_ok & torch.isfinite(self.hessian).flatten(1).all(1)


class Problem(Protocol):
    """Many independent least-squares problems of the same number of unknowns."""

    @property
    def n_free(self) -> int:
        """Unknowns of each problem."""

    @property
    def scale(self) -> Tensor:
        """(free,): a typical change of each unknown."""

    @property
    def places(self) -> int:
        """How many rows are best worked on at once; must not depend on how they fare."""

    @property
    def lot(self) -> int:
        """How many rows are evaluated together: solvers ask for whole lots."""

    def bounds(self) -> tuple[Theta, Theta]:
        """Lower and upper bounds (row, free), infinite where there are none."""

    def cost(self, theta: Theta, rows: Rows) -> PerGalaxy:
        """Sums of squares (row,) of some rows at theta (row, free); differentiable."""

    def linearise(self, theta: Theta, rows: Rows) -> Linearised:
        """The sums of squares with their linear models."""


@dataclasses.dataclass
class Solution:
    """Where a solver ended, a row a problem.

    Attributes
    ----------
    theta : Tensor
        (row, free): the best point.
    cost : Tensor
        (row,): its sum of squares.
    hessian : Tensor or None
        (row, free, free): J^T W J there, where the solver has it.
    status : Tensor
        (row,) of int: codes of :class:`isolux.status.Status`.
    steps : Tensor
        (row,) of int: evaluations used.
    """

    theta: Theta
    cost: PerGalaxy
    hessian: Tensor | None
    status: Tensor
    steps: Tensor
