"""Priors: what is known of a parameter, or of a function of parameters, before the image is looked at.

Each prior is one more residual r of the least-squares problem. With f the parameter or the function,

    Gaussian     r = (f - mean) / width
    log-normal   r = log10(f / median) / dex
    uniform      r = 0 from low to high, and the distance beyond them over ``edge``

and r^2 is added to the cost. The best fit is then the mode of the posterior, its curvature holds the prior's
information, and the sum of r^2 is -2 ln of the priors' density but for a constant. A uniform prior on a free
parameter is exact: it narrows the parameter's bounds, and adds no residual.

Values are those of a scene: pixels, magnitudes of the batch's zero point, degrees.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from isolux.errors import InputError, unknown_name
from isolux.parameter_map import ParameterMap
from isolux.parameters import Column
from isolux.solve.problem import Linearised
from isolux.ties import compile_tie
from isolux.types import PerGalaxy, Rows, Tensor, Theta, Values

Target: TypeAlias = str | Callable[[Mapping[str, Tensor]], Any]
"""Full name of a parameter, an expression of full names, or a function of a mapping from names to tensors (row,)."""
SHARP = 1e-3
"""Edge of a uniform prior on a function, over its range: a hard wall would have no slope to follow."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prior(ABC):
    """What all priors have in common.

    Parameters
    ----------
    on : str or callable
        A parameter's full name (``"disc.sersic_index"``), an expression of names as :class:`Tied` takes it
        (``"bulge.effective_radius / disc.effective_radius"``), or a function of a mapping from full names to
        tensors of one value a galaxy, made of PyTorch's operations.
    """

    on: Target

    @property
    def label(self) -> str:
        """What it is on, for messages."""
        return self.on if isinstance(self.on, str) else getattr(self.on, "__name__", "a function")

    @property
    def numbers(self) -> dict[str, Any]:
        """Its numbers by name: each a number, an array (galaxy,) or a :class:`Column`."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[1:]}

    @abstractmethod
    def residual(self, found: Tensor, numbers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Residual r and dr/df, each (row,), at f = ``found`` (row,)."""

    @abstractmethod
    def fault(
        self, numbers: Mapping[str, Tensor], low: Tensor, high: Tensor
    ) -> list[tuple[str, Tensor, str]]:
        """What may be wrong with its numbers: name, where (galaxy,), what is allowed.

        Parameters
        ----------
        numbers : mapping
            (galaxy,) each.
        low, high : Tensor
            (galaxy,): bounds of the parameter that it is on, infinite for a function.
        """


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianPrior(Prior):
    """A Gaussian: r = (f - mean) / width.

    Parameters
    ----------
    on : str or callable
        As for every :class:`Prior`.
    mean, width : float, array of one value a galaxy, or Column
        Mean and standard deviation, in the parameter's own unit. Where the width is infinite there is no prior.
    """

    mean: Any
    width: Any

    def residual(self, found: Tensor, numbers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(f - mean) / width."""
        return (found - numbers["mean"]) / numbers["width"], 1 / numbers["width"].expand_as(found)

    def fault(
        self, numbers: Mapping[str, Tensor], low: Tensor, high: Tensor
    ) -> list[tuple[str, Tensor, str]]:
        """A mean outside the bounds, a width that is not positive."""
        mean, width = numbers["mean"], numbers["width"]
        return [
            ("mean", ~torch.isfinite(mean), "a finite number"),
            ("mean", (mean < low) | (mean > high), "within the parameter's bounds"),
            ("width", ~(width > 0), "above 0"),
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class LogNormalPrior(Prior):
    """A Gaussian in the logarithm: r = log10(f / median) / dex.

    Parameters
    ----------
    on : str or callable
        As for every :class:`Prior`.
    median, dex : float, array of one value a galaxy, or Column
        Median in the parameter's own unit; standard deviation of log10. Where dex is infinite there is no prior.
    """

    median: Any
    dex: Any

    def residual(self, found: Tensor, numbers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """log10(f / median) / dex."""
        dex = numbers["dex"]
        return torch.log10(found / numbers["median"]) / dex, 1 / (math.log(10) * dex * found)

    def fault(
        self, numbers: Mapping[str, Tensor], low: Tensor, high: Tensor
    ) -> list[tuple[str, Tensor, str]]:
        """A median outside the bounds or not positive, a width that is not positive."""
        median, dex = numbers["median"], numbers["dex"]
        return [
            ("median", ~((median > 0) & torch.isfinite(median)), "a finite number above 0"),
            ("median", (median < low) | (median > high), "within the parameter's bounds"),
            ("dex", ~(dex > 0), "above 0"),
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class UniformPrior(Prior):
    """Flat from ``low`` to ``high``, nothing beyond.

    On a free parameter it narrows the bounds. On a function or a tied parameter the ends are steep but not
    vertical, r = (low - f) / edge or (f - high) / edge beyond them, so that a solver can follow them.

    Parameters
    ----------
    on : str or callable
        As for every :class:`Prior`.
    low, high : float, array of one value a galaxy, or Column
        The range; an end that is left out is infinite.
    edge : float, optional
        Distance beyond an end that costs 1 in chi-square; a thousandth of the range where left out, or of the
        end's own size where there is only one.
    """

    low: Any = -math.inf
    high: Any = math.inf
    edge: float | None = None

    @property
    def numbers(self) -> dict[str, Any]:
        """The range, and its edge where that is given."""
        given = {"low": self.low, "high": self.high}
        return given if self.edge is None else {**given, "edge": self.edge}

    def residual(self, found: Tensor, numbers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Signed distance beyond the nearer end, over the edge."""
        low, high = numbers["low"], numbers["high"]
        edge = numbers["edge"] if "edge" in numbers else SHARP * _extent(low, high)
        beyond = found - torch.minimum(torch.maximum(found, low), high)
        outside = (beyond != 0).to(found)
        return torch.where(torch.isnan(found), found, beyond) / edge, outside / edge

    def fault(
        self, numbers: Mapping[str, Tensor], low: Tensor, high: Tensor
    ) -> list[tuple[str, Tensor, str]]:
        """Ends the wrong way round, or both beyond the bounds; an edge that is not positive."""
        lowest, highest = numbers["low"], numbers["high"]
        open_ = torch.isinf(lowest) & torch.isinf(highest)
        faults = [
            ("low and high", ~(lowest < highest) | open_, "low below high, one of them at least finite"),
            (
                "low and high",
                ~(torch.maximum(lowest, low) < torch.minimum(highest, high)),
                "room in the bounds",
            ),
        ]
        return [*faults, ("edge", ~(numbers["edge"] > 0), "above 0")] if "edge" in numbers else faults


def _extent(low: Tensor, high: Tensor) -> Tensor:
    """The size of a range; of its finite end, or 1, where it is open."""
    span = high - low
    end = torch.where(torch.isfinite(low), low, high).abs()
    return torch.where(torch.isfinite(span), span, torch.where(end > 0, end, torch.ones_like(end)))


@dataclasses.dataclass(frozen=True, eq=False)
class _Term:
    """A prior on a batch: what it is on as a function of named values, and its numbers (galaxy,)."""

    prior: Prior
    function: Callable[[Mapping[str, Tensor]], Any]
    column: int | None
    numbers: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Priors:
    """The priors of a fit on one batch. All methods take values in the scene's units, float64.

    Attributes
    ----------
    parameters : ParameterMap
        Theta vectors to values.
    terms : tuple
        The priors that are residuals.
    narrowed : tuple of int
        Columns whose bounds a uniform prior has narrowed.
    faults : tuple of str
        (galaxy,): what is wrong with a galaxy's own numbers; empty where nothing is.
    """

    parameters: ParameterMap
    terms: tuple[_Term, ...]
    narrowed: tuple[int, ...]
    faults: tuple[str, ...]

    @classmethod
    def of(
        cls, priors: Sequence[Prior], parameters: ParameterMap, table: Mapping[str, Any] | None = None
    ) -> Priors:
        """Priors made ready for a batch. ``self.parameters`` has the bounds that uniform priors leave.

        Parameters
        ----------
        priors : sequence of Prior
            In any number, also several on one parameter.
        parameters : ParameterMap
            The map of the scene on the batch.
        table : mapping, optional
            The columns (galaxy,) that :class:`Column` numbers name.

        Raises
        ------
        InputError
            For an unknown name, a prior on what is fixed, an array of the wrong length, or a number that cannot
            be (a width of zero, ends the wrong way round, a mean outside the bounds) and is that of all galaxies.
        """
        faults = [""] * len(parameters.values)
        terms: list[_Term] = []
        narrowed: list[int] = []
        for prior in priors:
            if not isinstance(prior, Prior):
                raise InputError("priors", prior, "GaussianPrior, LogNormalPrior or UniformPrior")
            term = _bind(prior, parameters, table or {})
            _note_faults(term, parameters, faults)
            if isinstance(prior, UniformPrior) and term.column in parameters.free:
                parameters = _narrow(parameters, term)
                narrowed.append(term.column)
            else:
                terms.append(term)
        return cls(parameters, tuple(terms), tuple(narrowed), tuple(faults))

    def residuals(self, values: Values, galaxies: Rows) -> Tensor:
        """Residuals (row, prior) of values (row, parameter) of some galaxies (row,); differentiable."""
        named = self._named(values)
        found = [self._residual(term, named, galaxies)[0] for term in self.terms]
        return torch.stack(found, 1) if found else values.new_zeros(len(values), 0)

    def cost(self, values: Values, galaxies: Rows, draws: Tensor | None = None) -> PerGalaxy:
        """Sum (row,) of squared residuals, -2 ln of the density but for a constant; differentiable.

        With ``draws`` (row, prior), standard normal deviates, the priors' middles are moved by so many of their
        widths: the mode of a posterior with data and priors both drawn anew is one sample of it, where the problem
        is linear.
        """
        residuals = self.residuals(values, galaxies)
        return ((residuals if draws is None else residuals - draws) ** 2).sum(1)

    def linearise(self, theta: Theta, galaxies: Rows, draws: Tensor | None = None) -> Linearised:
        """Cost, minus half its gradient, and J^T J in theta (row, free)."""
        values = self.parameters.expand(theta, galaxies)
        residuals, slopes = self._slopes(values, galaxies)
        residuals = residuals if draws is None else residuals - draws
        jacobian = slopes @ self.parameters.jacobian(theta, galaxies)
        gradient = -(residuals[:, None] @ jacobian)[:, 0]
        return Linearised((residuals**2).sum(1), gradient, jacobian.transpose(1, 2) @ jacobian)

    def log_volume(self, values: Values) -> PerGalaxy:
        """Logarithm of |dp/dtheta| (row,), to be added to -cost / 2 by who samples in theta.

        A Gaussian or uniform prior on a free parameter is a density in the parameter, a log-normal one in its
        logarithm; a parameter without a prior of its own is taken to be flat in theta, which is its logarithm
        where it is fitted so.
        """
        total = values.new_zeros(len(values))
        linear = {*self.narrowed, *(t.column for t in self.terms if not isinstance(t.prior, LogNormalPrior))}
        logarithmic = {t.column for t in self.terms if isinstance(t.prior, LogNormalPrior)} - linear
        for column in self.parameters.free:
            if column in linear and self.parameters.log[column]:
                total = total + torch.log(values[:, column])
            if column in logarithmic and not self.parameters.log[column]:
                total = total - torch.log(values[:, column])
        return total

    def usable(self) -> Tensor:
        """(galaxy,) of bool: where all priors are finite at the starting values."""
        galaxies = torch.arange(len(self.parameters.values), device=self.parameters.values.device)
        values = self.parameters.complete(self.parameters.values)
        residuals, slopes = self._slopes(values, galaxies)
        return torch.isfinite(residuals).all(1) & torch.isfinite(slopes).flatten(1).all(1)

    def _named(self, values: Values) -> dict[str, Tensor]:
        return dict(zip(self.parameters.names, values.unbind(1), strict=True))

    def _residual(self, term: _Term, named: Mapping[str, Tensor], galaxies: Rows) -> tuple[Tensor, Tensor]:
        found = _evaluate(term, named, len(galaxies))
        return term.prior.residual(found, {name: number[galaxies] for name, number in term.numbers.items()})

    def _slopes(self, values: Values, galaxies: Rows) -> tuple[Tensor, Tensor]:
        """Residuals (row, prior) and their derivatives (row, prior, parameter)."""
        slopes = values.new_zeros(len(values), len(self.terms), values.shape[1])
        residuals = values.new_zeros(len(values), len(self.terms))
        for k, term in enumerate(self.terms):
            if term.column is not None:
                residuals[:, k], slopes[:, k, term.column] = self._residual(
                    term, self._named(values), galaxies
                )
                continue
            with torch.enable_grad():
                leaf = values.detach().requires_grad_()
                found = _evaluate(term, self._named(leaf), len(galaxies))
                (inner,) = torch.autograd.grad(found.sum(), leaf)
            numbers = {name: number[galaxies] for name, number in term.numbers.items()}
            residuals[:, k], outer = term.prior.residual(found.detach(), numbers)
            slopes[:, k] = outer[:, None] * inner
        return residuals, slopes


def _bind(prior: Prior, parameters: ParameterMap, table: Mapping[str, Any]) -> _Term:
    """A prior with its function compiled and its numbers one a galaxy."""
    values = parameters.values
    numbers = {name: _per_galaxy(prior, name, raw, values, table) for name, raw in prior.numbers.items()}
    if isinstance(prior.on, str) and prior.on in parameters.names:
        name = prior.on
        column = parameters.names.index(name)
        column = parameters.aliases.get(column, column)
        if parameters.kinds()[column] == "fixed":
            raise InputError(f"prior on {name}, which is fixed: free it, or leave the prior out")
        term = _Term(prior, lambda named: named[name], column, numbers)
        if column not in parameters.free:
            _refuse_constant(term, parameters)
        return term
    scalars = [name for name in parameters.names if "[" not in name]
    term = _Term(prior, compile_tie(prior.on, scalars, "prior"), None, numbers)
    _refuse_constant(term, parameters)
    return term


def _per_galaxy(prior: Prior, name: str, raw: Any, values: Values, table: Mapping[str, Any]) -> Tensor:
    """A number of a prior for each galaxy (galaxy,)."""
    if isinstance(raw, Column):
        if raw.name not in table:
            raise unknown_name(f"column for the prior on {prior.label}:", raw.name, table)
        raw = table[raw.name]
    try:
        number = torch.as_tensor(raw, dtype=torch.float64, device=values.device)
    except (TypeError, ValueError):
        raise InputError(f"prior on {prior.label}: {name}", raw, "a number, an array or a Column") from None
    if number.ndim > 1 or (number.ndim == 1 and len(number) != len(values)):
        raise InputError(
            f"prior on {prior.label}: {name} has shape {tuple(number.shape)} for {len(values)} galaxies"
        )
    return number.expand(len(values))


def _evaluate(term: _Term, named: Mapping[str, Tensor], rows: int) -> Tensor:
    """What a prior is on (row,)."""
    found = term.function(named)
    like = next(iter(named.values()))
    return torch.as_tensor(found, dtype=like.dtype, device=like.device).expand(rows)


def _refuse_constant(term: _Term, parameters: ParameterMap) -> None:
    """Raise where a function cannot be computed, or does not change with any free parameter."""
    rows = torch.arange(len(parameters.values), device=parameters.values.device)
    theta = parameters.to_theta(parameters.values).detach().requires_grad_()
    moved = (
        theta
        + 0.1 * torch.sqrt(1.0 + torch.arange(parameters.n_free, device=theta.device)) * parameters.steps
    )
    label = term.prior.label
    with torch.enable_grad():
        try:
            here, there = (
                _evaluate(
                    term,
                    dict(zip(parameters.names, parameters.expand(t, rows).unbind(1), strict=True)),
                    len(rows),
                )
                for t in (theta, moved)
            )
        except KeyError as error:
            raise unknown_name("parameter in a prior", str(error.args[0]), parameters.names) from None
        except (RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"prior on {label}: the function failed: {error}") from error
    if not here.requires_grad or torch.equal(here, there):
        raise InputError(f"prior on {label}, which depends on no free parameter")


def _note_faults(term: _Term, parameters: ParameterMap, faults: list[str]) -> None:
    """Raise for a number that is wrong for all; note what is wrong with single galaxies' own numbers."""
    like = parameters.values[:, 0]
    low, high = torch.full_like(like, -torch.inf), torch.full_like(like, torch.inf)
    if term.column in parameters.free:
        low, high = parameters.lower[:, term.column], parameters.upper[:, term.column]
    given = term.prior.numbers
    for name, wrong, allowed in term.prior.fault(term.numbers, low, high):
        parts = name.split(" and ")
        own = any(isinstance(given[part], Column) or torch.as_tensor(given[part]).ndim > 0 for part in parts)
        limits = f"{allowed}, {float(low[0]):.6g} to {float(high[0]):.6g}" if "bounds" in allowed else allowed
        if bool(wrong.any()) and not own:
            shown = given[parts[0]] if len(parts) == 1 else tuple(given[part] for part in parts)
            raise InputError(f"prior on {term.prior.label}: {name}", shown, limits)
        for galaxy in torch.nonzero(wrong)[:, 0].tolist():
            shown = ", ".join(f"{float(term.numbers[part][galaxy]):.6g}" for part in parts)
            faults[galaxy] = (
                faults[galaxy] or f"prior on {term.prior.label}: {name} is {shown}; allowed: {allowed}"
            )


def _narrow(parameters: ParameterMap, term: _Term) -> ParameterMap:
    """The map with bounds that end where a uniform prior does; a galaxy with a faulty prior keeps its own."""
    column = term.column
    assert column is not None
    lower, upper = parameters.lower.clone(), parameters.upper.clone()
    low = torch.fmax(lower[:, column], term.numbers["low"])
    high = torch.fmin(upper[:, column], term.numbers["high"])
    room = low < high
    lower[:, column] = torch.where(room, low, lower[:, column])
    upper[:, column] = torch.where(room, high, upper[:, column])
    return dataclasses.replace(parameters, lower=lower, upper=upper)
