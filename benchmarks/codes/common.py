"""What all drivers share: the galaxies that a code is given, the clock, and the file that it leaves.

A driver gives two functions. ``fit`` is timed: it builds the code's model, fits it, and has the code
compute its errors. ``read`` is not timed: it turns the code's answer into the columns of the set. Reading
the galaxies, importing the code and its first call (on a galaxy kept for that) are not timed either.
"""

import argparse
import datetime
import platform
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Galaxies:
    """What a code may know: pixels, PSF and starting values; ``start`` has the columns of tables.NAMES."""

    kind: str
    image: np.ndarray
    sigma: np.ndarray
    psf: np.ndarray
    start: np.ndarray
    zero_point: float
    pixel_scale: float

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice) -> "Galaxies":
        parts = (self.image[rows], self.sigma[rows], self.psf[rows], self.start[rows])
        return Galaxies(self.kind, *parts, self.zero_point, self.pixel_scale)

    @property
    def dof(self) -> int:
        """Pixels less the parameters of the model without a sky."""
        return self.image[0].size - self.start.shape[1]


@dataclass
class Fits:
    """What a code found, one row a galaxy; NaN where it gives none. ``chi2`` is its own, not reduced."""

    values: np.ndarray
    errors: np.ndarray
    chi2: np.ndarray
    converged: np.ndarray


def load(path: str, psf: str) -> Galaxies:
    """The galaxies of a set, the last of which is the one for warming up."""
    with np.load(path) as f:
        arrays = (f["image"], f["sigma"], f[psf], f["start"])
        return Galaxies(str(f["kind"]), *arrays, float(f["zero_point"]), float(f["pixel_scale"]))


def arguments() -> argparse.ArgumentParser:
    """The options of every driver."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--psf", default="psf_eff", choices=("psf_eff", "psf"))
    parser.add_argument("--note", default="", help="saved with the answers")
    parser.add_argument("--first", type=int, help="fit the first galaxies only")
    return parser


def run(
    options: argparse.Namespace,
    packages: tuple[str, ...],
    fit: Callable[[Galaxies], Any],
    read: Callable[[Galaxies, Any], Fits],
    batch: int | None = 1,
    repeats: int = 1,
) -> None:
    """Fit a set in batches (None: all at once) and save the answers and the seconds a galaxy.

    With ``repeats`` each batch is fitted so many times and its median time counts. ``loop``, saved too, is
    the time of a fixed Python loop before and after: it shows whether the core was equally fast for all
    codes.
    """
    galaxies = load(options.set, options.psf)
    count = min(options.first or len(galaxies), len(galaxies) - 1)
    read(galaxies[-1:], fit(galaxies[-1:]))
    step, loop = batch or count, [fixed_loop()]
    found, cpu, wall = [], np.empty(count), np.empty(count)
    for first in range(0, count, step):
        rows = slice(first, min(first + step, count))
        some = galaxies[rows]
        answer, seconds = timed(fit, some, repeats)
        cpu[rows], wall[rows] = seconds / len(some)
        found.append(failed(some) if answer is None else read(some, answer))
    merged = {name: np.concatenate([getattr(f, name) for f in found]) for name in Fits.__dataclass_fields__}
    versions = [f"Python {platform.python_version()}"] + [f"{p} {version(p)}" for p in packages]
    loop.append(fixed_loop())
    date = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    about = {"date": date, "note": options.note, "loop": loop, "peak_mb": peak_mb(), "versions": versions}
    np.savez(options.out, cpu=cpu, wall=wall, **about, **merged)


def peak_mb() -> float:
    """The largest memory that this process has had, MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory before exec
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(lines[0].split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def fixed_loop() -> float:
    """CPU seconds of ten million additions."""
    before, total = time.process_time(), 0
    for k in range(10_000_000):
        total += k
    return time.process_time() - before


def timed(fit: Callable[[Galaxies], Any], some: Galaxies, repeats: int) -> tuple[Any, np.ndarray]:
    """The answer, or None if the code gave up, and the median CPU and wall seconds."""
    answer, seconds = None, []
    for _ in range(repeats):
        before = time.process_time(), time.perf_counter()
        try:
            answer = fit(some)
        except Exception:
            traceback.print_exc()
        seconds.append(np.subtract((time.process_time(), time.perf_counter()), before))
    return answer, np.median(seconds, axis=0)


def failed(some: Galaxies) -> Fits:
    """Rows of NaN."""
    nothing = np.full(some.start.shape, np.nan)
    return Fits(nothing, nothing, nothing[:, 0], np.zeros(len(some), bool))
