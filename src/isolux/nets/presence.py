"""Whether there is a galaxy in the middle of a stamp, as far as this can be told without a network.

Light in round apertures counts against the noise that areas of this size have in the image itself, which is more than
that of so many pixels where these share their noise, or where the sky is not flat. And it must be the middle's: the
place of a bright star or neighbour off the middle is not that of the galaxy which the stamp was cut for.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.nets.frame import APERTURES, Frame
from isolux.types import PerGalaxy, Tensor

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


def galaxy_present(batch: Batch, frame: Frame, x: PerGalaxy, y: PerGalaxy) -> Tensor:
    """Whether (galaxy,) light is seen at the frame's centre, and the centre x, y in image pixels is near the middle."""
    signal = aperture_signals(frame)
    seen = (signal / block_scatter(frame)).amax(1) > SURE
    height, width = (torch.tensor(n, dtype=x.dtype, device=x.device) for n in (batch.height, batch.width))
    away = torch.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    return (seen | (signal.amax(1) > PLAIN)) & (
        away < (OFF * torch.minimum(height, width)).clamp_min(OFF_PIXELS)
    )


def aperture_signals(frame: Frame) -> Tensor:
    """Signal-to-noise (galaxy, aperture) of the light about the source, by the pixels' noise."""
    rows, columns = (torch.arange(n, device=frame.image.device) for n in frame.image.shape[1:])
    dy, dx = rows - frame.y[:, None], columns - frame.x[:, None]
    square = dy[:, :, None] ** 2 + dx[:, None, :] ** 2
    found = []
    for radius in APERTURES:
        inside = frame.good * (square < radius**2)
        found.append((frame.image * inside).sum((1, 2)) / inside.sum((1, 2)).clamp_min(1).sqrt())
    return torch.stack(found, 1)


def block_scatter(frame: Frame) -> Tensor:
    """Scatter (galaxy, aperture) of the light in squares of the apertures' areas over that of independent pixels.

    From the lower quartile of the |differences| of squares side by side, so that sources do not count; at least one. In
    images too small for some squares it is that of smaller ones.
    """
    found, last = [], torch.ones_like(frame.x)
    for radius in APERTURES:
        side = round(math.sqrt(math.pi) * radius)
        if min(frame.image.shape[1:]) >= BLOCKS * side:
            good = functional.avg_pool2d(frame.good[:, None], side)[:, 0]
            light = functional.avg_pool2d((frame.image * frame.good)[:, None], side)[:, 0]
            light = torch.where(good > 0.5, light * side / good.clamp_min(0.5).sqrt(), torch.nan)
            apart = torch.cat([light.diff(dim=axis).abs().flatten(1) for axis in (1, 2)], 1)
            scatter = torch.nanquantile(apart, 0.25, dim=1) / (QUARTILE * math.sqrt(2))
            last = torch.where(torch.isfinite(scatter), scatter, last)
        found.append(last)
    return torch.stack(found, 1).clamp_min(1.0)
