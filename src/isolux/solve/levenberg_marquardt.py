"""Levenberg-Marquardt for many problems at once, each with its own damping, status and step count.

Near a point the sum of squares of each problem is the quadratic

    c(theta + d) = c - 2 g.d + d.H.d,      H = J^T W J,  g = J^T W r,

and the step d solves (H + lambda diag H) d = g. A step that lowers the true sum is taken and lambda shrinks
towards Gauss-Newton; one that does not is refused and lambda grows.

A problem has converged when the decrease that its quadratic still promises is below ``tolerance``, and that last
step is then taken on trust. So is one that promises somewhat more, if the step before it left so little of what it
had promised that the quadratic is known to be good: neither the point nor H would change by more than a per cent or
two of an error. A problem has also converged when a step is refused that changed the sum by less than ``tolerance``,
which is the arithmetic's own noise.

An unknown that the data say nothing of, such as the angle of a round galaxy, stays where it is: a floor under
diag H, far below any curvature that matters, makes its step as small as its gradient.

Bounds: an unknown at its bound that would be pushed outwards is held there. A step that would cross a bound ends
on it while the others are solved again, or is cut short there, whichever promises more.

Problems work in ``width`` places: one that has ended leaves its place to the next in the queue, so that the
slow ones hold up nobody. They are evaluated in whole lots, the last filled up with one of them, so that the
arithmetic has the same shape whatever company a problem is in.
"""

from __future__ import annotations

import dataclasses

import torch

from isolux.errors import InputError
from isolux.solve.problem import Linearised, Problem, Solution
from isolux.status import Status
from isolux.types import Rows, Tensor, Theta

LARGEST_DAMPING = 1e10
LONGEST_STEP = 20.0
"""Typical changes that an unknown may move at once: a component that faded to nothing would have no way back."""
NEAR, STRAIGHT = 10.0, 0.01
"""Most that a trusted last step may promise, over the tolerance and over what the step before it promised."""
TRUSTED_DAMPING = 0.1
"""A promised decrease counts for convergence only when damping does not hide most of it."""


@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """Options of the solver.

    Parameters
    ----------
    max_steps : int
        Evaluations of model and derivatives for each problem at most.
    tolerance : float
        Promised decrease of the sum of squares below which a problem has converged.
    damping : float
        First lambda.
    width : int, optional
        Problems in work at once; the problem's own ``places`` where left out.
    """

    max_steps: int = 100
    tolerance: float = 1e-2
    damping: float = 1e-2
    width: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_steps", "tolerance", "damping"):
            if not getattr(self, name) > 0:
                raise InputError(f"LevenbergMarquardt: {name} must be above 0", getattr(self, name))

    def solve(self, problem: Problem, theta: Theta) -> Solution:
        """Minimise every problem from the rows of ``theta``."""
        search = _Search(self, problem, theta)
        queue = list(range(len(theta)))
        working: list[int] = []
        width = self.width or problem.places
        lot = min(problem.lot, width)
        while queue or working:
            while queue and len(working) < width:
                working.append(queue.pop(0))
            rows = torch.tensor(working + working[:1] * (-len(working) % lot), device=theta.device)
            search.advance(rows)
            done = search.ended[rows[: len(working)]].tolist()
            working = [row for row, ended in zip(working, done, strict=True) if not ended]
        return search.solution()


