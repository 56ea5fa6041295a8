"""The steps of a measurement, for some galaxies at once; :mod:`isolux.nonparametric.measure` has the order."""

from __future__ import annotations

import math

import torch

from isolux.nonparametric import concentration as shares
from isolux.nonparametric import petrosian
from isolux.nonparametric.apertures import Ellipse
from isolux.nonparametric.flags import ShapeFlag
from isolux.nonparametric.light import write_light
from isolux.nonparametric.sheet import Sheet
from isolux.nonparametric.stamps import Stamps
from isolux.nonparametric.structure import write_asymmetries, write_pixels, write_smoothness
from isolux.nonparametric.view import View, centre, filled_image, look
from isolux.types import Tensor

LEAST_FLUX = 3.0
"""Signal-to-noise of the best aperture, below which there is no light."""
MASKED = 0.1
"""Share of the Petrosian ellipse that may be masked without a remark."""
PSF_WIDTHS = 2.0
"""FWHM of the PSF that a Petrosian radius should be at least (Lotz et al. 2004)."""


def measure_stamps(stamps: Stamps) -> Sheet:
    """Everything about these galaxies."""
    q = stamps.axis_ratio
    first = look(stamps, Ellipse.of(stamps.x, stamps.y, q, stamps.angle), q, rough=True)
    filled = filled_image(stamps, first)
    x, y, kept = centre(stamps, first, filled)
    circle = look(stamps, Ellipse.circle(x, y), torch.ones_like(q))
    ellipse = look(stamps, Ellipse.of(x, y, q, stamps.angle), q)
    sheet = Sheet({"x": x, "y": y}, {}, torch.zeros_like(x, dtype=torch.int64))
    sheet.remark(ShapeFlag.CENTRE_MOVED, kept)
    write_light(circle, ellipse, sheet)
    write_asymmetries(stamps, filled, circle, ellipse, sheet)
    write_smoothness(stamps, filled, circle, sheet)
    write_pixels(stamps, filled, circle, ellipse, sheet)
    _remarks(stamps, circle, ellipse, sheet)
    return sheet


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
