"""The scores of both codes on SDSS-like and Euclid-like fields, in tables."""

import argparse
import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import field_bound
import field_figure
import field_scores as scoring
import numpy as np
from field_mocks import Mock, kept
from field_runs import Found, isolux, sextractor
from tables import half_width, markdown, middle

SIDE = 3136
"""Pixels a side: more than 2000 galaxies to the depth of either survey."""
FAINT = 0.9
"""Magnitudes from the depth of point sources (5 sigma) to the last bin's end, as from 26.2 to 25.3 in the challenge."""
BINS = 6
CHALLENGE_DEPTH = 26.2
INSIDE = 0.9
"""Part of a galaxy's light that must be in the image."""
TEXTS = {
    "sersic": "single Sérsic profiles",
    "bulge+disc": "bulges (n = 4) with discs",
    "realistic": "realistic morphology: discs with bars, arms, clumps and dust, some bulges",
}
QUANTITIES = {
    "sersic": ("re", "n", "q", "magnitude"),
    "realistic": ("re", "n", "q", "magnitude"),
    "bulge+disc": ("magnitude", "bt", "re_d", "q_d", "re_b", "q_b"),
}
YARDSTICK = {"re": 0.20, "q": 0.10, "n": 0.16}
"""Best published global scores of the challenge, single Sersic."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """One code on one field.

    Attributes
    ----------
    found : Found
        Its catalogue.
    place : numpy.ndarray
        (source,): row of each true source, or -1.
    errors : dict
        (source,) by quantity; NaN where it was not measured or has no true value.
    good : numpy.ndarray
        (source,): whether it is a galaxy that was found, with every quantity.
    """

    found: Found
    place: np.ndarray
    errors: dict[str, np.ndarray]
    good: np.ndarray

    @property
    def rows(self) -> dict[str, np.ndarray]:
        """The catalogue's columns (source,)."""
        return self.found.rows(self.place)


def scores(work: Path, options: argparse.Namespace) -> str:
    """Fields of every survey and set, both codes on each."""
    text = [HEAD]
    shown = {}
    for survey in options.surveys:
        for kind in options.sets or TEXTS:
            mock = kept(
                work / f"{survey}-{kind}",
                survey,
                seed=options.seed,
                reuse=options.reuse,
                size=round(SIDE * options.scale),
                stars=None if options.scale > 0.7 else 60,
                morphology=kind,
            )
            ways = options.psf if kind == "sersic" else ("given",)
            pairs = {psf: both(mock, kind, psf, options) for psf in ways}
            text.append(field_text(mock, kind, pairs))
            shown[survey, kind] = (mock, *pairs["given"])
    field_figure.draw(shown)
    return "\n\n".join(text)


HEAD = """
## Fields

Errors in units of the Euclid Morphology Challenge (`benchmarks/field_scores.py` has the equations): re relative, n in
dex, the others as differences. Of each code: bias B (median), dispersion D (68 % quantile about it), outliers O
(beyond 0.5), of the galaxies that both codes measured. "Bound" is the dispersion that an unbiased fit cannot beat
without knowing more than the stamp (Cramér-Rao, sky free), and D / bound is of isolated galaxies alone. S is the
challenge's global score with all factors one; bins and weights of the SDSS-like field are shifted by the difference of
depths. The best published ones, of single Sérsic profiles in the challenge's own images, are S(re) 0.20, S(q) 0.10 and
S(n) 0.16; what can be reached depends on the signal-to-noise, whose median each bin gives. SExtractor's processor time
grows with the size of the PSF's image, which is larger where the PSF is given. Others used the machine too: compare
processor seconds, not wall seconds.
"""


def both(mock: Mock, kind: str, psf: str, options: argparse.Namespace) -> tuple[Scored, Scored]:
    """Both codes on a field."""
    model = "bulge+disc" if kind == "bulge+disc" else "sersic"
    again = "isolux" not in options.again
    ours = isolux(mock, [model], psf, options.cores, options.reuse and again, "Isolux")
    theirs = sextractor(mock, model, psf, options.reuse and "sextractor" not in options.again, "SExtractor")
    return scored(mock, kind, ours), scored(mock, kind, theirs)


def truth_of(mock: Mock, kind: str) -> dict[str, np.ndarray]:
    """True values under common names."""
    t = mock.truth
    single = {
        "re": t["effective_radius"],
        "n": t["sersic_index"],
        "q": t["axis_ratio"],
        "pa": t["position_angle"],
    }
    if kind == "sersic":
        return {"magnitude": t["magnitude"], **single}
    share = 10 ** (-0.4 * (t["bulge_magnitude"] - t["magnitude"]))
    if kind == "bulge+disc":
        sizes = {"re_b": t["bulge_effective_radius"], "re_d": 1.6783469900166605 * t["disc_scale_radius"]}
        shapes = {"q_b": t["bulge_axis_ratio"], "q_d": t["disc_axis_ratio"]}
        return {"magnitude": t["magnitude"], "bt": share, **sizes, **shapes}
    lone = t["kind"] == "sersic"
    ratio = np.where(
        lone, t["axis_ratio"], share * t["bulge_axis_ratio"] + (1 - share) * t["disc_axis_ratio"]
    )
    return {"magnitude": t["magnitude"], "re": t["half_light_radius"], "n": t["sersic_index"], "q": ratio}


