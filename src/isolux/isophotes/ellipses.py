r"""Ellipses whose shape changes with their semi-major axis, and where pixels lie among them.

A shape is the vector eta = e (cos 2 theta, sin 2 theta) of ellipticity e = 1 - q and position angle theta (degrees
counter-clockwise from +y), which has no preferred direction and stays smooth where the ellipse is round. It is given
at nodes, equally spaced in the logarithm of the semi-major axis, and linear between them. With offsets (dx, dy)
from the centre, X = dy^2 - dx^2 and Y = -2 dx dy,

    a^2 = (dx^2 + dy^2) (1 + q^-2) / 2 - (1 + q) / (2 q^2) (X eta_1 + Y eta_2)

is the square of the semi-major axis of the ellipse of shape eta through a point. That of the ellipse of the family is
where a and the shape at a agree; repeated substitution finds it.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.geometry import wrap_angle
from isolux.isophotes.steady import steady
from isolux.types import Images, PerGalaxy, Points, Tensor

FIRST, RATIO = 0.7, 1.1
"""Semi-major axis of the first node in pixels, and of each over the one before."""
FLATTEST = 0.95
"""Largest ellipticity."""
LEAST_GROWTH = 0.2
"""Least growth of the semi-minor axis over that of the semi-major axis, of their logarithms."""
SUBSTITUTIONS = 4
"""With isophotes that do not cross, the error of a falls by at least a half each time."""


@dataclasses.dataclass(frozen=True)
class Ellipses:
    """A family of ellipses a galaxy.

    Attributes
    ----------
    x, y : Tensor
        (galaxy,): centre in pixels.
    shape : Tensor
        (galaxy, node, 2): eta at the nodes.
    """

    x: PerGalaxy
    y: PerGalaxy
    shape: Tensor

    def part(self, some: slice | list[int]) -> Ellipses:
        """Some of the galaxies."""
        return Ellipses(self.x[some], self.y[some], self.shape[some])

    def shape_at(self, sma: Points) -> Tensor:
        """Shapes (galaxy, point, 2) at semi-major axes (galaxy, point) in pixels."""
        place, share = node_place(sma, self.shape.shape[1])
        place = place[..., None].expand(-1, -1, 2)
        low, high = self.shape.gather(1, place), self.shape.gather(1, place + 1)
        return low + share[..., None] * (high - low)

    def points(self, sma: Points, angles: int) -> tuple[Tensor, Tensor]:
        """Positions x and y (galaxy, ring, angle) on ellipses, at equal steps of the eccentric anomaly."""
        return ellipse_points(self.x, self.y, sma, self.shape_at(sma), angles)

    def semi_major_axis(self, size: tuple[int, int]) -> Images:
        """Semi-major axis (galaxy, y, x) in pixels of the ellipse through each pixel, float32."""
        rows, columns = (torch.arange(n, device=self.x.device, dtype=torch.float64) for n in size)
        dx, dy = (columns - self.x[:, None]).float(), (rows - self.y[:, None]).float()
        xx, yy = (dx * dx)[:, None, :], (dy * dy)[:, :, None]
        one, two = (yy - xx).flatten(1), (-2 * dy[:, :, None] * dx[:, None, :]).flatten(1)
        square = (xx + yy).flatten(1)
        # Along equal steps of the logarithm: the coefficients of a^2, prepared at the nodes.
        table = _coefficients(self.shape).float()
        found = square.clamp_min(1e-8)
        for _ in range(SUBSTITUTIONS):
            place = _node_number(0.5 * steady(torch.log, found), table.shape[1])
            low = place.long()
            share = place - low
            parts = []
            for k in range(3):
                column = table[:, :, k]
                first = column.gather(1, low)
                parts.append(torch.addcmul(first, share, column.gather(1, low + 1) - first))
            found = (square * parts[0] - one * parts[1] - two * parts[2]).clamp_min(1e-8)
        return torch.sqrt(found).reshape(len(self.x), *size)


def nodes(size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Semi-major axes (node,) in pixels, from the centre to beyond the corners of a stamp."""
    count = 2 + math.ceil(math.log(0.5 * math.hypot(*size) / FIRST) / math.log(RATIO))
    return FIRST * RATIO ** torch.arange(max(count, 12), dtype=torch.float64, device=device)


