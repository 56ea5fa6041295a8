"""From stamps to profiles: the order in which things are measured. Read this first.

What Courteau (1996) did with a person at the screen (Smith et al. 2021, Table 1), without one:

1. Centre, first sky and shape: the source near the middle of the stamp (:mod:`isolux.source`,
   :mod:`isolux.isophotes.place`).
2. Contours: ellipticity, angle and centre of all isophotes at once (:mod:`isolux.isophotes.fit`), which also
   smooths them, extends them to the outskirts and replaces those that fit poorly.
3. Foreground: what stands out of its ring is masked (:mod:`isolux.isophotes.outliers`), and 2 is done once more.
4. Sky: under the tail of the profile, with its error (:mod:`isolux.isophotes.tail`).
5. Brightness along the isophotes, with errors (:mod:`isolux.isophotes.rings`), harmonics and the curve of growth.
6. Where the profile ends (:mod:`isolux.isophotes.cut`), and the numbers of the whole galaxy.

Every galaxy is measured with operations of the same shape, whatever the others are; in units of its own noise, so that
fluxes of 1e-12 and 1e5 are alike.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.isophotes.cut import profile_length
from isolux.isophotes.ellipses import Ellipses, nodes, shape_of
from isolux.isophotes.fit import Fitted, begin, fit_ellipses, ring_series
from isolux.isophotes.growth import Growth
from isolux.isophotes.light import Light
from isolux.isophotes.options import IsophoteOptions, steps_of
from isolux.isophotes.outliers import find_one_sided, find_outliers
from isolux.isophotes.place import middle_of, place_source
from isolux.isophotes.presence import light_present, near_middle
from isolux.isophotes.profiles import Isophotes
from isolux.isophotes.rings import Bench, Rings, filled, measure_rings, shape_variance
from isolux.isophotes.sheet import brightness, written
from isolux.isophotes.tail import sky_of_tail
from isolux.source import Source, measure_source
from isolux.types import Images, PerGalaxy, Points, Tensor

PIXELS_AT_ONCE, PIXELS_AT_ONCE_GPU = 1 << 19, 1 << 25
"""Pixels of the galaxies that are measured together: on a CPU few enough for its cache."""
MOST_RADII = 4096
MASKINGS, LAST_STEPS = (6, 3), 3
"""Newton steps before each search for neighbours, and after the last."""
FIRST_SMA = 0.5
"""Semi-major axis in pixels of the first radius where they grow by a ratio."""


@dataclasses.dataclass(frozen=True)
class Traced:
    """Isophotes of a batch and what their brightness is measured with.

    Attributes
    ----------
    bench : Bench
        The pixels, neighbours and outliers left out, with the profile.
    sky, sky_error : Tensor
        (galaxy,): above the first guess, in units of the noise.
    tail : Tensor
        (galaxy,): light of the galaxy in the last ring, over the error of the sky.
    taken : Tensor
        (galaxy,): light of what was masked as a neighbour.
    """

    bench: Bench
    sky: PerGalaxy
    sky_error: PerGalaxy
    tail: PerGalaxy
    taken: PerGalaxy


def measure_isophotes(
    batch: Batch,
    options: IsophoteOptions | None = None,
    *,
    ellipses: Ellipses | None = None,
    sma: Points | None = None,
) -> Isophotes:
    """Surface-brightness profiles of all galaxies of a batch.

    Parameters
    ----------
    batch : Batch
        Stamps with a galaxy near the middle of each.
    options : IsophoteOptions, optional
        How.
    ellipses : Ellipses, optional
        Isophotes that are given, in the pixels of these stamps, such as another band's
        (:func:`isolux.isophotes.carry.carried`). Fitted where left out.
    sma : Tensor, optional
        (galaxy, radius): semi-major axes in pixels, instead of those that the options ask for.

    Returns
    -------
    Isophotes
        A profile a galaxy, of length zero with a remark where there is none.

    Raises
    ------
    InputError
        If there are more radii than 4096, or other than one family of ellipses a galaxy.

    Examples
    --------
    >>> import numpy as np
    >>> rows, columns = np.mgrid[:64, :64] - 31.5
    >>> disc = 100 * np.exp(-np.hypot(rows, columns / 0.6) / 6)
    >>> batch = Batch.from_arrays([disc], sigma=[0.1], zero_point=25, pixel_scale=0.2)
    >>> profile = measure_isophotes(batch)
    >>> round(float(profile.ellipticity[0, 40]), 2)
    0.4
    """
    options = options or IsophoteOptions()
    if ellipses is not None and len(ellipses.x) != len(batch):
        raise InputError(f"{len(batch)} galaxies but {len(ellipses.x)} families of ellipses")
    pixels = batch.shape[0] * batch.shape[1]
    room = PIXELS_AT_ONCE if batch.image.device.type == "cpu" else PIXELS_AT_ONCE_GPU
    size = max(1, room // pixels)
    radii = _radii(batch, options) if sma is None else sma.to(batch.image.device, torch.float64)
    parts = []
    for first in range(0, len(batch), size):
        rows = list(range(first, min(first + size, len(batch))))
        given = None if ellipses is None else ellipses.part(rows)
        parts.append(_measure(batch.select(rows), radii[rows], options, given))
    return Isophotes.concatenate(parts)


def _radii(batch: Batch, options: IsophoteOptions) -> Points:
    """Semi-major axes (galaxy, radius) in pixels: as many for all as the smallest pixels need."""
    farthest = 0.5 * math.hypot(*batch.shape)
    usable = batch.usable.tolist()
    if options.ratio is not None:
        count = 1 + math.ceil(math.log(farthest / FIRST_SMA) / math.log(options.ratio))
        steps = torch.arange(count, dtype=torch.float64, device=batch.image.device)
        radii = torch.cat([steps.new_zeros(1), FIRST_SMA * options.ratio**steps])
        return radii.expand(len(batch), -1)
    scale = batch.pixel_scale.double()
    scale = torch.where(batch.usable & (scale > 0), scale, scale.new_ones(()))
    step = steps_of(options.step, scale)
    least = min((s for s, good in zip(step.tolist(), usable, strict=True) if good), default=1.0)
    count = 1 + math.ceil(farthest / least)
    if count > MOST_RADII:
        raise InputError(
            f"step of isophotes: {count} radii in stamps of {batch.shape[0]} x {batch.shape[1]} pixels",
            options.step,
            f"{farthest * float((scale * step).min()) / (least * MOST_RADII):.3g} or more",
        )
    steps = torch.arange(max(count, 2), dtype=torch.float64, device=batch.image.device)
    return steps * step[:, None]


def _measure(batch: Batch, radii: Points, options: IsophoteOptions, given: Ellipses | None) -> Isophotes:
    source = measure_source(batch, middle_of(batch) if options.place == "middle" else None)
    unit = source.noise.clamp_min(1e-30)
    light, inside = _light(batch, source, unit)
    if given is None:
        source = place_source(batch, light, source, options)
    traced = _trace(light, source, inside, options, given)
    there = torch.ones_like(batch.usable)
    if given is None:
        there = light_present(light.image, light.good, source.x, source.y)
        there &= near_middle(batch, source.x, source.y) | (options.place != "auto")
    if options.sky == "given":
        level = (options.sky_level - source.sky) / unit
        error = torch.full_like(level, options.sky_error) / unit
        traced = dataclasses.replace(traced, sky=level, sky_error=error, tail=torch.zeros_like(level))
    rings = measure_rings(traced.bench, radii, options)
    gap, level = ~torch.isfinite(rings.level), rings.level
    level = torch.where(gap, traced.bench.profile.at(radii), level) - traced.sky[:, None]
    shape = shape_variance(traced.bench.fitted, traced.bench.profile, radii)
    variance = torch.where(gap, torch.nan, rings.variance) + (traced.sky_error**2)[:, None] + shape
    faintest = None if options.faintest is None else brightness(batch, options.faintest) / unit
    measured = torch.where(gap, torch.nan, level)
    length, cut = profile_length(radii, measured, torch.sqrt(variance), rings.within, faintest, options)
    growth = Growth.of(traced.bench, traced.sky)
    series = ring_series(light, traced.bench.fitted.ellipses, radii, 4)
    rings = dataclasses.replace(rings, level=level, variance=variance)
    return written(
        batch, source, unit, options, traced=traced, rings=rings, gap=gap, growth=growth, series=series,
        length=length, cut=cut, there=there,
    )  # fmt: skip


def _light(batch: Batch, source: Source, unit: PerGalaxy) -> tuple[Light, Images]:
    """Light above the first sky in units of the noise; where the stamp was not padded."""
    good = (~batch.mask).float()
    scale = (1 / unit)[:, None, None]
    image = ((batch.image.double() - source.sky[:, None, None]) * scale).float() * good
    variance = (batch.sigma.double() * scale).square().clamp_max(1e30).float() * good
    rows, columns = (torch.arange(n, device=image.device) for n in batch.shape)
    tall, wide = (torch.tensor(n, device=image.device) for n in (batch.height, batch.width))
    inside = (rows < tall[:, None])[:, :, None] & (columns < wide[:, None])[:, None, :]
    return Light.of(torch.nan_to_num(image), good, variance), inside.float()


def _trace(
    light: Light, source: Source, inside: Images, options: IsophoteOptions, given: Ellipses | None
) -> Traced:
    """Isophotes, neighbours, sky and profile."""
    sma = nodes(light.size, light.image.device).expand(len(light), -1)
    guess = shape_of(source.axis_ratio, source.position_angle)
    start = begin(source.x, source.y, source.axis_ratio, source.position_angle, sma.shape[1])
    whole, taken = light, torch.zeros_like(source.x)
    if options.find_neighbours:
        light = _masked(whole, find_one_sided(whole, source.x, source.y))
    rounds = (*MASKINGS, LAST_STEPS) if options.find_neighbours else (sum(MASKINGS) + LAST_STEPS,)
    for number, steps in enumerate(rounds):
        fitted = _shapes(light, start, guess, options, given, steps)
        start, place = fitted.ellipses, fitted.ellipses.semi_major_axis(whole.size)
        bench = Bench.of(light, fitted, place, inside)
        if number + 1 == len(rounds):
            break
        # A first mask may hold parts of a galaxy whose shape was not known yet: each begins anew.
        bench = _better(bench, sma, options)
        seen = dataclasses.replace(bench, ordered=bench.ordered.of_light(whole))
        found = find_outliers(whole, place, seen.ordered, seen.residual, bench.scatter(sma))
        flat = (seen.residual * seen.ordered.good).double()
        taken = (flat * found.flatten(1).gather(1, seen.ordered.number)).sum(1)
        light = _masked(whole, found)
    bench = _better(bench, sma, options)
    bench = bench.clipped(bench.scatter(sma), options.clip)
    touching = measure_rings(bench, sma, dataclasses.replace(options, average="mean"), 0.0)
    sky, error, tail = sky_of_tail(touching)
    bench = _better(bench, sma, options)
    return Traced(bench, sky, error, tail, taken)


def _masked(light: Light, bad: Tensor) -> Light:
    """Light without some more pixels (galaxy, y, x) of bool."""
    good = light.good * (~bad).float()
    return Light.of(light.image * good, good, light.variance * good)


def _shapes(
    light: Light, start: Ellipses, guess: Tensor, options: IsophoteOptions, given: Ellipses | None, steps: int
) -> Fitted:
    """The fitted isophotes, or those that are given, with the brightness along them."""
    if given is not None:
        return fit_ellipses(light, given, guess, options, steps=0, held=True)
    if options.geometry == "fixed" and options.axis_ratio is not None:
        angle = options.position_angle or 0.0
        ratio = torch.full_like(start.x, options.axis_ratio)
        fixed = shape_of(ratio, torch.full_like(ratio, angle))[:, None].expand_as(start.shape)
        return fit_ellipses(
            light, dataclasses.replace(start, shape=fixed), guess, options, steps=steps, held=True
        )
    return fit_ellipses(light, start, guess, options, steps=steps)


def _better(bench: Bench, sma: Points, options: IsophoteOptions) -> Bench:
    """With the profile that its rings have."""
    ends = torch.cat([torch.zeros_like(sma[:, :1]), sma], 1)
    rings: Rings = measure_rings(bench, ends, dataclasses.replace(options, average="mean"), 0.0)
    centre, level, _ = filled(rings.level[:, 0], rings.level[:, 1:], sma)
    return bench.with_profile(centre, level)
