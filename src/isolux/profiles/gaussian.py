r"""The Gaussian profile (equation 12 of Chen et al. 2024), given by its full width at half maximum w.

I(r) = I_0 exp(-4 ln 2 (r / w)^2),     w = 2.3548 sigma

F    = pi q w^2 I_0 / (4 ln 2 r_box)
"""

import math
from collections.abc import Mapping

import torch

from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.types import Points, Tensor

FWHM = Parameter(
    "fwhm",
    "pixel",
    "full width at half maximum along the major axis, before the PSF",
    lower=0.05,
    upper=5000.0,
    log=True,
    step=0.05,
    guess="radius",
    guess_factor=2.0,
)
_FOUR_LN2 = 4 * math.log(2)


class Gaussian(RadialProfile):
    """The Gaussian profile: a Sérsic profile of index 1/2 with effective radius fwhm / 2."""

    parameters = (FWHM,)

    def brightness(self, r: Points, fwhm: Tensor) -> Points:
        """exp(-4 ln 2 (r/w)^2)."""
        return torch.exp(-_FOUR_LN2 * (r / fwhm) ** 2)

    def total(self, fwhm: Tensor) -> Tensor:
        """Flux pi w^2 / (4 ln 2)."""
        return math.pi / _FOUR_LN2 * fwhm**2

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Closed forms: f' = -8 ln 2 f r / w^2, df/dw = -f' r / w."""
        u = r / shape["fwhm"]
        f = torch.exp(-_FOUR_LN2 * u * u)
        by_radius = -2 * _FOUR_LN2 * f * u / shape["fwhm"]
        return f, by_radius, {"fwhm": -by_radius * u} if "fwhm" in wanted else {}
