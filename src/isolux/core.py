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

from isolux.geometry import Ellipse, pixel_offsets
from isolux.psf import Canvas
from isolux.types import Maps, Points, Tensor

WINDOW = 2.5
"""Scale s of the window along the minor axis, in grid spacings."""
LONGEST = 4.0
"""Most that the window grows along the major axis of a thin galaxy, in units of WINDOW."""
REACH = 1.75
"""Nodes extend to this many s, where the window has fallen to 1e-4."""
RADII = 14
"""Quadrature radii."""
CROWDING = 3.0
"""Radii go as the power CROWDING of the Gauss-Legendre variable: a cusp r^(1/n) becomes smooth."""
TAPER = 6
"""Half width of the low-pass kernel in grid spacings."""


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
    radius, cos, sin, weight = (torch.as_tensor(a, dtype=dtype, device=ellipse.x.device) for a in _polar_rule())
    q = ellipse.axis_ratio.to(dtype)
    scale = spacing * WINDOW * torch.clamp(1 / q, max=LONGEST)
    u = radius * scale
    area = weight * scale**2 * q / spacing**2
    return Nodes(u * cos, u * sin * q, area, scale)


def window_complement(major: Points, minor: Points, axis_ratio: Tensor, scale: Tensor) -> Points:
    """1 - w at points given along the axes."""
    b = minor / axis_ratio
    square = torch.addcmul(major * major, b, b) / (scale * scale)
    return -torch.expm1(-square * square)


def spread(canvas: Canvas, ellipse: Ellipse, nodes: Nodes, light: Tensor, maps: Maps) -> Maps:
    """Add the light at nodes (galaxy, map, node), weighted, to maps (galaxy, map, y, x) on the canvas.

    Light of a node within a kernel's width of the canvas's edge, or beyond it, is cut off there.
    """
    dx, dy = pixel_offsets(ellipse, nodes.major, nodes.minor)
    (top, left), (rows, columns) = canvas.origin, canvas.size
    half = math.ceil(REACH * WINDOW * LONGEST) + TAPER
    centre_y, centre_x = (ellipse.y - top) / canvas.spacing, (ellipse.x - left) / canvas.spacing
    kernel_y, first_y = _kernel(centre_y, dy / canvas.spacing, half)
    kernel_x, first_x = _kernel(centre_x, dx / canvas.spacing, half)
    weighted = (light * nodes.weight[:, None]).transpose(1, 2)
    side = 2 * half + 1
    galaxies, count = len(dx), maps.shape[1]
    patch = torch.bmm((weighted[..., None] * kernel_x[:, :, None, :]).flatten(2).transpose(1, 2), kernel_y)
    patch = patch.view(galaxies, count, side, side)
    index_x, inside_x = _clip(first_x, side, columns)
    index_y, inside_y = _clip(first_y, side, rows)
    patch = patch * (inside_x[:, :, None] & inside_y[:, None, :])[:, None]
    index = (index_y[:, None, :] * columns + index_x[:, :, None]).flatten(1)
    flat = maps.flatten(2)
    return flat.scatter_add(2, index[:, None].expand(-1, count, -1), patch.flatten(2)).view(maps.shape)


def _kernel(centre: Tensor, offset: Points, half: int) -> tuple[Tensor, Tensor]:
    """Low-pass weights (galaxy, node, 2 half + 1) and the first grid index (galaxy, 1)."""
    first = torch.round(centre) - half
    steps = torch.arange(2 * half + 1, device=offset.device, dtype=offset.dtype)
    distance = (centre - first).to(offset)[..., None] + offset[..., None] - steps
    taper = 1 - (distance / TAPER) ** 2
    kernel = torch.sinc(distance) * torch.exp(BETA * (torch.sqrt(taper.clamp_min(0.0)) - 1)) * (taper > 0)
    return kernel / kernel.sum(-1, keepdim=True), first.long()

BETA = 6.0

def _clip(first: Tensor, count: int, size: int) -> tuple[Tensor, Tensor]:
    index = first + torch.arange(count, device=first.device)
    inside = (index >= 0) & (index < size)
    return index.clamp(0, size - 1), inside


ARC=0.7
@lru_cache(maxsize=4)
def _polar_rule() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nodes (radius in s, cos, sin) and weights of the window times the area element of the unit circle."""
    v, dv = np.polynomial.legendre.leggauss(RADII)
    v, dv = 0.5 * (v + 1), 0.5 * dv
    radii = REACH * v**CROWDING
    radial = REACH * CROWDING * v ** (CROWDING - 1) * dv * radii * np.exp(-(radii**4))
    out = []
    for i, (u, w) in enumerate(zip(radii, radial, strict=True)):
        angles = max(8, 4 * math.ceil(2 * math.pi * u * WINDOW / ARC / 4))
        phi = 2 * math.pi * (np.arange(angles) + 0.5 * (i % 2)) / angles
        out.append((np.full(angles, u), np.cos(phi), np.sin(phi), np.full(angles, w * 2 * math.pi / angles)))
    return tuple(np.concatenate(parts) for parts in zip(*out, strict=True))
