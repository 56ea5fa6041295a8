r"""Ellipticity and angle of all isophotes of a galaxy at once.

For every ring the second-order Fourier terms say how far its shape eta is from that of the isophote: with q = 1 - e
and the gradient G = dI/dln a,

    delta e = -2 q A_2 / G,     2 e delta theta = 4 q B_2 / ((1 + q) G)

(Jedrzejewski 1987, in the frame of the ellipse; the anomaly runs clockwise), with a variance that follows from the
scatter of the samples. All rings are then changed together: the new shapes are the most probable path of a random
walk in ln a given these measurements, one tridiagonal system a galaxy. Where rings have signal they follow it; where
they have none the walk goes on level, which is how the outskirts, gaps and poorly fitted rings get their shape; and
its posterior variance is the shape's error. Driving low-order Fourier terms of the whole profile to zero under a
smoothness penalty is the idea of AutoProf (Stone et al. 2021, MNRAS 508, 1870), which tries random changes; here the
gradient gives them, so that a few steps suffice. The centre, one for all rings, is moved likewise by the first-order
terms.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.isophotes.ellipses import (
    RATIO,
    Ellipses,
    axes,
    axis_ratio,
    nodes,
    shape_of,
    uncrossed,
    within_limits,
)
from isolux.isophotes.harmonics import Series, fit_series
from isolux.isophotes.light import CORE, Core, Light
from isolux.isophotes.options import IsophoteOptions
from isolux.types import PerGalaxy, Points, Tensor

ANGLES = 64
LARGEST_STEP, LARGEST_MOVE = 0.2, 1.0
"""Largest change of a shape, and of the centre in pixels, in one step."""
FARTHEST = 4.0
"""Pixels that the centre may end from where the source was found."""
FLOOR = 0.01
"""Least error of a ring's shape: what structure of real galaxies and interpolation do."""
COVERED = 0.35
"""Share of a ring's samples that must be good for its shape to be used."""
GUESSED = 0.25
"""Error of the shape that the moments of the source have."""
SHARED = 1.9
"""Pixels along a ring over which interpolated noise is alike."""
LEVEL = 0.003
"""Random walk of a fixed ellipse."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Ellipses with what is known of them.

    Attributes
    ----------
    ellipses : Ellipses
        The family.
    variance : Tensor
        (galaxy, node): of each part of the shape.
    level : Tensor
        (galaxy, node): brightness along the rings of the nodes, in units of the noise.
    own : Tensor
        (galaxy, node): share of its own measurement in a node's shape, 0 where it is held.
    centre_error : Tensor
        (galaxy, 2): of x and y in pixels; NaN where the centre is given or no ring has signal.
    """

    ellipses: Ellipses
    variance: Points
    level: Points
    own: Points
    centre_error: Tensor


@dataclasses.dataclass(frozen=True)
class Walk:
    """What is asked of the path of shapes: its freedom, and a guess."""

    variance: PerGalaxy
    guess: Tensor

    def solve(self, wanted: Tensor, precision: Points) -> tuple[Tensor, Points]:
        """The most probable shapes (galaxy, node, 2) and their variances, given measurements."""
        count = precision.shape[1]
        stiff = (1 / (self.variance * math.log(RATIO)))[:, None]
        anchor = 1 / (GUESSED**2 * count)
        diagonal = precision + anchor + stiff * 2
        diagonal[:, 0] -= stiff[:, 0]
        diagonal[:, -1] -= stiff[:, 0]
        matrix = torch.diag_embed(diagonal)
        beside = -stiff.expand(-1, count - 1)
        matrix += torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        target = precision[..., None] * wanted + anchor * self.guess[:, None]
        return inverse @ target, torch.diagonal(inverse, dim1=1, dim2=2)


