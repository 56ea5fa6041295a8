"""Priors on a batch: as functions of its parameters' values, with a number for each galaxy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from isolux.errors import InputError, unknown_name
from isolux.geometry import wrap_angle
from isolux.parameter_map import ParameterMap
from isolux.parameters import Column
from isolux.priors.kinds import LogNormalPrior, Numbers, Prior, UniformPrior
from isolux.solve.problem import Linearised
from isolux.ties import compile_tie
from isolux.types import PerGalaxy, Rows, Tensor, Theta, Values

FAR = 4.0
"""Widths from a prior's middle beyond which prior and data contradict each other."""


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """One prior on a batch.

    Attributes
    ----------
    prior : Prior
        As the user wrote it.
    function : callable
        What it is on, of a mapping from full names to tensors (row,).
    column : int, optional
        The parameter that it is on; None for a function.
    numbers : mapping
        Its numbers (galaxy,) by name.
    period : float, optional
        Of an angle.
    """

    prior: Prior
    function: Callable[[Mapping[str, Tensor]], Any]
    column: int | None
    numbers: Numbers
    period: float | None = None

    def evaluate(self, named: Mapping[str, Tensor]) -> Tensor:
        """What it is on (row,)."""
        like = next(iter(named.values()))
        return torch.as_tensor(self.function(named), dtype=like.dtype, device=like.device).expand(len(like))

    def residual(self, found: Tensor, galaxies: Rows) -> tuple[Tensor, Tensor]:
        """Residual and its derivative (row,) where the prior is on ``found`` (row,)."""
        numbers = {name: number[galaxies] for name, number in self.numbers.items()}
        if self.period is not None and "mean" in numbers:
            found = numbers["mean"] + wrap_angle(found - numbers["mean"], self.period)
        return self.prior.residual(found, numbers)


