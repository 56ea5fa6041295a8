"""Are the errors right, and is every minimum found? Thousands of mock galaxies drawn by GalSim.

    python benchmarks/coverage.py --work build/coverage [--count 5000] [--jobs 2] [--only sky faint] [--kept]

Draws the galaxies once (some minutes; kept in the work folder), fits them in several families (sky known, sky
fitted, a tenth of the pixels masked, fainter, sigma from the image's own counts), always from Isolux's own starting
values, and writes the section "Coverage" of RESULTS.md and docs/figures/coverage.png. A family with ``further``
starts is fitted from perturbed truth, truth and scattered values as well, so that missed minima can be counted.
Errors of faint galaxies from covariance, bootstrap and samples are compared by coverage_flagged.py.

The fits of every family are kept in the work folder. ``--only`` makes those of some families anew; ``--kept`` makes
tables and figure of those that are there.
"""

import argparse
import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import coverage_mocks as mocks
import coverage_report as report
import numpy as np
import pulls
import tables
import torch

import isolux

HERE = Path(__file__).resolve().parent
SCATTERED = 3
"""Starts in the search for the best minimum, beside perturbed truth and truth."""
Rows = dict[str, np.ndarray]
"""What is kept of fits, (galaxy,) each."""


@dataclasses.dataclass(frozen=True)
class Family:
    """Mocks observed in one way and fitted in one way.

    Parameters
    ----------
    title : str
        In tables.
    how : Observing
        Noise, sky, masks.
    sky : bool
        Whether a sky is fitted.
    options : dict
        Further arguments of :func:`isolux.fit`.
    draws : int
        Noise drawn so many times for each galaxy.
    further : bool
        Whether to search for better minima from other starts (first draw of the noise).
    bootstrap : int
        Galaxies that were flagged, and as many that were not, whose errors are bootstrapped too.
    """

    title: str
    how: mocks.Observing
    sky: bool = True
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    draws: int = 1
    further: bool = False
    bootstrap: int = 0

    @property
    def scene(self) -> isolux.Scene:
        sky = {"sky": isolux.FlatSky()} if self.sky else {}
        return isolux.Scene(galaxy=isolux.Sersic(), **sky)


FAMILIES = {
    "known": Family("sky known", mocks.Observing(seed=1), sky=False),
    "sky": Family("sky fitted", mocks.Observing(level=1, seed=2), further=True, bootstrap=50),
    "masks": Family("sky fitted, 10 % masked", mocks.Observing(level=1, masked=0.1, seed=3), further=True),
    "faint": Family(
        "S/N 20 to 50, sky fitted",
        mocks.Observing(signal=(20, 50), level=1, seed=4),
        further=True,
    ),
    "fainter": Family("S/N 8 to 20, sky fitted", mocks.Observing(signal=(8, 20), level=1, seed=5)),
    "counts": Family("sky known, sigma from the image", mocks.Observing(noisy_sigma=True, seed=1), sky=False),
}


def main() -> None:
    options = parse()
    paths = mocks.drawn(options.work, options.count, options.seed, options.jobs)
    for name in () if options.kept else options.only or FAMILIES:
        clock = time.perf_counter()
        parts = mocks.each(paths, partial(chunk, name, len(paths)), options.jobs)
        rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        np.savez(options.work / f"fits_{name}.npz", **rows)
        took = time.perf_counter() - clock
        print(f"{FAMILIES[name].title}: {took:.0f} s, {rows['cpu'].sum():.0f} CPU s", flush=True)
    found = {name: kept(options.work, name) for name in options.only or FAMILIES}
    found = {name: rows for name, rows in found.items() if rows}
    titles = {name: FAMILIES[name].title for name in found}
    text = report.text(found, titles, f"python benchmarks/coverage.py --count {options.count}", options.note)
    print(text)
    if not options.only:
        tables.put(options.results, "coverage", text)
        report.draw(found, options.figure)


