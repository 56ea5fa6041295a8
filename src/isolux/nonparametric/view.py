"""A galaxy about one centre: its light in ellipses of one shape, and the steps that lead to the centre."""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.nonparametric.apertures import Ellipse, Rings, pixel_rings
from isolux.nonparametric.asymmetry import EXTENT
from isolux.nonparametric.growth import Growth, growth_curve
from isolux.nonparametric.petrosian import petrosian_radius
from isolux.nonparametric.search import symmetry_centre
from isolux.nonparametric.shells import STEP, shells
from isolux.nonparametric.stamps import Stamps
from isolux.types import Images, PerGalaxy, Tensor

FARTHEST = 0.25
"""Petrosian radii that the centre of least asymmetry may be away from the given one."""
SOME = 4.0
"""Pixels: stands for a Petrosian radius where there is none; what follows from it is not kept."""


@dataclasses.dataclass(frozen=True)
class View:
    """Radii over pixels and growth curve in ellipses, with the Petrosian radius of circles of the same area.

    ``stretch`` (galaxy,) makes semi-major axes of those radii when they are divided by it.
    """

    over: Rings
    growth: Growth
    petrosian: PerGalaxy
    petrosian_error: PerGalaxy
    stretch: PerGalaxy

    @property
    def radius(self) -> PerGalaxy:
        """Petrosian radius, or some number where there is none."""
        return self.petrosian.nan_to_num(SOME)

    def reach(self, times: float) -> PerGalaxy:
        """So many Petrosian radii, or where the growth curve ends; NaN without a Petrosian radius."""
        return torch.where(
            torch.isfinite(self.petrosian), (times * self.petrosian).minimum(self.growth.last), torch.nan
        )

    def inside(self, radius: PerGalaxy) -> Tensor:
        """Share (galaxy, point) of each pixel within a radius (galaxy,)."""
        return self.over.inside(radius[:, None].to(self.over.radius.dtype))


def look(stamps: Stamps, about: Ellipse, axis_ratio: PerGalaxy, rough: bool = False) -> View:
    """The light around a centre; ``rough`` is for a first look."""
    tall, wide = stamps.image.shape[1:]
    over = pixel_rings(about, (tall, wide), stamps.image.dtype)
    stretch = torch.sqrt(axis_ratio)
    seen = shells(about, over, stamps.image, stamps.good, rough)
    growth = growth_curve(seen, stamps.gain, stamps.max_radius * stretch)
    return View(over, growth, *petrosian_radius(growth, stretch), stretch)


def filled_image(stamps: Stamps, view: View) -> Images:
    """The image with the mean brightness of its ellipse where it is masked."""
    growth = view.growth
    level = torch.nn.functional.pad(growth.flux.diff() / (growth.radius**2).diff() / math.pi, (0, 1))
    place = (view.over.radius / STEP).long().clamp_max_(level.shape[1] - 1)
    values = level.to(stamps.image.dtype).gather(1, place).view_as(stamps.image)
    return stamps.image + (1 - stamps.good) * values


def centre(stamps: Stamps, view: View, filled: Images) -> tuple[PerGalaxy, PerGalaxy, Tensor]:
    """The centre (x, y) of least asymmetry, and where (galaxy,) the given one was kept."""
    radius = torch.where(torch.isfinite(view.petrosian), view.petrosian, 0.5 * view.growth.last).clamp_min(2)
    weight = view.inside(EXTENT * radius).view_as(filled)
    side = (0.1 * radius).clamp(0.5, 3.0)
    x, y = symmetry_centre(filled, weight, stamps.x, stamps.y, side, EXTENT * radius / view.stretch)
    far = torch.hypot(x - stamps.x, y - stamps.y) > (FARTHEST * radius).clamp_min(1.0)
    return torch.where(far, stamps.x, x), torch.where(far, stamps.y, y), far
