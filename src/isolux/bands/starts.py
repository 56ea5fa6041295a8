"""Starting values of a fit of several bands: each band's own for its light, the deepest band's for the structure.

Values that the caller gives are in the reference band's pixels and hold for all bands; a name that ends in a band's,
such as ``disc.magnitude_g``, is for that band alone and in its own pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from isolux.bands.carry import carry, carrying, is_position, is_structure
from isolux.bands.frames import Frames
from isolux.bands.grids import Grids
from isolux.batch import Batch
from isolux.derived import component_flux
from isolux.errors import InputError, unknown_name
from isolux.fit import flux_unit
from isolux.parameters import Column, Free, PlacedParameter, Tied, given_number
from isolux.profiles.base import PointProfile, RadialProfile
from isolux.scene import Scene
from isolux.start import starting_values
from isolux.types import PerGalaxy, Rows, Tensor, Values


@dataclasses.dataclass(frozen=True)
class Starts:
    """Where the fit of each band would begin.

    Attributes
    ----------
    values : tuple of Tensor
        (galaxy, parameter) of each band, in its own pixels.
    estimated : tuple of tuple of bool
        For each band, which columns come from the image.
    best : Tensor
        (galaxy,): number of the band whose structure is the start of all.
    varied : frozenset of str
        Parameters that have values for single bands.
    """

    values: tuple[Values, ...]
    estimated: tuple[tuple[bool, ...], ...]
    best: Rows
    varied: frozenset[str]


def find_starts(
    scene: Scene, batches: Mapping[str, Batch], frames: Frames, start: Mapping[str, Any] | None
) -> Starts:
    """Starting values of every band."""
    table = {} if start is None else {name: start[name] for name in getattr(start, "colnames", None) or start}
    own = _by_band(scene, table, list(batches))
    values, estimated, depth = [], [], []
    for b, (name, batch) in enumerate(batches.items()):
        shared = {key: value for key, value in table.items() if key not in own[""]}
        placed = _placed(scene, shared, own[name], frames.starts[b], batch)
        found, guessed = starting_values(scene, batch, {**shared, **placed, **own[name]})
        values.append(found.cpu())
        estimated.append(guessed)
        depth.append(_depth(scene, found, batch))
    seen = torch.where(frames.present, torch.nan_to_num(torch.stack(depth, 1)), -1.0)
    keys = {key for name in batches for key in own[name]}
    varied = frozenset(e.full_name for e in scene.parameters if _key(e) in keys)
    return Starts(tuple(values), tuple(estimated), seen.argmax(1), varied)


def _key(entry: PlacedParameter) -> str:
    """The name under which a table holds the parameter's values."""
    if isinstance(entry.setting, Tied):
        return entry.full_name
    raw = entry.setting.start if isinstance(entry.setting, Free) else entry.setting.value
    return raw.name if isinstance(raw, Column) else entry.full_name


def _by_band(scene: Scene, table: Mapping[str, Any], bands: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The entries for single bands, by band, under plain names; under "" the names that they had."""
    plain = {entry.full_name for entry in scene.parameters} | {_key(entry) for entry in scene.parameters}
    found: dict[str, dict[str, Any]] = {name: {} for name in ("", *bands)}
    for key, value in table.items():
        for band in bands:
            if key not in plain and key.endswith(f"_{band}") and key[: -len(band) - 1] in plain:
                found[band][key[: -len(band) - 1]] = value
                found[""][key] = value
        if "." in key and key not in plain and key not in found[""]:
            raise unknown_name("parameter in the table of starting values", key, plain)
    return found


def _placed(
    scene: Scene, shared: Mapping[str, Any], own: Mapping[str, Any], grids: Grids, batch: Batch
) -> dict[str, Any]:
    """Centres, sizes and angles that hold for all bands, in a band's pixels, by their name in the table."""
    galaxies = len(batch)
    columns = scene.columns
    values = torch.full((galaxies, len(columns)), torch.nan, dtype=torch.float64)
    keys = {}
    for entry in scene.parameters:
        if isinstance(entry.setting, Tied) or not is_structure(entry.parameter) or entry.parameter.size > 1:
            continue
        key = _key(entry)
        number = _number(key, shared, galaxies) if key in shared else given_number(entry.setting, galaxies)
        if number is not None and key not in own:
            values[:, columns.index(entry.full_name)] = number
            keys[entry.full_name] = key
    _check_centres(scene, keys)
    linear, constant = carrying(scene, grids, torch.ones(galaxies), ())
    carried = carry(values, linear, constant)
    return {key: carried[:, columns.index(name)] for name, key in keys.items()}


def _number(key: str, table: Mapping[str, Any], galaxies: int) -> Tensor:
    value = torch.as_tensor(table[key], dtype=torch.float64)
    if value.ndim and len(value) != galaxies:
        raise InputError(f"column {key!r} has {len(value)} values for {galaxies} galaxies")
    return value.expand(galaxies)


def _check_centres(scene: Scene, keys: Mapping[str, str]) -> None:
    """Refuse a centre of which one coordinate alone is given: it could not be carried to another grid."""
    for entry in scene.parameters:
        name = entry.full_name
        if is_position(name, entry.parameter):
            partner = name[:-1] + "yx"["xy".index(name[-1])]
            if name in keys and partner not in keys:
                raise InputError(f"{name} has a starting value but {partner} has none: give both")


def _depth(scene: Scene, values: Values, batch: Batch) -> PerGalaxy:
    """The source's flux over the noise of a piece of sky of one size."""
    total = torch.zeros(len(values), dtype=torch.float64, device=values.device)
    zero_point = batch.zero_point.to(values.device)
    start = 0
    for profile in scene.components.values():
        named = {}
        for short, (parameter, _) in profile.settings.items():
            named[short] = values[:, start : start + parameter.size]
            start += parameter.size
        if isinstance(profile, RadialProfile | PointProfile):
            total = total + component_flux(profile, named, zero_point).nan_to_num(0.0)
    return (total / flux_unit(batch) * batch.pixel_scale.to(values.device)).cpu()
