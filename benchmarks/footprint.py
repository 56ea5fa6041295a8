"""The stated memory of a fit beside what processes take: `python benchmarks/footprint.py`.

Each fit is a process of its own, so that its peak is its own. The statement (`isolux.footprint`) is a bound: no
process may take more.
"""

import argparse
import datetime
import itertools
import subprocess
import sys
from pathlib import Path

import tables
from about import commit, processor

HERE = Path(__file__).resolve().parent
COUNTS = {32: (128, 1024), 64: (128, 512), 128: (16, 128), 256: (8, 64), 512: (2, 16), 1024: (1, 4)}
"""Galaxies of a batch by the side of their stamps."""
PSFS, COMPONENTS = (11, 41), (1, 3)
TEXT = """
## Memory of a fit

{date}, Isolux at commit {commit}, {processor}.
`python benchmarks/footprint.py`: peak of a process less what it took before the batch was made, beside the bound
that Isolux states and plans batches by; float32, one thread, Sérsic components and sky, a PSF a galaxy.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", type=int, nargs="+", default=tuple(COUNTS), help="sides of the stamps")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    options, version = parser.parse_args(), commit()
    lines = []
    for side, psf, components in itertools.product(options.sides, PSFS, COMPONENTS):
        for count in COUNTS[side]:
            words = [str(word) for word in (count, side, psf, components, 1)]
            command = [sys.executable, str(HERE / "codes" / "isolux_footprint.py"), *words]
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            peak, bound = (float(word) for word in ran.stdout.split())
            cells = [str(side), str(psf), str(components), str(count)]
            lines.append([*cells, f"{peak:.0f}", f"{bound:.0f}", f"{peak / bound:.2f}"])
            print(*lines[-1], flush=True)
    about = {"date": datetime.date.today(), "commit": version, "processor": processor()}
    header = ["stamp, pixels a side", "PSF", "components", "galaxies", "peak, MB", "bound, MB", "ratio"]
    text = TEXT.format(**about) + "\n" + tables.markdown(header, lines)
    tables.put(options.results, "footprint", text)
    if worst := [line for line in lines if float(line[-1]) > 1]:
        raise SystemExit(f"{len(worst)} processes took more than is stated")


if __name__ == "__main__":
    main()
