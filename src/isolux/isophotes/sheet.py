"""What has been measured, written down: points of the profiles and numbers of whole galaxies, in image units."""

from __future__ import annotations

import math

import torch

from isolux.batch import Batch
from isolux.isophotes.ellipses import axis_ratio, node_place
from isolux.isophotes.fit import Fitted
from isolux.isophotes.growth import STEPS, Growth
from isolux.isophotes.harmonics import Series
from isolux.isophotes.light import CORE
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.profiles import POGSON, Isophotes
from isolux.isophotes.quality import ProfileFlag, Quality
from isolux.isophotes.rings import Rings, shape_variance, slope_of
from isolux.isophotes.steady import steady
from isolux.isophotes.total import light_beyond
from isolux.result import Quantity
from isolux.source import Source
from isolux.types import PerGalaxy, Points, Tensor

EDGE, MASKED, HELD = 0.9, 0.5, 0.2
"""Shares of a ring in the stamp, of that unmasked, and of a shape that is measured, below which a point says so."""
MUCH_MASKED, COMPANION, SKY_TAIL = 0.2, 0.3, 2.0
"""Shares of pixels and light, and light of the last ring over the sky's error, from which on a galaxy says so."""
MOVED = 2.0
"""Pixels by which the centre may differ from the brightest place without a remark."""
D25 = 25.0


def columns_for(options: IsophoteOptions) -> tuple[Quantity, ...]:
    """Numbers of a whole galaxy, lengths in pixels."""
    named = [f"{level:g}".replace(".", "p") for level in options.levels]
    levels = (
        Quantity(f"radius_{name}", "pixel", f"semi-major axis of the isophote of {level:g} mag/arcsec2")
        for name, level in zip(named, options.levels, strict=True)
    )
    return (
        Quantity("x", "pixel", "column of the isophotes' centre"),
        Quantity("y", "pixel", "row of the isophotes' centre"),
        Quantity("sky", "flux/pixel2", "sky that was subtracted"),
        Quantity("total_magnitude", "mag", "AB magnitude inside the last isophote"),
        Quantity("total_flux", "flux", "flux inside the last isophote"),
        Quantity("extrapolated_magnitude", "mag", "AB magnitude if the profile goes on as it ends"),
        Quantity("last_sma", "pixel", "semi-major axis of the last isophote"),
        Quantity("r50", "pixel", "semi-major axis of half of that flux"),
        Quantity("r90", "pixel", "semi-major axis of 90 % of that flux"),
        *levels,
        Quantity("d25", "pixel", "twice the semi-major axis of the isophote of 25 mag/arcsec2"),
        Quantity("ellipticity", "", "of the last isophote whose shape was measured"),
        Quantity("position_angle", "deg", "of the same isophote, counter-clockwise from +y"),
        Quantity("signal_to_noise", "", "largest of the flux inside any isophote"),
    )


def written(
    batch: Batch,
    source: Source,
    unit: PerGalaxy,
    options: IsophoteOptions,
    *,
    traced: object,
    rings: Rings,
    gap: Tensor,
    growth: Growth,
    series: Series,
    length: Tensor,
    cut: Tensor,
    there: Tensor,
) -> Isophotes:
    """Profiles from what was measured in units of the noise."""
    bench, sky, sky_error, tail, taken = (
        getattr(traced, name) for name in ("bench", "sky", "sky_error", "tail", "taken")
    )
    fitted: Fitted = bench.fitted
    sma, scale = rings.sma, unit[:, None]
    significance = growth.significance(sky_error)
    usable = batch.usable
    seen = usable & there & (significance >= options.detection)
    length = torch.where(seen, length, 0)
    own, spread = _at_nodes(fitted.own, sma), torch.sqrt(_at_nodes(fitted.variance, sma))
    quality = _quality(rings, gap, own)
    end = sma.gather(1, (length - 1).clamp_min(0)[:, None])[:, 0]
    flux, noise, area = growth.at(sma)
    flux_error = torch.sqrt(noise + (area * sky_error[:, None]) ** 2)
    slope = (-slope_of(bench.profile, sma)).clamp_min(1e-12)[..., None]
    harmonics = series.terms[..., [6, 5, 8, 7]] / slope
    wobble = series.scatter * torch.sqrt(series.variance[..., 7]) / slope[..., 0]
    level_error = torch.sqrt(shape_variance(fitted, bench.profile, growth.sma) + (sky_error**2)[:, None])
    values, errors = _whole(batch, unit, options, fitted, growth, sky_error, end, level_error, own, sma)
    values |= {"sky": source.sky + sky * unit, "signal_to_noise": significance}
    errors |= {"sky": sky_error * unit}
    columns = columns_for(options)
    empty = length == 0
    flags, message = _flags(batch, source, bench, growth, end, cut & ~empty, tail, taken, empty, seen, own)
    kept = ("x", "y", "sky", "signal_to_noise")
    nan = torch.full_like(sky, torch.nan)
    hidden = ~usable
    table, error_table = (
        torch.stack(
            [
                torch.where(hidden | (empty & torch.tensor(c.name not in kept)), nan, found.get(c.name, nan))
                for c in columns
            ],
            1,
        )
        for found in (values, errors)
    )
    level = rings.level * scale
    return Isophotes(
        id=batch.id,
        method="isophotes",
        x=fitted.ellipses.x,
        y=fitted.ellipses.y,
        sma=sma,
        intensity=level,
        error=torch.sqrt(rings.variance) * scale,
        low=level - rings.low * scale,
        high=level + rings.high * scale,
        shape=fitted.ellipses.shape_at(sma),
        shape_error=spread,
        harmonics=harmonics,
        harmonics_error=wobble,
        growth=flux * scale,
        growth_error=flux_error * scale,
        pixels=rings.pixels,
        good=rings.good,
        quality=quality,
        length=length,
        columns=columns,
        values=table,
        errors=error_table,
        flags=flags,
        message=message,
        zero_point=batch.zero_point.double(),
        pixel_scale=batch.pixel_scale.double(),
        wcs=batch.wcs,
    )