def node_place(sma: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The node below each semi-major axis, and the share of the step to the next one."""
    place = _node_number(steady(torch.log, sma.clamp_min(1e-9)), count)
    low = place.long()
    return low, place - low


def _node_number(log_sma: Tensor, count: int) -> Tensor:
    number = (log_sma - math.log(FIRST)) * (1 / math.log(RATIO))
    return number.clamp(0.0, count - 1.0001)


def _coefficients(shape: Tensor) -> Tensor:
    """What multiplies r^2, X and Y in a^2 (..., 3)."""
    q = axis_ratio(shape)[..., None]
    inverse = q**-2
    return torch.cat([0.5 * (1 + inverse), 0.5 * (1 + q) * inverse * shape], -1)


def axis_ratio(shape: Tensor) -> Tensor:
    """Minor over major axis (...) of shapes (..., 2)."""
    return 1 - torch.linalg.vector_norm(shape, dim=-1).clamp_max(FLATTEST)


def position_angle(shape: Tensor) -> Tensor:
    """Degrees (...) counter-clockwise from +y, in (-90, 90]."""
    return wrap_angle(0.5 * torch.rad2deg(steady(torch.atan2, shape[..., 1], shape[..., 0])), 180.0)


def shape_of(ratio: Tensor, angle: Tensor) -> Tensor:
    """The shape (..., 2) of an axis ratio and an angle in degrees."""
    twice = 2 * torch.deg2rad(angle)
    return (1 - ratio)[..., None] * torch.stack([steady(torch.cos, twice), steady(torch.sin, twice)], -1)


def within_limits(shape: Tensor) -> Tensor:
    """Shapes no flatter than allowed."""
    e = torch.linalg.vector_norm(shape, dim=-1, keepdim=True)
    return shape * (FLATTEST / e.clamp_min(FLATTEST))


def uncrossed(shape: Tensor) -> Tensor:
    """Shapes (galaxy, node, 2) whose semi-minor axes grow from node to node, so that ellipses do not cross there.

    Where they would not, they follow the mean of the largest before and the smallest after.
    """
    e = torch.linalg.vector_norm(shape, dim=-1)
    steps = (
        LEAST_GROWTH * math.log(RATIO) * torch.arange(shape.shape[1], dtype=shape.dtype, device=shape.device)
    )
    log_sma = math.log(RATIO) * torch.arange(shape.shape[1], dtype=shape.dtype, device=shape.device)
    minor = steady(torch.log1p, -e.clamp_max(FLATTEST)) + log_sma - steps
    before = minor.cummax(1).values
    after = torch.flip(torch.flip(minor, (1,)).cummin(1).values, (1,))
    allowed = -steady(torch.expm1, (0.5 * (before + after) - log_sma + steps).clamp_max(0.0))
    return shape * torch.where(e > 1e-6, allowed / e.clamp_min(1e-6), 1.0)[..., None]


def axes(shape: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (..., 2), as (x, y), along the major and minor axis: (-sin, cos) and (cos, sin) of the angle."""
    half = 0.5 * steady(torch.atan2, shape[..., 1], shape[..., 0])
    sin, cos = steady(torch.sin, half), steady(torch.cos, half)
    return torch.stack([-sin, cos], -1), torch.stack([cos, sin], -1)


def ellipse_points(
    x: PerGalaxy, y: PerGalaxy, sma: Points, shape: Tensor, angles: int
) -> tuple[Tensor, Tensor]:
    """Positions x and y (galaxy, ring, angle) on ellipses of given shapes (galaxy, ring, 2)."""
    anomaly = torch.arange(angles, dtype=sma.dtype, device=sma.device) * (2 * math.pi / angles)
    major, minor = axes(shape)
    along = (sma[..., None] * major)[..., None] * torch.cos(anomaly)
    across = ((sma * axis_ratio(shape))[..., None] * minor)[..., None] * torch.sin(anomaly)
    place = along + across
    return x[:, None, None] + place[:, :, 0], y[:, None, None] + place[:, :, 1]
