"""Which model Isolux chooses for sources whose kind is known: confusion matrices by signal-to-noise and size."""

import argparse
from itertools import pairwise
from pathlib import Path

import field_scores as scoring
import numpy as np
from field_mocks import Mock, Truth, kept
from field_runs import isolux
from tables import markdown

from isolux.mock.mock_field import MockField

KINDS = ("point", "exponential", "sersic", "bulge+disc", "sersic+point")
EACH, CELL = 160, 100
"""Sources of a kind, and pixels a side for each source."""
SNR = (10, 30, 100, 300, 1e5)
RADII, BRIGHT = (0.3, 0.6, 1.2, 3.01), 100
"""Bounds in half-light radius over the PSF's width, and in signal-to-noise, of the table by size."""
HALF_LIGHT = 1.6783469900166605
TEXT = """
## Choice of the model

{count} sources of each of five kinds, SDSS-like, drawn by GalSim, each in a cell of its own; magnitudes uniform over
6 mag, half-light radii log-uniform from 0.3 to 3 widths (FWHM) of the PSF. Sérsic indices of the third kind are 0.5 to
0.7 or 1.8 to 5; bulges hold 20 to 60 % of the light at 0.1 to 0.4 of the disc's half-light radius; points in galaxies
15 to 50 %. Isolux with all its models, PSF given. Numbers are per cent of the sources of a kind that were found.
Isolux at commit {version}.
"""


def choices(work: Path, options: argparse.Namespace) -> str:
    """The field, the fits, the matrices."""
    each = max(10, round(EACH * options.scale**2))
    side = int(np.ceil(np.sqrt(len(KINDS) * each))) * CELL
    mock = kept(
        work / "kinds",
        "sdss",
        seed=options.seed,
        reuse=options.reuse,
        change=lambda made: kinds(made, each, options.seed),
        size=side,
        galaxies=4 * each,
        stars=2 * each,
        morphology="sersic",
        arrangement="grid",
    )
    reuse = options.reuse and "isolux" not in options.again
    found = isolux(mock, KINDS, "given", options.cores, reuse, "Isolux")
    t = mock.truth
    lone = t["true_kind"] != ""
    place = np.full(len(lone), -1)
    place[lone] = scoring.match(
        *(t[name][lone] for name in ("x", "y", "magnitude")),
        found.columns["x"],
        found.columns["y"],
        0.7 * mock.fwhm,
    )
    chosen = found.rows(place)["model"]
    return TEXT.format(count=each, version=found.cost.version) + matrices(mock, chosen, lone & (place >= 0))


def kinds(made: MockField, each: int, seed: int) -> Truth:
    """A truth of all kinds from one of galaxies and stars; ``true_kind`` is empty for points that are in galaxies."""
    rng = np.random.default_rng(seed)
    band = next(iter(made.bands))
    look = made.band(band)
    t = {name: values.copy() for name, values in made.truth.items()}
    count, galaxies = len(t["ra"]), 4 * each
    kind = np.array([*np.repeat(KINDS[1:], each), *np.repeat(["", "point"], each)])
    width = made.psf[band].fwhm * look.pixel_scale
    radius = width * 10 ** rng.uniform(np.log10(0.3), np.log10(3), count)
    index = np.where(rng.uniform(size=count) < 0.2, rng.uniform(0.5, 0.7, count), rng.uniform(1.8, 5, count))
    magnitude = rng.uniform(look.depth - 7, look.depth - 1, count)
    of = {name: np.flatnonzero(kind == name) for name in KINDS}
    single = np.arange(count) < galaxies
    t["kind"] = np.where(single, "sersic", "star").astype("U10")
    t["sersic_index"] = np.where(single, np.where(kind == "exponential", 1.0, index), np.nan)
    t[f"effective_radius_{band}"] = np.where(single, radius, np.nan)
    t[f"half_light_radius_{band}"] = np.where(single, radius, np.nan)
    t["axis_ratio"] = np.where(single, rng.uniform(0.3, 0.95, count), np.nan)
    t[f"magnitude_{band}"] = magnitude
    _with_bulges(t, of["bulge+disc"], radius, band, rng)
    host, star = of["sersic+point"], np.flatnonzero(kind == "")
    share = rng.uniform(0.15, 0.5, each)
    t[f"magnitude_{band}"][star] = magnitude[host] - 2.5 * np.log10(share)
    t[f"magnitude_{band}"][host] = magnitude[host] - 2.5 * np.log10(1 - share)
    for name in ("ra", "dec", f"x_{band}", f"y_{band}"):
        t[name][star] = t[name][host]
    t["true_kind"] = kind
    return t


