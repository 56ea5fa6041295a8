"""What the drivers share that only draw: the galaxies in, their images out.

A driver gives a function from a galaxy, the image of its PSF and the side of the stamp to the image of a Sérsic
component of unit flux. Where a code fails, the image is left NaN and the log says why.
"""

import argparse
import platform
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np


@dataclass
class Galaxy:
    """A Sérsic galaxy of unit flux: pixels from 0, the semi-major axis in pixels, degrees ccw from +y."""

    x: float
    y: float
    re: float
    n: float
    q: float
    pa: float


def run(packages: tuple[str, ...], draw: Callable[[Galaxy, np.ndarray, int], np.ndarray]) -> None:
    """Draw all galaxies of ``--set`` with the kind of PSF that ``--psf`` names, into ``--out``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--psf", choices=("effective", "points"), default="effective")
    options = parser.parse_args()
    images = {}
    with np.load(options.set) as f:
        for name, row, size in zip(f["names"], f["galaxies"], f["sizes"], strict=True):
            psf = f[f"{options.psf}-{name}"]
            try:
                image = np.asarray(draw(Galaxy(*(float(v) for v in row)), psf, int(size)), float)
            except Exception:
                print(name)
                traceback.print_exc()
                image = np.full((size, size), np.nan)
            images[str(name)] = image
    versions = [f"Python {platform.python_version()}"] + [f"{p} {version(p)}" for p in packages]
    np.savez(options.out, versions=versions, **images)
