"""The light of one source in each stamp: where it is, how bright, how large, how flat.

For each galaxy: the sky is the median of the good pixels near the stamp's edge; the source is the brightest
smoothed pixel near the centre (or near a given position); its centre and shape are the fixed point of moments
weighted by the Gaussian that has the same shape (adaptive moments: Bernstein & Jarvis 2002); its flux and
half-light radius come from the growth of light in ellipses of that shape, out to where the light meets the noise.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.geometry import Ellipse, grid_offsets, locate, wrap_angle
from isolux.types import Images, PerGalaxy, Tensor

RINGS = 40
AT_ONCE = 8
"""Galaxies measured together: few, so that their pixels stay in a CPU's cache."""
OUTSKIRTS = 0.8
SKY_PIXELS = 5000
"""About as many pixels of a stamp are looked at for the sky: every third, fifth, ... of a large one."""
MOMENT_STEPS = 12


@dataclasses.dataclass(frozen=True)
class Source:
    """The source at a place, each (galaxy,).

    Attributes
    ----------
    sky : Tensor
        Level around it, flux a pixel.
    x, y : Tensor
        Centre in pixels.
    flux : Tensor
        Total flux above the sky.
    radius : Tensor
        Semi-major half-light radius in pixels, roughly corrected for the PSF.
    axis_ratio, position_angle : Tensor
        Shape, roughly corrected for the PSF; degrees from +y.
    signal : Tensor
        Signal-to-noise of the flux inside the half-light ellipse.
    """

    sky: PerGalaxy
    x: PerGalaxy
    y: PerGalaxy
    flux: PerGalaxy
    radius: PerGalaxy
    axis_ratio: PerGalaxy
    position_angle: PerGalaxy
    signal: PerGalaxy

    def cpu(self) -> Source:
        """The same numbers on the CPU."""
        return Source(*(getattr(self, field.name).cpu() for field in dataclasses.fields(self)))


def measure_source(batch: Batch, at: tuple[PerGalaxy, PerGalaxy] | None = None) -> Source:
    """The central source of each stamp, or the one nearest to a position (x, y) each (galaxy,)."""
    parts = []
    for first in range(0, len(batch), AT_ONCE):
        some = [k if k < len(batch) else first for k in range(first, first + AT_ONCE)]
        near = None if at is None else (at[0][some], at[1][some])
        parts.append(_measure(batch.select(some), near))
    return Source(
        *(torch.cat([getattr(p, f.name) for p in parts])[: len(batch)] for f in dataclasses.fields(Source))
    )


