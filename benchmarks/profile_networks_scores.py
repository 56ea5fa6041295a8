"""How profiles compare with the truth, for the benchmark of networks: arrays over samples and common radii, and tables.

Per profile, the deviation is the median over the radii of the truth at which the code has one, in mag/arcsec^2; what is
said of a set is the median and the interquartile range over profiles, so that none counts twice. "Whole" counts radii
that a code leaves out as worse than any other.
"""

import dataclasses
import itertools

import numpy as np
from profile_networks_codes import Reading
from profile_networks_sets import Sample, surface_brightness
from profile_networks_truth import GRID

BRIGHT, FAILED, FEWEST, MARGIN = 26.5, 0.2, 8, 1.05
"""mag/arcsec^2 of the paper; mag from which a profile has failed; profiles of which a median is said; ratio."""

MOST = 5.0
STEP = 0.2
"""Arcsec between the paper's radii."""


@dataclasses.dataclass
class Scores:
    """Of one code on some samples, (sample, radius), NaN beyond truth or profile: magnitudes, pulls, in interval."""

    samples: list[Sample]
    truth: np.ndarray
    said: np.ndarray
    pull: np.ndarray
    inside: np.ndarray
    there: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of(cls, samples: list[Sample], readings: list[Reading]) -> "Scores":
        rows = [_one(s, r) for s, r in zip(samples, readings, strict=True)]
        parts = (np.array(column).reshape(len(samples), -1) for column in zip(*rows, strict=True))
        found = np.array([r.there for r in readings])
        return cls(samples, *parts, found, np.array([r.seconds for r in readings]))

    @property
    def deviation(self) -> np.ndarray:
        """In magnitudes, :data:`MOST` at most, since light that is not positive has none."""
        return np.clip(self.said - self.truth, -MOST, MOST)

    def pick(self, rows: np.ndarray) -> "Scores":
        """Some samples, by an array of bool."""
        some = [s for s, good in zip(self.samples, rows, strict=True) if good]
        arrays = (self.truth, self.said, self.pull, self.inside, self.there, self.seconds)
        return Scores(some, *(a[rows] for a in arrays))

    def within(self, radii: np.ndarray) -> "Scores":
        """Some radii, by an array of bool (sample, radius)."""
        parts = (np.where(radii, a, np.nan) for a in (self.truth, self.said, self.pull, self.inside))
        return Scores(self.samples, *parts, self.there, self.seconds)

    def each(self) -> np.ndarray:
        """Median |deviation| of each profile, NaN where there is none."""
        return row_medians(np.abs(self.deviation))

    def whole(self) -> np.ndarray:
        """The same, radii that are left out being infinitely wrong."""
        wrong = np.where(np.isnan(self.deviation) & np.isfinite(self.truth), np.inf, np.abs(self.deviation))
        return row_medians(wrong)


def _one(sample: Sample, reading: Reading) -> tuple[np.ndarray, ...]:
    mu = sample.magnitude
    there = np.isfinite(sample.brightness)
    truth = np.where(there, mu, np.nan)
    said = surface_brightness(reading.level, sample.zero_point, sample.pixel_scale)
    miss, half = reading.level - sample.brightness, 0.5 * (reading.high - reading.low)
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = np.where(there & (half > 0), miss / half, np.nan)
    known = there & np.isfinite(reading.low) & np.isfinite(reading.high)
    within = (reading.low <= sample.brightness) & (sample.brightness <= reading.high)
    return truth, said, pull, np.where(known, within, np.nan)


def row_medians(values: np.ndarray) -> np.ndarray:
    """Median of each row without its NaN; NaN where there is nothing else."""
    found = np.full(len(values), np.nan)
    some = ~np.isnan(values).all(1)
    if some.any():
        found[some] = [np.median(row[~np.isnan(row)]) for row in values[some]]
    return found


def quartiles(values: np.ndarray) -> tuple[float, float, float]:
    """Of what is not NaN."""
    good = values[~np.isnan(values)]
    if not len(good):
        return (np.nan,) * 3
    low, middle, high = np.percentile(
        good, (25, 50, 75), method="nearest" if np.isinf(good).any() else "linear"
    )
    return float(low), float(middle), float(high)


