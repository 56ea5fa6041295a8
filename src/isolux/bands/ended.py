"""Where the joint fits ended, and what each band looks like there."""

from __future__ import annotations

import dataclasses
import time

import torch

from isolux.bands.carry import back, carry, is_structure
from isolux.bands.joint import JointProblem
from isolux.bands.problem import JointFit
from isolux.correlated import corrected, excess
from isolux.information import lots
from isolux.parameters import Free
from isolux.solve import Solution
from isolux.solve.covariance import covariance
from isolux.types import PerGalaxy, Rows, Tensor, Theta, Values
from isolux.uncertainty import AT_BOUND, carried, fill


@dataclasses.dataclass(frozen=True)
class Ended:
    """Ends of all galaxies' fits, on the CPU; NaN for galaxies without one.

    Attributes
    ----------
    theta : Tensor
        (galaxy, unknown).
    free : Tensor or None
        (galaxy, unknown, unknown): covariance; None where it was not asked for.
    hit : Tensor
        (galaxy, unknown) of bool: which unknowns are on a bound.
    chi2 : Tensor
        (galaxy, band).
    effective : Tensor or None
        (galaxy,): effective number of unknowns where noise is correlated.
    steps, seconds : Tensor
        (galaxy,).
    """

    theta: Theta
    free: Tensor | None
    effective: PerGalaxy | None
    hit: Tensor
    chi2: Tensor
    steps: PerGalaxy
    seconds: PerGalaxy

    @classmethod
    def of(cls, fit: JointFit, rows: Rows, solution: Solution, wanted: bool, clock: float) -> Ended:
        """The ends of the galaxies in ``rows``; covariances if ``wanted``."""
        problem, galaxies = dataclasses.replace(fit.problem, owner=rows), len(fit.frames.frame)
        lower, upper = problem.bounds()
        near, good = AT_BOUND * problem.scale, torch.isfinite(solution.cost)
        hit = (solution.theta - lower <= near) | (upper - solution.theta <= near)
        unused = ~fit.layout.used.to(rows.device)[rows]
        took = torch.zeros(galaxies, dtype=torch.float64)
        took[rows.cpu()] = (time.perf_counter() - clock) / max(len(rows), 1)

        def full(found: Tensor) -> Tensor:
            return fill(galaxies, rows[good], found[good]).cpu()

        free = _covariance(problem, solution, hit | unused) if wanted else None
        effective = None
        if free is not None and any(b.noise_correlation is not None for b in fit.batches.values()):
            added = _excess(fit, rows, solution.theta, good)
            taken = (~unused).sum(1) + (torch.nan_to_num(free) * added).sum((1, 2))
            free, effective = corrected(free, added), full(taken)
        return cls(
            theta=full(solution.theta),
            free=None if free is None else full(free),
            effective=effective,
            hit=full((hit & ~unused).double()) > 0,
            chi2=full(_chi2(problem, solution.theta)),
            steps=fill(galaxies, rows, solution.steps.double()).nan_to_num(0).long().cpu(),
            seconds=took,
        )


def _chi2(problem: JointProblem, theta: Theta) -> Tensor:
    """(row, band)."""
    if len(theta) == 0:
        return theta.new_zeros(0, len(problem.problems))
    parts = lots(len(theta), problem.lot, theta.device)
    return torch.cat([problem.costs(theta[part], part) for part in parts])[: len(theta)]


def _covariance(problem: JointProblem, solution: Solution, excluded: Tensor) -> Tensor:
    """(row, unknown, unknown); NaN for unknowns that are held or of which the data say nothing at all."""
    theta, hessian = solution.theta, solution.hessian
    if len(theta) == 0:
        return theta.new_zeros(0, problem.n_free, problem.n_free)
    if hessian is None:
        parts = lots(len(theta), problem.lot, theta.device)
        hessian = torch.cat([problem.linearise(theta[part], part).hessian for part in parts])[: len(theta)]
    blind = torch.diagonal(hessian, dim1=1, dim2=2) <= 0
    return covariance(hessian, excluded | blind)[0]


