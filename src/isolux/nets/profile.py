"""A network that refines isophotes: all radii at once, each with a distribution, the shape, and the light inside.

It does what an isophote fitter does, and learns the rest. Rings around the source's moments (:mod:`isolux.nets.polar`)
are looked at by convolutions that are circular along the ring, which say how far each cell belongs to the galaxy; the
weighted mean of a ring is a first value of its brightness. What convolutions and attention along the radius see of all
rings corrects it: for the PSF, the sky below, neighbours, rings of the wrong shape, and noise. A second pass does the
same, with the same weights, on rings of the shape and about the centre that the first one found.

Brightness is y = ln(I / noise of a pixel), growth g = ln(flux inside / the same). The outputs of a radius are the 16th,
50th and 84th percentile of both, the shape (e cos 2 PA, e sin 2 PA) with its error, and whether the profile is still
there; and for all of them the centre. Percentiles minimise the pinball loss (Koenker & Bassett 1978, Econometrica 46,
33). Sizes are in pixels, directions are counted from the source's own, so that a quarter turn of an image turns the
answer and nothing else, and a flux that is scaled scales it.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional

from isolux.nets.frame import Frame
from isolux.nets.polar import ANGLES, RINGS, cell_areas, cells, ring_radii
from isolux.types import PerGalaxy, Points, Tensor

LEAST = math.log(1e-3)
"""Brightness in the noise of a pixel below which there is nothing to be known, as a logarithm."""
CHANNELS, TRACK, HEADS = 24, 96, 13
FARTHEST = 6.0
"""Pixels by which a pass may move the centre."""
MOST = 0.92
"""Largest ellipticity."""


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """What a pass says; radii are :func:`isolux.nets.polar.ring_radii`.

    Attributes
    ----------
    brightness, growth : Tensor
        (galaxy, ring, 3): 16th, 50th, 84th percentile of y and g; g of the first ring, of no area, means nothing.
    shape : Tensor
        (galaxy, ring, 2).
    shape_log_error : Tensor
        (galaxy, ring): logarithm of the mean absolute deviation of each of both.
    there : Tensor
        (galaxy, ring): logit of that the ring belongs to the profile.
    x, y : Tensor
        (galaxy,): centre.
    """

    brightness: Tensor
    growth: Tensor
    shape: Tensor
    shape_log_error: Points
    there: Points
    x: PerGalaxy
    y: PerGalaxy


class PolarNet(nn.Module):
    """See the module."""

    def __init__(self, passes: int = 2) -> None:
        super().__init__()
        self.passes = passes
        self.look = nn.ModuleList([Ring(6, CHANNELS), Ring(CHANNELS, CHANNELS), Ring(CHANNELS, CHANNELS)])
        self.belongs = nn.Conv2d(CHANNELS, 1, 1)
        nn.init.constant_(self.belongs.bias, 2.0)  # type: ignore[arg-type]
        self.enter = nn.Linear(7 * CHANNELS + 9, TRACK)
        self.along = nn.ModuleList([Track(dilation) for dilation in (1, 2, 4, 8)])
        self.attend = nn.MultiheadAttention(TRACK, 4, batch_first=True)
        self.attend_norm = nn.LayerNorm(TRACK)
        self.after = nn.ModuleList([Track(dilation) for dilation in (1, 2)])
        self.heads = nn.Linear(TRACK, HEADS)
        self.centre = nn.Linear(TRACK, 3)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.centre.weight)
        with torch.no_grad():
            self.heads.bias.copy_(torch.tensor([0, -2, -2, 0, -2, -2, 0, 0, -2, 0, 0, 0, 0.0]))
            self.centre.bias.zero_()

    def forward(self, frame: Frame) -> list[Reading]:
        """The readings of each pass, the last of which counts."""
        turn = 0.5 * torch.atan2(frame.shape[:, 1], frame.shape[:, 0])
        shape = frame.shape[:, None].expand(-1, RINGS, -1)
        turn = turn + math.pi * (self._dipole(frame, shape, turn) < 0)
        x, y, readings = frame.x, frame.y, []
        for _ in range(self.passes):
            found = self._pass(frame, x, y, shape, turn)
            readings.append(found)
            x, y, shape = found.x.detach(), found.y.detach(), found.shape.detach()
        return readings

    def _dipole(self, frame: Frame, shape: Tensor, turn: PerGalaxy) -> PerGalaxy:
        """Which side along the major axis is the brighter one: the axis has two directions, a frame needs one."""
        value, covered = cells(frame, frame.x, frame.y, shape, turn)
        psi = (torch.arange(ANGLES, device=value.device) + 0.5) * (2 * math.pi / ANGLES)
        return (torch.asinh(value) * covered * psi.cos()).sum((1, 2))

    def _pass(self, frame: Frame, x: PerGalaxy, y: PerGalaxy, shape: Tensor, turn: PerGalaxy) -> Reading:
        value, covered = cells(frame, x, y, shape, turn)
        area = cell_areas(shape)
        base, error, pooled = self._rings(value, covered, area, frame)
        own = turned(shape, -turn)
        track = self.enter(torch.cat([pooled, self._known(frame, base, error, own, covered)], 2))
        for block in self.along:
            track = block(track)
        seen = self.attend_norm(track)
        track = track + self.attend(seen, seen, seen, need_weights=False)[0]
        for block in self.after:
            track = block(track)
        out = self.heads(track)
        middle = base + out[..., 0]
        brightness = _spread(middle, out[..., 1:3])
        shape = turned(_bounded(own + 0.5 * out[..., 6:8]), turn)
        inside = log_growth(middle.detach(), shape.detach())
        growth = _spread(inside + out[..., 3], out[..., 4:6])
        dx, dy = self._moved(track, turn)
        return Reading(brightness, growth, shape, out[..., 8] - 1, out[..., 9], x + dx, y + dy)

    def _rings(
        self, value: Tensor, covered: Tensor, area: Points, frame: Frame
    ) -> tuple[Points, Points, Tensor]:
        """First brightness y of each ring, its error as ln, and what the convolutions saw, (galaxy, ring, ...)."""
        light = torch.stack([torch.asinh(value), torch.asinh(value * area.sqrt()[..., None]) / 2, covered], 1)
        more = self._place(frame, area)[:, :, :, None].expand(-1, -1, -1, ANGLES)
        x = torch.cat([light, more], 1)
        for layer in self.look:
            x = layer(x)
        weight = torch.sigmoid(self.belongs(x))[:, 0] * covered
        total = weight.sum(2).clamp_min(1e-3)
        mean = (weight * value).sum(2) / total
        number = (total * area).clamp_min(1.0)
        error = -0.5 * torch.log(number)
        base = torch.asinh(0.5 * mean * torch.exp(-error)) + error
        psi = (torch.arange(ANGLES, device=x.device) + 0.5) * (2 * math.pi / ANGLES)
        waves = torch.stack(
            [torch.ones_like(psi), psi.cos(), psi.sin(), (2 * psi).cos(), (2 * psi).sin(), (4 * psi).cos()]
        )
        pooled = torch.einsum("gcra,wa->grcw", x, waves / ANGLES).flatten(2)
        return base, error, torch.cat([pooled, x.amax(3).transpose(1, 2)], 2)

    def _place(self, frame: Frame, area: Points) -> Tensor:
        """(galaxy, 3, ring): radius, radius over the PSF's, whether there is a PSF."""
        log_radius = torch.log(ring_radii(area.device) + 0.25).expand(len(area), -1)
        known = torch.isfinite(frame.width)
        size = 0.5 * torch.log(torch.where(known, frame.width, 1.0).clamp_min(0.1)).float()[:, None]
        over = torch.where(known[:, None], log_radius - size, 0.0)
        return torch.stack([log_radius / 3, over / 3, known.float()[:, None].expand_as(over)], 1)

    def _known(self, frame: Frame, base: Points, error: Points, own: Tensor, covered: Tensor) -> Tensor:
        place = self._place(frame, base).transpose(1, 2)
        rings = torch.stack([base / 3, (base - error) / 3, error / 3, covered.mean(2)], 2)
        return torch.cat([place, rings, own], 2)

    def _moved(self, track: Tensor, turn: PerGalaxy) -> tuple[PerGalaxy, PerGalaxy]:
        up_left = self.centre(track)
        step = (up_left[..., 2:].softmax(1) * up_left[..., :2]).sum(1)
        along, across = (FARTHEST * torch.tanh(step / FARTHEST)).unbind(1)
        cos, sin = torch.cos(turn), torch.sin(turn)
        return -(along * sin + across * cos), along * cos - across * sin


