r"""The sky under a galaxy whose outskirts reach to the stamp's edge.

The brightness of wide rings, from where it falls below a few sky noises a pixel to the last ring, is compared with

    I(a) = s + A exp(-beta m ((a / a_0)^(1/m) - 1))

for several slopes beta at a_0 and shapes m; s and A >= 0 follow by least squares. The sky is the mean of s over the
curves, each weighed with its likelihood, and its error holds both the error of each s and how much they differ: where
the stamp is large that is the error of a mean over the empty pixels, where the galaxy fills it, honestly more.
"""

from __future__ import annotations

import torch

from isolux.isophotes.rings import Rings
from isolux.isophotes.steady import steady
from isolux.types import PerGalaxy, Points, Tensor

SLOPES = (1.5, 2.0, 2.75, 3.75, 5.0, 7.0, 10.0)
SHAPES = (0.7, 1.0, 2.0, 4.0)
BELOW = 2.0
"""Brightness in sky noises a pixel at which the tail begins."""
FEWEST = 9
"""Rings of a tail at least."""
LEAST_PIXELS, LEAST_WITHIN = 12, 0.25
MISFIT = 0.04
"""Part of the brightness above the sky by which a curve may be wrong."""


def sky_of_tail(rings: Rings) -> tuple[PerGalaxy, PerGalaxy, PerGalaxy]:
    """Sky and its error, and the brightness of the tail's last ring over its error, each (galaxy,).

    Parameters
    ----------
    rings : Rings
        Rings that touch but do not overlap.
    """
    level, variance = rings.level, rings.variance
    usable = torch.isfinite(level) & (rings.pixels >= LEAST_PIXELS) & (rings.within > LEAST_WITHIN)
    usable &= (rings.sma > 3) & (variance > 0)
    number = torch.arange(level.shape[1], device=level.device)
    last = torch.where(usable, number, -1).amax(1)
    dim = usable & (level < BELOW)
    first = torch.where(dim, number, level.shape[1]).amin(1)
    first = torch.minimum(first, (last - FEWEST + 1)).clamp_min(0)
    used = usable & (number >= first[:, None])
    begin = rings.sma.gather(1, first[:, None])
    light = torch.where(used, level, 0.0)
    base = torch.where(used, light, torch.inf).amin(1, keepdim=True)
    above = torch.where(used, light - torch.where(torch.isfinite(base), base, 0.0), 0.0)
    weight = torch.where(used, 1 / (variance.clamp_min(1e-12) + (MISFIT * above) ** 2), 0.0)
    return _average(rings.sma, begin, light, weight, used)


def _average(
    sma: Points, begin: Tensor, light: Points, weight: Points, used: Tensor
) -> tuple[PerGalaxy, PerGalaxy, PerGalaxy]:
    slope, shape = (
        t.flatten().to(light)[None, :, None]
        for t in torch.meshgrid(torch.tensor(SLOPES), torch.tensor(SHAPES), indexing="ij")
    )
    ratio = (sma / begin).clamp_min(1e-3)[:, None]
    power = steady(torch.exp, steady(torch.log, ratio) / shape)
    curve = steady(torch.exp, (-slope * shape * (power - 1)).clamp(-60, 20)) * used[:, None]
    one, two = weight.sum(1, keepdim=True), (weight[:, None] * curve**2).sum(2)
    both = (weight[:, None] * curve).sum(2)
    data, along = (weight * light).sum(1, keepdim=True), (weight[:, None] * curve * light[:, None]).sum(2)
    determinant = (one * two - both**2).clamp_min(1e-12 * (one * two).clamp_min(1e-30))
    height = ((one * along - both * data) / determinant).clamp_min(0.0)
    sky = (data - both * height) / one.clamp_min(1e-30)
    rest = (light[:, None] - (sky[..., None] + height[..., None] * curve)) * used[:, None]
    chi2 = (weight[:, None] * rest**2).sum(2)
    best = chi2.amin(1, keepdim=True)
    freedom = (used.sum(1, keepdim=True) - 3).clamp_min(1)
    excess = (best / freedom).clamp_min(1.0)
    odds = steady(torch.exp, -0.5 * (chi2 - best) / excess)
    share = odds / odds.sum(1, keepdim=True)
    mean = (share * sky).sum(1)
    own = torch.where(height > 0, two / determinant, 1 / one.clamp_min(1e-30)) * excess
    variance = (share * (own + (sky - mean[:, None]) ** 2)).sum(1)
    none = used.sum(1) < 4
    tail = (share * height * curve.gather(2, _last(used, curve))[..., 0]).sum(1)
    error = torch.sqrt(variance)
    return torch.where(none, 0.0, mean), torch.where(none, 0.1, error), torch.where(none, 0.0, tail / error)


def _last(used: Tensor, curve: Tensor) -> Tensor:
    number = torch.arange(used.shape[1], device=used.device)
    return torch.where(used, number, 0).amax(1)[:, None, None].expand(-1, curve.shape[1], 1)
