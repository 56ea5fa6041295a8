"""The steps of a measurement, for some galaxies at once; :mod:`isolux.nonparametric.measure` has the order."""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.nonparametric import asymmetry as turned
from isolux.nonparametric import concentration as shares
from isolux.nonparametric import gini_m20, petrosian
from isolux.nonparametric import smoothness as clumps
from isolux.nonparametric.apertures import Ellipse, offsets
from isolux.nonparametric.flags import ShapeFlag
from isolux.nonparametric.shapes import NAMES
from isolux.nonparametric.stamps import Stamps
from isolux.nonparametric.view import View, centre, filled_image, look
from isolux.types import Images, PerGalaxy, Points, Tensor

LEAST_FLUX = 3.0
"""Signal-to-noise of the best aperture, below which there is no light."""
LOW_SIGNAL = 2.5
MASKED = 0.1
PSF_WIDTHS = 2.0
OUTLINE = 3.0
"""Side in pixels of the squares over which the image is averaged for the outline of a galaxy."""


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What is being written down about each galaxy: columns by name, with errors, and flags as integers.

    Fluxes are in noises of a sky pixel.
    """

    values: dict[str, PerGalaxy]
    errors: dict[str, PerGalaxy]
    flags: Tensor

    def remark(self, flag: ShapeFlag, where: Tensor) -> None:
        """Set a flag where (galaxy,) it holds."""
        self.flags.bitwise_or_(int(flag) * where.long())


def measure_stamps(stamps: Stamps) -> Sheet:
    """Everything about these galaxies."""
    q = stamps.axis_ratio
    first = look(stamps, Ellipse.of(stamps.x, stamps.y, q, stamps.angle), q)
    filled = filled_image(stamps, first)
    x, y, kept = centre(stamps, first, filled)
    circle = look(stamps, Ellipse.circle(x, y), torch.ones_like(q))
    ellipse = look(stamps, Ellipse.of(x, y, q, stamps.angle), q)
    sheet = Sheet({"x": x, "y": y}, {}, torch.zeros_like(x, dtype=torch.int64))
    sheet.remark(ShapeFlag.CENTRE_MOVED, kept)
    _light(circle, ellipse, sheet)
    _asymmetries(stamps, filled, circle, ellipse, sheet)
    _smoothness(stamps, filled, circle, sheet)
    _pixels(stamps, filled, ellipse, sheet)
    _remarks(stamps, circle, ellipse, sheet)
    return sheet


def _light(circle: View, ellipse: View, sheet: Sheet) -> None:
    """Fluxes and radii."""
    values, errors = sheet.values, sheet.errors
    for ending, view in (("", ellipse), ("_circular", circle)):
        end, loose = view.reach(petrosian.EXTENT), petrosian.EXTENT * view.petrosian_error
        _flux(view, end, loose, f"petrosian_flux{ending}", sheet)
        values[f"petrosian_radius{ending}"] = view.petrosian / view.stretch
        errors[f"petrosian_radius{ending}"] = view.petrosian_error / view.stretch
    growth, end = ellipse.growth, ellipse.reach(petrosian.EXTENT)
    limit, loose = (
        torch.where(torch.isfinite(end), end, growth.last),
        petrosian.EXTENT * ellipse.petrosian_error,
    )
    radius, error = petrosian.kron_radius(growth, limit, loose)
    times = petrosian.KRON_EXTENT
    _flux(ellipse, (times * radius).minimum(growth.last), times * error, "kron_flux", sheet)
    values["kron_radius"], errors["kron_radius"] = radius / ellipse.stretch, error / ellipse.stretch
    loose = shares.TOTAL * circle.petrosian_error
    radii, covariance = shares.light_radii(circle.growth, circle.reach(shares.TOTAL), loose)
    for k, name in enumerate(("r20", "r50", "r80", "r90")):
        values[name], errors[name] = radii[:, k], torch.sqrt(covariance[:, k, k].clamp_min(0))
    values["concentration"], errors["concentration"] = shares.concentration(radii, covariance)


def _flux(view: View, end: PerGalaxy, loose: PerGalaxy, name: str, sheet: Sheet) -> None:
    """The flux within a radius (galaxy,), NaN where that is; with the noise within and the error of the radius."""
    radius = end.nan_to_num(1.0)[:, None]
    sheet.values[name] = torch.where(torch.isfinite(end), view.growth.at(radius)[:, 0], torch.nan)
    moved = view.growth.slope(radius)[:, 0] * loose.nan_to_num(0.0)
    sheet.errors[name] = torch.sqrt(view.growth.noise(radius)[:, 0] + moved**2)


def _asymmetries(stamps: Stamps, filled: Images, circle: View, ellipse: View, sheet: Sheet) -> None:
    """Asymmetry, RMS, outer and shape asymmetry, and the radii that the latter two need."""
    values, (x, y) = sheet.values, (sheet.values["x"], sheet.values["y"])
    turner, good = turned.Turner.of(filled), turned.Turner.of(stamps.good)
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
    outline = _outline(filled, ellipse).flatten(1).to(image.dtype)
    values["outer_radius"] = (outline * circle.over.radius).amax(1).double()
    end = (outline * ellipse.over.radius).amax(1).double()
    total = ellipse.growth.at(end.minimum(ellipse.growth.last)[:, None])
    half = ellipse.growth.radius_of(0.5 * total)[:, 0]
    values["half_light_radius"] = half / ellipse.stretch
    ring = (ellipse.inside(end) - ellipse.inside(half.nan_to_num(0.0))) * counts
    values["outer_asymmetry"] = turned.asymmetry(change, ring, image, x, y, stamps.gain).value
    opposite = turned.Turner.of(outline.view_as(filled)).about(x, y).flatten(1)
    within = circle.inside(values["outer_radius"].clamp_min(1.0)) * counts
    differs = (within * (outline - opposite).abs()).sum(1).double()
    values["shape_asymmetry"] = differs / (within * outline).sum(1).double()


def _outline(filled: Images, ellipse: View) -> Tensor:
    """The galaxy's pixels at the noise of the sky (Pawlik et al. 2016), (galaxy, y, x) of bool."""
    smooth = clumps.box_mean(filled, torch.full_like(ellipse.radius, OUTLINE))
    near = (ellipse.over.radius <= ellipse.radius[:, None]).view_as(filled)
    return gini_m20.segment(smooth, torch.ones_like(ellipse.radius), near).pixels


