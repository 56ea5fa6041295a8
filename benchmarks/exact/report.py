"""The tables of benchmarks/RESULTS.md and of the documentation."""

from collections.abc import Mapping, Sequence

import numpy as np
import tables

from exact import score
from exact.cases import NAMED, PLACES
from exact.compare import GIVEN, ROWS, Answers
from exact.score import LARGEST, MEDIAN, Outcome

FAMILY = ["family", "images", "over a bound", "largest error, median", "worst", "median error, worst"]
CODES = ("isolux", "pyimfit", "petrofit", "astrophot", "galmoss", "pysersic")


def by_family(outcomes: Sequence[Outcome]) -> str:
    """A line for each family, and one for all images that are not derivatives."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.family, []).append(outcome)
    lines = [[name, *score.summary(some)] for name, some in groups.items()]
    images = [o for o in outcomes if o.bound == LARGEST]
    if len(groups) > 1 and images:
        lines.append(["**all images**", *score.summary(images)])
    return tables.markdown(FAMILY, lines)


def worst(outcomes: Sequence[Outcome], count: int) -> str:
    """The images that are over a bound, the worst first."""
    over = sorted((o for o in outcomes if o.over), key=lambda o: -o.share)
    header = ["image", "largest error", "median error", "band-limited PSF", "what"]
    lines = [
        [o.name, f"{o.largest:.1e}", f"{o.median:.1e}", f"{o.limit[0]:.1e}", o.words] for o in over[:count]
    ]
    more = f"\n\nand {len(over) - count} more" if len(over) > count else ""
    return tables.markdown(header, lines) + more if lines else "All images keep the bounds."


def beside(answers: Sequence[Answers], name: str) -> str:
    """Codes on one of the compared sets."""
    header = ["code", "PSF given", "images", f"over {LARGEST:g}", f"median over {MEDIAN:g}"]
    header += ["largest error, median", "90 %", "worst", "median error, worst"]
    lines = []
    for answer in answers:
        outcomes = [o for o in answer.errors[name] if np.isfinite(o.largest)]
        largest, median = (np.array([getattr(o, kind) for o in outcomes]) for kind in ("largest", "median"))
        shares = [f"{100 * np.mean(what):.0f} %" for what in (largest > LARGEST, median > MEDIAN)]
        values = [np.median(largest), np.percentile(largest, 90), largest.max(), median.max()]
        drawn = f"{len(outcomes)} of {len(answer.errors[name])}"
        given = [answer.row.title, GIVEN[answer.row.psf], drawn]
        lines.append([*given, *shares, *(f"{v:.1e}" for v in values)])
    return tables.markdown(header, lines)


def by_galaxy(answers: Sequence[Answers]) -> str:
    """The named galaxies: largest errors with the image of a star and with the PSF at points, at the worst place."""
    rows = {(a.row.code, a.row.psf): a for a in answers if "pixel" not in a.row.options}
    codes = [code for code in CODES if (code, "effective") in rows and (code, "points") in rows]
    titles = {row.code: row.title.split(",")[0] for row in ROWS}
    header = ["n, r_e in pixels, q", *(titles[code] for code in codes)]
    lines = []
    for k, (n, radius, q) in enumerate(NAMED):
        here = slice(k * len(PLACES), (k + 1) * len(PLACES))
        cells = []
        for code in codes:
            pair = [
                max(o.largest for o in rows[code, psf].errors["named"][here])
                for psf in ("effective", "points")
            ]
            cells.append(" / ".join(f"{v:.0e}" for v in pair))
        lines.append([f"{n:g}, {radius:g}, {q:g}", *cells])
    return tables.markdown(header, lines)


def of_references(moved: Mapping[str, float], apart: Mapping[str, float]) -> str:
    """In a sentence, how exact GalSim and brute force are."""
    words = []
    for found, what in (
        (moved, "Tighter parameters change GalSim's own images by"),
        (apart, "Brute force differs from GalSim by"),
    ):
        if found:
            values, name = np.array(list(found.values())), max(found, key=lambda case: found[case])
            words.append(
                f"{what} {np.median(values):.0e} of the maximum in the median of {len(values)} images and by "
                f"{values.max():.0e} at most ({name})."
            )
    return " ".join(words)
