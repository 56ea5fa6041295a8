"""Fit a scene to a batch: starting values -> solver -> errors -> result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import torch

from isolux.batch import Batch
from isolux.derived import derived_quantities
from isolux.errors import InputError
from isolux.fate import Fate, remark
from isolux.geometry import wrap_angle
from isolux.information import take_apart
from isolux.likelihood import ChiSquare
from isolux.loss import SQUARED, Loss, RobustLoss, loss_from
from isolux.parameter_map import ParameterMap, build_map
from isolux.parameters import Parameter
from isolux.priors import Prior, Priors
from isolux.renderer import Renderer
from isolux.result import Quantity, Result
from isolux.retry import retry_round_ones
from isolux.scene import Scene
from isolux.solve import LevenbergMarquardt, Sampler, Solution
from isolux.spikes import without_spikes
from isolux.start import Starts
from isolux.status import Flag, Status
from isolux.types import Tensor, Theta, Values
from isolux.uncertainty import (
    ErrorOptions,
    Errors,
    Fitted,
    Solver,
    fill,
    standard_errors,
    uncertainty_of,
)

KEPT = 0.7
"""Share of the information on an unknown below which a robust loss has taken the galaxy for an outlier."""


def fit(
    batch: Batch,
    scene: Scene,
    *,
    start: Mapping[str, Any] | Starts | None = None,
    solver: Solver | None = None,
    loss: Loss | str = "chi2",
    priors: Sequence[Prior] = (),
    errors: Errors = "covariance",
    scale_errors: bool = False,
    starts: int = 1,
    replicates: int = 100,
    sampler: Sampler | None = None,
    seed: int = 0,
) -> Result:
    """Fit every galaxy of a batch.

    Parameters
    ----------
    batch : Batch
        Images with their noise, masks and PSFs.
    scene : Scene
        The model.
    start : mapping, table or Starts, optional
        Starting values, arrays (galaxy,) by full parameter name (``"disc.x"``) or by the names that
        :class:`Column` settings refer to. What is not given is estimated from the image. Or all of them, as
        :func:`isolux.nets.learned_starts` makes them.
    solver : LevenbergMarquardt or FirstOrder, optional
        Levenberg-Marquardt with its defaults if left out.
    loss : Loss or str
        What a pixel costs: ``"chi2"``, :class:`StudentT`, :class:`Huber` or :class:`Cash`, or one of their names,
        ``"student-t"``, ``"student-t:4"``, ``"huber"``, ``"cash"``.
    priors : sequence of Prior
        :class:`GaussianPrior`, :class:`LogNormalPrior`, :class:`UniformPrior`, in any number. The fit is then the
        mode of the posterior.
    errors : {"covariance", "bootstrap", "posterior", "none"}
        From J^T W J at the best fit, from refits of resampled pixels, from samples of the posterior, or not at all.
    scale_errors : bool
        Divide the data's information by the reduced chi-square, as though the model were right and sigma not.
    starts : int
        Fits a galaxy from different starting values; the best is kept.
    replicates : int
        Of the bootstrap.
    sampler : Sampler, optional
        Of the posterior: how many samples, and how good.
    seed : int
        Of bootstrap, posterior samples and further starts.

    Returns
    -------
    Result
        One row a galaxy, in the batch's order, whatever happened to it.

    Raises
    ------
    InputError
        If the scene has nothing to fit, a name is unknown or an option is out of range.
    """
    chosen = loss_from(loss)
    _check(errors, scale_errors, starts, replicates, chosen, batch)
    clock = time.perf_counter()
    solver = solver or LevenbergMarquardt()
    problem, plain = problems_of(batch, scene, start, chosen, priors)
    fate = Fate.of(batch, problem.parameters)
    fate.refuse(Status.BAD_INPUT, chosen.faults(batch))
    if problem.priors is not None:
        fate.refuse(Status.BAD_PRIOR, _prior_faults(problem.priors, batch))
    rows = torch.tensor(fate.fittable, dtype=torch.int64, device=batch.image.device)
    solution = _solve(problem, rows, solver, starts, seed)
    options = ErrorOptions(errors, scale_errors, replicates, seed, solver, sampler or Sampler())
    return _assemble(Fitted(batch, scene, problem, plain, rows, solution, fate), options, clock)


def _check(
    errors: Errors, scale_errors: bool, starts: int, replicates: int, loss: Loss, batch: Batch
) -> None:
    """Refuse options that are out of range or exclude each other."""
    if errors not in get_args(Errors):
        raise InputError("errors", errors, ", ".join(get_args(Errors)))
    if scale_errors and errors == "posterior":
        raise InputError("scale_errors: the posterior takes sigma as it is; scale sigma itself")
    if starts < 1 or replicates < 2:
        raise InputError("starts and replicates", (starts, replicates), "starts >= 1, replicates >= 2")
    if scale_errors and isinstance(loss, RobustLoss):
        raise InputError("scale_errors: errors of a robust loss follow the residuals' scatter already", loss)
    if batch.noise_correlation is not None and loss != SQUARED:
        raise InputError("noise_correlation: only chi2 knows correlated noise", loss, "loss='chi2'")


def problems_of(
    batch: Batch,
    scene: Scene,
    start: Mapping[str, Any] | Starts | None,
    loss: Loss,
    priors: Sequence[Prior],
) -> tuple[ChiSquare, ChiSquare]:
    """What is to be minimised, and chi-square without priors at the same parameters."""
    if not isinstance(start, Starts):
        given = None if start is None else {name: start[name] for name in _names(start)}
        seen = without_spikes(batch) if isinstance(loss, RobustLoss) else batch
        start = Starts.by_moments(scene, seen, given)
    start.check(scene, batch)
    values, estimated, table = start.values, start.estimated, start.table
    parameters = build_map(scene.parameters, values, flux_unit(batch))
    if parameters.n_free == 0:
        raise InputError("nothing to fit: every parameter of the scene is fixed or tied")
    bound = None
    if priors:
        bound = Priors.of(priors, parameters, table, _periods(scene))
        parameters = dataclasses.replace(bound.parameters, values=bound.near(values, estimated))
    parameters = dataclasses.replace(parameters, values=moved_inside(parameters, estimated))
    if bound is not None:
        bound = dataclasses.replace(bound, parameters=parameters)
    renderer = Renderer.of(scene.components, batch)
    problem = ChiSquare.of(renderer, parameters, batch, loss, bound)
    return problem, ChiSquare.of(renderer, parameters, batch)


def _periods(scene: Scene) -> dict[str, float]:
    declared = {entry.full_name: entry.parameter.period for entry in scene.parameters}
    return {name: period for name, period in declared.items() if period is not None}


def _prior_faults(priors: Priors, batch: Batch) -> list[str]:
    """What is wrong with priors, one sentence a galaxy; empty where nothing is."""
    usable = priors.usable().tolist()
    texts = [
        fault or ("" if good else "a prior is not finite at the starting values")
        for fault, good in zip(priors.faults, usable, strict=True)
    ]
    return [f"galaxy {name}: {text}" if text else "" for name, text in zip(batch.id, texts, strict=True)]


def _names(table: Mapping[str, Any]) -> list[str]:
    return list(getattr(table, "colnames", None) or table.keys())


def flux_unit(batch: Batch) -> Tensor:
    """Typical noise of a pixel (galaxy,), the unit of flux-like parameters in the solver."""
    sigma = torch.where(batch.mask, torch.nan, batch.sigma).flatten(1).double()
    unit = sigma.nanmedian(1).values
    return torch.where(torch.isfinite(unit) & (unit > 0), unit, torch.ones_like(unit))


def moved_inside(parameters: ParameterMap, estimated: tuple[bool, ...]) -> Values:
    """Starting values with the estimated ones moved inside their bounds."""
    mask = torch.tensor(estimated, device=parameters.values.device)
    span = parameters.upper - parameters.lower
    margin = torch.where(torch.isfinite(span), 1e-3 * span, torch.zeros_like(span))
    margin = torch.where(torch.tensor(parameters.log, device=mask.device), 1e-3 * parameters.lower, margin)
    clipped = torch.clamp(parameters.values, parameters.lower + margin, parameters.upper - margin)
    return torch.where(mask, clipped, parameters.values)


def _solve(problem: ChiSquare, rows: Tensor, solver: Solver, starts: int, seed: int) -> Solution:
    """Solve for the galaxies in ``rows``, from one or several starts; the best of each is kept."""
    theta = problem.parameters.to_theta(problem.parameters.values)[rows]
    if starts > 1:
        theta = _scatter(problem, theta, rows, starts, seed)
    problem = dataclasses.replace(problem, owner=rows.repeat_interleave(starts), repeats=starts)
    if len(theta) == 0:
        empty = theta.new_zeros(0)
        return Solution(theta, empty, None, empty.long(), empty.long())
    solution = _solve_by_stages(solver, problem, theta)
    solution = retry_round_ones(problem, solution, solver)
    if starts == 1:
        return solution
    cost = torch.nan_to_num(solution.cost, nan=torch.inf).unflatten(0, (-1, starts))
    best = cost.argmin(1) + starts * torch.arange(len(rows), device=rows.device)
    hessian = None if solution.hessian is None else solution.hessian[best]
    steps = solution.steps.unflatten(0, (-1, starts)).sum(1)
    return Solution(solution.theta[best], solution.cost[best], hessian, solution.status[best], steps)


def _solve_by_stages(solver: Solver, problem: ChiSquare, theta: Theta) -> Solution:
    """Solve, for a loss that needs it after another has led near."""
    if problem.loss.first is None:
        return with_less_memory(solver, problem, theta)
    nearer = with_less_memory(solver, dataclasses.replace(problem, loss=problem.loss.first), theta)
    solution = with_less_memory(solver, problem, nearer.theta)
    return dataclasses.replace(solution, steps=solution.steps + nearer.steps)


def _scatter(problem: ChiSquare, theta: Theta, rows: Tensor, starts: int, seed: int) -> Theta:
    """Further starts (row * start, free): each unknown moved by some typical changes; the first is left."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(starts, theta.shape[1], generator=generator, dtype=theta.dtype).to(theta.device)
    noise[0] = 0.0
    lower, upper = (bound[rows][:, None] for bound in problem.parameters.bounds())
    moved = theta[:, None] + 8 * noise * problem.scale
    return torch.clamp(moved, lower, upper).flatten(0, 1)


