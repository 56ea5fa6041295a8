"""What a network has said of a batch, written as the result that measured profiles have."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from isolux.batch import Batch
from isolux.isophotes.profiles import POGSON, Isophotes
from isolux.isophotes.quality import ProfileFlag
from isolux.result import Quantity
from isolux.types import PerGalaxy, Points, Tensor

D25 = 25.0
UNSAID = (
    "a3", "b3", "a4", "b4", "b4_err", "n_pixels", "good_share", "quality",
    "x_err", "y_err", "sky_err", "r50_err", "r90_err", "d25_err",
)  # fmt: skip
"""Columns of tables that no network fills."""
POINTS_ALONE = (
    "surface_brightness_err", "intensity_err", "intensity_low", "intensity_high", "growth", "growth_err",
    "ellipticity", "ellipticity_err", "position_angle", "position_angle_err", "pa_sky",
)  # fmt: skip
"""Those that a network which says nothing but the brightness leaves empty too."""
OF_GROWTH = ("total_magnitude", "total_flux", "r50", "r90")
OF_SHAPE = ("ellipticity", "position_angle")
NO_ERROR = ("x", "y", "ellipticity", "position_angle")


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What is known of each galaxy.

    Attributes
    ----------
    x, y : Tensor
        (galaxy,): centre in pixels.
    sma : Tensor
        (galaxy, radius): semi-major axes in pixels.
    light : Tensor
        (galaxy, radius, 3): 16th, 50th and 84th percentile of the brightness, image units a pixel.
    grown : Tensor
        (galaxy, radius, 3): the same of the flux inside; NaN where the network does not say it.
    shape, spread : Tensor
        (galaxy, radius, 2) and (galaxy, radius): shape and its error; NaN where the network does not say them.
    length : Tensor
        (galaxy,), integer.
    sky : Tensor
        (galaxy,): level that was taken off, image units a pixel.
    flags : list of ProfileFlag
        Remarks on each.
    notes : list of list of str
        Sentences that go with them.
    """

    x: PerGalaxy
    y: PerGalaxy
    sma: Points
    light: Tensor
    grown: Tensor
    shape: Tensor
    spread: Points
    length: Tensor
    sky: PerGalaxy
    flags: list[ProfileFlag]
    notes: list[list[str]]


def written(batch: Batch, method: str, said: Answer, levels: Sequence[float] = ()) -> Isophotes:
    """As the common result.

    Parameters
    ----------
    batch : Batch
        What was looked at.
    method : {"polar", "pix2prof"}
        Which network. ``pix2prof`` says nothing but the brightness.
    said : Answer
        What it said.
    levels : sequence of float
        Surface brightnesses in mag/arcsec^2 whose radii are wanted.
    """
    nan = torch.full_like(said.sma, torch.nan)
    alone = method == "pix2prof"
    columns = _columns(levels, alone)
    values, errors = _numbers(batch, said, columns, levels)
    flags, message = _remarks(batch, said)
    low, middle, high = said.light.unbind(-1)
    inner, inside, outer = said.grown.unbind(-1)
    return Isophotes(
        id=batch.id,
        method=method,
        x=said.x,
        y=said.y,
        sma=said.sma,
        intensity=middle,
        error=nan if alone else 0.5 * (high - low),
        low=nan if alone else low,
        high=nan if alone else high,
        shape=said.shape,
        shape_error=said.spread,
        harmonics=nan[..., None].expand(-1, -1, 4).clone(),
        harmonics_error=nan,
        growth=inside,
        growth_error=0.5 * (outer - inner),
        pixels=nan,
        good=nan,
        quality=torch.zeros(said.sma.shape, dtype=torch.int64, device=nan.device),
        length=said.length,
        columns=columns,
        values=values,
        errors=errors,
        flags=flags,
        message=message,
        zero_point=batch.zero_point.double(),
        pixel_scale=batch.pixel_scale.double(),
        wcs=batch.wcs,
        unsaid=_unsaid(columns, alone),
    )


def _columns(levels: Sequence[float], alone: bool) -> tuple[Quantity, ...]:
    """Numbers of a whole galaxy, lengths in pixels."""
    known = (
        Quantity("x", "pixel", "column of the isophotes' centre"),
        Quantity("y", "pixel", "row of the isophotes' centre"),
        Quantity("sky", "flux/pixel2", "level near the stamp's edge, above which the light is counted"),
        Quantity("total_magnitude", "mag", "AB magnitude inside the last isophote"),
        Quantity("total_flux", "flux", "flux inside the last isophote"),
        Quantity("last_sma", "pixel", "semi-major axis of the last isophote"),
        Quantity("r50", "pixel", "semi-major axis of half of that flux"),
        Quantity("r90", "pixel", "semi-major axis of 90 % of that flux"),
        *(
            Quantity(level_name(level), "pixel", f"semi-major axis of the isophote of {level:g} mag/arcsec2")
            for level in levels
        ),
        Quantity("d25", "pixel", "twice the semi-major axis of the isophote of 25 mag/arcsec2"),
        Quantity("ellipticity", "", "of the last isophote"),
        Quantity("position_angle", "deg", "of the last isophote, counter-clockwise from +y"),
    )
    left_out = ("x", "y", "sky", *OF_GROWTH, *OF_SHAPE) if alone else ()
    return tuple(column for column in known if column.name not in left_out)