HEAD = (
    "profiles", "median (IQR)", "< 26.5", ">= 26.5", "whole", "bias", "inside 68 %", "pull width", "radii",
    "no profile", "> 0.2 mag",
)  # fmt: skip


def main_row(scores: Scores) -> list[str]:
    """Cells of a code on a set, as named by :data:`HEAD`."""
    bright, faint = (scores.within(scores.truth < BRIGHT), scores.within(scores.truth >= BRIGHT))
    each = scores.each()
    low, middle, high = quartiles(each)
    core = bright.each()
    low_b, middle_b, high_b = quartiles(core)
    covered = np.isfinite(scores.deviation).sum() / max(np.isfinite(scores.truth).sum(), 1)
    pulls = scores.pull[np.isfinite(scores.pull)]
    width = 0.5 * float(np.diff(np.percentile(pulls, (15.865, 84.135)))[0]) if len(pulls) > 50 else np.nan
    inside = scores.inside[np.isfinite(scores.inside)]
    none, count = int(np.isnan(each).sum()), len(each)
    return [
        str(count),
        f"{middle:.3f} ({high - low:.3f})",
        f"{middle_b:.3f} ({high_b - low_b:.3f})",
        number(quartiles(faint.each())[1]),
        number(quartiles(scores.whole())[1]),
        f"{quartiles(row_medians(scores.deviation))[1]:+.3f}",
        f"{np.mean(inside):.1%}" if len(inside) else "-",
        number(width, 2),
        f"{covered:.0%}",
        str(none),
        str(int((each > FAILED).sum())),
    ]


def number(value: float, digits: int = 3) -> str:
    """A number of a table."""
    if np.isnan(value):
        return "-"
    return "left out" if np.isinf(value) else f"{value:.{digits}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """In markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


@dataclasses.dataclass
class Bin:
    """A part of a set: whole profiles (rows), or radii of all of them."""

    axis: str
    name: str
    rows: np.ndarray | None = None
    radii: np.ndarray | None = None

    def of(self, scores: Scores) -> np.ndarray:
        """Median |deviation| of each profile in the bin."""
        some = scores if self.radii is None else scores.within(self.radii)
        each = some.each()
        return each if self.rows is None else each[self.rows]


def bins(samples: list[Sample]) -> list[Bin]:
    """By what the paper's Figures 4 to 6 plot, and more."""
    half = np.array([s.half_light for s in samples])
    made = [_ranges("size r50 (pixels)", half, (0, 2, 4, 8, 16, np.inf))]
    made += [_ranges("ellipticity", np.array([s.last_ellipticity for s in samples]), (0, 0.2, 0.4, 0.6, 1))]
    made += [
        _ranges("S/N in r50", np.array([s.significance for s in samples]), (0, 20, 50, 200, 1000, np.inf))
    ]
    side = np.array([max(s.image.shape) for s in samples], float)
    made += [_ranges("side of the stamp (pixels)", side, (0, 60, 80, 128, 129, np.inf))]
    crowd = np.array([s.nearest for s in samples]) / half
    axis = "next neighbour / r50"
    made += [[*_ranges(axis, crowd, (0, 2, 4, 8, np.inf)), Bin(axis, "none", np.isinf(crowd))]]
    for axis in ("survey", "kind"):
        own = np.array([getattr(s, axis) for s in samples])
        made.append([Bin(axis, str(name), own == name) for name in sorted(set(own.tolist()))])
    scale = np.array([s.pixel_scale for s in samples])
    made.append(_radii("radius / r50", GRID[None] / half[:, None], (0, 0.25, 0.5, 1, 2, 3, 4, np.inf)))
    made.append(_radii("radius (arcsec)", GRID[None] * scale[:, None], (0, 0.5, 1, 2, 4, 8, 16, np.inf)))
    mu = np.array([s.magnitude for s in samples])
    made.append(_radii("mag/arcsec^2", mu, (0, 20, 21, 22, 23, 24, 25, 26, 26.5, 27, 28.5)))
    level = np.array([s.brightness / s.noise for s in samples])
    made.append(
        _radii("brightness / noise of a pixel", level, (0, 0.05, 0.1, 0.2, 0.5, 1, 3, 10, 100, np.inf))
    )
    # Rings before the end: how much the last ones, where the signal ends, are worse.
    last = np.array([np.isfinite(row).sum() for row in mu])
    left = last[:, None] - np.arange(len(GRID))[None]
    made.append(_radii("radii before the end", left, (0, 3, 6, 10, 20, np.inf)))
    return [b for group in made if len(group) > 1 for b in group]