def with_less_memory(solver: Solver, problem: ChiSquare, theta: Theta) -> Solution:
    """Solve; where a GPU runs out of memory, halve the number of problems in work and try again."""
    while True:
        try:
            return solver.solve(problem, theta)
        except torch.cuda.OutOfMemoryError:
            width = solver.width or problem.places
            if width <= 1:
                raise
            torch.cuda.empty_cache()
            solver = dataclasses.replace(solver, width=width // 2)


def _assemble(fitted: Fitted, options: ErrorOptions, clock: float) -> Result:
    """The result of all galaxies of the batch, fitted or not."""
    batch, parameters, rows, solution, fate = (
        fitted.batch,
        fitted.problem.parameters,
        fitted.rows,
        fitted.solution,
        fitted.fate,
    )
    galaxies = len(batch)
    for row, galaxy in enumerate(rows.tolist()):
        fate.end(galaxy, Status(int(solution.status[row])))
    ended = torch.isfinite(solution.cost)
    found = parameters.expand(solution.theta[ended], rows[ended])
    free = list(parameters.free)
    found[:, free] = torch.clamp(
        found[:, free], parameters.lower[rows[ended]][:, free], parameters.upper[rows[ended]][:, free]
    )
    values = fill(galaxies, rows[ended], found)
    parts = take_apart(fitted.problem, fitted.plain, rows, solution, options.scale_errors)
    known = uncertainty_of(fitted, parts, options)
    at_bound, full = known.at_bound, known.covariance
    value_errors = standard_errors(parameters.kinds(), values, full)
    derived, derived_values, derived_errors = derived_quantities(
        fitted.scene, values, full, batch.zero_point.to(values.device), batch.pixel_scale.to(values.device)
    )
    done = torch.tensor([status.fitted for status in fate.status], device=values.device)
    fate.mark(at_bound.any(1) & done, Flag.AT_BOUND)
    fate.mark((fill(galaxies, rows, parts.kept) < KEPT) & done, Flag.OUTLYING)
    if fitted.problem.priors is not None:
        far, leaning = fitted.problem.priors.conflicts(found, rows[ended])
        fate.mark(_among(galaxies, rows[ended][far]) & done, Flag.PRIOR_CONFLICT)
        fate.mark(_among(galaxies, rows[ended][leaning]) & done, Flag.AT_BOUND)
    if options.errors != "none":
        unknown = (torch.isnan(value_errors[:, free]) & ~at_bound[:, free]).any(1)
        if options.errors == "posterior":
            unknown &= ~torch.isnan(values).all(1)
        fate.mark(unknown & done, Flag.NO_COVARIANCE if parameters.linearisable else Flag.NOT_LINEARISED)
    remark(fate, batch, fitted.scene, parameters, values, full)
    took = torch.zeros(galaxies, dtype=torch.float64)
    took[rows.cpu()] = (time.perf_counter() - clock) / max(len(rows), 1)
    return Result(
        id=batch.id,
        columns=columns_of(fitted.scene, parameters),
        kinds=parameters.kinds(),
        values=wrapped(fitted.scene, values).cpu(),
        errors=value_errors.cpu(),
        covariance=None if full is None else full.cpu(),
        at_bound=at_bound.cpu(),
        derived=derived,
        derived_values=derived_values.cpu(),
        derived_errors=derived_errors.cpu(),
        chi2=fill(galaxies, rows[ended], parts.chi2[ended]).cpu(),
        n_pixels=(~batch.mask).flatten(1).sum(1).cpu(),
        n_free=torch.full((galaxies,), parameters.n_free),
        status=tuple(fate.status),
        flags=tuple(fate.flags),
        message=tuple(fate.message),
        steps=fill(galaxies, rows, solution.steps.double()).nan_to_num(0).long().cpu(),
        seconds=took,
        zero_point=batch.zero_point.cpu(),
        pixel_scale=batch.pixel_scale.cpu(),
        samples=None if known.samples is None else _near(fitted.scene, known.samples, values).cpu(),
        rhat=None if known.rhat is None else known.rhat.cpu(),
        effective_samples=None if known.effective_samples is None else known.effective_samples.cpu(),
        wcs=batch.wcs,
        n_effective=known.effective.cpu(),
        loss=None if fitted.problem.loss == SQUARED else fill(galaxies, rows[ended], parts.loss[ended]).cpu(),
        prior=None
        if fitted.problem.priors is None
        else fill(galaxies, rows[ended], parts.prior[ended]).cpu(),
    )


def _among(galaxies: int, some: Tensor) -> Tensor:
    """(galaxy,) of bool: which are among some numbers of galaxies."""
    chosen = torch.zeros(galaxies, dtype=torch.bool, device=some.device)
    chosen[some] = True
    return chosen


def columns_of(scene: Scene, parameters: ParameterMap) -> tuple[Quantity, ...]:
    """What the columns of a result's values are."""
    pairs = zip(parameters.names, _declared(scene), strict=True)
    return tuple(Quantity(n, p.unit, p.meaning) for n, p in pairs)


def _near(scene: Scene, samples: Tensor, values: Values) -> Tensor:
    """Samples (galaxy, sample, parameter) with angles brought within half a period of the wrapped values."""
    columns = list(samples.unbind(2))
    for k, middle in enumerate(wrapped(scene, values).unbind(1)):
        period = _declared(scene)[k].period
        if period is not None:
            columns[k] = middle[:, None] + wrap_angle(columns[k] - middle[:, None], period)
    return torch.stack(columns, 2)


def _declared(scene: Scene) -> list[Parameter]:
    return [entry.parameter for entry in scene.parameters for _ in range(entry.parameter.size)]


def wrapped(scene: Scene, values: Values) -> Values:
    """Angles brought into half a period about zero."""
    columns = list(values.unbind(1))
    for k, parameter in enumerate(_declared(scene)):
        if parameter.period is not None:
            columns[k] = wrap_angle(columns[k], parameter.period)
    return torch.stack(columns, 1)
