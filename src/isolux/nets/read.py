"""Profiles read off images by a network, in the form that measured ones have.

What a network says nothing of is NaN: harmonics. Where it finds no galaxy, the profile is empty.
"""

from __future__ import annotations

import math

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.isophotes.profiles import POGSON, Isophotes
from isolux.isophotes.quality import ProfileFlag
from isolux.nets.card import Card
from isolux.nets.frame import Frame, significance
from isolux.nets.pix2prof import Pix2Prof, Pix2ProfConfig, scaled
from isolux.nets.polar import ring_radii
from isolux.nets.profile import PolarNet, Reading
from isolux.result import Quantity
from isolux.types import PerGalaxy, Points, Tensor

AT_ONCE = 32
"""Galaxies that are read at the same time."""
MOST_RADII = 4096
DETECTION = 7.0
"""Signal-to-noise in some aperture below which Pix2Prof, which cannot say so, is not asked."""
COLUMNS = (
    Quantity("x", "pixel", "column of the isophotes' centre"),
    Quantity("y", "pixel", "row of the isophotes' centre"),
    Quantity("total_magnitude", "mag", "AB magnitude inside the last isophote"),
    Quantity("total_flux", "flux", "flux inside the last isophote"),
    Quantity("last_sma", "pixel", "semi-major axis of the last isophote"),
    Quantity("r50", "pixel", "semi-major axis of half of that flux"),
    Quantity("r90", "pixel", "semi-major axis of 90 % of that flux"),
    Quantity("ellipticity", "", "of the last isophote"),
    Quantity("position_angle", "deg", "of the last isophote, counter-clockwise from +y"),
)


def network_of(card: Card) -> PolarNet | Pix2Prof:
    """An untrained network of a card's kind and settings."""
    if card.network == "polar":
        return PolarNet(**card.config)
    return Pix2Prof(Pix2ProfConfig(**card.config))


def read_profiles(
    batch: Batch,
    network: PolarNet | Pix2Prof,
    card: Card,
    *,
    step: float = 0.2,
    band: str | None = None,
    sma: Points | None = None,
) -> Isophotes:
    """Surface-brightness profiles of all galaxies of a batch.

    Parameters
    ----------
    batch : Batch
        Stamps with a galaxy near the middle of each, of any size; small ones are padded.
    network : PolarNet or Pix2Prof
        With trained weights, in evaluation mode.
    card : Card
        Of the weights.
    step : float
        Arcsec between semi-major axes (polar; Pix2Prof has its own step).
    band : str, optional
        The batch's, to be compared with the card.
    sma : Tensor, optional
        (galaxy, radius): semi-major axes in pixels, in its place (polar).

    Returns
    -------
    Isophotes
        With ``method`` the network's name; errors are half of the 68 % interval. Of length zero where there is no
        galaxy.

    Raises
    ------
    InputError
        If the weights are not for such a batch, or the step is not positive.
    """
    card.refuse(batch, band)
    if not (math.isfinite(step) and step > 0):
        raise InputError("step of profiles in arcsec", step, "above 0")
    if isinstance(network, Pix2Prof) and sma is not None:
        raise InputError("semi-major axes: Pix2Prof has its own")
    radii = _radii(batch, step) if sma is None else sma.double()
    parts = []
    with torch.inference_mode():
        for first in range(0, len(batch), AT_ONCE):
            rows = list(range(first, min(first + AT_ONCE, len(batch))))
            some = batch.select(rows)
            if isinstance(network, Pix2Prof):
                parts.append(_by_pix2prof(some, network))
            else:
                parts.append(_by_polar(some, network, card, radii[rows]))
    return Isophotes.concatenate(parts)


