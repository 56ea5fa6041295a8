r"""Radii that hold shares of the light, and concentration.

r20, r50, r80 and r90 are the radii of circles around the centre of least asymmetry that hold so many per cent of the
light within 1.5 circular Petrosian radii, and (Conselice 2003; Lotz et al. 2004, section 4.1.1)

    C = 5 log10(r80 / r20).
"""

from __future__ import annotations

import math

import torch

from isolux.nonparametric.growth import Growth
from isolux.types import PerGalaxy, Tensor

SHARES = (0.2, 0.5, 0.8, 0.9)
TOTAL = 1.5
"""Petrosian radii that hold all the light."""


def light_radii(growth: Growth, total: PerGalaxy, loose: PerGalaxy) -> tuple[Tensor, Tensor]:
    """Radii (galaxy, share) of :data:`SHARES` of the light within ``total`` +- ``loose``, and their covariance."""
    share = torch.tensor(SHARES, dtype=torch.float64, device=total.device)
    end = total.nan_to_num(1.0)
    radius = growth.radius_of(share * growth.at(end[:, None]))
    radius = torch.where(torch.isfinite(total)[:, None], radius, torch.nan)
    return radius, growth.radius_errors(radius.nan_to_num(1.0), share, end, loose.nan_to_num(0.0))


def concentration(radius: Tensor, covariance: Tensor) -> tuple[PerGalaxy, PerGalaxy]:
    """C and its error from radii of :data:`SHARES`."""
    inner, outer = radius[:, 0], radius[:, 2]
    value = 5 * torch.log10(outer / inner)
    relative = (
        covariance[:, 0, 0] / inner**2
        + covariance[:, 2, 2] / outer**2
        - 2 * covariance[:, 0, 2] / (inner * outer)
    )
    return value, 5 / math.log(10) * torch.sqrt(relative.clamp_min(0))