def _ranges(axis: str, values: np.ndarray, edges: tuple[float, ...]) -> list[Bin]:
    found = [Bin(axis, _span(a, b), (values >= a) & (values < b)) for a, b in itertools.pairwise(edges)]
    return [b for b in found if b.rows is not None and b.rows.any()]


def _radii(axis: str, values: np.ndarray, edges: tuple[float, ...]) -> list[Bin]:
    return [Bin(axis, _span(a, b), None, (values >= a) & (values < b)) for a, b in itertools.pairwise(edges)]


def _span(low: float, high: float) -> str:
    if np.isinf(high):
        return f"{low:g} and more"
    return f"below {high:g}" if low == 0 else f"{low:g} to {high:g}"


def bin_rows(found: dict[str, Scores]) -> list[list[str]]:
    """A row a bin: median |deviation| of each code and number of profiles."""
    first = next(iter(found.values()))
    rows = []
    for part in bins(first.samples):
        each = [part.of(scores) for scores in found.values()]
        count = max(int((~np.isnan(e)).sum()) for e in each)
        if count >= FEWEST:
            middles = [quartiles(e)[1] if (~np.isnan(e)).sum() >= FEWEST else np.nan for e in each]
            rows.append([part.axis, part.name, str(count), *(number(m) for m in middles)])
    return rows


def losing(found: dict[str, Scores], network: str, other: str, *, better: bool = False) -> list[str]:
    """Bins in which the network's median is larger by 5 % than the other's (or smaller), on the profiles of both."""
    said: dict[str, list[str]] = {}
    for part in bins(found[network].samples):
        one, two = part.of(found[network]), part.of(found[other])
        both = ~np.isnan(one) & ~np.isnan(two)
        if both.sum() < FEWEST:
            continue
        mine, theirs = float(np.median(one[both])), float(np.median(two[both]))
        if (mine < theirs) if better else (mine > MARGIN * theirs):
            said.setdefault(part.axis, []).append(f"{part.name} ({mine:.3f}, {theirs:.3f})")
    return [f"{axis} {', '.join(names)}" for axis, names in said.items()]


def paper_cells(scores: Scores) -> list[str]:
    """Median (and interquartile range) as the paper scores, over all and brighter than its limit."""
    pairs = [_as_the_paper(*some) for some in zip(scores.samples, scores.truth, scores.said, strict=True)]
    cells = []
    for values in zip(*pairs, strict=True):
        low, middle, high = quartiles(np.array(values))
        cells.append(f"{middle:.3f} ({high - low:.3f})")
    return cells


def _as_the_paper(sample: Sample, truth: np.ndarray, said: np.ndarray) -> tuple[float, float]:
    """Median |deviation| over steps of 0.2 arcsec to the longer profile's end, the shorter held at its last value."""
    if np.isnan(said).all():
        return np.nan, np.nan
    ends = [GRID[np.flatnonzero(np.isfinite(v))[-1]] for v in (truth, said)]
    steps = np.arange(0, max(ends), STEP / sample.pixel_scale)
    one, two = (_held(v, steps) for v in (truth, said))
    miss, bright = np.abs(one - two), one < BRIGHT
    return float(np.median(miss)), float(np.median(miss[bright])) if bright.any() else np.nan


def _held(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    good = np.isfinite(values)
    return np.interp(np.log(np.maximum(steps, 0.2)), np.log(np.maximum(GRID[good], 0.2)), values[good])
