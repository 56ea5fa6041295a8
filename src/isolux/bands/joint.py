"""A fit of several bands as one least-squares problem: the sum of the bands' own.

The unknowns theta of a galaxy give what the fit of each band moves by an affine map,

    theta_b = A_b theta + c_b,      cost = sum_b cost_b(theta_b),
    J^T W r = sum_b A_b^T (J_b^T W r_b),      J^T W J = sum_b A_b^T (J_b^T W J_b) A_b

so that any solver, and each band's own images and derivatives, serve as they are. A_b is the polynomial in
wavelength (:mod:`isolux.bands.layout`), cut at the parameter's bounds, then the way from the frame's pixels to the
band's (:mod:`isolux.bands.grids`). A polynomial of degree one or of bands - 1 never leaves its bounds between nodes;
where another does, the parameter is at the bound in that band and does not move with the unknowns.
"""

from __future__ import annotations

import dataclasses
import functools

import torch

from isolux.bands.layout import Layout
from isolux.likelihood import PLACES, ChiSquare
from isolux.solve.problem import Linearised
from isolux.types import PerGalaxy, Rows, Tensor, Theta


@dataclasses.dataclass(frozen=True)
class JointMap:
    """From the unknowns of a galaxy to what the fit of each band moves.

    Attributes
    ----------
    weights : Tensor
        (galaxy, band, free, unknown): polynomials.
    low, high : Tensor
        (galaxy, band, free): bounds of the polynomials' values.
    turn : Tensor
        (galaxy, band, free, free): from the frame's pixels to the band's.
    offset : Tensor
        (galaxy, band, free): what is added then.
    lower, upper : Tensor
        (galaxy, unknown): bounds of the unknowns.
    steps : Tensor
        (unknown,): a typical change of each.
    """

    weights: Tensor
    low: Tensor
    high: Tensor
    turn: Tensor
    offset: Tensor
    lower: Theta
    upper: Theta
    steps: Tensor

    @classmethod
    def of(
        cls, layout: Layout, low: Tensor, high: Tensor, turn: Tensor, offset: Tensor, steps: Tensor
    ) -> JointMap:
        """The map of a layout; ``steps`` (free,) are those of a band's fit."""
        node, column = layout.node.clamp_min(0).to(low.device), layout.column.to(low.device)
        galaxies = torch.arange(len(node), device=low.device)[:, None]
        lower, upper = (bound[galaxies, node, column] for bound in (low, high))
        return cls(layout.weights.to(low), low, high, turn, offset, lower, upper, steps[column])

    def to(self, device: torch.device | str) -> JointMap:
        """The same on another device."""
        moved = {field.name: getattr(self, field.name).to(device) for field in dataclasses.fields(self)}
        return JointMap(**moved)

    def values(self, theta: Theta, galaxies: Rows, band: int) -> tuple[Theta, Tensor]:
        """Polynomials in a band (row, free) before they are carried to its pixels, and which are cut."""
        free = (self.weights[galaxies, band] @ theta[..., None])[..., 0]
        low, high = self.low[galaxies, band], self.high[galaxies, band]
        return torch.clamp(free, low, high), (free < low) | (free > high)

    def to_band(self, theta: Theta, galaxies: Rows, band: int) -> Theta:
        """What the fit of a band moves (row, free)."""
        values, _ = self.values(theta, galaxies, band)
        return (self.turn[galaxies, band] @ values[..., None])[..., 0] + self.offset[galaxies, band]

    def slopes(self, theta: Theta, galaxies: Rows, band: int) -> Tensor:
        """A (row, free, unknown) of a band."""
        _, cut = self.values(theta, galaxies, band)
        inside = torch.where(cut[..., None], 0.0, self.weights[galaxies, band])
        return self.turn[galaxies, band] @ inside


@dataclasses.dataclass(frozen=True)
class JointProblem:
    """The problem of a sample in several bands; row k is a fit of galaxy ``owner[k]``.

    Attributes
    ----------
    problems : tuple of ChiSquare
        Of the bands, a row a galaxy.
    map : JointMap
        From the unknowns to the bands'.
    present : Tensor
        (galaxy, band) of bool: which bands count.
    owner : Tensor
        (row,): galaxy of each row.
    """

    problems: tuple[ChiSquare, ...]
    map: JointMap
    present: Tensor
    owner: Rows

    @property
    def n_free(self) -> int:
        """Unknowns of each row."""
        return len(self.map.steps)

    @property
    def scale(self) -> Tensor:
        """(unknown,): a typical change of each."""
        return self.map.steps

    @functools.cached_property
    def lot(self) -> int:
        """As many rows as every band can draw together."""
        return min(problem.lot for problem in self.problems)

    @property
    def places(self) -> int:
        """Lots enough that the solver's own arithmetic on them takes little time."""
        lots = min(PLACES // self.lot, -(-len(self.present) // self.lot))
        return self.lot * max(1, lots)

    def bounds(self) -> tuple[Theta, Theta]:
        """Bounds (row, unknown)."""
        return self.map.lower[self.owner], self.map.upper[self.owner]

    def cost(self, theta: Theta, rows: Rows) -> PerGalaxy:
        """Chi-square (row,) of all bands; differentiable."""
        return self.costs(theta, rows).sum(1)

    def costs(self, theta: Theta, rows: Rows) -> Tensor:
        """Chi-square (row, band); zero in bands that do not count."""
        galaxies = self.owner[rows]
        found = []
        for b, problem in enumerate(self.problems):
            cost = problem.cost(self.map.to_band(theta, galaxies, b), galaxies)
            found.append(torch.where(self.present[galaxies, b], cost, 0.0))
        return torch.stack(found, 1)

    def linearise(self, theta: Theta, rows: Rows) -> Linearised:
        """The sum of the bands' costs with its linear model, lot by lot."""
        lots = zip(theta.split(self.lot), rows.split(self.lot), strict=True)
        parts = [self._linearise(*lot) for lot in lots]
        fields = ("cost", "gradient", "hessian")
        return Linearised(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))

    def _linearise(self, theta: Theta, rows: Rows) -> Linearised:
        galaxies = self.owner[rows]
        cost = theta.new_zeros(len(rows))
        gradient = torch.zeros_like(theta)
        hessian = theta.new_zeros(len(rows), self.n_free, self.n_free)
        for b, problem in enumerate(self.problems):
            counts = self.present[galaxies, b]
            part = problem.linearise(self.map.to_band(theta, galaxies, b), galaxies)
            slopes = self.map.slopes(theta, galaxies, b)
            by_band = slopes.transpose(1, 2) @ part.gradient[..., None]
            cost = cost + torch.where(counts, part.cost, 0.0)
            gradient = gradient + torch.where(counts[:, None], by_band[..., 0], 0.0)
            added = slopes.transpose(1, 2) @ part.hessian @ slopes
            hessian = hessian + torch.where(counts[:, None, None], added, 0.0)
        return Linearised(cost, gradient, hessian)
