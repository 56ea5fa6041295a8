"""Profiles read off images by a network, in the form that measured ones have.

What a network says nothing of is NaN, and left out of tables. Where it finds no galaxy, the profile is empty.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Sequence

import torch

from isolux.batch import Batch
from isolux.errors import FitWarning, InputError
from isolux.isophotes.options import steps_of
from isolux.isophotes.presence import light_present, near_middle
from isolux.isophotes.profiles import Isophotes
from isolux.isophotes.quality import ProfileFlag
from isolux.nets.adapt import adapted, remarks
from isolux.nets.answer import Answer, radius_of_flux, written
from isolux.nets.card import Card
from isolux.nets.frame import GAUSSIAN, LARGEST, Frame
from isolux.nets.pix2prof import Pix2Prof, Pix2ProfConfig, scaled
from isolux.nets.profile import PolarNet
from isolux.nets.rings import read_rings
from isolux.types import Points, Tensor

AT_ONCE = {"polar": 32, "pix2prof": 128}
PIXELS_AT_ONCE = 1 << 23
"""Galaxies that are read at the same time at most, and their pixels."""
MOST_RADII = 4096
FAR = 1000.0
"""Pixels are cut to so many widths of Pix2Prof's scaling beyond it: a wrong unit is not to overflow."""


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
    step: float | None = None,
    band: str | None = None,
    sma: Points | None = None,
    levels: Sequence[float] = (),
) -> Isophotes:
    """Surface-brightness profiles of all galaxies of a batch.

    Parameters
    ----------
    batch : Batch
        Stamps with a galaxy near the middle of each, of any size; small ones are padded.
    network : PolarNet or Pix2Prof
        With trained weights, in evaluation mode.
    card : Card
        Of the weights. Where they read one survey's units, images are converted to its zero point, which is exact, and
        to its pixels, which a remark says.
    step : float, optional
        Arcsec between semi-major axes; where left out, 0.2, or two pixels where these are less. Pix2Prof says a value
        every 0.2; others are straight between these.
    band : str, optional
        The batch's, to be compared with the card.
    sma : Tensor, optional
        (galaxy, radius): semi-major axes in pixels, in the place of ``step``.
    levels : sequence of float
        Surface brightnesses in mag/arcsec^2 whose radii are wanted.

    Returns
    -------
    Isophotes
        With ``method`` the network's name; errors are half of the 68 % interval. Of length zero where there is no
        galaxy. Galaxies unlike those of the training are remarked on.

    Raises
    ------
    InputError
        If the weights read one survey's units and those of the batch are unknown, or the step is not positive.

    Warns
    -----
    FitWarning
        If the weights were trained on other bands.
    """
    card.refuse(batch)
    if said := card.remark(band):
        warnings.warn(said, FitWarning, stacklevel=2)
    if step is not None and not (math.isfinite(step) and step > 0):
        raise InputError("step of profiles in arcsec", step, "above 0")
    radii = _radii(batch, step) if sma is None else sma.to(batch.image.device, torch.float64)
    parts, order = [], []
    with torch.inference_mode():
        for rows in _alike(batch, AT_ONCE[card.network]):
            some = _cropped(batch.select(rows))
            found = (
                _by_pix2prof(some, network, card, radii[rows])
                if isinstance(network, Pix2Prof)
                else _by_polar(some, network, card, radii[rows])
            )
            parts.append(written(some, card.network, found, levels))
            order += rows
    whole = Isophotes.concatenate(parts)
    return whole if order == sorted(order) else whole.select([order.index(k) for k in range(len(batch))])