def kept(work: Path, name: str) -> Rows:
    """Fits of a family from an earlier run, if there was one."""
    path = work / f"fits_{name}.npz"
    if not path.exists():
        return {}
    with np.load(path) as f:
        return dict(f)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn galaxies and fits")
    parser.add_argument("--count", type=int, default=5000, help=f"rounded up to {mocks.CHUNK}s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, help="families; no table is written")
    parser.add_argument("--kept", action="store_true", help="fit nothing: tables of the fits that are there")
    parser.add_argument("--note", default="", help="what is said beside the command, of fits that were kept")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs" / "figures" / "coverage.png")
    return parser.parse_args()


def chunk(name: str, files: int, path: Path) -> list[Rows]:
    """Fits of the galaxies of one file, a set of rows for each size of stamp."""
    torch.set_num_threads(1)
    family = FAMILIES[name]
    share = -(-family.bootstrap // files)
    parts = []
    for draw in range(family.draws):
        how = dataclasses.replace(family.how, seed=family.how.seed + 100 * draw)
        for seen in mocks.observe(path, how):
            rows = fitted(family, seen)
            if family.further:
                rows |= searched(family, seen, rows["chi2"]) if draw == 0 else unsearched(seen)
            parts.append((seen, rows))
    if family.bootstrap:
        flagged = np.concatenate([rows["doubtful"] for _, rows in parts])
        chosen = np.concatenate([np.flatnonzero(flagged)[:share], np.flatnonzero(~flagged)[:share]])
        first = 0
        for seen, rows in parts:
            own = chosen[(chosen >= first) & (chosen < first + len(seen.batch))] - first
            rows |= bootstrapped(family, seen, own)
            first += len(seen.batch)
    return [rows for _, rows in parts]


def fitted(family: Family, seen: mocks.Observed) -> Rows:
    """The fit from automatic starting values: pulls, failures, flags, chi-square."""
    clock = time.process_time()
    result = isolux.fit(seen.batch, family.scene, **family.options)
    cpu = time.process_time() - clock
    rows = {f"pull {name}": found for name, found in pulls.of_result(result, seen.truth).items()}
    linear = pulls.of_result(result, seen.truth, log=False)
    rows |= {f"linear {name}": found for name, found in linear.items() if pulls.is_log(name)}
    rows |= {f"true {name}": values for name, values in seen.truth.items()}
    rows |= {f"fit {name}": result[name].double().numpy() for name in seen.truth}
    rows["flags"] = np.array([int(flags) for flags in result.flags])
    rows["doubtful"] = np.array([bool(flags & report.DOUBTFUL) for flags in result.flags])
    rows["converged"] = result.converged.numpy()
    rows["chi2"] = result.chi2.numpy()
    rows["signal"] = seen.signal
    rows["catastrophic"] = catastrophic(result, seen.truth)
    rows["id"] = np.array(result.id)
    rows["cpu"] = np.full(len(result), cpu / len(result))
    return rows


def catastrophic(result: isolux.Result, truth: mocks.Truth) -> np.ndarray:
    """Which galaxies (galaxy,) are off by more than 0.15 dex in radius or 0.3 mag, or have no answer."""
    ratio = result["galaxy.effective_radius"].double().numpy() / truth["galaxy.effective_radius"]
    magnitude = result["galaxy.magnitude"].double().numpy() - truth["galaxy.magnitude"]
    with np.errstate(invalid="ignore"):
        good = np.abs(np.log10(ratio)) <= tables.BAD_RADIUS
        return ~(good & (np.abs(magnitude) <= tables.BAD_MAGNITUDE))


def searched(family: Family, seen: mocks.Observed, automatic: np.ndarray) -> Rows:
    """Fits from perturbed truth, from truth and from scattered values, and the lowest chi-square of all."""
    truth, scene = seen.truth, family.scene
    near = isolux.fit(seen.batch, scene, start=perturbed(truth, family.how.seed), errors="none")
    true = isolux.fit(seen.batch, scene, start=truth, errors="none")
    wide = isolux.fit(seen.batch, scene, starts=SCATTERED, seed=family.how.seed, errors="none")
    every = [automatic, *(fit.chi2.numpy() for fit in (near, true, wide))]
    return {
        "chi2 perturbed": near.chi2.numpy(),
        "chi2 truth": true.chi2.numpy(),
        "chi2 best": np.nanmin(every, axis=0),
        "catastrophic perturbed": catastrophic(near, truth),
        "catastrophic truth": catastrophic(true, truth),
    }


def unsearched(seen: mocks.Observed) -> Rows:
    """The same for galaxies that are not searched."""
    galaxies = len(seen.batch)
    rows = {name: np.full(galaxies, np.nan) for name in ("chi2 perturbed", "chi2 truth", "chi2 best")}
    return rows | {f"catastrophic {name}": np.zeros(galaxies, bool) for name in ("perturbed", "truth")}


def perturbed(truth: mocks.Truth, seed: int) -> mocks.Truth:
    """Starting values as a rough catalogue has them: the truth with errors, n = 2 for all."""
    rng = np.random.default_rng([seed, len(truth["galaxy.x"])])
    noise = {name: rng.normal(size=len(values)) for name, values in truth.items()}
    start = {
        "galaxy.x": truth["galaxy.x"] + 0.5 * noise["galaxy.x"],
        "galaxy.y": truth["galaxy.y"] + 0.5 * noise["galaxy.y"],
        "galaxy.magnitude": truth["galaxy.magnitude"] + np.clip(0.2 * noise["galaxy.magnitude"], -0.5, 0.5),
        "galaxy.effective_radius": truth["galaxy.effective_radius"]
        * 10 ** (0.15 * noise["galaxy.effective_radius"]),
        "galaxy.sersic_index": np.full_like(truth["galaxy.x"], 2.0),
        "galaxy.axis_ratio": np.clip(
            truth["galaxy.axis_ratio"] + 0.1 * noise["galaxy.axis_ratio"], 0.15, 0.95
        ),
        "galaxy.position_angle": truth["galaxy.position_angle"] + 15 * noise["galaxy.position_angle"],
    }
    return start


def bootstrapped(family: Family, seen: mocks.Observed, chosen: np.ndarray) -> Rows:
    """Pulls from the bootstrap's errors and from its replicates, for some galaxies; NaN for the others."""
    rows = {
        f"{kind} {name}": np.full(len(seen.batch), np.nan) for kind in ("boot", "rank") for name in seen.truth
    }
    rows["booted"] = np.zeros(len(seen.batch), bool)
    if len(chosen) == 0:
        return rows
    rows["booted"][chosen] = True
    truth = {name: values[chosen] for name, values in seen.truth.items()}
    result = isolux.fit(
        seen.batch.select(chosen.tolist()), family.scene, **(family.options | {"errors": "bootstrap"})
    )
    for kind, found in (("boot", pulls.of_result(result, truth)), ("rank", pulls.of_samples(result, truth))):
        for name, values in found.items():
            rows[f"{kind} {name}"][chosen] = values
    return rows


if __name__ == "__main__":
    main()
