r"""Brightness along given isophotes, with its errors.

In the core a ring is the mean of samples of splines through the pixels: a linear function of the pixels, so that its
variance is a sum of theirs. Outside it is the mean of the pixels of an annulus (:mod:`isolux.isophotes.pixels`),
outliers clipped. To the variance of the mean come those of the sky and of the shape: an ellipse too flat by delta e
is too bright by -(dI/dln a) delta e / 2q.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import torch

from isolux.isophotes.ellipses import RATIO, axis_ratio, node_place
from isolux.isophotes.fit import ANGLES, Fitted
from isolux.isophotes.harmonics import in_order
from isolux.isophotes.light import CORE, PATCH, Core, Light
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.outliers import NEAREST, Scatter
from isolux.isophotes.pixels import QUANTILES, Curve, Ordered, between, running
from isolux.isophotes.steady import steady
from isolux.types import Images, Points, Tensor

MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Error of a median over that of the mean."""
LEAST_PIXELS = 4
MEDIAN_SAMPLE = 768


@dataclasses.dataclass(frozen=True)
class Rings:
    """What is measured along rings, each (galaxy, ring), in units of the noise.

    Attributes
    ----------
    sma : Tensor
        Semi-major axis in pixels.
    level : Tensor
        Brightness; NaN where no pixel is good.
    variance : Tensor
        Of the mean, by the noise of pixels.
    low, high : Tensor
        Distance of the 16th and 84th percentile along the ring from the median.
    pixels : Tensor
        Number of good pixels; of those within half a pixel in the core.
    within, good : Tensor
        Share of the ring in the stamp, and of that the share that is good.
    """

    sma: Points
    level: Points
    variance: Points
    low: Points
    high: Points
    pixels: Points
    within: Points
    good: Points


@dataclasses.dataclass(frozen=True)
class Bench:
    """A batch laid out for measuring rings.

    Attributes
    ----------
    light : Light
        The stamps.
    fitted : Fitted
        The isophotes.
    ordered : Ordered
        Pixels in the order of their semi-major axis.
    inside : Tensor
        (galaxy, pixel), in that order: one in the stamp, zero where it was padded.
    profile : Curve
        What is known of the profile.
    """

    light: Light
    fitted: Fitted
    ordered: Ordered
    inside: Points
    profile: Curve

    @classmethod
    def of(cls, light: Light, fitted: Fitted, sma: Images, inside: Images) -> Bench:
        """With the profile of the fit."""
        ordered = Ordered.of(light, sma)
        return cls(
            light,
            fitted,
            ordered,
            inside.flatten(1).gather(1, ordered.number),
            Curve(fitted.level[:, 0], fitted.level),
        )

    @functools.cached_property
    def residual(self) -> Points:
        """Light (galaxy, pixel) above the profile."""
        return self.ordered.light - self.profile.at(self.ordered.sma)

    def scatter(self, nodes: Points) -> Scatter:
        """How pixels lie about the profile, at the nodes."""
        first, last = self.ordered.ring(nodes, _widths(nodes, 0.0))
        return Scatter.of(self.ordered.percentiles(self.residual, first, last))

    def clipped(self, scatter: Scatter, clip: float) -> Bench:
        """Without the pixels that lie too far from the middle of their ring."""
        zero = torch.zeros_like(scatter.middle[:, 0])
        middle = Curve(zero, scatter.middle).at(self.ordered.sma)
        reach = clip * Curve(zero, torch.maximum(scatter.low, scatter.high)).at(self.ordered.sma)
        far = ((self.residual - middle).abs() > reach) & (self.ordered.sma > NEAREST)
        good = self.ordered.good * (~far).float()
        return dataclasses.replace(self, ordered=dataclasses.replace(self.ordered, good=good))

    def with_profile(self, centre: Tensor, level: Points) -> Bench:
        """With a better profile."""
        return dataclasses.replace(self, profile=Curve(centre, level))


def _widths(sma: Points, annulus: float) -> Points:
    least = RATIO**0.5 - RATIO**-0.5
    return (sma * (annulus or least)).clamp_min(1.0)


def measure_rings(bench: Bench, sma: Points, options: IsophoteOptions, annulus: float | None = None) -> Rings:
    """Measure rings (galaxy, ring) of these semi-major axes in pixels."""
    width = _widths(sma, options.annulus if annulus is None else annulus)
    outer = _outer(bench, sma, width, options.average)
    inner = int((sma <= CORE).sum(1).max())
    if inner == 0:
        return outer
    core = _inner(bench, sma[:, :inner], options.average)
    near = sma[:, :inner] <= CORE
    joined = {}
    for field in dataclasses.fields(Rings):
        far = getattr(outer, field.name)
        joined[field.name] = torch.cat(
            [torch.where(near, getattr(core, field.name), far[:, :inner]), far[:, inner:]], 1
        )
    return Rings(**joined)


