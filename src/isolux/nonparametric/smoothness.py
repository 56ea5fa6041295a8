r"""How much light is in clumps: the smoothness S (Conselice 2003, without his factor 10; Lotz et al. 2004, eq. 11).

With the image averaged over squares whose side is a quarter of the Petrosian radius (circular, rounded down), over
the ring from a quarter to 1.5 Petrosian radii,

    S = [sum max(I - smooth I, 0) - N b] / sum I,

where b is the same mean over sky pixels beyond two Petrosian radii. Where there are too few of them, b is that of
noise that is independent from pixel to pixel, sigma sqrt(1 - 1 / side^2) / sqrt(2 pi).
"""

from __future__ import annotations

import math

import torch

from isolux.types import Images, PerGalaxy, Points, Tensor

INNER, OUTER = 0.25, 1.5
"""Petrosian radii between which S is measured; the first is also the side of the squares."""
SKY_FROM = 2.0
"""Petrosian radii beyond which there is only sky."""
LEAST_SKY = 300
"""Pixels."""


def smoothness(image: Images, ring: Points, sky: Points, side: PerGalaxy) -> tuple[PerGalaxy, Tensor]:
    """S (galaxy,), and where the sky was measured (galaxy,) of bool.

    Parameters
    ----------
    image : Tensor
        (galaxy, y, x) in units of the noise of a sky pixel, zero where masked.
    ring, sky : Tensor
        (galaxy, point): weight of each pixel in the ring, and in the sky.
    side : Tensor
        (galaxy,): side of the squares in pixels, whole numbers.
    """
    clumps = (image - box_mean(image, side)).clamp_min_(0).flatten(1)
    light, excess = ((ring * values).sum(1).double() for values in (image.flatten(1), clumps))
    number = sky.sum(1).double()
    seen = number >= LEAST_SKY
    independent = torch.sqrt((1 - side**-2.0) / (2 * math.pi))
    level = torch.where(seen, (sky * clumps).sum(1).double() / number.clamp_min(1), independent)
    value = (excess - ring.sum(1).double() * level) / light
    return torch.where((side >= 2) & (light > 0), value, torch.nan), seen


def box_mean(image: Images, side: PerGalaxy) -> Images:
    """Means over squares of ``side`` (galaxy,) pixels; the image is reflected at its edges."""
    rows, columns = (_box(n, side, image.dtype) for n in image.shape[1:])
    return rows @ image @ columns.transpose(1, 2)


def _box(length: int, side: PerGalaxy, dtype: torch.dtype) -> Tensor:
    """Weights (galaxy, to, from) along one axis; boxes of an even side reach one pixel farther to the left."""
    at = torch.arange(length, device=side.device)
    apart = torch.arange(1 - 2 * length, 2 * length, device=side.device)
    size = side[:, None]
    inside = (apart >= -torch.floor(size / 2)) & (apart <= torch.floor((size - 1) / 2))
    share = (inside / size).to(dtype)
    weight = torch.zeros(1, dtype=dtype, device=side.device)
    for mirrored in (at, -1 - at, 2 * length - 1 - at):
        place = mirrored[None, :] - at[:, None] + 2 * length - 1
        weight = weight + share.index_select(1, place.flatten())
    return weight.unflatten(1, (length, length))
