r"""Where a pixel lies in a galaxy: the one home of the axis, angle and pixel-centre convention.

Pixels count from 0, the centre of the first pixel is (0, 0), x is the column. The position angle theta is in
degrees counter-clockwise from +y (up is 0, left is 90), so that the offsets along the major and minor axes are

    a = -(X - x) sin(theta) + (Y - y) cos(theta)
    b =  (X - x) cos(theta) + (Y - y) sin(theta)

and the elliptical radius, with axis ratio q and boxiness B, is equation 2 of Chen et al. (2024):

    r = (|a|^C + |b / q|^C)^(1/C),   C = B + 2

Every radial profile I(r) has the same derivatives with respect to its angle, axis ratio and boxiness:
:func:`moments` of dI/dr for an ellipse, :func:`chain` for a generalised one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from isolux.types import PerGalaxy, Points, Rows, Tensor

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

    def select(self, rows: Rows) -> Ellipse:
        """Some of the galaxies."""
        boxiness = None if self.boxiness is None else self.boxiness[rows]
        return Ellipse(self.x[rows], self.y[rows], self.axis_ratio[rows], self.position_angle[rows], boxiness)


@dataclasses.dataclass(frozen=True)
class Offsets:
    """Position of points in a component's own frame, each (galaxy, point).

    Attributes
    ----------
    major : Tensor
        Offset along the major axis, in pixels.
    stretched : Tensor
        Offset along the minor axis over the axis ratio, b / q.
    square : Tensor
        Sum of their squares: that of the radius of the ellipse without boxiness.
    radius : Tensor
        Elliptical radius in pixels.
    """

    major: Points
    stretched: Points
    square: Points
    radius: Points


def axis_offsets(ellipse: Ellipse, x: Points, y: Points) -> tuple[Points, Points]:
    """Offsets (a, b) of pixel positions along the major and minor axis."""
    sin, cos = _sin_cos(ellipse)
    dx, dy = x - ellipse.x, y - ellipse.y
    return dy * cos - dx * sin, dx * cos + dy * sin


def grid_offsets(ellipse: Ellipse, x: Tensor, y: Tensor) -> tuple[Points, Points]:
    """The same for all points of a grid, given the positions (x,) of its columns and (y,) of its rows."""
    sin, cos = _sin_cos(ellipse)
    dx, dy = x - ellipse.x, y - ellipse.y
    major = (dy * cos)[:, :, None] - (dx * sin)[:, None, :]
    minor = (dy * sin)[:, :, None] + (dx * cos)[:, None, :]
    return major.flatten(1), minor.flatten(1)


def pixel_offsets(ellipse: Ellipse, major: Points, minor: Points) -> tuple[Points, Points]:
    """Offsets (X - x, Y - y) of positions given along the axes: the inverse of :func:`axis_offsets`."""
    sin, cos = _sin_cos(ellipse)
    return minor * cos - major * sin, major * cos + minor * sin


def locate(ellipse: Ellipse, major: Points, minor: Points) -> Offsets:
    """Elliptical radius of positions given along the axes."""
    stretched = minor * (1 / ellipse.axis_ratio)
    square = torch.addcmul(major * major, stretched, stretched)
    if ellipse.boxiness is None:
        radius = torch.sqrt(square.clamp_min(SMALLEST_RADIUS**2))
    else:
        power = ellipse.boxiness + 2
        u, v = (offset.abs().clamp_min(SMALLEST_RADIUS) for offset in (major, stretched))
        radius = (u**power + v**power) ** (1 / power)
    return Offsets(major, stretched, square, radius)


def rotated(ellipse: Ellipse, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Components (galaxy, y, x) along the major and minor axis of vectors (x, y), such as frequencies."""
    sin, cos = (number[..., None] for number in _sin_cos(ellipse))
    return y * cos - x * sin, x * cos + y * sin


