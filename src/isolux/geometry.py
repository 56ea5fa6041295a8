r"""Where a pixel lies in a galaxy: the one home of the axis, angle and pixel-centre convention.

Pixels count from 0, the centre of the first pixel is (0, 0), x is the column. The position angle theta is in
degrees counter-clockwise from +y (up is 0, left is 90), so that the offsets along the major and minor axes are

    a = -(X - x) sin(theta) + (Y - y) cos(theta)
    b =  (X - x) cos(theta) + (Y - y) sin(theta)

and the elliptical radius, with axis ratio q and boxiness B, is equation 2 of Chen et al. (2024):

    r = (|a|^C + |b / q|^C)^(1/C),   C = B + 2

Every radial profile I(r) has the same derivatives with respect to its centre, angle, axis ratio and boxiness;
:func:`chain` turns dI/dr into all of them.
"""

import dataclasses
import math

import torch

from isolux.types import PerGalaxy, Points, Tensor

DEGREE = math.pi / 180
SMALLEST_RADIUS = 1e-6
"""Radii below this many pixels are raised to it, so that slopes at a cusp stay finite."""


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """Centre, angle and shape of a component; each (galaxy, 1), angles in degrees."""

    x: Tensor
    y: Tensor
    axis_ratio: Tensor
    position_angle: Tensor
    boxiness: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Offsets:
    """Position of points in a component's own frame, each (galaxy, point).

    Attributes
    ----------
    major, minor : Tensor
        Offsets along the two axes, in pixels.
    radius : Tensor
        Elliptical radius in pixels.
    """

    major: Points
    minor: Points
    radius: Points


def axis_offsets(ellipse: Ellipse, x: Points, y: Points) -> tuple[Points, Points]:
    """Offsets (a, b) of pixel positions along the major and minor axis."""
    sin, cos = _sin_cos(ellipse)
    dx, dy = x - ellipse.x, y - ellipse.y
    return dy * cos - dx * sin, dx * cos + dy * sin


def pixel_offsets(ellipse: Ellipse, major: Points, minor: Points) -> tuple[Points, Points]:
    """Offsets (X - x, Y - y) of positions given along the axes: the inverse of :func:`axis_offsets`."""
    sin, cos = _sin_cos(ellipse)
    return minor * cos - major * sin, major * cos + minor * sin


def locate(ellipse: Ellipse, major: Points, minor: Points) -> Offsets:
    """Elliptical radius of positions given along the axes."""
    b = minor / ellipse.axis_ratio
    if ellipse.boxiness is None:
        radius = torch.sqrt(torch.addcmul(major * major, b, b).clamp_min(SMALLEST_RADIUS**2))
    else:
        power = ellipse.boxiness + 2
        total = major.abs().clamp_min(SMALLEST_RADIUS) ** power + b.abs().clamp_min(SMALLEST_RADIUS) ** power
        radius = total ** (1 / power)
    return Offsets(major, minor, radius)


def chain(ellipse: Ellipse, offsets: Offsets, slope: Points, wanted: set[str]) -> dict[str, Points]:
    """Derivatives of I(r) with respect to the ellipse's parameters.

    Parameters
    ----------
    ellipse : Ellipse
        The component's geometry.
    offsets : Offsets
        Where the points are.
    slope : Tensor
        (galaxy, point): dI/dr.
    wanted : set of str
        Which of ``x``, ``y``, ``axis_ratio``, ``position_angle`` and ``boxiness`` are needed.

    Returns
    -------
    dict of str to Tensor
        dI/dp for each wanted parameter; per degree for the angle.
    """
    a, b, r, q = offsets.major, offsets.minor, offsets.radius, ellipse.axis_ratio
    maps: dict[str, Points] = {}
    if ellipse.boxiness is None:
        by_major = slope / r
        by_minor = by_major * b / (q * q)
        by_major = by_major * a
    else:
        power = ellipse.boxiness + 2
        u, v = a.abs().clamp_min(SMALLEST_RADIUS), (b / q).abs().clamp_min(SMALLEST_RADIUS)
        by_major = slope * (u / r) ** (power - 1) * torch.sign(a)
        by_minor = slope * (v / r) ** (power - 1) * torch.sign(b) / q
        if "boxiness" in wanted:
            share = (u / r) ** power
            logs = share * torch.log(u) + (1 - share) * torch.log(v)
            maps["boxiness"] = slope * r * (logs - torch.log(r)) / power
    sin, cos = _sin_cos(ellipse)
    if "x" in wanted:
        maps["x"] = by_major * sin - by_minor * cos
    if "y" in wanted:
        maps["y"] = -by_major * cos - by_minor * sin
    if "axis_ratio" in wanted:
        maps["axis_ratio"] = by_minor * b / -q
    if "position_angle" in wanted:
        maps["position_angle"] = (by_minor * a - by_major * b) * DEGREE
    return maps


def superellipse_area(boxiness: Tensor) -> Tensor:
    r"""Area of the generalised ellipse over that of the ellipse: 1/r_box of Chen et al. (2024), equation 6.

    r_box = pi C / (2 beta(1/C, 1/C)), C = B + 2; the area of |x|^C + |y|^C < 1 is pi / r_box.
    """
    power = boxiness + 2
    log_beta = 2 * torch.lgamma(1 / power) - torch.lgamma(2 / power)
    return 2 * torch.exp(log_beta) / (math.pi * power)


def wrap_angle(angle: Tensor, period: float) -> Tensor:
    """Angles brought into (-period/2, period/2]."""
    return -torch.remainder(period / 2 - angle, period) + period / 2


def circularised(radius: PerGalaxy, axis_ratio: PerGalaxy) -> PerGalaxy:
    """Radius of the circle of the same area as an ellipse: r sqrt(q)."""
    return radius * torch.sqrt(axis_ratio)


def _sin_cos(ellipse: Ellipse) -> tuple[Tensor, Tensor]:
    angle = ellipse.position_angle * DEGREE
    return torch.sin(angle), torch.cos(angle)
