"""A batch as a network sees it: each image in units of its own noise, around its brightest place.

So fluxes, zero points and pixel scales drop out: nothing but pixels, noise and the PSF's area is left, and the answer
is put back into image units. Images larger than :data:`LARGEST` are binned first.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.isophotes.light import Light
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.place import place_source
from isolux.source import Source, measure_source
from isolux.types import Images, PerGalaxy, Tensor

LARGEST = 256
"""Largest side in pixels; larger images are binned."""
POINT = 1.001
"""Area below which a PSF is a point, which stands for none."""
GAUSSIAN = math.sqrt(2 * math.log(2) / math.pi)
"""FWHM of a Gaussian over the root of its area, 1 / sum P^2."""
DIMMEST = 1e-6
"""Least noise over the brightest pixel; images without noise have it."""
APART, COARSE = 4.0, 128
"""Pixels from which on two places are two sources; side above which they are looked for on pixels of twice the side."""
MOST_SHAPE = 0.85
"""Largest ellipticity to begin with."""


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """Images in units of the noise.

    Attributes
    ----------
    image, good : Tensor
        (galaxy, y, x): light above the sky near the edge over the noise there, zero where masked; one where good.
    x, y : Tensor
        (galaxy,): the source's centre in these pixels.
    shape : Tensor
        (galaxy, 2): e cos 2 PA, e sin 2 PA of the source's moments.
    width : Tensor
        (galaxy,): pixels in the PSF's area, 1 / sum P^2; NaN where there is no PSF.
    unit, sky : Tensor
        (galaxy,): noise and sky of these pixels in image units.
    binning : int
        Image pixels a side of these.
    """

    image: Images
    good: Images
    x: PerGalaxy
    y: PerGalaxy
    shape: Tensor
    width: PerGalaxy
    unit: PerGalaxy
    sky: PerGalaxy
    binning: int = 1

    @classmethod
    def of(cls, batch: Batch, *, placed: bool = False) -> Frame:
        """From a batch, by :func:`isolux.source.measure_source`.

        Parameters
        ----------
        batch : Batch
            The stamps.
        placed : bool
            Where something brighter is beside the galaxy in the middle of a stamp, whether the latter is taken, as
            isophotes do.
        """
        times = math.ceil(max(batch.shape) / LARGEST)
        binned = in_bins(batch, times) if times > 1 else batch
        source = _own_source(binned, measure_source(binned)) if placed else measure_source(binned)
        peak = (binned.image.double() - source.sky[:, None, None]).abs().amax((1, 2))
        unit, sky = torch.maximum(source.noise, DIMMEST * peak).clamp_min(1e-30), source.sky
        good = (~binned.mask).float()
        image = ((binned.image.double() - sky[:, None, None]) / unit[:, None, None]).float()
        ellipticity = (1 - source.axis_ratio).clamp(0, MOST_SHAPE)
        angle = torch.deg2rad(2 * source.position_angle)
        shape = torch.stack([torch.cos(angle), torch.sin(angle)], 1) * ellipticity[:, None]
        numbers = [source.x, source.y, shape]
        x, y, shape = (torch.nan_to_num(n).float() for n in numbers)
        width = psf_area(batch) / times**2
        image = torch.nan_to_num(image, posinf=0.0, neginf=0.0) * good
        return cls(image, good, x, y, shape, width, unit, sky, times)


def psf_area(batch: Batch) -> PerGalaxy:
    """Image pixels (galaxy,) in the area of each PSF, 1 / sum P^2; NaN without one, where it is a single pixel."""
    count, device = len(batch), batch.image.device
    if batch.psf is None:
        return torch.full((count,), math.nan, device=device)
    area = 1 / (batch.psf.float().square().sum((1, 2)) * batch.psf_oversampling**2)
    return torch.where(area > POINT, area, torch.nan).expand(count).clone()


def _own_source(batch: Batch, source: Source) -> Source:
    """The source that is meant, where it is clearly not the one that was found; that one, as in training, elsewhere."""
    times = 2 if max(batch.shape) > COARSE else 1
    small = in_bins(batch, times) if times > 1 else batch
    corner = 0.5 * (times - 1)
    seen = dataclasses.replace(source, x=(source.x - corner) / times, y=(source.y - corner) / times)
    good = (~small.mask).float()
    unit = (source.noise.clamp_min(1e-30) / times)[:, None, None]
    image = torch.nan_to_num(((small.image - source.sky[:, None, None]) / unit).float()) * good
    other = place_source(small, Light.of(image, good, good), seen, IsophoteOptions())
    x, y = other.x * times + corner, other.y * times + corner
    apart = torch.hypot(x - source.x, y - source.y) > APART
    found = {"x": x, "y": y, "axis_ratio": other.axis_ratio, "position_angle": other.position_angle}
    chosen = {name: torch.where(apart, value, getattr(source, name)) for name, value in found.items()}
    return dataclasses.replace(source, **chosen)  # type: ignore[arg-type]


def in_bins(batch: Batch, times: int) -> Batch:
    """Means over the good pixels in squares; the rest at the upper and right edge is padded with masked pixels."""
    tall, wide = batch.shape
    pad = (0, -wide % times, 0, -tall % times)
    good = functional.pad((~batch.mask).float(), pad)
    light = functional.pad(batch.image.float() * (~batch.mask), pad)
    number = functional.avg_pool2d(good[:, None], times)[:, 0]
    mean = functional.avg_pool2d(light[:, None], times)[:, 0] / number.clamp_min(1e-6)
    mask = number < 0.5
    return dataclasses.replace(
        batch,
        image=torch.where(mask, 0.0, mean),
        sigma=torch.ones_like(mean),
        mask=mask,
        psf=None,
        height=tuple(math.ceil(n / times) for n in batch.height),
        width=tuple(math.ceil(n / times) for n in batch.width),
    )
