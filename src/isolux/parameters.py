"""Parameters: what they are, and how a user wants them treated.

A profile declares each :class:`Parameter` (name, unit, range, meaning). A user says how it is to be treated by
:class:`Free`, :class:`Fixed` or :class:`Tied`, or by a plain number, which is a starting value.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from isolux.errors import InputError
from isolux.types import Tensor

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
class PlacedParameter:
    """A parameter in its place in a scene: full name, declaration and the user's setting."""

    full_name: str
    parameter: Parameter
    setting: Setting


def column_names(parameters: Sequence[PlacedParameter]) -> tuple[str, ...]:
    """Full names of all columns: one for a scalar parameter, ``name[k]`` for the elements of a vector."""
    names: list[str] = []
    for entry in parameters:
        size = entry.parameter.size
        names += [entry.full_name] if size == 1 else [f"{entry.full_name}[{k}]" for k in range(size)]
    return tuple(names)


def given_number(setting: Free | Fixed | Tied, galaxies: int) -> Tensor | None:
    """The number in a setting, one a galaxy; None where there is none."""
    if isinstance(setting, Tied):
        return None
    raw = setting.start if isinstance(setting, Free) else setting.value
    if raw is None or isinstance(raw, Column):
        return None
    value = torch.as_tensor(raw, dtype=torch.float64)
    if value.ndim == 0:
        return value.expand(galaxies)
    if len(value) != galaxies:
        raise InputError(f"an array of {len(value)} starting values for {galaxies} galaxies")
    return value
