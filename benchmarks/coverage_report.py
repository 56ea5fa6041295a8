"""Tables and figure of the coverage benchmark, from what coverage.py kept of every fit."""

import datetime
import itertools
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pulls
import tables
from about import commit, processor

import isolux

Rows = Mapping[str, np.ndarray]
HEADS = {
    "galaxy.x": "x",
    "galaxy.y": "y",
    "galaxy.magnitude": "mag",
    "galaxy.effective_radius": "r_e",
    "galaxy.sersic_index": "n",
    "galaxy.axis_ratio": "q",
    "galaxy.position_angle": "PA",
    "sky.level": "sky",
}
DOUBTFUL = isolux.Flag.AT_BOUND | isolux.Flag.NOT_QUADRATIC | isolux.Flag.NO_COVARIANCE
"""Flags that say that the errors from the covariance are not to be trusted."""
BINS = (8, 12, 20, 30, 50, 100, 200, 500, 1000)
BRIGHT = 100.0
"""Signal-to-noise above which failures are counted."""
MISSED = 1.0
"""A chi-square this far above the lowest known is a missed minimum."""
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"


def text(found: Mapping[str, Rows], titles: Mapping[str, str], command: str, note: str = "") -> str:
    """The section of RESULTS.md."""
    date = datetime.date.today()
    parts = [
        "## Coverage",
        f"`{command}`{f' ({note})' if note else ''}, {date}, Isolux at commit {commit()}, {processor()}.",
        INTRODUCTION,
        "All galaxies of every family:",
        pulls.table([(titles[name], picked(rows, "pull")) for name, rows in found.items()], HEADS),
        "By signal-to-noise, sky fitted:",
        pulls.table(binned(found, "pull"), HEADS),
        FLAGGED,
        pulls.table(flagged(found, titles), HEADS),
        BOOTSTRAPPED,
        pulls.table(bootstrapped(found), HEADS),
        LINEAR,
        linear_table(found),
        FAILURES,
        failures(found, titles),
    ]
    return "\n\n".join(part for part in parts if part)


INTRODUCTION = """\
Pulls, (fitted − true) / error, as median ± half-width of the central 68.27 %, and the share of galaxies whose 1σ
(68.27 %) and 1.96σ (95 %) intervals hold the truth; r_e and n in their logarithms, as they are fitted. Bold is what
lies outside ±0.05, 0.95 to 1.05, 68 ± 2 % or 95 ± 1 %. A parameter that ended at its bound has no error and counts as
not covered; no galaxy is left out. For 5,000 galaxies the median is uncertain by 0.018, the half-width by 0.014 and
coverage by 0.7 % and 0.3 %; for 1,000 galaxies by 0.040, 0.030, 1.5 % and 0.7 %, so that some of many numbers are
bold by chance.

GalSim draws isolated Sérsic galaxies (n 0.5 to 6, r_e from the PSF's half width, 1.6 pixels, to 15 pixels, both
log-uniform; q 0.2 to 0.95; Moffat PSF of 3.0 to 3.5 pixels; stamps of 64, 96 or 128 pixels). Electrons of galaxy and
sky are Poisson; the matched-filter signal-to-noise is log-uniform from 50 to 1000 where nothing else is said; sigma
maps are the expected ones. A sky that is fitted lies up to one sigma of a pixel off zero. Isolux starts from its own
values."""
FLAGGED = """\
The same with galaxies parted by whether the fit itself says that its errors are doubtful (`NOT_QUADRATIC`, `AT_BOUND`
or `NO_COVARIANCE`):"""
BOOTSTRAPPED = """\
Errors from the covariance and from the bootstrap (100 replicates) of the same galaxies, some of those that are flagged
and some that are not; "percentiles" takes intervals from the replicates themselves. Fainter galaxies are in the section
"Errors of faint galaxies":"""
LINEAR = """\
The error columns of r_e and n are linear, symmetric in the value itself. A user who takes `r_e ± r_e_err` instead of
`ln r_e ± r_e_err / r_e` gets:"""
FAILURES = f"""\
Failures among galaxies with a signal-to-noise above {BRIGHT:.0f} (all, for fainter families). Catastrophic: off by more
than 0.15 dex in r_e or 0.3 mag. Missed minimum: chi-square more than {MISSED:.0f} above the lowest from automatic
starting values, perturbed truth, truth and scattered values."""


