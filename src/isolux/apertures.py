r"""How much of a Sérsic galaxy is seen through a round Gaussian aperture: tables over index, axis ratio and width.

A galaxy of total flux one, whose light at elliptical radius r is f(r), shows through the aperture of width s

    A = integral of f(r) exp(-rho^2 / 2 s^2),    rho^2 = r^2 (cos^2 phi + q^2 sin^2 phi),

and under it its second moment along the major axis is larger than that along the minor axis by

    E s^2 A = integral of f(r) r^2 (cos^2 phi - q^2 sin^2 phi) exp(-rho^2 / 2 s^2).

Both are tabulated at half-light radius one, once a process.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import torch

from isolux.profiles.sersic import sersic_b
from isolux.types import PerGalaxy, Tensor

FIRST_INDEX, INDEX_STEP, INDICES = -0.5, 0.05, 30
"""Decimal logarithms of the indices in the tables."""
AXIS_RATIOS = (0.1, 0.17, 0.25, 0.35, 0.45, 0.6, 0.8, 1.0)
OCTAVES, PER_OCTAVE = (-7, 8), 8
"""Range of log2(s / half-light radius), and steps an octave; radii are counted in these steps, too."""
FARTHEST = 12
"""Radii go from 2^-12 to 2^12 pixels."""
RADII, ANGLES = 300, 12
"""Points of the integrals, radii at equal steps of their logarithm."""


@dataclasses.dataclass(frozen=True)
class Tables:
    """A and E, each (axis ratio, index, width); the axis ratios, the indices, and the radii of all steps.

    What is looked up is the same to the last bit wherever a galaxy stands in its batch; a power would not be.
    """

    share: Tensor
    elongation: Tensor
    axis_ratio: Tensor
    index: Tensor
    radius: Tensor


@lru_cache(maxsize=4)
def tables(device: torch.device) -> Tables:
    """The tables on a device."""
    low, high = OCTAVES
    width = 2 ** torch.linspace(low, high, PER_OCTAVE * (high - low) + 1, dtype=torch.float64)
    n = 10 ** (FIRST_INDEX + INDEX_STEP * torch.arange(INDICES, dtype=torch.float64))[:, None]
    r = torch.logspace(-5, 2.5, RADII, dtype=torch.float64)
    light = torch.exp(-sersic_b(n) * (r ** (1 / n) - 1)) * r * r
    light = light / light.sum(1, keepdim=True)
    angle = (torch.arange(ANGLES, dtype=torch.float64) + 0.5) * math.pi / (2 * ANGLES)
    ratio = (r[:, None] / width) ** 2
    share, elongation = [], []
    for q in AXIS_RATIOS:
        shown, stretched = torch.zeros_like(ratio), torch.zeros_like(ratio)
        for major, minor in zip(torch.cos(angle) ** 2, (q * torch.sin(angle)) ** 2, strict=True):
            bell = torch.exp(-0.5 * (major + minor) * ratio) / ANGLES
            shown += bell
            stretched += (major - minor) * ratio * bell
        share.append(light @ shown)
        elongation.append(light @ stretched / share[-1])
    steps = torch.arange(-PER_OCTAVE * FARTHEST, PER_OCTAVE * FARTHEST + 1, dtype=torch.float64)
    made = torch.stack(share), torch.stack(elongation), torch.tensor(AXIS_RATIOS)
    rows = (*(table.float() for table in made), n[:, 0], 2 ** (steps / PER_OCTAVE))
    return Tables(*(row.to(device) for row in rows))


def index_of(node: Tensor) -> Tensor:
    """Sérsic index of places in the tables."""
    return tables(node.device).index[node]


def radius_of(steps: Tensor) -> Tensor:
    """Radius in pixels of steps of the table."""
    middle = PER_OCTAVE * FARTHEST
    return tables(steps.device).radius[(steps + middle).clamp(0, 2 * middle)]


def node_of(index: Tensor) -> Tensor:
    """The place in the tables that is nearest to a Sérsic index."""
    return torch.round((torch.log10(index) - FIRST_INDEX) / INDEX_STEP).long().clamp(0, INDICES - 1)


def lookup(width: Tensor, axis_ratio: PerGalaxy, node: Tensor, radius: Tensor) -> Tensor:
    """A (galaxy, n, r, aperture), linear between widths.

    Parameters
    ----------
    width : Tensor
        (galaxy, aperture): log2 of s in pixels.
    axis_ratio : Tensor
        (galaxy,). A is that of the nearest axis ratio with s scaled to the same area, exact for small s.
    node, radius : Tensor
        (galaxy, n) and (galaxy, r): places of indices; log2 of half-light radii in pixels, in steps of the table.
    """
    table = tables(width.device)
    _, indices, points = table.share.shape
    near = (axis_ratio[:, None] - table.axis_ratio).abs().argmin(1)
    area = 0.5 * torch.log2(table.axis_ratio[near] / axis_ratio)
    place = PER_OCTAVE * (width + area[:, None] - OCTAVES[0])
    below = torch.floor(place)
    column = (below.long()[:, None] - radius[:, :, None]).clamp(0, points - 2)[:, None]
    index = column + ((near[:, None] * indices + node) * points)[:, :, None, None]
    flat = table.share.flatten()
    return torch.lerp(flat[index], flat[index + 1], (place - below).to(flat.dtype)[:, None, None])


def axis_ratio_of(elongation: PerGalaxy, width: PerGalaxy, index: PerGalaxy, radius: PerGalaxy) -> PerGalaxy:
    """Axis ratio (galaxy,) of Sérsic galaxies that show an elongation E under a Gaussian of some width."""
    table = tables(elongation.device)
    place = torch.round(PER_OCTAVE * (torch.log2(width / radius) - OCTAVES[0])).long()
    shown = table.elongation[:, node_of(index), place.clamp(0, table.elongation.shape[2] - 1)]
    wanted = elongation.to(shown.dtype)
    k = (shown > wanted).sum(0).clamp(1, len(AXIS_RATIOS) - 1)
    above, below = (shown.gather(0, (k - j)[None])[0] for j in (1, 0))
    part = ((above - wanted) / (above - below).clamp_min(1e-6)).clamp(0, 1)
    return torch.lerp(table.axis_ratio[k - 1], table.axis_ratio[k], part).to(elongation.dtype)
