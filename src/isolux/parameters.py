"""Parameters of a scene: what they are, and how the solver's free numbers become their values.

A profile declares each :class:`Parameter` (name, unit, range, meaning). A user says how it is to be treated by
:class:`Free`, :class:`Fixed` or :class:`Tied`, or by a plain number, which is a starting value. A
:class:`ParameterMap` holds both for a batch and turns the free vector theta of each galaxy into all values, with

    p = theta * scale        (linear)
    p = exp(theta)           (logarithmic)
    p = f(other parameters)  (tied)

and gives the matrix dp/dtheta, so that a solver that knows theta alone fits shared centres, logarithmic sizes
and bounds without knowing of them.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from isolux.errors import InputError, unknown_name
from isolux.types import Free as FreeVector
from isolux.types import Rows, Tensor, Values

Tie: TypeAlias = str | Callable[[Mapping[str, Tensor]], Tensor]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter as a profile declares it.

    Attributes
    ----------
    name : str
        The field's name, such as ``effective_radius``.
    unit : str
        ``pixel``, ``mag``, ``deg``, ``flux``, ``flux/pixel2``, ``flux/pixel3`` or an empty string.
    meaning : str
        One line for tables and help.
    lower, upper : float
        Bounds that hold unless the user narrows or widens them, in ``unit``.
    log : bool
        Whether the solver moves its logarithm; then ``lower`` must be positive.
    default : float, optional
        Starting value where the user gives none and the image does not tell.
    fixed : bool
        Whether it stays at ``default`` unless the user frees it.
    period : float, optional
        For angles: results are wrapped into ``(-period/2, period/2]``.
    step : float
        A typical change, in which first-order solvers measure their learning rate: relative for
        logarithmic parameters, in ``unit`` otherwise.
    size : int
        Number of values: more than one for pixelated and spline profiles.
    guess : str, optional
        What to estimate a starting value from where none is given and there is no ``default``: ``radius`` (the
        source's half-light radius) or ``sky`` (the level around it).
    guess_factor : float
        Starting value in units of that estimate.
    """

    name: str
    unit: str
    meaning: str
    lower: float = -math.inf
    upper: float = math.inf
    log: bool = False
    default: float | None = None
    fixed: bool = False
    period: float | None = None
    step: float = 1.0
    size: int = 1
    guess: str | None = None
    guess_factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise InputError(f"parameter {self.name}: lower must be below upper", (self.lower, self.upper))
        if self.log and self.lower <= 0:
            raise InputError(f"parameter {self.name}: a logarithmic parameter needs lower > 0", self.lower)

    @property
    def scales_with_flux(self) -> bool:
        """Whether the value is proportional to the image's flux unit."""
        return self.unit.startswith("flux")


@dataclasses.dataclass(frozen=True)
class Column:
    """A starting value taken from a column of the table given to :func:`isolux.fit`."""

    name: str


Start: TypeAlias = float | Sequence[float] | Tensor | Column | None


@dataclasses.dataclass(frozen=True, eq=False)
class Free:
    """A parameter that the fit moves.

    Parameters
    ----------
    start : float, array of one value a galaxy, Column, optional
        Starting value; estimated from the image where it is left out.
    lower, upper : float or array, optional
        Bounds; the profile's own where left out.
    log : bool, optional
        Fit the logarithm; the profile's choice where left out.
    """

    start: Any = None
    lower: Any = None
    upper: Any = None
    log: bool | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Fixed:
    """A parameter held at a value: a number, an array of one value a galaxy, or a :class:`Column`."""

    value: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Tied:
    """A parameter computed from others.

    Parameters
    ----------
    to : str or callable
        The full name of another parameter (``"disc.x"``), an arithmetic expression of full names
        (``"0.5 * disc.effective_radius"``; ``exp``, ``log``, ``log10``, ``sqrt``, ``abs`` are known), or a
        function of a mapping from full names to tensors of one value a galaxy.
    """

    to: Tie


Setting: TypeAlias = Free | Fixed | Tied


def setting_of(parameter: Parameter, value: object) -> Setting:
    """What the user wrote for a parameter, as a :class:`Free`, :class:`Fixed` or :class:`Tied`."""
    if isinstance(value, Free | Fixed | Tied):
        return value
    if value is None:
        return Fixed(parameter.default) if parameter.fixed else Free()
    return Free(start=value)


