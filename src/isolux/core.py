"""The centre of a galaxy, drawn without aliasing.

A grid of points cannot carry detail finer than two of its spacings, and a galaxy's cusp has such detail: sampled
at the pixels it comes out wrong by per cents. Light that the PSF will blur needs no such detail, so it may be
filtered out first. We split each profile with a smooth window w that is one at the centre,

    I = I (1 - w) + I w,      w = exp(-(r / s)^4),

sample the first part, which is smooth, at the grid, and integrate the second: its light at quadrature nodes
around the centre (Gauss-Legendre in radius, crowded towards the cusp; evenly spaced in angle) is spread over the
grid with a low-pass kernel L, a sinc tapered over a few points whose transform is one below the grid's limiting
frequency and zero above. Both parts are the same linear operation on any function of position, so derivatives go
the same way, and any radial profile is served, a user's own included.
"""

import dataclasses
import math
from functools import lru_cache

import numpy as np
import torch

from isolux.geometry import Ellipse, Offsets, pixel_offsets
from isolux.psf import Canvas
from isolux.types import Points, Tensor

WINDOW = 2.5
"""Scale s of the window along the minor axis, in grid spacings."""
LONGEST = 3.5
"""Most that the window grows along the major axis of a thin galaxy, in units of WINDOW."""
REACH = 1.75
"""Nodes extend to this many s, where the window has fallen to 1e-4."""
PANELS = ((0.02, 6), (0.15, 6), (REACH, 11))
"""Outer radius in s and number of quadrature radii of each panel, so that sizes of any scale are met."""
CROWDING = 3.0
"""Radii of the first panel go as this power of the Gauss-Legendre variable: a cusp r^(1/n) becomes smooth."""
ARC = 0.6
"""Distance of nodes along a ring, in grid spacings of the minor axis."""
TAPER = 6
"""Half width of the low-pass kernel in grid spacings."""
NEAR = 1e-5
"""Distance from a grid point, in spacings, below which sin(pi d) / (pi d) is one."""
TAPER_SHAPE = 6.0
"""Steepness of its taper exp(shape (sqrt(1 - d^2) - 1)): higher stops more, passes less."""


@dataclasses.dataclass(frozen=True)
class Nodes:
    """Quadrature nodes around the centre of each galaxy.

    Attributes
    ----------
    major, minor : Tensor
        (galaxy, node): offsets along the axes in pixels.
    weight : Tensor
        (galaxy, node): area in grid cells times the window.
    scale : Tensor
        (galaxy, 1): the window's s in pixels.
    """

    major: Points
    minor: Points
    weight: Points
    scale: Tensor


def nodes_around(ellipse: Ellipse, spacing: float, dtype: torch.dtype) -> Nodes:
    """Nodes in the frame of each galaxy."""
    radius, cos, sin, weight = (
        torch.as_tensor(a, dtype=dtype, device=ellipse.x.device) for a in _polar_rule()
    )
    q = ellipse.axis_ratio.to(dtype)
    scale = spacing * WINDOW * torch.clamp(1 / q, max=LONGEST)
    u = radius * scale
    area = weight * scale**2 * q / spacing**2
    return Nodes(u * cos, u * sin * q, area, scale)


def window_complement(ellipse: Ellipse, offsets: Offsets, scale: Tensor) -> Points:
    """1 - w at points of the grid."""
    if ellipse.boxiness is None:
        square = offsets.radius * offsets.radius
    else:
        square = torch.addcmul(offsets.major * offsets.major, offsets.stretched, offsets.stretched)
    return 1 - torch.exp(square * square * (-1 / scale**4))


@dataclasses.dataclass(frozen=True)
class Deposit:
    """Low-passed light of the nodes, ready to be added to the grid.

    Attributes
    ----------
    light : Tensor
        (galaxy, map, cell): what to add.
    cell : Tensor
        (galaxy, cell): to which points of the flattened grid.
    """

    light: Tensor
    cell: Tensor


