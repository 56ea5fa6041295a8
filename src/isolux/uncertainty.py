"""Errors of fitted parameters, from the curvature at the best fit or from refits of resampled pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from isolux.bootstrap import bootstrap
from isolux.correlated import corrected, excess
from isolux.likelihood import ChiSquare
from isolux.parameter_map import ParameterMap
from isolux.solve import LevenbergMarquardt, Solution
from isolux.solve.covariance import covariance
from isolux.types import Images, PerGalaxy, Rows, Tensor, Theta

AT_BOUND = 1e-6
"""How near to a bound, in typical changes, counts as on it."""


def on_bounds(problem: ChiSquare, rows: Rows, theta: Theta) -> Tensor:
    """(row, free) of bool: which unknowns ended on a bound."""
    lower, upper = (bound[rows] for bound in problem.parameters.bounds())
    near = AT_BOUND * problem.scale
    return (theta - lower <= near) | (upper - theta <= near)


def free_covariance(problem: ChiSquare, rows: Rows, solution: Solution, at_bound: Tensor) -> Tensor | None:
    """Covariance (row, free, free) of the unknowns; NaN where there is none, None where the model is too large."""
    if not problem.parameters.linearisable or len(solution.theta) == 0:
        return None
    hessian = solution.hessian
    if hessian is None:
        own = dataclasses.replace(problem, owner=rows)
        parts = torch.arange(len(solution.theta), device=rows.device).split(4)
        hessian = torch.cat([own.linearise(solution.theta[part], part).hessian for part in parts])
    found, _ = covariance(hessian, at_bound)
    return torch.where(torch.isfinite(solution.cost)[:, None, None], found, torch.nan)


def with_correlation(
    problem: ChiSquare,
    rows: Rows,
    theta: Theta,
    free: Tensor,
    correlation: Images,
    dispersion: PerGalaxy,
) -> tuple[Tensor, Tensor]:
    """What correlated noise makes of the covariance (row, free, free) of independent pixels.

    ``dispersion`` (row,) is what the data's information was divided by.

    Returns
    -------
    free : Tensor
        (row, free, free): the corrected covariance.
    effective : Tensor
        (row,): how many parameters would take up as much of independent noise, trace of C H.
    """
    ended = torch.isfinite(theta).all(1)
    added = torch.zeros_like(free)
    added[ended] = excess(problem, rows[ended], theta[ended], correlation) / dispersion[ended][:, None, None]
    effective = theta.shape[1] + (torch.nan_to_num(free) * added).sum((1, 2))
    return corrected(free, added), effective


def full_covariance(parameters: ParameterMap, theta: Theta, rows: Rows, free: Tensor) -> Tensor:
    """Covariance (row, parameter, parameter) of all parameters; NaN where it rests on an unknown without one."""
    jacobian = parameters.jacobian(theta, rows)
    missing = torch.isnan(torch.diagonal(free, dim1=1, dim2=2))
    full = jacobian @ torch.nan_to_num(free) @ jacobian.transpose(1, 2)
    touched = ((jacobian != 0) & missing[:, None]).any(2)
    return torch.where(touched[:, :, None] | touched[:, None, :], torch.nan, full)


def bootstrapped(
    problem: ChiSquare,
    rows: Rows,
    solution: Solution,
    ids: Sequence[str],
    replicates: int,
    seed: int,
    solver: LevenbergMarquardt,
    correlation: Images | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Bootstrap of the galaxies in ``rows`` that have a fit; arguments as for :func:`isolux.bootstrap.bootstrap`.

    Returns
    -------
    samples : Tensor
        (row, replicate, parameter); NaN for replicates that did not converge.
    spread : Tensor
        (row, free, free): their covariance.
    failed : Tensor
        (row,): share of replicates that did not converge.
    """
    theta, parameters = solution.theta, problem.parameters
    samples = theta.new_full((len(theta), replicates, len(parameters.names)), torch.nan)
    spread = theta.new_full((len(theta), theta.shape[1], theta.shape[1]), torch.nan)
    failed = theta.new_zeros(len(theta))
    ended = torch.isfinite(solution.cost)
    if not bool(ended.any()):
        return samples, spread, failed
    found, good = bootstrap(problem, theta[ended], rows[ended], ids, replicates, seed, solver, correlation)
    owner = rows[ended].repeat_interleave(replicates)
    drawn = parameters.expand(found.flatten(0, 1), owner).unflatten(0, (-1, replicates))
    samples[ended] = torch.where(good[..., None], drawn, torch.nan)
    spread[ended] = _scatter_matrix(found, good)
    failed[ended] = 1 - good.to(theta).mean(1)
    return samples, spread, failed


def _scatter_matrix(samples: Tensor, good: Tensor) -> Tensor:
    """Covariance (row, free, free) of the good samples (row, replicate, free); NaN where they are too few."""
    count = good.sum(1).to(samples)
    weight = (good / count.clamp_min(1)[:, None])[..., None].to(samples)
    offsets = (samples - (samples * weight).sum(1, keepdim=True)) * weight.sqrt()
    matrix = offsets.transpose(1, 2) @ offsets * (count / (count - 1).clamp_min(1))[:, None, None]
    return torch.where((count > samples.shape[2])[:, None, None], matrix, torch.nan)
