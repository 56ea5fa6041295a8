"""Errors of fitted parameters: from the curvature at the best fit, from refits, or from samples of the posterior."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch

from isolux.batch import Batch
from isolux.bootstrap import bootstrap
from isolux.correlated import corrected, excess
from isolux.fate import Fate
from isolux.information import Parts
from isolux.likelihood import ChiSquare
from isolux.parameter_map import ParameterMap
from isolux.posterior import sample_posterior
from isolux.scene import Scene
from isolux.solve import FirstOrder, LevenbergMarquardt, Sampler, Solution
from isolux.solve.covariance import covariance
from isolux.status import Flag
from isolux.types import Images, PerGalaxy, Rows, Tensor, Theta, Values

Solver: TypeAlias = LevenbergMarquardt | FirstOrder
Errors: TypeAlias = Literal["covariance", "bootstrap", "posterior", "none"]

AT_BOUND = 1e-6
"""How near to a bound, in typical changes, counts as on it."""
FAILED_REPLICATES = 0.1


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Everything that a result is made from; ``rows`` are the galaxies that were fitted."""

    batch: Batch
    scene: Scene
    problem: ChiSquare
    plain: ChiSquare
    rows: Tensor
    solution: Solution
    fate: Fate


@dataclasses.dataclass(frozen=True)
class ErrorOptions:
    """How errors are found: the options of :func:`fit` that concern them."""

    errors: Errors
    scale_errors: bool
    replicates: int
    seed: int
    solver: Solver
    sampler: Sampler


@dataclasses.dataclass
class Uncertainty:
    """What is known of errors, of all galaxies of the batch.

    Attributes
    ----------
    at_bound : Tensor
        (galaxy, parameter) of bool.
    covariance : Tensor or None
        (galaxy, parameter, parameter).
    effective : Tensor
        (galaxy,): effective number of free parameters; another than the plain one where noise is correlated.
    samples : Tensor or None
        (galaxy, sample, parameter).
    rhat, effective_samples : Tensor or None
        (galaxy, parameter): of samples of the posterior.
    """

    at_bound: Tensor
    covariance: Tensor | None
    effective: PerGalaxy
    samples: Tensor | None = None
    rhat: Tensor | None = None
    effective_samples: Tensor | None = None


def uncertainty_of(fitted: Fitted, parts: Parts, options: ErrorOptions) -> Uncertainty:
    """Errors of all galaxies of the batch, found as the options say; marks what went wrong."""
    problem, rows, solution = fitted.problem, fitted.rows, fitted.solution
    galaxies, parameters = len(fitted.batch), fitted.problem.parameters
    hit = on_bounds(problem, rows, solution.theta)
    at_bound = torch.zeros(galaxies, len(parameters.names), dtype=torch.bool, device=rows.device)
    at_bound[rows[:, None], torch.tensor(parameters.free, device=rows.device)] = hit
    found = Uncertainty(
        at_bound, None, torch.full((galaxies,), float(parameters.n_free), dtype=torch.float64)
    )
    free, correlation = None, fitted.batch.noise_correlation
    if options.errors == "covariance" or (correlation is not None and options.errors != "none"):
        known = dataclasses.replace(solution, hessian=parts.hessian)
        free = free_covariance(problem, rows, known, hit)
    if free is not None and correlation is not None:
        free, taken = with_correlation(problem, rows, solution.theta, free, correlation, parts.dispersion)
        found.effective = fill(galaxies, rows, taken)
    if options.errors == "posterior":
        return _with_posterior(fitted, options, found)
    if options.errors == "bootstrap":
        solver = options.solver if isinstance(options.solver, LevenbergMarquardt) else LevenbergMarquardt()
        drawn, free, failed = bootstrapped(
            problem, rows, solution, fitted.batch.id, options.replicates, options.seed, solver, correlation
        )
        found.samples = fill(galaxies, rows, drawn)
        fitted.fate.mark(fill(galaxies, rows, failed) > FAILED_REPLICATES, Flag.BOOTSTRAP_FAILED)
    if free is not None:
        found.covariance = fill(galaxies, rows, full_covariance(parameters, solution.theta, rows, free))
    return found


def _with_posterior(fitted: Fitted, options: ErrorOptions, found: Uncertainty) -> Uncertainty:
    """Samples of the posterior of the galaxies that have a fit, and their covariance."""
    ended = torch.isfinite(fitted.solution.cost)
    rows, problem = fitted.rows[ended], fitted.problem
    periods = [
        entry.parameter.period or torch.inf
        for entry in fitted.scene.parameters
        for _ in range(entry.parameter.size)
    ]
    values, samples = sample_posterior(
        problem,
        rows,
        fitted.solution.theta[ended],
        [fitted.batch.id[galaxy] for galaxy in rows.tolist()],
        [periods[column] for column in problem.parameters.free],
        options.sampler,
        options.seed,
        fitted.batch.noise_correlation,
    )
    galaxies, free = len(fitted.batch), list(problem.parameters.free)
    offsets = values - values.mean(1, keepdim=True)
    found.covariance = fill(galaxies, rows, offsets.transpose(1, 2) @ offsets / (values.shape[1] - 1))
    found.samples = fill(galaxies, rows, values)
    found.rhat = torch.full_like(found.at_bound, torch.nan, dtype=values.dtype)
    found.effective_samples = found.rhat.clone()
    found.rhat[rows[:, None], free] = samples.rhat
    found.effective_samples[rows[:, None], free] = samples.effective
    fitted.fate.mark(fill(galaxies, rows, (~samples.good).to(values)) > 0, Flag.NOT_MIXED)
    return found


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
    return carried(parameters.jacobian(theta, rows), free)


def carried(jacobian: Tensor, free: Tensor) -> Tensor:
    """Covariance (row, quantity, quantity) of what depends on the unknowns by a matrix (row, quantity, free)."""
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


def standard_errors(kinds: Sequence[str], values: Values, covariance: Tensor | None) -> Values:
    """Roots of the variances; zero for fixed parameters, NaN where there is no variance."""
    if covariance is None:
        return torch.full_like(values, torch.nan)
    variance = torch.diagonal(covariance, dim1=1, dim2=2)
    errors = torch.sqrt(torch.where(variance >= 0, variance, torch.nan))
    fixed = torch.tensor([kind == "fixed" for kind in kinds], device=values.device)
    return torch.where(fixed & torch.isfinite(values), torch.zeros_like(values), errors)


def fill(galaxies: int, rows: Tensor, found: Tensor) -> Tensor:
    """Numbers of the fitted galaxies in their places among all, NaN elsewhere."""
    full = torch.full((galaxies, *found.shape[1:]), torch.nan, dtype=found.dtype, device=found.device)
    full[rows] = found
    return full
