r"""The modified Ferrer profile (Ferrers 1877, Laurikainen et al. 2005; Chen et al. 2024, equations 9 and 10).

    I(r) = I_0 [1 - (r / r_out)^(2 - b)]^a     for r < r_out, 0 beyond

    F    = pi q r_out^2 I_0 a beta(a, 1 + 2 / (2 - b)) / r_box

The exponent a says how abruptly the light ends at r_out, b how cuspy the centre is (the text below equation
9 has the two the other way round; the names here are GALFIT's). Bounds: a = 1/2 is the projection of a
homogeneous ellipsoid, the sharpest of Ferrers' family; at b = 2 the profile vanishes, and b = -8 is a
plateau over most of the bar. How the edge is treated says :mod:`isolux.profiles.truncation`.
"""

import math
from collections.abc import Mapping

import torch

from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.profiles.truncation import power_slopes, power_to_zero
from isolux.types import Points, Tensor

OUTER_RADIUS = Parameter(
    "outer_radius",
    "pixel",
    "semi-major axis where the light ends, before the PSF",
    lower=0.1,
    upper=5000.0,
    log=True,
    step=0.05,
    guess="radius",
    guess_factor=2.2,
)
SHARPNESS = Parameter(
    "truncation_sharpness", "", "exponent a: small ends abruptly", 0.5, 10.0, log=True, default=2.0, step=0.05
)
CENTRAL_SLOPE = Parameter(
    "central_slope", "", "exponent b: 0 flat centre, near 2 a cusp", -8.0, 1.9, default=0.0, step=0.1
)


class Ferrer(RadialProfile):
    """The modified Ferrer profile: bars."""

    parameters = (OUTER_RADIUS, SHARPNESS, CENTRAL_SLOPE)
    fineness = 5

    def brightness(
        self, r: Points, outer_radius: Tensor, truncation_sharpness: Tensor, central_slope: Tensor
    ) -> Points:
        """[1 - (r/r_out)^(2-b)]^a, zero beyond r_out."""
        logarithm = torch.log((r / outer_radius).clamp_max(1.0))
        return power_to_zero(-torch.expm1((2 - central_slope) * logarithm), truncation_sharpness)

    def total(self, outer_radius: Tensor, truncation_sharpness: Tensor, central_slope: Tensor) -> Tensor:
        """Flux pi r_out^2 a beta(a, 1 + 2/(2-b))."""
        a, c = truncation_sharpness, 2 / (2 - central_slope)
        log_beta = torch.lgamma(a + 1) + torch.lgamma(1 + c) - torch.lgamma(1 + c + a)
        return math.pi * outer_radius**2 * torch.exp(log_beta)

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Closed forms, with s = (r/r_out)^(2-b) and p(w) = w^a: f' = -p'(1 - s) (2 - b) s / r."""
        radius, power = shape["outer_radius"], 2 - shape["central_slope"]
        logarithm = torch.log((r / radius).clamp_max(1.0))
        w = -torch.expm1(power * logarithm)
        f, by_w, by_sharpness = power_slopes(w, shape["truncation_sharpness"])
        fall = torch.where(w > 0, by_w, torch.zeros_like(by_w)) * (1 - w)
        maps = {}
        if "outer_radius" in wanted:
            maps["outer_radius"] = fall * power / radius
        if "truncation_sharpness" in wanted:
            maps["truncation_sharpness"] = by_sharpness
        if "central_slope" in wanted:
            maps["central_slope"] = fall * logarithm
        return f, -fall * power / r, maps
