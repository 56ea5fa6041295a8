r"""The light beyond the last isophote, if the profile goes on as it ends.

The outer half of the profile is fitted with an exponential, I = A exp(-(a - a_end) / h), by Gauss-Newton steps in ln A
and -1 / h from a first guess; what is left beyond the end of ellipses of axis ratio q is then

    T = 2 pi q A h (a_end + h).

Its error holds the noise, the sky, which changes what is inside and what is beyond together, and that galaxies are no
exponentials: a share of T.
"""

from __future__ import annotations

import math

import torch

from isolux.isophotes.steady import steady
from isolux.types import PerGalaxy, Points, Tensor

PART = 0.5
"""Where the outer part begins, over where it ends."""
MISFIT = 0.05
"""Part of the brightness by which an exponential may be wrong."""
LAW = 0.5
"""Part of the light beyond by which the law may be wrong."""
STEPS = 4
LONGEST = 1.0
"""Scale length over the semi-major axis of the end, above which nothing is extrapolated."""
SURE = 2.0
"""Errors by which the brightness must fall outwards."""


def light_beyond(
    sma: Points, level: Points, variance: Points, end: PerGalaxy, ratio: PerGalaxy
) -> tuple[PerGalaxy, PerGalaxy, PerGalaxy]:
    """The light beyond the end, its error by noise and law, and its change by a unit of sky, each (galaxy,).

    Parameters
    ----------
    sma, level, variance : Tensor
        (galaxy, point): the profile, and its variance by noise alone.
    end, ratio : Tensor
        (galaxy,): last semi-major axis, and the axis ratio there.

    Returns
    -------
    tuple of Tensor
        NaN where the profile does not fall outwards by two of its errors.
    """
    used = (sma >= PART * end[:, None]) & (sma <= end[:, None]) & torch.isfinite(level)
    x = torch.where(used, sma - end[:, None], 0.0)
    y = torch.where(used, level, 0.0)
    scatter = torch.where(used, variance + (MISFIT * y) ** 2, 1.0).clamp_min(1e-30)
    logarithm, slope = _guess(x, y, used)
    for _ in range(STEPS):
        model = steady(torch.exp, (logarithm[:, None] + slope[:, None] * x).clamp(-60, 60))
        weight = torch.where(used, model**2 / scatter, 0.0)
        inverse = _inverse(weight, x)
        change = _times(inverse, weight * (y - model) / model, x)
        logarithm = logarithm + change[0].clamp(-1, 1)
        slope = slope + torch.minimum(change[1].abs(), 0.5 * slope.abs() + 1e-12) * change[1].sign()
    sky = _times(inverse, weight / model, x)
    top, h = steady(torch.exp, logarithm.clamp(-60, 60)), -1 / slope.clamp_max(-1e-9)
    around = 2 * math.pi * ratio * top
    light = around * h * (end + h)
    by = light, around * (end + 2 * h) * h**2
    noise = by[0] ** 2 * inverse[0] + 2 * by[0] * by[1] * inverse[1] + by[1] ** 2 * inverse[2]
    error = torch.sqrt(noise.clamp_min(0) + (LAW * light) ** 2)
    falls = (slope < 0) & (slope**2 > SURE**2 * inverse[2]) & (h < LONGEST * end) & (used.sum(1) > 4)
    nan = torch.full_like(light, torch.nan)
    return tuple(torch.where(falls, t, nan) for t in (light, error, by[0] * sky[0] + by[1] * sky[1]))  # type: ignore[return-value]


def _guess(x: Points, y: Points, used: Tensor) -> tuple[PerGalaxy, PerGalaxy]:
    """Logarithm at the end and slope (galaxy,): from the logarithms of what is bright."""
    top = torch.where(used, y, 0.0).amax(1, keepdim=True).clamp_min(1e-30)
    level = y.clamp_min(0.02 * top)
    weight = torch.where(used, level**2 / top**2, 0.0)
    inverse = _inverse(weight, x)
    return _times(inverse, weight * steady(torch.log, level), x)


def _inverse(weight: Points, x: Points) -> tuple[PerGalaxy, PerGalaxy, PerGalaxy]:
    """Inverse of the normal matrix of a constant and a slope: its three entries (galaxy,)."""
    one, two, three = weight.sum(1), (weight * x).sum(1), (weight * x * x).sum(1)
    determinant = (one * three - two**2).clamp_min(1e-30)
    return three / determinant, -two / determinant, one / determinant


def _times(
    inverse: tuple[PerGalaxy, PerGalaxy, PerGalaxy], rest: Points, x: Points
) -> tuple[PerGalaxy, PerGalaxy]:
    one, two = rest.sum(1), (rest * x).sum(1)
    return inverse[0] * one + inverse[1] * two, inverse[1] * one + inverse[2] * two
