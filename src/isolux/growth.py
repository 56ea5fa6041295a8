r"""The Sérsic galaxy, or the two, whose light grows like that of a source.

Seen through a round Gaussian aperture exp(-r^2 / 2 s^2), a galaxy of total flux F shows F A(s). A Gaussian PSF of
variance p only widens the aperture and dims it,

    A(s, p) = s^2 / (s^2 + p)  A(sqrt(s^2 + p)),

so that one table of A over the index n, the axis ratio q, and s in half-light radii serves for every PSF; it lives in
:mod:`isolux.apertures`. What lies between neighbouring apertures, a shell, is compared with the table on a grid of n
and radius; flux is linear. The sky was measured near the stamp's edge, where a galaxy may have light, too: every
template is taken less its brightness there.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.apertures import INDICES, PER_OCTAVE, index_of, lookup, node_of, radius_of
from isolux.profiles.sersic import sersic_b
from isolux.types import PerGalaxy, Tensor

COARSE = 3, 2
"""Steps of the first grid, in index and radius, in steps of the table; the second grid has single ones."""
REACH = 2
"""Octaves that the first grid extends to both sides of the width in which half of the light is."""
INNER_REACH, OUTER_REACH = (-4, 1), (-1.5, 3)
"""The same for the inner and the outer of two galaxies."""
POINT = -5
"""The radius in octaves of a pixel that stands for a point."""
RATIO, LEAST_RATIO = -1.5, -0.25
"""Usual and least octaves from the outer to the inner radius."""
LEAST_SHARE = 0.05
"""Of the light for each of two galaxies: from nothing a fit could not bring one back."""
PLAIN_RADIUS, PLAIN_INDEX = 2.0, 1.0
"""Pixels and index of what has no light."""
USUAL_INDEX, SPREAD = 0.2, 0.4
"""Mean and scatter of the decimal logarithm of n, which decide where the data cannot."""
SKY_ERROR, MODEL_ERROR, BLUR_ERROR = 0.03, 0.01, 0.06
"""Of the sky in units of a pixel's noise; of a shell's light, relative, and that where the PSF dominates."""
IN_STAMP, UNMASKED, WHOLE = 0.6, 0.5, 0.9
"""Shares of a shell that must be in the stamp, and there not masked; not masked to tell on which side its light is."""
CLEARLY, ASIDE = 4.0, 0.3
"""Standard deviations, and widths of a shell by which its light is off the centre, that tell of another source."""
EDGE = 2.2
"""Radius where the sky is measured, in widths of the widest aperture."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """Light in shells between Gaussian apertures, the widest first.

    Attributes
    ----------
    width, blur : Tensor
        (galaxy, shell): s of the outer aperture in pixels; the variance p that the PSF adds to it.
    light, weight : Tensor
        (galaxy, shell): light in units of a pixel's noise, and one over its variance.
    axis_ratio : Tensor
        (galaxy,): of the galaxy before the PSF.
    """

    width: Tensor
    blur: Tensor
    light: Tensor
    weight: Tensor
    axis_ratio: PerGalaxy

    @classmethod
    def of(
        cls,
        seen: Tensor,
        sideways: Tensor,
        good: Tensor,
        within: Tensor,
        width: Tensor,
        blur: Tensor,
        axis_ratio: PerGalaxy,
    ) -> Growth:
        """From the light that apertures (galaxy, aperture) show, and their areas that are unmasked and in the stamp.

        ``sideways`` (galaxy, aperture, 2) are the first moments of the light. Shells are trusted from the centre
        outwards until one is clearly brighter than the one inside it, or has its light clearly on one side: there
        another source begins.
        """
        area, within = 2 * math.pi * _shells(width**2), _shells(within)
        coverage = _shells(good) / within.clamp_min(1e-6)
        light = _shells(seen) / coverage.clamp_min(0.05)
        outer, inner = width**2, torch.nn.functional.pad(width[:, 1:] ** 2, (0, 1))
        variance = math.pi * (outer + inner) - 4 * math.pi * outer * inner / (outer + inner)
        variance = variance / coverage.clamp_min(0.05) + (SKY_ERROR * area) ** 2
        level, error = light / area, torch.sqrt(variance) / area
        rise = level[:, :-1] - level[:, 1:] > CLEARLY * torch.hypot(error[:, :-1], error[:, 1:])
        aside = torch.hypot(*(_shells(moment) for moment in sideways.unbind(2))) / width
        aside = (aside > ASIDE * light.abs()) & (aside > CLEARLY * torch.sqrt(variance)) & (coverage > WHOLE)
        trusted = (coverage > UNMASKED) & (within > IN_STAMP * area) & ~aside
        trusted &= ~torch.nn.functional.pad(rise, (0, 1))
        trusted = torch.flip(torch.cumprod(torch.flip(trusted.to(light.dtype), (1,)), 1), (1,))
        relative = MODEL_ERROR + BLUR_ERROR * blur / (width**2 + blur)
        return cls(width, blur, light, trusted / (variance + (relative * light) ** 2), axis_ratio)

    def half_light(self) -> Tensor:
        """Width (galaxy, 1) in steps of the table in which half of the trusted light is."""
        light = torch.flip(self.light * (self.weight > 0), (1,)).cumsum(1)
        reached = (light >= 0.5 * light.amax(1, keepdim=True)).to(torch.int64).argmax(1, keepdim=True)
        return _steps(torch.log2(torch.flip(self.width, (1,)).gather(1, reached)))


@dataclasses.dataclass(frozen=True)
class Match:
    """A Sérsic galaxy whose light grows like a source's; each (galaxy,).

    Attributes
    ----------
    flux : Tensor
        In units of a pixel's noise.
    radius : Tensor
        Half-light semi-major axis in pixels, before the PSF.
    index : Tensor
        Sérsic index.
    """

    flux: PerGalaxy
    radius: PerGalaxy
    index: PerGalaxy


def match(growth: Growth, index: PerGalaxy | None = None) -> Match:
    """The best Sérsic galaxy, of any index or of a given one."""
    by_index, by_radius = COARSE
    device = growth.light.device
    nodes = torch.arange(1, INDICES, by_index, device=device).expand(len(growth.light), -1)
    node = nodes if index is None else node_of(index)[:, None]
    radius = _grid(growth.half_light(), (-REACH, REACH))
    node, radius, _ = _best(growth, node, radius)
    around = by_index - 1 if index is None else 0
    node = (node + torch.arange(-around, around + 1, device=device)).clamp(0, INDICES - 1)
    radius = radius + torch.arange(1 - by_radius, by_radius, device=device)
    node, radius, flux = _best(growth, node, radius)
    lit = flux > 0
    return Match(
        flux.double(),
        torch.where(lit, radius_of(radius)[:, 0], PLAIN_RADIUS),
        torch.where(lit, index_of(node[:, 0]), PLAIN_INDEX),
    )


def match_pair(growth: Growth, inner: PerGalaxy | None, outer: PerGalaxy) -> tuple[Match, Match]:
    """The best sum of two Sérsic galaxies of given indices, the inner one smaller, or a point where it is None."""
    start = growth.half_light()
    small, large = _grid(start, INNER_REACH), _grid(start, OUTER_REACH)
    if inner is None:
        small, inner = torch.full_like(start, POINT * PER_OCTAVE), torch.full_like(outer, 0.5)
    one, two = (_templates(growth, node_of(n)[:, None], r)[:, 0] for n, r in ((inner, small), (outer, large)))
    weight = growth.weight.to(one.dtype)[:, None]
    data = (growth.weight * growth.light).to(one.dtype)[:, :, None]
    a, aa = one @ data, (one * one * weight).sum(2, keepdim=True)
    b, bb = (two @ data).transpose(1, 2), (two * two * weight).sum(2)[:, None]
    ab = (one * weight) @ two.transpose(1, 2)
    first, second = _non_negative(a, aa, b, bb, ab)
    gain = 2 * (first * a + second * b) - first * first * aa - 2 * first * second * ab - second * second * bb
    octaves = (small[:, :, None] - large[:, None]) / PER_OCTAVE
    usual = (octaves.clamp_min(2 * RATIO) - RATIO) ** 2
    gain = torch.where(octaves <= LEAST_RATIO, gain - usual, -torch.inf)
    best = gain.flatten(1).argmax(1, keepdim=True)
    first, second = (flux.flatten(1).gather(1, best)[:, 0].double() for flux in (first, second))
    least = LEAST_SHARE * (first + second)
    at_small, at_large = best // gain.shape[2], best % gain.shape[2]
    return (
        Match(torch.maximum(first, least), radius_of(small.gather(1, at_small))[:, 0], inner),
        Match(torch.maximum(second, least), radius_of(large.gather(1, at_large))[:, 0], outer),
    )


def _non_negative(a: Tensor, aa: Tensor, b: Tensor, bb: Tensor, ab: Tensor) -> tuple[Tensor, Tensor]:
    """Fluxes of two templates, neither negative, that lower chi-square most."""
    determinant = torch.maximum(aa * bb - ab * ab, 1e-6 * aa * bb).clamp_min(1e-30)
    first, second = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
    alone = a / aa.clamp_min(1e-30), b / bb.clamp_min(1e-30)
    return (
        torch.where(second > 0, first, alone[0]).clamp_min(0.0),
        torch.where(first > 0, second, alone[1]).clamp_min(0.0),
    )


def _best(growth: Growth, node: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best of all indices (galaxy, n) with all radii (galaxy, r), both in steps of the table, and its flux."""
    seen = _templates(growth, node, radius)
    light, weight = (
        t.to(seen.dtype)[:, None, :, None] for t in (growth.weight * growth.light, growth.weight)
    )
    product, square = (seen @ light)[..., 0], ((seen * seen) @ weight)[..., 0]
    flux = product / square.clamp_min(1e-30)
    unusual = (torch.log10(index_of(node)) - USUAL_INDEX) / SPREAD
    gain = flux.clamp_min(0.0) * product - (unusual**2)[:, :, None]
    best = gain.flatten(1).argmax(1, keepdim=True)
    wide = radius.shape[1]
    flux = flux.flatten(1).gather(1, best)[:, 0]
    return node.gather(1, best // wide), radius.gather(1, best % wide), flux


def _templates(growth: Growth, node: Tensor, radius: Tensor) -> Tensor:
    """Light (galaxy, n, r, shell) of galaxies of unit flux above their own brightness where the sky is measured."""
    squared = growth.width**2
    widened = squared + growth.blur
    seen = lookup(0.5 * torch.log2(widened), growth.axis_ratio, node, radius)
    seen = seen * (squared / widened).to(seen.dtype)[:, None, None]
    area = 2 * math.pi * _shells(squared)[:, None, None]
    return _shells(seen) - (area * _edge(growth, node, radius)[..., None]).to(seen.dtype)


def _edge(growth: Growth, node: Tensor, radius: Tensor) -> Tensor:
    """Brightness (galaxy, n, r) of a galaxy of unit flux where the sky is measured."""
    n = index_of(node)[:, :, None]
    b = sersic_b(n)
    size = (radius_of(radius) * torch.sqrt(growth.axis_ratio)[:, None])[:, None]
    total = torch.log(2 * math.pi * n * size**2) + torch.lgamma(2 * n) - 2 * n * torch.log(b)
    return torch.exp(-b * (EDGE * growth.width[:, :1, None] / size) ** (1 / n) - total)


def _shells(apertures: Tensor) -> Tensor:
    """Differences of neighbours along the last axis, the innermost as it is."""
    return apertures - torch.nn.functional.pad(apertures[..., 1:], (0, 1))


def _grid(start: Tensor, octaves: tuple[float, float]) -> Tensor:
    """Radii (galaxy, r) around a first one (galaxy, 1), in steps of the table."""
    low, high = (round(PER_OCTAVE * end) for end in octaves)
    return start + torch.arange(low, high + 1, COARSE[1], device=start.device)


def _steps(octaves: Tensor) -> Tensor:
    return torch.round(PER_OCTAVE * octaves).long()