class _Search:
    """The state of every problem: best point, its linear model, damping, status."""

    def __init__(self, options: LevenbergMarquardt, problem: Problem, theta: Theta) -> None:
        rows, free = theta.shape
        self.options, self.problem = options, problem
        self.theta = theta.clone()
        self.trial = theta.clone()
        self.cost = theta.new_full((rows,), torch.inf)
        self.promised = theta.new_full((rows,), torch.inf)
        self.taken = theta.new_zeros(rows)
        self.gradient = torch.zeros_like(theta)
        self.hessian = theta.new_zeros(rows, free, free)
        self.damping = theta.new_full((rows,), options.damping)
        self.steps = torch.zeros(rows, dtype=torch.int64, device=theta.device)
        self.status = torch.full_like(self.steps, Status.RUNNING)
        self.lower, self.upper = problem.bounds()

    @property
    def ended(self) -> Tensor:
        """(row,) of bool."""
        return self.status != Status.RUNNING

    def advance(self, rows: Rows) -> None:
        """Evaluate the trial points of some rows, accept or refuse them, and propose the next ones."""
        found = self.problem.linearise(self.trial[rows], rows)
        fresh = self.steps[rows] == 0
        self.steps[rows] = self.steps[rows] + 1
        self._accept(rows, found, fresh)
        self._propose(rows)
        started = torch.isfinite(self.cost[rows])
        out_of_steps = (self.steps[rows] >= self.options.max_steps) & ~self.ended[rows]
        status = torch.where(out_of_steps, int(Status.STEP_LIMIT), self.status[rows])
        self.status[rows] = torch.where(started, status, int(Status.NOT_FINITE))

    def _accept(self, rows: Rows, found: Linearised, fresh: Tensor) -> None:
        """Take the trial points that lower the sum of squares; set the damping by how well it was foretold."""
        better = found.finite & (found.cost < self.cost[rows])
        level = ~better & ((found.cost - self.cost[rows]).abs() <= self.options.tolerance)
        self.status[rows] = torch.where(level, int(Status.CONVERGED), self.status[rows])
        gain = (self.cost[rows] - found.cost) / self.promised[rows]
        damping = self.damping[rows]
        grown = torch.where(better, torch.where(gain < 0.25, damping * 2, damping), damping * 10)
        self.damping[rows] = torch.where(
            fresh, damping, torch.where(better & (gain > 0.5), damping * 0.1, grown)
        )
        self.taken[rows] = torch.where(better & ~fresh, self.promised[rows], 0.0)
        for state, new in (
            (self.theta, self.trial[rows]),
            (self.cost, found.cost),
            (self.gradient, found.gradient),
            (self.hessian, found.hessian),
        ):
            keep = better.view(-1, *(1,) * (new.ndim - 1))
            state[rows] = torch.where(keep, new, state[rows])

    def _propose(self, rows: Rows) -> None:
        """Trial points from the quadratic models; those that promise too little end their problems."""
        theta, gradient, hessian = self.theta[rows], self.gradient[rows], self.hessian[rows]
        lower, upper = self.lower[rows], self.upper[rows]
        reach = LONGEST_STEP * self.problem.scale
        floor = self.options.tolerance / reach**2
        step, possible = bounded_step(theta, gradient, hessian, self.damping[rows], lower, upper, floor)
        share = (reach / step.abs()).amin(1).clamp_max(1.0)
        step = step * share[:, None]
        promised = 2 * (gradient * step).sum(1) - (step[:, None] @ hessian @ step[..., None])[:, 0, 0]
        trusted = (self.damping[rows] <= TRUSTED_DAMPING) & (share == 1) & ~self.ended[rows]
        straight = (possible <= NEAR * self.options.tolerance) & (possible <= STRAIGHT * self.taken[rows])
        converged = (
            (straight | (possible <= self.options.tolerance)) & trusted & torch.isfinite(self.cost[rows])
        )
        stalled = (self.damping[rows] > LARGEST_DAMPING) & ~converged & ~self.ended[rows]
        self.trial[rows] = torch.clamp(theta + step, lower, upper)
        self.promised[rows] = promised
        self.theta[rows] = torch.where(converged[:, None], self.trial[rows], theta)
        self.cost[rows] = torch.where(converged, self.cost[rows] - promised.clamp_min(0.0), self.cost[rows])
        status = torch.where(converged, int(Status.CONVERGED), self.status[rows])
        self.status[rows] = torch.where(stalled, int(Status.STALLED), status)

    def solution(self) -> Solution:
        return Solution(self.theta, self.cost, self.hessian, self.status, self.steps)


def bounded_step(
    theta: Theta, gradient: Theta, hessian: Tensor, damping: Tensor, lower: Theta, upper: Theta, floor: Tensor
) -> tuple[Theta, Tensor]:
    """The damped step (row, free) within the bounds, and the decrease (row,) that none of them could surpass.

    Of two steps the one that promises more: the others solved again for the unknowns that were brought onto
    their bounds, or the step itself up to the first bound, which always leads downhill. ``floor`` (free,) is
    added to H.
    """
    diagonal = torch.diagonal(hessian, dim1=1, dim2=2) + floor
    scale = diagonal.clamp_min(torch.finfo(theta.dtype).tiny).rsqrt()
    unit = hessian * scale[:, :, None] * scale[:, None, :]
    matrix = unit + torch.diag_embed(damping[:, None] + floor * scale**2)
    right = gradient * scale
    low, high = (lower - theta) / scale, (upper - theta) / scale
    at_low, at_high = low >= 0, high <= 0
    held = (at_low & (right < 0)) | (at_high & (right > 0))
    target = torch.zeros_like(theta)
    for _ in range(3):
        straight = _solve_held(matrix, right, held, target)
        pushed = (at_low & (straight < 0)) | (at_high & (straight > 0))
        if not bool((pushed & ~held).any()):
            break
        held = held | pushed
    straight = torch.where(held, target, straight)
    bent = torch.clamp(straight, low, high)
    crossed = bent != straight
    bent = torch.clamp(
        _solve_held(matrix, right, held | crossed, torch.where(crossed, bent, target)), low, high
    )
    room = torch.where(straight > 0, high, low) / torch.where(straight == 0, 1.0, straight)
    share = torch.where(straight == 0, torch.inf, room).amin(1, keepdim=True).clamp(0.0, 1.0)
    cut = torch.clamp(share * straight, low, high)
    better = _promise(unit, right, bent) >= _promise(unit, right, cut)
    return torch.where(better[:, None], bent, cut) * scale, _promise(unit, right, straight)


def _promise(hessian: Tensor, gradient: Theta, step: Theta) -> Tensor:
    """Decrease (row,) of the sum of squares that the quadratic model promises for a step."""
    return 2 * (gradient * step).sum(1) - (step[:, None] @ hessian @ step[..., None])[:, 0, 0]


def _solve_held(matrix: Tensor, right: Tensor, held: Tensor, target: Tensor) -> Tensor:
    """Solve for the unknowns that are not held, the others being at their targets."""
    fixed = torch.where(held, target, torch.zeros_like(target))
    known = right - (matrix @ fixed[..., None])[..., 0]
    either = held[:, :, None] | held[:, None, :]
    identity = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    reduced = torch.where(either, identity, matrix)
    factor, info = torch.linalg.cholesky_ex(reduced)
    good = (info == 0)[:, None, None]
    factor = torch.where(good, factor, identity)
    step = torch.cholesky_solve(torch.where(held, fixed, known)[..., None], factor)[..., 0]
    return torch.where(
        good[..., 0], torch.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0), torch.zeros_like(step)
    )
