r"""The light within each radius: what growth curves hold and where they reach a given share.

Between radii a shell's light is its mean over good pixels times its whole area, so that neither masks nor the stamp's
edge take light away. Where less than a quarter of a shell is seen, the curve ends; only a masked core is given the
brightness of its rim. The noise of a sky pixel, sigma,
and the gain g make the variance of the light within r

    V(r) = sum over shells of  sigma^2 (whole area)^2 / (seen area)  +  F(r) / g.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.nonparametric.shells import STEP, Shells
from isolux.types import PerGalaxy, Tensor

SEEN = 0.25
"""Share of a shell that must be seen."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """Light within radii 0, STEP, 2 STEP, ...

    Attributes
    ----------
    flux : Tensor
        (galaxy, node), in units of the noise of a sky pixel.
    variance : Tensor
        (galaxy, node): its variance from the sky.
    seen : Tensor
        (galaxy, node): area of good pixels within.
    last : Tensor
        (galaxy,): the largest radius.
    gain : Tensor
        (galaxy,): electrons per unit of flux; infinite where photons add no noise.
    """

    flux: Tensor
    variance: Tensor
    seen: Tensor
    last: PerGalaxy
    gain: PerGalaxy

    @property
    def radius(self) -> Tensor:
        """(node,)."""
        return STEP * torch.arange(self.flux.shape[1], device=self.flux.device, dtype=torch.float64)

    def at(self, radius: Tensor, values: Tensor | None = None) -> Tensor:
        """Flux within radii (galaxy, n), cubic between nodes; or ``values`` (galaxy, node) in its place."""
        values = self.flux if values is None else values
        place = (radius / STEP).clamp(0, values.shape[1] - 1)
        first = (torch.floor(place).long() - 1).clamp(0, values.shape[1] - 4)
        return sum(weight * values.gather(1, first + k) for k, weight in enumerate(_cubic(place - first)))  # type: ignore[return-value]

    def noise(self, radius: Tensor) -> Tensor:
        """Variance (galaxy, n) of the flux within radii, of sky and photons."""
        photons = self.at(radius).clamp_min(0) / self.gain[:, None]
        return self.at(radius, self.variance).clamp_min(0) + photons

    def slope(self, radius: Tensor) -> Tensor:
        """Derivative (galaxy, n) of the flux by the radius, over a pixel."""
        low, high = (radius - 0.5).clamp_min(0), radius + 0.5
        return (self.at(high) - self.at(low)) / (high - low)

    def radius_of(self, flux: Tensor) -> Tensor:
        """The smallest radii (galaxy, n) within which there is so much light; NaN where there is not."""
        nodes = torch.arange(self.flux.shape[1], device=flux.device)
        beyond = (self.flux[:, None] >= flux[:, :, None]) & (nodes > 0)
        upper = beyond.to(torch.uint8).argmax(2)
        low, high = STEP * (upper - 1).double(), STEP * upper.double()
        for _ in range(30):
            middle = 0.5 * (low + high)
            more = (self.at(middle) >= flux).double()
            low, high = low + (1 - more) * (middle - low), high - more * (high - middle)
        found = beyond.any(2) & (high <= self.last[:, None]) & (flux > 0)
        return torch.where(found, high, torch.nan)

    def radius_errors(self, radius: Tensor, share: Tensor, total: PerGalaxy, loose: PerGalaxy) -> Tensor:
        """Covariance (galaxy, n, n) of radii that hold shares (n,) of the light within ``total`` +- ``loose``.

        r moves by -(dF(r) - share dF(total)) / F'(r); the noise of nested apertures is that of the inner one. The
        error of ``total`` (galaxy,) is added as if it had nothing to do with that.
        """
        own, whole = self.noise(radius), self.noise(total[:, None])[:, :, None]
        inner = torch.minimum(own[:, :, None], own[:, None, :])
        crossed = share[:, None] * share
        joint = inner - share[:, None] * own[:, None, :] - share * own[:, :, None] + crossed * whole
        steep = self.slope(radius)
        joint = joint + crossed * ((self.slope(total[:, None])[:, 0] * loose) ** 2)[:, None, None]
        return joint / (steep[:, :, None] * steep[:, None, :])


def growth_curve(found: Shells, gain: PerGalaxy, limit: PerGalaxy) -> Growth:
    """The growth curve of shells, out to ``limit`` (galaxy,) at most."""
    edge = STEP * torch.arange(found.light.shape[1] + 1, device=gain.device, dtype=torch.float64)
    whole = (math.pi * edge**2).diff()
    usable = found.area > SEEN * whole
    begin = usable.to(torch.uint8).argmax(1, keepdim=True)
    core = torch.arange(len(whole), device=gain.device) < begin
    mended = whole / found.area.clamp_min(1e-6)
    rim = (found.light / found.area.clamp_min(1e-6)).gather(1, begin)
    light = torch.where(core, rim * whole, found.light * mended)
    variance = torch.where(core, 0.0, whole * mended)
    usable = ((usable | core) & usable.any(1, keepdim=True)).to(torch.uint8).cummin(1)[0].double()
    light, variance = light * usable, variance * usable
    flux, noise, seen = (
        torch.nn.functional.pad(t.cumsum(1), (1, 0)) for t in (light, variance, found.area * usable)
    )
    last = torch.minimum(STEP * usable.sum(1), limit.clamp_max(float(edge[-1])))
    return Growth(flux, noise, seen, last, gain)


def _cubic(u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lagrange's weights of four nodes 0, 1, 2, 3 at u."""
    a, b, c = u - 1, u - 2, u - 3
    return -a * b * c / 6, u * b * c / 2, -u * a * c / 2, u * a * b / 6