def _excess(fit: JointFit, rows: Rows, theta: Theta, good: Tensor) -> Tensor:
    """What correlated noise in any band adds to the scatter of the scores (row, unknown, unknown)."""
    added = theta.new_zeros(len(rows), theta.shape[1], theta.shape[1])
    for b, batch in enumerate(fit.batches.values()):
        seen = good & fit.problem.present[rows, b]
        if batch.noise_correlation is None or not bool(seen.any()):
            continue
        moved = fit.problem.map.to_band(theta[seen], rows[seen], b)
        slopes = fit.problem.map.slopes(theta[seen], rows[seen], b)
        scatter = excess(fit.problem.problems[b], rows[seen], moved, batch.noise_correlation)
        added[seen] += slopes.transpose(1, 2) @ scatter @ slopes
    return added


@dataclasses.dataclass(frozen=True)
class View:
    """One band at the end, all galaxies, on the CPU.

    Attributes
    ----------
    values : Tensor
        (galaxy, parameter) in the band's pixels; NaN where the other bands do not tell.
    slopes : Tensor
        (galaxy, parameter, unknown): their derivatives.
    in_frame, frame_slopes : Tensor
        The same in the frame's pixels.
    covariance : Tensor or None
        (galaxy, parameter, parameter) of ``values``.
    at_bound : Tensor
        (galaxy, parameter) of bool.
    """

    values: Values
    slopes: Tensor
    in_frame: Values
    frame_slopes: Tensor
    covariance: Tensor | None
    at_bound: Tensor

    @classmethod
    def of(cls, fit: JointFit, ended: Ended, band: int) -> View:
        """The band of this number."""
        joint, own = fit.problem.map.to("cpu"), fit.maps[band]
        galaxies = torch.arange(len(ended.theta))
        found = torch.isfinite(ended.theta).all(1)
        theta = torch.where(found[:, None], ended.theta, 0.0)
        moved = joint.to_band(theta, galaxies, band)
        by_moved = own.jacobian(moved, galaxies)
        dark = ~found[:, None] | ((by_moved != 0) & ~_known(fit, band)[:, None]).any(2)
        dark |= ~found[:, None] | (_structure(fit) & ~fit.frames.mapped[:, band, None])
        values = torch.where(dark, torch.nan, own.expand(moved, galaxies))
        slopes = by_moved @ joint.slopes(theta, galaxies, band)
        linear, constant = back(*fit.changes[band])
        matrix = None
        if ended.free is not None:
            matrix = carried(slopes, ended.free)
            matrix = torch.where(dark[:, :, None] | dark[:, None, :], torch.nan, matrix)
        return cls(
            values,
            slopes,
            carry(values, linear, constant),
            linear @ slopes,
            matrix,
            _at_bound(fit, ended, theta, band) & ~dark,
        )


def _known(fit: JointFit, band: int) -> Tensor:
    """(galaxy, free) of bool: whether the unknowns tell the value of what the fit moves in a band."""
    free = [entry for entry in fit.scene.parameters if isinstance(entry.setting, Free)]
    structure = torch.tensor([is_structure(entry.parameter) for entry in free])
    return fit.layout.known[:, band] & (fit.frames.mapped[:, band, None] | ~structure)


def _structure(fit: JointFit) -> Tensor:
    """(parameter,) of bool: which columns depend on the grid."""
    return torch.tensor(
        [is_structure(entry.parameter) for entry in fit.scene.parameters for _ in range(entry.parameter.size)]
    )


def _at_bound(fit: JointFit, ended: Ended, theta: Theta, band: int) -> Tensor:
    """(galaxy, parameter) of bool: on a bound, by an unknown that says so or by a polynomial that was cut."""
    joint, own = fit.problem.map.to("cpu"), fit.maps[band]
    galaxies = torch.arange(len(theta))
    _, cut = joint.values(theta, galaxies, band)
    leaning = ((joint.weights[:, band] != 0) & ended.hit[:, None]).any(2)
    found = torch.zeros(len(theta), len(own.names), dtype=torch.bool)
    found[:, list(own.free)] = cut | leaning
    return found
