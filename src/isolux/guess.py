"""Estimates of parameters from the images, where neither a table nor the scene gives a value.

A component that sits alone on a source takes the source's centre and shape, and the flux, radius and index of the
Sérsic galaxy whose light grows like the source's. Two components on one source, such as a bulge and a disc, take
those of the best two galaxies; three and more begin with equal parts of its light and with its shape.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.growth import PLAIN_INDEX, Match, match, match_pair
from isolux.parameters import Tied
from isolux.profiles.base import ImageProfile, PointProfile, Profile, RadialProfile
from isolux.profiles.exponential import Exponential
from isolux.profiles.gaussian import Gaussian
from isolux.scene import Scene
from isolux.source import Source, measure_source, sky_level
from isolux.types import PerGalaxy, Tensor

INNER_NAMES = ("bulge", "bar", "core", "nucleus", "centre", "center", "point", "agn")
INNER, OUTER = 0.4, 1.3
"""Half-light radii of inner and other components over the source's, where three or more share it."""
INNER_INDEX, OUTER_INDEX = 2.5, 1.0
"""Sérsic indices of inner and other components that share a source."""
LOWEST_INDEX, HIGHEST_INDEX = 0.4, 6.0
SAME_PLACE = 5.0
"""Components whose given centres are closer than this many pixels share the light there."""
SIGNAL = 3.0
"""Least signal-to-noise inside the half-light ellipse of a source that a fit begins with."""


