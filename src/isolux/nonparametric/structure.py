"""Asymmetries, smoothness, Gini and M20 of a galaxy about its centre of least asymmetry."""

from __future__ import annotations

import torch

from isolux.nonparametric import asymmetry as turned
from isolux.nonparametric import gini_m20
from isolux.nonparametric import smoothness as clumps
from isolux.nonparametric.apertures import Ellipse, offsets
from isolux.nonparametric.flags import ShapeFlag
from isolux.nonparametric.sheet import Sheet
from isolux.nonparametric.stamps import Stamps
from isolux.nonparametric.turn import Turner
from isolux.nonparametric.view import View
from isolux.types import Images, Points, Tensor

LOW_SIGNAL = 2.5
"""Signal-to-noise a pixel below which shapes are not to be trusted (Lotz et al. 2004)."""


def write_asymmetries(stamps: Stamps, filled: Images, circle: View, ellipse: View, sheet: Sheet) -> None:
    """Asymmetry, RMS, outer and shape asymmetry, and the radii that the latter two need."""
    values, (x, y) = sheet.values, (sheet.values["x"], sheet.values["y"])
    turner, good = Turner.of(filled), Turner.of(stamps.good)
    image = stamps.image.flatten(1)
    change = filled.flatten(1) - turner.about(x, y).flatten(1)
    counts = (good.about(x, y) >= 0.5).to(image.dtype).flatten(1) * stamps.good.flatten(1)
    weight = circle.inside(turned.EXTENT * circle.radius) * counts
    whole = turned.asymmetry(change, weight, image, x, y, stamps.gain)
    values["asymmetry"], sheet.errors["asymmetry"] = whole.value, whole.error
    values["rms_asymmetry"] = whole.rms
    _outskirts(filled, change, counts, stamps, circle, ellipse, sheet)


def _outskirts(
    filled: Images, change: Points, counts: Points, stamps: Stamps, circle: View, ellipse: View, sheet: Sheet
) -> None:
    """Outer and shape asymmetry, and the radii that they need."""
    values, (x, y), image = sheet.values, (sheet.values["x"], sheet.values["y"]), stamps.image.flatten(1)
    outline = _outline(filled, circle).flatten(1).to(image.dtype)
    values["outer_radius"] = (outline * circle.over.radius).amax(1).double()
    end = (outline * ellipse.over.radius).amax(1).double()
    total = ellipse.growth.at(end.minimum(ellipse.growth.last)[:, None])
    half = ellipse.growth.radius_of(0.5 * total)[:, 0]
    values["half_light_radius"] = half / ellipse.stretch
    ring = (ellipse.inside(end) - ellipse.inside(half.nan_to_num(0.0))) * counts
    values["outer_asymmetry"] = turned.asymmetry(change, ring, image, x, y, stamps.gain).value
    opposite = Turner.of(outline.view_as(filled)).about(x, y).flatten(1)
    within = circle.inside(values["outer_radius"].clamp_min(1.0)) * counts
    differs = (within * (outline - opposite).abs()).sum(1).double()
    values["shape_asymmetry"] = differs / (within * outline).sum(1).double()


def _outline(filled: Images, circle: View) -> Tensor:
    """Pixels (galaxy, y, x) where the mean of 3 x 3 is above the noise of the sky (Pawlik et al. 2016)."""
    mirrored = torch.nn.functional.pad(filled, (1, 1, 1, 1), mode="replicate")
    across = mirrored[:, :, :-2] + mirrored[:, :, 1:-1] + mirrored[:, :, 2:]
    smooth = (across[:, :-2] + across[:, 1:-1] + across[:, 2:]) / 9
    return gini_m20.segment(smooth, torch.ones_like(circle.radius), circle.over.radius, circle.radius).pixels


def write_smoothness(stamps: Stamps, filled: Images, circle: View, sheet: Sheet) -> None:
    """Smoothness."""
    radius, good = circle.radius, stamps.good.flatten(1)
    ring = (circle.inside(clumps.OUTER * radius) - circle.inside(clumps.INNER * radius)) * good
    sky = (circle.over.radius > (clumps.SKY_FROM * radius)[:, None]) * good
    if stamps.own is not None:
        sky = sky * ~stamps.own.flatten(1)
    side = torch.floor(clumps.INNER * radius).clamp_min(1)
    sheet.values["smoothness"], seen = clumps.smoothness(filled, ring, sky, side)
    sheet.remark(ShapeFlag.NO_SKY, ~seen & torch.isfinite(circle.petrosian))


def write_pixels(stamps: Stamps, filled: Images, circle: View, ellipse: View, sheet: Sheet) -> None:
    """Gini, M20, second moments and signal-to-noise of the pixels as bright as at the Petrosian radius."""
    values, axis = sheet.values, ellipse.radius / ellipse.stretch
    smooth = gini_m20.gaussian(filled, gini_m20.SMOOTHING * axis)
    edges = [(axis + half).clamp_min(0.0) * ellipse.stretch for half in (-0.5, 0.5)]
    ring = ellipse.inside(edges[1]) - ellipse.inside(edges[0])
    level = (ring * smooth.flatten(1)).sum(1) / ring.sum(1)
    found = gini_m20.segment(smooth, level.double(), circle.over.radius, circle.radius)
    own = found.pixels.to(filled.dtype).flatten(1)
    light, number = own * filled.flatten(1), own.sum(1).double()
    place = Ellipse.circle(values["x"], values["y"])
    dx, dy = offsets(place, (filled.shape[1], filled.shape[2]), filled.dtype)
    dx, dy = (t.expand_as(filled).flatten(1) for t in (dx, dy))
    values["gini"], values["m20"] = gini_m20.gini(light.abs(), number), gini_m20.m20(light, dx, dy)
    values["gini_m20_bulge"] = -0.693 * values["m20"] + 4.95 * values["gini"] - 3.96
    values["gini_m20_merger"] = 0.139 * values["m20"] + 0.990 * values["gini"] - 0.327
    lit = own * stamps.good.flatten(1) * (light >= 0)
    over = light / torch.sqrt(1 + light.clamp_min(0) / stamps.gain[:, None].to(light.dtype))
    values["signal_to_noise"] = (lit * over).sum(1).double() / lit.sum(1)
    if stamps.own is not None:
        light = filled.flatten(1) * stamps.own.flatten(1)
    values["ellipticity"], values["position_angle"] = gini_m20.moments_ellipse(light, dx, dy)
    sheet.remark(ShapeFlag.SPLIT, found.split)
    all_or_none = (found.pixels.flatten(1).sum(1) == light.shape[1]) | ~torch.isfinite(values["gini"])
    sheet.remark(ShapeFlag.NO_SEGMENT, all_or_none)
    sheet.remark(ShapeFlag.LOW_SIGNAL, values["signal_to_noise"] < LOW_SIGNAL)
