"""How the solver's free numbers become parameter values.

A :class:`ParameterMap` turns the free vector theta of each galaxy into all values, with

    p = theta * scale        (linear)
    p = exp(theta)           (logarithmic)
    p = f(other parameters)  (tied)

and gives the matrix dp/dtheta, so that a solver that knows theta alone fits shared centres, logarithmic sizes
and bounds without knowing of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from isolux.errors import InputError
from isolux.parameters import Free, PlacedParameter, Tie, Tied, column_names
from isolux.ties import compile_tie, in_order, root_of
from isolux.types import PerGalaxy, Rows, Tensor, Theta, Values

MOST_LINEARISED = 256
"""Most free parameters for which a matrix of all pairs is formed."""


@dataclasses.dataclass(frozen=True)
class ParameterMap:
    """Free vector <-> all parameter values, for every galaxy of a batch.

    The derivative images that a scene computes are kept in *slots*: a parameter that equals another (a shared
    centre) has the same slot, so that its image is added before anything costly is done with it.

    Attributes
    ----------
    names : tuple of str
        Full names, one a column of ``values``; vector parameters have ``name[0]``, ``name[1]``, ...
    values : Tensor
        (galaxy, parameter): starting and fixed values; NaN where a tie fills them in. Always float64.
    lower, upper : Tensor
        (galaxy, parameter): bounds.
    log : tuple of bool
        Which columns are fitted as logarithms.
    scale : Tensor
        (galaxy, parameter): unit in which linear parameters are fitted.
    free : tuple of int
        Columns that the solver moves, in the order of theta.
    aliases : dict
        Column -> column that it equals.
    functions : tuple
        (column, function of named values) in the order in which they can be computed.
    steps : Tensor
        (free,): a typical change of each element of theta.
    flux_unit : Tensor
        (galaxy,): the unit of flux-like parameters in ``scale``.
    """

    names: tuple[str, ...]
    values: Values
    lower: Values
    upper: Values
    log: tuple[bool, ...]
    scale: Values
    free: tuple[int, ...]
    aliases: Mapping[int, int]
    functions: tuple[tuple[int, Callable[[Mapping[str, Tensor]], Any]], ...]
    steps: Tensor
    flux_unit: PerGalaxy

    @property
    def n_free(self) -> int:
        """Length of theta."""
        return len(self.free)

    @property
    def linearisable(self) -> bool:
        """Whether derivative images can be had: few free parameters, and no free vector among them."""
        vectors = any("[" in self.names[column] for column in self.free)
        return self.n_free <= MOST_LINEARISED and not vectors

    @property
    def slots(self) -> tuple[int | None, ...]:
        """Slot of each column's derivative image; None where none is needed."""
        slot_of = {column: slot for slot, column in enumerate(self.slot_columns)}
        return tuple(slot_of.get(self.aliases.get(column, column)) for column in range(len(self.names)))

    @property
    def slot_columns(self) -> tuple[int, ...]:
        """The column that each slot stands for: free ones first, then those given by functions."""
        return (*self.free, *(column for column, _ in self.functions))

    def kinds(self) -> tuple[str, ...]:
        """``free``, ``fixed`` or ``tied`` for each column."""
        tied = {*self.aliases, *(column for column, _ in self.functions)}
        free = set(self.free)
        return tuple(
            "tied" if c in tied else "free" if c in free else "fixed" for c in range(len(self.names))
        )

    def to_theta(self, values: Values, rows: Rows | None = None) -> Theta:
        """Free vectors (row, free) of parameter values (row, parameter)."""
        columns = list(self.free)
        scale = self.scale if rows is None else self.scale[rows]
        theta = values[:, columns] / scale[:, columns]
        log = self._log_mask(theta)
        return torch.where(log, torch.log(torch.where(log, values[:, columns], 1.0)), theta)

    def bounds(self) -> tuple[Theta, Theta]:
        """Bounds (galaxy, free) of theta."""
        return self.to_theta(self.lower), self.to_theta(self.upper)

    def expand(self, theta: Theta, rows: Rows) -> Values:
        """All parameter values (row, parameter) of free vectors (row, free)."""
        values = self.values[rows]
        if self.free:
            columns = torch.tensor(self.free, device=theta.device)
            log = self._log_mask(theta)
            free_values = torch.where(
                log, torch.exp(torch.where(log, theta, 0.0)), theta * self.scale[rows][:, columns]
            )
            values = values.index_copy(1, columns, free_values)
        return self.complete(values)

    def complete(self, values: Values) -> Values:
        """Values with the tied ones computed from the others."""
        if not self.aliases and not self.functions:
            return values
        columns = list(values.unbind(1))
        for column, target in self.aliases.items():
            columns[column] = columns[target]
        named = dict(zip(self.names, columns, strict=True))
        for column, function in self.functions:
            columns[column] = torch.as_tensor(
                function(named), dtype=values.dtype, device=values.device
            ).expand(len(values))
            named[self.names[column]] = columns[column]
            for alias, target in self.aliases.items():
                if target == column:
                    columns[alias] = named[self.names[alias]] = columns[column]
        return torch.stack(columns, dim=1)

    def slope(self, values: Values, rows: Rows) -> Theta:
        """dp/dtheta (row, free) of the free parameters themselves."""
        columns = list(self.free)
        return torch.where(self._log_mask(values), values[:, columns], self.scale[rows][:, columns])

    def slot_jacobian(self, theta: Theta, values: Values, rows: Rows) -> Tensor:
        """Derivative (row, slot, free) of the slots' parameters with respect to theta."""
        return self._jacobian(theta, values, rows, self.slot_columns)

    def jacobian(self, theta: Theta, rows: Rows) -> Tensor:
        """Derivative (row, parameter, free) of all parameters with respect to theta."""
        values = self.expand(theta, rows)
        slots = self.slot_jacobian(theta, values, rows)
        full = slots.new_zeros(len(rows), len(self.names), self.n_free)
        for column, slot in enumerate(self.slots):
            if slot is not None:
                full[:, column] = slots[:, slot]
        return full

    def _jacobian(self, theta: Theta, values: Values, rows: Rows, columns: Sequence[int]) -> Tensor:
        jacobian = theta.new_zeros(len(rows), len(columns), self.n_free)
        index = torch.arange(self.n_free, device=theta.device)
        jacobian[:, index, index] = self.slope(values, rows)
        if self.functions:
            tied = list(columns[self.n_free :])
            for k in range(self.n_free):
                direction = torch.zeros_like(theta)
                direction[:, k] = 1.0
                jvp = torch.func.jvp(lambda t: self.expand(t, rows)[:, tied], (theta,), (direction,))
                jacobian[:, self.n_free :, k] = jvp[1]
        return jacobian

    def _log_mask(self, like: Tensor) -> Tensor:
        return torch.tensor([self.log[column] for column in self.free], device=like.device)


