"""Which errors of faint galaxies can be trusted: those of the covariance, of the bootstrap or of posterior samples?

    python benchmarks/coverage_flagged.py --work build/coverage [--count 80] [--jobs 2]

Galaxies of coverage_mocks.py (drawn by GalSim, kept in the work folder) at signal-to-noise 8 to 20, where chi-square
is seldom a quadratic; the compact ones, on stamps cut to 32 pixels, because a sampler looks at tens of thousands of
images. Index and radius have the bounds that a user would give. All three kinds of error come from the same images
and the same bounds. Writes the section "Errors of faint galaxies" of RESULTS.md.
"""

import argparse
import datetime
import time
from functools import partial
from pathlib import Path

import coverage_mocks as mocks
import numpy as np
import pulls
import tables
import torch
from about import commit, processor
from coverage_report import DOUBTFUL, HEADS

import isolux
from isolux import Flag, FlatSky, Free, Sampler, Scene, Sersic

HERE = Path(__file__).resolve().parent
SIDE, PSF_SIDE = 32, 25
SIGNAL = (8.0, 20.0)
SCENE = Scene(
    galaxy=Sersic(sersic_index=Free(lower=0.3, upper=8.0), effective_radius=Free(lower=0.3, upper=SIDE / 2)),
    sky=FlatSky(),
)
SAMPLER = Sampler(draws=300, effective=100, rhat=1.1, evaluations=8192)
KINDS = ("covariance", "bootstrap", "bootstrap, percentiles", "posterior", "posterior, percentiles")
FEW = 10
"""Fewer galaxies than this are not shown."""
WAYS = {"covariance": {}, "bootstrap": {"replicates": 100}, "posterior": {"sampler": SAMPLER}}
Rows = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn galaxies")
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--each", type=int, default=8, help="galaxies of each file")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    files = -(-options.count // options.each)
    paths = mocks.drawn(options.work, files * mocks.CHUNK, options.seed, options.jobs)
    parts = mocks.each(paths, partial(chunk, options.each), options.jobs)
    found = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    np.savez(options.work / "flagged.npz", **found)
    text = section(found, f"python benchmarks/coverage_flagged.py --count {files * options.each}")
    print(text)
    tables.put(options.results, "flagged", text)


def chunk(count: int, path: Path) -> list[Rows]:
    """Pulls of the first compact galaxies of a file by every way."""
    torch.set_num_threads(1)
    how = mocks.Observing(signal=SIGNAL, level=1, seed=6)
    seen = next(iter(mocks.observe(path, how)))
    batch, truth = cut(seen, count)
    rows: Rows = {"signal": seen.signal[:count]}
    for way, more in WAYS.items():
        clock = time.process_time()
        result = isolux.fit(batch, SCENE, errors=way, **more)
        rows[f"cpu {way}"] = np.full(count, (time.process_time() - clock) / count)
        rows |= {f"{way} {name}": found for name, found in pulls.of_result(result, truth).items()}
        if way == "covariance":
            rows["doubtful"] = np.array([bool(flags & DOUBTFUL) for flags in result.flags])
            continue
        rows |= {f"{way}, percentiles {n}": found for n, found in pulls.of_samples(result, truth).items()}
        if way == "posterior":
            rows["mixed"] = np.array([Flag.NOT_MIXED not in flags for flags in result.flags])
    print(path.name, flush=True)
    return [rows]


def cut(seen: mocks.Observed, count: int) -> tuple[isolux.Batch, mocks.Truth]:
    """The middle of the first stamps and of their PSFs, and their truth."""
    edge = (seen.batch.image.shape[-1] - SIDE) // 2
    border = (seen.batch.psf.shape[-1] - PSF_SIDE) // 2
    middle, core = slice(edge, edge + SIDE), slice(border, border + PSF_SIDE)
    psf = seen.batch.psf[:count, core, core].numpy()
    batch = isolux.Batch.from_arrays(
        seen.batch.image[:count, middle, middle].numpy(),
        sigma=seen.batch.sigma[:count, middle, middle].numpy(),
        psf=psf / psf.sum((1, 2), keepdims=True),
        id=seen.batch.id[:count],
        zero_point=mocks.ZERO_POINT,
        pixel_scale=mocks.PIXEL_SCALE,
    )
    truth = {name: values[:count].copy() for name, values in seen.truth.items()}
    for axis in ("galaxy.x", "galaxy.y"):
        truth[axis] -= edge
    return batch, truth


def section(found: Rows, command: str) -> str:
    """The section of RESULTS.md."""
    lines = []
    for word, wanted in (("flagged", True), ("not flagged", False)):
        some = found["doubtful"] == wanted
        if some.sum() < FEW:
            continue
        for way in KINDS:
            own = {name: found[f"{way} {name}"][some] for name in HEADS}
            lines.append((f"{word}: {way}", own))
    cpu = ", ".join(f"{way} {1000 * np.mean(found[f'cpu {way}']):.0f}" for way in WAYS)
    return "\n\n".join(
        [
            "## Errors of faint galaxies",
            f"`{command}`, {datetime.date.today()}, Isolux at commit {commit()}, {processor()}.",
            INTRODUCTION.format(
                count=len(found["signal"]),
                middle=np.median(found["signal"]),
                flagged=100 * found["doubtful"].mean(),
                mixed=100 * (1 - found["mixed"].mean()),
                cpu=cpu,
            ),
            pulls.table(lines, HEADS),
        ]
    )


INTRODUCTION = """\
{count} compact galaxies (r_e up to 4 pixels, the PSF's FWHM 3.0 to 3.5) at a matched-filter signal-to-noise of 8 to 20
(median {middle:.0f}), 32 x 32 pixels, a sky fitted; n bounded to 0.3 to 8, r_e to 0.3 to 16 pixels. {flagged:.0f} % are
flagged `NOT_QUADRATIC`, `AT_BOUND` or `NO_COVARIANCE`. Pulls and coverage as in the section "Coverage": with errors
about the best fit, symmetric in the logarithm of r_e and n, and with the percentiles of the replicates and of the
samples. Priors are flat between the bounds, in ln r_e and ln n. {mixed:.0f} % of the posteriors did not mix (R-hat
1.1, 100 effective samples, 8,192 evaluations at most). CPU ms a galaxy: {cpu}."""


if __name__ == "__main__":
    main()