class Guesses:
    """Estimates for a scene on a batch; each position is measured at most once.

    Parameters
    ----------
    scene, batch : Scene, Batch
        The model and the images.
    given : mapping
        What is known: (galaxy,) by full parameter name, None where it is to be estimated, NaN where tied.
    """

    def __init__(self, scene: Scene, batch: Batch, given: Mapping[str, Tensor | None]) -> None:
        self.scene, self.batch = scene, batch
        self.given = {k: None if v is None else v.to(batch.image.device) for k, v in given.items()}
        self.measured: dict[str, Source] = {}
        self.galaxies: dict[str, Match] = {}

    def value(self, full_name: str) -> Tensor:
        """Starting value (galaxy,) of a parameter."""
        name, short = full_name.split(".", 1)
        profile = self.scene.components[name]
        parameter = profile.settings[short][0]
        if parameter.guess == "sky":
            return self._sky() * parameter.guess_factor
        if not isinstance(profile, ImageProfile):
            if short in ("x", "y", "position_angle"):
                return getattr(self._source(name), short)
            if short == "axis_ratio":
                return self._axis_ratio(name)
            if short == "sersic_index":
                return self._galaxy(name).index.clamp(LOWEST_INDEX, HIGHEST_INDEX)
            if short in ("magnitude", "flux", "intensity"):
                return self._amplitude(name, profile, short)
        if parameter.guess == "radius":
            return self._galaxy(name).radius * parameter.guess_factor
        if parameter.default is None:
            raise InputError(f"{full_name} has no starting value: give one")
        return torch.full_like(self.batch.zero_point, float(parameter.default), dtype=torch.float64)

    def _sky(self) -> PerGalaxy:
        """The level around the sources."""
        return next(iter(self.measured.values())).sky if self.measured else sky_level(self.batch)[0]

    def _source(self, name: str) -> Source:
        """The source at a component's position: the central one unless the position was given."""
        x, y = self._position(name)
        at = None if x is None or y is None else (x, y)
        key = "" if at is None else name
        if key not in self.measured:
            self.measured[key] = measure_source(self.batch, at)
        return self.measured[key]

    def _axis_ratio(self, name: str) -> PerGalaxy:
        """The source's; the inner of two components is rounder."""
        ratio = self._source(name).axis_ratio
        for other, together in self._companions(name).items():
            if name == in_order(self.scene, name, other)[0]:
                ratio = torch.where(together, torch.sqrt(self._source(name).axis_ratio), ratio)
        return ratio

    def _amplitude(self, name: str, profile: Profile, short: str) -> PerGalaxy:
        """Flux in the unit that the component is given in, and enough of it to be seen."""
        source, galaxy = self._source(name), self._galaxy(name)
        least = SIGNAL * torch.sqrt(torch.pi * source.axis_ratio) * galaxy.radius.clamp_min(1.0)
        flux = torch.maximum(galaxy.flux, least) * source.noise
        if short == "flux":
            return flux
        if short == "magnitude":
            return self.batch.zero_point - 2.5 * torch.log10(flux.clamp_min(1e-300))
        assert isinstance(profile, RadialProfile)
        shape = {p.name: self._known(f"{name}.{p.name}")[:, None] for p in profile.parameters}
        return flux / (profile.total(**shape)[:, 0] * self._known(f"{name}.axis_ratio"))

    def _galaxy(self, name: str) -> Match:
        """Flux, radius and index of a component, by itself or with those that share its source."""
        if name not in self.galaxies:
            growth = self._source(name).growth
            index = self._index(name)
            result = match(growth, index)
            companions = self._companions(name)
            if len(companions) == 1:
                for other, together in companions.items():
                    result = _where(together, self._of_two(name, other), result)
            elif companions:
                inner = _is_inner(name)
                count = 1 + torch.stack(list(companions.values())).sum(0)
                radius = result.radius * (INNER if inner else OUTER)
                usual = INNER_INDEX if inner else OUTER_INDEX
                usual_index = torch.full_like(radius, usual) if index is None else index
                shared = Match(result.flux / count, radius, usual_index)
                result = _where(count > 1, shared, result)
            self.galaxies[name] = result
        return self.galaxies[name]

    def _of_two(self, name: str, other: str) -> Match:
        """The component's part of the best two galaxies."""
        inner, outer = in_order(self.scene, name, other)
        growth = self._source(name).growth
        indices = []
        for part, usual in ((inner, INNER_INDEX), (outer, OUTER_INDEX)):
            known = self._index(part)
            indices.append(torch.full_like(growth.axis_ratio, usual) if known is None else known)
        small, large = match_pair(growth, None if self._is_point(inner) else indices[0], indices[1])
        return small if name == inner else large

    def _is_point(self, name: str) -> bool:
        return isinstance(self.scene.components[name], PointProfile)

    def _index(self, name: str) -> PerGalaxy | None:
        """A component's Sérsic index where it is given or belongs to the profile."""
        profile = self.scene.components[name]
        fixed = 1.0 if isinstance(profile, Exponential) else 0.5 if isinstance(profile, Gaussian) else None
        if fixed is not None:
            return torch.full_like(self.batch.zero_point, fixed, dtype=torch.float64)
        index = self.given.get(f"{name}.sersic_index")
        if index is None or isinstance(profile.settings["sersic_index"][1], Tied):
            return None
        return torch.where((index > 0) & torch.isfinite(index), index, PLAIN_INDEX)

    def _known(self, full_name: str) -> Tensor:
        value = self.given[full_name]
        return self.value(full_name) if value is None else value

    def _position(self, name: str) -> tuple[Tensor | None, Tensor | None]:
        """The given centre of a component, through ties to another component's centre."""
        for _ in range(len(self.scene.components)):
            setting = self.scene.components[name].settings["x"][1]
            if not (isinstance(setting, Tied) and isinstance(setting.to, str) and setting.to.endswith(".x")):
                break
            name = setting.to.rsplit(".", 1)[0]
        x, y = self.given[f"{name}.x"], self.given[f"{name}.y"]
        return (None, None) if x is None or y is None else (x, y)

    def _companions(self, name: str) -> dict[str, Tensor]:
        """Other components that sit on the same source, and in which galaxies (galaxy,) they do."""
        x, y = self._position(name)
        found = {}
        for other, profile in self.scene.components.items():
            if other == name or isinstance(profile, ImageProfile):
                continue
            there_x, there_y = self._position(other)
            if x is None and there_x is None:
                found[other] = torch.ones_like(self.batch.zero_point, dtype=torch.bool)
            elif x is not None and y is not None and there_x is not None and there_y is not None:
                near = torch.hypot(x - there_x, y - there_y) < SAME_PLACE
                if bool(near.any()):
                    found[other] = near
        return found


def in_order(scene: Scene, name: str, other: str) -> tuple[str, str]:
    """Inner and outer of two components: by name, else the first of the scene is the inner one."""
    first, second = (part for part in scene.components if part in (name, other))
    inner = {
        part: _is_inner(part) or isinstance(scene.components[part], PointProfile) for part in (first, second)
    }
    return (second, first) if inner[second] and not inner[first] else (first, second)


def _is_inner(name: str) -> bool:
    return any(word in name.lower() for word in INNER_NAMES)


def _where(condition: Tensor, one: Match, two: Match) -> Match:
    """Each galaxy's match from the one or the other."""
    return Match(
        torch.where(condition, one.flux, two.flux),
        torch.where(condition, one.radius, two.radius),
        torch.where(condition, one.index, two.index),
    )
