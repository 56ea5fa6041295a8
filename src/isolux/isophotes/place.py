"""Where the galaxy is: the stamp's own, although something brighter is near.

The source of a stamp is its brightest place, weighed down with the distance from the middle (:mod:`isolux.source`). A
star some way off may win by its brightness. So the brightest pixel in the middle is asked whether it belongs to a
source of its own: on the way from there to the source the light must fall far below it. If it falls to next to nothing,
they are two, and the one in the middle is meant; if it falls to less than half, there may be one galaxy with a knot in
the middle of the stamp, and the brighter one within half of their distance is taken.
"""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.isophotes.light import Light
from isolux.isophotes.options import IsophoteOptions
from isolux.source import Source, measure_source
from isolux.types import PerGalaxy, Tensor

NEAR, BESIDE, CLEARLY = 12.0, 3.0, (1.25, 2.5)
"""Pixels around a source, and around the middle, within which a brighter place is looked for; by what factor and how
many noises it must be brighter."""
MIDDLE = 4.0, 0.02
"""The middle of a stamp: so many pixels around it, or sides, if that is more."""
APART = 6.0
"""Pixels from the middle within which a source is that of the middle."""
VALLEY = 0.2, 0.5
"""Light on the way over that of the middle, below which there are two sources, and two if the middle's is brighter."""
SURE = 7.0
"""Standard deviations by which the middle must rise above the way."""
STEPS = 64
ROUND = 0.9
"""Axis ratio to begin with where nothing is known of it."""


def middle_of(batch: Batch) -> tuple[PerGalaxy, PerGalaxy]:
    """Column and row (galaxy,) of the middle of each stamp."""
    sizes = (batch.width, batch.height)
    x, y = (torch.tensor(n, dtype=torch.float64, device=batch.image.device) for n in sizes)
    return 0.5 * (x - 1), 0.5 * (y - 1)


def place_source(batch: Batch, light: Light, source: Source, options: IsophoteOptions) -> Source:
    """The source that is meant, with its brightest place as its centre.

    Parameters
    ----------
    batch : Batch
        The stamps.
    light : Light
        Above the sky, in units of the noise.
    source : Source
        The brightest, or with ``place="middle"`` that in the middle.
    options : IsophoteOptions
        ``place`` counts.
    """
    seen = Seen.of(light)
    if options.place == "middle":
        return _at_peak(seen, source, BESIDE)
    found = _at_peak(seen, source, NEAR)
    if options.place == "brightest":
        return found
    x, y = _brightest(seen, batch)
    own = _is_own(seen, light, found, x, y, middle_of(batch))
    return _moved(batch, found, own, x, y) if bool(own.any()) else found


def _moved(batch: Batch, source: Source, own: Tensor, x: PerGalaxy, y: PerGalaxy) -> Source:
    """The source with those at (x, y) where these are meant; round where its moments are drawn off to another."""
    other = measure_source(batch, (torch.where(own, x, source.x), torch.where(own, y, source.y)))
    kept = torch.hypot(other.x - x, other.y - y) <= BESIDE
    ratio = torch.where(kept, other.axis_ratio, ROUND)
    return dataclasses.replace(
        source,
        x=torch.where(own, torch.where(kept, other.x, x), source.x),
        y=torch.where(own, torch.where(kept, other.y, y), source.y),
        axis_ratio=torch.where(own, ratio, source.axis_ratio),
        position_angle=torch.where(own, other.position_angle, source.position_angle),
    )


