"""The light of one source in each stamp: where it is, how flat, how it grows from its centre outwards.

For each galaxy: the sky is the clipped median of good pixels near the stamp's edge; the source is the brightest
smoothed pixel near the centre, or near a given position. All else comes from what is seen of it through round
Gaussians of many widths: its centre and shape (:mod:`isolux.moments`), its size (:mod:`isolux.growth`).
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from isolux.apertures import axis_ratio_of
from isolux.batch import Batch
from isolux.growth import Growth, match
from isolux.moments import PLAIN_RATIO, ROUNDEST, THINNEST, Ellipse, area_in_stamp, ellipse_of, moments
from isolux.types import Images, PerGalaxy, Tensor

PIXELS_AT_ONCE, PIXELS_AT_ONCE_GPU = 1 << 19, 1 << 26
"""Pixels of the galaxies that are measured together: on a CPU few enough for its cache."""
OUTSKIRTS = 0.8
"""The sky is measured farther from the centre than this, in half sides of the stamp."""
SAMPLE, LEAST_SAMPLE = 4096, 100
"""Pixels that are looked at for the sky, and how many good ones there must be near the edge."""
WIDEST, NARROWEST = 0.25, 0.9
"""Widths s of the Gaussians, which differ by sqrt(2): the widest in sides of the stamp, the narrowest in pixels."""
BOX, STRIDE = 5, 2
"""The image in which the brightest pixel is looked for: sums over boxes, every so many pixels."""
NEAR_CENTRE, NEAR_POSITION = 0.12, 3.0
"""How far sources are from the stamp's centre, in its sides, and from a given position, in pixels."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The source at a place, each (galaxy,).

    Attributes
    ----------
    sky, noise : Tensor
        Level and scatter of the pixels around it, flux a pixel.
    x, y : Tensor
        Centre in pixels.
    axis_ratio, position_angle : Tensor
        Shape before the PSF; degrees from +y.
    growth : Growth
        Its light above the sky, in units of the noise.
    """

    sky: PerGalaxy
    noise: PerGalaxy
    x: PerGalaxy
    y: PerGalaxy
    axis_ratio: PerGalaxy
    position_angle: PerGalaxy
    growth: Growth


def measure_source(batch: Batch, at: tuple[PerGalaxy, PerGalaxy] | None = None) -> Source:
    """The central source of each stamp, or the one nearest to a position (x, y) each (galaxy,)."""
    tall, wide = batch.shape
    room = PIXELS_AT_ONCE if batch.image.device.type == "cpu" else PIXELS_AT_ONCE_GPU
    size = min(max(1, room // (tall * wide)), len(batch))
    parts: list[tuple[Tensor, ...]] = []
    for first in range(0, len(batch), size):
        begin = min(first, len(batch) - size)
        some = slice(begin, begin + size)
        found = _measure(batch, some, None if at is None else (at[0][some], at[1][some]))
        parts.append(tuple(numbers[first - begin :] for numbers in found))
    columns = [torch.cat(numbers) for numbers in zip(*parts, strict=True)]
    sky, noise, *fields = columns[:9]
    seen, sideways, unmasked, within, width, blur = columns[9:]
    shown = Ellipse(*fields)
    growth = Growth.of(seen, sideways, unmasked, within, width, blur, shown.axis_ratio)
    galaxy = match(growth)
    widened = torch.sqrt(shown.width**2 + shown.blur)
    elongation = shown.elongation * (widened / shown.width) ** 2
    ratio = axis_ratio_of(elongation, widened, galaxy.index, galaxy.radius).clamp(THINNEST, ROUNDEST)
    ratio = torch.where(torch.isfinite(elongation), ratio, PLAIN_RATIO)
    growth = dataclasses.replace(growth, axis_ratio=ratio)
    return Source(sky, noise, shown.x, shown.y, ratio, shown.position_angle, growth)


def sky_level(batch: Batch, some: slice = slice(None)) -> tuple[PerGalaxy, PerGalaxy]:
    """Clipped median and scatter (galaxy,) of the good pixels near the edge of each stamp.

    The scatter is that of the pixels below the median: those above it may hold other sources.
    """
    size = _size(batch, some)
    pixels, last = _sorted_sample(batch, some, size, OUTSKIRTS)
    few = last < LEAST_SAMPLE
    if bool(few.any()):
        everywhere, number = _sorted_sample(batch, some, size, 0.0)
        pixels, last = torch.where(few, everywhere, pixels), torch.where(few, number, last)
    total, first = last, torch.zeros_like(last)
    for _ in range(4):
        low, middle = (
            pixels.gather(1, (first + (part * (last - first)).long()).clamp_max(SAMPLE - 1))
            for part in (0.1587, 0.5)
        )
        reach = 3 * (middle - low)
        first = torch.searchsorted(pixels, middle - reach)
        last = torch.searchsorted(pixels, middle + reach, right=True)
    middle, spread = (torch.where(total > 0, n, 0.0)[:, 0].double() for n in (middle, middle - low))
    return middle, torch.where(spread > 0, spread, torch.ones_like(spread))


def _sorted_sample(batch: Batch, some: slice, size: Tensor, inner: float) -> tuple[Tensor, Tensor]:
    """Pixels (galaxy, sample) outside ``inner`` in order, masked ones last, and how many (galaxy, 1) are good."""
    across, along = (part.to(size.device) for part in _spread(inner))
    place = (along * size[:, 1:]).long() * batch.shape[1] + (across * size[:, :1]).long()
    bad = batch.mask[some].flatten(1).gather(1, place)
    pixels = batch.image[some].flatten(1).gather(1, place).masked_fill(bad, torch.inf)
    return _in_order(pixels), SAMPLE - bad.sum(1, keepdim=True)


def _in_order(rows: Tensor) -> Tensor:
    """Sorted rows; NumPy's sort is 20 times as fast as PyTorch's on a CPU."""
    if rows.device.type == "cpu":
        return torch.from_numpy(np.sort(rows.numpy(), axis=1))
    return rows.sort(1).values


@lru_cache(maxsize=4)
def _spread(inner: float) -> tuple[Tensor, Tensor]:
    """``SAMPLE`` points spread evenly over the unit square, outside of an inner square.

    They are the first ones of the additive recurrence with the plastic number (Roberts 2018, R2).
    """
    number, plastic = torch.arange(1, 8 * SAMPLE, dtype=torch.float64), 1.3247179572447460
    u, v = torch.remainder(number / plastic, 1), torch.remainder(number / plastic**2, 1)
    kept = torch.nonzero(torch.maximum((2 * u - 1).abs(), (2 * v - 1).abs()) >= inner)[:SAMPLE, 0]
    return u[kept], v[kept]


def _measure(batch: Batch, some: slice, at: tuple[PerGalaxy, PerGalaxy] | None) -> tuple[Tensor, ...]:
    """Sky, noise, the fields of :class:`Ellipse`, and what :class:`Growth` is made of, for a group of galaxies."""
    sky, noise = sky_level(batch, some)
    good = batch.mask[some].logical_not().float()
    light = (batch.image[some] - sky[:, None, None].to(batch.image.dtype)).float()
    light.mul_((1 / noise[:, None, None]).float()).mul_(good)
    size = _size(batch, some)
    x, y = _peak(light, (size - 1) / 2, at)
    width = _widths(batch, size)
    blur = _blur(batch, some, width)
    first = ellipse_of(moments(light, x, y, width), x, y, width, blur)
    found = moments(light, first.x, first.y, width)
    shown = ellipse_of(found, first.x, first.y, width, blur)
    fields = (getattr(shown, field.name) for field in dataclasses.fields(shown))
    unmasked = moments(good, first.x, first.y, width, highest=0)[..., 0, 0]
    within = area_in_stamp(first.x, first.y, size, width)
    sideways = torch.stack([found[..., 0, 1], found[..., 1, 0]], 2)
    return sky, noise, *fields, found[..., 0, 0], sideways, unmasked, within, width, blur


def _size(batch: Batch, some: slice) -> Tensor:
    """Columns and rows (galaxy, 2) of stamps, without their padding; no more than a batch of bad ones has."""
    tall, wide = batch.shape
    sizes = [(min(w, wide), min(h, tall)) for w, h in zip(batch.width[some], batch.height[some], strict=True)]
    return torch.tensor(sizes, dtype=torch.float64, device=batch.image.device)


def _widths(batch: Batch, size: Tensor) -> Tensor:
    """Widths (galaxy, aperture) of the Gaussians, the widest first."""
    count = 1 + max(3, round(2 * math.log2(WIDEST * min(batch.shape) / NARROWEST)))
    halvings = 0.5 * torch.arange(count, dtype=size.dtype, device=size.device)
    return WIDEST * size.amin(1, keepdim=True) * 2**-halvings


def _peak(light: Images, centre: Tensor, at: tuple[PerGalaxy, PerGalaxy] | None) -> tuple[Tensor, Tensor]:
    """Brightest pixel of the smoothed image, weighed down with distance from the centre or from a position."""
    tall, wide = light.shape[1:]
    padded = functional.pad(light, (BOX // 2,) * 4)
    rows = padded[:, :tall:STRIDE].clone()
    for k in range(1, BOX):
        rows += padded[:, k : k + tall : STRIDE]
    score = rows[:, :, :wide:STRIDE].clone()
    for k in range(1, BOX):
        score += rows[:, :, k : k + wide : STRIDE]
    if at is None:
        x0, y0, reach = centre[:, 0], centre[:, 1], NEAR_CENTRE * (centre.amin(1) * 2 + 1)
    else:
        x0, y0, reach = (*(a.to(centre) for a in at), torch.full_like(centre[:, 0], NEAR_POSITION))
    across, along = (
        torch.exp(-0.5 * ((torch.arange(0, n, STRIDE, device=c.device) - c[:, None]) / reach[:, None]) ** 2)
        for n, c in ((wide, x0), (tall, y0))
    )
    score.clamp_min_(0.0).mul_(across[:, None, :].float()).mul_(along[:, :, None].float())
    best = score.flatten(1).argmax(1, keepdim=True)
    found = score.flatten(1).gather(1, best)[:, 0] > 0
    row, column = best[:, 0] // score.shape[2], best[:, 0] % score.shape[2]
    return torch.where(found, (STRIDE * column).to(x0), x0), torch.where(found, (STRIDE * row).to(y0), y0)


def _blur(batch: Batch, some: slice, width: Tensor) -> Tensor:
    """Variance (galaxy, aperture) of the Gaussian that dims each aperture as much as the PSF does."""
    pixel = torch.full_like(width, 1 / 12)
    if batch.psf is None:
        return pixel
    psf = (batch.psf if len(batch.psf) == 1 else batch.psf[some]).float()
    y, x = (torch.full_like(width[: len(psf), 0], (length - 1) / 2) for length in psf.shape[1:])
    finer = width[: len(psf)] * batch.psf_oversampling
    seen = moments(psf, x, y, finer, highest=0)[..., 0, 0].clamp(1e-3, 1 - 1e-6)
    blur = width**2 * (1 / seen - 1)
    return blur if batch.psf_includes_pixel else blur + pixel
