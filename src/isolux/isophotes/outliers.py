"""Neighbours, stars and defects: pixels that stand out of their ring.

A pixel is compared with the middle and the 68.3 % interval of the pixels of its ring, so that what goes round the
galaxy, such as noise and spiral arms, is no outlier, and another galaxy is; nor is what has less than twice the ring's
brightness, since arms and clumps belong to the galaxy. Means over 3 x 3 pixels that lie far above
are seeds; around them the mask grows as far as such means stay clearly above, and then by two pixels.
"""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional

from isolux.isophotes.light import Light
from isolux.isophotes.pixels import Curve, Ordered
from isolux.types import Images, PerGalaxy, Points, Tensor

SEED, GROW = 6.0, 1.8
"""Standard deviations of the means that begin a mask and that it grows over."""
ROUNDS = 24
"""Pixels that it may grow."""
STRUCTURE = 1.0
"""Half-interval of a ring's structure, beyond noise, that counts as one standard deviation of a mean."""
HIGH = 0.3
"""What the upper half-interval counts beside the lower one, since neighbours widen it."""
NEAREST = 4.0
"""Semi-major axis in pixels inside which nothing is masked: pixels there differ because the galaxy is steep."""
MARGIN = 2
CONTRAST = 1.0, 0.4
"""Excess over the brightness of the ring that begins a mask and that it grows over: arms have less, stars have more."""
ONE_SIDED = 6.0, 2.5
"""Pixels from the centre, and brightness over that on the other side, from which on a pixel is one-sided."""


@dataclasses.dataclass(frozen=True)
class Scatter:
    """Middle and half-interval (galaxy, node) of the pixels' light about the profile."""

    middle: Points
    low: Points
    high: Points

    @classmethod
    def of(cls, percentiles: Tensor) -> Scatter:
        """From percentiles (galaxy, node, 3); rings without pixels have those of the ring inside."""
        filled = carried(percentiles)
        return cls(filled[..., 1], filled[..., 1] - filled[..., 0], filled[..., 2] - filled[..., 1])


def carried(values: Tensor) -> Tensor:
    """Values (galaxy, node, ...) with those of the node inside where they are NaN; zero before the first."""
    found = values.clone()
    found[:, 0] = torch.nan_to_num(found[:, 0])
    for k in range(1, found.shape[1]):
        found[:, k] = torch.where(torch.isnan(found[:, k]), found[:, k - 1], found[:, k])
    return found


def find_outliers(light: Light, sma: Images, ordered: Ordered, residual: Points, scatter: Scatter) -> Tensor:
    """Pixels (galaxy, y, x) of bool that stand out, from the residuals (galaxy, pixel) in the order of the pixels."""
    size = light.size
    zero = torch.zeros_like(scatter.middle[:, 0])
    middle = Curve(zero, scatter.middle).at(ordered.sma)
    spread = torch.maximum(scatter.low, HIGH * scatter.high)
    low = Curve(zero, spread).at(ordered.sma).clamp_min(0)
    excess = (residual - middle) * ordered.good
    structure = (low * low - ordered.variance).clamp_min(0)
    flat = torch.zeros(4, *ordered.sma.shape, device=sma.device)
    ring = (ordered.light - residual + middle).clamp_min(0)
    for k, values in enumerate((excess, ordered.variance * ordered.good, structure, ring)):
        flat[k].scatter_(1, ordered.number, values)
    excess, variance, structure, ring = (t.view(-1, *size) for t in flat)
    sums = functional.avg_pool2d(
        torch.stack([excess, variance, light.good], 1), 3, 1, 1, count_include_pad=True
    )
    count = sums[:, 2].clamp_min(1 / 9)
    error = torch.sqrt(sums[:, 1] / (9 * count) / count + STRUCTURE**2 * structure)
    mean = sums[:, 0] / count
    sure = mean / error.clamp_min(1e-9)
    outside = sma > NEAREST
    grown = (sure > SEED) & (mean > CONTRAST[0] * ring) & outside
    room = (sure > GROW) & (mean > CONTRAST[1] * ring) & outside
    for _ in range(ROUNDS):
        grown = _dilated(grown) & room
    for _ in range(MARGIN):
        grown = _dilated(grown)
    return grown & outside


def find_one_sided(light: Light, x: PerGalaxy, y: PerGalaxy) -> Tensor:
    """Pixels (galaxy, y, x) of bool far brighter than those on the other side of the centre.

    Bars, arms and discs are nearly the same when they are turned by half a circle, a galaxy with its neighbour is not:
    a first mask that needs no isophotes, without which those of the first steps would reach out to the neighbour.
    """
    tall, wide = light.size
    mean, variance, good = (
        functional.avg_pool2d(t[:, None], 3, 1, 1)[:, 0]
        for t in (light.image, light.variance * light.good, light.good)
    )
    count = good.clamp_min(1 / 9)
    mean, variance = mean / count, variance / (9 * count * count)
    rows, columns = (torch.arange(n, device=x.device) for n in (tall, wide))
    v, u = (torch.round(2 * c).long()[:, None] - n for c, n in ((y, rows), (x, columns)))
    there = ((v >= 0) & (v < tall))[:, :, None] & ((u >= 0) & (u < wide))[:, None, :]
    place = (v.clamp(0, tall - 1)[:, :, None] * wide + u.clamp(0, wide - 1)[:, None, :]).flatten(1)
    other, noise, known = (t.flatten(1).gather(1, place).view_as(mean) for t in (mean, variance, good))
    away = (columns - x[:, None]).square()[:, None, :] + (rows - y[:, None]).square()[:, :, None]
    usable = there & (known > 0.5) & (away > ONE_SIDED[0] ** 2)
    sure = (mean - other) / torch.sqrt(variance + noise).clamp_min(1e-9)
    excess = usable & (mean > ONE_SIDED[1] * other.clamp_min(0))
    grown, room = excess & (sure > SEED), excess & (sure > GROW)
    for _ in range(ROUNDS):
        grown = _dilated(grown) & room
    return _dilated(grown)


def _dilated(mask: Tensor) -> Tensor:
    """A mask (galaxy, y, x) of bool with the eight pixels around each."""
    wide = mask.clone()
    wide[:, :, 1:] |= mask[:, :, :-1]
    wide[:, :, :-1] |= mask[:, :, 1:]
    tall = wide.clone()
    tall[:, 1:] |= wide[:, :-1]
    tall[:, :-1] |= wide[:, 1:]
    return tall
