"""A network that corrects the starting values that moments give, and says how far off they may still be.

Moments and the growth of the light (:mod:`isolux.source`, :mod:`isolux.growth`) are the first estimate. Rings around
the source (:mod:`isolux.nets.polar`) of the moments' shape are looked at once by the convolutions of
:mod:`isolux.nets.profile`, circular along the ring and then along the radius; attention picks the rings that matter,
and a last layer, which begins at zero, says what is to be added to each number of the estimate and the error that is
left, as the logarithm of a Gaussian's width. So the untrained network is as good as moments are.

The numbers are :data:`NUMBERS`: one Sérsic galaxy, and beside it a bulge with a disc about the same centre. An index
that is given is told to the network and to the moments. Radii are in pixels, fluxes in units of a pixel's noise, and
both are only ever multiplied; directions are counted from the source's own: a flux or pixel scale that changes, or a
quarter turn, changes the answer by just that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.growth import Match, match, match_pair
from isolux.guess import HIGHEST_INDEX, LOWEST_INDEX
from isolux.nets.frame import Frame
from isolux.nets.polar import ANGLES, RINGS, cell_areas, cells, ring_radii
from isolux.nets.profile import TRACK, Ring, Track
from isolux.source import Source, measure_source
from isolux.types import PerGalaxy, Points, Tensor

ONE = ("x", "y", "ln_flux", "ln_radius", "ln_index", "e1", "e2")
"""Of a single Sérsic profile: half-light semi-major axis, and shape e cos 2 PA, e sin 2 PA with e = 1 - q."""
TWO = (
    "ln_both", "logit_share", "ln_bulge_radius", "ln_bulge_index", "bulge_e1", "bulge_e2", "ln_disc_radius",
    "disc_e1", "disc_e2",
)  # fmt: skip
"""Of a bulge with an exponential disc: flux of both, the bulge's share of it, half-light radii, shapes."""
NUMBERS = ONE + TWO
PLACE = {name: k for k, name in enumerate(NUMBERS)}
PAIRS = (("e1", "e2"), ("bulge_e1", "bulge_e2"), ("disc_e1", "disc_e2"))
SPREADS = ("x", *(name for name in NUMBERS[2:] if not name.endswith("e2")))
"""What has an error of its own: both numbers of a centre or of a shape have the same, so that it can be turned."""
SPREAD_OF = tuple(
    SPREADS.index("x" if name == "y" else name[:-2] + "e1" if name.endswith("e2") else name)
    for name in NUMBERS
)
TYPICAL = (0.5, 0.5, 0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 1.0, 0.5, 0.5, 0.2, 0.2, 0.3, 0.1, 0.1)
"""Typical errors of moments in :data:`NUMBERS`: what corrections are counted in."""
CHANNELS, HEADS, WIDE = 16, 4, 192
FACTS = 14
NARROWEST, WIDEST = -5.0, 2.0
"""Range of the logarithm of an error, in typical ones."""
MOST_SHAPE = 0.92
"""Largest e."""
SIGNAL = 3.0
"""Least signal-to-noise inside the half-light ellipse, as of moments' own starting values."""
BULGE_INDEX, DISC_INDEX = 2.5, 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What the network is shown of a batch.

    Attributes
    ----------
    frame : Frame
        Images about the source.
    source : Source
        What moments say of it, in the batch's own pixels.
    base : Tensor
        (galaxy, :data:`NUMBERS`): the first estimate; centres in the batch's pixels, shapes from up to left.
    given : Tensor
        (galaxy, 2): logarithm of the index of the single galaxy and of the bulge where it is given, else NaN.
    """

    frame: Frame
    source: Source
    base: Tensor
    given: Tensor

    @classmethod
    def of(
        cls, batch: Batch, given: Tensor | None = None, at: tuple[PerGalaxy, PerGalaxy] | None = None
    ) -> Seen:
        """From a batch, with given indices (galaxy, 2) and the position (x, y) of the source where it is known."""
        frame, source = Frame.of(batch), measure_source(batch, at)
        if given is None:
            given = torch.full((len(batch), 2), torch.nan, dtype=torch.float64, device=batch.image.device)
        base = estimate(source, given)
        middle = 0.5 * (frame.binning - 1)
        x, y = ((torch.nan_to_num(base[:, k]) - middle).float() / frame.binning for k in (0, 1))
        shape = torch.nan_to_num(base[:, [PLACE["e1"], PLACE["e2"]]]).float()
        return cls(dataclasses.replace(frame, x=x, y=y, shape=shape), source, base, given)


@dataclasses.dataclass(frozen=True, eq=False)
class Said:
    """What the network says.

    Attributes
    ----------
    mean : Tensor
        (galaxy, :data:`NUMBERS`), in the same units as the first estimate.
    spread : Tensor
        (galaxy, :data:`NUMBERS`): standard deviations.
    """

    mean: Tensor
    spread: Tensor


def estimate(source: Source, given: Tensor) -> Tensor:
    """The first estimate (galaxy, :data:`NUMBERS`) from moments and growth."""
    known = torch.isfinite(given)
    index = torch.exp(torch.nan_to_num(given))
    one = match(source.growth, index[:, 0] if bool(known[:, 0].all()) else None)
    if bool(known[:, 0].any()) and not bool(known[:, 0].all()):
        other = match(source.growth, index[:, 0])
        one = Match(*(torch.where(known[:, 0], getattr(other, f), getattr(one, f)) for f in _MATCH))
    bulge_index = torch.where(known[:, 1], index[:, 1], BULGE_INDEX)
    bulge, disc = match_pair(source.growth, bulge_index, torch.full_like(bulge_index, DISC_INDEX))
    ratio = source.axis_ratio
    angle = torch.deg2rad(2 * source.position_angle)
    plain = torch.where(known[:, 0], one.index, one.index.clamp(LOWEST_INDEX, HIGHEST_INDEX))
    direction = torch.stack([torch.cos(angle), torch.sin(angle)], 1)
    shape, rounder = ((1 - q)[:, None] * direction for q in (ratio, torch.sqrt(ratio)))
    least = SIGNAL * torch.sqrt(math.pi * ratio)
    fluxes = [torch.maximum(part.flux, least * part.radius.clamp_min(1.0)) for part in (one, bulge, disc)]
    both = fluxes[1] + fluxes[2]
    columns = [
        source.x, source.y, torch.log(fluxes[0]), torch.log(one.radius), torch.log(plain), *shape.T,
        torch.log(both), torch.log(fluxes[1] / fluxes[2]), torch.log(bulge.radius), torch.log(bulge_index),
        *rounder.T, torch.log(disc.radius), *shape.T,
    ]  # fmt: skip
    return torch.stack(columns, 1)


_MATCH = ("flux", "radius", "index")


class StartNet(nn.Module):
    """See the module.

    Parameters
    ----------
    stretch : sequence of float
        Factor of each error of :data:`SPREADS`, found on held-out galaxies; ones if left out.
    """

    def __init__(self, stretch: Sequence[float] = ()) -> None:
        super().__init__()
        self.stretch = tuple(stretch) or (1.0,) * len(SPREADS)
        if len(self.stretch) != len(SPREADS) or not all(0 < s < math.inf for s in self.stretch):
            raise InputError("stretch of a network's errors", stretch, f"{len(SPREADS)} numbers above 0")
        self.look = nn.ModuleList([Ring(7, CHANNELS), Ring(CHANNELS, CHANNELS)])
        self.belongs = nn.Conv2d(CHANNELS, 1, 1)
        nn.init.constant_(self.belongs.bias, 2.0)  # type: ignore[arg-type]
        self.enter = nn.Linear(7 * CHANNELS + 5 + FACTS, TRACK)
        self.along = nn.ModuleList([Track(dilation) for dilation in (1, 2, 4, 8)])
        self.attend = nn.Linear(TRACK, HEADS)
        self.wide = nn.Linear(HEADS * TRACK + FACTS, WIDE)
        self.out = nn.Linear(WIDE, len(NUMBERS) + len(SPREADS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, seen: Seen) -> Said:
        """Say the numbers of each galaxy."""
        frame = seen.frame
        turn = 0.5 * torch.atan2(frame.shape[:, 1], frame.shape[:, 0])
        rings = frame.shape[:, None].expand(-1, RINGS, -1)
        value, covered = cells(frame, frame.x, frame.y, rings, turn)
        back = _dipole(value, covered) < 0
        turn = turn + math.pi * back
        value, covered = (
            torch.where(back[:, None, None], t.roll(ANGLES // 2, 2), t) for t in (value, covered)
        )
        facts = facts_of(seen)
        track = self._rings(value, covered, cell_areas(rings), facts)
        for block in self.along:
            track = block(track)
        weight = self.attend(track).softmax(1)
        pooled = torch.einsum("grh,grt->ght", weight, track).flatten(1)
        out = self.out(functional.silu(self.wide(torch.cat([pooled, facts], 1)))).double()
        return self._said(out, seen, turn)

    def _rings(self, value: Tensor, covered: Tensor, area: Points, facts: Tensor) -> Tensor:
        """What the convolutions see of each ring, (galaxy, ring, TRACK)."""
        log_radius = torch.log(ring_radii(area.device) + 0.25).expand(len(area), -1)
        place = [log_radius / 3, (log_radius - facts[:, :1]) / 3, (log_radius - facts[:, 1:2]) / 3]
        more = torch.stack(place, 1)[..., None].expand(-1, -1, -1, ANGLES)
        bright, deep = torch.asinh(value), torch.asinh(value * area.sqrt()[..., None]) / 2
        own = (covered * value).sum(2, keepdim=True) / covered.sum(2, keepdim=True).clamp_min(1e-3)
        apart = torch.asinh((value - own) * area.sqrt()[..., None]) / 2 * covered
        x = torch.cat([torch.stack([bright, deep, apart, covered], 1), more], 1)
        for layer in self.look:
            x = layer(x)
        weight = torch.sigmoid(self.belongs(x))[:, 0] * covered
        total = weight.sum(2).clamp_min(1e-3)
        mean = (weight * value).sum(2) / total
        error = -0.5 * torch.log((total * area).clamp_min(1.0))
        base = torch.asinh(0.5 * mean * torch.exp(-error)) + error
        waves = _waves(x.device)
        pooled = torch.einsum("gcra,wa->grcw", x, waves / ANGLES).flatten(2)
        numbers = [base / 3, (base - error) / 3, error / 3, covered.mean(2), log_radius / 3]
        known = torch.cat([torch.stack(numbers, 2), facts[:, None].expand(-1, RINGS, -1)], 2)
        return self.enter(torch.cat([pooled, x.amax(3).transpose(1, 2), known], 2))

    def _said(self, out: Tensor, seen: Seen, turn: PerGalaxy) -> Said:
        """Corrections in the source's own direction to numbers."""
        typical = torch.tensor(TYPICAL, dtype=out.dtype, device=out.device)
        change = out[:, : len(NUMBERS)] * typical
        turn = turn.double()
        mean = seen.base + _turned(change, turn, seen.frame.binning)
        known = torch.isfinite(seen.given)
        columns = list(mean.unbind(1))
        for k, name in enumerate(("ln_index", "ln_bulge_index")):
            columns[PLACE[name]] = torch.where(
                known[:, k], torch.nan_to_num(seen.given[:, k]), columns[PLACE[name]]
            )
        for pair in PAIRS:
            one, two = (PLACE[name] for name in pair)
            e = torch.hypot(columns[one], columns[two]).clamp_min(1e-9)
            bound = (MOST_SHAPE / e).clamp_max(1.0)
            columns[one], columns[two] = columns[one] * bound, columns[two] * bound
        wide = out[:, len(NUMBERS) :]
        wide = 0.5 * (NARROWEST + WIDEST) + 0.5 * (WIDEST - NARROWEST) * torch.tanh((wide + 0.5) / 2)
        stretch = torch.tensor(self.stretch, dtype=out.dtype, device=out.device)
        spread = (torch.exp(wide) * stretch)[:, list(SPREAD_OF)] * typical
        spread[:, :2] = spread[:, :2] * seen.frame.binning
        return Said(torch.stack(columns, 1), spread)


