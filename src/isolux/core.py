"""The centre of a galaxy, drawn without aliasing.

A grid of points cannot carry detail finer than two of its spacings, and a galaxy's cusp has such detail: sampled
at the pixels it comes out wrong by per cents. Light that the PSF will blur needs no such detail, so we split each
profile with a smooth window w that is one at the centre,

    I = I (1 - w) + I w,      1 - w = (1 - [1 - (r / 2s)^2]^5)^3  inside 2s, 1 outside,

sample the first part, which is smooth, at the grid, and give the second by its Fourier transform, of which the
grid's own frequencies are simply all that is kept. Both parts are the same linear operation on any function of
position, so derivatives go the same way, and any radial profile is served, a user's own included.

The transform of g(r) on ellipses depends on the elliptical frequency k alone: with (ka, kb) the frequency along
the axes, c = b / q, and k^2 = ka^2 + q^2 kb^2,

    g      ->  2 pi q H0,                             Hm = integral of g(r) Jm(k r) r dr
    g c^2  ->  pi q [H0(g r^2) + (ka^2 - q^2 kb^2) H2(g r^2) / k^2]
    g a c  ->  -pi q [2 ka q kb H2(g r^2) / k^2]

H0 and H2 / k^2 are sums over fixed quadrature radii, tabulated for each galaxy in log(1 + (k s)^2) and read off by
linear interpolation. The shapes of :mod:`isolux.geometry` that are not elliptical are summed over nodes in the plane.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch

from isolux.geometry import Ellipse, pixel_offsets, rotated
from isolux.psf import Canvas, share
from isolux.types import Maps, Points, Rows, Tensor

WINDOW = 2.5
"""Scale s of the window along the minor axis, in grid spacings."""
LONGEST = 50.0
"""Most that s measures along the major axis of a thin galaxy, in grid spacings."""
REACH = 2.0
"""The window ends at this many s; near the centre it is 1 - 2 (r / s)^6."""
BOXES = (48, 96, 216)
"""Points a side of the boxes that cores are drawn on: the first for nearly all, the others for thin galaxies."""
MARGIN = 6
"""Points of the box beyond a core, for the ripples of its limited band."""
BEYOND = 1.25
"""Highest frequency of a core over the grid's highest."""
VECTOR = 16
"""Numbers that a processor may work on at once: rows of so many, wherever they stand, come out the same."""
RADII = 160
CROWDING = 3.0
"""Radii go as this power of the Gauss-Legendre variable: a cusp r^(1/n) becomes smooth."""
TABLE = 512
"""Frequencies at which H0 and H2 are tabulated."""
HIGHEST = math.log1p(2 * (math.pi * LONGEST) ** 2)
"""The table's end in log(1 + (k s)^2)."""


def window_scale(ellipse: Ellipse, spacing: float) -> Tensor:
    """The window's s (row, 1) in pixels; only the cores of true ellipses may be longer than the first box."""
    longest = LONGEST if ellipse.boxiness is None else (BOXES[0] / 2 - MARGIN) / REACH
    return spacing * torch.clamp(WINDOW / ellipse.axis_ratio, max=longest)


def window_complement(square: Points, scale: Tensor) -> Points:
    """1 - w at points of squared elliptical radius r^2."""
    inside = torch.addcmul(torch.ones_like(scale), square, -1 / (REACH * scale) ** 2).clamp_min(0)
    fourth = (inside * inside) ** 2
    outside = 1 - fourth * inside
    return outside * outside * outside


def radii(scale: Tensor) -> Points:
    """Quadrature radii (row, radius) in pixels."""
    u, _, _ = _hankel(scale.dtype, scale.device)
    return scale * u