def brightness(batch: Batch, magnitude: float) -> PerGalaxy:
    """A surface brightness in mag/arcsec^2 as flux a pixel (galaxy,)."""
    exponent = -0.4 * math.log(10) * (magnitude - batch.zero_point.double())
    return steady(torch.exp, exponent) * batch.pixel_scale.double() ** 2


def _at_nodes(values: Points, sma: Points) -> Points:
    place, share = node_place(sma, values.shape[1])
    return values.gather(1, place) * (1 - share) + values.gather(1, place + 1) * share


def _quality(rings: Rings, gap: Tensor, own: Points) -> Tensor:
    remarks = (
        (Quality.MASKED, rings.good < MASKED),
        (Quality.EDGE, rings.within < EDGE),
        (Quality.REPLACED, gap),
        (Quality.HELD, own < HELD),
        (Quality.NEGATIVE, rings.level <= 0),
        (Quality.CORE, rings.sma <= CORE),
    )
    return sum(int(flag) * where.int() for flag, where in remarks)  # type: ignore[return-value]


def _whole(
    batch: Batch,
    unit: PerGalaxy,
    options: IsophoteOptions,
    fitted: Fitted,
    growth: Growth,
    sky_error: PerGalaxy,
    end: PerGalaxy,
    level_error: Points,
    own: Points,
    sma: Points,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    flux, noise, area = (t[:, 0] for t in growth.at(end[:, None]))
    flux_error = torch.sqrt(noise + (area * sky_error) ** 2)
    zero = batch.zero_point.double()
    positive = torch.where(flux > 0, flux, torch.nan)
    values = {
        "x": fitted.ellipses.x,
        "y": fitted.ellipses.y,
        "total_flux": flux * unit,
        "total_magnitude": zero - 2.5 * steady(torch.log10, positive * unit),
        "last_sma": end,
    }
    errors = {"total_flux": flux_error * unit, "total_magnitude": POGSON * flux_error / positive}
    errors["x"], errors["y"] = fitted.centre_error.unbind(1)
    for name, share in (("r50", 0.5), ("r90", 0.9)):
        values[name], errors[name] = growth.radius(share, end, sky_error)
        errors[name] = torch.hypot(errors[name], values[name] * _stretch(fitted, values[name]))
    # A brightness at a point of the fine grid has also the noise of its ring: a ring's pixels are what the area gains
    # from node to node.
    ring = torch.nn.functional.pad(growth.area.diff(dim=1), (1, 0), value=1.0).clamp_min(1.0)
    gained = torch.nn.functional.pad(growth.variance.diff(dim=1), (1, 0), value=1.0).clamp_min(1e-12)
    variance = level_error**2 + gained / ring**2 / STEPS
    ratio = axis_ratio(fitted.ellipses.shape_at(end[:, None]))[:, 0]
    beyond, rest, by_sky = light_beyond(growth.sma, growth.level, gained / ring**2, end, ratio)
    whole = torch.where(flux + beyond > 0, flux + beyond, torch.nan)
    values["extrapolated_magnitude"] = zero - 2.5 * steady(torch.log10, whole * unit)
    spread = torch.sqrt(noise + rest**2 + ((area + by_sky) * sky_error) ** 2)
    errors["extrapolated_magnitude"] = POGSON * spread / whole
    levels = [f"radius_{level:g}".replace(".", "p") for level in options.levels]
    for name, level in (*zip(levels, options.levels, strict=True), ("d25", D25)):
        threshold = brightness(batch, level) / unit
        values[name], errors[name] = growth.isophote(threshold, end, variance)
    values["d25"], errors["d25"] = 2 * values["d25"], 2 * errors["d25"]
    number = torch.arange(sma.shape[1], device=sma.device)
    measured = (own > HELD) & (sma <= end[:, None])
    last = torch.where(measured, number, 0).amax(1, keepdim=True)
    shape = fitted.ellipses.shape_at(sma.gather(1, last))[:, 0]
    spread = torch.sqrt(_at_nodes(fitted.variance, sma.gather(1, last)))[:, 0]
    e = torch.linalg.vector_norm(shape, dim=1)
    values["ellipticity"], errors["ellipticity"] = e, spread
    values["position_angle"] = torch.rad2deg(0.5 * steady(torch.atan2, shape[:, 1], shape[:, 0]))
    errors["position_angle"] = torch.rad2deg(spread / (2 * e).clamp_min(1e-6)).clamp_max(90.0)
    return values, errors


def _stretch(fitted: Fitted, sma: PerGalaxy) -> PerGalaxy:
    """By what part of itself a semi-major axis is uncertain, since ellipses may be flatter or rounder."""
    place = torch.nan_to_num(sma, 1.0)[:, None]
    spread = torch.sqrt(_at_nodes(fitted.variance, place))[:, 0]
    return spread / (2 * axis_ratio(fitted.ellipses.shape_at(place))[:, 0])


def _flags(
    batch: Batch,
    source: Source,
    bench: object,
    growth: Growth,
    end: PerGalaxy,
    cut: Tensor,
    tail: PerGalaxy,
    taken: PerGalaxy,
    empty: Tensor,
    seen: Tensor,
    own: Points,
) -> tuple[tuple[ProfileFlag, ...], tuple[str, ...]]:
    ellipses = bench.fitted.ellipses  # type: ignore[attr-defined]
    flux, _, area = (t[:, 0] for t in growth.at(end[:, None]))
    masked = Growth.at(_only(growth), end[:, None])[0][:, 0]
    tall, wide = batch.shape
    row, column = ellipses.y.round().long().clamp(0, tall - 1), ellipses.x.round().long().clamp(0, wide - 1)
    at_centre = batch.mask[torch.arange(len(batch), device=row.device), row, column]
    moved = torch.hypot(ellipses.x - source.x, ellipses.y - source.y) > MOVED
    there = ~empty
    remarks = (
        (ProfileFlag.NO_GALAXY, ~seen),
        (ProfileFlag.ENDED, empty & seen),
        (ProfileFlag.EDGE, cut),
        (ProfileFlag.MUCH_MASKED, there & (masked > MUCH_MASKED * area)),
        (ProfileFlag.CENTRE_MASKED, at_centre),
        (ProfileFlag.CENTRE_MOVED, there & moved),
        (ProfileFlag.SKY_UNCERTAIN, there & (tail > SKY_TAIL)),
        (ProfileFlag.COMPANION, there & (taken > COMPANION * flux.abs())),
        (ProfileFlag.NEGATIVE, there & (flux <= 0)),
        (ProfileFlag.HELD, there & (own.amax(1) < HELD)),
    )
    codes = sum(int(flag) * where.int() for flag, where in remarks)
    assert isinstance(codes, Tensor)
    flags = [
        ProfileFlag(code) if good else ProfileFlag.UNUSABLE
        for code, good in zip(codes.tolist(), batch.usable.tolist(), strict=True)
    ]
    said = [
        message or (status.message if not good else "")
        for message, status, good in zip(batch.message, batch.status, batch.usable.tolist(), strict=True)
    ]
    assert math.isfinite(MOVED)
    return tuple(flags), tuple(said)


def _only(growth: Growth) -> Growth:
    """The growth of masked pixels."""
    return Growth(growth.sma, growth.level, growth.masked, growth.variance, growth.area, growth.masked)