def _alike(batch: Batch, most: int) -> Iterator[list[int]]:
    """Galaxies that are read at the same time: those whose stamps are binned alike, so that none decides for others."""
    groups: dict[int, list[int]] = {}
    for k, sides in enumerate(zip(batch.height, batch.width, strict=True)):
        groups.setdefault(math.ceil(max(*sides, 1) / LARGEST), []).append(k)
    count = max(1, min(most, PIXELS_AT_ONCE // (batch.shape[0] * batch.shape[1])))
    for rows in groups.values():
        for first in range(0, len(rows), count):
            yield rows[first : first + count]


def _cropped(batch: Batch) -> Batch:
    """Without rows and columns that no stamp has."""
    tall, wide = max(1, *batch.height), max(1, *batch.width)
    if (tall, wide) == batch.shape:
        return batch
    parts = {name: getattr(batch, name)[:, :tall, :wide] for name in ("image", "sigma", "mask")}
    return dataclasses.replace(batch, **parts)


def _radii(batch: Batch, step: float | None) -> Points:
    """Semi-major axes (galaxy, radius) in pixels. A galaxy of odd pixels does not decide over all: its profile ends."""
    scale = batch.pixel_scale.double()
    good = batch.usable & (scale > 0) & torch.isfinite(scale)
    scale = torch.where(good, scale, 1.0)
    steps = steps_of(step, scale)
    counts = torch.where(good, 1 + torch.ceil(0.5 * math.hypot(*batch.shape) / steps), 2.0)
    if step is not None and bool(good.any()) and not bool((counts[good] <= MOST_RADII).any()):
        least = step * float(counts[good].min()) / MOST_RADII
        raise InputError("step of profiles in arcsec", step, f"{least:.3g} or more")
    count = max(2, int(counts.clamp_max(MOST_RADII).max()))
    return torch.arange(count, dtype=torch.float64, device=scale.device) * steps[:, None]


def _by_polar(batch: Batch, network: PolarNet, card: Card, sma: Points) -> Answer:
    frame = Frame.of(batch, placed=True)
    said = read_rings(batch, network, frame)
    found = said.at(sma)
    widths = torch.tensor(card.widths, dtype=torch.float64, device=sma.device)
    light = torch.exp(_widened(found.brightness, widths[:2]))
    grown = torch.exp(_widened(found.growth, widths[2:])) * (sma > 0)[..., None]
    there = batch.usable & _seen(frame) & near_middle(batch, said.x, said.y)
    inside = ((sma <= said.end[:, None]) & there[:, None] & _on_stamp(batch, sma)).sum(1)
    spread = torch.exp(found.shape_log_error)
    answer = Answer(
        said.x, said.y, sma, light, grown, found.shape, spread, inside, frame.sky, [], []
    )  # fmt: skip
    flags, notes = _unlike(answer, frame, card)
    return dataclasses.replace(answer, flags=flags, notes=notes)


def _seen(frame: Frame) -> Tensor:
    return light_present(frame.image, frame.good, frame.x, frame.y)


def _unlike(said: Answer, frame: Frame, card: Card) -> tuple[list[ProfileFlag], list[list[str]]]:
    """Remarks on galaxies beyond what the training has seen, in the pixels that the network looked at."""
    last = (said.length - 1).clamp_min(0)[:, None]
    flux = said.grown[..., 1].gather(1, last)[:, 0]
    radius = radius_of_flux(said.sma, said.grown[..., 1], 0.5 * flux)
    bent = said.shape.gather(1, last[..., None].expand(-1, -1, 2))[:, 0]
    ratio = 1 - torch.linalg.vector_norm(bent, dim=1)
    noise = frame.unit * frame.binning
    mean = 0.5 * flux / (math.pi * ratio * radius**2) / noise
    there = said.length > 0
    found = {
        "psf_fwhm": GAUSSIAN * torch.sqrt(frame.width.double()),
        "radius": radius / frame.binning,
        "brightness": mean * frame.binning,
    }
    notes = card.outside({name: torch.where(there, v, torch.nan) for name, v in found.items()})
    return [ProfileFlag.UNLIKE if own else ProfileFlag(0) for own in notes], notes


def _by_pix2prof(batch: Batch, network: Pix2Prof, card: Card, sma: Points) -> Answer:
    config, frame = network.config, Frame.of(batch, placed=True)
    images = adapted(batch, card, config.size)
    flags, notes = remarks(batch, frame, card, images, (config.low, config.high))
    corner = 0.5 * (frame.binning - 1)
    centre = (place.double() * frame.binning + corner for place in (frame.x, frame.y))
    there = batch.usable & _seen(frame) & near_middle(batch, *centre)
    chosen = torch.nonzero(there)[:, 0]
    values = torch.full((len(batch), 1), torch.nan, dtype=torch.float64, device=sma.device)
    length = torch.zeros(len(batch), dtype=torch.int64, device=sma.device)
    if len(chosen):
        far = FAR * (config.high - config.low)
        sane = images[chosen].clamp(config.low - far, config.high + far)
        own, length[chosen] = network.read(scaled(sane, config))
        values = values.expand(-1, own.shape[1]).clone()
        values[chosen] = own.double()
    scale = batch.pixel_scale.double()[:, None]
    place = sma * scale / config.step
    number = torch.arange(values.shape[1], dtype=torch.float64, device=sma.device)
    found = _straight(number, values, place)
    intensity = 10 ** (-0.4 * (found - batch.zero_point.double()[:, None])) * scale**2
    inside = ((place <= (length - 1 + 1e-6)[:, None]) & _on_stamp(batch, sma)).sum(1)
    nan = torch.full_like(intensity, torch.nan)[..., None].expand(-1, -1, 3)
    x, y = (
        (torch.tensor(n, dtype=torch.float64, device=sma.device) - 1) / 2 for n in (batch.width, batch.height)
    )
    light = intensity[..., None].expand(-1, -1, 3)
    return Answer(x, y, sma, light, nan, nan[..., :2], nan[..., 0], inside, nan[:, 0, 0], flags, notes)


def _on_stamp(batch: Batch, sma: Points) -> Tensor:
    """Whether a semi-major axis (galaxy, radius) is not longer than from the middle of its stamp to a corner."""
    reach = [0.5 * math.hypot(*sides) for sides in zip(batch.height, batch.width, strict=True)]
    return sma <= torch.tensor(reach, dtype=sma.dtype, device=sma.device)[:, None]


def _straight(number: Tensor, values: Points, wanted: Points) -> Points:
    """Values (galaxy, step) at places (galaxy, radius) among the steps; that of the last one beyond it."""
    low = wanted.floor().clamp(0, len(number) - 1).long()
    high = (low + 1).clamp_max(len(number) - 1)
    share = (wanted - low).clamp(0, 1)
    return values.gather(1, low) * (1 - share) + values.gather(1, high) * share


def _widened(percentiles: Tensor, factors: Tensor) -> Tensor:
    low, middle, high = percentiles.unbind(-1)
    below, above = middle - low, high - middle
    return torch.stack([middle - factors[0] * below, middle, middle + factors[1] * above], -1)