def moments(offsets: Offsets, by_radius: Points, wanted: Sequence[str], out: Tensor) -> None:
    """Write the maps (f'/r) c^2 for ``cc`` and (f'/r) a c for ``ac`` to ``out`` (galaxy, map, point); c is b / q.

    ``by_radius`` is f'/r (galaxy, point), and is used up.
    """
    by_radius *= offsets.stretched
    other = {"cc": offsets.stretched, "ac": offsets.major}
    for k, name in enumerate(wanted):
        torch.mul(by_radius, other[name], out=out[:, k])


def moment_factors(ellipse: Ellipse) -> dict[str, tuple[str, Tensor]]:
    """Derivatives of f(r) by the ellipse's shape: for each parameter the moment, and its factor (galaxy, 1)."""
    q = ellipse.axis_ratio
    return {"axis_ratio": ("cc", -1 / q), "position_angle": ("ac", DEGREE * (1 / q - q))}


def chain(ellipse: Ellipse, offsets: Offsets, slope: Points, wanted: set[str]) -> dict[str, Points]:
    """Derivatives of f(r) with respect to the shape of a generalised ellipse.

    Parameters
    ----------
    ellipse : Ellipse
        The component's geometry, with boxiness.
    offsets : Offsets
        Where the points are.
    slope : Tensor
        (galaxy, point): df/dr.
    wanted : set of str
        Which of ``axis_ratio``, ``position_angle`` and ``boxiness`` are needed.

    Returns
    -------
    dict of str to Tensor
        df/dp for each wanted parameter; per degree for the angle.
    """
    assert ellipse.boxiness is not None
    a, c, r, q = offsets.major, offsets.stretched, offsets.radius, ellipse.axis_ratio
    maps: dict[str, Points] = {}
    power = ellipse.boxiness + 2
    u, v = a.abs().clamp_min(SMALLEST_RADIUS), c.abs().clamp_min(SMALLEST_RADIUS)
    by_major = slope * (u / r) ** (power - 1) * torch.sign(a)
    by_stretched = slope * (v / r) ** (power - 1) * torch.sign(c)
    if "boxiness" in wanted:
        share = (u / r) ** power
        logs = share * torch.log(u) + (1 - share) * torch.log(v)
        maps["boxiness"] = slope * r * (logs - torch.log(r)) / power
    if "axis_ratio" in wanted:
        maps["axis_ratio"] = by_stretched * c * (-1 / q)
    if "position_angle" in wanted:
        turn = by_stretched * a * (DEGREE / q)
        maps["position_angle"] = torch.addcmul(turn, by_major * c, -q * DEGREE)
    return maps


def superellipse_area(boxiness: Tensor) -> Tensor:
    r"""Area of the generalised ellipse over that of the ellipse: 1/r_box of Chen et al. (2024), equation 6.

    r_box = pi C / (2 beta(1/C, 1/C)), C = B + 2; the area of |x|^C + |y|^C < 1 is pi / r_box.
    """
    power = boxiness + 2
    log_beta = 2 * torch.lgamma(1 / power) - torch.lgamma(2 / power)
    return 2 * torch.exp(log_beta) / (math.pi * power)


def superellipse_area_slope(boxiness: Tensor) -> Tensor:
    """Derivative of the logarithm of that area by the boxiness."""
    power = boxiness + 2
    return 2 * (torch.digamma(2 / power) - torch.digamma(1 / power)) / power**2 - 1 / power


def wrap_angle(angle: Tensor, period: float) -> Tensor:
    """Angles brought into (-period/2, period/2]."""
    return -torch.remainder(period / 2 - angle, period) + period / 2


def circularised(radius: PerGalaxy, axis_ratio: PerGalaxy) -> PerGalaxy:
    """Radius of the circle of the same area as an ellipse: r sqrt(q)."""
    return radius * torch.sqrt(axis_ratio)


def _sin_cos(ellipse: Ellipse) -> tuple[Tensor, Tensor]:
    angle = ellipse.position_angle * DEGREE
    return torch.sin(angle), torch.cos(angle)
