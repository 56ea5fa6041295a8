"""Fit a stream of galaxies from FITS files: `isolux_stream.py FOLDER COUNT BATCH`, called by memory.py.

Prints the memory after import and at the peak, in MB, and the CPU seconds.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from common import peak_mb

import isolux

NAMES = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")


def main(folder: Path, count: int, size: int) -> None:
    torch.set_num_threads(1)
    before, done, clock = peak_mb(), 0, time.process_time()
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    for batch, start in batches(folder, count, size):
        done += int(isolux.fit(batch, scene, start=start).converged.sum())
    if done < 0.9 * count:
        raise RuntimeError(f"only {done} of {count} fits converged")
    print(before, peak_mb(), time.process_time() - clock)


def batches(folder: Path, count: int, size: int) -> Iterator[tuple[isolux.Batch, dict[str, np.ndarray]]]:
    """Batches of ``size`` galaxies with their starting values; the files are read again when they end."""
    starts = np.load(folder / "start.npy")
    for first in range(0, count, size):
        numbers = np.arange(first, min(first + size, count)) % len(starts)
        image, sigma, psf = (
            np.stack([fits.getdata(folder / f"{name}_{k}.fits", memmap=False) for k in numbers])
            for name in ("image", "sigma", "psf_eff")
        )
        batch = isolux.Batch.from_arrays(image, sigma=sigma, psf=psf, zero_point=22.5, pixel_scale=0.396)
        columns = zip(NAMES, starts[numbers].T, strict=True)
        yield batch, {f"galaxy.{name}": column for name, column in columns}


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
