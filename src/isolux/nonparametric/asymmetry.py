r"""How much a galaxy differs from itself turned by 180 degrees, and the centre about which it differs least.

With I' the image turned about the centre and sums over good pixels in a circle of 1.5 Petrosian radii whose
opposite is good as well (Conselice 2003; Lotz et al. 2004, equation 10),

    A = [sum |I - I'| - N 2 sigma / sqrt(pi)] / sum |I|,

in which 2 sigma / sqrt(pi) is what a pixel of sky adds. The centre is the one of least A: the smallest sum |I - I'|
within a circle that is held where it is, found by Nelder and Mead's simplex. The RMS asymmetry is that of squares
(Sazonova et al. 2024, equation 27), in which the noise's share is known exactly: also that of the galaxy's photons,
and the smoothing by the turn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch

from isolux.types import Images, PerGalaxy, Points, Rows, Tensor

EXTENT = 1.5
"""Petrosian radii of the circle."""
SEARCHES = 15
"""Steps of the simplex, each with two centres looked at."""
WINDOW, MARGIN = 8, 4.0
"""Half the sides of windows are multiples of the first; pixels that they reach beyond the circle at least."""


@dataclasses.dataclass(frozen=True)
class Turner:
    """Images (galaxy, y, x) with a frame of zeros around them, ready to be turned by 180 degrees about any centre.

    The flat image read backwards is the image turned about its own middle; to turn about another centre is then to
    begin elsewhere, and to interpolate linearly between neighbours for the rest.
    """

    flat: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, image: Images) -> Turner:
        """The frame is as wide as the image, so that nothing wraps around."""
        rows, columns = image.shape[1:]
        framed = torch.nn.functional.pad(image.flip(1, 2), (columns + 1, 0, rows + 1, rows + 1))
        return cls(framed.flatten(1), (rows, columns))

    def about(self, x: PerGalaxy, y: PerGalaxy) -> Images:
        """The images turned about (x, y)."""
        rows, columns = self.shape
        wide = 2 * columns + 1
        (column, u), (row, v) = ((torch.floor(2 * at), 2 * at - torch.floor(2 * at)) for at in (x, y))
        column, row = column.clamp(-1, 2 * columns - 2), row.clamp(-1, 2 * rows - 2)
        start = (self.flat.shape[1] - 1) - ((row + rows + 2) * wide + column + 1)
        count = (rows + 1) * wide
        places = self.flat.unfold(1, count, 1)
        part = places[torch.arange(len(x), device=x.device), start.long()]
        u, v = (t.to(part.dtype)[:, None, None] for t in (u, v))
        block = part.unflatten(1, (rows + 1, wide))[:, :, : columns + 1]
        across = torch.lerp(block[:, :, 1:], block[:, :, :-1], u)
        return torch.lerp(across[:, 1:], across[:, :-1], v)


@dataclasses.dataclass(frozen=True)
class Asymmetry:
    """Each (galaxy,)."""

    value: PerGalaxy
    error: PerGalaxy
    rms: PerGalaxy


def asymmetry(
    change: Points, weight: Points, image: Points, x: PerGalaxy, y: PerGalaxy, gain: PerGalaxy
) -> Asymmetry:
    """The asymmetry of an image in units of the noise of a sky pixel, with weights of pixels (galaxy, point)."""
    light, area = (weight * image.abs()).sum(1).double(), weight.sum(1).double()
    total = (weight * change.abs()).sum(1).double()
    value = (total - area * 2 / math.sqrt(math.pi)) / light
    smoothed = torch.ones_like(x)
    for at in (x, y):
        part = torch.remainder(2 * at, 1.0)
        smoothed = smoothed * (part**2 + (1 - part) ** 2)
    noise = area + light / gain
    error = torch.sqrt(2 * (1 + smoothed) * (1 - 2 / math.pi) * noise) / light
    squares = (weight * change.square()).sum(1).double()
    power = (weight * image.square()).sum(1).double() - noise
    rms = (squares - noise * (1 + smoothed)) / power
    return Asymmetry(value, error, torch.where(power > 0, rms, torch.nan))


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
    turner = Turner.of(image)

    def cost(places: Tensor, rows: Rows | None) -> PerGalaxy:
        still, turning, counted = image, turner, weight
        if rows is not None:
            still, turning, counted = image[rows], Turner(turner.flat[rows], turner.shape), weight[rows]
        change = still - turning.about(places[:, 0], places[:, 1])
        return (change.abs_() * counted).sum((1, 2)).double()

    return nelder_mead(cost, start, scale, SEARCHES)


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
        stretch = _stretch(there, costs)
        further = middle + stretch[:, None] * (middle - worst)
        beyond = cost(further, None)
        better = beyond < there
        place = torch.where(better[:, None], further, ahead)
        reached = torch.where(better, beyond, there)
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
