"""From what the codes found to tables in Markdown."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Columns of all tables of parameters: sizes in pixels, angles in degrees.
NAMES = {
    "single": ("x", "y", "mag", "re", "n", "q", "pa"),
    "double": ("x", "y", "mag_b", "re_b", "q_b", "pa_b", "mag_d", "re_d", "q_d", "pa_d"),
}
MISSED = 25.0
"""A chi2 this much above the lowest of all codes is a missed minimum."""
BAD_MAGNITUDE, BAD_RADIUS = 0.3, 0.15
"""Errors (mag, dex) beyond which a fit is of no use."""


@dataclass(frozen=True)
class Answers:
    """One code's answers for the first galaxies of a set: as codes/common.py saves them, with a title."""

    title: str
    values: np.ndarray
    errors: np.ndarray
    chi2: np.ndarray
    converged: np.ndarray
    cpu: np.ndarray
    peak_mb: float
    versions: tuple[str, ...]
    date: str
    note: str
    loop: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def load(cls, path: Path, title: str) -> "Answers":
        with np.load(path) as f:
            columns = {name: f[name] for name in ("values", "errors", "chi2", "converged", "cpu")}
            lists = {name: tuple(f[name].tolist()) for name in ("versions", "loop")}
            words = {name: str(f[name]) for name in ("date", "note")}
            return cls(title, **columns, **lists, **words, peak_mb=float(f["peak_mb"]))


def half_width(sample: np.ndarray) -> float:
    """Half the width of the central 68.27 %: a standard deviation that outliers hardly move."""
    sample = sample[np.isfinite(sample)]
    return float(np.diff(np.percentile(sample, [15.865, 84.135]))[0] / 2) if len(sample) else np.nan


def middle(sample: np.ndarray) -> float:
    """The median of what is finite."""
    sample = sample[np.isfinite(sample)]
    return float(np.median(sample)) if len(sample) else np.nan


def differences(kind: str, values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fitted less true values, angles within 90 degrees."""
    difference = values - truth
    for column, name in enumerate(NAMES[kind]):
        if name.startswith("pa"):
            difference[:, column] = (difference[:, column] + 90) % 180 - 90
    return difference


def quantities(kind: str, values: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """What is compared with the truth, each as fitted less true."""
    found, true = (dict(zip(NAMES[kind], table.T, strict=True)) for table in (values, truth))
    difference = dict(zip(NAMES[kind], differences(kind, values, truth).T, strict=True))

    def dex(name: str) -> np.ndarray:
        return np.log10(found[name] / true[name])

    with np.errstate(invalid="ignore"):
        if kind == "single":
            same = {name: difference[name] for name in ("q", "pa")}
            return {"magnitude": difference["mag"], "log re": dex("re"), "log n": dex("n"), **same}
        (total, share), (true_total, true_share) = total_and_share(found), total_and_share(true)
        return {
            "magnitude": total - true_total,
            "bulge share": share - true_share,
            "log re, bulge": dex("re_b"),
            "log re, disc": dex("re_d"),
            "q, bulge": difference["q_b"],
            "q, disc": difference["q_d"],
        }


def total_and_share(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Total magnitude of bulge and disc, and the bulge's share of the light."""
    bulge, disc = (10 ** (-0.4 * columns[name]) for name in ("mag_b", "mag_d"))
    return -2.5 * np.log10(bulge + disc), bulge / (bulge + disc)


def catastrophic(errors: dict[str, np.ndarray]) -> np.ndarray:
    """Which galaxies are off by too much, or have no answer."""
    bad = False
    for name, values in errors.items():
        for start, limit in (("magnitude", BAD_MAGNITUDE), ("log re", BAD_RADIUS)):
            if name.startswith(start):
                bad = bad | ~(np.abs(values) <= limit)
    return np.asarray(bad)


def pulls(kind: str, answers: Answers, truth: np.ndarray) -> np.ndarray:
    """(galaxy, parameter): differences in units of the code's errors, without the catastrophic galaxies."""
    truth = truth[: len(answers)]
    good = ~catastrophic(quantities(kind, answers.values, truth))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (differences(kind, answers.values, truth) / answers.errors)[good]


def speed(kind: str, rows: Sequence[Answers], truth: np.ndarray) -> str:
    """Times, memory and failures. Ratios are to the first row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # galaxies without any answer
        stacked = np.full((len(rows), len(truth)), np.nan)
        for k, row in enumerate(rows):
            stacked[k, : len(row)] = row.chi2
        best = np.nanmin(stacked, axis=0)
    dof = 128 * 128 - truth.shape[1]
    header = ["code", "galaxies", "CPU s a galaxy, median", "mean", "median, relative", "peak memory, MB"]
    header += ["not converged", "catastrophic", "missed minima", "chi2 / dof, median"]
    lines = []
    for row in rows:
        count = len(row)
        wrong = catastrophic(quantities(kind, row.values, truth[:count]))
        missed = ~(row.chi2 - best[:count] <= MISSED)
        shares = [f"{100 * np.mean(what):.1f} %" for what in (~row.converged, wrong, missed)]
        cpu, mean = np.median(row.cpu), row.cpu.mean()
        times = [f"{cpu:.3g}", f"{mean:.3g}", f"{cpu / np.median(rows[0].cpu):.3g}", f"{row.peak_mb:.0f}"]
        lines.append([row.title, str(count), *times, *shares, f"{middle(row.chi2) / dof:.4f}"])
    return markdown(header, lines)


def accuracy(kind: str, rows: Sequence[Answers], truth: np.ndarray) -> str:
    """Bias (median) and scatter of each quantity."""
    lines = []
    for row in rows:
        errors = quantities(kind, row.values, truth[: len(row)])
        lines.append([row.title, *(f"{middle(e):+.4f} ± {half_width(e):.4f}" for e in errors.values())])
    return markdown(["code", *errors], lines)


def pull_table(kind: str, rows: Sequence[Answers], truth: np.ndarray) -> str:
    """Median and half-width of the pulls: 0 ± 1 if the errors are right."""
    lines = []
    for row in rows:
        columns = pulls(kind, row, truth).T
        shown = [f"{middle(p):+.2f} ± {half_width(p):.2f}" if np.isfinite(p).any() else "-" for p in columns]
        lines.append([row.title, *shown])
    return markdown(["code", *NAMES[kind]], lines)


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; the first column to the left, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *lines))


def put(path: Path, section: str, text: str) -> None:
    """Replace a section of a Markdown file between its markers, or add it at the end."""
    start, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    old = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n\nWritten by `make bench`.\n"
    new = f"{start}\n{text.strip()}\n{end}"
    if start in old:
        before, _, rest = old.partition(start)
        old = before + new + rest.partition(end)[2]
    else:
        old = f"{old.rstrip()}\n\n{new}\n"
    path.write_text(old, encoding="utf-8")
