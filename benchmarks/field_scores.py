"""How well a catalogue of a field agrees with its truth.

Sources are matched one to one, the brightest of the truth first, each with the nearest detection that is left within
a radius. Errors are those of the Euclid Morphology Challenge (Bretonniere et al. 2023, A&A 671, A102): relative for
sizes, in dex for the Sersic index, differences for the rest; here magnitudes are differences too. In a bin of true
magnitude

    B = median(e)     D = quantile_0.68(|e - B|)     O = share of |e| > 0.5

and the score of a quantity, smaller being better, with completeness C and weights w that sum to one,

    S = (1 - C) + sum_bins w (|B| + D + O),     w ~ (galaxies of the bin) x p(magnitude)

with p the cubic through the challenge's logarithm of the signal-to-noise at 16 to 26 mag (file app/utils.py of its
repository; all factors one, as in its published numbers).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

OUTLIER = 0.5
"""Error beyond which a value is an outlier, in the unit of errors."""
QUANTILE = 0.68
SIZES = ("re", "re_b", "re_d")
LOGARITHMS = ("n",)
CHALLENGE_SNR = np.array(
    (
        *(7.50250212, 6.79360416, 6.09274036, 5.39695112, 4.70327681, 4.00875781),
        *(3.31043451, 2.60534727, 1.89053648, 1.16304252, 0.41990577),
    )
)
CHALLENGE_MAGNITUDES = np.linspace(16, 26, 11)


@dataclass(frozen=True)
class Bin:
    """Scores of one quantity in one bin; NaN where it is empty."""

    count: int
    bias: float
    dispersion: float
    outliers: float


def match(
    true_x: np.ndarray,
    true_y: np.ndarray,
    magnitude: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    radius: np.ndarray | float,
) -> np.ndarray:
    """Row of the detection of each true source, or -1; the brightest choose first, each the nearest in its radius."""
    found = np.full(len(true_x), -1)
    radius = np.broadcast_to(np.asarray(radius, float), np.shape(true_x))
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(good):
        return found
    tree, taken = cKDTree(np.stack([x[good], y[good]], 1)), np.zeros(len(good), bool)
    for k in np.argsort(magnitude, kind="stable"):
        near = np.array(tree.query_ball_point((true_x[k], true_y[k]), radius[k]), int)
        near = near[~taken[near]]
        if len(near):
            away = np.hypot(x[good[near]] - true_x[k], y[good[near]] - true_y[k])
            best = near[np.argmin(away)]
            taken[best] = True
            found[k] = good[best]
    return found


def errors(name: str, found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Errors of a quantity in the challenge's unit; NaN where there is no value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if name in SIZES:
            return (found - true) / true
        if name in LOGARITHMS:
            return np.where(found > 0, np.log10(np.where(found > 0, found, 1) / true), np.nan)
        return found - true


def scale(name: str, true: np.ndarray) -> np.ndarray:
    """The challenge's error for a change of one of a quantity, near its true value."""
    if name in SIZES:
        return 1 / true
    if name in LOGARITHMS:
        return 1 / (true * np.log(10))
    return np.ones_like(true)


def dispersion(error: np.ndarray) -> float:
    """The 68 % quantile of distances from the median; NaN of nothing."""
    error = error[np.isfinite(error)]
    return float(np.quantile(np.abs(error - np.median(error)), QUANTILE)) if len(error) else np.nan


def score_bin(error: np.ndarray) -> Bin:
    """Scores of the errors of a bin; what is not finite does not count."""
    error = error[np.isfinite(error)]
    if not len(error):
        return Bin(0, np.nan, np.nan, np.nan)
    return Bin(
        len(error), float(np.median(error)), dispersion(error), float(np.mean(np.abs(error) > OUTLIER))
    )


def score_bins(error: np.ndarray, magnitude: np.ndarray, edges: Sequence[float]) -> list[Bin]:
    """Scores in bins of true magnitude, the brighter edge in the bin."""
    return [score_bin(error[inside]) for inside in in_bins(magnitude, edges)]


def in_bins(magnitude: np.ndarray, edges: Sequence[float]) -> list[np.ndarray]:
    """Which sources are in each bin."""
    return [(magnitude >= low) & (magnitude < high) for low, high in pairwise(edges)]


def weights(counts: Sequence[int], edges: Sequence[float], shift: float = 0.0) -> np.ndarray:
    """The challenge's weights of bins; ``shift`` magnitudes are added to reach its depth. They sum to one."""
    middle = (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2 + shift
    weight = np.asarray(counts) * np.polyval(np.polyfit(CHALLENGE_MAGNITUDES, CHALLENGE_SNR, 3), middle)
    return weight / weight.sum()


def global_score(
    bins: Sequence[Bin], completeness: float, edges: Sequence[float], shift: float = 0.0
) -> float:
    """The challenge's score S of a quantity; empty bins have no weight."""
    weight = weights([b.count for b in bins], edges, shift)
    cost = np.array([abs(b.bias) + b.dispersion + b.outliers if b.count else 0.0 for b in bins])
    return float(1 - completeness + (weight * cost).sum())


def shares(good: np.ndarray, magnitude: np.ndarray, edges: Sequence[float]) -> list[tuple[float, int]]:
    """In each bin the share of what is true, and of how many."""
    return [
        (float(good[inside].mean()) if inside.any() else np.nan, int(inside.sum()))
        for inside in in_bins(magnitude, edges)
    ]


def expected_dispersion(sigma: np.ndarray, seed: int = 0, times: int = 200) -> float:
    """Dispersion of errors that are normal, each with its own standard deviation."""
    sigma = sigma[np.isfinite(sigma)]
    if not len(sigma):
        return np.nan
    drawn = np.random.default_rng(seed).normal(size=(times, len(sigma))) * sigma
    return float(np.quantile(np.abs(drawn), QUANTILE))


def pulls(
    found: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Differences from the truth over the errors that came with the values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: (found[name] - true[name]) / found[f"{name}_err"] for name in names}
