r"""The centre about which a galaxy differs least from itself turned by 180 degrees.

It is where sum |I - I'| is smallest within an ellipse that is held where it is, found by Nelder and Mead's simplex
(1965, Computer Journal 7, 308) with the same number of steps for every galaxy.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from isolux.nonparametric.turn import Turner
from isolux.types import Images, PerGalaxy, Rows, Tensor

STEPS = 15
"""Of the simplex; they end within some hundredths of a pixel."""
WINDOW, MARGIN = 8, 4.0
"""Half the sides of windows are multiples of the first; pixels that they reach beyond the ellipse at least."""


def symmetry_centre(
    image: Images, weight: Images, x: PerGalaxy, y: PerGalaxy, scale: PerGalaxy, reach: PerGalaxy
) -> tuple[PerGalaxy, PerGalaxy]:
    """The centre (galaxy,) near (x, y) about which ``weight`` |I - I'| is least.

    Parameters
    ----------
    image, weight : Tensor
        (galaxy, y, x).
    x, y : Tensor
        (galaxy,): where the search begins.
    scale : Tensor
        (galaxy,): side of the first simplex, in pixels.
    reach : Tensor
        (galaxy,): farthest pixel from (x, y) that has a weight. Galaxies with windows of the same size are searched
        together, since most stamps are much larger than what has a weight.
    """
    found = torch.stack([x, y], 1)
    half = (torch.ceil((reach + MARGIN) / WINDOW) * WINDOW).long().clamp_max(max(image.shape[1:]))
    for size in half.unique().tolist():
        rows = (half == size).nonzero()[:, 0]
        corner = torch.floor(found[rows] + 0.5).long() - size
        still, counted = (_window(t[rows], corner, 2 * size + 1) for t in (image, weight))
        best = _least(still, counted, found[rows] - corner, scale[rows])
        found[rows] = best + corner
    return found[:, 0], found[:, 1]


def _window(image: Images, corner: Tensor, side: int) -> Images:
    """Square windows of images from their corners (galaxy, 2), column and row; zero beyond the image."""
    near = torch.arange(side, device=image.device)
    columns, rows = (corner[:, k, None] + near for k in range(2))
    inside = ((rows >= 0) & (rows < image.shape[1]))[:, :, None]
    inside = inside & ((columns >= 0) & (columns < image.shape[2]))[:, None, :]
    place = rows.clamp(0, image.shape[1] - 1)[:, :, None] * image.shape[2]
    place = place + columns.clamp(0, image.shape[2] - 1)[:, None, :]
    return image.flatten(1).gather(1, place.flatten(1)).view_as(place) * inside


def _least(image: Images, weight: Images, start: Tensor, scale: PerGalaxy) -> Tensor:
    """The centres (galaxy, 2) of least asymmetry in images of which little has no weight."""
    turner, weighed = Turner.of(image), image * weight

    def cost(places: Tensor, rows: Rows | None) -> PerGalaxy:
        still, counted = (weighed, weight) if rows is None else (weighed[rows], weight[rows])
        turned = turner.about(places[:, 0], places[:, 1], rows)
        return torch.addcmul(still, turned, counted, value=-1).abs_().sum((1, 2)).double()

    return nelder_mead(cost, start, scale, STEPS)


def nelder_mead(
    cost: Callable[[Tensor, Rows | None], PerGalaxy], start: Tensor, scale: PerGalaxy, steps: int
) -> Tensor:
    """Minima (galaxy, 2) of a cost of places (galaxy, 2), or of those of some rows, after so many steps for all."""
    corners = start[:, None] + scale[:, None, None] * start.new_tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    costs = torch.stack([cost(corners[:, k], None) for k in range(3)], 1)
    for _ in range(steps):
        corners, costs = _in_order(corners, costs)
        best, worst = corners[:, 0], corners[:, 2]
        middle = 0.5 * (best + corners[:, 1])
        ahead = 2 * middle - worst
        there = cost(ahead, None)
        place, reached = ahead.clone(), there.clone()
        rows = ((there < costs[:, 0]) | (there >= costs[:, 1])).nonzero()[:, 0]
        stretch = _stretch(there, costs)[rows]
        further = middle[rows] + stretch[:, None] * (middle - worst)[rows]
        beyond = cost(further, rows)
        better = beyond < there[rows]
        place[rows] = torch.where(better[:, None], further, ahead[rows])
        reached[rows] = torch.where(better, beyond, there[rows])
        fails = reached >= costs[:, 2]
        corners = torch.stack([best, corners[:, 1], torch.where(fails[:, None], worst, place)], 1)
        costs = torch.stack([costs[:, 0], costs[:, 1], torch.where(fails, costs[:, 2], reached)], 1)
        rows = fails.nonzero()[:, 0]
        if len(rows):
            shrunk = 0.5 * (corners[rows] + corners[rows, :1])
            corners[rows] = shrunk
            costs[rows, 1:] = torch.stack([cost(shrunk[:, k], rows) for k in (1, 2)], 1)
    return _in_order(corners, costs)[0][:, 0]


def _stretch(there: PerGalaxy, costs: Tensor) -> PerGalaxy:
    """How far beyond the middle the second look goes: expansion, contraction outside, contraction inside."""
    outside = torch.where(there < costs[:, 2], 0.5, -0.5)
    return torch.where(there < costs[:, 0], 2.0, outside).to(costs.dtype)


def _in_order(corners: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
    """Corners of the simplex with the best first."""
    costs, order = torch.sort(costs, stable=True, dim=1)
    return corners.gather(1, order[:, :, None].expand_as(corners)), costs