def deposit(canvas: Canvas, ellipse: Ellipse, nodes: Nodes, light: Tensor) -> Deposit:
    """Spread the light (galaxy, map, node) of nodes over the grid around each centre.

    Light within a kernel's width of the canvas's edge, or beyond it, is cut off there.
    """
    dx, dy = pixel_offsets(ellipse, nodes.major, nodes.minor)
    (top, left), (rows, columns) = canvas.origin, canvas.size
    half = math.ceil(REACH * WINDOW * LONGEST) + TAPER
    kernel_y, first_y = _kernel((ellipse.y - top) / canvas.spacing, dy / canvas.spacing, half)
    kernel_x, first_x = _kernel((ellipse.x - left) / canvas.spacing, dx / canvas.spacing, half)
    side = 2 * half + 1
    lit = (light * nodes.weight[:, None])[:, :, None, :] * kernel_x.transpose(1, 2)[:, None]
    patch = torch.bmm(lit.flatten(1, 2), kernel_y).view(*light.shape[:2], side, side)
    index_x, inside_x = _clip(first_x, side, columns)
    index_y, inside_y = _clip(first_y, side, rows)
    patch = patch * (inside_x[:, :, None] & inside_y[:, None, :])[:, None]
    cell = index_y[:, None, :] * columns + index_x[:, :, None]
    return Deposit(patch.flatten(2), cell.flatten(1))


def _kernel(centre: Tensor, offset: Points, half: int) -> tuple[Tensor, Tensor]:
    """Low-pass weights (galaxy, node, 2 half + 1) and the first grid index (galaxy, 1).

    sin(pi d) of all steps d + k is that of the first, with alternating signs.
    """
    first = torch.round(centre) - half
    start = (centre - first).to(offset) + offset
    steps = torch.arange(2 * half + 1, device=offset.device, dtype=offset.dtype)
    distance = start[..., None] - steps
    sine = torch.sin(math.pi * (start - torch.round(start))) * (
        1 - 2 * torch.remainder(torch.round(start), 2)
    )
    signs = 1 - 2 * torch.remainder(steps, 2)
    near_zero = torch.where(distance.abs() < NEAR, NEAR, distance)
    sine = torch.where(distance.abs() < NEAR, math.pi * NEAR, sine[..., None] * signs)
    taper = 1 - (distance * (1 / TAPER)) ** 2
    kernel = sine / near_zero * torch.exp(TAPER_SHAPE * torch.sqrt(taper.clamp_min(0.0))) * (taper > 0)
    return kernel / kernel.sum(-1, keepdim=True), first.long()


def _clip(first: Tensor, count: int, size: int) -> tuple[Tensor, Tensor]:
    index = first + torch.arange(count, device=first.device)
    inside = (index >= 0) & (index < size)
    return index.clamp(0, size - 1), inside


@lru_cache(maxsize=4)
def _polar_rule() -> tuple[np.ndarray, ...]:
    """Nodes (radius in s, cos, sin) and weights of the window times the area element of the unit circle."""
    radii, steps = _radial_rule()
    radial = steps * radii * np.exp(-(radii**4))
    rings = []
    for i, (u, w) in enumerate(zip(radii, radial, strict=True)):
        angles = max(8, 4 * math.ceil(2 * math.pi * u * WINDOW / ARC / 4))
        phi = 2 * math.pi * (np.arange(angles) + 0.5 * (i % 2)) / angles
        rings.append(
            (np.full(angles, u), np.cos(phi), np.sin(phi), np.full(angles, w * 2 * math.pi / angles))
        )
    return tuple(np.concatenate(parts) for parts in zip(*rings, strict=True))


def _radial_rule() -> tuple[np.ndarray, np.ndarray]:
    """Radii in s and their steps: Gauss-Legendre in each panel, crowded towards the centre in the first."""
    radii, steps, inner = [], [], 0.0
    for outer, count in PANELS:
        v, dv = np.polynomial.legendre.leggauss(count)
        power = CROWDING if inner == 0 else 1.0
        t, dt = 0.5 * (v + 1), 0.5 * dv
        radii.append(inner + (outer - inner) * t**power)
        steps.append((outer - inner) * power * t ** (power - 1) * dt)
        inner = outer
    return np.concatenate(radii), np.concatenate(steps)
