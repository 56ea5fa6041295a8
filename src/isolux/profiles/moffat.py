r"""The Moffat profile (Moffat 1969; equations 13 to 15 of Chen et al. 2024).

    I(r) = I_0 [1 + (r / r_d)^2]^(-beta),     r_d = fwhm / (2 sqrt(2^(1/beta) - 1))

    F    = pi q r_d^2 I_0 / ((beta - 1) r_box)

The flux is finite for beta > 1 alone. Bounds of beta: below 1.05 more than a tenth of the light lies beyond
1e9 times the width; above 100 the profile is a Gaussian to 1 per cent of the peak.
"""

import dataclasses
import math
from collections.abc import Mapping

import torch

from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.profiles.gaussian import FWHM
from isolux.types import Points, Tensor

WIDTH = dataclasses.replace(FWHM, guess_factor=1.6)
BETA = Parameter(
    "beta",
    "",
    "concentration: small has wide wings, large is Gaussian",
    1.05,
    100.0,
    log=True,
    default=3.0,
    step=0.05,
)


def core_radius(fwhm: Tensor, beta: Tensor) -> Tensor:
    """r_d: radius where the brightness has fallen by 2^beta."""
    return 0.5 * fwhm / torch.sqrt(torch.expm1(math.log(2) / beta))


class Moffat(RadialProfile):
    """The Moffat profile: point sources and their wings."""

    parameters = (WIDTH, BETA)

    def brightness(self, r: Points, fwhm: Tensor, beta: Tensor) -> Points:
        """[1 + (r/r_d)^2]^(-beta)."""
        return torch.exp(-beta * torch.log1p((r / core_radius(fwhm, beta)) ** 2))

    def total(self, fwhm: Tensor, beta: Tensor) -> Tensor:
        """Flux pi r_d^2 / (beta - 1)."""
        return math.pi * core_radius(fwhm, beta) ** 2 / (beta - 1)

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Closed forms, with u = (r/r_d)^2: f' = -2 beta f u / (r (1 + u))."""
        fwhm, beta = shape["fwhm"], shape["beta"]
        u = (r / core_radius(fwhm, beta)) ** 2
        logarithm = torch.log1p(u)
        f = torch.exp(-beta * logarithm)
        share = u / (1 + u)
        fall = 2 * beta * f * share
        maps = {}
        if "fwhm" in wanted:
            maps["fwhm"] = fall / fwhm
        if "beta" in wanted:
            power = math.log(2) / beta
            maps["beta"] = f * (share * (power / -torch.expm1(-power)) - logarithm)
        return f, -fall / r, maps
