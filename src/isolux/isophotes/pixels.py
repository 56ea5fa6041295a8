"""Pixels in the order of their semi-major axis: sums over any ring, however many, are differences of running sums.

A ring of semi-major axis a and width w is the pixels between a - w / 2 and a + w / 2. Since the brightness falls within
it, what is averaged is each pixel less the profile at its own semi-major axis, and the profile at a is added again:
an error of the profile's slope then matters only as far as the pixels of a ring are not centred on it.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from isolux.isophotes.ellipses import FIRST, RATIO
from isolux.isophotes.harmonics import in_order
from isolux.isophotes.light import Light
from isolux.isophotes.steady import steady
from isolux.types import Images, Points, Tensor

SAMPLE = 96
"""Pixels of a ring that its percentiles are taken of, evenly spread over it."""
QUANTILES = (0.15865, 0.5, 0.84135)


@dataclasses.dataclass(frozen=True)
class Ordered:
    """The pixels of each stamp in the order of their semi-major axis, masked ones left out of sums.

    Attributes
    ----------
    sma : Tensor
        (galaxy, pixel), float32: in order.
    number : Tensor
        (galaxy, pixel): which pixel of the stamp it is.
    light, good, variance : Tensor
        (galaxy, pixel), float32.
    """

    sma: Points
    number: Tensor
    light: Points
    good: Points
    variance: Points

    @classmethod
    def of(cls, light: Light, sma: Images) -> Ordered:
        """Pixels of stamps whose semi-major axes (galaxy, y, x) are known."""
        flat = sma.flatten(1)
        on_cpu = flat.device.type == "cpu"
        number = torch.from_numpy(np.argsort(flat.numpy(), axis=1)) if on_cpu else flat.argsort(1)
        parts = (t.flatten(1).gather(1, number) for t in (flat, light.image, light.good, light.variance))
        ordered, image, good, variance = parts
        return cls(ordered, number, image, good, variance)

    def of_light(self, light: Light) -> Ordered:
        """The same with the pixels of another light."""
        parts = (t.flatten(1).gather(1, self.number) for t in (light.image, light.good, light.variance))
        return Ordered(self.sma, self.number, *parts)

    def ring(self, sma: Points, width: Points) -> tuple[Tensor, Tensor]:
        """First pixel (galaxy, ring) of rings and the one after their last."""
        low, high = (sma - 0.5 * width).float().contiguous(), (sma + 0.5 * width).float().contiguous()
        return torch.searchsorted(self.sma, low), torch.searchsorted(self.sma, high)

    def percentiles(self, values: Points, first: Tensor, last: Tensor, sample: int = SAMPLE) -> Tensor:
        """The 16th, 50th and 84th percentile (galaxy, ring, 3) of the good pixels of rings; NaN for empty ones."""
        span = (last - first)[..., None]
        steps = torch.arange(sample, device=first.device)
        # Fewer pixels than samples: each once.
        place = torch.where(
            span > sample, first[..., None] + (steps * span) // sample, first[..., None] + steps
        )
        valid = place < last[..., None]
        place = place.clamp_max(self.sma.shape[1] - 1).flatten(1)
        valid &= self.good.gather(1, place).view_as(valid) > 0
        found = torch.where(valid, values.gather(1, place).view_as(valid), torch.inf)
        ordered, count = in_order(found), valid.sum(-1, keepdim=True)
        wanted = torch.tensor(QUANTILES, device=first.device) * (count - 1).clamp_min(0)
        low = wanted.long()
        share = (wanted - low).to(ordered.dtype)
        above = torch.minimum(low + 1, (count - 1).clamp_min(0))
        one, two = ordered.gather(-1, low), ordered.gather(-1, above)
        mixed = one + share * (two - one)
        return torch.where(count > 0, mixed, torch.nan).double()


def running(values: Points) -> Tensor:
    """Sums (galaxy, pixel + 1) of all pixels before each."""
    return torch.nn.functional.pad(torch.cumsum(values, 1, dtype=torch.float64), (1, 0))


def between(sums: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Sums (galaxy, ring) over the pixels from first to before last."""
    return sums.gather(1, last) - sums.gather(1, first)


@dataclasses.dataclass(frozen=True)
class Curve:
    """A smooth function of the semi-major axis: cubic through its values at the nodes, quadratic inside the first.

    Attributes
    ----------
    centre : Tensor
        (galaxy,): at the centre.
    values : Tensor
        (galaxy, node).
    """

    centre: Tensor
    values: Points

    def at(self, sma: Points) -> Points:
        """Values (galaxy, point) at semi-major axes, in their precision."""
        count = self.values.shape[1]
        number = ((steady(torch.log, sma.clamp_min(1e-6)) - math.log(FIRST)) * (1 / math.log(RATIO))).clamp(
            0.0, count - 1.0001
        )
        low = number.long()
        t = number - low
        padded = torch.cat([self.values[:, :1], self.values, self.values[:, -1:]], 1).to(sma.dtype)
        a, b, c, d = (padded.gather(1, (low + k).clamp_max(count + 1)) for k in range(4))
        found = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        first, centre = self.values[:, :1].to(sma.dtype), self.centre[:, None].to(sma.dtype)
        return torch.where(sma < FIRST, centre + (first - centre) * (sma / FIRST) ** 2, found)