def match_radius(mock: Mock) -> np.ndarray:
    """Within which a true source is looked for, in pixels."""
    return np.maximum(
        mock.fwhm, 0.3 * np.nan_to_num(mock.truth["half_light_radius"]) / mock.image.pixel_scale
    )


def scored(mock: Mock, kind: str, found: Found) -> Scored:
    """A catalogue against the truth."""
    t = mock.truth
    place = scoring.match(
        t["x"], t["y"], t["magnitude"], found.columns["x"], found.columns["y"], match_radius(mock)
    )
    rows, true = found.rows(place), truth_of(mock, kind)
    errors = {name: scoring.errors(name, rows[name], true[name]) for name in QUANTITIES[kind]}
    good = counted(mock) & np.all([np.isfinite(rows[name]) for name in QUANTITIES[kind]], axis=0)
    return Scored(found, place, {name: np.where(good, e, np.nan) for name, e in errors.items()}, good)


def counted(mock: Mock) -> np.ndarray:
    """Which sources are scored: galaxies that are not cut off by the image's edge."""
    return mock.galaxies & (mock.truth["inside"] > INSIDE)


def edges_of(mock: Mock) -> np.ndarray:
    """Bins of one magnitude, the brightest one open."""
    edges = mock.depth - FAINT + np.arange(-BINS, 1.0)
    edges[0] = -99
    return edges


def bin_names(edges: Sequence[float]) -> list[str]:
    """Headings of bins."""
    first = [f"< {edges[1]:.1f}"] if edges[0] < 0 else [f"{edges[0]:.1f} - {edges[1]:.1f}"]
    return first + [f"{low:.1f} - {high:.1f}" for low, high in pairwise(edges[1:])]


def field_text(mock: Mock, kind: str, pairs: dict[str, tuple[Scored, Scored]]) -> str:
    """Tables of one field."""
    galaxies, stars = int(mock.galaxies.sum()), int((~mock.galaxies).sum())
    side = "x".join(str(n) for n in mock.image.shape[::-1])
    parts = [f"### {mock.name.upper()}-like, {TEXTS[kind]}"]
    parts.append(
        f"{side} pixels, {galaxies} galaxies and {stars} stars to {mock.depth} mag, by {mock.drawn_by}."
    )
    parts.append(cost_table(mock, pairs))
    parts.append("Completeness by true and purity by Kron magnitude, PSF given:")
    parts.append(detection_table(mock, pairs["given"]))
    for psf, pair in pairs.items():
        how = "given to both" if psf == "given" else "from the field's stars by each"
        parts.append(f"PSF {how}. Bias / dispersion / outliers in %:")
        parts.append(score_table(mock, kind, pair))
        parts.append(global_table(mock, kind, pair))
    ours = pairs["given"][0]
    if kind == "sersic":
        parts.append("Isolux against the bound, isolated galaxies, PSF given (dispersion / bound):")
        parts.append(bound_table(mock, pairs["given"]))
    parts.append("Pulls of Isolux (median ± half-width), PSF given, galaxies with errors:")
    parts.append(pull_table(mock, kind, ours))
    return "\n\n".join(parts)


def cost_table(mock: Mock, pairs: dict[str, tuple[Scored, Scored]]) -> str:
    """Seconds and memory of all runs."""
    lines = []
    for psf, pair in pairs.items():
        for one in pair:
            cost, count = one.found.cost, len(one.found)
            numbers = [str(count), f"{cost.cpu:.0f}", f"{cost.cpu / max(count, 1):.3f}", f"{cost.wall:.0f}"]
            lines.append([f"{one.found.title}, PSF {psf}", *numbers, f"{cost.memory:.0f}", cost.version])
    header = ["code", "sources", "CPU s", "CPU s a source", "wall s", "peak memory, MB", "commit or version"]
    return markdown(header, lines)


def detection_table(mock: Mock, pair: tuple[Scored, Scored]) -> str:
    """Completeness and purity of both codes."""
    edges = np.append(edges_of(mock), mock.depth)
    lines = []
    for one in pair:
        seen = one.place >= 0
        which = counted(mock)
        share = scoring.shares(seen[which], mock.truth["magnitude"][which], edges)
        lines.append([f"{one.found.title}, completeness", *(f"{100 * s:.1f} % of {n}" for s, n in share)])
        real = np.zeros(len(one.found), bool)
        real[one.place[seen]] = True
        share = scoring.shares(real, one.found.columns["auto"], edges)
        lines.append([f"{one.found.title}, purity", *(f"{100 * s:.1f} % of {n}" for s, n in share)])
    return markdown(["", *bin_names(edges)], lines)


def common(pair: tuple[Scored, Scored]) -> np.ndarray:
    """What both have measured."""
    return pair[0].good & pair[1].good


