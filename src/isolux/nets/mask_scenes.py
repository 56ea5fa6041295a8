"""Scenes for the mask network, of layers whose light is known exactly: galaxies, stars, and what a detector adds.

The galaxies are those of :mod:`isolux.nets.profile_draw`, put together so that masks are hard: pairs a few pixels
apart, satellites on large galaxies, neighbours cut by the edge, galaxies beyond it whose wings cover the stamp, stars
with wide wings, spikes and full pixels, cosmic rays and dead columns. All is in units of the sky's noise a pixel.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch.nn import functional

from isolux.nets.profile_draw import Lot
from isolux.types import Images, Tensor

EMPTY, PAIR, SATELLITES, WINGS, BRIGHT = 0.08, 0.3, 0.5, 0.08, 0.1
"""Shares of stamps without a central galaxy, with one in a close pair, with satellites if it is large, with the wings
of a galaxy beyond the edge, with a bright star."""
NEIGHBOURS, STARS = 1.5, 0.7
"""Mean numbers of each."""
CLOSE = (4.0, 20.0)
"""Pixels between the two of a pair."""
LARGE = 8.0
"""Half-light radius in pixels from which on a galaxy has satellites."""
MOST = 12
"""Sources of a scene."""
EDGE = 0.15
"""Light at the edge of its layer above which a galaxy is moved only so far that the edge is not seen."""


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """A scene without noise.

    Attributes
    ----------
    layers : Tensor
        (source, y, x): the light of each; the first is the central galaxy's, or nothing.
    x, y : Tensor
        (source,): their centres, which may lie outside.
    limit : float
        Light at which pixels are full.
    """

    layers: Images
    x: Tensor
    y: Tensor
    limit: float = math.inf


def draw_scene(lot: Lot, side: int, rng: np.random.Generator) -> Drawn:
    """A scene of a lot's galaxies."""
    found: list[tuple[Images, float, float]] = []
    middle = (side - 1) / 2
    if rng.uniform() < EMPTY:
        central = torch.zeros(side, side), math.nan, math.nan
    else:
        row = int(rng.integers(len(lot.layer)))
        central = _galaxy(lot, row, 1.0, 0.0, 0.0, side, rng)
        if rng.uniform() < PAIR:
            found.append(_beside(lot, central, side, rng))
        radius = half_light(central[0], central[1], central[2])
        if radius > LARGE and rng.uniform() < SATELLITES:
            found += [_satellite(lot, central, radius, side, rng) for _ in range(int(rng.integers(1, 5)))]
    for _ in range(int(rng.poisson(NEIGHBOURS))):
        dx, dy = rng.uniform(-middle - 10, middle + 10, 2)
        part = 10 ** rng.uniform(-1.5, 0.5)
        if math.hypot(dx, dy) > CLOSE[0]:
            found.append(_galaxy(lot, int(rng.integers(len(lot.layer))), part, dx, dy, side, rng))
    for _ in range(int(rng.poisson(STARS))):
        x, y = rng.uniform(0, side, 2)
        found.append(star(lot, 10 ** rng.uniform(0.5, 3.5), x, y, side))
    limit = math.inf
    if rng.uniform() < WINGS:
        found.append(_wings(side, rng))
    if rng.uniform() < BRIGHT:
        limit = 10 ** rng.uniform(3.0, 4.2)
        found.append(_bright_star(lot, limit, side, rng))
    layers, x, y = zip(central, *found[: MOST - 1], strict=True)
    return Drawn(torch.stack(layers), torch.tensor(x).float(), torch.tensor(y).float(), limit)


def half_light(light: Images, x: float, y: float) -> float:
    """Radius in pixels of the circle that holds half of the light that is in the stamp."""
    tall, wide = light.shape
    square = (torch.arange(tall)[:, None] - y) ** 2 + (torch.arange(wide)[None] - x) ** 2
    ring = square.sqrt().round().long().flatten()
    grown = torch.bincount(ring, weights=light.flatten().double()).cumsum(0)
    return float((grown < 0.5 * grown[-1]).sum()) if float(grown[-1]) > 0 else 0.0


def star(lot: Lot, peak: float, x: float, y: float, side: int) -> tuple[Images, float, float]:
    """A star; its centre is moved to a fraction of a pixel by linear interpolation."""
    psf = lot.psf * (peak / float(lot.psf.max()))
    return _placed(psf, x, y, side), x, y