@dataclasses.dataclass(frozen=True, eq=False)
class Priors:
    """The priors of a fit on one batch. All methods take values in the scene's units, float64.

    Attributes
    ----------
    parameters : ParameterMap
        Theta vectors to values, with the bounds that uniform priors leave.
    terms : tuple of Term
        The priors that are residuals.
    narrowed : tuple of Term
        The uniform priors that have narrowed the bounds of a parameter instead.
    faults : tuple of str
        (galaxy,): what is wrong with a galaxy's own numbers; empty where nothing is.
    """

    parameters: ParameterMap
    terms: tuple[Term, ...]
    narrowed: tuple[Term, ...]
    faults: tuple[str, ...]

    @classmethod
    def of(
        cls,
        priors: Sequence[Prior],
        parameters: ParameterMap,
        table: Mapping[str, Any] | None = None,
        periods: Mapping[str, float] | None = None,
    ) -> Priors:
        """Priors made ready for a batch.

        Parameters
        ----------
        priors : sequence of Prior
            In any number, also several on one parameter.
        parameters : ParameterMap
            The map of the scene on the batch.
        table : mapping, optional
            The columns (galaxy,) that :class:`Column` numbers name.
        periods : mapping, optional
            Periods of angles, by full name.

        Raises
        ------
        InputError
            For an unknown name, a prior on what is fixed, an array of the wrong length, or a number for all
            galaxies that cannot be: a width of zero, ends the wrong way round, a mean outside the bounds.
        """
        faults = [""] * len(parameters.values)
        terms: list[Term] = []
        narrowed: list[Term] = []
        for prior in priors:
            if not isinstance(prior, Prior):
                raise InputError("priors", prior, "GaussianPrior, LogNormalPrior or UniformPrior")
            term = _bind(prior, parameters, table or {}, periods or {})
            _note_faults(term, parameters, faults)
            if isinstance(prior, UniformPrior) and term.column in parameters.free:
                parameters = _narrow(parameters, term)
                narrowed.append(term)
            else:
                terms.append(term)
        return cls(parameters, tuple(terms), tuple(narrowed), tuple(faults))

    def residuals(self, values: Values, galaxies: Rows) -> Tensor:
        """Residuals (row, prior) of values (row, parameter) of some galaxies (row,); differentiable."""
        named = self._named(values)
        found = [term.residual(term.evaluate(named), galaxies)[0] for term in self.terms]
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
        if not self.terms:
            nothing = torch.zeros_like(theta)
            return Linearised(nothing[:, 0], nothing, torch.diag_embed(nothing))
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
        every = (*self.terms, *self.narrowed)
        linear = {term.column for term in every if not isinstance(term.prior, LogNormalPrior)}
        logarithmic = {term.column for term in every if isinstance(term.prior, LogNormalPrior)} - linear
        for column in self.parameters.free:
            if column in linear and self.parameters.log[column]:
                total = total + torch.log(values[:, column])
            if column in logarithmic and not self.parameters.log[column]:
                total = total - torch.log(values[:, column])
        return total

    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        """Standard normal deviates (row, prior) for ``cost``; zero for uniform priors, which have no middle."""
        drawn = torch.randn(rows, len(self.terms), generator=generator, dtype=torch.float64)
        flat = torch.tensor([isinstance(term.prior, UniformPrior) for term in self.terms], dtype=torch.bool)
        return torch.where(flat, 0.0, drawn)

    def near(self, values: Values, estimated: Sequence[bool]) -> Values:
        """Starting values (galaxy, parameter): those that were estimated are brought to where priors are not small.

        Angles are turned by whole periods into the range of a uniform prior.
        """
        values = values.clone()
        for term in (*self.terms, *self.narrowed):
            if term.column is None:
                continue
            start = values[:, term.column]
            low, high = term.prior.likely(term.numbers)
            if term.period is not None:
                turned = low + torch.remainder(start - low, term.period)
                start = torch.where(torch.isfinite(turned), turned, start)
            if estimated[term.column]:
                start = torch.fmin(torch.fmax(start, low), high)
            values[:, term.column] = start
        return values

    def conflicts(self, values: Values, galaxies: Rows) -> tuple[Tensor, Tensor]:
        """Where (row,) values are many widths from the middle of a prior, and where they lean on the end of a range."""
        size = self.residuals(values, galaxies).abs()
        uniform = torch.tensor(
            [isinstance(term.prior, UniformPrior) for term in self.terms], dtype=torch.bool
        )
        uniform = uniform.to(size.device)
        return ((size > FAR) & ~uniform).any(1), ((size > 0) & uniform).any(1)

    def usable(self) -> Tensor:
        """(galaxy,) of bool: where all priors are finite at the starting values."""
        galaxies = torch.arange(len(self.parameters.values), device=self.parameters.values.device)
        residuals, slopes = self._slopes(self.parameters.complete(self.parameters.values), galaxies)
        return torch.isfinite(residuals).all(1) & torch.isfinite(slopes).flatten(1).all(1)

    def _named(self, values: Values) -> dict[str, Tensor]:
        return dict(zip(self.parameters.names, values.unbind(1), strict=True))

    def _slopes(self, values: Values, galaxies: Rows) -> tuple[Tensor, Tensor]:
        """Residuals (row, prior) and their derivatives (row, prior, parameter)."""
        slopes = values.new_zeros(len(values), len(self.terms), values.shape[1])
        residuals = values.new_zeros(len(values), len(self.terms))
        for k, term in enumerate(self.terms):
            if term.column is not None:
                residuals[:, k], slopes[:, k, term.column] = term.residual(values[:, term.column], galaxies)
                continue
            with torch.enable_grad():
                leaf = values.detach().requires_grad_()
                found = term.evaluate(self._named(leaf))
                (inner,) = torch.autograd.grad(found.sum(), leaf)
            residuals[:, k], outer = term.residual(found.detach(), galaxies)
            slopes[:, k] = torch.where(inner == 0, inner, outer[:, None] * inner)
        return residuals, slopes


