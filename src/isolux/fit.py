"""Fit a scene to a batch: starting values -> solver -> errors -> result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch

from isolux.batch import Batch
from isolux.bootstrap import bootstrap
from isolux.derived import derived_quantities
from isolux.errors import InputError
from isolux.geometry import wrap_angle
from isolux.likelihood import ChiSquare
from isolux.parameter_map import ParameterMap, build_map
from isolux.profiles.base import ImageProfile
from isolux.renderer import Renderer
from isolux.result import Quantity, Result
from isolux.scene import Scene
from isolux.solve import FirstOrder, LevenbergMarquardt, Solution
from isolux.solve.covariance import covariance
from isolux.start import starting_values
from isolux.status import Flag, Status
from isolux.types import Free, Tensor, Values

Solver: TypeAlias = LevenbergMarquardt | FirstOrder
Errors: TypeAlias = Literal["covariance", "bootstrap", "none"]

FAINT = 2.5 / 2.302585 / 20
"""Error of a magnitude at signal-to-noise 20."""
AT_BOUND = 1e-6
"""How near to a bound, in typical changes, counts as on it."""
FAILED_REPLICATES = 0.1


def fit(
    batch: Batch,
    scene: Scene,
    *,
    start: Mapping[str, Any] | None = None,
    solver: Solver | None = None,
    errors: Errors = "covariance",
    scale_errors: bool = False,
    starts: int = 1,
    replicates: int = 100,
    seed: int = 0,
) -> Result:
    """Fit every galaxy of a batch.

    Parameters
    ----------
    batch : Batch
        Images with their noise, masks and PSFs.
    scene : Scene
        The model.
    start : mapping or table, optional
        Starting values, arrays (galaxy,) by full parameter name (``"disc.x"``) or by the names that
        :class:`Column` settings refer to. What is not given is estimated from the image.
    solver : LevenbergMarquardt or FirstOrder, optional
        Levenberg-Marquardt with its defaults if left out.
    errors : {"covariance", "bootstrap", "none"}
        From J^T W J at the best fit, from refits of resampled pixels, or not at all.
    scale_errors : bool
        Multiply covariances by the reduced chi-square, as though the model were right and sigma not.
    starts : int
        Fits a galaxy from different starting values; the best is kept.
    replicates, seed : int
        Of the bootstrap (the seed also moves the further starts).

    Returns
    -------
    Result
        One row a galaxy, in the batch's order, whatever happened to it.

    Raises
    ------
    InputError
        If the scene has nothing to fit, a name is unknown or an option is out of range.
    """
    if errors not in ("covariance", "bootstrap", "none"):
        raise InputError("errors", errors, "covariance, bootstrap, none")
    if starts < 1 or replicates < 2:
        raise InputError("starts and replicates", (starts, replicates), "starts >= 1, replicates >= 2")
    clock = time.perf_counter()
    solver = solver or LevenbergMarquardt()
    table = None if start is None else {name: start[name] for name in _names(start)}
    values, estimated = starting_values(scene, batch, table)
    unit = _flux_unit(batch)
    parameters = build_map(scene.parameters, values, unit)
    if parameters.n_free == 0:
        raise InputError("nothing to fit: every parameter of the scene is fixed or tied")
    parameters = dataclasses.replace(parameters, values=_inside(parameters, estimated))
    problem = ChiSquare.of(Renderer.of(scene.components, batch), parameters, batch, unit)
    fate = _Fate.of(batch, parameters)
    rows = torch.tensor(fate.fittable, dtype=torch.int64, device=values.device)
    solution = _solve(problem, rows, solver, starts, seed)
    return _assemble(
        _Fitted(batch, scene, problem, rows, solution, fate),
        solver,
        errors,
        scale_errors,
        replicates,
        seed,
        clock,
    )


def _names(table: Mapping[str, Any]) -> list[str]:
    return list(getattr(table, "colnames", None) or table.keys())


def _flux_unit(batch: Batch) -> Tensor:
    """Typical noise of a pixel (galaxy,), the unit of flux-like parameters in the solver."""
    sigma = torch.where(batch.mask, torch.nan, batch.sigma).flatten(1).double()
    unit = sigma.nanmedian(1).values
    return torch.where(torch.isfinite(unit) & (unit > 0), unit, torch.ones_like(unit))


def _inside(parameters: ParameterMap, estimated: tuple[bool, ...]) -> Values:
    """Starting values with the estimated ones moved inside their bounds."""
    mask = torch.tensor(estimated, device=parameters.values.device)
    span = parameters.upper - parameters.lower
    margin = torch.where(torch.isfinite(span), 1e-3 * span, torch.zeros_like(span))
    margin = torch.where(torch.tensor(parameters.log, device=mask.device), 1e-3 * parameters.lower, margin)
    clipped = torch.clamp(parameters.values, parameters.lower + margin, parameters.upper - margin)
    return torch.where(mask, clipped, parameters.values)


@dataclasses.dataclass
class _Fate:
    """Status, flags and message of every galaxy before and after the fit."""

    status: list[Status]
    flags: list[Flag]
    message: list[str]

    @classmethod
    def of(cls, batch: Batch, parameters: ParameterMap) -> _Fate:
        """What is known before the fit: unusable input, too few pixels, impossible starting values."""
        fate = cls(list(batch.status), list(batch.flags), list(batch.message))
        pixels = (~batch.mask).flatten(1).sum(1).tolist()
        moving = [c for c, kind in enumerate(parameters.kinds()) if kind != "tied"]
        given, low, high = (t[:, moving] for t in (parameters.values, parameters.lower, parameters.upper))
        free = torch.tensor([c in parameters.free for c in moving], device=given.device)
        wrong = ~torch.isfinite(given) | (free & ((given < low) | (given > high)))
        for k, name in enumerate(batch.id):
            if fate.status[k] is not Status.RUNNING:
                continue
            if pixels[k] < parameters.n_free:
                text = f"galaxy {name}: {pixels[k]} good pixels for {parameters.n_free} free parameters"
                fate.end(k, Status.TOO_FEW_PIXELS, text)
            elif bool(wrong[k].any()):
                c = int(wrong[k].to(torch.int64).argmax())
                text = (
                    f"galaxy {name}: {parameters.names[moving[c]]} starts at {float(given[k, c]):.6g}, "
                    f"allowed {float(low[k, c]):.6g} to {float(high[k, c]):.6g}"
                )
                fate.end(k, Status.BAD_START, text)
        return fate

    @property
    def fittable(self) -> list[int]:
        """Numbers of the galaxies to fit."""
        return [k for k, status in enumerate(self.status) if status is Status.RUNNING]

    def end(self, galaxy: int, status: Status, message: str = "") -> None:
        """Set how a galaxy ended."""
        self.status[galaxy] = status
        self.message[galaxy] = message or status.message

    def mark(self, galaxies: Tensor, flag: Flag) -> None:
        """Set a flag on the galaxies where (galaxy,) is true."""
        for k in torch.nonzero(galaxies)[:, 0].tolist():
            self.flags[k] |= flag


def _solve(problem: ChiSquare, rows: Tensor, solver: Solver, starts: int, seed: int) -> Solution:
    """Solve for the galaxies in ``rows``, from one or several starts; the best of each is kept."""
    theta = problem.parameters.to_theta(problem.parameters.values)[rows]
    if starts > 1:
        theta = _scatter(problem, theta, rows, starts, seed)
    problem = dataclasses.replace(problem, owner=rows.repeat_interleave(starts))
    if len(theta) == 0:
        empty = theta.new_zeros(0)
        return Solution(theta, empty, None, empty.long(), empty.long())
    solution = _with_less_memory(solver, problem, theta)
    if starts == 1:
        return solution
    cost = torch.nan_to_num(solution.cost, nan=torch.inf).unflatten(0, (-1, starts))
    best = cost.argmin(1) + starts * torch.arange(len(rows), device=rows.device)
    hessian = None if solution.hessian is None else solution.hessian[best]
    steps = solution.steps.unflatten(0, (-1, starts)).sum(1)
    return Solution(solution.theta[best], solution.cost[best], hessian, solution.status[best], steps)


def _scatter(problem: ChiSquare, theta: Free, rows: Tensor, starts: int, seed: int) -> Free:
    """Further starts (row * start, free): each unknown moved by some typical changes; the first is left."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(starts, theta.shape[1], generator=generator, dtype=theta.dtype).to(theta.device)
    noise[0] = 0.0
    lower, upper = (bound[rows][:, None] for bound in problem.parameters.bounds())
    moved = theta[:, None] + 8 * noise * problem.scale
    return torch.clamp(moved, lower, upper).flatten(0, 1)


