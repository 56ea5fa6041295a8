"""Numbers of whole galaxies from isophotes, against the truth of the mocks of isophotes.py, with the widths of pulls.

    python benchmarks/isophotes_numbers.py --folder work/ [--count 200]

The truth of flux inside isophotes is the integral of the true profile over the area of the true isophotes; that of the
extrapolated magnitude the flux to infinity with which GalSim drew the galaxy. Prints a table for benchmarks/RESULTS.md.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from isophotes_mocks import KINDS, SCALE, ZERO_POINT, Mock, double, mocks, sersic, spiral

from isolux import Batch
from isolux.isophotes import Isophotes, measure_isophotes
from isophotes import SEED, magnitudes, print_head

LEVELS = (24, 25, 26)


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("isophotes-work"), help="of the mocks")
    parser.add_argument("--count", type=int, default=200, help="mocks")
    options = parser.parse_args()
    made = mocks(options.count, SEED, options.folder / "mocks")
    planes = ([getattr(m, name) for m in made] for name in ("image", "sigma", "mask"))
    image, sigma, mask = planes
    batch = Batch.from_arrays(image, sigma=sigma, mask=mask, zero_point=ZERO_POINT, pixel_scale=SCALE)
    found = measure_isophotes(batch)
    rows = [compared(m, k, found) for k, m in enumerate(made)]
    print_head("isophotes_numbers.py")
    print("| number | there | median of found − true | half of the central 68 % | pull: median, width |")
    print("|---|---|---|---|---|")
    for name in rows[0]:
        print(line(name, np.array([row[name] for row in rows], float)))


def compared(mock: Mock, k: int, found: Isophotes) -> dict[str, tuple[float, float]]:
    """By number: how far it is from the truth, and its error."""
    true = growth(mock)
    end = float(found["last_sma"][k])
    inside = at(mock, true, end)
    values = {"x": float(mock.x), "y": float(mock.y)}
    values["total_magnitude"] = ZERO_POINT - 2.5 * np.log10(inside)
    values["extrapolated_magnitude"] = ZERO_POINT - 2.5 * np.log10(total_flux(k))
    for name, share in (("r50", 0.5), ("r90", 0.9)):
        values[name] = float(np.interp(share * inside, true, mock.sma))
    for level in LEVELS:
        values[f"radius_{level}"] = float(np.interp(level, magnitudes(mock.brightness), mock.sma))
    made = {}
    for name, value in values.items():
        off, error = float(found[name][k]) - value, float(found.error_of(name)[k])
        relative = value if name.startswith(("r50", "r90", "radius")) else 1.0
        made[name] = off / relative, error / relative
    return made


def growth(mock: Mock) -> np.ndarray:
    """Flux inside the true isophotes."""
    area = np.pi * mock.sma**2 * (1 - mock.ellipticity)
    mean = 0.5 * (mock.brightness[1:] + mock.brightness[:-1])
    return np.concatenate([[0.0], np.cumsum(mean * np.diff(area))])


def at(mock: Mock, true: np.ndarray, sma: float) -> float:
    """Flux inside one of them."""
    return float(np.interp(sma, mock.sma, true))


def total_flux(number: int) -> float:
    """Flux to infinity of a mock: the random numbers of isophotes_mocks.make() once more."""
    rng = np.random.default_rng([SEED, number])
    rng.uniform(1.1, 1.4), rng.uniform(0.02, 0.03), rng.uniform(-1, 1, 2)
    kind = KINDS[(0, 0, 1, 1, 2)[number % 5]]
    return float({"sersic": sersic, "bulge+disc": double, "barred spiral": spiral}[kind](rng).flux)


def line(name: str, pairs: np.ndarray) -> str:
    """A row of the table."""
    good = pairs[np.isfinite(pairs).all(1)]
    off, pull = good[:, 0], good[:, 0] / good[:, 1]
    half = np.diff(np.percentile(off, (15.865, 84.135)))[0] / 2
    low, middle, high = np.percentile(pull, (15.865, 50, 84.135))
    unit = " (relative)" if name.startswith(("r50", "r90", "radius")) else ""
    return (
        f"| {name}{unit} | {len(good)} of {len(pairs)} | {np.median(off):+.4f} | {half:.4f} | "
        f"{middle:+.2f}, {(high - low) / 2:.2f} |"
    )


if __name__ == "__main__":
    main()
