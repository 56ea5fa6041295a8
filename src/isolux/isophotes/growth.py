r"""Curves of growth, and the radii and magnitudes that follow from them.

The flux inside an ellipse is

    F(a) = integral of I dA + sum over good pixels inside of (pixel - I(a of the pixel)),

the integral of the profile over the ellipse's area and what the pixels add to it. Masked pixels and those outside of
the stamp so have the brightness of their isophote, and that pixels are square costs nothing.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.isophotes.ellipses import FIRST, RATIO, axis_ratio
from isolux.isophotes.pixels import running
from isolux.isophotes.rings import Bench
from isolux.types import PerGalaxy, Points, Tensor

STEPS = 4
"""Points a node of the fine grid that is integrated over."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """Light inside ellipses on a fine grid, in units of the noise of a pixel; each (galaxy, point).

    Attributes
    ----------
    sma : Tensor
        Semi-major axes in pixels, from zero.
    level : Tensor
        The profile.
    flux, variance : Tensor
        Inside, and its variance by the noise of pixels.
    area : Tensor
        Of the ellipses in pixels; times the error of the sky an error of the flux.
    masked : Tensor
        Pixels inside that are masked or outside the stamp.
    """

    sma: Points
    level: Points
    flux: Points
    variance: Points
    area: Points
    masked: Points

    @classmethod
    def of(cls, bench: Bench, sky: PerGalaxy) -> Growth:
        """From the profile of a bench, less a sky (galaxy,)."""
        shape = bench.fitted.ellipses.shape
        count, device = shape.shape[1], shape.device
        steps = torch.arange(STEPS * (count - 1) + 1, dtype=torch.float64, device=device) / STEPS
        core = FIRST * torch.arange(STEPS, dtype=torch.float64, device=device) / STEPS
        sma = torch.cat([core, FIRST * RATIO**steps]).expand(len(shape), -1)
        level = bench.profile.at(sma) - sky[:, None]
        area = math.pi * sma**2 * axis_ratio(bench.fitted.ellipses.shape_at(sma))
        area = area.cummax(1).values
        mean = 0.5 * (level[:, 1:] + level[:, :-1])
        whole = torch.nn.functional.pad(torch.cumsum(mean * area.diff(dim=1), 1), (1, 0))
        ordered = bench.ordered
        here = torch.searchsorted(ordered.sma, sma.float().contiguous())
        rest, noise, good = (
            running(t).gather(1, here)
            for t in (
                bench.residual * ordered.good,
                torch.where(ordered.good > 0, ordered.variance, 1.0),
                ordered.good,
            )
        )
        outside = (area - here).clamp_min(0)
        return cls(sma, level, whole + rest, noise + outside, area, (area - good).clamp_min(0))

    def at(self, sma: Points) -> tuple[Points, Points, Points]:
        """Flux, its variance by pixels' noise, and area (galaxy, ring) inside ellipses, linear between points."""
        grid = self.sma.contiguous()
        above = torch.searchsorted(grid, sma.contiguous()).clamp(1, grid.shape[1] - 1)
        low, high = grid.gather(1, above - 1), grid.gather(1, above)
        share = ((sma - low) / (high - low)).clamp(0, 1)
        return tuple(
            one.gather(1, above - 1) * (1 - share) + one.gather(1, above) * share
            for one in (self.flux, self.variance, self.area)
        )  # type: ignore[return-value]

    def significance(self, sky_error: PerGalaxy) -> PerGalaxy:
        """Largest signal-to-noise (galaxy,) of the flux inside any ellipse of more than a few pixels."""
        error = torch.sqrt(self.variance + (self.area * sky_error[:, None]) ** 2)
        ratio = torch.where(self.area > 4, self.flux / error.clamp_min(1e-9), 0.0)
        return torch.nan_to_num(ratio).amax(1)

    def radius(self, share: float, end: PerGalaxy, sky_error: PerGalaxy) -> tuple[PerGalaxy, PerGalaxy]:
        """Semi-major axis with a share of the flux inside ``end`` (galaxy,), and its error."""
        total, noise, area = (t[:, 0] for t in self.at(end[:, None]))
        reached = self.flux >= share * total[:, None]
        above = reached.to(torch.uint8).argmax(1, keepdim=True).clamp_min(1)
        found = self._crossing(self.flux, above, share * total[:, None])
        _, inner, inside = (t[:, 0] for t in self.at(found[:, None]))
        steep = ((self.flux.gather(1, above) - self.flux.gather(1, above - 1)) / self._width(above))[:, 0]
        # Light outside the radius moves it by a share of itself, light inside by what is left of one.
        variance = share**2 * (noise - inner).clamp_min(0) + (1 - share) ** 2 * inner
        variance = variance + ((share * area - inside) * sky_error) ** 2
        usable = (total > 0) & reached.any(1) & (found <= end) & (steep > 0)
        error = torch.sqrt(variance) / steep.clamp_min(1e-12)
        return torch.where(usable, found, torch.nan), torch.where(usable, error, torch.nan)

    def isophote(self, level: PerGalaxy, end: PerGalaxy, variance: Tensor) -> tuple[PerGalaxy, PerGalaxy]:
        """Outermost semi-major axis (galaxy,) where the profile has a brightness, and its error.

        ``variance`` (galaxy, point) is that of the profile.
        """
        inside = self.sma <= end[:, None]
        bright = (self.level >= level[:, None]) & inside
        number = torch.arange(self.sma.shape[1], device=self.sma.device)
        last = torch.where(bright, number, -1).amax(1, keepdim=True)
        above = (last + 1).clamp(1, self.sma.shape[1] - 1)
        found = self._crossing(self.level, above, level[:, None])
        steep = ((self.level.gather(1, above) - self.level.gather(1, above - 1)) / self._width(above))[:, 0]
        error = torch.sqrt(variance.gather(1, above)[:, 0]) / (-steep).clamp_min(1e-12)
        usable = (last[:, 0] >= 0) & inside.gather(1, above)[:, 0] & (steep < 0)
        return torch.where(usable, found, torch.nan), torch.where(usable, error, torch.nan)

    def _crossing(self, values: Points, above: Tensor, target: Tensor) -> PerGalaxy:
        one, two = values.gather(1, above - 1), values.gather(1, above)
        share = (target - one) / torch.where((two - one).abs() > 1e-30, two - one, 1.0)
        low = self.sma.gather(1, above - 1)
        return (low + share.clamp(0, 1) * self._width(above))[:, 0]

    def _width(self, above: Tensor) -> Tensor:
        return self.sma.gather(1, above) - self.sma.gather(1, above - 1)