def build_map(parameters: Sequence[PlacedParameter], values: Values, flux_unit: Tensor) -> ParameterMap:
    """The map of a scene for a batch.

    Parameters
    ----------
    parameters : sequence of PlacedParameter
        The scene's parameters in order.
    values : Tensor
        (galaxy, parameter): resolved starting and fixed values (any number where a tie fills in).
    flux_unit : Tensor
        (galaxy,): typical flux of a pixel, the unit in which flux-like parameters are fitted.

    Raises
    ------
    InputError
        For ties in a circle, ties to unknown names, or bounds the wrong way round.
    """
    names = column_names(parameters)
    galaxies = len(values)
    lower: list[Tensor] = []
    upper: list[Tensor] = []
    log: list[bool] = []
    scale: list[Tensor] = []
    steps: list[float] = []
    free: list[int] = []
    aliases: dict[int, int] = {}
    ties: dict[int, Tie] = {}
    column = 0
    for entry in parameters:
        parameter, setting = entry.parameter, entry.setting
        low, high = _bounds(entry, galaxies, values)
        uses_log = parameter.log if not isinstance(setting, Free) or setting.log is None else setting.log
        if uses_log and bool((low <= 0).any()):
            raise InputError(
                f"{entry.full_name}: a logarithmic parameter needs a lower bound above 0", low.min().item()
            )
        unit = flux_unit.to(values) if parameter.scales_with_flux else torch.ones_like(values[:, 0])
        for k in range(parameter.size):
            lower.append(low)
            upper.append(high)
            log.append(uses_log)
            scale.append(unit)
            if isinstance(setting, Free):
                free.append(column + k)
                steps.append(parameter.step)
        if isinstance(setting, Tied):
            if parameter.size > 1:
                raise InputError(f"{entry.full_name}: a vector parameter cannot be tied")
            ties[column] = setting.to
        column += parameter.size
    scalars = [name for name in names if "[" not in name]
    for target_column, tie in list(ties.items()):
        if isinstance(tie, str) and tie in names:
            aliases[target_column] = names.index(tie)
            del ties[target_column]
    aliases = {source: root_of(source, aliases, names) for source in aliases}
    functions = in_order({c: compile_tie(tie, scalars) for c, tie in ties.items()}, names, aliases)
    return ParameterMap(
        names=names,
        values=values,
        lower=torch.stack(lower, 1),
        upper=torch.stack(upper, 1),
        log=tuple(log),
        scale=torch.stack(scale, 1),
        free=tuple(free),
        aliases=aliases,
        functions=functions,
        steps=torch.tensor(steps, dtype=values.dtype, device=values.device),
        flux_unit=flux_unit.to(values),
    )


def _bounds(entry: PlacedParameter, galaxies: int, like: Tensor) -> tuple[Tensor, Tensor]:
    setting = entry.setting
    given = (setting.lower, setting.upper) if isinstance(setting, Free) else (None, None)
    defaults = (entry.parameter.lower, entry.parameter.upper)
    low, high = (
        torch.as_tensor(default if value is None else value, dtype=like.dtype, device=like.device).expand(
            galaxies
        )
        for value, default in zip(given, defaults, strict=True)
    )
    if not bool((low < high).all()):
        raise InputError(
            f"{entry.full_name}: the lower bound must be below the upper one", (given[0], given[1])
        )
    return low, high