def level_name(level: float) -> str:
    """The column of an isophote's radius."""
    return f"radius_{level:g}".replace(".", "p")


def _unsaid(columns: Sequence[Quantity], alone: bool) -> tuple[str, ...]:
    names = [column.name for column in columns]
    errors = [f"{name}_err" for name in names if name.startswith("radius_") or name in NO_ERROR]
    return (*UNSAID, *errors, *(POINTS_ALONE if alone else ()))


def _remarks(batch: Batch, said: Answer) -> tuple[tuple[ProfileFlag, ...], tuple[str, ...]]:
    flags, message = [], []
    rows = zip(batch.usable.tolist(), batch.message, batch.status, said.length.tolist(), strict=True)
    for k, (usable, own, status, length) in enumerate(rows):
        if not usable:
            flags.append(ProfileFlag.UNUSABLE)
            message.append(own or status.message)
            continue
        # What is said of a profile that is not there would only hide that it is not.
        flags.append(said.flags[k] if length else said.flags[k] | ProfileFlag.NO_GALAXY)
        message.append("; ".join([*([own] if own else []), *said.notes[k]]))
    return tuple(flags), tuple(message)


def _numbers(
    batch: Batch, said: Answer, columns: Sequence[Quantity], levels: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Numbers of whole galaxies (galaxy, column) and their errors, NaN where there is no profile."""
    last = (said.length - 1).clamp_min(0)[:, None]
    inner, inside, outer = (part.gather(1, last)[:, 0] for part in said.grown.unbind(-1))
    bent = said.shape.gather(1, last[..., None].expand(-1, -1, 2))[:, 0]
    positive = torch.where(inside > 0, inside, torch.nan)
    growth = said.grown[..., 1]
    found = {
        "x": said.x, "y": said.y, "sky": said.sky, "total_flux": inside, "last_sma": said.sma.gather(1, last)[:, 0],
        "total_magnitude": batch.zero_point.double() - 2.5 * torch.log10(positive),
        "r50": radius_of_flux(said.sma, growth, 0.5 * inside),
        "r90": radius_of_flux(said.sma, growth, 0.9 * inside),
        "ellipticity": torch.linalg.vector_norm(bent, dim=1),
        "position_angle": torch.rad2deg(0.5 * torch.atan2(bent[:, 1], bent[:, 0])),
        "d25": 2 * _isophote(batch, said, D25),
        **{level_name(level): _isophote(batch, said, level) for level in levels},
    }  # fmt: skip
    error = 0.5 * (outer - inner)
    wrong = {"total_flux": error, "total_magnitude": POGSON * error / positive}
    nan = torch.full_like(inside, torch.nan)
    there = ((said.length > 0) & batch.usable)[:, None]
    table, errors = (
        torch.where(there, torch.stack([given.get(c.name, nan) for c in columns], 1), torch.nan)
        for given in (found, wrong)
    )
    return table, errors


def radius_of_flux(sma: Points, grown: Points, flux: PerGalaxy) -> PerGalaxy:
    """Where the curve of growth reaches a flux."""
    reached = (grown >= flux[:, None]).long()
    place = torch.where(reached.any(1), reached.argmax(1), grown.shape[1] - 1).clamp_min(1)[:, None]
    before, after = (grown.gather(1, place - k)[:, 0] for k in (1, 0))
    inner, outer = (sma.gather(1, place - k)[:, 0] for k in (1, 0))
    share = ((flux - before) / (after - before).clamp_min(1e-30)).clamp(0, 1)
    return torch.where(torch.isfinite(flux), inner + share * (outer - inner), torch.nan)


def _isophote(batch: Batch, said: Answer, level: float) -> PerGalaxy:
    """The last semi-major axis at which the profile is brighter than a level, straight in magnitudes; else NaN."""
    zero, scale = batch.zero_point.double()[:, None], batch.pixel_scale.double()[:, None]
    light = torch.where(said.light[..., 1] > 0, said.light[..., 1], torch.nan)
    above = level - (zero - 2.5 * torch.log10(light / scale**2))
    number = torch.arange(above.shape[1], device=above.device)
    inside = number < said.length[:, None]
    last = torch.where(inside & (above >= 0), number, -1).amax(1)
    found = (last >= 0) & (last + 1 < said.length)
    place = last.clamp(0, max(above.shape[1] - 2, 0))[:, None]
    after = (place + 1).clamp_max(above.shape[1] - 1)
    here, there = above.gather(1, place)[:, 0], above.gather(1, after)[:, 0]
    share = (here / (here - there).clamp_min(1e-12)).clamp(0, 1)
    inner, outer = said.sma.gather(1, place)[:, 0], said.sma.gather(1, after)[:, 0]
    return torch.where(found & torch.isfinite(share), inner + share * (outer - inner), math.nan)
