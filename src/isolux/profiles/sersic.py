r"""The Sérsic profile (Sérsic 1968; equations 1 and 5 of Chen et al. 2024).

I(r) = I_e exp(-b [(r / r_e)^(1/n) - 1]),     gamma(2n, b) = Gamma(2n) / 2

F    = 2 pi q r_e^2 n e^b b^(-2n) Gamma(2n) I_e / r_box
"""

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch

from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.types import Points, Tensor

EFFECTIVE_RADIUS = Parameter(
    "effective_radius",
    "pixel",
    "half-light semi-major axis, before the PSF",
    lower=0.05,
    upper=5000.0,
    log=True,
    step=0.05,
    guess="radius",
)
SERSIC_INDEX = Parameter(
    "sersic_index",
    "",
    "1 exponential, 4 de Vaucouleurs",
    lower=0.2,
    upper=10.0,
    log=True,
    default=2.0,
    step=0.05,
)

_INDEX_RANGE = (0.1, 20.0)


def _fit_b() -> np.ndarray:
    """Chebyshev series in log n for b(n) / n, through values that solve gamma(2n, b) = Gamma(2n) / 2 to 1e-14."""
    low, high = (math.log(end) for end in _INDEX_RANGE)
    nodes = np.polynomial.chebyshev.chebpts1(33)
    n = torch.exp(torch.as_tensor(0.5 * (high - low) * nodes + 0.5 * (high + low)))
    lower, upper = torch.full_like(n, 1e-9), 2 * n + 1
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        below = torch.special.gammainc(2 * n, middle) < 0.5
        lower, upper = torch.where(below, middle, lower), torch.where(below, upper, middle)
    return np.polynomial.chebyshev.chebfit(nodes, (middle / n).numpy(), 24)


_B_SERIES = _fit_b()


def sersic_b(n: Tensor) -> Tensor:
    """b(n) for Sérsic indices from 0.1 to 20, to 1e-8 or better; differentiable."""
    return n * _series(n)[..., 0]


def sersic_b_slope(n: Tensor) -> Tensor:
    """db/dn."""
    return b_and_slope(n)[1]


def b_and_slope(n: Tensor) -> tuple[Tensor, Tensor]:
    """b(n) and db/dn."""
    over, by_log = _series(n).unbind(-1)
    return n * over, over + by_log


def _series(n: Tensor) -> Tensor:
    """The ratio b / n and its derivative by log n (..., 2): Chebyshev series in log n."""
    low, high = (math.log(end) for end in _INDEX_RANGE)
    order, coefficients = _series_on(n.dtype, n.device)
    angle = torch.acos(torch.clamp((2 * torch.log(n) - (high + low)) / (high - low), -0.9999999, 0.9999999))
    return torch.cos(angle[..., None] * order) @ coefficients


@lru_cache(maxsize=8)
def _series_on(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Orders (order,) and coefficients (order, 2)."""
    low, high = (math.log(end) for end in _INDEX_RANGE)
    slope = np.append(np.polynomial.chebyshev.chebder(_B_SERIES) * 2 / (high - low), 0.0)
    both = torch.as_tensor(np.stack([_B_SERIES, slope], 1))
    order = torch.arange(len(_B_SERIES))
    return order.to(device=device, dtype=dtype), both.to(device=device, dtype=dtype)


class Sersic(RadialProfile):
    """The Sérsic profile: ellipticals, bulges and discs with one formula."""

    parameters = (EFFECTIVE_RADIUS, SERSIC_INDEX)
    intensity_meaning = "surface brightness at the effective radius"

    def brightness(self, r: Points, effective_radius: Tensor, sersic_index: Tensor) -> Points:
        """exp(-b [(r/r_e)^(1/n) - 1])."""
        power = torch.exp(torch.log(r / effective_radius) / sersic_index)
        return torch.exp(-sersic_b(sersic_index) * (power - 1))

    def total(self, effective_radius: Tensor, sersic_index: Tensor) -> Tensor:
        """2 pi r_e^2 n e^b b^(-2n) Gamma(2n)."""
        n, b = sersic_index, sersic_b(sersic_index)
        logarithm = b - 2 * n * torch.log(b) + torch.lgamma(2 * n)
        return 2 * math.pi * effective_radius**2 * n * torch.exp(logarithm)

    def log_total(self, shape: Mapping[str, Tensor], wanted: set[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Closed forms: d/d(r_e) = 2 / r_e, d/dn = b' (1 - 2n / b) - 2 log b + 2 psi(2n) + 1 / n."""
        radius, n = shape["effective_radius"], shape["sersic_index"]
        b, by_n = b_and_slope(n)
        log_b = torch.log(b)
        total = b - 2 * n * log_b + torch.lgamma(2 * n) + torch.log(2 * math.pi * n * radius**2)
        slopes = {
            "effective_radius": 2 / radius,
            "sersic_index": by_n * (1 - 2 * n / b) - 2 * log_b + 2 * torch.digamma(2 * n) + 1 / n,
        }
        return total, {name: slopes[name] for name in wanted}

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Closed forms, with t = (r/r_e)^(1/n): f' = -f b t / (n r)."""
        radius, n = shape["effective_radius"], shape["sersic_index"]
        b, by_n = b_and_slope(n)
        logarithm = torch.log(r * (1 / radius))
        t = torch.exp(logarithm * (1 / n))
        f = torch.exp(torch.addcmul(b, t, -b))
        fall = f * t
        maps = {}
        if "effective_radius" in wanted:
            maps["effective_radius"] = fall * (b / (n * radius))
        if "sersic_index" in wanted:
            steepening = torch.addcmul(-by_n, logarithm, b / (n * n))
            maps["sersic_index"] = torch.addcmul(f * by_n, fall, steepening)
        return f, fall * (-b / n) / r, maps
