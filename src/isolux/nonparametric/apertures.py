r"""How much of each pixel lies in an ellipse.

Radii are those of the circle of the same area as the ellipse, r^2 = alpha dx^2 + 2 beta dx dy + gamma dy^2. Across a
pixel r is nearly linear, so that its values there are distributed as the sum of two uniform variables whose widths
are the components of the gradient of r, around

    the mean over the pixel,    r + (r_xx + r_yy) / 24.

A pixel's share of an ellipse is the integral of that trapezoid: exact for a straight edge, and to some 1e-3 of a
pixel's area for edges of curvature 1/3 pixels.
"""

from __future__ import annotations

import dataclasses

import torch

from isolux.types import PerGalaxy, Points, Tensor

THIN = 1e-3
"""Least width of a trapezoid's slopes, over its own."""


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """Centre in pixels and quadratic form of concentric ellipses, each (galaxy,); determinant one."""

    x: PerGalaxy
    y: PerGalaxy
    alpha: PerGalaxy
    beta: PerGalaxy
    gamma: PerGalaxy

    @classmethod
    def of(cls, x: PerGalaxy, y: PerGalaxy, axis_ratio: PerGalaxy, angle: PerGalaxy) -> Ellipse:
        """From the axis ratio and the angle of the major axis from +y, counter-clockwise, in radians."""
        sin, cos = torch.sin(angle), torch.cos(angle)
        q = axis_ratio
        return cls(
            x,
            y,
            q * sin**2 + cos**2 / q,
            (1 / q - q) * sin * cos,
            q * cos**2 + sin**2 / q,
        )

    @classmethod
    def circle(cls, x: PerGalaxy, y: PerGalaxy) -> Ellipse:
        """Circles."""
        one = torch.ones_like(x)
        return cls(x, y, one, torch.zeros_like(x), one)


@dataclasses.dataclass(frozen=True)
class Rings:
    """How radii are distributed over each pixel; each (galaxy, point).

    Attributes
    ----------
    radius : Tensor
        Mean over the pixel.
    reach : Tensor
        Half the width of the trapezoid.
    slope : Tensor
        Width of each of its slopes.
    norm : Tensor
        1 / (2 slope (2 reach - slope)).
    """

    radius: Points
    reach: Points
    slope: Points
    norm: Points

    def inside(self, limit: Tensor) -> Points:
        """Share of each pixel within ``limit`` (galaxy, 1) or (galaxy, point)."""
        depth = limit - self.radius
        below = (self.reach - depth.abs()).clamp_min_(0)
        tail = torch.minimum(below, self.slope)
        outside = below.mul_(2).sub_(tail).mul_(tail).mul_(self.norm)
        return outside.neg_().add_(0.5).copysign_(depth).add_(0.5)


def rings(ellipse: Ellipse, dx: Tensor, dy: Tensor, size: float = 1.0) -> Rings:
    """Radii over pixels of a size at offsets from the centre, (galaxy, 1, x) and (galaxy, y, 1)."""
    alpha, beta, gamma = (t.to(dx.dtype)[:, None, None] for t in (ellipse.alpha, ellipse.beta, ellipse.gamma))
    along_x, along_y = alpha * dx + beta * dy, beta * dx + gamma * dy
    radius = torch.addcmul(along_x * dx, along_y, dy).clamp_min_(1e-6).sqrt_()
    over = 1 / radius
    gx, gy = along_x.mul_(over).abs_(), along_y.mul_(over).abs_()
    bend = torch.addcmul(gx * gx, gy, gy).neg_().add_(alpha + gamma).mul_(over)
    mean = radius.add_(bend.mul_(size**2 / 24).clamp_max_(0.5 * size)).flatten(1)
    gx, gy = gx.flatten(1), gy.flatten(1)
    reach = (gx + gy).mul_(0.5 * size).clamp_min_(THIN * size)
    slope = torch.maximum(torch.minimum(gx, gy).mul_(size), THIN * reach)
    return Rings(mean, reach, slope, 0.5 / (slope * (2 * reach - slope)))


def pixel_rings(ellipse: Ellipse, shape: tuple[int, int], dtype: torch.dtype) -> Rings:
    """Radii over the pixels of a stamp of so many rows and columns."""
    dx, dy = offsets(ellipse, shape, dtype)
    return rings(ellipse, dx, dy)


def offsets(ellipse: Ellipse, shape: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Offsets of columns (galaxy, 1, x) and rows (galaxy, y, 1) from the centre."""
    columns, rows = (torch.arange(n, device=ellipse.x.device) for n in (shape[1], shape[0]))
    dx, dy = columns - ellipse.x[:, None], rows - ellipse.y[:, None]
    return dx.to(dtype)[:, None, :], dy.to(dtype)[:, :, None]
