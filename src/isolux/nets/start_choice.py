"""How well starting values fit: chi-square at the fluxes and the sky that suit them best.

A model is the sum of its components' images, times their fluxes, and of a sky: for given shapes the best factors
follow from a small linear system. Without that, sky levels that were measured near the edge, where large galaxies
still have light, would speak against true sizes and for sizes that are too small.
"""

from __future__ import annotations

import dataclasses

import torch

from isolux.batch import Batch
from isolux.fit import moved_inside, problems_of
from isolux.likelihood import ChiSquare
from isolux.loss import SQUARED
from isolux.profiles import FlatSky, PlaneSky
from isolux.scene import Scene
from isolux.start import Starts
from isolux.types import PerGalaxy, Tensor, Values

MOST = 4.0
"""Largest factor of a flux, or one over it."""
AMPLITUDES = ("magnitude", "flux", "intensity")


def least_chi2(batch: Batch, scene: Scene, starts: Starts, candidates: list[Values]) -> Tensor:
    """Chi-square (candidate, galaxy) of starting values, with the estimated fluxes and sky as they suit best.

    Candidates are values (galaxy, parameter) in the place of those of ``starts``.
    """
    problem, _ = problems_of(batch, scene, starts, SQUARED, ())
    free, sky = _free(scene, starts)
    lit = torch.tensor([not sky[k] for k in free], dtype=torch.bool, device=batch.image.device)
    image = problem.weighted_image.flatten(1)
    found = []
    for values in candidates:
        parameters = dataclasses.replace(problem.parameters, values=values)
        inside = parameters.complete(moved_inside(parameters, starts.estimated))
        maps = _maps(problem, inside, sky)
        data = image - maps[:, [k for k in range(len(sky)) if k not in free]].sum(1)
        moving = maps[:, free]
        products = torch.bmm(moving, moving.transpose(1, 2)).double()
        right = torch.bmm(moving, data[:, :, None])[:, :, 0].double()
        factors = _factors(products, right, lit)
        quadratic = (factors[:, None] @ products @ factors[:, :, None])[:, 0, 0]
        found.append(data.square().sum(1, dtype=torch.float64) - 2 * (factors * right).sum(1) + quadratic)
    return torch.stack(found)


def _free(scene: Scene, starts: Starts) -> tuple[list[int], list[bool]]:
    """Components whose flux or level was estimated, and which components are a sky."""
    estimated = {name for name, own in zip(starts.columns, starts.estimated, strict=True) if own}
    sky = [isinstance(profile, FlatSky | PlaneSky) for profile in scene.components.values()]
    names = [("level",) if below else AMPLITUDES for below in sky]
    free = [
        k
        for k, (name, shorts) in enumerate(zip(scene.components, names, strict=True))
        if any(f"{name}.{short}" in estimated for short in shorts)
    ]
    return free, sky


def _maps(problem: ChiSquare, values: Values, skies: list[bool]) -> Tensor:
    """Weighted images (galaxy, component, pixel) of components at their fluxes, of a sky of one."""
    scaled = values / problem.parameters.scale
    rows = torch.arange(len(values), device=values.device)
    drawn = []
    for part, sky in zip(problem.renderer.parts, skies, strict=True):
        one = dataclasses.replace(problem.renderer, parts=(part,))
        lots = zip(scaled.split(problem.lot), rows.split(problem.lot), strict=True)
        image = None if sky else torch.cat([one.model(*lot) for lot in lots])
        drawn.append(problem.weight if image is None else image * problem.weight)
    return torch.stack(drawn, 1).flatten(2)


def _factors(products: Tensor, right: Tensor, lit: Tensor) -> Tensor:
    """Factors (galaxy, map) that make chi-square least; of fluxes a common one where theirs would be odd."""
    best = _solved(products, right)
    odd = (lit & ~((best > 1 / MOST) & (best < MOST))).any(1)
    together = torch.cat([lit.to(right)[:, None], torch.diag((~lit).to(right))[:, ~lit]], 1)
    common = _solved(together.T @ products @ together, right @ together)
    common[:, 0] = torch.where(common[:, 0] > 0, common[:, 0], 1.0).clamp(1 / MOST, MOST)
    sky = _solved(products[:, ~lit][:, :, ~lit], _rest(products, right, lit, common[:, 0]))
    common[:, 1:] = sky
    return torch.where(odd[:, None], common @ together.T, best)


def _rest(products: Tensor, right: Tensor, lit: Tensor, factor: PerGalaxy) -> Tensor:
    """The right side for the sky's maps, with all fluxes times a factor."""
    return right[:, ~lit] - factor[:, None] * products[:, ~lit][:, :, lit].sum(2)


def _solved(products: Tensor, right: Tensor) -> Tensor:
    """Solve products x = right of each galaxy; zero where that cannot be."""
    diagonal = torch.diagonal(products, dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    unit = products * scale[:, :, None] * scale[:, None]
    unit = unit + 1e-9 * torch.eye(unit.shape[1], dtype=unit.dtype, device=unit.device)
    found, _ = torch.linalg.solve_ex(torch.nan_to_num(unit), (right * scale)[:, :, None])
    return torch.nan_to_num(found[:, :, 0] * scale, nan=0.0, posinf=0.0, neginf=0.0)
