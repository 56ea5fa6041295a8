"""Sources of an image of any size, from the heat map of the mask network.

The image is looked at in windows that overlap, whose logits are blended by weights that fall like a cosine to the
windows' edges. So that sources larger than what the network sees are found too, it is looked at again in pixels twice
as wide, and once more; what is found there counts where nothing was found nearby in finer pixels.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch.nn import functional

from isolux.errors import InputError
from isolux.nets.mask_view import View
from isolux.nets.masks import CHANCE, MaskNet, tops
from isolux.nets.unet import MULTIPLE
from isolux.types import Tensor

WINDOW, OVERLAP = 256, 96
"""Side of the windows, and by how much they overlap at least, in pixels."""
SMALLEST = 64
"""Side in binned pixels below which an image is not binned further."""
APART = 3.0
"""Binned pixels within which a source of finer pixels is the same one."""
AT_ONCE = 4
SAMPLE = 1 << 16
"""Pixels whose scatter is measured."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """Places of sources, the most certain first.

    Attributes
    ----------
    x, y : Tensor
        (source,): pixels from 0.
    chance : Tensor
        (source,): that there is one, as the network has it.
    binning : Tensor
        (source,): side in image pixels of the pixels in which it was found.
    """

    x: Tensor
    y: Tensor
    chance: Tensor
    binning: Tensor


def find_sources(
    image: Any,
    network: MaskNet,
    *,
    sigma: Any,
    mask: Any = None,
    width: float = math.nan,
    chance: float = CHANCE,
    levels: int = 3,
) -> Sources:
    """Sources of an image.

    Parameters
    ----------
    image : array
        (y, x): light above the sky.
    network : MaskNet
        With trained weights, in evaluation mode.
    sigma : float or array
        Noise of a pixel far from sources, one or (y, x).
    mask : array, optional
        (y, x): non-zero is bad; pixels that are not finite are bad anyway.
    width : float
        Pixels in the PSF's area, 1 / sum P^2, if it is known.
    chance : float
        From which on a peak is a source.
    levels : int
        In how many pixel sizes the image is looked at: 1, 2, 4, ...

    Raises
    ------
    InputError
        For an image that is not of two dimensions, a noise or mask of another shape, or an impossible setting.
    """
    light, good = _over_noise(image, sigma, mask)
    if not 0 < chance < 1:
        raise InputError("chance of sources", chance, "between 0 and 1")
    if not 1 <= levels <= 8:
        raise InputError("levels of binning", levels, "1 to 8")
    found = torch.zeros(0, 4)
    first = _scatter(light, good)
    for level in range(levels):
        times = 2**level
        if level and min(light.shape) < SMALLEST * times:
            break
        seen, there = _binned(light, good, times) if level else (light, good)
        unit = _scatter(seen, there) / first if level else 1.0
        maps = heat_map(seen / unit, there, network, width / times**2)
        some = tops(maps, chance)
        middle = 0.5 * (times - 1)
        some = torch.cat(
            [some[:, :2] * times + middle, some[:, 2:], torch.full((len(some), 1), float(times))], 1
        )
        if len(found) and len(some):
            some = some[torch.cdist(some[:, :2], found[:, :2]).amin(1) > APART * times]
        found = torch.cat([found, some])
    found = found[found[:, 2].argsort(descending=True, stable=True)]
    return Sources(*found.unbind(1))


def heat_map(light: Tensor, good: Tensor, network: MaskNet, width: float = math.nan) -> Tensor:
    """Logit (y, x) of a source's centre in an image in units of its noise, by windows; minus infinity where bad."""
    tall, wide = light.shape
    total, weight = torch.zeros(tall, wide), torch.zeros(tall, wide)
    corners = [(low, left) for low in _corners(tall) for left in _corners(wide)]
    size = (min(WINDOW, tall), min(WINDOW, wide))
    fall = _fall(size[0])[:, None] * _fall(size[1])[None]
    with torch.inference_mode():
        for first in range(0, len(corners), AT_ONCE):
            some = corners[first : first + AT_ONCE]
            cut = [torch.stack([a[y : y + size[0], x : x + size[1]] for y, x in some]) for a in (light, good)]
            view = View(cut[0] * cut[1], cut[1], torch.full((len(some),), width)).padded(MULTIPLE)
            heat = network.heat(network.down(view.inputs(), view.constants()))[:, 0, : size[0], : size[1]]
            for (y, x), one in zip(some, heat, strict=True):
                total[y : y + size[0], x : x + size[1]] += one * fall
                weight[y : y + size[0], x : x + size[1]] += fall
    return torch.where(good > 0, total / weight, -math.inf)


def _over_noise(image: Any, sigma: Any, mask: Any) -> tuple[Tensor, Tensor]:
    """Light over noise, zero where bad; one where good."""
    light = torch.as_tensor(image).float()
    if light.ndim != 2 or not light.numel():
        raise InputError("shape of an image", tuple(light.shape), "(rows, columns)")
    noise = torch.as_tensor(sigma).float()
    if noise.ndim and noise.shape != light.shape:
        raise InputError("shape of the noise", tuple(noise.shape), tuple(light.shape))
    good = torch.isfinite(light) & torch.isfinite(noise) & (noise > 0)
    if mask is not None:
        bad = torch.as_tensor(mask) != 0
        if bad.shape != light.shape:
            raise InputError("shape of the mask", tuple(bad.shape), tuple(light.shape))
        good = good & ~bad
    return torch.where(good, light / noise, 0.0), good.float()


def _binned(light: Tensor, good: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """Sums over squares of pixels, in units of their white noise, and which squares are half good."""
    room = (0, -light.shape[1] % times, 0, -light.shape[0] % times)
    sums = [functional.pad(a, room) for a in (light, good)]
    sums = [functional.avg_pool2d(a[None], times)[0] * times**2 for a in sums]
    there = (sums[1] > 0.5 * times**2).float()
    return sums[0] / sums[1].clamp_min(1).sqrt() * there, there


def _scatter(light: Tensor, good: Tensor) -> float:
    """Scatter of the good pixels below the median; one where there are none."""
    pixels = light[good > 0]
    pixels = pixels[:: max(1, len(pixels) // SAMPLE)]
    if len(pixels) < 2:
        return 1.0
    low, middle = torch.quantile(pixels, torch.tensor([0.1587, 0.5])).tolist()
    return float(middle - low) or 1.0


def _corners(side: int) -> list[int]:
    """First pixels of the windows along an axis."""
    if side <= WINDOW:
        return [0]
    count = math.ceil((side - WINDOW) / (WINDOW - OVERLAP)) + 1
    return [round(k * (side - WINDOW) / (count - 1)) for k in range(count)]


def _fall(size: int) -> Tensor:
    """Weights of a window's pixels along an axis, nowhere zero."""
    return torch.sin(math.pi * (torch.arange(size) + 0.5) / size) ** 2 + 1e-3