def _with_less_memory(solver: Solver, problem: ChiSquare, theta: Free) -> Solution:
    """Solve; where a GPU runs out of memory, halve the number of problems in work and try again."""
    while True:
        try:
            return solver.solve(problem, theta)
        except torch.cuda.OutOfMemoryError:
            width = solver.width or 1024
            if width <= 1:
                raise
            torch.cuda.empty_cache()
            solver = dataclasses.replace(solver, width=width // 2)


@dataclasses.dataclass(frozen=True)
class _Fitted:
    """Everything that a result is made from; ``rows`` are the galaxies that were fitted."""

    batch: Batch
    scene: Scene
    problem: ChiSquare
    rows: Tensor
    solution: Solution
    fate: _Fate


def _assemble(
    fitted: _Fitted,
    solver: Solver,
    errors: Errors,
    scale_errors: bool,
    replicates: int,
    seed: int,
    clock: float,
) -> Result:
    batch, parameters, rows = fitted.batch, fitted.problem.parameters, fitted.rows
    galaxies, count = len(batch), len(parameters.names)
    for row, galaxy in enumerate(rows.tolist()):
        fitted.fate.end(galaxy, Status(int(fitted.solution.status[row])))
    ended = torch.isfinite(fitted.solution.cost)
    at_bound = _at_bound(fitted, solver)
    free_covariance = _free_covariance(fitted, at_bound, errors)
    samples = None
    if errors == "bootstrap":
        samples, free_covariance = _bootstrapped(fitted, ended, solver, replicates, seed)
    values = _fill(galaxies, rows[ended], parameters.expand(fitted.solution.theta[ended], rows[ended]))
    pixels = (~batch.mask).flatten(1).sum(1)
    chi2 = _fill(galaxies, rows[ended], fitted.solution.cost[ended])
    full = None
    if free_covariance is not None:
        if scale_errors:
            dof = (pixels[rows] - parameters.n_free).clamp_min(1)
            free_covariance = free_covariance * (fitted.solution.cost / dof)[:, None, None]
        full = _fill(
            galaxies, rows, _full_covariance(parameters, fitted.solution.theta, rows, free_covariance)
        )
    bounds_hit = torch.zeros(galaxies, count, dtype=torch.bool, device=rows.device)
    bounds_hit[rows[:, None], torch.tensor(parameters.free, device=rows.device)] = at_bound
    value_errors = torch.full_like(values, torch.nan)
    if full is not None:
        variance = torch.diagonal(full, dim1=1, dim2=2)
        value_errors = torch.sqrt(torch.where(variance >= 0, variance, torch.nan))
        fixed = torch.tensor([kind == "fixed" for kind in parameters.kinds()], device=rows.device)
        value_errors = torch.where(fixed & torch.isfinite(values), torch.zeros_like(values), value_errors)
    if samples is not None:
        samples = _fill(galaxies, rows, samples)
    derived, derived_values, derived_errors = derived_quantities(
        fitted.scene, values, full, batch.zero_point.to(values.device), batch.pixel_scale.to(values.device)
    )
    _remark(fitted, values, value_errors, bounds_hit, errors != "none")
    wrapped = _wrap(fitted.scene, values)
    seconds = (time.perf_counter() - clock) / max(len(rows), 1)
    took = torch.zeros(galaxies, dtype=torch.float64)
    took[rows.cpu()] = seconds
    columns = _columns(fitted.scene, parameters)
    fate = fitted.fate
    return Result(
        id=batch.id,
        columns=columns,
        kinds=parameters.kinds(),
        values=wrapped.cpu(),
        errors=value_errors.cpu(),
        covariance=None if full is None else full.cpu(),
        at_bound=bounds_hit.cpu(),
        derived=derived,
        derived_values=derived_values.cpu(),
        derived_errors=derived_errors.cpu(),
        chi2=chi2.cpu(),
        n_pixels=pixels.cpu(),
        n_free=torch.full((galaxies,), parameters.n_free),
        status=tuple(fate.status),
        flags=tuple(fate.flags),
        message=tuple(fate.message),
        steps=_fill(galaxies, rows, fitted.solution.steps.double()).nan_to_num(0).long().cpu(),
        seconds=took,
        zero_point=batch.zero_point.cpu(),
        pixel_scale=batch.pixel_scale.cpu(),
        samples=None if samples is None else samples.cpu(),
        wcs=batch.wcs,
    )


def _fill(galaxies: int, rows: Tensor, found: Tensor) -> Tensor:
    """Numbers of the fitted galaxies in their places among all, NaN elsewhere."""
    full = torch.full((galaxies, *found.shape[1:]), torch.nan, dtype=found.dtype, device=found.device)
    full[rows] = found
    return full


def _columns(scene: Scene, parameters: ParameterMap) -> tuple[Quantity, ...]:
    declared = [entry.parameter for entry in scene.parameters for _ in range(entry.parameter.size)]
    return tuple(Quantity(n, p.unit, p.meaning) for n, p in zip(parameters.names, declared, strict=True))


def _wrap(scene: Scene, values: Values) -> Values:
    """Angles brought into half a period about zero."""
    columns = list(values.unbind(1))
    declared = [entry.parameter for entry in scene.parameters for _ in range(entry.parameter.size)]
    for k, parameter in enumerate(declared):
        if parameter.period is not None:
            columns[k] = wrap_angle(columns[k], parameter.period)
    return torch.stack(columns, 1)


def _at_bound(fitted: _Fitted, solver: Solver) -> Tensor:
    """(row, free) of bool: which unknowns ended on a bound."""
    theta = fitted.solution.theta
    lower, upper = (bound[fitted.rows] for bound in fitted.problem.parameters.bounds())
    near = AT_BOUND * fitted.problem.scale
    return (theta - lower <= near) | (upper - theta <= near)


def _free_covariance(fitted: _Fitted, at_bound: Tensor, errors: Errors) -> Tensor | None:
    """Covariance (row, free, free); NaN where there is none; None where it was not wanted or is too large."""
    problem, solution = fitted.problem, fitted.solution
    if errors == "none" or not problem.parameters.linearisable or len(solution.theta) == 0:
        return None
    hessian = solution.hessian
    if hessian is None:
        own = dataclasses.replace(problem, owner=fitted.rows)
        parts = torch.arange(len(solution.theta), device=fitted.rows.device).split(4)
        hessian = torch.cat([own.linearise(solution.theta[rows], rows).hessian for rows in parts])
    found, _ = covariance(hessian, at_bound)
    return torch.where(torch.isfinite(solution.cost)[:, None, None], found, torch.nan)


def _full_covariance(parameters: ParameterMap, theta: Free, rows: Tensor, free: Tensor) -> Tensor:
    """Covariance (row, parameter, parameter) of all parameters; NaN where it rests on an unknown without one."""
    jacobian = parameters.jacobian(theta, rows)
    missing = torch.isnan(torch.diagonal(free, dim1=1, dim2=2))
    full = jacobian @ torch.nan_to_num(free) @ jacobian.transpose(1, 2)
    touched = ((jacobian != 0) & missing[:, None]).any(2)
    return torch.where(touched[:, :, None] | touched[:, None, :], torch.nan, full)


def _bootstrapped(
    fitted: _Fitted, ended: Tensor, solver: Solver, replicates: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Replicates (row, replicate, parameter) and the covariance (row, free, free) of their free vectors."""
    refit = solver if isinstance(solver, LevenbergMarquardt) else LevenbergMarquardt()
    theta, rows, parameters = fitted.solution.theta, fitted.rows, fitted.problem.parameters
    samples = theta.new_full((len(theta), replicates, len(parameters.names)), torch.nan)
    spread = theta.new_full((len(theta), theta.shape[1], theta.shape[1]), torch.nan)
    if not bool(ended.any()):
        return samples, spread
    found, good = bootstrap(
        fitted.problem, theta[ended], rows[ended], fitted.batch.id, replicates, seed, refit
    )
    usable = good.sum(1) > theta.shape[1]
    weight = (good / good.sum(1, keepdim=True).clamp_min(2))[..., None].to(theta)
    offsets = (found - (found * weight).sum(1, keepdim=True)) * weight.sqrt()
    counted = good.sum(1).to(theta)
    matrix = offsets.transpose(1, 2) @ offsets * (counted / (counted - 1).clamp_min(1))[:, None, None]
    spread[ended] = torch.where(usable[:, None, None], matrix, torch.nan)
    owner = rows[ended].repeat_interleave(replicates)
    drawn = parameters.expand(found.flatten(0, 1), owner).unflatten(0, (-1, replicates))
    samples[ended] = torch.where(good[..., None], drawn, torch.nan)
    poor = torch.zeros(len(fitted.batch), dtype=torch.bool, device=rows.device)
    poor[rows[ended]] = good.double().mean(1) < 1 - FAILED_REPLICATES
    fitted.fate.mark(poor, Flag.BOOTSTRAP_FAILED)
    return samples, spread


def _remark(fitted: _Fitted, values: Values, errors: Values, at_bound: Tensor, wanted: bool) -> None:
    """Set the flags that follow from the fit."""
    batch, fate = fitted.batch, fitted.fate
    done = torch.tensor([status.fitted for status in fate.status], device=values.device)
    fate.mark(at_bound.any(1) & done, Flag.AT_BOUND)
    free = [c for c, kind in enumerate(fitted.problem.parameters.kinds()) if kind == "free"]
    if wanted:
        fate.mark((torch.isnan(errors[:, free]) & ~at_bound[:, free]).any(1) & done, Flag.NO_COVARIANCE)
    index = {name: k for k, name in enumerate(fitted.problem.parameters.names)}
    for name, profile in fitted.scene.components.items():
        if isinstance(profile, ImageProfile):
            continue
        x, y = values[:, index[f"{name}.x"]], values[:, index[f"{name}.y"]]
        column, row = torch.nan_to_num(x, nan=-1).round().long(), torch.nan_to_num(y, nan=-1).round().long()
        tall, wide = batch.shape
        inside = (column >= 0) & (column < wide) & (row >= 0) & (row < tall)
        fate.mark(done & ~inside, Flag.OFF_CENTRE)
        masked = batch.mask[torch.arange(len(batch), device=row.device), row.clamp(0, tall - 1), column.clamp(0, wide - 1)]
        fate.mark(done & inside & masked, Flag.CENTRE_MASKED)
        if f"{name}.magnitude" in index:
            fate.mark(done & (errors[:, index[f"{name}.magnitude"]] > FAINT), Flag.LOW_SIGNAL)
        if f"{name}.effective_radius" in index and batch.psf is not None:
            peak = batch.psf.flatten(1).amax(1).double().clamp_min(1e-6)
            half_width = torch.sqrt(1.39 / (2 * torch.pi * peak)) / batch.psf_oversampling
            radius, q = values[:, index[f"{name}.effective_radius"]], values[:, index[f"{name}.axis_ratio"]]
            fate.mark(done & (radius * torch.sqrt(q) < half_width), Flag.UNRESOLVED)