@dataclasses.dataclass(frozen=True)
class RoundCore:
    """The windowed light of an elliptical component, as tables of its transform.

    Attributes
    ----------
    table : Tensor
        (row, frequency, map): H0 of the maps that are functions of r, then H0 and H2 / k^2 of g r^2.
    moments : tuple of str
        Which of ``cc`` and ``ac``, the maps g c^2 and g a c, follow the others.
    ellipse : Ellipse
        Where the component is.
    scale : Tensor
        (row, 1): the window's s in pixels.
    """

    table: Tensor
    moments: tuple[str, ...]
    ellipse: Ellipse
    scale: Tensor

    @classmethod
    def of(
        cls, ellipse: Ellipse, scale: Tensor, plain: Tensor, moment: Points | None, moments: tuple[str, ...]
    ) -> RoundCore:
        """Tables for functions (row, map, radius) of r, and for g r^2 (row, radius) where ``moments`` are wanted."""
        _, zeroth, second = _hankel(scale.dtype, scale.device)
        if moment is None:
            table = plain @ zeroth
        else:
            both = torch.cat([plain, moment[:, None]], 1)
            table = torch.cat([both @ zeroth, moment[:, None] @ second], 1)
        return cls(table.transpose(1, 2).contiguous(), moments, ellipse, scale)

    def select(self, rows: Rows) -> RoundCore:
        """Some of the rows."""
        return RoundCore(self.table[rows], self.moments, self.ellipse.select(rows), self.scale[rows])

    def spectrum(self, ky: Tensor, kx: Tensor, spacing: float) -> Tensor:
        """Real transforms (row, map, ky, kx) about the component's centre, per grid cell, at frequencies a pixel."""
        q = self.ellipse.axis_ratio[..., None]
        along, across = rotated(self.ellipse, kx, ky)
        along, across = along * self.scale[..., None], across * (q * self.scale[..., None])
        square = along * along + across * across
        read = self._read(square) * (q * (self.scale[..., None] / spacing) ** 2)[..., None]
        if not self.moments:
            return read.movedim(-1, 1)
        plain, h0, h2 = read[..., :-2], read[..., -2], read[..., -1]
        found = {
            "cc": 0.5 * (h0 + (along * along - across * across) * h2),
            "ac": -along * across * h2,
        }
        return torch.cat([plain.movedim(-1, 1), torch.stack([found[name] for name in self.moments], 1)], 1)

    def _read(self, square: Tensor) -> Tensor:
        """Tables (row, ky, kx, map) at (k s)^2."""
        place = torch.log1p(square) * ((TABLE - 1) / HIGHEST)
        low = torch.nan_to_num(place.detach()).floor().clamp(0, TABLE - 2)
        rows = torch.arange(len(square), device=square.device).view(-1, 1, 1)
        index = low.long() + TABLE * rows
        flat = self.table.flatten(0, 1)
        index = index.flatten()
        before, after = (torch.index_select(flat, 0, i).view(*square.shape, -1) for i in (index, index + 1))
        return torch.lerp(before, after, (place - low)[..., None])


@dataclasses.dataclass(frozen=True)
class NodeCore:
    """The windowed light of a component that is not elliptical, at nodes in the plane.

    Attributes
    ----------
    light : Tensor
        (row, map, node): brightness times the node's area in grid cells and the window.
    dx, dy : Tensor
        (row, node): offsets from the centre in pixels.
    """

    light: Tensor
    dx: Points
    dy: Points

    def select(self, rows: Rows) -> NodeCore:
        """Some of the rows."""
        return NodeCore(self.light[rows], self.dx[rows], self.dy[rows])

    def spectrum(self, ky: Tensor, kx: Tensor, spacing: float) -> Tensor:
        """Complex transforms (row, map, ky, kx) about the component's centre, per grid cell."""
        wave_y = _wave(self.dy[..., None] * ky.flatten())
        wave_x = _wave(self.dx[..., None] * kx.flatten())
        lit = self.light[..., None] * wave_y[:, None]
        return lit.transpose(2, 3) @ wave_x[:, None]


Core: TypeAlias = RoundCore | NodeCore


@dataclasses.dataclass(frozen=True)
class Nodes:
    """Quadrature nodes around the centre of each galaxy.

    Attributes
    ----------
    major, minor : Tensor
        (row, node): offsets along the axes in pixels.
    area : Tensor
        (row, node): in grid cells, times the window of an ellipse.
    """

    major: Points
    minor: Points
    area: Points

    def core(self, ellipse: Ellipse, light: Tensor) -> NodeCore:
        """The core whose brightness (row, map, node) is known at the nodes."""
        return NodeCore(light * self.area[:, None], *pixel_offsets(ellipse, self.major, self.minor))


ARC = 0.6
"""Distance of nodes along a ring, in grid spacings of the minor axis."""
RINGS, QUADRANT = 24, 12
"""Rings of nodes, and least number of nodes in each quarter of one: contours may have kinks on the axes."""


def nodes_around(ellipse: Ellipse, scale: Tensor, spacing: float) -> Nodes:
    """Nodes in the frame of each galaxy."""
    radius, cos, sin, weight = (
        torch.as_tensor(a, dtype=scale.dtype, device=scale.device) for a in _polar_rule()
    )
    u = radius * scale
    area = weight * (scale / spacing) ** 2 * ellipse.axis_ratio
    return Nodes(u * cos, u * sin * ellipse.axis_ratio, area)


