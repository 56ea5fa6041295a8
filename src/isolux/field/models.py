"""The models that a source of a field is fitted with, and scenes of several sources.

A member of a group has its components under names of their own, ``s0_bulge``, ``s1_sersic``, ...; :func:`member`
gives each the result that it would have had by itself, with the covariance that neighbours leave it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from isolux.batch import Batch
from isolux.derived import derived_quantities
from isolux.errors import InputError, unknown_name
from isolux.fate import Fate, remark
from isolux.parameter_map import build_map
from isolux.parameters import Fixed, Free, Tied
from isolux.profiles import Exponential, FlatSky, PointSource, Profile, Sersic
from isolux.result import Quantity, Result
from isolux.scene import Scene
from isolux.status import Flag

OWN = (
    Flag.AT_BOUND
    | Flag.LOW_SIGNAL
    | Flag.UNRESOLVED
    | Flag.NOT_QUADRATIC
    | Flag.OFF_CENTRE
    | Flag.CENTRE_MASKED
)
"""Flags that each member of a group has for itself."""
INDEX = (0.3, 8.0)
"""Sérsic indices that are looked at: beyond them images hardly change."""
BULGE_INDEX = 4.0
LARGEST = 0.5
"""Largest half-light radius, in sides of the stamp."""


@dataclasses.dataclass(frozen=True)
class Model:
    """One way to describe a source.

    Attributes
    ----------
    name : str
        As the user writes it.
    build : callable
        Components by name, from a prefix for their names and the side of the stamp.
    centre : str
        The component whose centre is the source's.
    light : str
        The component whose half-light radius and shape stand for the source's where there are several.
    composite : bool
        Whether it has more than one component.
    """

    name: str
    build: Callable[[str, int], dict[str, Profile]]
    centre: str
    light: str
    composite: bool = False

    @property
    def components(self) -> tuple[str, ...]:
        """Names of its components."""
        return tuple(self.build("", 64))


def _size(side: int, part: float = 1.0) -> Free:
    return Free(upper=LARGEST * side * part)


def _point(prefix: str, side: int) -> dict[str, Profile]:
    return {f"{prefix}point": PointSource()}


def _exponential(prefix: str, side: int) -> dict[str, Profile]:
    return {f"{prefix}exponential": Exponential(scale_radius=_size(side, 0.6))}


def _sersic(prefix: str, side: int) -> dict[str, Profile]:
    index = Free(lower=INDEX[0], upper=INDEX[1])
    return {f"{prefix}sersic": Sersic(effective_radius=_size(side), sersic_index=index)}


def _bulge_disc(prefix: str, side: int) -> dict[str, Profile]:
    place = {axis: Tied(f"{prefix}disc.{axis}") for axis in "xy"}
    bulge = Sersic(**place, effective_radius=_size(side), sersic_index=Fixed(BULGE_INDEX))
    return {f"{prefix}disc": Exponential(scale_radius=_size(side, 0.6)), f"{prefix}bulge": bulge}


def _sersic_point(prefix: str, side: int) -> dict[str, Profile]:
    index = Free(lower=INDEX[0], upper=INDEX[1])
    place = {axis: Tied(f"{prefix}host.{axis}") for axis in "xy"}
    host = Sersic(effective_radius=_size(side), sersic_index=index)
    return {f"{prefix}host": host, f"{prefix}nucleus": PointSource(**place)}


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("point", _point, "point", "point"),
        Model("exponential", _exponential, "exponential", "exponential"),
        Model("sersic", _sersic, "sersic", "sersic"),
        Model("bulge+disc", _bulge_disc, "disc", "disc", composite=True),
        Model("sersic+point", _sersic_point, "host", "host", composite=True),
    )
}


def model_named(name: str) -> Model:
    """The model of a name.

    Raises
    ------
    InputError
        For an unknown one, with the nearest known one.
    """
    plain = name.strip().lower().replace("sérsic", "sersic").replace("disk", "disc")
    if plain not in MODELS:
        raise unknown_name("model of a source", name, MODELS)
    return MODELS[plain]


def prefix_of(models: Sequence[Model], k: int) -> str:
    """What the names of a member's components begin with; nothing for a single source."""
    return f"s{k}_" if len(models) > 1 else ""


def scene_of(models: Sequence[Model], side: int) -> Scene:
    """The scene of a group of sources, with a sky of its own, on stamps of a side."""
    if not models:
        raise InputError("a group needs at least one source")
    components: dict[str, Profile] = {}
    for k, model in enumerate(models):
        components |= model.build(prefix_of(models, k), side)
    return Scene(**components, sky=FlatSky())


def member(result: Result, batch: Batch, models: Sequence[Model], k: int) -> Result:
    """The result of one source of a group, as if it had been fitted by itself.

    Chi-square, pixels, steps and the status are the group's; the flags are the member's own.
    """
    if len(models) == 1:
        return result
    scene = scene_of([models[k]], max(batch.shape))
    own = [f"{prefix_of(models, k)}{column}" for column in scene.columns[:-1]] + ["sky.level"]
    names = [column.name for column in result.columns]
    place = [names.index(name) for name in own]
    columns = tuple(
        Quantity(name, result.columns[p].unit, result.columns[p].meaning)
        for name, p in zip(scene.columns, place, strict=True)
    )
    values, at_bound = result.values[:, place], result.at_bound[:, place]
    covariance = None if result.covariance is None else result.covariance[:, place][:, :, place]
    derived, derived_values, derived_errors = derived_quantities(
        scene, values, covariance, result.zero_point, result.pixel_scale
    )
    kinds = tuple(result.kinds[p] for p in place)
    fate = Fate(list(result.status), [flags & ~OWN for flags in result.flags], list(result.message))
    fitted = torch.tensor([status.fitted for status in result.status])
    fate.mark(at_bound.any(1) & fitted, Flag.AT_BOUND)
    parameters = build_map(scene.parameters, values, torch.ones(len(result), dtype=torch.float64))
    remark(fate, batch, scene, parameters, values, covariance)
    return dataclasses.replace(
        result,
        columns=columns,
        kinds=kinds,
        values=values,
        errors=result.errors[:, place],
        covariance=covariance,
        at_bound=at_bound,
        derived=derived,
        derived_values=derived_values,
        derived_errors=derived_errors,
        flags=tuple(fate.flags),
    )