class Ring(nn.Module):
    """A 3 x 3 convolution over (ring, angle), circular along the angle, with a residual where widths agree."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Conv2d(inner, outer, 3, padding=(1, 0))
        self.norm = nn.GroupNorm(4, outer)

    def forward(self, x: Tensor) -> Tensor:
        """(galaxy, inner, ring, angle) to (galaxy, outer, ring, angle)."""
        found = functional.silu(self.norm(self.weight(functional.pad(x, (1, 1, 0, 0), mode="circular"))))
        return x + found if x.shape == found.shape else found


class Track(nn.Module):
    """A residual convolution along the radius."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(TRACK)
        self.wide = nn.Conv1d(TRACK, TRACK, 5, padding=2 * dilation, dilation=dilation)
        self.out = nn.Linear(TRACK, TRACK)

    def forward(self, x: Tensor) -> Tensor:
        """(galaxy, ring, TRACK) to the same."""
        found = functional.silu(self.wide(self.norm(x).transpose(1, 2)).transpose(1, 2))
        return x + self.out(found)


def log_growth(brightness: Points, shape: Tensor) -> Points:
    """The growth g of a profile y: its integral over the area of the ellipses, by trapezoids."""
    ratio = 1 - torch.linalg.vector_norm(shape, dim=-1)
    area = (math.pi * ratio * ring_radii(shape.device) ** 2).cummax(1).values
    light = torch.exp(brightness.clamp(LEAST, 40.0))
    rings = 0.5 * (light[:, 1:] + light[:, :-1]) * area.diff(dim=1)
    inside = functional.pad(torch.cumsum(rings, 1), (1, 0))
    return torch.log(inside.clamp_min(1e-3))


def turned(shape: Tensor, turn: PerGalaxy) -> Tensor:
    """Shapes (galaxy, ring, 2) turned by angles (galaxy,) in radians."""
    cos, sin = torch.cos(2 * turn)[:, None], torch.sin(2 * turn)[:, None]
    one, two = shape.unbind(-1)
    return torch.stack([one * cos - two * sin, one * sin + two * cos], -1)


def _bounded(shape: Tensor) -> Tensor:
    e = torch.linalg.vector_norm(shape, dim=-1, keepdim=True).clamp_min(1e-6)
    return shape * (MOST * torch.tanh(e / MOST) / e)


def _spread(middle: Points, widths: Tensor) -> Tensor:
    low, high = functional.softplus(widths).unbind(-1)
    return torch.stack([middle - low, middle, middle + high], -1)


PERCENTILES = (0.1587, 0.5, 0.8413)


def pinball(said: Tensor, truth: Points) -> Points:
    """Loss (galaxy, ring) whose least value is at the percentiles; the median's counts as |deviation|."""
    miss = truth[..., None] - said
    part = torch.tensor(PERCENTILES, device=said.device)
    return torch.maximum(part * miss, (part - 1) * miss).sum(-1)