@dataclasses.dataclass(frozen=True)
class ScaledParameter:
    """A parameter in its place in a scene: full name, declaration and the user's setting."""

    full_name: str
    parameter: Parameter
    setting: Setting


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": torch.exp,
    "log": torch.log,
    "log10": torch.log10,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
}
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def compile_tie(tie: Tie, known: Sequence[str]) -> Callable[[Mapping[str, Tensor]], Any]:
    """A tie as a function of named values; text is parsed, never executed.

    Raises
    ------
    InputError
        If the expression cannot be parsed or names something unknown.
    """
    if callable(tie):
        return tie
    if tie in known:
        name = tie
        return lambda values: values[name]
    try:
        tree = ast.parse(tie, mode="eval").body
    except SyntaxError as error:
        raise InputError(f"tie {tie!r} is not an arithmetic expression: {error.msg}") from None

    def evaluate(node: ast.AST, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -evaluate(operand, values)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return _OPERATORS[type(operator)](evaluate(left, values), evaluate(right, values))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](evaluate(argument, values))
            case ast.Attribute(value=ast.Name(id=component), attr=attribute):
                full_name = f"{component}.{attribute}"
                if full_name not in values:
                    raise unknown_name("parameter in a tie", full_name, known)
                return values[full_name]
        raise InputError(f"tie {tie!r}: only + - * / **, numbers, exp, log, log10, sqrt, abs and component.parameter")

    evaluate(tree, {name: torch.ones(1) for name in known})
    return lambda values: evaluate(tree, values)


