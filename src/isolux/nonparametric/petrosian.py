r"""Petrosian and Kron radii from growth curves.

The Petrosian radius is the first at which the mean brightness of a ring one pixel wide, measured along the major
axis, is below eta times the mean brightness within (Petrosian 1976; Lotz et al. 2004, equation 4):

    mu(r) / mean(< r) = eta = 0.2.

The Kron radius is the mean radius of the light, R1 = int r dF / F, out to twice the Petrosian radius (Kron 1980;
Graham & Driver 2005, section 2.4 give both for Sérsic galaxies); the Kron magnitude is that within 2.5 R1.
"""

from __future__ import annotations

import torch

from isolux.nonparametric.growth import Growth
from isolux.nonparametric.shells import STEP
from isolux.types import PerGalaxy, Tensor

ETA = 0.2
EXTENT = 2.0
"""Petrosian radii within which the Petrosian magnitude is."""
KRON_EXTENT = 2.5
"""Kron radii within which the Kron magnitude is."""


def petrosian_radius(growth: Growth, width: PerGalaxy) -> tuple[PerGalaxy, PerGalaxy]:
    """Petrosian radius and its error, each (galaxy,); NaN where there is none within the growth curve.

    Parameters
    ----------
    growth : Growth
        Of ellipses; radii are those of circles of the same area.
    width : Tensor
        (galaxy,): width of the ring in the same pixels.
    """
    ratio = brightness_ratio(growth, width)
    radius = growth.radius
    first = 2  # one pixel
    faint = (ratio < ETA) & (radius >= STEP * first) & (radius + 0.5 * width[:, None] <= growth.last[:, None])
    k = faint.to(torch.uint8).argmax(1, keepdim=True)
    found = faint.any(1) & (k[:, 0] > first)
    k = k.clamp_min(1)
    outer, inner = ratio.gather(1, k)[:, 0], ratio.gather(1, k - 1)[:, 0]
    answer = STEP * (k[:, 0] - 1 + (inner - ETA) / (inner - outer))
    answer = torch.where(found, answer, torch.nan)
    return answer, _petrosian_error(growth, ratio, answer, width)


def brightness_ratio(growth: Growth, width: PerGalaxy) -> Tensor:
    """Mean brightness of rings over that within (galaxy, node); infinite where no light is within."""
    radius = growth.radius.expand_as(growth.flux)
    half = 0.5 * width[:, None]
    low, high = (radius - half).clamp_min(0), radius + half
    ring = (growth.at(high) - growth.at(low)) / (high**2 - low**2)
    mean = growth.flux / radius.clamp_min(STEP) ** 2
    return torch.where(mean > 0, ring / mean, torch.inf)


def _petrosian_error(growth: Growth, ratio: Tensor, radius: PerGalaxy, width: PerGalaxy) -> PerGalaxy:
    """The error of the ratio over its slope, which is taken over a tenth of the radius to each side."""
    at = radius.nan_to_num(1.0)[:, None]
    half = 0.5 * width[:, None]
    low, high = (at - half).clamp_min(0), at + half
    within, ring = growth.at(at), growth.at(high) - growth.at(low)
    ring_noise = (growth.at(high, growth.variance) - growth.at(low, growth.variance)).clamp_min(0)
    ring_noise = ring_noise + ring.clamp_min(0) / growth.gain[:, None]
    area = (high**2 - low**2) / at**2
    spread = torch.sqrt(ring_noise / (within * area) ** 2 + ETA**2 * growth.noise(at) / within**2)
    reach = (0.1 * at).clamp_min(1.0)
    clean = torch.where(torch.isfinite(ratio), ratio, 1.0)
    inner, outer = growth.at((at - reach).clamp_min(1.0), clean), growth.at(at + reach, clean)
    steep = (inner - outer) / (2 * reach)
    return torch.where((steep > 0) & torch.isfinite(radius)[:, None], spread / steep, torch.nan)[:, 0]


def kron_radius(growth: Growth, limit: PerGalaxy, loose: PerGalaxy) -> tuple[PerGalaxy, PerGalaxy]:
    """Mean radius of the light within ``limit`` +- ``loose`` and its error, each (galaxy,); NaN without light."""
    end = limit[:, None]
    within = growth.at(end)[:, 0]
    below = torch.floor(end / STEP).long().clamp(0, growth.flux.shape[1] - 1)
    sums = torch.nn.functional.pad(STEP * 0.5 * (growth.flux[:, 1:] + growth.flux[:, :-1]).cumsum(1), (1, 0))
    rest = (end - STEP * below) * 0.5 * (growth.at(end) + growth.flux.gather(1, below))
    integral = (sums.gather(1, below) + rest)[:, 0]
    mean = torch.where(within > 0, limit - integral / within, torch.nan)
    middle = growth.radius[1:] - 0.5 * STEP
    noise = growth.variance.diff() + growth.flux.diff().clamp_min(0) / growth.gain[:, None]
    counted = (middle < end) * (middle - mean[:, None]) ** 2
    moved = growth.slope(end)[:, 0] * (limit - mean) * loose.nan_to_num(0.0)
    return mean, torch.sqrt((noise * counted).sum(1) + moved**2) / within