def _smoothness(stamps: Stamps, filled: Images, circle: View, sheet: Sheet) -> None:
    radius, good = circle.radius, stamps.good.flatten(1)
    ring = (circle.inside(clumps.OUTER * radius) - circle.inside(clumps.INNER * radius)) * good
    sky = (circle.over.radius > (clumps.SKY_FROM * radius)[:, None]) * good
    if stamps.own is not None:
        sky = sky * ~stamps.own.flatten(1)
    side = torch.floor(clumps.INNER * radius).clamp_min(1)
    sheet.values["smoothness"], seen = clumps.smoothness(filled, ring, sky, side)
    sheet.remark(ShapeFlag.NO_SKY, ~seen & torch.isfinite(circle.petrosian))


def _pixels(stamps: Stamps, filled: Images, ellipse: View, sheet: Sheet) -> None:
    """Gini, M20, second moments and signal-to-noise of the pixels as bright as at the Petrosian radius."""
    values, axis = sheet.values, ellipse.radius / ellipse.stretch
    smooth = gini_m20.gaussian(filled, gini_m20.SMOOTHING * axis)
    edges = [(axis + half).clamp_min(0.0) * ellipse.stretch for half in (-0.5, 0.5)]
    ring = ellipse.inside(edges[1]) - ellipse.inside(edges[0])
    level = (ring * smooth.flatten(1)).sum(1) / ring.sum(1)
    near = (ellipse.over.radius <= ellipse.radius[:, None]).view_as(filled)
    found = gini_m20.segment(smooth, level.double(), near)
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


def _remarks(stamps: Stamps, circle: View, ellipse: View, sheet: Sheet) -> None:
    """Flags of the galaxy as a whole; where nothing can be known, every value is NaN."""
    growth, values = ellipse.growth, sheet.values
    best = (growth.flux / torch.sqrt(growth.variance.clamp_min(1))).amax(1)
    dark = ~(best > LEAST_FLUX) & stamps.valid
    missing = ~torch.isfinite(circle.petrosian) | ~torch.isfinite(ellipse.petrosian)
    short = torch.zeros_like(missing)
    for view, times in ((circle, shares.TOTAL), (ellipse, petrosian.EXTENT), (circle, petrosian.EXTENT)):
        short |= times * view.petrosian > view.growth.last
    short |= petrosian.KRON_EXTENT * values["kron_radius"] * ellipse.stretch > growth.last
    seen = growth.at(ellipse.radius[:, None], growth.seen)[:, 0] / (math.pi * ellipse.radius**2)
    column, row = (torch.floor(values[name] + 0.5).long() for name in ("x", "y"))
    place = row.clamp(0, stamps.good.shape[1] - 1) * stamps.good.shape[2]
    place = place + column.clamp(0, stamps.good.shape[2] - 1)
    masked = stamps.good.flatten(1).gather(1, place[:, None])[:, 0] == 0
    marks = {
        ShapeFlag.EDGE: short,
        ShapeFlag.TOO_MASKED: seen < 1 - MASKED,
        ShapeFlag.CENTRE_MASKED: masked,
        ShapeFlag.NO_PETROSIAN: missing,
        ShapeFlag.SMALL: circle.petrosian < PSF_WIDTHS * stamps.psf_fwhm,
        ShapeFlag.NEGATIVE_ASYMMETRY: values["asymmetry"] < 0,
    }
    for flag, where in marks.items():
        sheet.remark(flag, where)
    nothing = dark | ~stamps.valid
    sheet.flags[nothing] = 0
    sheet.remark(ShapeFlag.INVALID, ~stamps.valid)
    sheet.remark(ShapeFlag.NO_LIGHT, dark)
    _forget(sheet, nothing, torch.isfinite(circle.petrosian), torch.isfinite(ellipse.petrosian))


def _forget(sheet: Sheet, nothing: Tensor, circular: Tensor, elliptical: Tensor) -> None:
    """NaN where nothing is known, and for what rests on a Petrosian radius that there is not."""
    needs = {name: circular for name in ("asymmetry", "rms_asymmetry", "smoothness")}
    needs |= {
        name: elliptical
        for name in ("gini", "m20", "gini_m20_bulge", "gini_m20_merger", "ellipticity", "position_angle")
    }
    for name, column in sheet.values.items():
        known = ~nothing & needs.get(name, True)
        sheet.values[name] = torch.where(known, column, torch.nan)
        if name in sheet.errors:
            finite = torch.isfinite(sheet.values[name])
            sheet.errors[name] = torch.where(finite, sheet.errors[name], torch.nan)


def columns_of(sheets: list[dict[str, PerGalaxy]], count: int) -> Tensor:
    """Columns of several sheets as one table (galaxy, column) in the order of ``NAMES``."""
    table = torch.full((count, len(NAMES)), torch.nan, dtype=torch.float64)
    for k, name in enumerate(NAMES):
        if sheets and name in sheets[0]:
            table[:, k] = torch.cat([sheet[name] for sheet in sheets])
    return table