def binned(mock: Mock, one: Scored, name: str, which: np.ndarray) -> list[scoring.Bin]:
    """Scores of a quantity in bins, of some sources."""
    error = np.where(which, one.errors[name], np.nan)
    return scoring.score_bins(error, mock.truth["magnitude"], edges_of(mock))


def score_table(mock: Mock, kind: str, pair: tuple[Scored, Scored]) -> str:
    """B, D and O of both in bins; and the number of galaxies."""
    which, lines = common(pair), []
    for name in QUANTITIES[kind]:
        for one in pair:
            bins = binned(mock, one, name, which)
            cells = [
                f"{b.bias:+.3f} / {b.dispersion:.3f} / {100 * b.outliers:.0f}" if b.count else "-"
                for b in bins
            ]
            lines.append([f"{name}, {one.found.title}", *cells])
    edges, magnitude = edges_of(mock), mock.truth["magnitude"]
    inside = [some & which for some in scoring.in_bins(magnitude, edges)]
    count = [str(int(some.sum())) for some in inside]
    signal = [f"{middle(mock.truth['snr'][some]):.0f}" if some.any() else "-" for some in inside]
    lines = [["galaxies", *count], ["signal-to-noise, median", *signal], *lines]
    return markdown(["", *bin_names(edges)], lines)


def global_table(mock: Mock, kind: str, pair: tuple[Scored, Scored]) -> str:
    """The challenge's scores, and outliers of all."""
    which, edges = common(pair), edges_of(mock)
    inside = counted(mock) & (mock.truth["magnitude"] < edges[-1])
    edges = edges.copy()
    edges[0] = edges[1] - 1
    lines = []
    for one in pair:
        complete = float(one.good[inside].mean())
        cells = [f"{100 * complete:.1f} %"]
        for name in QUANTITIES[kind]:
            bins = binned(mock, one, name, which)
            total = scoring.global_score(bins, complete, edges, CHALLENGE_DEPTH - mock.depth)
            bare = scoring.global_score(bins, 1.0, edges, CHALLENGE_DEPTH - mock.depth)
            out = sum(b.count * b.outliers for b in bins if b.count) / max(1, sum(b.count for b in bins))
            cells.append(f"{total:.3f} ({bare:.3f}), {100 * out:.1f} %")
        lines.append([one.found.title, *cells])
    return markdown(
        ["", "completeness C", *(f"S({n}) (without C), outliers" for n in QUANTITIES[kind])], lines
    )


def bound_of(mock: Mock, which: np.ndarray) -> dict[str, np.ndarray]:
    """(source,) by quantity: least standard deviations in the unit of errors; NaN where not of ``which``."""
    rows, true = np.flatnonzero(which), truth_of(mock, "sersic")
    path = mock.folder / "bound.npz"
    sigma = {name: np.full(len(which), np.nan) for name in QUANTITIES["sersic"]}
    if path.exists() and path.stat().st_mtime > (mock.folder / "field.npz").stat().st_mtime:
        with np.load(path) as f:
            return {name: f[name] for name in sigma}
    for name, values in field_bound.bound(mock, rows).items():
        sigma[name][rows] = values * scoring.scale(name, true[name][rows])
    np.savez(path, **sigma)
    return sigma


def bound_table(mock: Mock, pair: tuple[Scored, Scored]) -> str:
    """Dispersions of isolated galaxies over what the bound leads to expect."""
    alone = field_bound.isolated(mock)
    sigma, lines, edges = bound_of(mock, alone), [], edges_of(mock)
    which = alone & common(pair)
    for name in QUANTITIES["sersic"]:
        expected = [
            scoring.expected_dispersion(sigma[name][inside & which])
            for inside in scoring.in_bins(mock.truth["magnitude"], edges)
        ]
        for one in pair:
            bins = binned(mock, one, name, which)
            cells = [
                f"{b.dispersion:.3f} / {e:.3f} = {b.dispersion / e:.2f}" if b.count else "-"
                for b, e in zip(bins, expected, strict=True)
            ]
            lines.append([f"{name}, {one.found.title}", *cells])
    count = [str(b.count) for b in binned(mock, pair[0], "re", which)]
    return markdown(["", *bin_names(edges)], [["galaxies", *count], *lines])


def pull_table(mock: Mock, kind: str, ours: Scored) -> str:
    """Pulls of Isolux in bins."""
    rows, true, lines = ours.rows, truth_of(mock, kind), []
    true = true | {"fx": mock.truth["x"], "fy": mock.truth["y"]}
    names = [
        n
        for n in ("fx", "fy", *QUANTITIES[kind])
        if f"{n}_err" in rows and np.isfinite(rows[f"{n}_err"]).any()
    ]
    pulls = scoring.pulls(rows, true, names)
    for name in names:
        own = np.where(counted(mock), pulls[name], np.nan)
        cells = []
        for inside in scoring.in_bins(mock.truth["magnitude"], edges_of(mock)):
            some = own[inside][np.isfinite(own[inside])]
            cells.append(f"{middle(some):+.2f} ± {half_width(some):.2f} ({len(some)})" if len(some) else "-")
        lines.append([{"fx": "x", "fy": "y"}.get(name, name), *cells])
    return markdown(["", *bin_names(edges_of(mock))], lines)
