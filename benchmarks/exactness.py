"""How exact images are: Isolux, and the other codes that can draw one, beside GalSim and brute force.

    python benchmarks/exactness.py --quick                 some of each family, a minute; writes nothing
    python benchmarks/exactness.py --quick --only thin     one family
    python benchmarks/exactness.py                         everything: tables in RESULTS.md and the figure

Families of galaxies drawn by GalSim: corners (extremes of everything), grid (all parameters at random), thin,
small, cusp, flat, large, exponential, gaussian, moffat, edges (light from outside the stamp). By brute force: boxy,
ferrer, king, bar, ring, own cusp, spline. points, pointedge: point sources. slopes, slopes2: derivative images.
Errors are shares of the maximum of the truth. Bounds: 1e-3 for the largest error in an image and 1e-4 for the
median; 1e-2 of its own maximum for a derivative. What is taken for the truth is said in benchmarks/exact/truth.py
and brute.py. References are kept in --work and drawn once.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import tables
import torch
from exact import score
from exact.cases import families, quick
from exact.points import points
from exact.score import Item, Outcome
from exact.slopes import slopes
from exact.special import specials

HERE = Path(__file__).resolve().parent
HEADER = ["family", "images", "over a bound", "largest error, median", "worst", "median error, worst"]


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    everything = items()
    chosen = quickly(everything) if options.quick else everything
    if options.only:
        chosen = {name: chosen[name] for name in options.only}
    outcomes = draw(chosen, options)
    print(family_table(outcomes))
    print()
    print(worst(outcomes, options.worst))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="some of each family; write nothing")
    parser.add_argument("--only", nargs="+", metavar="FAMILY", choices=list(items()), help="families to draw")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float64")
    parser.add_argument("--worst", type=int, default=30, help="so many of the worst images are listed")
    parser.add_argument(
        "--work", type=Path, default=HERE / "results" / "local" / "exactness", help="references and answers"
    )
    return parser.parse_args()


def items() -> dict[str, list[Item]]:
    """Everything that is drawn, by family."""
    return {**families(), **specials(), **points(), **slopes()}


def quickly(everything: dict[str, list[Item]]) -> dict[str, list[Item]]:
    """Some of each family."""
    own = {"slopes": 3, "slopes2": 4, "points": 6, "pointedge": 6}
    rest = {name: some[:: own.get(name, 5)] for name, some in everything.items()}
    return rest | quick(families())


def draw(chosen: dict[str, list[Item]], options: argparse.Namespace) -> list[Outcome]:
    """Errors of all images, with a line for each family."""
    outcomes = []
    for name, some in chosen.items():
        before = time.perf_counter()
        for item in some:
            score.reference(item, options.work / "references")
        between = time.perf_counter()
        dtype = getattr(torch, options.dtype)
        outcomes += [score.score(item, options.work / "references", dtype) for item in some]
        seconds = (between - before, time.perf_counter() - between)
        print(f"{name}: {len(some)}, references {seconds[0]:.1f} s, Isolux {seconds[1]:.1f} s", flush=True)
    return outcomes


def family_table(outcomes: Sequence[Outcome]) -> str:
    """A line for each family."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.family, []).append(outcome)
    return tables.markdown(HEADER, [[name, *score.summary(some)] for name, some in groups.items()])


def worst(outcomes: Sequence[Outcome], count: int) -> str:
    """The images that are over a bound, the worst first."""
    over = sorted((o for o in outcomes if o.over), key=lambda o: -o.share)
    header = ["image", "largest error", "median error", "best possible", "what"]
    lines = [
        [o.name, f"{o.largest:.1e}", f"{o.median:.1e}", f"{o.limit[0]:.1e}", o.words] for o in over[:count]
    ]
    return tables.markdown(header, lines) if lines else "All images keep the bounds."


if __name__ == "__main__":
    main()
