"""A stamp's light prepared for sampling: above the sky, in units of its noise, at all resolutions.

Wide rings are sampled in an image whose pixels are sums over 2^k x 2^k pixels, so that a ring of fixed width over its
radius is always some ten pixels in radius: each sample then stands for all pixels around it, and the cost does not
grow with the stamp. Images and good pixels are binned alike, so that a masked pixel counts for nothing.
The core is sampled with cubic B-splines through all pixels. Half way between the pixels of a star (Moffat, FWHM 3.2
pixels) they are wrong by 0.3 % of its peak, as Lanczos-3 is; Keys's cubic convolution by 1.2 %, bilinear by 5 %.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import torch
from torch.nn import functional

from isolux.types import Images, PerGalaxy, Points, Tensor

CORE = 6.0
"""Semi-major axis in pixels up to which rings are sampled with splines."""
PATCH = 24
"""Sides of the patch around the centre that splines go through: the core and a margin."""
FINE = 6.0
"""Least semi-minor axis in binned pixels."""
SMALLEST = 6
"""Sides in pixels below which an image is not binned further."""


@dataclasses.dataclass(frozen=True)
class Light:
    """Light of a batch of stamps.

    Attributes
    ----------
    image : Tensor
        (galaxy, y, x), float32: light above the sky over ``unit``; zero where masked.
    good : Tensor
        (galaxy, y, x), float32: one where good.
    variance : Tensor
        (galaxy, y, x), float32: of the image.
    flat_light, flat_good : Tensor
        (galaxy, place): sums of image and good pixels at all resolutions, each with a border of nothing, one after
        the other.
    first, wide, tall : Tensor
        (level,): where each resolution begins, its columns and its rows with the border.
    """

    image: Images
    good: Images
    variance: Images
    flat_light: Points
    flat_good: Points
    first: Tensor
    wide: Tensor
    tall: Tensor

    @classmethod
    def of(cls, image: Images, good: Images, variance: Images) -> Light:
        """Prepare images whose masked pixels are zero."""
        layers, first, wide, tall = [], [0], [], []
        level = torch.stack([image, good], 1)
        while True:
            layers.append(functional.pad(level, (1, 1, 1, 1)))
            tall.append(layers[-1].shape[2])
            wide.append(layers[-1].shape[3])
            if min(level.shape[2:]) < 2 * SMALLEST:
                break
            first.append(first[-1] + tall[-1] * wide[-1])
            level = functional.avg_pool2d(level, 2, ceil_mode=True, divisor_override=4)
        flat = torch.cat([layer.flatten(2) for layer in layers], 2)
        numbers = (torch.tensor(n, device=image.device) for n in (first, wide, tall))
        return cls(image, good, variance, flat[:, 0].contiguous(), flat[:, 1].contiguous(), *numbers)

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape[1], self.image.shape[2]

    def level_for(self, minor: Points) -> Tensor:
        """Resolution (galaxy, ring) for rings of these semi-minor axes in pixels."""
        level = torch.floor(torch.log2((minor / FINE).clamp_min(1.0))).long()
        return level.clamp_max(len(self.first) - 1)

    def sample(self, x: Tensor, y: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Light at positions (galaxy, ring, angle), and the share of good pixels there, at levels (galaxy, ring).

        Bilinear between binned pixels.
        """
        bins = (2.0**level)[..., None]
        wide, tall, first = (n[level][..., None] for n in (self.wide, self.tall, self.first))
        # Binned pixel k has its centre at 2^level k + (2^level - 1) / 2; the border shifts numbers by one.
        u = ((x + 0.5) / bins + 0.5).clamp_min(0).minimum(wide - 1.001)
        v = ((y + 0.5) / bins + 0.5).clamp_min(0).minimum(tall - 1.001)
        column, row = u.long(), v.long()
        du, dv = (u - column).float(), (v - row).float()
        place = (first + row * wide + column).flatten(1)
        step = wide.expand_as(x).flatten(1)
        shares = ((1 - du) * (1 - dv), du * (1 - dv), (1 - du) * dv, du * dv)
        places = (place, place + 1, place + step, place + step + 1)
        light, good = torch.zeros_like(du), torch.zeros_like(du)
        for share, at in zip(shares, places, strict=True):
            light.addcmul_(share, self.flat_light.gather(1, at).view_as(du))
            good.addcmul_(share, self.flat_good.gather(1, at).view_as(du))
        return light / good.clamp_min(1e-6), good