def _radii(batch: Batch, step: float) -> Points:
    scale = batch.pixel_scale.double()
    good = batch.usable & (scale > 0)
    largest = float(scale[good].max()) if bool(good.any()) else 1.0
    scale = torch.where(good, scale, largest)
    count = 1 + math.ceil(0.5 * math.hypot(*batch.shape) * largest / step)
    if count > MOST_RADII:
        raise InputError("step of profiles in arcsec", step, f"{step * count / MOST_RADII:.3g} or more")
    return torch.arange(max(count, 2), dtype=torch.float64) * (step / scale)[:, None]


def _by_polar(batch: Batch, network: PolarNet, card: Card, sma: Points) -> Isophotes:
    frame = Frame.of(batch)
    said: Reading = network(frame)[-1]
    times, unit = frame.binning, frame.unit[:, None]
    rings = ring_radii().double() * times
    length = (said.there > 0).long().cumprod(1).sum(1)
    end = rings[(length - 1).clamp_min(0)] + (times * 0.25)
    widths = torch.tensor(card.widths, dtype=torch.float64)
    # A binned pixel is the mean of its pixels: the brightness is a pixel's, the flux that of times^2 of them.
    light = torch.exp(at(rings, _widened(said.brightness.double(), widths[:2]), sma)) * unit[..., None]
    grown = torch.exp(at(rings, _widened(said.growth.double(), widths[2:]), sma))
    grown = grown * (unit * times**2)[..., None]
    grown = grown * (sma > 0)[..., None]
    shape = at(rings, said.shape.double(), sma)
    spread = at(rings, torch.exp(said.shape_log_error.double())[..., None], sma)[..., 0]
    inside = (sma <= end[:, None]) & (length > 0)[:, None] & batch.usable[:, None]
    middle = 0.5 * (times - 1)
    return written(
        batch, "polar", said.x.double() * times + middle, said.y.double() * times + middle, sma, light, grown,
        shape, spread, inside.sum(1),
    )  # fmt: skip


def _by_pix2prof(batch: Batch, network: Pix2Prof) -> Isophotes:
    config = network.config
    light = torch.where(batch.mask, 0.0, batch.image).float()
    values, length = network.read(scaled(light, config))
    values = values.double()
    count = values.shape[1]
    scale = batch.pixel_scale.double()[:, None]
    sma = torch.arange(count, dtype=torch.float64) * config.step / scale
    zero = batch.zero_point.double()[:, None]
    intensity = 10 ** (-0.4 * (values - zero)) * scale**2
    three = intensity[..., None].expand(-1, -1, 3)
    nan = torch.full_like(three, torch.nan)
    x, y = (torch.full_like(zero[:, 0], (n - 1) / 2) for n in (batch.shape[1], batch.shape[0]))
    shape, spread = nan[..., :2], nan[..., 0]
    there = significance(Frame.of(batch)) >= DETECTION
    kept = torch.where(batch.usable & there, length, 0)
    return written(batch, "pix2prof", x, y, sma, three, nan, shape, spread, kept)


def _widened(percentiles: Tensor, factors: Tensor) -> Tensor:
    low, middle, high = percentiles.unbind(-1)
    below, above = middle - low, high - middle
    return torch.stack([middle - factors[0] * below, middle, middle + factors[1] * above], -1)


def at(rings: Tensor, values: Tensor, sma: Points) -> Tensor:
    """Values (galaxy, ring, ...) at semi-major axes (galaxy, radius), linear in ln(a + a_1 / 2)."""
    own, wanted = (torch.log(a + 0.5 * rings[1]) for a in (rings, sma))
    place = torch.searchsorted(own, wanted.contiguous()).clamp(1, len(rings) - 1)
    share = ((wanted - own[place - 1]) / (own[place] - own[place - 1])).clamp(0, 1)[..., None]
    index = place[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, index - 1) * (1 - share) + values.gather(1, index) * share