def fit_ellipses(
    light: Light, start: Ellipses, guess: Tensor, options: IsophoteOptions, steps: int, held: bool = False
) -> Fitted:
    """Fit all isophotes of a batch.

    Parameters
    ----------
    light : Light
        The stamps.
    start : Ellipses
        Where to begin.
    guess : Tensor
        (galaxy, 2): shape of the source's moments.
    options : IsophoteOptions
        Freedom of the shapes.
    steps : int
        Newton steps; every galaxy takes all of them.
    held : bool
        Whether the shapes are those of the start, and only the centre is fitted.

    Returns
    -------
    Fitted
    """
    sma = nodes(light.size, light.image.device).expand(len(light), -1)
    freedom = LEVEL if options.geometry == "fixed" else options.smoothness
    walk = Walk(torch.full_like(start.x, freedom**2), guess)
    ellipses, home = start, (start.x, start.y)
    for step in range(steps + 1):
        series = ring_series(light, ellipses, sma)
        bins = _bins(light, ellipses, sma)
        sharing = _sharing(bins, ellipses, sma)
        slope, precision = _slope(series, sharing)
        change, precision = _wanted(series, slope, precision, ellipses.shape)
        wanted = ellipses.shape + change
        shape, variance = walk.solve(wanted, precision)
        push = Push.of(series, slope, ellipses, sma)
        if step == steps:
            break
        length = torch.linalg.vector_norm(shape - ellipses.shape, dim=2, keepdim=True)
        shape = ellipses.shape + (shape - ellipses.shape) * (LARGEST_STEP / length.clamp_min(LARGEST_STEP))
        centre = push.moved(ellipses, home)
        ellipses = Ellipses(*centre, start.shape if held else uncrossed(within_limits(shape)))
    error = (
        push.error(sharing * _overlap(bins, sma)) if steps else torch.full_like(start.shape[:, 0], torch.nan)
    )
    if held:
        zero = torch.zeros_like(variance)
        return Fitted(ellipses, zero, series.terms[..., 0], zero, error)
    return Fitted(ellipses, variance, series.terms[..., 0], (precision * variance).clamp(0, 1), error)


def ring_series(light: Light, ellipses: Ellipses, sma: Points, order: int = 2) -> Series:
    """Fourier series of rings (galaxy, ring): splines in the core, binned pixels outside."""
    x, y = ellipses.points(sma, ANGLES)
    inner = int((sma[0] <= CORE).sum())
    core = Core.of(light, ellipses.x, ellipses.y)
    near = core.sample(x[:, :inner], y[:, :inner])
    minor = (sma * axis_ratio(ellipses.shape_at(sma)))[:, inner:]
    far = light.sample(x[:, inner:], y[:, inner:], light.level_for(minor))
    values, weight = (torch.cat([one, two.double()], 1) for one, two in zip(near, far, strict=True))
    return fit_series(values, weight, order)


def _bins(light: Light, ellipses: Ellipses, sma: Points) -> Points:
    """Sides in pixels of the binned pixels that a ring's samples are taken of."""
    minor = sma * axis_ratio(ellipses.shape)
    return torch.where(sma <= CORE, 1.0, 2.0 ** light.level_for(minor))


def _sharing(bins: Points, ellipses: Ellipses, sma: Points) -> Points:
    """How many samples of a ring share one independent pixel of the image that they are taken from."""
    minor = sma * axis_ratio(ellipses.shape)
    perimeter = 2 * math.pi * torch.sqrt(0.5 * (sma**2 + minor**2))
    return (ANGLES * SHARED * bins / perimeter).clamp_min(1.0)


def _overlap(bins: Points, sma: Points) -> Points:
    """How many rings of the nodes share one, being closer to each other than it is wide."""
    return (SHARED * bins / (sma * math.log(RATIO))).clamp_min(1.0)


def _slope(series: Series, sharing: Points) -> tuple[Points, Points]:
    """dI/dln a of the rings, and one over the variance of A_2 and B_2."""
    level = series.terms[..., 0]
    padded = torch.cat([level[:, :1], level, level[:, -1:]], 1)
    slope = (padded[:, 2:] - padded[:, :-2]) / (2 * math.log(RATIO))
    covered = (series.weight > 0.3).double().mean(2) > COVERED
    noise = series.scatter**2 * series.variance[..., 3:5].mean(2) * sharing
    # What cannot be: rings whose samples agree to the last bit are outside the stamp.
    usable = covered & (noise > 1e-12)
    falling = (-slope).clamp_min(0.0) / torch.sqrt(noise.clamp_min(1e-12))
    sure = falling**4 / (16.0 + falling**4)
    return slope, torch.where(usable, sure / noise.clamp_min(1e-12), 0.0)


