"""Chi-square of a scene on a batch: masked, weighted residuals and their normal equations.

    chi2 = sum over good pixels of (data - model)^2 / sigma^2      (equation 18 of Chen et al. 2024)

Another loss may take the place of the square (:mod:`isolux.loss`), and priors add residuals (:mod:`isolux.priors`).

A masked pixel has weight zero. A model that is not finite makes its own galaxy's chi-square not finite, which
the solver refuses; it never counts as a residual of zero.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.loss import SQUARED, Loss
from isolux.parameter_map import MOST_LINEARISED, ParameterMap
from isolux.priors import Priors
from isolux.renderer import Renderer
from isolux.solve.problem import Linearised
from isolux.types import Images, PerGalaxy, Rows, Tensor, Theta, Values

CACHED_POINTS = 4 * 168 * 168
"""Points of the grids that are worked on at once on a CPU: measured best at 32 to 256 pixels a side."""
PLACES = 64
"""Rows that a solver has in work on a CPU."""
MOST_PLACES = 4096
COPIES = 8
"""Of each map that are in memory at once, transforms included."""


@dataclasses.dataclass(frozen=True)
class Tangents:
    """Derivative images at a point, and how they make up the model and its derivatives.

    Attributes
    ----------
    maps : Tensor
        (row, 1 + map, y, x): room for residuals, then maps times the pixels' weights.
    model : Tensor
        (row, map), float64: the weighted model is the sum of model times map.
    turn : Tensor
        (row, map, free), float64: its derivative by theta is the sum of turn times map.
    """

    maps: Tensor
    model: Tensor
    turn: Tensor

    def repeated(self, times: int) -> Tangents:
        """The same for so many rows, each with maps of its own."""
        return Tangents(
            self.maps.repeat_interleave(times, 0),
            self.model.repeat_interleave(times, 0),
            self.turn.repeat_interleave(times, 0),
        )


@dataclasses.dataclass(frozen=True)
class ChiSquare:
    """The least-squares problem of a batch; row k of the problem is a fit of galaxy ``owner[k]``.

    Attributes
    ----------
    renderer : Renderer
        Draws the scene in each galaxy's flux unit.
    parameters : ParameterMap
        Theta vectors to parameter values.
    weighted_image : Tensor
        (galaxy, y, x): image over sigma (whatever the loss wants it to be over), zero where masked.
    weight : Tensor
        (galaxy, y, x): flux unit of the galaxy over sigma, zero where masked.
    owner : Tensor
        (row,): galaxy of each row.
    resample : callable, optional
        Number of times (row, y, x) that each pixel counts, for the bootstrap.
    redraw : callable, optional
        Weighted images (row, y, x) in place of the galaxies' own, for bootstraps that draw noise.
    repeats : int
        Rows a galaxy.
    loss : Loss
        What a pixel costs.
    priors : Priors, optional
        What parameters cost.
    prior_draws : Tensor, optional
        (row, prior): residuals that priors are drawn to have at their own middle, for the bootstrap.
    """

    renderer: Renderer
    parameters: ParameterMap
    weighted_image: Images
    weight: Images
    owner: Rows
    resample: Callable[[Rows], Images] | None = None
    redraw: Callable[[Rows], Images] | None = None
    repeats: int = 1
    loss: Loss = SQUARED
    priors: Priors | None = None
    prior_draws: Tensor | None = None

    @classmethod
    def of(
        cls,
        renderer: Renderer,
        parameters: ParameterMap,
        batch: Batch,
        loss: Loss = SQUARED,
        priors: Priors | None = None,
    ) -> ChiSquare:
        """One row a galaxy; models are drawn in the unit of flux that the parameters are fitted in.

        Images of 1e-19 and of 1e6 then take the same arithmetic, in which squares of 1 / sigma cannot overflow.
        """
        unit = parameters.flux_unit
        weight = loss.weight(batch)
        owner = torch.arange(len(batch), device=batch.image.device)
        renderer = dataclasses.replace(renderer, zero_point=renderer.zero_point - 2.5 * torch.log10(unit))
        scaled = weight * unit[:, None, None].to(weight.dtype)
        return cls(
            renderer,
            parameters,
            batch.image * weight,
            scaled,
            owner,
            loss=loss.on(batch),
            priors=priors,
        )

    @property
    def n_free(self) -> int:
        """Unknowns of each row."""
        return self.parameters.n_free

    @property
    def scale(self) -> Tensor:
        """(free,): a typical change of each unknown."""
        return self.parameters.steps

    @functools.cached_property
    def lot(self) -> int:
        """As many rows as are drawn together: they keep a CPU's cache or half of a GPU's memory busy."""
        points = self.renderer.canvas.size[0] * self.renderer.canvas.size[1]
        room = CACHED_POINTS // points
        if self.weight.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.weight.device)
            maps = COPIES * (2 + len(self.parameters.slot_columns))
            room = free // (2 * points * maps * self.weight.element_size())
        return max(1, min(room, MOST_PLACES, len(self.weight) * self.repeats))

    @property
    def places(self) -> int:
        """Lots enough that the solver's own arithmetic on them takes little time."""
        if self.weight.device.type == "cuda":
            return self.lot
        lots = min(PLACES // self.lot, -(-len(self.weight) * self.repeats // self.lot))
        return self.lot * max(1, lots)

    def bounds(self) -> tuple[Theta, Theta]:
        """Bounds (row, free)."""
        lower, upper = self.parameters.bounds()
        return lower[self.owner], upper[self.owner]

    def cost(self, theta: Theta, rows: Rows) -> PerGalaxy:
        """Chi-square, or what is in its place, with priors (row,); differentiable."""
        galaxies = self.owner[rows]
        values = self.parameters.expand(theta, galaxies)
        cost, _, _ = self.loss.weigh(self._data(rows), self._model(values, galaxies), galaxies)
        if self.resample is not None:
            cost = cost * self.resample(rows).flatten(1)
        total = cost.sum(1, dtype=torch.float64)
        return total if self.priors is None else total + self.priors.cost(values, galaxies, self._draws(rows))

    def residuals(self, theta: Theta, rows: Rows) -> Tensor:
        """The loss's residuals (row, pixel), in units of the noise that it expects; zero where masked."""
        galaxies = self.owner[rows]
        model = self._model(self.parameters.expand(theta, galaxies), galaxies)
        _, residual, _ = self.loss.weigh(self._data(rows), model, galaxies)
        return torch.where(self.weight[galaxies].flatten(1) > 0, residual, 0.0)

    def linearise(self, theta: Theta, rows: Rows) -> Linearised:
        """Cost with gradient and J^T W J from the derivative images of the convolved scene."""
        if not self.parameters.linearisable:
            raise InputError(
                f"Levenberg-Marquardt needs scalar parameters, {MOST_LINEARISED} at most; use FirstOrder for vectors",
                f"{self.n_free} free",
            )
        lots = [
            self._linearise(*lot) for lot in zip(theta.split(self.lot), rows.split(self.lot), strict=True)
        ]
        if len(lots) == 1:
            return lots[0]
        fields = ("cost", "gradient", "hessian")
        return Linearised(*(torch.cat([getattr(lot, name) for lot in lots]) for name in fields))

    def _linearise(self, theta: Theta, rows: Rows) -> Linearised:
        return self.linearise_on(self.tangents(theta, rows), theta, rows)

    def linearise_on(self, tangents: Tangents, theta: Theta, rows: Rows) -> Linearised:
        """The same, with the derivative images already at hand: they are used up."""
        table, turn, cost = self._table(tangents, rows)
        products = torch.bmm(table, table.transpose(1, 2)).double()
        gradient = (products[:, None, 0, 1:] @ turn)[:, 0]
        hessian = turn.transpose(1, 2) @ products[:, 1:, 1:] @ turn
        if self.priors is None:
            return Linearised(cost, gradient, hessian)
        prior = self.priors.linearise(theta, self.owner[rows], self._draws(rows))
        return Linearised(cost + prior.cost, gradient + prior.gradient, hessian + prior.hessian)

    def gradient_along(self, tangents: Tangents, theta: Theta, rows: Rows) -> Theta:
        """J^T W r (row, free) with the model at theta but its derivatives from elsewhere, the same for all rows."""
        galaxies = self.owner[rows]
        model = self._model(self.parameters.expand(theta, galaxies), galaxies)
        _, residual, factor = self.loss.weigh(self._data(rows), model, galaxies)
        if factor is not None:
            residual = residual * factor
        if self.resample is not None:
            residual = residual * self.resample(rows).flatten(1)
        gradient = (residual @ tangents.maps[0, 1:].flatten(1).T).double() @ tangents.turn[0]
        if self.priors is None:
            return gradient
        return gradient + self.priors.linearise(theta, galaxies, self._draws(rows)).gradient

    def tangents(self, theta: Theta, rows: Rows) -> Tangents:
        """Derivative images (row, ...) at theta, weighted."""
        galaxies = self.owner[rows]
        values = self.parameters.expand(theta, galaxies)
        slots, columns = self.parameters.slots, self.parameters.slot_columns
        scale = self.parameters.scale[galaxies]
        weight = self.weight[galaxies]
        design = self.renderer.design(values / scale, galaxies, slots, len(columns), weight)
        turn = self.parameters.slot_jacobian(theta, values, galaxies) / scale[:, list(columns), None]
        return Tangents(design.maps, design.mix[:, 0], design.mix[:, 1:].transpose(1, 2) @ turn)

    def tangent(self, theta: Theta, rows: Rows) -> tuple[Tensor, Tensor, PerGalaxy]:
        """What the normal equations are made of.

        Returns
        -------
        table : Tensor
            (row, 1 + map, pixel): weighted residuals, then weighted maps.
        turn : Tensor
            (row, map, free), float64: the derivative of the weighted model is sum over maps of turn times map.
        cost : Tensor
            (row,): cost of the pixels.
        """
        return self._table(self.tangents(theta, rows), rows)

    def _model(self, values: Values, galaxies: Rows) -> Tensor:
        """Weighted models (row, pixel)."""
        scaled = values / self.parameters.scale[galaxies]
        lots = zip(scaled.split(self.lot), galaxies.split(self.lot), strict=True)
        model = torch.cat([self.renderer.model(*lot) for lot in lots])
        return (model * self.weight[galaxies]).flatten(1)

    def _data(self, rows: Rows) -> Tensor:
        """Weighted images (row, pixel)."""
        images = self.weighted_image[self.owner[rows]] if self.redraw is None else self.redraw(rows)
        return images.flatten(1)

    def _draws(self, rows: Rows) -> Tensor | None:
        """Residuals (row, prior) of priors that were drawn."""
        return None if self.prior_draws is None else self.prior_draws[rows]

    def _table(self, tangents: Tangents, rows: Rows) -> tuple[Tensor, Tensor, PerGalaxy]:
        """See :meth:`tangent`; the table is written over the maps."""
        table = tangents.maps.flatten(2)
        model = torch.bmm(tangents.model[:, None].to(table.dtype), table[:, 1:])[:, 0]
        cost, table[:, 0], factor = self.loss.weigh(self._data(rows), model, self.owner[rows])
        if self.resample is not None:
            counts = self.resample(rows).flatten(1)
            cost = cost * counts
            factor = torch.sqrt(counts) if factor is None else factor * torch.sqrt(counts)
            table[:, 0] *= torch.sqrt(counts)
        if factor is not None:
            table[:, 1:] *= factor[:, None]
        return table, tangents.turn, cost.sum(1, dtype=torch.float64)
