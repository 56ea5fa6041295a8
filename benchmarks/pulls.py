"""Pulls and coverage: from fitted values, errors and truth to whether the errors are right.

A pull is (fitted - true) / error, in the variable that is fitted: the logarithm for sizes and the Sérsic index,
whose error is then error / fitted, since that is what the covariance of the fit gives. If errors are right, pulls
have the median 0, the half-width of their central 68.27 % is 1, and 68.27 % and 95 % lie within 1 and 1.96.

Uncertainties of these statistics for N pulls that are normally distributed, from the variance of a quantile,
p (1 - p) / (N phi(z)^2):

    median 1.253 / sqrt(N),     half-width 0.962 / sqrt(N),     coverage sqrt(p (1 - p) / N)

A galaxy that has no error (NaN) is *lacking*: it has no pull, and counts as not covered. Errors that are given as
samples (bootstrap, posterior) have pulls as well: the rank of the truth among them, as a normal deviate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import tables

NORMAL = NormalDist()
LEVELS = (0.6827, 0.95)
"""Probabilities of the intervals whose coverage is counted."""
PERIOD = {"position_angle": 180.0}
LOGARITHMIC = ("effective_radius", "sersic_index", "scale_radius", "fwhm")
"""Parameters that are fitted as logarithms, by the last part of their names."""
MEDIAN, WIDTH = 0.05, 0.05
"""How far the median may be from 0 and the half-width from 1."""
COVERAGE = {0.6827: 0.02, 0.95: 0.01}
"""How far coverage may be from its level."""


@dataclass(frozen=True)
class Summary:
    """Statistics of the pulls of one parameter, each with its uncertainty.

    Attributes
    ----------
    count, lacking : int
        Galaxies that have a pull, and those without an error.
    median, half_width : (float, float)
        Of the pulls, with standard deviations.
    coverage : dict
        Level -> (share of galaxies whose interval holds the truth, its standard deviation).
    """

    count: int
    lacking: int
    median: tuple[float, float]
    half_width: tuple[float, float]
    coverage: Mapping[float, tuple[float, float]]

    @property
    def holds(self) -> bool:
        """Whether every statistic is within what is asked for."""
        covered = all(abs(share - level) <= COVERAGE[level] for level, (share, _) in self.coverage.items())
        return abs(self.median[0]) <= MEDIAN and abs(self.half_width[0] - 1) <= WIDTH and covered


def is_log(name: str) -> bool:
    """Whether a parameter (``galaxy.effective_radius`` or its last part) is fitted as a logarithm."""
    return name.rpartition(".")[2] in LOGARITHMIC


def difference(name: str, fitted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fitted less true (galaxy,), angles within half a period."""
    period = PERIOD.get(name.rpartition(".")[2])
    off = np.asarray(fitted, dtype=float) - np.asarray(truth, dtype=float)
    return off if period is None else (off + period / 2) % period - period / 2


def pull(
    name: str, fitted: np.ndarray, error: np.ndarray, truth: np.ndarray, *, log: bool | None = None
) -> np.ndarray:
    """Pulls (galaxy,) of a parameter; NaN where there is no error.

    Parameters
    ----------
    name : str
        Decides upon period and logarithm.
    fitted, error, truth : array
        (galaxy,): as in a catalogue, all linear.
    log : bool, optional
        In the logarithm of the parameter; by its name where left out.
    """
    fitted, error = (np.asarray(numbers, dtype=float) for numbers in (fitted, error))
    with np.errstate(divide="ignore", invalid="ignore"):
        if is_log(name) if log is None else log:
            return np.log(fitted / truth) / (error / fitted)
        return difference(name, fitted, truth) / error


