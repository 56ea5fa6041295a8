r"""How much a galaxy differs from itself turned by 180 degrees.

With I' the image turned about the centre and sums over good pixels in a circle of 1.5 Petrosian radii whose
opposite is good as well (Conselice 2003; Lotz et al. 2004, equation 10),

    A = [sum |I - I'| - N 2 sigma / sqrt(pi)] / sum |I|,

in which 2 sigma / sqrt(pi) is what a pixel of sky adds. The RMS asymmetry is that of squares (Sazonova et al. 2024,
equation 27), in which the noise's share is known exactly: also that of the galaxy's photons, and the smoothing by the
turn.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.types import PerGalaxy, Points

EXTENT = 1.5
"""Petrosian radii of the circle."""


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
