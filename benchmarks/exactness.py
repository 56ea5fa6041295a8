"""How exact images are: Isolux, and the other codes that can draw one, beside GalSim and brute force.

    python benchmarks/exactness.py --quick                 some of each family, a minute; writes nothing
    python benchmarks/exactness.py --quick --only thin     one family
    python benchmarks/exactness.py                         everything: tables in RESULTS.md and docs, the figure

Families of galaxies drawn by GalSim: corners (extremes of everything), grid (all parameters at random), thin,
small, cusp, flat, large, exponential, gaussian, moffat, edges (light from outside the stamp). By brute force: boxy,
ferrer, king, bar, ring, own cusp, spline. points, pointedge: point sources. slopes, slopes2: derivative images.
Errors are shares of the maximum of the truth. Bounds: 1e-3 for the largest error in an image and 1e-4 for the
median; 1e-2 of its own maximum for a derivative. What is taken for the truth is said in benchmarks/exact/truth.py
and brute.py. References are kept in --work: drawing them takes an hour or two the first time, and then minutes.
The other codes are installed into --venvs where they are missing.
"""

import argparse
import datetime
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import galsim
import tables
import torch
from about import commit, processor
from exact import checks, compare, figure, report, sampling, score
from exact.cases import families, quick
from exact.points import points
from exact.score import Item, Outcome
from exact.slopes import slopes
from exact.special import specials

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
TEXT = """
## Exactness

- Command: `python benchmarks/exactness.py{words}`
- Isolux: commit {commit}
- Run: {date}, {processor}
- Versions: GalSim {galsim}, {versions}

Errors are shares of the maximum of the truth, in float64 unless said otherwise. Bounds: {largest:g} for the largest
error of an image, {median:g} for its median over the pixels, {slope:g} for the largest error of a derivative image
as a share of the derivative's own maximum. "By the PSF's samples": the image is off by more than a bound with a PSF
that has no detail beyond what its samples can carry, whatever the code; these count as over a bound too.

### Isolux over the whole range

{families}

In float32, the default: {single}

The worst of those over a bound:

{worst}

### Beside other codes, ordinary galaxies

Single Sérsic galaxies, n 0.5 to 6, r_e 1 to 12 pixels, q 0.2 to 1, stamps of 128 pixels; PSFs of FWHM 2.5, 3.3 and 6
pixels, round, elliptical, lopsided (which shows who mirrors the PSF) and Moffat, at the image's own scale. Isolux in
float32.

{ordinary}

### Beside other codes, extreme galaxies

n 0.3 to 6.2, r_e 0.3 to 60 pixels, q 0.05 to 1; the rest the same.

{extreme}

### How exact the references are

{references}
"""


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    everything = items()
    chosen = quickly(everything) if options.quick else everything
    if options.only:
        chosen = {name: chosen[name] for name in options.only}
    version = commit()
    outcomes = draw(chosen, options, getattr(torch, options.dtype))
    print(report.by_family(outcomes))
    print()
    print(report.worst(outcomes, options.worst))
    if not (options.quick or options.only):
        write(outcomes, draw(families() | points(), options, torch.float32), version, options)


def write(outcomes: Sequence[Outcome], single: Sequence[Outcome], version: str, options) -> None:
    """Everything else, and the sections of the results and of the documentation."""
    answers = compare.compare(options)
    moved, apart = checks.accuracy(options)
    over, limited = (sum(o.over for o in single), sum(o.over and o.limited for o in single))
    about = {
        "words": "".join(f" {word}" for word in sys.argv[1:] if not word.startswith(("--venvs", "/"))),
        "commit": version,
        "date": datetime.date.today(),
        "processor": processor(),
        "galsim": galsim.__version__,
        "versions": ", ".join(dict.fromkeys(v for a in answers for v in a.versions[1:2] or a.versions)),
        "families": report.by_family(outcomes),
        "single": f"{over} of {len(single)} images over a bound, {limited} of them by the PSF's samples; "
        f"the worst error is {max(o.largest for o in single):.1e}.",
        "worst": report.worst(outcomes, 12),
        "ordinary": report.beside(answers, "ordinary"),
        "extreme": report.beside(answers, "extreme"),
        "references": report.of_references(moved, apart),
    }
    bounds = {"largest": score.LARGEST, "median": score.MEDIAN, "slope": score.SLOPE}
    text = TEXT.format(**about, **bounds)
    print(text)
    tables.put(options.results, "exactness", text)
    tables.put(options.docs / "how-images-are-made.md", "exactness of codes", report.by_galaxy(answers))
    tables.put(options.docs / "how-images-are-made.md", "exactness and sampling", sampling.table())
    figure.draw(answers, options.work / "references", options.docs / "figures" / "exactness.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    peers = tuple(compare.DRAWN)
    environments = os.environ.get("ISOLUX_PEERS_VENVS", HERE / ".venvs")
    parser.add_argument("--quick", action="store_true", help="some of each family; write nothing")
    parser.add_argument("--only", nargs="+", metavar="FAMILY", choices=list(items()), help="families to draw")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float64")
    parser.add_argument("--worst", type=int, default=30, help="so many of the worst images are listed")
    parser.add_argument("--codes", nargs="*", choices=peers, default=peers, help="other codes to run")
    parser.add_argument("--reuse", action="store_true", help="keep what they drew in an earlier run")
    parser.add_argument("--venvs", type=Path, default=Path(environments), help="their environments")
    parser.add_argument(
        "--work", type=Path, default=HERE / "results" / "local" / "exactness", help="references and answers"
    )
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the documentation")
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1, help="core of the others")
    return parser.parse_args()


def items() -> dict[str, list[Item]]:
    """Everything that is drawn, by family."""
    return {**families(), **specials(), **points(), **slopes()}


def quickly(everything: dict[str, list[Item]]) -> dict[str, list[Item]]:
    """Some of each family."""
    own = {"slopes": 3, "slopes2": 4, "points": 6, "pointedge": 6}
    rest = {name: some[:: own.get(name, 5)] for name, some in everything.items()}
    return rest | quick(families())


def draw(chosen: dict[str, list[Item]], options: argparse.Namespace, dtype: torch.dtype) -> list[Outcome]:
    """Errors of all images, with a line for each family."""
    outcomes = []
    for name, some in chosen.items():
        before = time.process_time()
        for item in some:
            score.reference(item, options.work / "references")
        between = time.process_time()
        outcomes += [score.score(item, options.work / "references", dtype) for item in some]
        seconds = (between - before, time.process_time() - between)
        print(
            f"{name}: {len(some)}, CPU s of references {seconds[0]:.1f}, of all {seconds[1]:.1f}", flush=True
        )
    return outcomes


if __name__ == "__main__":
    main()
