"""One parameter measured twice: by a fit and by another code, or as it was drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from isolux.errors import InputError, unknown_name
from isolux.result import Result

Values: TypeAlias = Mapping[str, Any] | Result

WIDE_RANGE = 30.0
"""Ratio of largest to smallest positive value above which an axis is logarithmic."""
HALF_TURN = 180.0


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One parameter by two measurements, only where both are finite."""

    name: str
    fitted: np.ndarray
    truth: np.ndarray
    error: np.ndarray | None

    @property
    def r_squared(self) -> float:
        """Coefficient of determination about the one-to-one line; NaN where the truth does not vary."""
        spread = float(((self.truth - self.truth.mean()) ** 2).sum()) if self.truth.size else 0.0
        return 1 - float(((self.fitted - self.truth) ** 2).sum()) / spread if spread > 0 else math.nan

    @property
    def is_log(self) -> bool:
        """Whether the values span so wide a range that a logarithmic axis shows them better."""
        both = np.concatenate([self.fitted, self.truth])
        return bool(both.size and both.min() > 0 and both.max() > WIDE_RANGE * both.min())

    def range(self) -> tuple[float, float]:
        """Ends of both axes: all but the most extreme values, with a margin."""
        both = np.concatenate([self.fitted, self.truth])
        if not both.size:
            return 0.0, 1.0
        low, high = np.percentile(both, (0.1, 99.9) if both.size > 1000 else (0, 100))
        if self.is_log:
            factor = (high / low) ** 0.06
            return low / factor, high * factor
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        return low - margin, high + margin


def pair_of(name: str, fitted: Values, truth: Values, errors: Mapping[str, Any] | None) -> Pair:
    """One parameter of two catalogues.

    Raises
    ------
    InputError
        For a name that one of them lacks, or arrays of different lengths.
    """
    ours, theirs = _column(fitted, name), _column(truth, name)
    error = None
    if errors is not None and (name in errors or name.rpartition(".")[2] in errors):
        error = _column(errors, name)
    elif errors is None and isinstance(fitted, Result):
        error = np.asarray(fitted.error(name), dtype=np.float64)
    if ours.shape != theirs.shape or (error is not None and error.shape != ours.shape):
        raise InputError(f"{name}: arrays of different lengths", (ours.shape, theirs.shape))
    if name.rpartition(".")[2] == "position_angle":
        ours = theirs + (ours - theirs + HALF_TURN / 2) % HALF_TURN - HALF_TURN / 2
    good = np.isfinite(ours) & np.isfinite(theirs)
    return Pair(name, ours[good], theirs[good], None if error is None else error[good])


def _column(values: Values, name: str) -> np.ndarray:
    if isinstance(values, Result):
        known = [column.name for column in (*values.columns, *values.derived)]
    else:
        known = list(values)
    for wanted in (name, name.rpartition(".")[2]):
        if wanted in known:
            return np.atleast_1d(np.asarray(values[wanted], dtype=np.float64))
    raise unknown_name("parameter", name, known)
