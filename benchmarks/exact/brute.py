"""A reference for any radial profile, by brute force: polar quadrature that is refined until nothing changes.

The image is the sum over nodes of the galaxy's light times the response of a pixel to a point, which is known in
closed form for PSFs that are sums of upright Gaussians: for each a product of differences of error functions, the
pixel's response included. Nodes lie on rings of constant elliptical radius: Gauss-Legendre in radius on panels
that shrink towards the centre and towards every radius where the profile is not smooth; in angle evenly spaced,
or with boxiness Gauss-Legendre in each quadrant, crowded towards the axes. All of it is independent of Isolux
and of GalSim (with which it agrees to 1e-6 where both can draw).
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from exact.psfs import Psf

SETTLED = 3e-6
"""Refined until the image changes by less than this share of its maximum."""
ORDER = 10
"""Nodes of a panel in radius."""
HALVINGS = 40
"""Panels towards the centre, each half of the one before; the innermost ring's light is nothing."""
EDGE_HALVINGS = 16
AT_ONCE = 60000
NEGLIGIBLE = 1e-11
"""Rings beyond which the light of the galaxy is below this share of the whole are left out."""


@dataclass(frozen=True)
class Radial:
    """A galaxy of unit flux with brightness f(r), its shape, and the radii where f is not smooth."""

    brightness: Callable[[np.ndarray], np.ndarray]
    x: float
    y: float
    q: float
    angle: float
    boxiness: float | None = None
    breaks: tuple[float, ...] = ()
    scale: float = 1.0
    """A radius that holds much of the light."""


def image(galaxy: Radial, psf: Psf, size: int) -> np.ndarray:
    """The image, refined until it has settled."""
    spacing = 0.9 * min(part.sigma for part in psf.parts)
    before = at_spacing(galaxy, psf, size, spacing)
    for _ in range(4):
        spacing /= 1.5
        after = at_spacing(galaxy, psf, size, spacing)
        if np.abs(after - before).max() < SETTLED * after.max():
            return after
        before = after
    raise RuntimeError(f"the reference did not settle: {galaxy}")


