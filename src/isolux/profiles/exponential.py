r"""The exponential disc (Freeman 1970; equations 7 and 8 of Chen et al. 2024).

I(r) = I_0 exp(-r / r_s)

F    = 2 pi q r_s^2 I_0 / r_box
"""

import math
from collections.abc import Mapping

import torch

from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.types import Points, Tensor

HALF_LIGHT = 1.6783469900166605
"""Half-light radius over scale radius: (1 + x) exp(-x) = 1/2."""
SCALE_RADIUS = Parameter(
    "scale_radius",
    "pixel",
    "e-folding semi-major axis, before the PSF",
    lower=0.03,
    upper=3000.0,
    log=True,
    step=0.05,
    guess="radius",
    guess_factor=0.596,
)


class Exponential(RadialProfile):
    """The exponential disc: a Sérsic profile of index 1 with effective radius 1.678 r_s."""

    parameters = (SCALE_RADIUS,)

    def brightness(self, r: Points, scale_radius: Tensor) -> Points:
        """exp(-r/r_s)."""
        return torch.exp(-r / scale_radius)

    def total(self, scale_radius: Tensor) -> Tensor:
        """2 pi r_s^2."""
        return 2 * math.pi * scale_radius**2

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Closed forms: f' = -f / r_s, df/dr_s = f r / r_s^2."""
        scale_radius = shape["scale_radius"]
        f = torch.exp(-r / scale_radius)
        by_radius = -f / scale_radius
        maps = {"scale_radius": -by_radius * (r / scale_radius)} if "scale_radius" in wanted else {}
        return f, by_radius, maps