def picked(rows: Rows, kind: str, some: np.ndarray | slice = slice(None)) -> dict[str, np.ndarray]:
    """Pulls of one kind by parameter, of some galaxies."""
    return {key.partition(" ")[2]: values[some] for key, values in rows.items() if key.startswith(f"{kind} ")}


def binned(found: Mapping[str, Rows], kind: str) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Pulls by signal-to-noise of the families that differ in nothing else."""
    same = [found[name] for name in ("fainter", "faint", "sky") if name in found]
    lines = []
    for low, high in itertools.pairwise(BINS):
        inside = [(rows, (rows["signal"] >= low) & (rows["signal"] < high)) for rows in same]
        pieces = [picked(rows, kind, some) for rows, some in inside if some.any()]
        if pieces:
            merged = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
            lines.append((f"{low} to {high}", merged))
    return lines


def flagged(found: Mapping[str, Rows], titles: Mapping[str, str]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Pulls of galaxies with and without doubtful errors."""
    lines = []
    for name, rows in found.items():
        for word, some in (("not flagged", ~rows["doubtful"]), ("flagged", rows["doubtful"])):
            if some.any():
                lines.append((f"{titles[name]}: {word}", picked(rows, "pull", some)))
    return lines


def bootstrapped(found: Mapping[str, Rows]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Pulls from the covariance and from the bootstrap of the same galaxies."""
    lines = []
    for word, wanted in (("flagged", True), ("not flagged", False)):
        for title, kind in (
            ("covariance", "pull"),
            ("bootstrap", "boot"),
            ("bootstrap, percentiles", "rank"),
        ):
            pieces = [
                picked(rows, kind, rows["booted"] & (rows["doubtful"] == wanted))
                for rows in found.values()
                if "booted" in rows
            ]
            if pieces:
                merged = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
                lines.append((f"{word}: {title}", merged))
    return lines


def linear_table(found: Mapping[str, Rows]) -> str:
    """Coverage of r_e and n by signal-to-noise, with intervals in the value and in its logarithm."""
    lines = []
    for (title, log), (_, linear) in zip(binned(found, "pull"), binned(found, "linear"), strict=True):
        cells = [title, str(len(log["galaxy.x"]))]
        for name in linear:
            for way in (log, linear):
                summary = pulls.summarise(way[name])
                cells += [f"{pulls.cell(summary)}; {pulls.covered(summary)}"]
        lines.append(cells)
    heads = ["S/N", "galaxies", "r_e, logarithm", "r_e, linear", "n, logarithm", "n, linear"]
    return tables.markdown(heads, lines)


def failures(found: Mapping[str, Rows], titles: Mapping[str, str]) -> str:
    """Catastrophic failures and missed minima."""
    heads = ["", "galaxies", "not converged", "at bound", "catastrophic", "of these flagged", "searched"]
    heads += ["catastrophic", "from perturbed truth", "from truth", "missed minima", "from perturbed truth"]
    lines = []
    for name, rows in found.items():
        faint = np.median(rows["signal"]) < BRIGHT
        some = rows["signal"] > (0 if faint else BRIGHT)
        bad, bound = rows["catastrophic"], (rows["flags"] & int(isolux.Flag.AT_BOUND)) > 0
        cells = [titles[name], str(int(some.sum()))]
        cells += [share(what[some]) for what in (~rows["converged"], bound, bad)]
        cells.append(str(int((bad & rows["doubtful"])[some].sum())))
        searched = some & np.isfinite(rows.get("chi2 best", np.full(len(some), np.nan)))
        if searched.any():
            above = [rows[key] - rows["chi2 best"] for key in ("chi2", "chi2 perturbed")]
            worse = [
                rows["catastrophic perturbed"],
                rows["catastrophic truth"],
                *(~(a <= MISSED) for a in above),
            ]
            cells += [
                str(int(searched.sum())),
                share(bad[searched]),
                *(share(what[searched]) for what in worse),
            ]
        else:
            cells += ["-"] * 6
        lines.append(cells)
    return tables.markdown(heads, lines)


def share(what: np.ndarray) -> str:
    """``3 (0.06 %)``."""
    return f"{int(what.sum())} ({100 * what.mean():.2f} %)"


def draw(found: Mapping[str, Rows], path: Path) -> None:
    """Histograms of the pulls beside the unit normal curve, and coverage against signal-to-noise."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 6.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    _histograms(upper, picked(found["sky"], "pull"))
    _against_signal(lower, found)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _histograms(figure: object, found: Mapping[str, np.ndarray]) -> None:
    axes = figure.subplots(1, len(HEADS), sharey=True)  # type: ignore[attr-defined]
    bins, fine = np.linspace(-4.5, 4.5, 37), np.linspace(-4.5, 4.5, 201)
    for axis, (name, head) in zip(axes, HEADS.items(), strict=True):
        pull = found[name][np.isfinite(found[name])]
        axis.hist(np.clip(pull, -4.5, 4.5), bins, color=BLUE, alpha=0.75)
        normal = len(pull) * (bins[1] - bins[0]) * np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi)
        axis.plot(fine, normal, color=ORANGE, linewidth=1.3)
        axis.set(title=head, yticks=[], xticks=[-3, 0, 3], xlim=(-4.7, 4.7))
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.supxlabel("(fitted − true) / error, S/N 50 to 1000, sky fitted", fontsize="medium")  # type: ignore[attr-defined]


