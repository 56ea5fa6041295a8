"""Counts in fine bins, filled piece by piece: quantiles over any number of galaxies in little memory."""

from __future__ import annotations

import dataclasses

import numpy as np

FINE = 4096
"""Bins from which quantiles are read: their error is under a part in 4,000 of the range."""
EXACT = 50_000
MARGIN = 0.6
"""By how much of its own width the range is wider, on either side, than the sample's middle 99 %."""


@dataclasses.dataclass(eq=False)
class Histogram:
    """Counts between two ends, and of what lies beyond them.

    Attributes
    ----------
    low, high : float
        Ends of the range, of logarithms to base 10 if ``log``.
    log : bool
        Whether the bins are equal in the logarithm.
    counts : numpy.ndarray
        (bin + 2,): below the range, in each bin, above it.
    kept : list of numpy.ndarray
        The values themselves while they are no more than ``EXACT``: then quantiles are exact.
    """

    low: float
    high: float
    log: bool = False
    counts: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(FINE + 2, np.int64))
    kept: list[np.ndarray] = dataclasses.field(default_factory=list)

    @classmethod
    def around(cls, sample: np.ndarray, log: bool = False) -> Histogram:
        """A histogram whose range holds nearly all values that are like a sample's."""
        values = _scaled(sample, log)
        if not values.size:
            return cls(0.0, 1.0, log)
        if values.size < FINE:  # small enough for all to lie inside
            low, high = float(values.min()), float(values.max())
            room = 0.02 * (high - low)
        else:
            low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
            room = MARGIN * (high - low)
        if not high > low:
            room = max(abs(low), 1.0) * 0.05
        return cls(low - room, high + room, log)

    def add(self, values: np.ndarray) -> None:
        """Count values; those that are not finite, or not positive on a logarithmic scale, are left out."""
        scaled = _scaled(values, self.log)
        place = (scaled - self.low) / (self.high - self.low) * FINE
        if self.total + len(scaled) <= EXACT:
            self.kept.append(scaled)
        else:
            self.kept.clear()
        self.counts += np.bincount(np.clip(np.floor(place) + 1, 0, FINE + 1).astype(np.int64), None, FINE + 2)

    @property
    def total(self) -> int:
        """Values counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """Value below which this share of all lies; NaN without any."""
        if not self.total:
            return float("nan")
        if self.kept:
            exact = float(np.quantile(np.concatenate(self.kept), share))
            return 10.0**exact if self.log else exact
        edges = np.linspace(self.low, self.high, FINE + 1)
        cumulative = np.concatenate([[self.counts[0]], self.counts[0] + np.cumsum(self.counts[1:-1])])
        value = float(np.interp(share * self.total, cumulative, edges))
        return 10.0**value if self.log else value

    def scatter(self) -> float:
        """Half the range of the middle 68 per cent."""
        return 0.5 * (self.quantile(0.84135) - self.quantile(0.15865))

    def coarse(self, low: float, high: float, bins: int) -> tuple[np.ndarray, int, int]:
        """Counts in fewer bins of a narrower range, in the histogram's own scale; how many lie below and above it."""
        middle = np.linspace(self.low, self.high, 2 * FINE + 1)[1::2]
        inside = self.counts[1:-1]
        place = np.floor((middle - low) / (high - low) * bins).astype(np.int64)
        counts = np.bincount(np.clip(place + 1, 0, bins + 1), inside, bins + 2).astype(np.int64)
        return counts[1:-1], int(counts[0] + self.counts[0]), int(counts[-1] + self.counts[-1])


def _scaled(values: np.ndarray, log: bool) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values) & (values > 0)] if log else values[np.isfinite(values)]
    return np.log10(values) if log else values