def _wanted(series: Series, slope: Points, precision: Points, shape: Tensor) -> tuple[Tensor, Points]:
    """By how much the shapes (galaxy, node, 2) are wrong, and one over its variance."""
    q = axis_ratio(shape)
    steep = slope.clamp_max(-1e-6)
    along = (-2 * q * series.terms[..., 3] / steep).clamp(-1, 1)
    turned = (4 * q / (1 + q) * series.terms[..., 4] / steep).clamp(-1, 1)
    e = (1 - q).clamp_min(1e-9)
    cos, sin = shape[..., 0] / e, shape[..., 1] / e
    cos = torch.where(q > 1 - 1e-8, 1.0, cos)
    change = torch.stack([along * cos - turned * sin, along * sin + turned * cos], -1)
    variance = (2 * q / steep) ** 2 / precision.clamp_min(1e-30) + FLOOR**2
    return change, torch.where(precision > 0, 1 / variance, 0.0)


@dataclasses.dataclass(frozen=True)
class Push:
    """What first-order terms say of the centre, ring by ring.

    Attributes
    ----------
    shift : Tensor
        (galaxy, ring, 2): by how much each ring's centre is off, in x and y.
    weight : Tensor
        (galaxy, ring): what each counts, its own structure considered.
    variance : Tensor
        (galaxy, ring, 2): of the shifts in x and y by the noise, for samples that are independent.
    """

    shift: Tensor
    weight: Points
    variance: Tensor

    @classmethod
    def of(cls, series: Series, slope: Points, ellipses: Ellipses, sma: Points) -> Push:
        """From the series of the rings."""
        q = axis_ratio(ellipses.shape)
        gradient = (slope / sma).clamp_max(0.0)
        noise = (series.scatter**2 * series.variance[..., 1:3].mean(2)).clamp_min(1e-12)
        rough = noise + (0.01 * series.terms[..., 0]) ** 2
        used = (series.weight > 0.3).double().mean(2) > 2 * COVERED
        weight = torch.where(used, gradient**2 / rough, 0.0)
        steep = gradient.clamp_max(-1e-9)
        major, minor = axes(ellipses.shape)
        u = (-series.terms[..., 1] / steep).clamp(-3, 3)
        v = (-series.terms[..., 2] * q / steep).clamp(-3, 3)
        shift = u[..., None] * major + v[..., None] * minor
        squares = (noise / steep**2)[..., None] * (major**2 + q[..., None] ** 2 * minor**2)
        return cls(shift, weight, torch.where(used[..., None], squares, 0.0))

    def moved(self, ellipses: Ellipses, home: tuple[PerGalaxy, PerGalaxy]) -> tuple[PerGalaxy, PerGalaxy]:
        """The centre that the rings together ask for, never far from home."""
        total = self.weight.sum(1).clamp_min(1e-12)
        shift = (self.shift * self.weight[..., None]).sum(1) / total[:, None]
        length = torch.linalg.vector_norm(shift, dim=1, keepdim=True)
        shift = shift * (LARGEST_MOVE / length.clamp_min(LARGEST_MOVE))
        return tuple(
            torch.minimum(torch.maximum(at + move, begin - FARTHEST), begin + FARTHEST)
            for at, move, begin in zip((ellipses.x, ellipses.y), shift.unbind(1), home, strict=True)
        )  # type: ignore[return-value]

    def error(self, shared: Points) -> Tensor:
        """Errors (galaxy, 2) of x and y, where ``shared`` samples (galaxy, ring) have one pixel's noise."""
        total = self.weight.sum(1)
        variance = (self.weight[..., None] ** 2 * self.variance * shared[..., None]).sum(1)
        return torch.where(
            total[:, None] > 0, torch.sqrt(variance) / total[:, None].clamp_min(1e-30), torch.nan
        )


def begin(x: PerGalaxy, y: PerGalaxy, ratio: PerGalaxy, angle: PerGalaxy, count: int) -> Ellipses:
    """Ellipses of one shape each."""
    return Ellipses(x, y, shape_of(ratio, angle)[:, None].expand(-1, count, -1).clone())
