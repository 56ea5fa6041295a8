r"""A free radial profile: a spline through intensities at knots.

The knots r_k are evenly spaced in ln r. The natural logarithm of the brightness is the cubic that passes
through its values y_k at the knots, y_0 = 0, with the slopes (y_(k+1) - y_(k-1)) / 2 there (Catmull & Rom
1974), so that a knot acts on the four intervals around it alone. Inside the first knot the profile is flat.
Beyond the last it goes on as the power law that it ends with, but falls at least as r^-3, so that the flux
is finite.
"""

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from isolux.errors import InputError
from isolux.parameters import Parameter
from isolux.profiles.base import RadialProfile
from isolux.types import Points, Tensor

LOG_RATIO = Parameter(
    "log_ratio",
    "",
    "ln of the brightness at each knot after the first, over that at the first",
    -40.0,
    5.0,
    default=-2.0,
)
SHALLOWEST = -3.0
"""Slope d ln I / d ln r of the outermost power law, at most."""


class Spline(RadialProfile):
    """A free radial profile of positive brightness.

    ``intensity`` is the brightness inside the first knot. The parameter is a vector: fit it with a
    first-order solver and without a covariance, ``isolux.fit(..., solver=FirstOrder(), errors="none")``.

    Parameters
    ----------
    knots : int
        Number of knots, two or more.
    inner, outer : float
        Radii of the first and last knot in pixels.
    **settings
        As for every :class:`~isolux.profiles.base.Profile`; ``log_ratio`` has ``knots - 1`` values.

    Raises
    ------
    InputError
        For fewer than two knots, or radii that are not 0 < inner < outer.
    """

    parameters = (LOG_RATIO,)
    intensity_meaning = "surface brightness inside the first knot"

    def __init__(self, knots: int = 10, inner: float = 0.5, outer: float = 100.0, **settings: Any) -> None:
        if knots < 2:
            raise InputError("Spline: knots must be 2 or more", knots)
        if not 0 < inner < outer < math.inf:
            raise InputError("Spline: radii of the knots must be 0 < inner < outer", (inner, outer))
        self.knots, self.inner, self.outer = knots, inner, outer
        super().__init__(**settings)

    @property
    def radii(self) -> np.ndarray:
        """Radii of the knots in pixels."""
        return np.geomspace(self.inner, self.outer, self.knots)

    def declared(self, settings: Mapping[str, object]) -> tuple[Parameter, ...]:
        """The same as for every radial profile, with ``log_ratio`` of the size of this instance."""
        sized = dataclasses.replace(LOG_RATIO, size=self.knots - 1)
        return tuple(sized if p.name == LOG_RATIO.name else p for p in super().declared(settings))

    def brightness(self, r: Points, log_ratio: Tensor) -> Points:
        """Exponential of the cubic in ln r."""
        u = (torch.log(r / self.inner) / self._spacing).clamp_min(0.0)
        first = u.detach().floor().clamp_max(self.knots - 2)
        value, slope = self._knots(log_ratio)
        y0, y1 = _pick(value, first), _pick(value, first + 1)
        m0, m1 = _pick(slope, first), _pick(slope, first + 1)
        v = (u - first).clamp_max(1.0)
        cubic = y0 + v * (m0 + v * ((3 * (y1 - y0) - 2 * m0 - m1) + v * (2 * (y0 - y1) + m0 + m1)))
        return torch.exp(cubic + m1 * (u - first - v))

    def total(self, log_ratio: Tensor) -> Tensor:
        """Disc inside the first knot, Gauss-Legendre between knots, closed form beyond the last."""
        nodes, weights = (torch.as_tensor(a).to(log_ratio) for a in _rule())
        steps = torch.arange(self.knots - 1).to(log_ratio)
        r = self.inner * torch.exp(self._spacing * (steps[:, None] + nodes)).reshape(1, -1)
        light = self.brightness(r, log_ratio) * r * r * weights.repeat(self.knots - 1)
        _, slope = self._knots(log_ratio)
        last = self.outer**2 * torch.exp(log_ratio[:, -1:])
        beyond = last / (-2 - slope[:, -1:] / self._spacing)
        return math.pi * (self.inner**2 + 2 * self._spacing * light.sum(1, keepdim=True) + 2 * beyond)

    @property
    def _spacing(self) -> float:
        return math.log(self.outer / self.inner) / (self.knots - 1)

    def _knots(self, log_ratio: Tensor) -> tuple[Tensor, Tensor]:
        """Values and slopes (galaxy, knot) of the cubic, a knot's spacing as the unit."""
        value = torch.nn.functional.pad(log_ratio, (1, 0))
        last = (value[:, -1:] - value[:, -2:-1]).clamp_max(SHALLOWEST * self._spacing)
        middle = 0.5 * (value[:, 2:] - value[:, :-2])
        return value, torch.cat([torch.zeros_like(last), middle, last], 1)


def _pick(table: Tensor, index: Points) -> Points:
    """Elements (galaxy, point) of a table (galaxy, knot)."""
    galaxies = max(len(table), len(index))
    return torch.gather(table.expand(galaxies, -1), 1, index.long().expand(galaxies, -1))


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(24)
    return 0.5 * (nodes + 1), 0.5 * weights
