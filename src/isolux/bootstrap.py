"""Bootstrap errors: refit each galaxy with its pixels, or its noise, drawn anew.

Where pixels are independent, a replicate counts each good pixel as often as it was drawn, with replacement. Pixels
that share noise cannot be drawn one by one, and blocks of them would leave out the centre of a compact galaxy in
every third replicate; a replicate is then the best-fit model with noise drawn from its correlation function and
sigma (parametric bootstrap). Priors are drawn anew too: their middles move as the data do, or else a parameter that
only a prior knows would have no spread. Draws depend on the seed and the galaxy's id alone, never on its company.

All replicates of a galaxy start at its best fit, so they share one set of derivative images there. With it each
takes a step, and a second from the gradient at its new place, for which its model is drawn and nothing else. A
replicate whose second step is small has arrived; the others are handed to the solver.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Sequence

import torch

from isolux.correlated import Redrawn
from isolux.likelihood import ChiSquare
from isolux.solve import LevenbergMarquardt
from isolux.solve.levenberg_marquardt import bounded_step
from isolux.status import Status
from isolux.types import Images, Rows, Tensor, Theta

GALAXIES_AT_ONCE = 8
TOLERANCE, SMALL = 0.05, 1.0
"""Most that a replicate's cost may lie above its minimum, and that its second step may promise to lower it."""
DAMPING = 1e-6


def bootstrap(
    problem: ChiSquare,
    theta: Theta,
    galaxies: Rows,
    ids: Sequence[str],
    replicates: int,
    seed: int,
    solver: LevenbergMarquardt,
    correlation: Images | None = None,
) -> tuple[Tensor, Tensor]:
    """Replicate fits.

    Parameters
    ----------
    problem : ChiSquare
        The batch's problem.
    theta : Tensor
        (fit, free): best fits.
    galaxies : Tensor
        (fit,): their galaxies.
    ids : sequence of str
        Names of all galaxies of the batch.
    replicates : int
        Draws a galaxy.
    seed : int
        Of the draws.
    solver : LevenbergMarquardt
        Its width and step limit are kept; replicates start with little damping.
    correlation : Tensor, optional
        (galaxy or 1, v, u): noise correlation functions; noise is then drawn in place of pixels.

    Returns
    -------
    samples : Tensor
        (fit, replicate, free).
    good : Tensor
        (fit, replicate) of bool: which replicates converged.
    """
    warm = dataclasses.replace(solver, damping=1e-3, tolerance=max(solver.tolerance, TOLERANCE))
    samples, good = [], []
    for some in torch.arange(len(galaxies)).split(GALAXIES_AT_ONCE):
        members = galaxies[some]
        rows = dataclasses.replace(problem, owner=members.repeat_interleave(replicates), repeats=replicates)
        if correlation is None:
            counts = [_draws(problem.weight[g], ids[g], replicates, seed) for g in members.tolist()]
            drawn = torch.stack(counts).flatten(0, 1).to(problem.weight.device)
            rows = dataclasses.replace(rows, resample=_Counts(drawn, problem.weight.dtype))
        else:
            names = [ids[g] for g in members.tolist()]
            noisy = Redrawn.of(problem, theta[some], members, correlation, names, replicates, seed)
            rows = dataclasses.replace(rows, redraw=noisy)
        if problem.priors is not None:
            moved = [_generator(ids[g], seed, " priors") for g in members.tolist()]
            drawn = torch.cat([problem.priors.draw(replicates, generator) for generator in moved])
            rows = dataclasses.replace(rows, prior_draws=drawn.to(theta))
        found, arrived = _two_steps(rows, theta[some], replicates)
        late = torch.nonzero(~arrived)[:, 0]
        if len(late):
            solved = warm.solve(_rows_of(rows, late), found[late])
            found[late] = solved.theta
            arrived[late] = solved.status == Status.CONVERGED
        samples.append(found.unflatten(0, (len(some), replicates)))
        good.append(arrived.unflatten(0, (len(some), replicates)))
    return torch.cat(samples), torch.cat(good)


def _two_steps(problem: ChiSquare, theta: Theta, replicates: int) -> tuple[Theta, Tensor]:
    """Where two steps lead each replicate (row, free) from its galaxy's theta, and (row,) whether it has arrived."""
    ends, arrived = [], []
    lower, upper = problem.bounds()
    rows = torch.arange(len(theta) * replicates, device=theta.device)
    floor = TOLERANCE / problem.scale**2
    for galaxy, own in enumerate(rows.split(replicates)):
        tangents = problem.tangents(theta[galaxy : galaxy + 1], own[:1])
        for lot in own.split(problem.lot):
            here = theta[galaxy].expand(len(lot), -1)
            bounds = lower[lot], upper[lot]
            found = problem.linearise_on(tangents.repeated(len(lot)), here, lot)
            undamped = torch.full_like(found.cost, DAMPING)
            step, first = bounded_step(here, found.gradient, found.hessian, undamped, *bounds, floor)
            there = torch.clamp(here + step, *bounds)
            gradient = problem.gradient_along(tangents, there, lot)
            step, second = bounded_step(there, gradient, found.hessian, undamped, *bounds, floor)
            ends.append(torch.clamp(there + step, *bounds))
            left = second * (second / first.clamp_min(TOLERANCE)).clamp_max(1.0)
            arrived.append(found.finite & (second <= SMALL) & (left <= TOLERANCE))
    return torch.cat(ends), torch.cat(arrived)


def _rows_of(problem: ChiSquare, rows: Rows) -> ChiSquare:
    """The problem of some rows alone."""
    return dataclasses.replace(
        problem,
        owner=problem.owner[rows],
        resample=None if problem.resample is None else _Renumbered(problem.resample, rows),
        redraw=None if problem.redraw is None else _Renumbered(problem.redraw, rows),
        prior_draws=None if problem.prior_draws is None else problem.prior_draws[rows],
    )


@dataclasses.dataclass(frozen=True)
class _Renumbered:
    """What a function says of some rows, under new numbers."""

    function: Callable[[Rows], Images]
    rows: Rows

    def __call__(self, rows: Rows) -> Images:
        return self.function(self.rows[rows])


@dataclasses.dataclass(frozen=True)
class _Counts:
    """How often (row, y, x) each pixel was drawn, looked up by row."""

    counts: Tensor
    dtype: torch.dtype

    def __call__(self, rows: Rows) -> Tensor:
        return self.counts[rows].to(self.dtype)


def _generator(name: str, seed: int, purpose: str = "") -> torch.Generator:
    """Random numbers of a galaxy, whatever company it is in."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}{purpose}".encode()))


def _draws(weight: Tensor, name: str, replicates: int, seed: int) -> Tensor:
    """How often (replicate, y, x) each good pixel of a galaxy was drawn."""
    generator = _generator(name, seed)
    good = torch.nonzero(weight.flatten().cpu() > 0)[:, 0]
    picks = torch.randint(len(good), (replicates, len(good)), generator=generator)
    counts = torch.zeros(replicates, len(good), dtype=torch.int16)
    counts.scatter_add_(1, picks, torch.ones_like(picks, dtype=torch.int16))
    full = torch.zeros(replicates, weight.numel(), dtype=torch.uint8)
    full[:, good] = counts.clamp_max(255).to(torch.uint8)
    return full.unflatten(1, weight.shape)