def _outer(bench: Bench, sma: Points, width: Points, average: str) -> Rings:
    ordered, residual = bench.ordered, bench.residual
    first, last = ordered.ring(sma, width)
    good, light, variance, inside = (
        between(running(t), first, last)
        for t in (
            ordered.good,
            residual * ordered.good,
            ordered.variance * ordered.good,
            bench.inside,
        )
    )
    few = good < LEAST_PIXELS
    count = torch.where(few, torch.nan, good)
    level, spread = light / count, variance / count**2
    marks = ordered.percentiles(residual, first, last)
    if average == "median":
        many = ordered.percentiles(residual, first, last, MEDIAN_SAMPLE)
        level, spread = torch.where(few, torch.nan, many[..., 1]), spread * MEDIAN_ERROR**2
    q = axis_ratio(bench.fitted.ellipses.shape_at(sma))
    area = (2 * math.pi * sma * q * width).clamp_min(1e-6)
    return Rings(
        sma,
        level + bench.profile.at(sma),
        spread,
        marks[..., 1] - marks[..., 0],
        marks[..., 2] - marks[..., 1],
        good,
        (inside / area).clamp_max(1.0),
        (good / inside.clamp_min(1.0)).clamp_max(1.0),
    )


def _inner(bench: Bench, sma: Points, average: str) -> Rings:
    ellipses = bench.fitted.ellipses
    core = Core.of(bench.light, ellipses.x, ellipses.y)
    x, y = ellipses.points(sma, ANGLES)
    values, good = core.sample(x, y)
    count = good.sum(2)
    share = good / count.clamp_min(1e-9)[..., None]
    operator = core.operator(x, y, share)
    known = (core.variance * core.good).flatten(1)
    level = (operator @ core.pixels.flatten(1)[..., None])[..., 0]
    variance = ((operator**2) @ known[..., None])[..., 0]
    ordered = in_order(torch.where(good > 0, values, torch.inf))
    place = (torch.tensor(QUANTILES, device=sma.device) * (count - 1).clamp_min(0)[..., None]).round().long()
    marks = ordered.gather(2, place)
    empty = count < 0.2 * ANGLES
    if average == "median":
        level, variance = marks[..., 1], variance * MEDIAN_ERROR**2
    q = axis_ratio(ellipses.shape_at(sma))
    area = (2 * math.pi * torch.sqrt(0.5 * (1 + q**2)) * sma).clamp_min(1.0)
    nan = torch.full_like(level, torch.nan)
    return Rings(
        sma,
        torch.where(empty, nan, level),
        torch.where(empty, nan, variance),
        torch.where(empty, nan, marks[..., 1] - marks[..., 0]),
        torch.where(empty, nan, marks[..., 2] - marks[..., 1]),
        area * count / ANGLES,
        _inside(core, bench.light, x, y),
        count / ANGLES,
    )


def _inside(core: Core, light: Light, x: Tensor, y: Tensor) -> Points:
    """Share (galaxy, ring) of points that lie on the stamp."""
    tall, wide = light.image.shape[1:]
    inside = (x > -0.5) & (x < wide - 0.5) & (y > -0.5) & (y < tall - 0.5)
    assert core.pixels.shape[1] == PATCH
    return inside.double().mean(2)


def shape_variance(fitted: Fitted, profile: Curve, sma: Points) -> Points:
    """Variance (galaxy, ring) of the brightness because of the error of the isophotes' shape."""
    place, share = node_place(sma, fitted.variance.shape[1])
    variance = fitted.variance.gather(1, place) * (1 - share) + fitted.variance.gather(1, place + 1) * share
    q = axis_ratio(fitted.ellipses.shape_at(sma))
    return (slope_of(profile, sma) / (2 * q)) ** 2 * variance


def slope_of(profile: Curve, sma: Points) -> Points:
    """dI/dln a of a profile."""
    step = RATIO**0.5
    return (profile.at(sma * step) - profile.at(sma / step)) / math.log(RATIO)


def filled(centre: Tensor, level: Points, sma: Points) -> tuple[Tensor, Points, Tensor]:
    """A profile without gaps: between good nodes straight in ln a and asinh I; where there were gaps (galaxy, node)."""
    gap = ~torch.isfinite(level)
    if not bool(gap.any()):
        return torch.where(torch.isfinite(centre), centre, level[:, 0]), level, gap
    count = level.shape[1]
    number = torch.arange(count, device=level.device).expand_as(level)
    before = torch.where(gap, -1, number).cummax(1).values
    after = torch.flip(torch.flip(torch.where(gap, count, number), (1,)).cummin(1).values, (1,))
    none = (before < 0) & (after >= count)
    low = torch.where(before < 0, after, before).clamp(0, count - 1)
    high = torch.where(after >= count, before, after).clamp(0, count - 1)
    known = steady(torch.asinh, torch.where(gap, 0.0, level))
    span = (high - low).clamp_min(1)
    share = ((number - low) / span).clamp(0, 1)
    one, two = known.gather(1, low), known.gather(1, high)
    mended = steady(torch.sinh, one + share * (two - one))
    level = torch.where(gap, torch.where(none, 0.0, mended), level)
    return torch.where(torch.isfinite(centre), centre, level[:, 0]), level, gap
