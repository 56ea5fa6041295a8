"""What came out of a fit: one row a galaxy, whatever happened to it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from isolux.status import Flag, Status, sentence
from isolux.types import PerGalaxy, Tensor, Values

if TYPE_CHECKING:
    from astropy.table import QTable


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Name, unit and meaning of a column of values."""

    name: str
    unit: str
    meaning: str


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Fitted values, errors and status of a batch.

    Attributes
    ----------
    id : tuple of str
        One a galaxy.
    columns : tuple of Quantity
        What the columns of ``values`` are; full names such as ``disc.effective_radius``.
    kinds : tuple of str
        ``free``, ``fixed`` or ``tied``, one a column.
    values, errors : Tensor
        (galaxy, parameter): NaN where there is none.
    covariance : Tensor or None
        (galaxy, parameter, parameter); None for models of very many parameters.
    at_bound : Tensor
        (galaxy, parameter) of bool.
    derived : tuple of Quantity
        What the columns of ``derived_values`` are.
    derived_values, derived_errors : Tensor
        (galaxy, derived).
    chi2 : Tensor
        (galaxy,): sum of squared residuals over sigma on the good pixels.
    n_pixels, n_free : Tensor
        (galaxy,): good pixels and free parameters.
    status, flags : tuple
        One :class:`Status` and :class:`Flag` a galaxy.
    message : tuple of str
        The status as a sentence, with details of what was wrong.
    steps : Tensor
        (galaxy,): iterations of the solver.
    seconds : Tensor
        (galaxy,): time of the batch's fit, shared by its galaxies.
    zero_point, pixel_scale : Tensor
        (galaxy,): as in the batch.
    samples : Tensor or None
        (galaxy, replicate, parameter): bootstrap replicates where they were asked for.
    wcs : tuple
        An astropy WCS or None a galaxy.
    """

    id: tuple[str, ...]
    columns: tuple[Quantity, ...]
    kinds: tuple[str, ...]
    values: Values
    errors: Values
    covariance: Tensor | None
    at_bound: Tensor
    derived: tuple[Quantity, ...]
    derived_values: Tensor
    derived_errors: Tensor
    chi2: PerGalaxy
    n_pixels: PerGalaxy
    n_free: PerGalaxy
    status: tuple[Status, ...]
    flags: tuple[Flag, ...]
    message: tuple[str, ...]
    steps: PerGalaxy
    seconds: PerGalaxy
    zero_point: PerGalaxy
    pixel_scale: PerGalaxy
    samples: Tensor | None = None
    wcs: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, name: str) -> PerGalaxy:
        """Values (galaxy,) of a parameter or derived quantity by its full name."""
        for columns, values in ((self.columns, self.values), (self.derived, self.derived_values)):
            names = [column.name for column in columns]
            if name in names:
                return values[:, names.index(name)]
        raise KeyError(name)

    def error(self, name: str) -> PerGalaxy:
        """Errors (galaxy,) of a parameter or derived quantity by its full name."""
        for columns, errors in ((self.columns, self.errors), (self.derived, self.derived_errors)):
            names = [column.name for column in columns]
            if name in names:
                return errors[:, names.index(name)]
        raise KeyError(name)

    @property
    def converged(self) -> Tensor:
        """(galaxy,) of bool."""
        return torch.tensor([status is Status.CONVERGED for status in self.status])

    @property
    def dof(self) -> PerGalaxy:
        """Degrees of freedom (galaxy,): good pixels less free parameters."""
        return self.n_pixels - self.n_free

    @property
    def reduced_chi2(self) -> PerGalaxy:
        """Chi-square over degrees of freedom (galaxy,)."""
        return self.chi2 / self.dof.clamp_min(1)

    @property
    def log_likelihood(self) -> PerGalaxy:
        """The chi-square log-likelihood (galaxy,), equation 17 of Chen et al. (2024)."""
        half = self.dof.clamp_min(1).double() / 2
        return -half * math.log(2) - torch.lgamma(half) + (half - 1) * torch.log(self.chi2) - self.chi2 / 2

    @property
    def aic(self) -> PerGalaxy:
        """Akaike's criterion chi2 + 2 k (galaxy,), for Gaussian noise of known sigma."""
        return self.chi2 + 2 * self.n_free

    @property
    def bic(self) -> PerGalaxy:
        """Schwarz's criterion chi2 + k ln N (galaxy,), for Gaussian noise of known sigma."""
        return self.chi2 + self.n_free * torch.log(self.n_pixels.double().clamp_min(1))

    def describe(self, galaxy: int) -> str:
        """The galaxy's status and flags as one line."""
        return sentence(self.status[galaxy], self.flags[galaxy])

    def table(self) -> QTable:
        """The catalogue: one row a galaxy with units and descriptions, as an astropy QTable."""
        from isolux.catalogue import to_qtable

        return to_qtable(self)

    @staticmethod
    def concatenate(parts: Sequence[Result]) -> Result:
        """The results of several batches of one model as one."""
        first = parts[0]
        merged: dict[str, Any] = {}
        for field in dataclasses.fields(Result):
            pieces = [getattr(part, field.name) for part in parts]
            if field.name in ("columns", "kinds", "derived"):
                merged[field.name] = getattr(first, field.name)
            elif isinstance(pieces[0], torch.Tensor):
                merged[field.name] = torch.cat(pieces) if all(p is not None for p in pieces) else None
            elif pieces[0] is None:
                merged[field.name] = None
            else:
                merged[field.name] = tuple(item for piece in pieces for item in piece)
        return Result(**merged)