def add_core(canvas: Canvas, grid: Maps, core: Core, ellipse: Ellipse, scale: Tensor) -> Maps:
    """Maps (row, map, y, x) on a canvas, changed in place: with the light of their cores.

    Cores are drawn on boxes and cut at the canvas's edge. The few that the smallest box does not hold, those of thin
    galaxies, are drawn one by one.
    """
    reach = scale.detach()[:, 0] * (REACH / canvas.spacing) + MARGIN
    fits = ~(reach > 0.5 * BOXES[0])
    patch, index = _placed(canvas, core, ellipse, BOXES[0])
    if bool(fits.all()):
        grid.flatten(2).scatter_add_(2, index.expand_as(patch), patch)
        return grid
    patch = torch.where(fits[:, None, None], patch, torch.zeros_like(patch))
    grid.flatten(2).scatter_add_(2, index.expand_as(patch), patch)
    for side, rows in _thin(reach, fits):
        patch, index = _placed(canvas, core.select(rows), ellipse.select(rows), side)
        changed = grid[rows].flatten(2).scatter_add_(2, index.expand_as(patch), patch)
        grid[rows] = changed.unflatten(2, canvas.size)
    return grid


def _thin(reach: Tensor, fits: Tensor) -> Iterator[tuple[int, Rows]]:
    """Sides of larger boxes with the rows that they are for: one row at a time on a CPU, all at once on a GPU.

    A CPU's arithmetic may differ in the last bit with the number of rows; a GPU is slow with single ones.
    """
    thin = torch.nonzero(~fits)[:, 0]
    side = torch.full_like(thin, BOXES[-1])
    for box in BOXES[-2:0:-1]:
        side = torch.where(0.5 * box >= reach[thin], box, side)
    if reach.device.type == "cuda":
        yield from ((box, thin[side == box]) for box in BOXES[1:] if bool((side == box).any()))
    else:
        yield from zip(side.tolist(), thin.split(1), strict=True)


def _placed(canvas: Canvas, core: Core, ellipse: Ellipse, side: int) -> tuple[Tensor, Tensor]:
    """Cores (row, map, cell) on a box, zero beyond the canvas, and their cells (row, 1, cell) on it."""
    (top, left), spacing = canvas.origin, canvas.spacing
    place = torch.cat([ellipse.y - top, ellipse.x - left], 1) / spacing
    first = torch.nan_to_num(place.detach()).round() - side // 2
    patch = _patch(core, (place - first) * spacing, spacing, side, canvas.decay)
    steps = torch.arange(side, device=patch.device)
    (down, in_y), (across, in_x) = (
        _clip(first[:, k : k + 1].long() + steps, size) for k, size in enumerate(canvas.size)
    )
    inside = (in_y[:, :, None] & in_x[:, None, :])[:, None]
    index = down[:, :, None] * canvas.size[1] + across[:, None, :]
    return torch.where(inside, patch, torch.zeros_like(patch)).flatten(2), index.flatten(1)[:, None]


def _patch(core: Core, centre: Tensor, spacing: float, side: int, decay: tuple[float, float]) -> Maps:
    """Cores (row, map, y, x) on a box, their centres (row, 2) y and x in pixels from its first point.

    What ripples of the limited band are left at the edges of the box is faded out rather than cut off, which would
    add other frequencies.
    """
    box = _box(side, decay, centre.dtype, centre.device)
    ky, kx = box.ky[:, None] / spacing, box.kx / spacing
    wave_y = _wave(centre[:, :1, None] * ky) * box.share_y[:, None]
    wave_x = _wave(centre[:, 1:, None] * kx) * box.share_x
    spectrum = core.spectrum(ky, kx, spacing) * (wave_y * wave_x)[:, None]
    return torch.fft.irfft2(box.fold(spectrum), s=(side, side)) * box.fade


@dataclasses.dataclass(frozen=True)
class _Box:
    """A box of ``side`` points, with frequencies up to somewhat more than its points can carry.

    A frequency k beyond pi a spacing looks like 2 pi - k on the grid, and is added to it. The shares say how much of
    the PSF's transform there belongs to either (:func:`isolux.psf.share`). Frequencies are as many as fill whole
    vectors of the processor, the last of them with no share.
    """

    side: int
    highest: int
    ky: Tensor
    kx: Tensor
    share_y: Tensor
    share_x: Tensor
    fade: Tensor
    place: Tensor
    mirror: Tensor

    def fold(self, spectrum: Tensor) -> Tensor:
        """Spectrum (row, map, side, side // 2 + 1) of the points of the box."""
        half, top = self.side // 2, self.highest + 1
        shape = (*spectrum.shape[:2], self.side, spectrum.shape[3])
        rows = torch.zeros(shape, dtype=spectrum.dtype, device=spectrum.device)
        rows = rows.index_add(2, self.place, spectrum)
        beyond = rows[..., half + 1 : top].conj()[:, :, self.mirror].flip(3)
        low = self.side - self.highest
        return torch.cat([rows[..., :low], rows[..., low:half] + beyond, rows[..., half : half + 1]], 3)