def _galaxy(
    lot: Lot, row: int, part: float, dx: float, dy: float, side: int, rng: np.random.Generator
) -> tuple[Images, float, float]:
    """A galaxy about (dx, dy) from the stamp's middle, by some quarter turns."""
    layer, turns = lot.layer[row] * part, int(rng.integers(4))
    size = layer.shape[0]
    x, y = float(lot.labels.x[row]), float(lot.labels.y[row])
    for _ in range(turns):
        x, y = y, size - 1 - x
    rim = torch.cat([layer[0], layer[-1], layer[:, 0], layer[:, -1]])
    room = math.inf if float(rim.max()) < EDGE else max(0, (size - side) // 2)
    moved = [round(min(max(step, -room), room)) for step in (dy, dx)]
    light = torch.zeros(side, side)
    corner = [(side - size) // 2 + step for step in moved]
    here = [slice(max(c, 0), max(min(c + size, side), 0)) for c in corner]
    there = [slice(h.start - c, h.stop - c) for h, c in zip(here, corner, strict=True)]
    light[here[0], here[1]] = torch.rot90(layer, turns)[there[0], there[1]]
    return light, x + corner[1], y + corner[0]


def _beside(
    lot: Lot, central: tuple[Images, float, float], side: int, rng: np.random.Generator
) -> tuple[Images, float, float]:
    """A galaxy or star close to the central one, brighter or fainter."""
    distance, angle = rng.uniform(*CLOSE), rng.uniform(0, 2 * math.pi)
    dx, dy = distance * math.cos(angle), distance * math.sin(angle)
    if rng.uniform() < 0.25:
        return star(lot, 10 ** rng.uniform(0.7, 3), central[1] + dx, central[2] + dy, side)
    row, part = int(rng.integers(len(lot.layer))), 10 ** rng.uniform(-1.2, 0.8)
    middle = (side - 1) / 2
    return _galaxy(lot, row, part, central[1] - middle + dx, central[2] - middle + dy, side, rng)


def _satellite(
    lot: Lot, central: tuple[Images, float, float], radius: float, side: int, rng: np.random.Generator
) -> tuple[Images, float, float]:
    """Something small on top of the central galaxy: as bright as it is there, within a factor of ten."""
    distance, angle = radius * rng.uniform(0.4, 2.5), rng.uniform(0, 2 * math.pi)
    x, y = central[1] + distance * math.cos(angle), central[2] + distance * math.sin(angle)
    place = [min(max(round(n), 0), side - 1) for n in (y, x)]
    peak = max(2.0, float(central[0][place[0], place[1]])) * 10 ** rng.uniform(-0.7, 1)
    light, *_ = star(lot, peak, x, y, side)
    if rng.uniform() < 0.5:
        light = _blurred(light, rng.uniform(0.8, 2.5))
        light = light * (peak / max(float(light.max()), 1e-6))
    return light, x, y


def _wings(side: int, rng: np.random.Generator) -> tuple[Images, float, float]:
    """A large Sersic galaxy whose centre is beyond the edge."""
    angle, far = rng.uniform(0, 2 * math.pi), side * rng.uniform(0.6, 1.2)
    x, y = ((side - 1) / 2 + far * f(angle) for f in (math.cos, math.sin))
    ratio, turn, index = rng.uniform(0.3, 1), rng.uniform(0, math.pi), rng.uniform(0.8, 5)
    radius = side * rng.uniform(0.2, 0.8)
    axis = torch.arange(side)
    dy, dx = axis[:, None] - y, axis[None] - x
    along, across = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
    r = torch.sqrt(along**2 + (across / ratio) ** 2) / radius
    light = torch.exp(-(2 * index - 1 / 3) * (r ** (1 / index) - 1))
    at_middle = float(light[side // 2, side // 2])
    return (light * (10 ** rng.uniform(-0.5, 1) / at_middle)).clamp_max(1e5), x, y


def _bright_star(lot: Lot, limit: float, side: int, rng: np.random.Generator) -> tuple[Images, float, float]:
    """A star of full pixels: wings that fall like a power law, spikes, and a column into which charge has bled."""
    x, y = rng.uniform(0, side, 2)
    if math.hypot(x - side / 2, y - side / 2) < 12:
        x = (x + side / 2) % side
    peak = limit * 10 ** rng.uniform(-0.3, 1.2)
    axis = torch.arange(side)
    dy, dx = axis[:, None] - y, axis[None] - x
    r = torch.sqrt(dx**2 + dy**2)
    width = 0.6 * math.sqrt(1 / float(lot.psf.square().sum()))
    slope = rng.uniform(2.2, 3.5)
    light = _placed(lot.psf * (peak / float(lot.psf.max())), x, y, side)
    light = light + peak * 10 ** rng.uniform(-3, -1.8) * (1 + (r / (2 * width)) ** 2) ** (-slope / 2)
    if rng.uniform() < 0.6:
        light = light + _spikes(dx, dy, peak * 10 ** rng.uniform(-2.5, -1.5), rng)
    if peak > 3 * limit and rng.uniform() < 0.4:
        bled = (dx.abs() < rng.uniform(0.5, 1.5)) & (dy.abs() < rng.uniform(5, 40))
        light = torch.where(bled, light.clamp_min(limit), light)
    return light, x, y


def _spikes(dx: Tensor, dy: Tensor, peak: float, rng: np.random.Generator) -> Images:
    """Four or six thin rays that fall exponentially."""
    turn, reach, thick = rng.uniform(0, math.pi), rng.uniform(6, 25), rng.uniform(0.6, 1.3)
    found = torch.zeros(dy.shape[0], dx.shape[1])
    axes = int(rng.choice([2, 3]))
    for k in range(axes):
        cos, sin = math.cos(turn + k * math.pi / axes), math.sin(turn + k * math.pi / axes)
        along, across = dx * cos + dy * sin, dy * cos - dx * sin
        found += torch.exp(-along.abs() / reach - 0.5 * (across / thick) ** 2)
    return found * peak


def defects(side: int, light: Images, rng: np.random.Generator) -> tuple[Images, Tensor]:
    """What cosmic rays, hot pixels and dead columns add to the image, and which of it is known to be bad."""
    added, known = torch.zeros(side, side), torch.zeros(side, side, dtype=torch.bool)
    if rng.uniform() < 0.15:
        for _ in range(int(rng.integers(1, 4))):
            track = _track(side, rng)
            added[track] += 10 ** rng.uniform(0.9, 3)
            if rng.uniform() < 0.5:
                known[track] = True
    if rng.uniform() < 0.08:
        column = int(rng.integers(side))
        dead = rng.uniform() < 0.5
        added[:, column] = (
            -light[:, column] if dead else float(rng.choice([-1, 1])) * 10 ** rng.uniform(0.7, 2.5)
        )
        if dead or rng.uniform() < 0.6:
            known[:, column] = True
        if rng.uniform() < 0.5:
            added, known = added.T.contiguous(), known.T.contiguous()
    return added, known


def _track(side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pixels of a straight track."""
    length, angle = 1 + rng.exponential(5), rng.uniform(0, math.pi)
    x, y = rng.uniform(0, side, 2)
    steps = torch.arange(0, length, 0.5)
    rows, columns = (y + steps * math.sin(angle)).long(), (x + steps * math.cos(angle)).long()
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return rows[inside], columns[inside]


def _placed(stamp: Images, x: float, y: float, side: int) -> Images:
    """A stamp of odd side with its middle pixel at (x, y), linear between pixels, on an empty image."""
    half = stamp.shape[0] // 2
    left, low = math.floor(x), math.floor(y)
    fx, fy = x - left, y - low
    wide = functional.pad(stamp, (1, 1, 1, 1))
    n = stamp.shape[0] + 1
    moved = torch.zeros(n, n)
    for v, h in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part = (fy if v else 1 - fy) * (fx if h else 1 - fx)
        moved += wide[1 - v : 1 - v + n, 1 - h : 1 - h + n] * part
    light = torch.zeros(side, side)
    corner = (low - half, left - half)
    here = [slice(max(c, 0), max(min(c + n, side), 0)) for c in corner]
    if any(h.start >= h.stop for h in here):
        return light
    there = [slice(h.start - c, h.stop - c) for h, c in zip(here, corner, strict=True)]
    light[here[0], here[1]] = moved[there[0], there[1]]
    return light


def _blurred(light: Images, sigma: float) -> Images:
    axis = torch.arange(-6, 7)
    kernel = torch.exp(-0.5 * (axis / sigma) ** 2)
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(light[None, None], kernel[None, None, :, None], padding=(6, 0))
    return functional.conv2d(rows, kernel[None, None, None], padding=(0, 6))[0, 0]