def check_number(name: str, number: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Which galaxies have a usable starting value: finite and within its bounds; (galaxy,) of bool."""
    return torch.isfinite(number) & (number >= lower) & (number <= upper)


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

    @property
    def n_free(self) -> int:
        """Length of theta."""
        return len(self.free)

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
        return tuple("tied" if c in tied else "free" if c in free else "fixed" for c in range(len(self.names)))

    def to_theta(self, values: Values, rows: Rows | None = None) -> FreeVector:
        """Free vectors (row, free) of parameter values (row, parameter)."""
        columns = list(self.free)
        scale = self.scale if rows is None else self.scale[rows]
        theta = values[:, columns] / scale[:, columns]
        log = self._log_mask(theta)
        return torch.where(log, torch.log(torch.where(log, values[:, columns], 1.0)), theta)

    def bounds(self) -> tuple[FreeVector, FreeVector]:
        """Bounds (galaxy, free) of theta."""
        return self.to_theta(self.lower), self.to_theta(self.upper)

    def expand(self, theta: FreeVector, rows: Rows) -> Values:
        """All parameter values (row, parameter) of free vectors (row, free)."""
        values = self.values[rows]
        if self.free:
            columns = torch.tensor(self.free, device=theta.device)
            log = self._log_mask(theta)
            free_values = torch.where(log, torch.exp(torch.where(log, theta, 0.0)), theta * self.scale[rows][:, columns])
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
            columns[column] = torch.as_tensor(function(named), dtype=values.dtype, device=values.device).expand(len(values))
            named[self.names[column]] = columns[column]
            for alias, target in self.aliases.items():
                if target == column:
                    columns[alias] = named[self.names[alias]] = columns[column]
        return torch.stack(columns, dim=1)

    def slope(self, values: Values, rows: Rows) -> FreeVector:
        """dp/dtheta (row, free) of the free parameters themselves."""
        columns = list(self.free)
        return torch.where(self._log_mask(values), values[:, columns], self.scale[rows][:, columns])

    def slot_jacobian(self, theta: FreeVector, values: Values, rows: Rows) -> Tensor:
        """Derivative (row, slot, free) of the slots' parameters with respect to theta."""
        return self._jacobian(theta, values, rows, self.slot_columns)

    def jacobian(self, theta: FreeVector, rows: Rows) -> Tensor:
        """Derivative (row, parameter, free) of all parameters with respect to theta."""
        values = self.expand(theta, rows)
        slots = self.slot_jacobian(theta, values, rows)
        full = slots.new_zeros(len(rows), len(self.names), self.n_free)
        for column, slot in enumerate(self.slots):
            if slot is not None:
                full[:, column] = slots[:, slot]
        return full

    def _jacobian(self, theta: FreeVector, values: Values, rows: Rows, columns: Sequence[int]) -> Tensor:
        jacobian = theta.new_zeros(len(rows), len(columns), self.n_free)
        index = torch.arange(self.n_free, device=theta.device)
        jacobian[:, index, index] = self.slope(values, rows)
        if self.functions:
            tied = list(columns[self.n_free :])
            for k in range(self.n_free):
                direction = torch.zeros_like(theta)
                direction[:, k] = 1.0
                _, tangent = torch.func.jvp(lambda t: self.expand(t, rows)[:, tied], (theta,), (direction,))
                jacobian[:, self.n_free :, k] = tangent
        return jacobian

    def _log_mask(self, like: Tensor) -> Tensor:
        return torch.tensor([self.log[column] for column in self.free], device=like.device)


def column_names(parameters: Sequence[ScaledParameter]) -> tuple[str, ...]:
    """Full names of all columns: one for a scalar parameter, ``name[k]`` for the elements of a vector."""
    names: list[str] = []
    for entry in parameters:
        size = entry.parameter.size
        names += [entry.full_name] if size == 1 else [f"{entry.full_name}[{k}]" for k in range(size)]
    return tuple(names)


def build_map(parameters: Sequence[ScaledParameter], values: Values, flux_unit: Tensor) -> ParameterMap:
    """The map of a scene for a batch.

    Parameters
    ----------
    parameters : sequence of ScaledParameter
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
    lower, upper, log, scale, steps = [], [], [], [], []
    free: list[int] = []
    aliases: dict[int, int] = {}
    ties: dict[int, Tie] = {}
    column = 0
    for entry in parameters:
        parameter, setting = entry.parameter, entry.setting
        low, high = _bounds(entry, galaxies, values)
        uses_log = parameter.log if not isinstance(setting, Free) or setting.log is None else setting.log
        if uses_log and bool((low <= 0).any()):
            raise InputError(f"{entry.full_name}: a logarithmic parameter needs a lower bound above 0", low.min().item())
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
    aliases = {source: _root(source, aliases, names) for source in aliases}
    functions = _ordered({c: compile_tie(tie, scalars) for c, tie in ties.items()}, names, aliases)
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
    )


def _bounds(entry: ScaledParameter, galaxies: int, like: Tensor) -> tuple[Tensor, Tensor]:
    setting = entry.setting
    given = (setting.lower, setting.upper) if isinstance(setting, Free) else (None, None)
    defaults = (entry.parameter.lower, entry.parameter.upper)
    low, high = (
        torch.as_tensor(default if value is None else value, dtype=like.dtype, device=like.device).expand(galaxies)
        for value, default in zip(given, defaults, strict=True)
    )
    if not bool((low < high).all()):
        raise InputError(f"{entry.full_name}: the lower bound must be below the upper one", (given[0], given[1]))
    return low, high


def _root(column: int, aliases: Mapping[int, int], names: Sequence[str]) -> int:
    seen = [column]
    while seen[-1] in aliases:
        seen.append(aliases[seen[-1]])
        if seen[-1] in seen[:-1]:
            raise InputError("ties go in a circle: " + " -> ".join(names[c] for c in seen))
    return seen[-1]


def _ordered(
    functions: Mapping[int, Callable[[Mapping[str, Tensor]], Any]], names: Sequence[str], aliases: Mapping[int, int]
) -> tuple[tuple[int, Callable[[Mapping[str, Tensor]], Any]], ...]:
    """Functions of ties in an order in which each finds what it needs."""
    waiting = dict(functions)
    ordered: list[tuple[int, Callable[[Mapping[str, Tensor]], Any]]] = []
    while waiting:
        hidden = {names[c] for c in waiting} | {names[s] for s, t in aliases.items() if t in waiting}
        visible = {name: torch.ones(1, dtype=torch.float64) for name in names if name not in hidden}
        ready = [column for column, function in waiting.items() if _computable(function, visible)]
        if not ready:
            raise InputError("ties go in a circle or name no parameter", sorted(names[c] for c in waiting))
        ordered += [(column, waiting.pop(column)) for column in ready]
    return tuple(ordered)


def _computable(function: Callable[[Mapping[str, Tensor]], Any], values: Mapping[str, Tensor]) -> bool:
    try:
        function(values)
    except (KeyError, InputError):
        return False
    return True
