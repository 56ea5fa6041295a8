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
    kept : Tensor
        (row,): share of the information that a robust loss has not taken for outliers, of the unknown that has lost
        most, over the share of all pixels; one for other losses.
    """

    chi2: PerGalaxy
    loss: PerGalaxy
    prior: PerGalaxy
    hessian: Tensor | None
    dispersion: PerGalaxy
    kept: PerGalaxy


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
    cost, one = solution.cost, torch.ones_like(solution.cost)
    if len(rows) == 0 or (problem.loss == SQUARED and problem.priors is None and not scale):
        return Parts(cost, cost, 0 * one, solution.hessian, one, one)
    found = []
    for part in lots(len(rows), problem.lot, rows.device):
        hessian = None if solution.hessian is None else solution.hessian[part]
        own, ordinary = (dataclasses.replace(p, owner=rows[part], repeats=1) for p in (problem, plain))
        found.append(_part(own, ordinary, solution.theta[part], cost[part], hessian, scale))
    names = ("chi2", "loss", "prior", "dispersion", "kept")
    joined = {name: torch.cat([getattr(part, name) for part in found])[: len(rows)] for name in names}
    hessians = [part.hessian for part in found if part.hessian is not None]
    return Parts(hessian=torch.cat(hessians)[: len(rows)] if hessians else None, **joined)


def lots(rows: int, size: int, device: torch.device) -> list[Rows]:
    """Row numbers in lots of one size, the last filled up: sums must not depend on the company a row is in."""
    lots = list(torch.arange(rows, device=device).split(size))
    lots[-1] = torch.cat([lots[-1], lots[-1][:1].expand(size - len(lots[-1]))])
    return lots


def _part(
    problem: ChiSquare, plain: ChiSquare, theta: Tensor, cost: PerGalaxy, hessian: Tensor | None, scale: bool
) -> Parts:
    """The same for a few rows, which are all that the problems have."""
    rows, owner, priors = torch.arange(len(theta), device=theta.device), problem.owner, problem.priors
    residual = plain.residuals(theta, rows)
    chi2 = (residual * residual).sum(1, dtype=torch.float64)
    prior = torch.zeros_like(cost)
    if priors is not None:
        prior = priors.cost(problem.parameters.expand(theta, owner), owner)
    kept, dispersion = torch.ones_like(cost), torch.ones_like(cost)
    if not problem.parameters.linearisable:
        return Parts(chi2, cost - prior, prior, None, dispersion, kept)
    added = 0.0 if priors is None else priors.linearise(theta, owner).hessian
    data = (problem.linearise(theta, rows).hessian if hessian is None else hessian) - added
    good = plain.weight[owner].flatten(1) > 0
    if isinstance(problem.loss, RobustLoss):
        dispersion = problem.loss.dispersion(residual, good, problem.n_free)
        shares = torch.where(good, problem.loss.share(residual), 0.0).sum(1, dtype=torch.float64) / good.sum(
            1
        )
        weighed, data = data, plain.linearise(theta, rows).hessian
        diagonals = (torch.diagonal(matrix, dim1=1, dim2=2) for matrix in (weighed, data))
        kept = torch.nan_to_num(torch.div(*diagonals), nan=1.0).amin(1) / shares
    elif scale:
        pearson = (problem.residuals(theta, rows) ** 2).sum(1, dtype=torch.float64)
        dispersion = pearson / (good.sum(1) - problem.n_free).clamp_min(1)
    return Parts(chi2, cost - prior, prior, data / dispersion[:, None, None] + added, dispersion, kept)