def written(
    batch: Batch,
    method: str,
    x: PerGalaxy,
    y: PerGalaxy,
    sma: Points,
    light: Tensor,
    grown: Tensor,
    shape: Tensor,
    spread: Points,
    length: Tensor,
) -> Isophotes:
    """A network's answer, brightness and growth as 16th, 50th and 84th percentile, as the common result."""
    nan = torch.full_like(sma, torch.nan)
    values, errors = _whole(batch, x, y, sma, grown, shape, length)
    flags = [
        ProfileFlag.UNUSABLE if not good else ProfileFlag.NO_GALAXY if not n else ProfileFlag(0)
        for good, n in zip(batch.usable.tolist(), length.tolist(), strict=True)
    ]
    said = [
        message or (status.message if not good else "")
        for message, status, good in zip(batch.message, batch.status, batch.usable.tolist(), strict=True)
    ]
    return Isophotes(
        id=batch.id,
        method=method,
        x=x,
        y=y,
        sma=sma,
        intensity=light[..., 1],
        error=0.5 * (light[..., 2] - light[..., 0]) if method == "polar" else nan,
        low=light[..., 0],
        high=light[..., 2],
        shape=shape,
        shape_error=spread,
        harmonics=nan[..., None].expand(-1, -1, 4).clone(),
        harmonics_error=nan,
        growth=grown[..., 1],
        growth_error=0.5 * (grown[..., 2] - grown[..., 0]),
        pixels=nan,
        good=nan,
        quality=torch.zeros(sma.shape, dtype=torch.int64),
        length=length,
        columns=COLUMNS,
        values=values,
        errors=errors,
        flags=tuple(flags),
        message=tuple(said),
        zero_point=batch.zero_point.double(),
        pixel_scale=batch.pixel_scale.double(),
        wcs=batch.wcs,
    )


def _whole(
    batch: Batch, x: PerGalaxy, y: PerGalaxy, sma: Points, grown: Tensor, shape: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    """Numbers of whole galaxies (galaxy, column) and their errors, NaN where there is no profile."""
    last = (length - 1).clamp_min(0)[:, None]
    flux = grown[..., 1].gather(1, last)[:, 0]
    error = (0.5 * (grown[..., 2] - grown[..., 0])).gather(1, last)[:, 0]
    bent = shape.gather(1, last[..., None].expand(-1, -1, 2))[:, 0]
    positive = torch.where(flux > 0, flux, torch.nan)
    found = {
        "x": x, "y": y, "total_flux": flux, "last_sma": sma.gather(1, last)[:, 0],
        "total_magnitude": batch.zero_point.double() - 2.5 * torch.log10(positive),
        "r50": _radius(sma, grown[..., 1], 0.5 * flux), "r90": _radius(sma, grown[..., 1], 0.9 * flux),
        "ellipticity": torch.linalg.vector_norm(bent, dim=1),
        "position_angle": torch.rad2deg(0.5 * torch.atan2(bent[:, 1], bent[:, 0])),
    }  # fmt: skip
    wrong = {"total_flux": error, "total_magnitude": POGSON * error / positive}
    nan = torch.full_like(flux, torch.nan)
    there = (length > 0)[:, None]
    table, errors = (
        torch.where(there, torch.stack([given.get(c.name, nan) for c in COLUMNS], 1), torch.nan)
        for given in (found, wrong)
    )
    return table, errors


def _radius(sma: Points, grown: Points, flux: PerGalaxy) -> PerGalaxy:
    """Where the curve of growth reaches a flux."""
    reached = (grown >= flux[:, None]).long()
    place = torch.where(reached.any(1), reached.argmax(1), grown.shape[1] - 1).clamp_min(1)[:, None]
    before, after = (grown.gather(1, place - k)[:, 0] for k in (1, 0))
    inner, outer = (sma.gather(1, place - k)[:, 0] for k in (1, 0))
    share = ((flux - before) / (after - before).clamp_min(1e-30)).clamp(0, 1)
    return torch.where(torch.isfinite(flux), inner + share * (outer - inner), torch.nan)
