"""A small U-Net (Ronneberger, Fischer & Brox 2015, MICCAI, 234) whose second half answers for one place of the image.

The way down knows nothing of the place: it is gone once an image, however many places are asked about. The way up gets
the place twice at each level, as maps of the distance to it, and as what the way down saw there, which scales and
shifts its channels (feature-wise modulation: Perez et al. 2018, AAAI 32, 3942; filters that depend on the instance
separate instances: Tian, Shen & Chen 2020, ECCV, 282). Images may have any size that :data:`MULTIPLE` divides.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from isolux.types import Tensor

WIDTHS = (32, 56, 88, 128)
"""Channels of the levels, which have pixels of 2, 4, 8 and 16 image pixels."""
MULTIPLE = 2 ** len(WIDTHS)
PLACE = 128
"""Numbers that stand for a place."""
REACHES = (3.0, 12.0, 48.0)
"""Image pixels over which the maps of distance fall."""


class Block(nn.Module):
    """Two convolutions beside a shortcut, between them the place's scales and shifts."""

    def __init__(self, inner: int, outer: int, stride: int = 1, placed: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outer)
        self.second = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outer)
        same = inner == outer and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(inner, outer, 1, stride, bias=False)
        self.place = nn.Linear(PLACE, 2 * outer) if placed else None
        if self.place is not None:
            nn.init.zeros_(self.place.weight)
            nn.init.zeros_(self.place.bias)

    def forward(self, x: Tensor, place: Tensor | None = None) -> Tensor:
        """(image, inner, y, x) to (image, outer, y / stride, x / stride)."""
        found = self.first_norm(self.first(x))
        if self.place is not None and place is not None:
            scale, shift = self.place(place)[:, :, None, None].chunk(2, 1)
            found = found * (1 + scale) + shift
        found = self.second_norm(self.second(functional.silu(found)))
        return functional.silu(self.shortcut(x) + found)


class Down(nn.Module):
    """The way down: an image's features at each level."""

    def __init__(self, inner: int, constants: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(inner, WIDTHS[0], 4, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(WIDTHS[0])
        self.constants = nn.Linear(constants, WIDTHS[0])
        before = (WIDTHS[0], *WIDTHS[:-1])
        self.levels = nn.ModuleList(
            Block(n, m, 1 if k == 0 else 2) for k, (n, m) in enumerate(zip(before, WIDTHS, strict=True))
        )
        self.deepest = Block(WIDTHS[-1], WIDTHS[-1])

    def forward(self, image: Tensor, constants: Tensor) -> list[Tensor]:
        """Features (image, WIDTHS[k], y / 2^(k+1), x / 2^(k+1)) of (image, inner, y, x) and (image, constants)."""
        x = functional.silu(self.stem_norm(self.stem(image)) + self.constants(constants)[:, :, None, None])
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        found[-1] = self.deepest(x)
        return found


class Up(nn.Module):
    """The way up for one place an image."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Sequential(
            nn.Linear(sum(WIDTHS), PLACE), nn.SiLU(), nn.Linear(PLACE, PLACE), nn.SiLU()
        )
        maps = len(REACHES)
        self.deepest = Block(WIDTHS[-1] + maps, WIDTHS[-1], placed=True)
        pairs = list(itertools.pairwise(WIDTHS))
        self.narrow = nn.ModuleList(nn.Conv2d(deep, own, 1, bias=False) for own, deep in pairs)
        self.levels = nn.ModuleList(Block(own + maps, own, placed=True) for own, _ in pairs)

    def forward(self, features: list[Tensor], at: Tensor) -> Tensor:
        """Features (image, WIDTHS[0], y / 2, x / 2) about places (image, 2), x and y in image pixels."""
        place = self.place(torch.cat([_sampled(f, at, 2 ** (k + 1)) for k, f in enumerate(features)], 1))
        x = self.deepest(torch.cat([features[-1], near(features[-1], at, MULTIPLE)], 1), place)
        for k in range(len(WIDTHS) - 2, -1, -1):
            x = functional.interpolate(self.narrow[k](x), scale_factor=2, mode="nearest") + features[k]
            x = self.levels[k](torch.cat([x, near(x, at, 2 ** (k + 1))], 1), place)
        return x


class Pyramid(nn.Module):
    """All levels of the way down brought together at the finest one (Lin et al. 2017, CVPR, 2117)."""

    def __init__(self, outer: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(width, WIDTHS[0], 1, bias=False) for width in WIDTHS)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.mix = nn.Conv2d(WIDTHS[0], WIDTHS[0], 3, 1, 1)
        self.out = nn.Conv2d(WIDTHS[0], 4 * outer, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(image, outer, y, x) at the image's pixels."""
        x = self.narrow[-1](features[-1])
        for k in range(len(WIDTHS) - 2, -1, -1):
            x = functional.interpolate(x, scale_factor=2, mode="nearest") + self.narrow[k](features[k])
        x = functional.silu(self.mix(functional.silu(self.norm(x))))
        return functional.pixel_shuffle(self.out(x), 2)


def near(like: Tensor, at: Tensor, pixel: int) -> Tensor:
    """Maps exp(-d / reach) (image, REACHES, y, x) of the distance d to places; pixels are so many image pixels wide."""
    rows, columns = (
        (torch.arange(n, device=at.device, dtype=at.dtype) + 0.5) * pixel - 0.5 for n in like.shape[2:]
    )
    dy, dx = rows - at[:, 1:], columns - at[:, :1]
    distance = torch.sqrt(dy[:, :, None] ** 2 + dx[:, None, :] ** 2)
    return torch.stack([torch.exp(-distance / reach) for reach in REACHES], 1)


def _sampled(features: Tensor, at: Tensor, pixel: int) -> Tensor:
    """Features (image, channel) at places, linear between pixels."""
    tall, wide = features.shape[2:]
    size = torch.tensor([wide, tall], device=at.device, dtype=at.dtype)
    grid = (2 * (at + 0.5) / (pixel * size) - 1)[:, None, None]
    return functional.grid_sample(features, grid, padding_mode="border", align_corners=False)[:, :, 0, 0]
