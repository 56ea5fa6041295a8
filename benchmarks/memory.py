"""Peak memory of a long run: galaxies read from FITS files in batches, beside all of them as one batch.

`python benchmarks/memory.py`. Each run is a process of its own. Memory must not grow with the number of
galaxies that are streamed. Few galaxies are drawn; longer runs read their files again and again.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tables
from astropy.io import fits

HERE = Path(__file__).parent
DRAWN = 100
NAMES = ("image", "sigma", "psf_eff")
TEXT = """
## Memory

One core, {size} x {size} pixels, one Sérsic component and sky, float32, with covariance. The streamed
galaxies are read from FITS files in batches of {batch}; the opponent is the same fit with all in one batch.
"""


def main() -> None:
    options = parse()
    if options.child:
        print(*child(options.child, options.counts[0], options.batch, options.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        size = write_stamps(Path(folder))
        runs = [("streamed", count) for count in options.counts] + [("one batch", min(options.counts))]
        lines = []
        for way, count in runs:
            print(f"{way}: {count} galaxies", flush=True)
            command = [sys.executable, __file__, "--child", way, "--counts", count, "--folder", folder]
            command += ["--batch", options.batch]
            ran = subprocess.run(
                [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True
            )
            before, peak, cpu = (float(word) for word in ran.stdout.split())
            lines.append([way, str(count), f"{before:.0f}", f"{peak:.0f}", f"{cpu / count:.3g}"])
    header = ["galaxies are", "galaxies", "memory after import, MB", "peak memory, MB", "CPU s a galaxy"]
    text = TEXT.format(size=size, batch=options.batch).strip() + "\n\n" + tables.markdown(header, lines)
    print(text)
    tables.put(options.results, "memory", text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=(1000, 20000), help="lengths of the runs")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--child", choices=("streamed", "one batch"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def write_stamps(folder: Path) -> int:
    """Draw galaxies and write their images; returns the size of a stamp."""
    import sets

    sets.make(folder / "set.npz", "single", DRAWN, seed=1)
    with np.load(folder / "set.npz") as f:
        np.save(folder / "start.npy", f["start"])
        for name in NAMES:
            for k, image in enumerate(f[name][:DRAWN]):
                fits.writeto(folder / f"{name}_{k}.fits", image.astype(np.float32))
    (folder / "set.npz").unlink()
    return sets.SIZE


def read_batches(folder: Path, count: int, size: int) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """Images, sigmas and PSFs of ``size`` galaxies at a time, with their starting values."""
    start = np.load(folder / "start.npy")
    for first in range(0, count, size):
        numbers = np.arange(first, min(first + size, count)) % DRAWN
        paths = [[folder / f"{name}_{k}.fits" for k in numbers] for name in NAMES]
        yield [np.stack([fits.getdata(path, memmap=False) for path in p]) for p in paths], start[numbers]


def child(way: str, count: int, batch: int, folder: Path) -> tuple[float, float, float]:
    """Fit; MB after import and at the peak, and CPU seconds."""
    import torch

    import isolux

    torch.set_num_threads(1)
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    names = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
    before, done = peak_mb(), 0
    clock = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for (image, sigma, psf), table in read_batches(folder, count, batch if way == "streamed" else count):
        galaxies = isolux.Batch.from_arrays(image, sigma=sigma, psf=psf, zero_point=22.5, pixel_scale=0.396)
        start = {f"galaxy.{name}": column for name, column in zip(names, table.T, strict=True)}
        done += int(isolux.fit(galaxies, scene, start=start).converged.sum())
    if done < 0.9 * count:
        raise RuntimeError(f"only {done} of {count} fits converged")
    return before, peak_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_utime - clock


def peak_mb() -> float:
    """The largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
