r"""The empirical King profile with a free exponent (King 1962; Elson 1999; equation 11 of Chen et al. 2024).

    I(r) = I_0 [(1 + x^2)^(-1/alpha) - (1 + c^2)^(-1/alpha)]^alpha / [1 - (1 + c^2)^(-1/alpha)]^alpha
    x = r / r_c,  c = r_t / r_c,     for r < r_t, 0 beyond

(equation 11 as printed has the terms of the difference the other way round). With L = ln(1 + x^2) and T =
ln(1 + c^2) this is

    I(r) = I_0 e^(-L) w^alpha,     w = [1 - e^((L - T)/alpha)] / [1 - e^(-T/alpha)]

in which nothing cancels or overflows. The total, with z = (T - L)/alpha,

    F    = pi q r_c^2 alpha I_0 / r_box  int_0^(T/alpha) w^alpha dz

has a closed form for integer alpha only, but a smooth integrand; Gauss-Legendre gives it to 1e-10. King's
own profile has alpha = 2. Bounds of alpha: below 1/2 the edge is nearly a step; above 10 the light is gone
long before r_t. How the edge is treated says :mod:`isolux.profiles.truncation`.
"""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import torch

from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.profiles.truncation import power_slopes, power_to_zero
from isolux.types import Points, Tensor

CORE_RADIUS = Parameter(
    "core_radius",
    "pixel",
    "core radius along the major axis, before the PSF",
    lower=0.05,
    upper=5000.0,
    log=True,
    step=0.05,
    guess="radius",
    guess_factor=0.6,
)
TRUNCATION_RADIUS = Parameter(
    "truncation_radius",
    "pixel",
    "semi-major axis where the light ends",
    lower=0.1,
    upper=50000.0,
    log=True,
    step=0.05,
    guess="radius",
    guess_factor=6.0,
)
ALPHA = Parameter("alpha", "", "exponent: 2 is King's profile", 0.5, 10.0, log=True, default=2.0, step=0.05)

_NODES = 96
_CROWDING = 4


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1), crowded towards 0 so that z^alpha is smooth there."""
    v, weight = np.polynomial.legendre.leggauss(_NODES)
    v = 0.5 * (v + 1)
    return v**_CROWDING, 0.5 * weight * _CROWDING * v ** (_CROWDING - 1)


class King(RadialProfile):
    """The empirical King profile: globular clusters and dwarf spheroidals."""

    parameters = (CORE_RADIUS, TRUNCATION_RADIUS, ALPHA)
    fineness = 3

    def brightness(self, r: Points, core_radius: Tensor, truncation_radius: Tensor, alpha: Tensor) -> Points:
        """e^(-L) w^alpha, zero beyond r_t."""
        edge = torch.log1p((truncation_radius / core_radius) ** 2)
        inner = torch.log1p((torch.minimum(r, truncation_radius) / core_radius) ** 2)
        w = torch.expm1((inner - edge) / alpha) / torch.expm1(-edge / alpha)
        return torch.exp(-inner) * power_to_zero(w, alpha)

    def total(self, core_radius: Tensor, truncation_radius: Tensor, alpha: Tensor) -> Tensor:
        """Flux: pi r_c^2 alpha times the integral of w^alpha over z, by Gauss-Legendre."""
        nodes, weights = (torch.as_tensor(a).to(alpha) for a in _rule())
        end = torch.log1p((truncation_radius / core_radius) ** 2) / alpha
        w = torch.expm1(-end * nodes) / torch.expm1(-end)
        integral = end * (torch.exp(alpha * torch.log(w)) * weights).sum(1, keepdim=True)
        return math.pi * core_radius**2 * alpha * integral

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Closed forms, by the chain rule through L, T, w and alpha."""
        core, end, alpha = shape["core_radius"], shape["truncation_radius"], shape["alpha"]
        inside = r < end
        x2, c2 = (torch.minimum(r, end) / core) ** 2, (end / core) ** 2
        inner, edge = torch.log1p(x2), torch.log1p(c2)
        fade, rest = torch.exp(-inner) * inside, torch.expm1(-edge / alpha)
        w = torch.expm1((inner - edge) / alpha) / rest
        p, by_w, by_alpha = power_slopes(w, alpha)
        f, fall = fade * p, fade * by_w
        # dw/dL and dw/dT of w = expm1((L - T)/alpha) / expm1(-T/alpha)
        w_inner = torch.exp((inner - edge) / alpha) / (alpha * rest)
        w_edge = w * (1 + rest) / (alpha * rest) - w_inner
        by_inner, by_edge = fall * w_inner - f, fall * w_edge
        x_share, c_share = 2 * x2 / (1 + x2), 2 * c2 / (1 + c2)
        maps = {}
        if "core_radius" in wanted:
            maps["core_radius"] = -(by_inner * x_share + by_edge * c_share) / core
        if "truncation_radius" in wanted:
            maps["truncation_radius"] = by_edge * c_share / end
        if "alpha" in wanted:
            w_alpha = -(w_inner * inner + w_edge * edge) / alpha
            maps["alpha"] = fade * by_alpha + fall * w_alpha
        return f, by_inner * x_share / r, maps