def at_spacing(galaxy: Radial, psf: Psf, size: int, spacing: float) -> np.ndarray:
    """The image with nodes at most about so many pixels apart."""
    if any(part.q != 1 or part.moffat for part in psf.parts):
        raise ValueError("only round Gaussians have a response in closed form")
    pixels, total = torch.arange(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
    for x, y, light in nodes_in_view(galaxy, size, psf.reach, spacing):
        for part in psf.parts:
            response_x = response(pixels, x + part.dx, part.sigma)
            response_y = response(pixels, y + part.dy, part.sigma)
            total += (response_y * (part.share * light)) @ response_x.T
    return (total / flux(galaxy)).numpy()


def response(pixels: torch.Tensor, place: torch.Tensor, sigma: float) -> torch.Tensor:
    """Share (pixel, node) of a point's light in each pixel, along one axis."""
    width = sigma * math.sqrt(2)
    edges = torch.cat([pixels - 0.5, pixels[-1:] + 0.5])
    below = torch.erf((edges[:, None] - place[None, :]) / width)
    return 0.5 * (below[1:] - below[:-1])


def flux(galaxy: Radial) -> float:
    """Integral of the brightness to infinity."""
    _, weights, outline = directions(galaxy, 720)
    area = float((weights * outline**2).sum()) * galaxy.q
    return area * sum(
        float((w * r * galaxy.brightness(r)).sum()) for r, w in rings(galaxy, math.inf, math.inf)
    )


def nodes_in_view(
    galaxy: Radial, size: int, reach: float, spacing: float
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Places and light of the nodes whose light can reach the stamp, some at a time."""
    ends = (-reach, size + reach)
    corner = max(math.hypot(galaxy.x - x, galaxy.y - y) for x in ends for y in ends)
    power = min(2.0, 2 + (galaxy.boxiness or 0))
    farthest = corner / galaxy.q * 2 ** (1 / power - 0.5)
    sin, cos = math.sin(math.radians(galaxy.angle)), math.cos(math.radians(galaxy.angle))
    gathered: list[np.ndarray] = []
    waiting = 0
    for radii, weights in rings(galaxy, farthest, 3 * spacing * math.sqrt(ORDER / 10)):
        light = radii * weights * galaxy.brightness(radii)
        count = max(32, 4 * math.ceil(2 * math.pi * radii.max() / spacing / 4))
        angle, turn, outline = directions(galaxy, count)
        major = (radii[:, None] * (outline * np.cos(angle))).ravel()
        minor = (radii[:, None] * (outline * np.sin(angle) * galaxy.q)).ravel()
        lit = (light[:, None] * (turn * outline**2 * galaxy.q)).ravel()
        x = galaxy.x + minor * cos - major * sin
        y = galaxy.y + major * cos + minor * sin
        seen = (np.minimum(x, y) > -reach) & (np.maximum(x, y) < size + reach) & (lit != 0)
        gathered.append(np.stack([x[seen], y[seen], lit[seen]]))
        waiting += int(seen.sum())
        if waiting > AT_ONCE:
            yield tuple(torch.from_numpy(np.concatenate(gathered, 1)))
            gathered, waiting = [], 0
    if waiting:
        yield tuple(torch.from_numpy(np.concatenate(gathered, 1)))


def directions(galaxy: Radial, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, their weights, and the distance of the unit (generalised) circle in each direction."""
    if not galaxy.boxiness:
        angle = 2 * np.pi * (np.arange(count) + 0.5) / count
        return angle, np.full(count, 2 * np.pi / count), np.ones(count)
    nodes, steps = np.polynomial.legendre.leggauss(count * 3 // 8 + 8)
    t, dt = 0.5 * (nodes + 1), 0.5 * steps
    share, slope = t**3 * (10 - 15 * t + 6 * t * t), 30 * (t * (1 - t)) ** 2
    quadrant, weight = 0.5 * np.pi * share, 0.5 * np.pi * slope * dt
    angle = np.concatenate([quadrant + k * np.pi / 2 for k in range(4)])
    power = galaxy.boxiness + 2
    outline = (np.abs(np.cos(quadrant)) ** power + np.abs(np.sin(quadrant)) ** power) ** (-1 / power)
    return angle, np.tile(weight, 4), np.tile(outline, 4)


def rings(galaxy: Radial, farthest: float, longest: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Radii and weights dr, a panel at a time, from the centre outwards until no light is left."""
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)
    done = 0.0
    for inner, outer in panels(galaxy, farthest, longest):
        r = inner + (outer - inner) * 0.5 * (nodes + 1)
        w = 0.5 * (outer - inner) * weights
        light = float((w * r * galaxy.brightness(r)).sum())
        done += light
        yield r, w
        if inner > 3 * galaxy.scale and light * max(1.0, inner / (outer - inner)) < NEGLIGIBLE * done:
            return


def panels(galaxy: Radial, farthest: float, longest: float) -> Iterator[tuple[float, float]]:
    """Ends of the panels: halved towards the centre and towards breaks, never longer than ``longest``."""
    ends = [0.0, *sorted(b for b in galaxy.breaks if b < farthest), farthest]
    for low, high in itertools.pairwise(ends):
        middle = max(galaxy.scale, 1.5 * low) if math.isinf(high) else 0.5 * (low + high)
        start = low
        for j in range(EDGE_HALVINGS if low in galaxy.breaks else HALVINGS, -1, -1):
            end = low + (middle - low) * 0.5**j
            yield from split(start, end, longest)
            start = end
        while math.isinf(high):  # as long as somebody asks
            yield start, 1.5 * start
            start *= 1.5
        for j in range(1, EDGE_HALVINGS + 1) if high in galaxy.breaks else ():
            end = high - (high - middle) * 0.5**j
            yield from split(start, end, longest)
            start = end
        yield from split(start, high, longest)


def split(start: float, end: float, longest: float) -> Iterator[tuple[float, float]]:
    pieces = max(1, math.ceil((end - start) / longest))
    ends = np.linspace(start, end, pieces + 1)
    yield from zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
