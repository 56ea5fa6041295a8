"""Peak memory of a long run: galaxies read from FITS files in batches, beside all of them as one batch.

`python benchmarks/memory.py`. Each run is a process of its own. Memory must not grow with the number of
galaxies that are streamed. Few galaxies are drawn; longer runs read their files again and again.
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import sets
import tables
from about import commit, processor
from astropy.io import fits

HERE = Path(__file__).resolve().parent
DRAWN = 100
TEXT = """
## Memory

{date}, Isolux at commit {commit}, {processor}.
One thread, {size} x {size} pixels, one Sérsic component and sky, float32, with covariance. The streamed
galaxies are read from FITS files in batches of {batch}; the opponent is the same fit with all in one batch.
"""


def main() -> None:
    options, version = parse(), commit()
    with tempfile.TemporaryDirectory() as folder:
        write_stamps(Path(folder))
        runs = [("streamed", count, options.batch) for count in options.counts]
        runs.append(("one batch", min(options.counts), min(options.counts)))
        lines = []
        for way, count, batch in runs:
            print(f"{way}: {count} galaxies", flush=True)
            command = [sys.executable, HERE / "codes" / "isolux_stream.py", folder, str(count), str(batch)]
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            before, peak, cpu = (float(word) for word in ran.stdout.split())
            lines.append([way, str(count), f"{before:.0f}", f"{peak:.0f}", f"{cpu / count:.3g}"])
    about = {"date": datetime.date.today(), "commit": version, "processor": processor()}
    header = ["galaxies are", "galaxies", "memory after import, MB", "peak memory, MB", "CPU s a galaxy"]
    text = TEXT.format(size=sets.SIZE, batch=options.batch, **about) + "\n" + tables.markdown(header, lines)
    print(text)
    tables.put(options.results, "memory", text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=(1000, 20000), help="lengths of the runs")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def write_stamps(folder: Path) -> None:
    """Draw galaxies and write their images and starting values, each to a file."""
    sets.make(folder / "set.npz", "single", DRAWN, seed=1)
    with np.load(folder / "set.npz") as f:
        np.save(folder / "start.npy", f["start"][:DRAWN])
        for name in ("image", "sigma", "psf_eff"):
            for k, image in enumerate(f[name][:DRAWN]):
                fits.writeto(folder / f"{name}_{k}.fits", image.astype(np.float32))


if __name__ == "__main__":
    main()
