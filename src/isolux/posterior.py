"""The posterior density of a fit, as a sampler wants it, and its samples.

    ln p = -cost / 2 + ln |dp/dtheta| + const,      cost = chi-square (or another loss's) + priors'

The prior of a free parameter without one of its own is flat between its bounds, in its logarithm where it is fitted
as that (sizes, the Sérsic index) and in its own value else. A Gaussian or uniform prior is a density in the
parameter's own value, a log-normal one in its logarithm; where that is not what the fit moves, the Jacobian is taken
in (``Priors.log_volume``). Angles are sampled within half a period of the best fit.

Unknowns between bounds are turned into logits, with one bound into logarithms, so that the sampler knows no bounds;
their Jacobian is taken in as well.

Where noise is correlated, chi-square is no likelihood, but its minimum has a known covariance C. The likelihood is
then chi-square at m + B (theta - m), with m its minimum without priors and B such that the curvature is the inverse
of C (Chandler & Bate 2007, Biometrika 94, 167; Ribatet, Cooley & Davison 2012, Statistica Sinica 22, 813). Its bends
stay; its widths, and its weight beside priors, become right.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import torch

from isolux.correlated import excess
from isolux.errors import InputError
from isolux.likelihood import ChiSquare
from isolux.solve import Sampler, Samples
from isolux.types import Images, PerGalaxy, Rows, Tensor, Theta, Values

MOST = 64
"""Most unknowns that are sampled."""
START = 1e-3
"""How far inside its bounds a chain starts at least, as a share of their distance."""
FLAT = 0.3
"""Curvature of a flat prior in logits: one over the variance of the logistic distribution."""
TOGETHER = 64
"""Points of a galaxy that are drawn together at most, if a CPU's cache has room for them."""
WIDEST = 20.0
"""Widest first steps of an unbounded unknown that the data say nothing of, in typical changes."""


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Unknowns without bounds.

    Attributes
    ----------
    lower, upper : Tensor
        (row, free): bounds of theta, infinite where there are none.
    """

    lower: Theta
    upper: Theta

    def theta(self, points: Theta, rows: Rows) -> tuple[Theta, PerGalaxy]:
        """Theta (point, free), and the logarithm (point,) of |dtheta/dpoint|."""
        lower, upper = self.lower[rows], self.upper[rows]
        low, high = torch.isfinite(lower), torch.isfinite(upper)
        span = torch.where(low & high, upper - lower, 1.0)
        one_sided = torch.where(low, lower + points.exp(), upper - points.exp())
        found = torch.where(
            low & high, lower + span * torch.sigmoid(points), torch.where(low | high, one_sided, points)
        )
        sigmoid = torch.nn.functional.logsigmoid
        slope = torch.where(low & high, span.log() + sigmoid(points) + sigmoid(-points), points)
        return found, torch.where(low | high, slope, 0.0).sum(1)

    def points(self, theta: Theta, rows: Rows) -> Theta:
        """Points (row, free) of theta, which must be inside the bounds."""
        lower, upper = self.lower[rows], self.upper[rows]
        low, high = torch.isfinite(lower), torch.isfinite(upper)
        above, below = theta - lower, upper - theta
        both = torch.log(above) - torch.log(below)
        return torch.where(
            low & high, both, torch.where(low, above.log(), torch.where(high, below.log(), theta))
        )


@dataclasses.dataclass(frozen=True)
class Posterior:
    """The posterior densities of some galaxies.

    Attributes
    ----------
    problem : ChiSquare
        With a row a galaxy.
    coordinates : Coordinates
        What the sampler moves.
    best : Tensor
        (row, free): best fits.
    middle : Tensor
        (row, free): m.
    shrink : Tensor or None
        (row, free, free): B, where noise is correlated.
    """

    problem: ChiSquare
    coordinates: Coordinates
    best: Theta
    middle: Theta
    shrink: Tensor | None = None

    @property
    def places(self) -> int:
        """Points that are best worked on at once."""
        return self.problem.places if self.best.device.type == "cuda" else 1

    def log_density(self, points: Theta, rows: Rows) -> PerGalaxy:
        """Logarithm (point,) of the density of some rows at points (point, free), but for a constant a row."""
        theta, slope = self.coordinates.theta(points, rows)
        problem, galaxies = self.problem, self.problem.owner[rows]
        if self.shrink is None:
            cost = problem.cost(theta, rows)
        else:
            middle = self.middle[rows]
            moved = middle + (self.shrink[rows] @ (theta - middle)[..., None])[..., 0]
            lower, upper = problem.parameters.bounds()
            moved = torch.minimum(torch.maximum(moved, lower[galaxies]), upper[galaxies])
            cost = dataclasses.replace(problem, priors=None).cost(moved, rows)
        if problem.priors is None:
            return slope - cost / 2
        values = problem.parameters.expand(theta, galaxies)
        if self.shrink is not None:
            cost = cost + problem.priors.cost(values, galaxies)
        return slope - cost / 2 + problem.priors.log_volume(values)


def sample_posterior(
    problem: ChiSquare,
    galaxies: Rows,
    theta: Theta,
    names: Sequence[str],
    periods: Sequence[float],
    sampler: Sampler,
    seed: int,
    correlation: Images | None = None,
) -> tuple[Values, Samples]:
    """Sample the posterior of some galaxies.

    Parameters
    ----------
    problem : ChiSquare
        The batch's problem.
    galaxies : Tensor
        (row,): which of its galaxies.
    theta : Tensor
        (row, free): their best fits.
    names : sequence of str
        Their names; what a galaxy gets depends on the seed and its name, not on its company.
    periods : sequence of float
        Period of every unknown in theta, infinite for those that are no angles.
    sampler : Sampler
        Its options.
    seed : int
        Of the random numbers.
    correlation : Tensor, optional
        (galaxy or 1, v, u): noise correlation functions.

    Returns
    -------
    values : Tensor
        (row, draw, parameter): samples as values of all parameters; NaN where there are none.
    samples : Samples
        Theta vectors of the same samples, and how they came about.

    Raises
    ------
    InputError
        For free vectors or too many unknowns.
    """
    parameters = problem.parameters
    if not parameters.linearisable or parameters.n_free > MOST:
        raise InputError("posterior samples: free parameters", parameters.n_free, f"scalars, {MOST} at most")
    own = dataclasses.replace(problem, owner=galaxies, repeats=TOGETHER)
    coordinates = Coordinates(*_bounds(own, theta, torch.as_tensor(periods).to(theta)))
    density = Posterior(own, coordinates, theta, theta)
    if correlation is not None:
        middle, shrink = _shrunk(own, galaxies, theta, correlation)
        density = dataclasses.replace(density, middle=middle, shrink=shrink)
    seeds = [zlib.crc32(f"{seed} {name}".encode()) for name in names]
    with torch.no_grad():
        found = sampler.sample(density, *_start(density), seeds)
    rows = torch.arange(len(theta), device=theta.device).repeat_interleave(sampler.draws)
    flat, _ = coordinates.theta(found.points.flatten(0, 1), rows)
    values = parameters.expand(flat, galaxies[rows])
    values = torch.where(torch.isnan(flat).any(1, keepdim=True), torch.nan, values)
    samples = dataclasses.replace(found, points=flat.unflatten(0, found.points.shape[:2]))
    return values.unflatten(0, found.points.shape[:2]), samples


def _bounds(problem: ChiSquare, theta: Theta, period: Tensor) -> tuple[Theta, Theta]:
    """Bounds (row, free); half a period to either side for angles that may take any value."""
    lower, upper = problem.bounds()
    turns = torch.isfinite(period) & ~(upper - lower < period)
    return torch.where(turns, theta - period / 2, lower), torch.where(turns, theta + period / 2, upper)


def _start(density: Posterior) -> tuple[Theta, Tensor]:
    """Means and covariances of points from the curvature at the best fit, a little inside the bounds."""
    coordinates, problem = density.coordinates, density.problem
    rows = torch.arange(len(density.best), device=density.best.device)
    hessian = torch.cat([problem.linearise(density.best[part], part).hessian for part in rows.split(8)])
    if density.shrink is not None:
        plain = dataclasses.replace(problem, priors=None)
        data = torch.cat([plain.linearise(density.best[part], part).hessian for part in rows.split(8)])
        hessian = hessian - data + density.shrink.transpose(1, 2) @ data @ density.shrink
    span = coordinates.upper - coordinates.lower
    width = torch.diagonal(hessian, dim1=1, dim2=2).clamp_min(1e-300).rsqrt()
    inside = torch.minimum(torch.maximum(0.5 * width, START * span), 0.25 * span)
    inside = torch.where(torch.isfinite(span), inside, 0.5 * width)
    start = torch.maximum(density.best, coordinates.lower + inside)
    points = coordinates.points(torch.minimum(start, coordinates.upper - inside), rows)
    bounded = torch.isfinite(coordinates.lower) | torch.isfinite(coordinates.upper)
    slope = _slopes(coordinates, points, rows)
    least = torch.where(bounded, torch.as_tensor(FLAT), (WIDEST * problem.scale) ** -2)
    curvature = slope[:, :, None] * hessian * slope[:, None, :] + torch.diag_embed(least)
    usable = torch.isfinite(curvature).flatten(1).all(1)[:, None, None]
    return points, torch.linalg.inv(torch.where(usable, curvature, torch.diag_embed(least)))


def _slopes(coordinates: Coordinates, points: Theta, rows: Rows) -> Theta:
    """dtheta/dpoint (row, free)."""
    one = torch.ones_like(points)
    return torch.func.jvp(lambda p: coordinates.theta(p, rows)[0], (points,), (one,))[1]


def _shrunk(problem: ChiSquare, galaxies: Rows, theta: Theta, correlation: Images) -> tuple[Theta, Tensor]:
    """Middle m (row, free) and B (row, free, free).

    m is a Gauss-Newton step from the best fit where that is moved by priors. With M = H + A^T (R - 1) A, B is that
    solution of B^T H B = H M^-1 H which is nearest to a change of scale.
    """
    plain = dataclasses.replace(problem, priors=None)
    rows = torch.arange(len(theta), device=theta.device)
    found = [plain.linearise(theta[part], part) for part in rows.split(8)]
    hessian = torch.cat([part.hessian for part in found])
    diagonal = torch.diagonal(hessian, dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    pair = scale[:, :, None] * scale[:, None, :]
    values, vectors = torch.linalg.eigh(torch.nan_to_num(hessian * pair))
    root = values.clamp_min(1e-12).sqrt()
    half = vectors * root[:, None] @ vectors.transpose(1, 2)
    back = vectors / root[:, None] @ vectors.transpose(1, 2)
    added = back @ torch.nan_to_num(excess(problem, galaxies, theta, correlation) * pair) @ back
    growth, axes = torch.linalg.eigh(added + torch.eye(len(scale[0])).to(added))
    smaller = axes * growth.clamp_min(1e-6).rsqrt()[:, None] @ axes.transpose(1, 2)
    shrink = scale[:, :, None] * (back @ smaller @ half) / scale[:, None, :]
    if problem.priors is None:
        return theta, shrink
    gradient = torch.cat([part.gradient for part in found])
    step = scale * (back @ back @ (scale * gradient)[..., None])[..., 0]
    lower, upper = problem.bounds()
    return torch.minimum(torch.maximum(theta + torch.nan_to_num(step), lower), upper), shrink
