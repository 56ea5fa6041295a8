"""Whole fields: Isolux beside SExtractor's model fitting, on images that GalSim drew, from pixels to a catalogue.

`python benchmarks/field.py` does all; `--parts scores blends models speed` chooses, `--work FOLDER --reuse` keeps
fields and catalogues and takes what is there. Both codes run one after the other on the same images, with the same
noise map, gain and PSF (or each with its own way to the PSF: Isolux from the stars, PSFEx for SExtractor).
"""

import argparse
import datetime
import tempfile
from pathlib import Path

import field_blends
import field_choice
import field_speed
import field_tables
import tables
from about import commit, processor

HERE = Path(__file__).resolve().parent
PARTS = {
    "scores": field_tables.scores,
    "blends": field_blends.blends,
    "models": field_choice.choices,
    "speed": field_speed.speed,
}
SECTIONS = {"scores": "fields", "blends": "field blends", "models": "field models", "speed": "field speed"}


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        for part in options.parts:
            text = PARTS[part](work, options)
            head = f"Command: `python benchmarks/field.py --parts {part}{small(options)}`; {datetime.date.today()}, "
            head += f"written at commit {commit()}, {processor()}."
            title, _, rest = text.strip().partition("\n")
            whole = f"{title}\n\n{head}\n{rest}"
            print(whole)
            if options.results:
                tables.put(options.results, SECTIONS[part], whole)


def small(options: argparse.Namespace) -> str:
    """What of the command line makes smaller fields than usual."""
    return "" if options.scale == 1 else f" --scale {options.scale:g}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--work", type=Path, help="where fields and catalogues are kept")
    parser.add_argument("--reuse", action="store_true", help="take fields and catalogues that are there")
    parser.add_argument(
        "--again", nargs="*", default=[], help="of --reuse: measure these codes again (isolux)"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="sides of fields over their usual ones")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--surveys", nargs="+", default=["sdss", "euclid"])
    parser.add_argument("--sets", nargs="+", help="names of sets of galaxies; all if left out")
    parser.add_argument(
        "--psf", nargs="+", default=["given", "stars"], help="of single profiles: given, stars"
    )
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--no-results", dest="results", action="store_const", const=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