@dataclasses.dataclass(frozen=True)
class Seen:
    """Means over 3 x 3 pixels (galaxy, y, x), and their errors; the means minus infinite where most are masked."""

    mean: Tensor
    error: Tensor

    @classmethod
    def of(cls, light: Light) -> Seen:
        """Of stamps."""
        mean, variance, good = (
            functional.avg_pool2d(t[:, None], 3, 1, 1)[:, 0]
            for t in (light.image, light.variance * light.good, light.good)
        )
        count = good.clamp_min(1e-3)
        return cls(torch.where(good > 0.5, mean / count, -torch.inf), torch.sqrt(variance / 9) / count)

    def at(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and error at the pixels nearest to positions (galaxy, point)."""
        tall, wide = self.mean.shape[1:]
        place = y.round().long().clamp(0, tall - 1) * wide + x.round().long().clamp(0, wide - 1)
        return self.mean.flatten(1).gather(1, place), self.error.flatten(1).gather(1, place)

    def away(self, x: PerGalaxy, y: PerGalaxy) -> Tensor:
        """Squared distances (galaxy, y, x) from positions (galaxy,)."""
        rows, columns = (torch.arange(n, device=x.device) for n in self.mean.shape[1:])
        return (columns - x[:, None]).square()[:, None, :] + (rows - y[:, None]).square()[:, :, None]

    def peak(self, x: PerGalaxy, y: PerGalaxy, reach: PerGalaxy) -> tuple[PerGalaxy, PerGalaxy, PerGalaxy]:
        """Column, row and mean (galaxy,) of the brightest place within reach of positions."""
        near = torch.where(self.away(x, y) <= reach[:, None, None] ** 2, self.mean, -torch.inf).flatten(1)
        best = near.argmax(1, keepdim=True)
        wide = self.mean.shape[2]
        return (best % wide)[:, 0].to(x), (best // wide)[:, 0].to(x), near.gather(1, best)[:, 0]


def _brightest(seen: Seen, batch: Batch) -> tuple[PerGalaxy, PerGalaxy]:
    """The brightest place (galaxy,) in the middle of each stamp."""
    x, y = middle_of(batch)
    reach = (MIDDLE[1] * (2 * torch.minimum(x, y) + 1)).clamp_min(MIDDLE[0])
    return seen.peak(x, y, reach)[:2]


def _is_own(
    seen: Seen,
    light: Light,
    source: Source,
    x: PerGalaxy,
    y: PerGalaxy,
    middle: tuple[PerGalaxy, PerGalaxy],
) -> Tensor:
    """Whether (galaxy,) the place (x, y) in the middle belongs to another source than the one that was found."""
    share = torch.linspace(0, 1, STEPS, dtype=torch.float64, device=x.device)
    way = seen.at(*(a[:, None] + (b - a)[:, None] * share for a, b in ((x, source.x), (y, source.y))))[0]
    valley = torch.where(torch.isfinite(way), way, torch.inf).amin(1)
    level, error = (t[:, 0] for t in seen.at(x[:, None], y[:, None]))
    far = torch.hypot(source.x - middle[0], source.y - middle[1]) > APART
    sure = far & torch.isfinite(level) & (level - valley.clamp_min(0) > SURE * error)
    around = 0.25 * ((x - source.x).square() + (y - source.y).square())[:, None, None]
    here, there = (
        torch.where(seen.away(a, b) <= around, light.image, 0.0).double().sum((1, 2))
        for a, b in ((x, y), (source.x, source.y))
    )
    return sure & ((valley < VALLEY[0] * level) | ((valley < VALLEY[1] * level) & (here > there)))


def _at_peak(seen: Seen, source: Source, reach: float) -> Source:
    """The source with the brightest place near it as its centre, if that is clearly brighter: a pair's lies between."""
    tall, wide = seen.mean.shape[1:]
    x, y = source.x.round().clamp(0, wide - 1), source.y.round().clamp(0, tall - 1)
    here = seen.at(x[:, None], y[:, None])[0][:, 0]
    column, row, peak = seen.peak(x, y, torch.full_like(x, reach))
    clear = (peak > CLEARLY[0] * here.clamp_min(0)) & (peak - here > CLEARLY[1]) & torch.isfinite(peak)
    return dataclasses.replace(
        source, x=torch.where(clear, column, source.x), y=torch.where(clear, row, source.y)
    )
