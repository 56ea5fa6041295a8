"""The priors that there are: what a user writes, and the residual that each is."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch

from isolux.types import PerGalaxy, Tensor

Target: TypeAlias = str | Callable[[Mapping[str, Tensor]], Any]
"""Full name of a parameter, an expression of full names, or a function of a mapping from names to tensors (row,)."""
Numbers: TypeAlias = Mapping[str, Tensor]
"""The numbers of a prior by name, one a galaxy or a row."""
Fault: TypeAlias = tuple[str, Tensor, str]
"""Names of the numbers concerned, where they are wrong (galaxy,), what is allowed."""
SHARP = 1e-3
"""Edge of a uniform prior on a function, over its range: a vertical wall would have no slope to follow."""


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
    def given(self) -> dict[str, Any]:
        """Its numbers by name: each a number, an array (galaxy,) or a :class:`Column`."""
        numbers = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[1:]}
        return {name: value for name, value in numbers.items() if value is not None}

    @abstractmethod
    def residual(self, found: Tensor, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """Residual r and dr/df, each (row,), at f = ``found`` (row,)."""

    @abstractmethod
    def likely(self, numbers: Numbers) -> tuple[PerGalaxy, PerGalaxy]:
        """A range (galaxy,) that holds nearly all of its density."""

    @abstractmethod
    def faults(self, numbers: Numbers, low: PerGalaxy, high: PerGalaxy) -> list[Fault]:
        """What may be wrong with its numbers, given the bounds of what it is on."""


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianPrior(Prior):
    """A Gaussian: r = (f - mean) / width.

    Parameters
    ----------
    on : str or callable
        As for every :class:`Prior`. Of an angle the nearer way round counts.
    mean, width : float, array of one value a galaxy, or Column
        Mean and standard deviation, in the parameter's own unit. Where the width is infinite there is no prior.
    """

    mean: Any
    width: Any

    def residual(self, found: Tensor, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """(f - mean) / width."""
        return (found - numbers["mean"]) / numbers["width"], 1 / numbers["width"]

    def likely(self, numbers: Numbers) -> tuple[PerGalaxy, PerGalaxy]:
        """Two widths to either side of the mean."""
        return numbers["mean"] - 2 * numbers["width"], numbers["mean"] + 2 * numbers["width"]

    def faults(self, numbers: Numbers, low: PerGalaxy, high: PerGalaxy) -> list[Fault]:
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

    def residual(self, found: Tensor, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """log10(f / median) / dex."""
        dex = numbers["dex"]
        return torch.log10(found / numbers["median"]) / dex, 1 / (math.log(10) * dex * found)

    def likely(self, numbers: Numbers) -> tuple[PerGalaxy, PerGalaxy]:
        """Two widths to either side of the median."""
        factor = 10 ** (2 * numbers["dex"])
        return numbers["median"] / factor, numbers["median"] * factor

    def faults(self, numbers: Numbers, low: PerGalaxy, high: PerGalaxy) -> list[Fault]:
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

    def residual(self, found: Tensor, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """Signed distance beyond the nearer end, over the edge."""
        low, high = numbers["low"], numbers["high"]
        edge = numbers["edge"] if "edge" in numbers else SHARP * _extent(low, high)
        beyond = found - torch.minimum(torch.maximum(found, low), high)
        return beyond / edge, (beyond != 0).to(found) / edge

    def likely(self, numbers: Numbers) -> tuple[PerGalaxy, PerGalaxy]:
        """The range itself."""
        return numbers["low"], numbers["high"]

    def faults(self, numbers: Numbers, low: PerGalaxy, high: PerGalaxy) -> list[Fault]:
        """Ends the wrong way round, or both beyond the bounds; an edge that is not positive."""
        first, last = numbers["low"], numbers["high"]
        wrong = ~(first < last) | (torch.isinf(first) & torch.isinf(last))
        outside = ~(torch.maximum(first, low) < torch.minimum(last, high))
        found = [
            ("low and high", wrong, "low below high, one of them at least finite"),
            ("low and high", outside, "a range that meets the parameter's bounds"),
        ]
        return [*found, ("edge", ~(numbers["edge"] > 0), "above 0")] if "edge" in numbers else found


def _extent(low: Tensor, high: Tensor) -> Tensor:
    """The size of a range; of its finite end, or 1, where it is open."""
    span = high - low
    end = torch.where(torch.isfinite(low), low, high).abs()
    return torch.where(torch.isfinite(span), span, torch.where(end > 0, end, torch.ones_like(end)))