def _with_bulges(t: Truth, rows: np.ndarray, radius: np.ndarray, band: str, rng: np.random.Generator) -> None:
    """Make some rows bulges with discs; ``radius`` is the disc's half-light radius."""
    share, count = rng.uniform(0.2, 0.6, len(rows)), len(rows)
    total = t[f"magnitude_{band}"][rows]
    t["kind"][rows] = "bulge+disc"
    for name in ("sersic_index", "axis_ratio", "position_angle", f"effective_radius_{band}"):
        angle = t["position_angle"][rows] if name == "position_angle" else None
        t[name][rows] = np.nan
        if angle is not None:
            t["disc_position_angle"][rows] = angle
            t["bulge_position_angle"][rows] = angle + rng.normal(0, 15, count)
    t["bulge_effective_radius"][rows] = radius[rows] * rng.uniform(0.1, 0.4, count)
    t["bulge_sersic_index"][rows] = 4.0
    t["bulge_axis_ratio"][rows] = rng.uniform(0.6, 1.0, count)
    t["disc_scale_radius"][rows] = radius[rows] / HALF_LIGHT
    t["disc_axis_ratio"][rows] = rng.uniform(0.25, 0.95, count)
    t[f"bulge_magnitude_{band}"][rows] = total - 2.5 * np.log10(share)
    t[f"disc_magnitude_{band}"][rows] = total - 2.5 * np.log10(1 - share)


def matrices(mock: Mock, chosen: np.ndarray, seen: np.ndarray) -> str:
    """One matrix a range of signal-to-noise, and how often the choice is right by size."""
    kind, snr = mock.truth["true_kind"], signal(mock)
    parts = []
    for low, high in pairwise(SNR):
        some = seen & (snr >= low) & (snr < high)
        lines = []
        for name in KINDS:
            own = some & (kind == name)
            cells = [f"{100 * np.mean(chosen[own] == other):.0f}" if own.any() else "-" for other in KINDS]
            lines.append([name, str(int(own.sum())), *cells])
        upper = f" to {high:g}" if high < SNR[-1] else " and more"
        parts += [f"Signal-to-noise {low:g}{upper}:", markdown(["truth", "sources", *KINDS], lines)]
    by_size = sizes(mock, chosen, seen & (snr >= SNR[1]))
    return "\n" + "\n\n".join(
        [*parts, "Share chosen rightly, and of how many, by half-light radius:", by_size]
    )


def sizes(mock: Mock, chosen: np.ndarray, seen: np.ndarray) -> str:
    """How often the choice is right; for two parts also how often two parts were chosen."""
    size = np.nan_to_num(mock.truth["half_light_radius"]) / mock.image.pixel_scale / mock.fwhm
    bright = signal(mock) >= BRIGHT
    ranges = {
        f"{low:g} - {high:g} FWHM, S/N {name}": seen & (size >= low) & (size <= high) & which
        for low, high in pairwise(RADII)
        for name, which in ((f"{SNR[1]} - {BRIGHT}", ~bright), (f"> {BRIGHT}", bright))
    }
    wanted = [(name, name, (name,)) for name in KINDS[1:]]
    wanted += [(f"{name}, or another of two parts", name, KINDS[3:]) for name in KINDS[3:]]
    lines = []
    for title, name, right in wanted:
        own = [which & (mock.truth["true_kind"] == name) for which in ranges.values()]
        cells = [f"{100 * np.isin(chosen[o], right).mean():.0f} ({o.sum()})" if o.any() else "-" for o in own]
        lines.append([title, *cells])
    return markdown(["truth", *ranges], lines)


def signal(mock: Mock) -> np.ndarray:
    """Signal-to-noise of sources; of a galaxy with a point that of both."""
    t = mock.truth
    snr, host = t["snr"].copy(), np.flatnonzero(t["true_kind"] == "sersic+point")
    points = np.flatnonzero(t["true_kind"] == "")
    snr[host] = np.hypot(snr[host], snr[points])
    return np.asarray(snr)
