"""Polynomials in wavelength as they are reported: Chebyshev series of what the solver moves."""

from __future__ import annotations

import dataclasses

import torch

from isolux.bands.ended import Ended
from isolux.bands.layout import by_band
from isolux.bands.problem import JointFit
from isolux.types import Tensor
from isolux.uncertainty import carried


@dataclasses.dataclass(frozen=True)
class Series:
    """sum_k c_k T_k(w), with w the wavelength scaled to -1 at the shortest and 1 at the longest.

    Attributes
    ----------
    log : bool
        Whether it is the natural logarithm of the parameter.
    coefficients, errors : Tensor
        (galaxy, order): in the frame's pixels and the parameter's unit; NaN for orders that bands are missing for.
    """

    log: bool
    coefficients: Tensor
    errors: Tensor

    def select(self, rows: list[int]) -> Series:
        """Those of some galaxies."""
        return Series(self.log, self.coefficients[rows], self.errors[rows])


def series_of(fit: JointFit, ended: Ended) -> dict[str, Series]:
    """The series of every parameter that varies with wavelength by a polynomial, by full name."""
    declared = {entry.full_name: entry for entry in fit.scene.parameters}
    found = {}
    for k, (name, degree) in enumerate(zip(fit.layout.names, fit.layout.degree, strict=True)):
        light = by_band(declared[name])
        if degree == 0 or (light and degree == fit.layout.bands - 1):
            continue
        column = fit.frame.names.index(name)
        log = fit.frame.log[column]
        unit = torch.ones_like(fit.frame.scale[:, column]) if log else fit.frame.scale[:, column]
        matrix = fit.layout.series(k) * unit[:, None, None]
        dark = torch.isnan(matrix).any(2)
        matrix = torch.nan_to_num(matrix)
        values = (matrix @ torch.nan_to_num(ended.theta)[..., None])[..., 0]
        dark |= torch.isnan(ended.theta).any(1)[:, None]
        errors = torch.full_like(values, torch.nan)
        if ended.free is not None:
            variance = torch.diagonal(carried(matrix, ended.free), dim1=1, dim2=2)
            errors = torch.sqrt(torch.where(variance >= 0, variance, torch.nan))
        found[name] = Series(log, torch.where(dark, torch.nan, values), torch.where(dark, torch.nan, errors))
    return found
