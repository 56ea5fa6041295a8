"""A second look at fits that ended round.

At axis ratio 1 the position angle has no derivative, so a fit that gets there with the wrong angle cannot leave:
the galaxy is elongated at right angles to it. Fits that end on that bound are started once more from where they
ended, flattened and turned by 90 degrees, and the better end is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from isolux.likelihood import ChiSquare
from isolux.solve import FirstOrder, LevenbergMarquardt, Solution
from isolux.types import Tensor, Theta

FLATTENED = 0.85
"""Axis ratio of the second start."""
NEARLY_ROUND = 0.999


def retry_round_ones(
    problem: ChiSquare, solution: Solution, solver: LevenbergMarquardt | FirstOrder
) -> Solution:
    """The solution with the rows that ended round solved again; ``problem`` has one row a row of it."""
    return retry(problem, solution, solver, _free_shapes(problem.parameters.names, problem.parameters.free))


def retry(
    problem: Any,
    solution: Solution,
    solver: LevenbergMarquardt | FirstOrder,
    pairs: Sequence[tuple[int, int]],
) -> Solution:
    """The same for a problem with ``owner``, whose axis ratios and angles have these places in theta."""
    theta, again = _turned(problem, solution.theta, pairs)
    rows = torch.nonzero(again & torch.isfinite(solution.cost))[:, 0]
    if len(rows) == 0:
        return solution
    second = solver.solve(dataclasses.replace(problem, owner=problem.owner[rows]), theta[rows])
    better = second.cost < solution.cost[rows]
    steps = solution.steps.clone()
    steps[rows] += second.steps
    return Solution(
        _kept(solution.theta, second.theta, rows, better),
        _kept(solution.cost, second.cost, rows, better),
        None if solution.hessian is None else _kept(solution.hessian, second.hessian, rows, better),
        _kept(solution.status, second.status, rows, better),
        steps,
    )


def _free_shapes(names: Sequence[str], free: Sequence[int]) -> list[tuple[int, int]]:
    """Places in theta of the axis ratio and position angle of each component that has both free."""
    place = {names[column]: k for k, column in enumerate(free)}
    components = [name.rsplit(".", 1)[0] for name in place if name.endswith(".axis_ratio")]
    both = [(place[f"{c}.axis_ratio"], place.get(f"{c}.position_angle")) for c in components]
    return [(q, angle) for q, angle in both if angle is not None]


def _turned(problem: Any, theta: Theta, pairs: Sequence[tuple[int, int]]) -> tuple[Theta, Tensor]:
    """Second starts (row, free), and which rows (row,) need one."""
    lower, upper = problem.bounds()
    theta = theta.clone()
    again = torch.zeros(len(theta), dtype=torch.bool, device=theta.device)
    for q, angle in pairs:
        round_one = theta[:, q] > NEARLY_ROUND
        theta[:, q] = torch.where(round_one, torch.full_like(theta[:, q], FLATTENED), theta[:, q])
        theta[:, angle] = torch.where(round_one, theta[:, angle] + 90.0, theta[:, angle])
        again |= round_one
    return torch.clamp(theta, lower, upper), again


def _kept(first: Tensor, second: Tensor | None, rows: Tensor, better: Tensor) -> Tensor:
    """``first`` with those of its ``rows`` replaced whose second solution is better."""
    assert second is not None
    result = first.clone()
    result[rows[better]] = second[better]
    return result
