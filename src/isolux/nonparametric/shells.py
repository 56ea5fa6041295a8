"""The light and the area of good pixels between neighbouring ellipses around one centre.

Each pixel adds to the few shells that it reaches into, by its share of each; near the centre, where edges are curved
within a pixel, pixels are cut in 8 x 8. Light is taken to be even within a pixel, as elsewhere in photometry.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.nonparametric.apertures import Ellipse, Rings, rings
from isolux.types import Images, Tensor

STEP = 0.5
"""Pixels between the radii of a growth curve."""
CORE, CUTS = 4, 8
"""Pixels to each side of the centre that are cut, and in how many parts along each axis."""


@dataclasses.dataclass(frozen=True)
class Shells:
    """Light and area between neighbouring radii STEP, 2 STEP, ...; each (galaxy, shell), float64."""

    light: Tensor
    area: Tensor


def shells(ellipse: Ellipse, over: Rings, image: Images, good: Images, rough: bool = False) -> Shells:
    """Sums over good pixels between radii that are STEP apart, out to 3/4 of the stamp's diagonal.

    Parameters
    ----------
    ellipse : Ellipse
        What the radii are those of.
    over : Rings
        Its radii over the pixels of the stamp.
    image : Tensor
        (galaxy, y, x): zero where it is not good.
    good : Tensor
        (galaxy, y, x): one where a pixel is good, else zero.
    rough : bool
        Whether pixels far from the centre are in the shell of their middle alone.
    """
    count = math.ceil(0.75 * math.hypot(*image.shape[1:]) / STEP)
    total = image.new_zeros(2, len(image), count + 2)
    near = _core_places(ellipse, image.shape)
    core = _core_rings(ellipse, image.shape, image.dtype)
    whole = [plane.flatten(1) for plane in (image, good)]
    outer = [plane.scatter(1, near, 0.0) for plane in whole]
    if rough:
        place = (over.radius / STEP + 1).clamp_max_(count + 1).long()
        for sums, plane in zip(total, outer, strict=True):
            sums.scatter_add_(1, place, plane)
    else:
        _deposit(total, over, outer)
    _deposit(total, core, [_cut(plane.gather(1, near)) for plane in whole])
    return Shells(*total[:, :, 1:-1].double())


def _cut(core: Tensor) -> Tensor:
    """The pixels of the square around the centre (galaxy, pixel) cut into equal parts."""
    square = core.unflatten(1, (2 * CORE + 1, 2 * CORE + 1)) / CUTS**2
    return square.repeat_interleave(CUTS, 1).repeat_interleave(CUTS, 2).flatten(1)


def _deposit(total: Tensor, over: Rings, planes: list[Tensor]) -> None:
    """Add what pixels of planes (galaxy, point) add to each shell (plane, galaxy, shell + 1); the last has the rest."""
    steps = math.ceil(2 * float(over.reach.max()) / STEP) + 1
    room = total.new_zeros(*total.shape[:2], total.shape[2] + steps)
    node = torch.floor((over.radius - over.reach) / STEP).clamp_(0, total.shape[2] - 1)
    place, limit = node.long(), node * STEP
    share = torch.zeros_like(over.radius)
    for step in range(steps):
        place += 1
        limit += STEP
        inside = over.inside(limit) if step < steps - 1 else torch.ones_like(share)
        part = share.neg_().add_(inside)
        for sums, plane in zip(room, planes, strict=True):
            sums.scatter_add_(1, place, part * plane)
        share = inside
    total += room[:, :, : total.shape[2]]


def _core_corner(ellipse: Ellipse, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """First column and row (galaxy,) of the square around the centre, within the stamp."""
    side = 2 * CORE + 1
    ends = (shape[2] - side, shape[1] - side)
    return tuple(
        (torch.floor(at + 0.5).long() - CORE).clamp(0, end)
        for at, end in zip((ellipse.x, ellipse.y), ends, strict=True)
    )  # type: ignore[return-value]


def _core_places(ellipse: Ellipse, shape: torch.Size) -> Tensor:
    """Places (galaxy, point) of the pixels of that square in the flat stamp."""
    column, row = _core_corner(ellipse, shape)
    near = torch.arange(2 * CORE + 1, device=column.device)
    return ((row[:, None] + near)[:, :, None] * shape[2] + (column[:, None] + near)[:, None, :]).flatten(1)


def _core_rings(ellipse: Ellipse, shape: torch.Size, dtype: torch.dtype) -> Rings:
    """Radii over the parts of the pixels of that square."""
    part = (torch.arange((2 * CORE + 1) * CUTS, device=ellipse.x.device) + 0.5) / CUTS - 0.5
    dx, dy = (
        (corner[:, None] + part - at[:, None]).to(dtype)
        for corner, at in zip(_core_corner(ellipse, shape), (ellipse.x, ellipse.y), strict=True)
    )
    return rings(ellipse, dx[:, None, :], dy[:, :, None], 1 / CUTS)