@lru_cache(maxsize=16)
def _box(side: int, decay: tuple[float, float], dtype: torch.dtype, device: torch.device) -> _Box:
    half, highest = side // 2, math.ceil(side / 2 * BEYOND)
    rows, columns = (VECTOR * math.ceil(n / VECTOR) for n in (2 * highest + 1, highest + 1))
    order_y = torch.zeros(rows, dtype=torch.int64)
    order_y[: 2 * highest + 1] = torch.cat([torch.arange(highest + 1), torch.arange(-highest, 0)])
    order_x = torch.arange(columns)
    k = [order.double() * (2 * math.pi / side) for order in (order_y, order_x)]
    share_y, share_x = (share(frequency, fall) for frequency, fall in zip(k, decay, strict=True))
    share_y[2 * highest + 1 :] = 0.0
    share_x[highest + 1 :] = 0.0
    # The real part that is taken of this column halves it already.
    share_x[half] = 1.0
    middle = torch.arange(side, dtype=torch.float64) + 0.5
    depth = torch.minimum(middle, side - middle) / MARGIN
    fade = torch.sin(0.5 * math.pi * depth.clamp_max(1.0)) ** 2
    tensors = (*k, share_y, share_x, fade[:, None] * fade)
    ky, kx, share_y, share_x, fades = (tensor.to(device=device, dtype=dtype) for tensor in tensors)
    mirror = (-torch.arange(side)) % side
    place = (order_y % side).to(device)
    return _Box(side, highest, ky, kx, share_y, share_x, fades, place, mirror.to(device))


def _clip(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    return index.clamp(0, size - 1), (index >= 0) & (index < size)


def _wave(phase: Tensor) -> Tensor:
    return torch.polar(torch.ones_like(phase), -phase)


def _window(u: np.ndarray) -> np.ndarray:
    """The window w at radii in s."""
    return 1 - (1 - (1 - (u / REACH) ** 2) ** 5) ** 3


@lru_cache(maxsize=2)
def _radial_rule(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Radii in s and their steps."""
    t, dt = np.polynomial.legendre.leggauss(count)
    t, dt = 0.5 * (t + 1), 0.5 * dt
    return REACH * t**CROWDING, REACH * CROWDING * t ** (CROWDING - 1) * dt


@lru_cache(maxsize=8)
def _hankel(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Radii (radius,) in s; 2 pi J0(k u) u du w and 2 pi J2(k u) / k^2 u du w, each (radius, frequency)."""
    u, step = _radial_rule(RADII)
    weight = torch.as_tensor(2 * math.pi * u * step * _window(u))[:, None]
    k = torch.sqrt(torch.expm1(torch.linspace(0, HIGHEST, TABLE, dtype=torch.float64)))
    phase = torch.as_tensor(u)[:, None] * k
    j0 = torch.special.bessel_j0(phase)
    safe = phase.clamp_min(1e-4)
    j2 = 2 * torch.special.bessel_j1(safe) / safe - torch.special.bessel_j0(safe)
    over = torch.where(phase < 1e-2, torch.as_tensor(u)[:, None] ** 2 / 8, j2 / (k * k).clamp_min(1e-12))
    tensors = (torch.as_tensor(u), weight * j0, weight * over)
    return tuple(t.to(dtype=dtype, device=device) for t in tensors)  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _polar_rule() -> tuple[np.ndarray, ...]:
    """Nodes (radius in s, cos, sin) and weights of the window times the area element of the unit circle."""
    radii_, steps = _radial_rule(RINGS)
    radial = steps * radii_ * _window(radii_)
    rings = []
    for u, w in zip(radii_, radial, strict=True):
        count = max(QUADRANT, math.ceil(0.5 * math.pi * u * WINDOW / ARC))
        x, step = np.polynomial.legendre.leggauss(count)
        phi = (0.25 * math.pi * (x + 1) + 0.5 * math.pi * np.arange(4)[:, None]).ravel()
        step = np.tile(0.25 * math.pi * step, 4)
        rings.append((np.full(len(phi), u), np.cos(phi), np.sin(phi), w * step))
    return tuple(np.concatenate(parts) for parts in zip(*rings, strict=True))
