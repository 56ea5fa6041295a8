r"""Images on rings: cells of ellipses around a centre, the means of which are what a network looks at.

Ring j has the semi-major axis a_j, zero and then equal steps in its logarithm. With the ellipse's shape
eta = e (cos 2 theta, sin 2 theta), theta from up to left, the cell in direction psi lies at

    (up, left) = S a (cos psi, sin psi),     S = (1 - e / 2) 1 + [[eta_1, eta_2], [eta_2, -eta_1]] / 2,

S being the symmetric matrix that stretches a circle into the ellipse, so that rings whose shapes differ are not
twisted against each other. psi is counted from the direction of the source's moments, so that a quarter turn of the
image changes nothing. Large cells are read from an image of larger pixels, as in mip maps (Williams 1983).
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from isolux.nets.frame import Frame
from isolux.types import PerGalaxy, Points, Tensor

RINGS, ANGLES = 64, 32
FIRST, LAST = 0.5, 181.0
"""Semi-major axes in pixels of the second and the last ring."""
RATIO = (LAST / FIRST) ** (1 / (RINGS - 2))
FINE = 0.06
"""Side of the pixels that a ring is read from, over its semi-major axis, at most; or one pixel."""
LEVELS = 4
SAMPLES = 2
"""Points a cell, along the radius and along the ring."""


def ring_radii(device: torch.device | str = "cpu") -> Tensor:
    """Semi-major axes (ring,) in pixels."""
    steps = torch.arange(RINGS - 1, dtype=torch.float32, device=device)
    return torch.cat([steps.new_zeros(1), FIRST * RATIO**steps])


def stretched(shape: Tensor, up: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Points of a circle on the ellipse of a shape (..., 2)."""
    e = torch.linalg.vector_norm(shape, dim=-1)
    one, two = shape.unbind(-1)
    middle = 1 - e / 2
    return (
        (middle + one / 2) * up + two / 2 * left,
        two / 2 * up + (middle - one / 2) * left,
    )


def cell_areas(shape: Tensor) -> Points:
    """Pixels (galaxy, ring) in a cell of rings of a shape (galaxy, ring, 2); at least a 32nd."""
    ratio = 1 - torch.linalg.vector_norm(shape, dim=-1)
    radii = ring_radii(shape.device)
    return (ratio * radii**2 * (math.log(RATIO) * 2 * math.pi / ANGLES)).clamp_min(1 / ANGLES)


def cells(frame: Frame, x: PerGalaxy, y: PerGalaxy, shape: Tensor, turn: PerGalaxy) -> tuple[Tensor, Tensor]:
    """Mean brightness and share of good pixels, each (galaxy, ring, angle).

    Parameters
    ----------
    frame : Frame
        The images.
    x, y : Tensor
        (galaxy,): centre.
    shape : Tensor
        (galaxy, ring, 2): of the rings.
    turn : Tensor
        (galaxy,): direction that angles count from, radians from up to left.
    """
    grid, ring_level = _grid(frame, x, y, shape, turn)
    pair = torch.stack([frame.image * frame.good, frame.good], 1)
    tall, wide = pair.shape[2:]
    coarsest = 2 ** (LEVELS - 1)
    pair = functional.pad(pair, (0, -wide % coarsest, 0, -tall % coarsest))
    scale = torch.tensor([pair.shape[3], pair.shape[2]], device=grid.device)
    grid = (2 * grid + 1) / scale - 1
    parts = []
    for level in range(LEVELS):
        rings = (ring_level == level).nonzero()[:, 0]
        if not len(rings):
            continue
        image = functional.avg_pool2d(pair, 2**level) if level else pair
        found = functional.grid_sample(image, grid[:, rings[0] : rings[-1] + 1], align_corners=False)
        parts.append(found)
    sampled = functional.avg_pool2d(torch.cat(parts, 2), SAMPLES)
    covered = sampled[:, 1]
    return torch.where(covered > 0.05, sampled[:, 0] / covered.clamp_min(0.05), 0.0), covered


def _grid(frame: Frame, x: PerGalaxy, y: PerGalaxy, shape: Tensor, turn: PerGalaxy) -> tuple[Tensor, Tensor]:
    """Points (galaxy, SAMPLES ring, SAMPLES angle, 2) as x and y in pixels, and the level (SAMPLES ring,) of each."""
    device = frame.image.device
    offsets = (torch.arange(SAMPLES, device=device) + 0.5) / SAMPLES - 0.5
    radii = ring_radii(device)
    a = (radii[:, None] * RATIO ** offsets[None]).flatten()
    psi = ((torch.arange(ANGLES, device=device)[:, None] + offsets).flatten()) * (2 * math.pi / ANGLES)
    angle = psi + turn[:, None]
    up, left = (a[None, :, None] * w[:, None] for w in (torch.cos(angle), torch.sin(angle)))
    rings = shape.repeat_interleave(SAMPLES, 1)[:, :, None]
    up, left = stretched(rings, up, left)
    points = torch.stack([x[:, None, None] - left, y[:, None, None] + up], -1)
    level = torch.log2((FINE * radii).clamp_min(1)).floor().long().clamp_max(LEVELS - 1)
    return points, level.repeat_interleave(SAMPLES)