def _against_signal(figure: object, found: Mapping[str, Rows]) -> None:
    axes = figure.subplots(1, 3, sharey=False)  # type: ignore[attr-defined]
    same = [found[name] for name in ("fainter", "faint", "sky") if name in found]
    merged = {
        key: np.concatenate([rows[key] for rows in same])
        for key in same[0]
        if all(key in rows for rows in same)
    }
    everything = np.ones(len(merged["signal"]), bool)
    for axis, some, title in (
        (axes[0], everything, "all galaxies"),
        (axes[1], ~merged["doubtful"], "not flagged"),
    ):
        _coverage_lines(axis, merged, some)
        axis.set(title=title, xlabel="matched-filter S/N", ylim=(40, 102))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("truth inside the interval, %")
    axes[0].legend(fontsize="x-small", ncols=2, frameon=False, loc="lower right")
    _flag_share(axes[2], merged)


def _coverage_lines(axis: object, rows: Rows, some: np.ndarray) -> None:
    colours = ("#56B4E9", "#0072B2", "#000000", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#888888")
    for level in pulls.LEVELS:
        tolerance = pulls.COVERAGE[level]
        axis.axhspan(
            100 * (level - tolerance), 100 * (level + tolerance), color=GREY, alpha=0.25, linewidth=0
        )  # type: ignore[attr-defined]
    for colour, (name, head) in zip(colours, HEADS.items(), strict=True):
        for level in pulls.LEVELS:
            middles, shares = [], []
            for low, high in itertools.pairwise(BINS):
                inside = some & (rows["signal"] >= low) & (rows["signal"] < high)
                if inside.sum() >= 100:
                    middles.append(np.sqrt(low * high))
                    shares.append(100 * pulls.summarise(rows[f"pull {name}"][inside]).coverage[level][0])
            label = head if level == pulls.LEVELS[0] else None
            axis.plot(middles, shares, ".-", color=colour, linewidth=1, markersize=4, label=label)  # type: ignore[attr-defined]
    _log_signal(axis)


def _log_signal(axis: object) -> None:
    """A logarithmic axis that is labelled where bins end, and nowhere twice."""
    axis.set_xscale("log")  # type: ignore[attr-defined]
    axis.set_xticks(BINS[::2], [str(edge) for edge in BINS[::2]])  # type: ignore[attr-defined]
    axis.minorticks_off()  # type: ignore[attr-defined]


def _flag_share(axis: object, rows: Rows) -> None:
    middles = [np.sqrt(low * high) for low, high in itertools.pairwise(BINS)]
    for flag, colour in (
        (isolux.Flag.NOT_QUADRATIC, BLUE),
        (isolux.Flag.AT_BOUND, ORANGE),
        (isolux.Flag.LOW_SIGNAL, GREEN),
        (isolux.Flag.UNRESOLVED, GREY),
    ):
        shares = [
            100 * np.mean((rows["flags"][(rows["signal"] >= low) & (rows["signal"] < high)] & int(flag)) > 0)
            for low, high in itertools.pairwise(BINS)
        ]
        axis.plot(middles, shares, ".-", color=colour, label=flag.name, linewidth=1)  # type: ignore[attr-defined]
    _log_signal(axis)
    axis.set(title="flagged", ylabel="%", xlabel="matched-filter S/N", ylim=(-2, 102))  # type: ignore[attr-defined]
    axis.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
    axis.legend(fontsize="x-small", frameon=False)  # type: ignore[attr-defined]
