"""Pairs of galaxies: whether both are found, how well they are measured, and whether the errors know of the blend."""

import argparse
from pathlib import Path

import field_scores as scoring
import field_tables
import numpy as np
from field_mocks import Mock, kept
from field_runs import Found, isolux, sextractor
from tables import half_width, markdown, middle

SEPARATIONS = (0.5, 1.0, 1.5, 2.0, 3.0)
PAIRS, CELL = 100, 160
"""Pairs of a field, and pixels a side for each."""
NAMES = ("fx", "magnitude", "re", "n", "q")
TEXT = """
## Blends

Pairs of single Sérsic galaxies of {bright:.1f} to {faint:.1f} mag, Euclid-VIS-like, drawn by GalSim, {pairs} pairs at
each separation, in half-light radii of the larger one; PSF given. "Both found": share of pairs taken apart by the
detection. "Positions given": fitted at the true places, where detection has no part. Pulls are (fitted - true) / error.
Dispersions are those of the field tables. Isolux at commit {versions}.
"""


def blends(work: Path, options: argparse.Namespace) -> str:
    """All separations."""
    pairs = max(8, round(PAIRS * options.scale**2))
    limits = {"bright": 18.2, "faint": 22.2}
    side = int(np.ceil(np.sqrt(pairs))) * CELL
    lines, versions = [], {}
    for separation in SEPARATIONS:
        mock = kept(
            work / f"pairs-{separation}",
            "euclid",
            seed=options.seed,
            reuse=options.reuse,
            size=side,
            galaxies=2 * pairs,
            stars=10,
            morphology="sersic",
            arrangement="pairs",
            separation=separation,
            **limits,
        )
        reuse, again = options.reuse and "isolux" not in options.again, options.reuse
        run = (["sersic"], "given", options.cores, reuse)
        codes = [isolux(mock, *run, "Isolux"), isolux(mock, *run, "Isolux, positions given", "true")]
        codes.append(sextractor(mock, "sersic", "given", again, "SExtractor"))
        versions |= {found.cost.version: 1 for found in codes[:2]}
        lines += [line_of(mock, separation, found) for found in codes]
    header = ["separation", "code", "both found", "galaxies"]
    header += [f"pull {n}" for n in ("x", *NAMES[1:])] + [f"D({n}), outliers" for n in NAMES[1:4]]
    return (
        TEXT.format(pairs=pairs, versions=" and ".join(versions), **limits) + "\n" + markdown(header, lines)
    )


def line_of(mock: Mock, separation: float, found: Found) -> list[str]:
    """One code at one separation; of pairs of which both were found."""
    place = place_of(mock, found)
    partner = mock.truth["partner"]
    seen = (place >= 0) & (partner > 0)
    both = seen & seen[np.maximum(partner - 1, 0)]
    rows, true = found.rows(place), field_tables.truth_of(mock, "sersic") | {"fx": mock.truth["x"]}
    good = both & np.all([np.isfinite(rows[name]) for name in NAMES], axis=0)
    named = [name for name in NAMES if f"{name}_err" in rows]
    pulls = scoring.pulls(rows, true, named)
    cells = []
    for name in NAMES:
        some = pulls[name][good] if name in pulls else np.zeros(0)
        cells.append(f"{middle(some):+.2f} ± {half_width(some):.2f}" if np.isfinite(some).any() else "-")
    for name in NAMES[1:4]:
        one = scoring.score_bin(scoring.errors(name, rows[name], true[name])[good])
        cells.append(f"{one.dispersion:.3f}, {100 * one.outliers:.0f} %")
    share = both[partner > 0].mean()
    return [f"{separation:g} re", found.title, f"{100 * share:.0f} %", str(int(good.sum())), *cells]


def place_of(mock: Mock, found: Found) -> np.ndarray:
    """Rows of the true sources: the nearest within a third of the pair's distance, or of the PSF's width."""
    t = mock.truth
    partner = np.maximum(t["partner"] - 1, 0)
    apart = np.hypot(t["x"] - t["x"][partner], t["y"] - t["y"][partner])
    radius = np.where(t["partner"] > 0, np.maximum(apart / 3, 0.5 * mock.fwhm), mock.fwhm)
    return scoring.match(t["x"], t["y"], t["magnitude"], found.columns["x"], found.columns["y"], radius)