def facts_of(seen: Seen) -> Tensor:
    """What is known of a galaxy (galaxy, FACTS) that no direction or unit enters."""
    base, frame = seen.base, seen.frame
    known = torch.isfinite(frame.width)
    size = 0.5 * torch.log(torch.where(known, frame.width.double(), 1.0).clamp_min(0.1))
    binned = math.log(frame.binning)
    radius, bulge, disc = (
        base[:, PLACE[n]] - binned for n in ("ln_radius", "ln_bulge_radius", "ln_disc_radius")
    )
    flux = base[:, PLACE["ln_flux"]]
    e = torch.hypot(base[:, PLACE["e1"]], base[:, PLACE["e2"]])
    side = torch.full_like(flux, math.log(min(frame.image.shape[1:])))
    told = torch.isfinite(seen.given)
    index = torch.nan_to_num(seen.given)
    columns = [
        radius, size, base[:, PLACE["ln_index"]], e, (flux - 2 * radius) / 3, (flux - radius) / 3, known.to(e),
        bulge, disc, base[:, PLACE["logit_share"]] / 2, radius - side, told[:, 0].to(e), told[:, 1].to(e),
        index[:, 1],
    ]  # fmt: skip
    return torch.nan_to_num(torch.stack(columns, 1)).clamp(-20, 20).float()


