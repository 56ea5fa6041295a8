"""A first-order solver: any optimiser of ``torch.optim`` by name, with an early stop for each problem.

It needs the gradient alone, so that models of thousands of unknowns fit in memory. Unknowns are measured in
their typical changes, so that one learning rate suits a magnitude and a radius. Each problem keeps its best
point; it has converged when that has improved by less than ``tolerance`` over ``patience`` iterations, or by
nothing while the learning rate is at its end.

Optimisers whose update mixes all their numbers (L-BFGS, Adafactor, Muon) are run one problem at a time, so that
problems stay independent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from isolux.errors import InputError, unknown_name
from isolux.solve.problem import Problem, Solution
from isolux.status import Status
from isolux.types import PerGalaxy, Rows, Tensor, Theta

COUPLED = ("LBFGS", "Adafactor", "Muon")
UNSUITED = ("SparseAdam", "Optimizer")


@dataclasses.dataclass(frozen=True)
class FirstOrder:
    """Options of the solver.

    Parameters
    ----------
    optimizer : str
        Name of a class in ``torch.optim``, such as ``Adam``, ``RMSprop`` or ``LBFGS``.
    learning_rate : float
        In typical changes of the unknowns.
    iterations : int
        At most.
    tolerance : float
        Improvement of the sum of squares over ``patience`` iterations below which a problem has converged.
    patience : int
        Iterations over which improvement is judged.
    options : mapping
        Further arguments of the optimiser.
    width : int
        Problems in work at once.
    """

    optimizer: str = "Adam"
    learning_rate: float = 0.1
    iterations: int = 2000
    tolerance: float = 0.01
    patience: int = 50
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    width: int = 16

    def __post_init__(self) -> None:
        known = [
            n
            for n, c in vars(torch.optim).items()
            if isinstance(c, type) and issubclass(c, torch.optim.Optimizer)
        ]
        choices = [name for name in known if name not in UNSUITED]
        if self.optimizer not in choices:
            raise unknown_name("optimizer", self.optimizer, choices)
        for name in ("learning_rate", "iterations", "patience", "width"):
            if not getattr(self, name) > 0:
                raise InputError(f"FirstOrder: {name} must be above 0", getattr(self, name))

    def solve(self, problem: Problem, theta: Theta) -> Solution:
        """Minimise every problem from the rows of ``theta``."""
        width = 1 if self.optimizer in COUPLED else self.width
        parts = [
            self._descend(problem, theta[rows], rows)
            for rows in torch.arange(len(theta), device=theta.device).split(width)
        ]
        best, cost, status, steps = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
        return Solution(best, cost, None, status, steps)

    def _descend(self, problem: Problem, start: Theta, rows: Rows) -> tuple[Theta, PerGalaxy, Tensor, Tensor]:
        lower, upper = (bound[rows] for bound in problem.bounds())
        unit = problem.scale.to(start)
        moving = (start / unit).clone().requires_grad_()
        optimizer = getattr(torch.optim, self.optimizer)([moving], lr=self.learning_rate, **self.options)
        track = _Track(self, start)

        def closure() -> Tensor:
            optimizer.zero_grad()
            costs = problem.cost(moving * unit, rows)
            track.note(costs.detach(), (moving * unit).detach())
            counted = torch.where(track.running & torch.isfinite(costs), costs, torch.zeros_like(costs))
            total = counted.sum()
            total.backward()
            if moving.grad is not None:
                moving.grad = torch.nan_to_num(moving.grad, nan=0.0, posinf=0.0, neginf=0.0)
            return total

        for _ in range(self.iterations):
            optimizer.step(closure)
            with torch.no_grad():
                inside = torch.clamp(moving * unit, lower, upper) / unit
                moving.copy_(
                    torch.where(track.running[:, None] & torch.isfinite(inside), inside, track.best / unit)
                )
            if not bool(track.running.any()):
                break
        return track.best, track.cost, track.status(), track.steps


class _Track:
    """The best point of each problem and when it last improved."""

    def __init__(self, options: FirstOrder, start: Theta) -> None:
        self.options = options
        self.best = start.clone()
        self.cost = start.new_full((len(start),), torch.inf)
        self.judged = self.cost.clone()
        self.steps = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        self.converged = torch.zeros(len(start), dtype=torch.bool, device=start.device)

    @property
    def running(self) -> Tensor:
        """(row,) of bool."""
        return ~self.converged & ((self.steps == 0) | torch.isfinite(self.cost))

    def note(self, cost: PerGalaxy, theta: Theta) -> None:
        """Keep what is better; every ``patience`` iterations judge the improvement since the last time."""
        running = self.running
        better = running & torch.isfinite(cost) & (cost < self.cost)
        self.best = torch.where(better[:, None], theta, self.best)
        self.cost = torch.where(better, cost, self.cost)
        self.steps = torch.where(running, self.steps + 1, self.steps)
        due = running & (self.steps % self.options.patience == 0)
        self.converged |= due & (self.judged - self.cost < self.options.tolerance)
        self.judged = torch.where(due, self.cost, self.judged)

    def status(self) -> Tensor:
        """(row,) of status codes."""
        ended = torch.where(self.converged, int(Status.CONVERGED), int(Status.STEP_LIMIT))
        return torch.where(torch.isfinite(self.cost), ended, int(Status.NOT_FINITE))