def _bind(
    prior: Prior, parameters: ParameterMap, table: Mapping[str, Any], periods: Mapping[str, float]
) -> Term:
    """A prior with its function compiled and its numbers one a galaxy."""
    numbers = {name: _per_galaxy(prior, name, raw, parameters, table) for name, raw in prior.given.items()}
    if isinstance(prior.on, str) and prior.on in parameters.names:
        name = prior.on
        column = parameters.names.index(name)
        column = parameters.aliases.get(column, column)
        if parameters.kinds()[column] == "fixed":
            raise InputError(f"prior on {name}, which is fixed: free it, or leave the prior out")
        term = Term(prior, lambda named: named[name], column, numbers, periods.get(name))
    else:
        scalars = [name for name in parameters.names if "[" not in name]
        term = Term(prior, compile_tie(prior.on, scalars, "prior"), None, numbers)
    if term.column not in parameters.free:
        _refuse_constant(term, parameters)
    return term


def _per_galaxy(
    prior: Prior, name: str, raw: Any, parameters: ParameterMap, table: Mapping[str, Any]
) -> PerGalaxy:
    """A number of a prior for each galaxy (galaxy,)."""
    like = parameters.values
    if isinstance(raw, Column):
        if raw.name not in table:
            raise unknown_name(f"column, {name} of the prior on {prior.label},", raw.name, table)
        raw = table[raw.name]
    try:
        number = torch.as_tensor(raw, dtype=torch.float64, device=like.device)
    except (TypeError, ValueError):
        raise InputError(f"prior on {prior.label}: {name}", raw, "a number, an array or a Column") from None
    if number.ndim > 1 or (number.ndim == 1 and len(number) != len(like)):
        shape = tuple(number.shape)
        raise InputError(f"prior on {prior.label}: {name} has shape {shape} for {len(like)} galaxies")
    return number.expand(len(like))


def _refuse_constant(term: Term, parameters: ParameterMap) -> None:
    """Raise where a function cannot be computed, or does not change with any free parameter."""
    label, free = term.prior.label, parameters.n_free
    rows = torch.arange(len(parameters.values), device=parameters.values.device)
    theta = parameters.to_theta(parameters.values).detach().requires_grad_()
    shares = 0.1 * torch.sqrt(1.0 + torch.arange(free, device=theta.device))
    found = []
    with torch.enable_grad():
        for point in (theta, theta + shares * parameters.steps):
            values = parameters.expand(point, rows)
            try:
                found.append(term.evaluate(dict(zip(parameters.names, values.unbind(1), strict=True))))
            except InputError:
                raise
            except KeyError as error:
                name = str(error.args[0])
                raise unknown_name("parameter in a prior", name, parameters.names) from None
            except Exception as error:
                raise InputError(f"prior on {label}: the function failed: {error}") from error
    if not found[0].requires_grad or torch.equal(*found):
        raise InputError(f"prior on {label}, which depends on no free parameter")


def _note_faults(term: Term, parameters: ParameterMap, faults: list[str]) -> None:
    """Raise for a number that is wrong for all; note what is wrong with single galaxies' own numbers."""
    like = parameters.values[:, 0]
    low, high = torch.full_like(like, -torch.inf), torch.full_like(like, torch.inf)
    if term.column in parameters.free:
        low, high = parameters.lower[:, term.column], parameters.upper[:, term.column]
    given, label = term.prior.given, term.prior.label
    for names, wrong, allowed in term.prior.faults(term.numbers, low, high):
        parts = names.split(" and ")
        own = any(isinstance(given[name], Column) or torch.as_tensor(given[name]).ndim > 0 for name in parts)
        for galaxy in torch.nonzero(wrong)[:, 0].tolist():
            shown = ", ".join(f"{float(term.numbers[name][galaxy]):.6g}" for name in parts)
            limits = f"{allowed}, {float(low[galaxy]):.6g} to {float(high[galaxy]):.6g}"
            text = f"prior on {label}: {names} (got {shown}); allowed: "
            text += limits if "bounds" in allowed else allowed
            if not own:
                raise InputError(text)
            faults[galaxy] = faults[galaxy] or text


def _narrow(parameters: ParameterMap, term: Term) -> ParameterMap:
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
