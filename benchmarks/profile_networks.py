"""Networks that read profiles, against truth, isophotes, fitted Sérsic profiles, photutils and AutoProf.

    python benchmarks/profile_networks.py --folder work/ --polar polar.safetensors --pix2prof pix2prof.safetensors \
        --mocks work-of-isophotes/ --autoprof /path/to/its/python

All codes get the same images: those of the networks' own simulator, GalSim's mocks of the benchmark of isophotes,
GalSim's galaxies of another population, and empty ones; see profile_networks_sets.py. Images and what photutils and
AutoProf make of them are kept in the folder (for the mocks in that of isophotes.py); without --slow and --autoprof
only what is there is used. Prints tables for benchmarks/RESULTS.md and draws the figures of docs/networks.md.
--development takes galaxies of other seeds, which are there to be looked at while networks are made, and draws its
figures into the folder.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import profile_networks_codes as codes
import profile_networks_empty as blank
import profile_networks_figures as figures
import profile_networks_scores as scoring
import profile_networks_sets as sets
import profile_networks_shifted as other
import torch
from profile_networks_sets import Sample

from isophotes import print_head

MEASURED_SLOWLY = {"own": 40, "mocks": 200, "shifted": 20}
"""Of each set, how many the slow codes are given."""
EXPLAINED = """\
Truth of all sets: the mean along the true isophotes of the galaxy alone, convolved and without noise, found with
SciPy's splines (not the labels that the networks learn). Radii of all codes: 8 % apart from 0.8 pixels to where the
squared signal-to-noise of a ring a tenth of its radius wide falls below 4, or 28.5 mag/arcsec2, or a quarter of the
ring is off the image. mag/arcsec2. A profile's deviation is the median |deviation| over the radii of the truth that the
code has; tables give the median over profiles (and interquartile range). *Whole*: radii that a code leaves out count as
worse than any other. *Bias*: positive is too faint. *Inside 68 %*, *pull width*: of the network's interval, or one
error of the others, over all radii; should be 68 % and 1. *Radii*: share of the truth's at which there is a profile.
*As in the paper*: at steps of 0.2 arcsec to the end of the longer profile, the shorter held at its last value. Size,
ellipticity (of the last isophote), signal-to-noise inside the half-light radius and distance of the next source are the
truth's.
"""
TITLES = {
    "own": "Own simulator (SDSS, HSC and Euclid presets)",
    "mocks": "Mocks drawn by GalSim",
    "shifted": "Shifted galaxies drawn by GalSim",
}


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    ways = {"polar": codes.polar(options.polar)} if options.polar else {}
    if options.pix2prof:
        ways["pix2prof"] = codes.pix2prof(options.pix2prof)
    ways |= {"isophotes": codes.classical, "Sersic": codes.sersic}
    print_head("profile_networks.py")
    print(
        f"Networks: {', '.join(codes.about(p) for p in (options.polar, options.pix2prof) if p) or 'none'}.\n"
    )
    print(EXPLAINED)
    found = {}
    for name in TITLES:
        samples = samples_of(name, options)
        found[name] = measured(name, samples, ways, options)
        print(f"### {TITLES[name]}\n\n{len(samples)} galaxies, drawn at commit {samples[0].drawn_at}.\n")
        print(set_text(found[name]))
    print("### SDSS's pixels and zero point, of all sets\n")
    print(sdss_text(found))
    print("### Images without a galaxy\n")
    print(empty_text(samples_of("empty", options), ways))
    print("### Rates\n")
    print(rates(found))
    figures.draw(found, options.folder if options.development else None)
    print(f"Processor time of all: {time.process_time() / 60:.1f} minutes.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="for images and slow codes' profiles")
    parser.add_argument("--polar", type=Path, help="weights of Isolux's network, or a checkpoint")
    parser.add_argument("--pix2prof", type=Path, help="weights of the published one, or a checkpoint")
    parser.add_argument("--mocks", type=Path, help="folder of isophotes.py; else there is one in the folder")
    parser.add_argument("--autoprof", help="python of an environment that has AutoProf")
    parser.add_argument("--slow", action="store_true", help="run photutils where its profiles are not there")
    parser.add_argument("--count", type=int, help="galaxies of each set, at most")
    parser.add_argument("--development", action="store_true", help="galaxies of other seeds than the test's")
    return parser.parse_args()


def samples_of(name: str, options: argparse.Namespace) -> list[Sample]:
    """A set; what has been drawn is in the folder."""
    part = int(options.development)
    count, seed = sets.COUNTS[name][part], sets.SEEDS[name][part]
    folder = options.folder / "development" if options.development else options.folder
    mocks = folder / "isophotes" if options.development or not options.mocks else options.mocks
    drawing = {
        "own": lambda: sets.own(count, seed),
        "mocks": lambda: sets.mocks(count, seed, mocks / "mocks"),
        "shifted": lambda: other.shifted(count, seed),
        "empty": lambda: blank.empty(count, seed),
    }
    return sets.kept(folder, name, drawing[name])[: options.count]


Found = dict[str, scoring.Scores]


def measured(name: str, samples: list[Sample], ways: dict, options: argparse.Namespace) -> Found:
    """Scores by code, each of the samples that it was given."""
    found = {}
    for code, way in ways.items():
        some = [s for s in samples if code != "pix2prof" or codes.readable(s)]
        if some:
            found[code] = scoring.Scores.of(some, codes.in_batches(some, way))
    if options.development:
        return found
    folder = (options.mocks or options.folder / "isophotes") if name == "mocks" else options.folder
    some = samples[: MEASURED_SLOWLY[name]]
    slow = {
        "photutils": codes.photutils(some, folder / "photutils", missing=options.slow),
        "AutoProf": codes.autoprof(some, folder / "autoprof", options.autoprof),
    }
    for code, readings in slow.items():
        there = [(s, r) for s, r in zip(some, readings, strict=True) if r is not None]
        if there:
            found[code] = scoring.Scores.of(*map(list, zip(*there, strict=True)))
    return found


def set_text(found: Found) -> str:
    """All codes on the galaxies that all were given, those of all galaxies, by bins, and where networks lose."""
    whole = {c: s for c, s in found.items() if len(s.samples) == len(found["isophotes"].samples)}
    slow = {c: s for c, s in found.items() if c in ("photutils", "AutoProf")}
    parts = []
    if slow and any(len(s.samples) < len(found["isophotes"].samples) for s in slow.values()):
        parts.append(f"The galaxies that all codes have measured:\n\n{main_table(common({**whole, **slow}))}")
        parts.append("All galaxies:\n")
        parts.append(main_table(whole))
    else:
        parts.append(main_table({**whole, **slow}))
    parts.append(bin_table(found))
    if "polar" in found:
        lost = scoring.losing(found, "polar", "isophotes")
        parts.append(f"Where polar's median is above that of isophotes by 5 % or more{listed(lost)}")
    return "\n".join(parts)


def listed(places: list[str]) -> str:
    """In markdown; both medians in brackets."""
    return ":\n\n" + "".join(f"- {place}\n" for place in places) if places else ": nowhere.\n"


def common(found: Found) -> Found:
    """The samples that all codes have."""
    names = set.intersection(*({s.name for s in scores.samples} for scores in found.values()))
    return {c: s.pick(np.array([x.name in names for x in s.samples])) for c, s in found.items()}


def main_table(found: Found) -> str:
    """A row a code."""
    return scoring.table(["code", *scoring.HEAD], [[c, *scoring.main_row(s)] for c, s in found.items()])


def bin_table(found: Found) -> str:
    """A row a bin, of codes that have all samples."""
    count = len(found["isophotes"].samples)
    every = {c: s for c, s in found.items() if len(s.samples) == count}
    return scoring.table(["by", "", "profiles", *every], scoring.bin_rows(every))


def sdss_text(found: dict[str, Found]) -> str:
    """What Pix2Prof can read: all codes on these images, also as the paper scores."""
    parts = []
    for name, some in found.items():
        fast = {c: s for c, s in some.items() if c in codes.FAST}
        if "pix2prof" not in fast:
            fast = {c: s.pick(np.array([codes.readable(x) for x in s.samples])) for c, s in fast.items()}
        same = common(fast)
        # A fitted profile has no end, which the paper's score needs.
        paper = {c: scoring.paper_cells(s) if c != "Sersic" else ["-", "-"] for c, s in same.items()}
        rows = [[c, *scoring.main_row(s), *paper[c]] for c, s in same.items()]
        head = ["code", *scoring.HEAD, "as in the paper", "as in the paper, < 26.5"]
        parts.append(f"{TITLES[name]}:\n\n{scoring.table(head, rows)}")
        if "pix2prof" in some and "polar" in same:
            won = scoring.losing(same, "pix2prof", "isophotes", better=True)
            parts.append(f"Where pix2prof's median is below that of isophotes{listed(won)}")
    return "\n".join(parts)


def empty_text(samples: list[Sample], ways: dict) -> str:
    """How many stamps without a galaxy get a profile."""
    rows = []
    for code, way in ways.items():
        there = np.array([r.there for r in codes.in_batches(samples, way)])
        own = [np.array([s.kind == kind for s in samples]) for kind in blank.KINDS]
        rows.append([code, *(f"{there[o].sum()} of {o.sum()}" for o in own)])
    return scoring.table(["code", *blank.KINDS], rows)


def rates(found: dict[str, Found]) -> str:
    """Processor seconds a galaxy, and galaxies a second, by the stamps' side."""
    times: dict[str, dict[bool, list[float]]] = {}
    for some in found.values():
        for code, scores in some.items():
            for sample, seconds in zip(scores.samples, scores.seconds, strict=True):
                large = max(sample.image.shape) > 128
                times.setdefault(code, {}).setdefault(large, []).append(seconds)
    rows = []
    for code, both in times.items():
        middles = [float(np.median(both[large])) if large in both else np.nan for large in (False, True)]
        cells = [f"{m:.3g}" if np.isfinite(m) else "-" for m in middles]
        cells += [f"{1 / m:.3g}" if np.isfinite(m) else "-" for m in middles]
        rows.append([code, cells[0], cells[2], cells[1], cells[3]])
    return scoring.table(
        ["code", "seconds, 128 x 128", "galaxies/s", "seconds, 256 x 256", "galaxies/s"], rows
    )


if __name__ == "__main__":
    main()