def pull_of_samples(name: str, fitted: np.ndarray, samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pulls (galaxy,) from samples (galaxy, sample): the normal deviate of the truth's rank among them.

    Samples that are NaN do not count. With few samples the largest pulls are not reached: 100 give 2.6 at most.
    """
    fitted = np.asarray(fitted, dtype=float)[:, None]
    offsets, true = difference(name, samples, fitted), difference(name, truth[:, None], fitted)
    good = np.isfinite(offsets)
    below = ((offsets < true) & good).sum(1) + 0.5 * ((offsets == true) & good).sum(1)
    rank = (below + 0.5) / (good.sum(1) + 1)
    pulls = np.array([-NORMAL.inv_cdf(r) for r in np.clip(rank, 1e-9, 1 - 1e-9)])
    return np.where(good.sum(1) > 1, pulls, np.nan)


def summarise(pulls: np.ndarray) -> Summary:
    """Statistics of pulls (galaxy,); NaN are counted as lacking and as not covered."""
    pulls = np.asarray(pulls, dtype=float)
    kept = pulls[np.isfinite(pulls)]
    root = math.sqrt(max(len(kept), 1))
    coverage = {}
    for level in LEVELS:
        inside = float(np.mean(np.abs(kept) < NORMAL.inv_cdf(0.5 + level / 2))) if len(kept) else math.nan
        share = inside * len(kept) / max(len(pulls), 1)
        coverage[level] = share, math.sqrt(level * (1 - level) / max(len(pulls), 1))
    return Summary(
        len(kept),
        len(pulls) - len(kept),
        (tables.middle(kept), 1.2533 / root),
        (tables.half_width(kept), 0.9623 / root),
        coverage,
    )


def of_result(
    result: object, truth: Mapping[str, np.ndarray], *, log: bool | None = None
) -> dict[str, np.ndarray]:
    """Pulls (galaxy,) of an ``isolux.Result`` for every parameter of the truth, by full name."""
    return {
        name: pull(name, result[name].double().numpy(), result.error(name).double().numpy(), true, log=log)  # type: ignore[index, attr-defined]
        for name, true in truth.items()
    }


def of_samples(result: object, truth: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same from ``Result.samples`` (galaxy, sample, parameter)."""
    names = [column.name for column in result.columns]  # type: ignore[attr-defined]
    samples = result.samples.double().numpy()  # type: ignore[attr-defined]
    return {
        name: pull_of_samples(name, result[name].double().numpy(), samples[:, :, names.index(name)], true)  # type: ignore[index]
        for name, true in truth.items()
    }


def cell(summary: Summary) -> str:
    """``median ± half-width``, bold where one of them is outside what is asked for."""
    if summary.count == 0:
        return "-"
    text = f"{summary.median[0]:+.2f} ± {summary.half_width[0]:.2f}"
    wrong = abs(summary.median[0]) > MEDIAN or abs(summary.half_width[0] - 1) > WIDTH
    return f"**{text}**" if wrong else text


def covered(summary: Summary) -> str:
    """Coverage in per cent, ``68.1 / 95.0``, bold where outside what is asked for."""
    if summary.count == 0:
        return "-"
    text = " / ".join(f"{100 * share:.1f}" for share, _ in summary.coverage.values())
    wrong = any(abs(share - level) > COVERAGE[level] for level, (share, _) in summary.coverage.items())
    return f"**{text}**" if wrong else text


def table(rows: Sequence[tuple[str, Mapping[str, np.ndarray]]], names: Mapping[str, str]) -> str:
    """Two lines a row, pulls and coverage, in Markdown.

    Parameters
    ----------
    rows : sequence of (title, pulls)
        Pulls (galaxy,) by parameter.
    names : mapping
        Parameter -> heading.
    """
    lines = []
    for title, pulls in rows:
        found = {name: summarise(pulls[name]) for name in names if name in pulls}
        galaxies = len(next(iter(pulls.values())))
        for label, show in (("pull", cell), ("covered, %", covered)):
            shown = [show(found[name]) if name in found else "" for name in names]
            lines.append([title, str(galaxies), label, *shown])
            title, galaxies = "", ""
    return tables.markdown(["", "galaxies", "", *names.values()], lines)