@dataclasses.dataclass(frozen=True)
class Core:
    """Spline coefficients of the patch around each centre.

    Attributes
    ----------
    coefficients : Tensor
        (galaxy, PATCH, PATCH), float64.
    good, variance, pixels : Tensor
        (galaxy, PATCH, PATCH): good pixels, variance and light (masked ones filled from around them).
    x, y : Tensor
        (galaxy,) integers: column and row in the stamp of the patch's first pixel.
    """

    coefficients: Tensor
    good: Tensor
    variance: Tensor
    pixels: Tensor
    x: PerGalaxy
    y: PerGalaxy

    @classmethod
    def of(cls, light: Light, x: PerGalaxy, y: PerGalaxy) -> Core:
        """Patches around centres (galaxy,)."""
        left, low = (torch.round(c).long() - PATCH // 2 for c in (x, y))
        patch = torch.arange(PATCH, device=x.device)
        tall, wide = light.image.shape[1:]
        columns, rows = left[:, None] + patch, low[:, None] + patch
        inside = ((rows >= 0) & (rows < tall))[:, :, None] & ((columns >= 0) & (columns < wide))[:, None, :]
        place = rows.clamp(0, tall - 1)[:, :, None] * wide + columns.clamp(0, wide - 1)[:, None, :]
        flat = place.flatten(1)
        pixels, good, variance = (
            t.flatten(1).gather(1, flat).view(len(x), PATCH, PATCH).double()
            for t in (light.image, light.good, light.variance)
        )
        good = good * inside
        pixels = _filled(pixels * good, good)
        filter_ = _prefilter(x.device)
        return cls(filter_ @ pixels @ filter_, good, variance, pixels, left, low)

    def sample(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Light at positions (galaxy, ring, angle), and whether the pixels around are good."""
        places, weights, u, v = self._taps(x, y, torch.float32)
        values = self.coefficients.float().flatten(1).gather(1, places.flatten(1)).view_as(places)
        column, row = torch.round(u).long().clamp(0, PATCH - 1), torch.round(v).long().clamp(0, PATCH - 1)
        near = (row * PATCH + column).flatten(1)
        good = self.good.flatten(1).gather(1, near).view_as(u)
        return (values * weights).sum(-1).double(), good

    def operator(self, x: Tensor, y: Tensor, share: Tensor) -> Tensor:
        """Weights (galaxy, ring, PATCH * PATCH) of the pixels in the sum of samples times their shares."""
        places, weights, _, _ = self._taps(x, y, torch.float64)
        count, rings = x.shape[:2]
        found = torch.zeros(count, rings, PATCH * PATCH, dtype=weights.dtype, device=x.device)
        found.scatter_add_(2, places.flatten(2), (weights * share[..., None]).flatten(2))
        filter_ = _prefilter(x.device)
        return (filter_ @ found.view(count, rings, PATCH, PATCH) @ filter_).flatten(2)

    def _taps(self, x: Tensor, y: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The 16 coefficients around each position, their weights, and the position in the patch."""
        u, v = (x - self.x[:, None, None]).to(dtype), (y - self.y[:, None, None]).to(dtype)
        column, row = (t.floor().clamp(1, PATCH - 3) for t in (u, v))
        across, along = _basis((u - column).clamp(0, 1)), _basis((v - row).clamp(0, 1))
        steps = torch.arange(-1, 3, device=x.device)
        places = (
            (row.long()[..., None, None] + steps[:, None]) * PATCH + column.long()[..., None, None] + steps
        )
        weights = along[..., :, None] * across[..., None, :]
        return places.flatten(-2), weights.flatten(-2), u, v


def _basis(t: Tensor) -> Tensor:
    """Values (..., 4) of the cubic B-splines around a point, t after its second one."""
    s = 1 - t
    tt, ss = t * t, s * s
    return torch.stack([ss * s, 4 - tt * (6 - 3 * t), 4 - ss * (6 - 3 * s), tt * t], -1) * (1 / 6)


@lru_cache(maxsize=4)
def _prefilter(device: torch.device) -> Tensor:
    """The symmetric matrix that makes pixels coefficients of splines that go through them."""
    values = torch.full((PATCH,), 4.0, dtype=torch.float64)
    beside = torch.ones(PATCH - 1, dtype=torch.float64)
    matrix = (torch.diag(values) + torch.diag(beside, 1) + torch.diag(beside, -1)) / 6
    # The patch goes on with its outermost pixels.
    matrix[0, 0] = matrix[-1, -1] = 5 / 6
    return torch.linalg.inv(matrix).to(device)


def _filled(pixels: Tensor, good: Tensor) -> Tensor:
    """Pixels with the mean of the good ones around in place of masked ones: from the finest resolution that has any."""
    light, weight = pixels[:, None], good[:, None]
    levels = [(light, weight)]
    while light.shape[-1] > 3:
        light, weight = functional.avg_pool2d(light, 2), functional.avg_pool2d(weight, 2)
        levels.append((light, weight))
    filled = torch.zeros_like(levels[-1][0])
    for light, weight in reversed(levels):
        if filled.shape != light.shape:
            filled = filled.repeat_interleave(2, 2).repeat_interleave(2, 3)
        filled = torch.where(weight > 0, light / weight.clamp_min(1e-9), filled)
    return filled[:, 0]