def _dipole(value: Tensor, covered: Tensor) -> PerGalaxy:
    """Which side along the major axis is the brighter one: an axis has two directions."""
    psi = (torch.arange(ANGLES, device=value.device) + 0.5) * (2 * math.pi / ANGLES)
    return (torch.asinh(value) * covered * psi.cos()).sum((1, 2))


def _waves(device: torch.device) -> Tensor:
    psi = (torch.arange(ANGLES, device=device) + 0.5) * (2 * math.pi / ANGLES)
    return torch.stack(
        [torch.ones_like(psi), psi.cos(), psi.sin(), (2 * psi).cos(), (2 * psi).sin(), (4 * psi).cos()]
    )


def _turned(change: Tensor, turn: PerGalaxy, binning: int) -> Tensor:
    """Changes along and across a direction as such of x, y and of shapes."""
    columns = list(change.unbind(1))
    along, across = columns[0] * binning, columns[1] * binning
    cos, sin = torch.cos(turn), torch.sin(turn)
    columns[0], columns[1] = -(along * sin + across * cos), along * cos - across * sin
    cos, sin = torch.cos(2 * turn), torch.sin(2 * turn)
    for pair in PAIRS:
        one, two = (PLACE[name] for name in pair)
        columns[one], columns[two] = (
            columns[one] * cos - columns[two] * sin,
            columns[one] * sin + columns[two] * cos,
        )
    return torch.stack(columns, 1)
