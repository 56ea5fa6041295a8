"""The cost at the best fit taken apart, and what data and priors say of the unknowns there.

Of the information H = H_data + H_prior only the data's part is scaled: by one over the dispersion of a robust loss
(:mod:`isolux.loss.robust`), or over the reduced chi-square where sigma is not trusted.
"""

from __future__ import annotations

import dataclasses

import torch

from isolux.likelihood import ChiSquare
from isolux.loss import SQUARED, RobustLoss
from isolux.solve import Solution
from isolux.types import PerGalaxy, Rows, Tensor


@dataclasses.dataclass(frozen=True)
class Parts:
    """The cost of some galaxies' best fits, and their information.

    Attributes
    ----------
    chi2 : Tensor
        (row,): sum of squares of (data - model) / sigma.
    loss : Tensor
        (row,): what the loss makes of the pixels.
    prior : Tensor
        (row,): what priors add.
    hessian : Tensor or None
        (row, free, free): information on the unknowns, of data and priors; None where there is none to be had.
    dispersion : Tensor
        (row,): what the data's part of it was divided by.
    """

    chi2: PerGalaxy
    loss: PerGalaxy
    prior: PerGalaxy
    hessian: Tensor | None
    dispersion: PerGalaxy


def take_apart(problem: ChiSquare, plain: ChiSquare, rows: Rows, solution: Solution, scale: bool) -> Parts:
    """The parts of the cost and the information at the solution.

    Parameters
    ----------
    problem : ChiSquare
        With its loss and its priors.
    plain : ChiSquare
        The same with chi-square, without priors.
    rows : Tensor
        (row,): the galaxies that were fitted.
    solution : Solution
        Of the same rows.
    scale : bool
        Divide the data's information by the reduced chi-square (Pearson's, for counts).
    """
    if problem.loss == SQUARED and problem.priors is None and not scale:
        nothing = torch.zeros_like(solution.cost)
        return Parts(solution.cost, solution.cost, nothing, solution.hessian, nothing + 1)
    found = []
    for part in torch.arange(len(rows), device=rows.device).split(problem.places):
        hessian = None if solution.hessian is None else solution.hessian[part]
        own, ordinary = (dataclasses.replace(p, owner=rows[part], repeats=1) for p in (problem, plain))
        found.append(_part(own, ordinary, solution.theta[part], solution.cost[part], hessian, scale))
    if not found:
        return Parts(solution.cost, solution.cost, solution.cost, solution.hessian, solution.cost)
    names = ("chi2", "loss", "prior", "dispersion")
    chi2, loss, prior, dispersion = (torch.cat([getattr(p, name) for p in found]) for name in names)
    hessians = [p.hessian for p in found if p.hessian is not None]
    return Parts(chi2, loss, prior, torch.cat(hessians) if hessians else None, dispersion)


def _part(
    problem: ChiSquare, plain: ChiSquare, theta: Tensor, cost: PerGalaxy, hessian: Tensor | None, scale: bool
) -> Parts:
    """The same for a few rows, which are all that the problems have."""
    rows = torch.arange(len(theta), device=theta.device)
    prior = torch.zeros_like(cost)
    if problem.priors is not None:
        prior = problem.priors.cost(problem.parameters.expand(theta, problem.owner), problem.owner)
    squares = plain.residuals(theta, rows) ** 2
    chi2 = squares.sum(1, dtype=torch.float64)
    dispersion = _dispersion(problem, plain, theta, scale)
    if not problem.parameters.linearisable:
        return Parts(chi2, cost - prior, prior, None, dispersion)
    robust = isinstance(problem.loss, RobustLoss)
    if hessian is None or robust:
        known = plain if robust else dataclasses.replace(problem, priors=None)
        data = known.linearise(theta, rows).hessian
    else:
        data = hessian
    added = torch.zeros_like(data)
    if problem.priors is not None:
        added = problem.priors.linearise(theta, problem.owner).hessian
        data = data if hessian is None or robust else data - added
    return Parts(chi2, cost - prior, prior, data / dispersion[:, None, None] + added, dispersion)


def _dispersion(problem: ChiSquare, plain: ChiSquare, theta: Tensor, scale: bool) -> PerGalaxy:
    """What the data's information is divided by (row,)."""
    rows = torch.arange(len(theta), device=theta.device)
    good = plain.weight[plain.owner].flatten(1) > 0
    if isinstance(problem.loss, RobustLoss):
        return problem.loss.dispersion(plain.residuals(theta, rows), good, problem.n_free)
    if not scale:
        return theta.new_ones(len(theta))
    pearson = (problem.residuals(theta, rows) ** 2).sum(1, dtype=torch.float64)
    return pearson / (good.sum(1) - problem.n_free).clamp_min(1)
