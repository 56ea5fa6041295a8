"""What every solver must do, whoever wrote it: find known minima, keep bounds, and keep rows apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import torch

from isolux.solve.problem import Linearised, Problem, Solution
from isolux.status import Status
from isolux.types import PerGalaxy, Rows, Tensor, Theta

TRUTH = (3.0, 2.0, 0.5)
POISONED = 2


class Solver(Protocol):
    """Anything that minimises every row of a problem."""

    def solve(self, problem: Problem, theta: Theta) -> Solution:
        """Minimise from the rows of ``theta``."""


def check_solver(solver: Solver, *, tolerance: float = 1e-2) -> None:
    """Assert that a solver serves: minima, bounds, statuses, and rows that cannot touch one another.

    Parameters
    ----------
    solver : object with ``solve(problem, theta) -> Solution``
        For example ``LevenbergMarquardt()``.
    tolerance : float
        How near to the known minimum each unknown must end.

    Raises
    ------
    AssertionError
        Saying which promise is not kept, and by how much.
    """
    clean = _solve(solver)
    _check_minimum(clean, tolerance)
    _check_bounds(solver)
    _check_neighbours(solver, clean)
    _check_order(solver, clean)


def _check_minimum(found: Solution, tolerance: float) -> None:
    truth = torch.tensor(TRUTH, dtype=torch.float64)
    farthest = float((found.theta - truth).abs().max())
    assert farthest < tolerance, f"the minimum was missed by {farthest:.2g} (allowed {tolerance:.2g})"
    codes = sorted({Status(int(code)).name for code in found.status})
    assert codes == ["CONVERGED"], f"converged rows must say so; they say {', '.join(codes)}"
    assert bool((found.steps > 0).all()), "steps must count the evaluations of each row"


def _check_bounds(solver: Solver) -> None:
    upper = torch.full((5, 3), torch.inf, dtype=torch.float64)
    upper[1, 0] = 2.5
    found = _solve(solver, upper=upper)
    assert float(found.theta[1, 0]) <= 2.5, f"a bound at 2.5 was crossed: {float(found.theta[1, 0]):.4g}"
    assert float(found.theta[0, 0]) > 2.5, "the bound of one row held another row back"


def _check_neighbours(solver: Solver, clean: Solution) -> None:
    poisoned = _solve(solver, poison=True)
    assert Status(int(poisoned.status[POISONED])) is Status.NOT_FINITE, "a row of NaN must end as NOT_FINITE"
    others = [k for k in range(5) if k != POISONED]
    same = torch.equal(poisoned.theta[others], clean.theta[others])
    assert same, "a row of NaN changed the others, which must stay the same to the bit"


def _check_order(solver: Solver, clean: Solution) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = _solve(solver, order=order)
    assert torch.equal(shuffled.theta, clean.theta[order]), "the order of rows changed their results"


def _solve(
    solver: Solver, upper: Tensor | None = None, poison: bool = False, order: Tensor | None = None
) -> Solution:
    order = torch.arange(5) if order is None else order
    start = torch.tensor([[2.0, 1.5, 0.3]], dtype=torch.float64) + 0.1 * order[:, None]
    lower = torch.full_like(start, -torch.inf)
    high = torch.full_like(start, torch.inf) if upper is None else upper
    return solver.solve(_Decay(order, lower, high, poison), start)


@dataclasses.dataclass(frozen=True)
class _Decay:
    """y = 3 exp(-2 t) + 0.5 without noise, sampled differently in each row."""

    order: Tensor
    lower: Theta
    upper: Theta
    poison: bool

    @property
    def n_free(self) -> int:
        return 3

    @property
    def scale(self) -> Tensor:
        return torch.ones(3, dtype=torch.float64)

    @property
    def lot(self) -> int:
        """One row at a time."""
        return 1

    @property
    def places(self) -> int:
        return 4

    def bounds(self) -> tuple[Theta, Theta]:
        return self.lower, self.upper

    def residual(self, theta: Theta, rows: Rows) -> Tensor:
        kind = self.order[rows][:, None]
        t = torch.linspace(0, 2, 20, dtype=theta.dtype) * (1 + 0.1 * kind)
        a, b, c = TRUTH
        gap = a * torch.exp(-b * t) + c - (theta[:, :1] * torch.exp(-theta[:, 1:2] * t) + theta[:, 2:])
        return torch.where((kind == POISONED) & self.poison, torch.nan, gap)

    def cost(self, theta: Theta, rows: Rows) -> PerGalaxy:
        return (self.residual(theta, rows) ** 2).sum(1)

    def linearise(self, theta: Theta, rows: Rows) -> Linearised:
        residual = self.residual(theta, rows)
        jacobian = -torch.stack([self._slope(theta, rows, k) for k in range(3)], 2)
        gradient = (jacobian.transpose(1, 2) @ residual[..., None])[..., 0]
        return Linearised((residual**2).sum(1), gradient, jacobian.transpose(1, 2) @ jacobian)

    def _slope(self, theta: Theta, rows: Rows, k: int) -> Tensor:
        direction = torch.zeros_like(theta)
        direction[:, k] = 1.0
        function: Callable[[Tensor], Tensor] = lambda t: self.residual(t, rows)  # noqa: E731
        return torch.func.jvp(function, (theta,), (direction,))[1]
