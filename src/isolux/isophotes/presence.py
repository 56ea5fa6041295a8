"""Whether there is a galaxy in the middle of a stamp.

Light in round apertures counts against the noise that areas of this size have in the image itself, which is more than
that of so many pixels where these share their noise, or where the sky is not flat. And it must be the middle's: the
place of a bright star or neighbour off the middle is not that of the galaxy which the stamp was cut for.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.types import Images, PerGalaxy, Tensor

APERTURES = (2.0, 4.0, 8.0)
"""Radii in pixels."""
SURE = 5.0
"""Signal-to-noise in an aperture, by the image's own scatter: of 2,000 stamps of noise, correlated over up to 1.3
pixels, that of one in 500 is larger."""
PLAIN = 30.0
"""Signal-to-noise by the pixels' noise that needs no more: where a galaxy fills its stamp, its light is the scatter."""
OFF, OFF_PIXELS = 0.18, 4.0
"""Farthest that a galaxy's centre is from the middle, in shorter sides of the stamp; or in pixels, if that is more."""
BLOCKS = 6
"""Least number of blocks along a side to take a scatter from."""
QUARTILE = 0.3186
"""A quarter of all |deviations| of a Gaussian are below this many standard deviations."""


def light_present(image: Images, good: Images, x: PerGalaxy, y: PerGalaxy) -> Tensor:
    """Whether (galaxy,) light is seen at a place.

    Parameters
    ----------
    image, good : Tensor
        (galaxy, y, x): light above the sky in units of the pixels' noise; one where good.
    x, y : Tensor
        (galaxy,): the place in pixels.
    """
    signal = aperture_signals(image, good, x, y)
    return ((signal / block_scatter(image, good)).amax(1) > SURE) | (signal.amax(1) > PLAIN)


def near_middle(batch: Batch, x: PerGalaxy, y: PerGalaxy) -> Tensor:
    """Whether (galaxy,) a centre x, y (galaxy,) in pixels can be that of the galaxy which the stamp was cut for."""
    height, width = (torch.tensor(n, dtype=x.dtype, device=x.device) for n in (batch.height, batch.width))
    away = torch.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    return away < (OFF * torch.minimum(height, width)).clamp_min(OFF_PIXELS)


def aperture_signals(image: Images, good: Images, x: PerGalaxy, y: PerGalaxy) -> Tensor:
    """Signal-to-noise (galaxy, aperture) of the light about a place, by the pixels' noise."""
    rows, columns = (torch.arange(n, device=image.device) for n in image.shape[1:])
    dy, dx = rows - y[:, None], columns - x[:, None]
    square = dy[:, :, None] ** 2 + dx[:, None, :] ** 2
    found = []
    for radius in APERTURES:
        inside = good * (square < radius**2)
        found.append((image * inside).sum((1, 2)) / inside.sum((1, 2)).clamp_min(1).sqrt())
    return torch.stack(found, 1)


def block_scatter(image: Images, good: Images) -> Tensor:
    """Scatter (galaxy, aperture) of the light in squares of the apertures' areas over that of independent pixels.

    From the lower quartile of the |differences| of squares side by side, so that sources do not count; at least one. In
    images too small for some squares it is that of smaller ones.
    """
    found, last = [], torch.ones(len(image), device=image.device)
    for radius in APERTURES:
        side = round(math.sqrt(math.pi) * radius)
        if min(image.shape[1:]) >= BLOCKS * side:
            share = functional.avg_pool2d(good[:, None], side)[:, 0]
            light = functional.avg_pool2d((image * good)[:, None], side)[:, 0]
            light = torch.where(share > 0.5, light * side / share.clamp_min(0.5).sqrt(), torch.nan)
            apart = torch.cat([light.diff(dim=axis).abs().flatten(1) for axis in (1, 2)], 1)
            scatter = torch.nanquantile(apart, 0.25, dim=1) / (QUARTILE * math.sqrt(2))
            last = torch.where(torch.isfinite(scatter), scatter, last)
        found.append(last)
    return torch.stack(found, 1).clamp_min(1.0)