def sky_level(batch: Batch) -> tuple[PerGalaxy, PerGalaxy]:
    """Clipped median and scatter (galaxy,) of the good pixels near the edge of each stamp."""
    good = ~batch.mask
    outer = good & (_reach(batch) > OUTSKIRTS)
    few = outer.flatten(1).sum(1) < 20
    outer = torch.where(few[:, None, None], good, outer).flatten(1)
    every = 2 * (outer.shape[1] // SKY_PIXELS // 2) + 1
    kept = torch.where(outer[:, ::every], batch.image.flatten(1)[:, ::every], torch.nan)
    kept = torch.where(torch.isfinite(kept).any(1, keepdim=True), kept, 0.0).double()
    for _ in range(3):
        middle = kept.nanmedian(1).values
        scatter = 1.4826 * (kept - middle[:, None]).abs().nanmedian(1).values
        kept = torch.where((kept - middle[:, None]).abs() <= 3 * scatter[:, None], kept, torch.nan)
    middle = kept.nanmedian(1).values
    spread = torch.sqrt(torch.nanmean((kept - middle[:, None]) ** 2, 1))
    return middle, torch.where(spread > 0, spread, torch.ones_like(spread))


def _measure(batch: Batch, at: tuple[PerGalaxy, PerGalaxy] | None) -> Source:
    sky, noise = sky_level(batch)
    good = ~batch.mask
    residual = (batch.image - sky[:, None, None]) / noise[:, None, None]
    light = torch.where(good, residual, torch.zeros_like(residual)).float()
    centre = _centre(batch)
    x, y = _peak(light, good, centre, at)
    psf_variance = _psf_variance(batch).to(light.device)
    x, y, xx, yy, xy = _moments(light, x, y, psf_variance)
    q, angle = _shape(xx - psf_variance, yy - psf_variance, xy)
    flux, radius, signal = _growth(light, good, Ellipse(x[:, None], y[:, None], q[:, None], angle[:, None]))
    radius = torch.sqrt((radius**2 - 1.39 * psf_variance).clamp_min(0.25 * psf_variance.clamp_min(0.25)))
    return Source(sky, x, y, flux * noise, radius, q, angle, signal)


def _centre(batch: Batch) -> Tensor:
    """Centre (galaxy, 2) x, y of each stamp, without its padding."""
    size = torch.tensor([batch.width, batch.height], dtype=torch.float64, device=batch.image.device)
    return (size.T - 1) / 2


def _reach(batch: Batch) -> Images:
    """Distance of each pixel from the stamp's centre, 1 at its edges."""
    centre = _centre(batch)
    tall, wide = batch.shape
    columns = torch.arange(wide, device=batch.image.device)
    rows = torch.arange(tall, device=batch.image.device)
    across = ((columns - centre[:, :1]) / (centre[:, :1] + 0.5)).abs()
    along = ((rows - centre[:, 1:]) / (centre[:, 1:] + 0.5)).abs()
    return torch.maximum(across[:, None, :], along[:, :, None])


def _peak(
    light: Images, good: Tensor, centre: Tensor, at: tuple[PerGalaxy, PerGalaxy] | None
) -> tuple[Tensor, Tensor]:
    """Brightest smoothed pixel, weighed down with distance from the centre or from the given position."""
    tall, wide = light.shape[1:]
    smooth = functional.avg_pool2d(light[:, None], 5, 1, 2, count_include_pad=True)[:, 0]
    if at is None:
        x0, y0, width = centre[:, 0], centre[:, 1], 0.12 * (centre.amin(1) * 2 + 1)
    else:
        x0, y0, width = (*(a.to(centre) for a in at), torch.full_like(centre[:, 0], 3.0))
    across, along = (
        torch.exp(-0.5 * ((torch.arange(n, device=light.device) - c[:, None]) / width[:, None]) ** 2)
        for n, c in ((wide, x0), (tall, y0))
    )
    score = smooth.clamp_min(0.0) * (across[:, None, :] * along[:, :, None])
    top, index = torch.where(good, score, torch.zeros_like(score)).flatten(1).max(1)
    found = top > 0
    x = torch.where(found, (index % wide).to(x0), x0)
    y = torch.where(found, (index // wide).to(y0), y0)
    return x, y


def _moments(light: Images, x: Tensor, y: Tensor, psf_variance: Tensor) -> tuple[Tensor, ...]:
    """Centre and second moments of the Gaussian that best matches each source.

    Sums over pixels of polynomials in position are one matrix product with the table of monomials.
    """
    tall, wide = light.shape[1:]
    first_x, first_y = x, y
    middle_x, middle_y, unit = (wide - 1) / 2, (tall - 1) / 2, max(tall, wide) / 2
    column = (torch.arange(wide, device=light.device, dtype=light.dtype) - middle_x) / unit
    row = (torch.arange(tall, device=light.device, dtype=light.dtype) - middle_y) / unit
    v, u = (grid.flatten() for grid in torch.meshgrid(row, column, indexing="ij"))
    monomials = torch.stack([torch.ones_like(u), u, v, u * u, v * v, u * v])
    flat = light.flatten(1)
    x, y = (x - middle_x) / unit, (y - middle_y) / unit
    xx = yy = (psf_variance + 4.0).clamp_max((min(tall, wide) / 6) ** 2) / unit**2
    xy = torch.zeros_like(xx)
    for _ in range(MOMENT_STEPS):
        a, b, c = (m / (xx * yy - xy**2) for m in (yy, -xy, xx))
        constant = a * x * x + 2 * b * x * y + c * y * y
        form = torch.stack([constant, -2 * (a * x + b * y), -2 * (b * x + c * y), a, c, 2 * b], 1)
        weighted = flat * torch.exp(-0.5 * (form.to(light.dtype) @ monomials).clamp(0, 100))
        total, sx, sy, sxx, syy, sxy = (weighted @ monomials.T).double().unbind(1)
        mean_x, mean_y = sx / total, sy / total
        new = [
            2 * (s / total - p * q)
            for s, p, q in ((sxx, mean_x, mean_x), (syy, mean_y, mean_y), (sxy, mean_x, mean_y))
        ]
        x1, y1 = (m + 1.5 * (n - m).clamp(-1 / unit, 1 / unit) for m, n in ((x, mean_x), (y, mean_y)))
        least, most = 0.2 / unit**2, (tall + wide) ** 2 / 40 / unit**2
        valid = (total > 0) & (new[0] > least) & (new[1] > least) & (new[0] * new[1] > 1.02 * new[2] ** 2)
        valid &= (new[0] < most) & (new[1] < most)
        valid &= ((x1 * unit + middle_x - first_x).abs() < 6) & ((y1 * unit + middle_y - first_y).abs() < 6)
        x, y = torch.where(valid, x1, x), torch.where(valid, y1, y)
        xx, yy, xy = (torch.where(valid, n, old) for n, old in zip(new, (xx, yy, xy), strict=True))
    scale = unit**2
    return x * unit + middle_x, y * unit + middle_y, xx * scale, yy * scale, xy * scale


def _shape(xx: Tensor, yy: Tensor, xy: Tensor) -> tuple[Tensor, Tensor]:
    """Axis ratio and position angle of second moments."""
    mean, half = 0.5 * (xx + yy), torch.sqrt(0.25 * (xx - yy) ** 2 + xy**2)
    ratio = ((mean - half) / (mean + half)).clamp_min(0.0)
    axis_ratio = torch.where(mean > half, torch.sqrt(ratio), torch.zeros_like(mean)).clamp(0.15, 0.95)
    from_x = 0.5 * torch.atan2(2 * xy, xx - yy)
    return axis_ratio, wrap_angle(torch.rad2deg(from_x) - 90.0, 180.0)


def _growth(light: Images, good: Tensor, ellipse: Ellipse) -> tuple[Tensor, Tensor, Tensor]:
    """Flux, half-light radius and signal-to-noise, in units of the noise of a pixel, from elliptical rings."""
    galaxies, tall, wide = light.shape
    shape = (ellipse.x, ellipse.y, ellipse.axis_ratio, ellipse.position_angle)
    single = Ellipse(*(number.to(light.dtype) for number in shape))
    columns, rows = (torch.arange(n, device=light.device, dtype=light.dtype) for n in (wide, tall))
    radius = locate(single, *grid_offsets(single, columns, rows)).radius
    farthest = 0.75 * math.hypot(tall, wide)
    edges = farthest * torch.linspace(0, 1, RINGS + 1, device=light.device, dtype=torch.float64) ** 1.5
    ring = ((radius / farthest) ** (2 / 3) * RINGS).long().clamp_max(RINGS)
    counted = good.flatten(1).to(light)
    empty = light.new_zeros(galaxies, RINGS + 1)
    pixels = empty.scatter_add(1, ring, counted)[:, :RINGS].double()
    flux = empty.scatter_add(1, ring, light.flatten(1))[:, :RINGS].double()
    area = math.pi * ellipse.axis_ratio * (edges[1:] ** 2 - edges[:-1] ** 2)
    mean = flux / pixels.clamp_min(1)
    number = torch.arange(RINGS, device=light.device)
    lit = (mean > 1.0 / torch.sqrt(pixels.clamp_min(1))) & (pixels > 0)
    lit = lit | (number < 2) | ((pixels == 0) & (number < 8))
    inside = torch.cumprod(lit.double(), 1)
    growth = torch.cumsum(mean * area * inside, 1)
    total = growth[:, -1]
    safe = torch.where(total > 0, total, torch.ones_like(total))
    fraction = torch.cat([torch.zeros_like(safe[:, None]), growth / safe[:, None]], 1)
    reached = (fraction >= 0.5).to(torch.int64).argmax(1).clamp_min(1)
    low, high = (fraction.gather(1, (reached - k)[:, None])[:, 0] for k in (1, 0))
    step = ((0.5 - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
    half = edges[reached - 1] + step * (edges[reached] - edges[reached - 1])
    half = torch.where(total > 0, half, torch.full_like(half, 2.0)).clamp_min(0.5)
    within = math.pi * ellipse.axis_ratio[:, 0] * half**2
    least = 3 * torch.sqrt(within)
    return torch.where(total > least, total, least), half, total / (2 * torch.sqrt(within))


def _psf_variance(batch: Batch) -> PerGalaxy:
    """Variance in pixels squared of the Gaussian with the same peak as the PSF."""
    if batch.psf is None:
        return torch.zeros(len(batch), dtype=torch.float64, device=batch.image.device)
    peak = batch.psf.double().flatten(1).amax(1).clamp(1e-6, 1.0)
    variance = 1 / (2 * math.pi * peak) / batch.psf_oversampling**2
    return variance.expand(len(batch)) if len(variance) == 1 else variance
