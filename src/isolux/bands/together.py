"""One row a galaxy for all bands: what they share once, in the frame's pixels, all else by band."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import torch

from isolux.bands.carry import is_position
from isolux.bands.colours import Magnitudes
from isolux.bands.ended import Ended, View
from isolux.bands.layout import by_band
from isolux.bands.problem import JointFit
from isolux.geometry import wrap_angle
from isolux.parameters import Fixed, PlacedParameter
from isolux.result import Quantity, Result
from isolux.types import Tensor
from isolux.uncertainty import carried, standard_errors


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column of the joint result: a parameter of one band, or of the frame where ``band`` is None."""

    quantity: Quantity
    entry: PlacedParameter
    place: int
    band: int | None


def together(
    fit: JointFit,
    ended: Ended,
    views: Sequence[View],
    bands: Mapping[str, Result],
    magnitudes: Magnitudes,
) -> Result:
    """The joint result."""
    columns = _columns(fit)
    values, at_bound = (
        _picked(fit, columns, [getattr(view, name) for view in views]) for name in ("in_frame", "at_bound")
    )
    values = _wrapped(columns, values)
    slopes = _picked(fit, columns, [view.frame_slopes for view in views])
    kinds = tuple(next(iter(bands.values())).kinds[column.place] for column in columns)
    matrix = None
    if ended.free is not None:
        dark = torch.isnan(values)
        matrix = torch.where(dark[:, :, None] | dark[:, None, :], torch.nan, carried(slopes, ended.free))
    derived, derived_values, derived_errors = _derived(fit, bands, magnitudes)
    first, batches = next(iter(bands.values())), list(fit.batches.values())
    of_frame = fit.frames.of_frame
    homes = fit.frames.frame.tolist()
    return Result(
        id=first.id,
        columns=tuple(column.quantity for column in columns),
        kinds=kinds,
        values=values,
        errors=standard_errors(kinds, values, matrix),
        covariance=matrix,
        at_bound=at_bound,
        derived=derived,
        derived_values=derived_values,
        derived_errors=derived_errors,
        chi2=ended.chi2.sum(1),
        n_pixels=torch.stack([result.n_pixels for result in bands.values()]).sum(0),
        n_free=fit.layout.used.sum(1),
        status=tuple(fit.fate.status),
        flags=tuple(fit.fate.flags),
        message=tuple(fit.fate.message),
        steps=ended.steps,
        seconds=ended.seconds,
        zero_point=of_frame([result.zero_point for result in bands.values()]),
        pixel_scale=of_frame([result.pixel_scale for result in bands.values()]),
        n_effective=ended.effective,
        wcs=tuple(batches[home].wcs[k] for k, home in enumerate(homes)),
    )


def _columns(fit: JointFit) -> list[_Column]:
    """What the columns are, in the scene's order."""
    shared = _shared(fit)
    columns, place = [], 0
    for entry in fit.scene.parameters:
        unit = "pix" if is_position(entry.full_name, entry.parameter) else entry.parameter.unit
        names = [fit.frame.names[place + k] for k in range(entry.parameter.size)]
        for band in [None] if entry.full_name in shared else range(len(fit.batches)):
            for k, name in enumerate(names):
                spelt = name if band is None else _spelt(name, list(fit.batches)[band])
                meaning = entry.parameter.meaning + (
                    "" if band is None else f", band {list(fit.batches)[band]}"
                )
                quantity = Quantity(spelt, entry.parameter.unit if band is None else unit, meaning)
                columns.append(_Column(quantity, entry, place + k, band))
        place += entry.parameter.size
    return columns


def _spelt(name: str, band: str) -> str:
    """``disc.magnitude`` of band g is ``disc.magnitude_g``."""
    base, bracket, number = name.partition("[")
    return f"{base}_{band}{bracket}{number}"


def _shared(fit: JointFit) -> set[str]:
    """Full names of the parameters that are the same in all bands."""
    own = fit.frame
    degree = dict(zip(fit.layout.names, fit.layout.degree, strict=True))
    shared = {name for name, d in degree.items() if d == 0}
    for entry in fit.scene.parameters:
        fixed = isinstance(entry.setting, Fixed) and not by_band(entry)
        shared |= {entry.full_name} if fixed and entry.full_name not in fit.varied else set()
    waiting = {own.names[c]: {own.names[target]} for c, target in own.aliases.items()}
    for column, function in own.functions:
        seen = _Noted({name: torch.ones(1, dtype=torch.float64) for name in own.names})
        function(seen)
        waiting[own.names[column]] = seen.asked
    for _ in waiting:
        shared |= {name for name, needs in waiting.items() if needs <= shared}
    return shared


class _Noted(dict[str, Tensor]):
    """A mapping that notes which names were asked for."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.asked.add(name)
        return super().__getitem__(name)


def _picked(fit: JointFit, columns: Sequence[_Column], tensors: Sequence[Tensor]) -> Tensor:
    """(galaxy, column, ...) of numbers (galaxy, parameter, ...) of each band."""
    frame = fit.frames.of_frame(tensors)
    parts = [(frame if column.band is None else tensors[column.band])[:, column.place] for column in columns]
    return torch.stack(parts, 1)


def _wrapped(columns: Sequence[_Column], values: Tensor) -> Tensor:
    """Angles brought into half a period about zero."""
    parts = list(values.unbind(1))
    for k, column in enumerate(columns):
        period = column.entry.parameter.period
        if period is not None:
            parts[k] = wrap_angle(parts[k], period)
    return torch.stack(parts, 1)


def _derived(
    fit: JointFit, bands: Mapping[str, Result], magnitudes: Magnitudes
) -> tuple[tuple[Quantity, ...], Tensor, Tensor]:
    """What is derived in each band, lengths in the frame's pixels, then colours of neighbouring bands."""
    quantities, values, errors = [], [], []
    for b, (band, result) in enumerate(bands.items()):
        for k, quantity in enumerate(result.derived):
            unit = fit.frames.grids[b].scale if quantity.unit == "pixel" else 1.0
            name, meaning = _spelt(quantity.name, band), f"{quantity.meaning}, band {band}"
            quantities.append(Quantity(name, quantity.unit, meaning))
            values.append(result.derived_values[:, k] / unit)
            errors.append(result.derived_errors[:, k] / unit)
    names = list(bands)
    for component in magnitudes.components:
        for first, second in itertools.pairwise(names):
            value, error = magnitudes.colour(first, second, component)
            text = f"magnitude in {first} less that in {second}"
            quantities.append(Quantity(f"{component}.colour_{first}_{second}", "mag", text))
            values.append(value)
            errors.append(error)
    if not values:
        empty = torch.zeros(len(fit.frames.frame), 0, dtype=torch.float64)
        return (), empty, empty
    return tuple(quantities), torch.stack(values, 1), torch.stack(errors, 1)
