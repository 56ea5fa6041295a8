"""Starting values: from a table, from the scene, else from the image.

Components of a scene share the source that they sit on: each begins with an equal part of its light and with its
shape, bulges and bars smaller than the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.parameters import Column, Fixed, Free, Tied, given_number
from isolux.profiles.base import ImageProfile, Profile, RadialProfile
from isolux.scene import Scene
from isolux.source import Source, measure_source, sky_level
from isolux.types import Tensor, Values

INNER_NAMES = ("bulge", "bar", "core", "nucleus", "centre", "center", "point")
INNER, OUTER = 0.4, 1.3
"""Half-light radii of inner and other components over the source's, in scenes of several."""
SAME_PLACE = 5.0
"""Components whose given centres are closer than this many pixels share the light there."""


def starting_values(
    scene: Scene, batch: Batch, table: Mapping[str, Any] | None = None
) -> tuple[Values, tuple[bool, ...]]:
    """Starting and fixed values (galaxy, parameter), and which columns were estimated from the image.

    A value is taken from the table, else from the scene, else from the image.

    Parameters
    ----------
    scene : Scene
        Says what is given.
    batch : Batch
        The images.
    table : mapping, optional
        Arrays (galaxy,) by full parameter name, and the columns that :class:`Column` settings name. Entries
        for parameters override the scene's starting values.

    Raises
    ------
    InputError
        For columns or parameters that do not exist, and arrays of the wrong length.
    """
    table = dict(table or {})
    _check_columns(scene, table)
    given = {p.full_name: _given(p.full_name, p.setting, table, batch) for p in scene.parameters}
    guesses = _Guesses(scene, batch, given)
    pieces, estimated = [], []
    for entry in scene.parameters:
        value = given[entry.full_name]
        size = entry.parameter.size
        estimated += [value is None] * size
        if value is None:
            value = guesses.value(entry.full_name)
        if value.ndim == 1:
            value = value[:, None].expand(-1, size)
        pieces.append(value.cpu())
    return torch.cat(pieces, 1).to(batch.image.device), tuple(estimated)


def _given(name: str, setting: Free | Fixed | Tied, table: Mapping[str, Any], batch: Batch) -> Tensor | None:
    """The value from table or scene; None where it is to be estimated, NaN where a tie gives it."""
    if isinstance(setting, Tied):
        return torch.full((len(batch),), torch.nan, dtype=torch.float64)
    raw = setting.start if isinstance(setting, Free) else setting.value
    column = raw.name if isinstance(raw, Column) else name
    if column in table:
        value = torch.as_tensor(table[column], dtype=torch.float64)
        value = value.expand(len(batch)) if value.ndim == 0 else value
        if len(value) != len(batch):
            raise InputError(f"column {column!r} has {len(value)} values for {len(batch)} galaxies")
        return value
    return given_number(setting, len(batch))


def _check_columns(scene: Scene, table: Mapping[str, Any]) -> None:
    names = {p.full_name for p in scene.parameters}
    wanted = set()
    for entry in scene.parameters:
        raw = getattr(entry.setting, "start", None) if isinstance(entry.setting, Free) else None
        raw = entry.setting.value if isinstance(entry.setting, Fixed) else raw
        if isinstance(raw, Column):
            wanted.add(raw.name)
            if raw.name not in table:
                raise unknown_name("column", raw.name, table)
    for key in table:
        if "." in key and key not in names | wanted:
            raise unknown_name("parameter in the table of starting values", key, names)


class _Guesses:
    """Estimates for the parameters that nobody gave, measured at most once a component's position; on the CPU."""

    def __init__(self, scene: Scene, batch: Batch, given: Mapping[str, Tensor | None]) -> None:
        self.scene, self.batch, self.given = scene, batch, given
        self.measured: dict[str, Source] = {}

    def value(self, full_name: str) -> Tensor:
        """Starting value (galaxy,) of a parameter."""
        name, short = full_name.split(".", 1)
        profile = self.scene.components[name]
        parameter = profile.settings[short][0]
        if parameter.guess == "sky":
            return sky_level(self.batch)[0].cpu() * parameter.guess_factor
        if short in ("x", "y", "axis_ratio", "position_angle") and not isinstance(profile, ImageProfile):
            return getattr(self.source(name), short)
        if parameter.guess == "radius":
            return self.radius(name) * parameter.guess_factor
        if short in ("magnitude", "flux", "intensity") and not isinstance(profile, ImageProfile):
            return self.amplitude(name, profile, short)
        if parameter.default is None:
            raise InputError(f"{full_name} has no starting value: give one")
        return torch.full((len(self.batch),), float(parameter.default), dtype=torch.float64)

    def source(self, name: str | None) -> Source:
        """The source at a component's position: the central one unless the position was given."""
        at = None
        if name is not None:
            x, y = self._position(name)
            at = None if x is None or y is None else (x, y)
        key = "" if at is None else str(name)
        if key not in self.measured:
            self.measured[key] = measure_source(self.batch, at).cpu()
        return self.measured[key]

    def radius(self, name: str) -> Tensor:
        """Half-light radius for a component, smaller for inner ones where several share the source."""
        several = INNER if any(word in name.lower() for word in INNER_NAMES) else OUTER
        radius = self.source(name).radius
        return torch.where(self._sharing(name) > 1, radius * several, radius)

    def amplitude(self, name: str, profile: Profile, short: str) -> Tensor:
        """The source's flux, shared among the components that sit on it."""
        flux = self.source(name).flux / self._sharing(name)
        if short == "flux":
            return flux
        if short == "magnitude":
            return self.batch.zero_point.cpu() - 2.5 * torch.log10(flux.clamp_min(1e-300))
        assert isinstance(profile, RadialProfile)
        shape = {p.name: self._known(f"{name}.{p.name}")[:, None] for p in profile.parameters}
        return flux / (profile.total(**shape)[:, 0] * self._known(f"{name}.axis_ratio"))

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

    def _sharing(self, name: str) -> Tensor:
        """Number (galaxy,) of components that sit on the same source as this one, itself included."""
        x, y = self._position(name)
        count = torch.ones(len(self.batch), dtype=torch.float64)
        for other, profile in self.scene.components.items():
            if other == name or isinstance(profile, ImageProfile):
                continue
            there_x, there_y = self._position(other)
            if x is None and there_x is None:
                count = count + 1
            elif x is not None and y is not None and there_x is not None and there_y is not None:
                count = count + (torch.hypot(x - there_x, y - there_y) < SAME_PLACE)
        return count
