"""Are the errors right where pixels share noise?

    python benchmarks/coverage_correlated.py --work build/coverage [--count 2500] [--data FOLDER] [--only drizzle]

Takes the galaxies of coverage_mocks.py (drawn by GalSim, kept in the work folder) and gives them Gaussian noise with a
correlation function: that of drizzling (drops of 0.8 pixel on pixels 0.6 as large, at random dithers), and that of
HST's COSMOS images from the folder of real data (ISOLUX_REAL_DATA). Every galaxy is fitted with its correlation
function and without, a sky included, from Isolux's own starting values. Writes the section "Correlated noise" of
RESULTS.md and docs/figures/correlated.png.
"""

import argparse
import dataclasses
import datetime
import os
import time
from functools import partial
from pathlib import Path

import coverage_mocks as mocks
import matplotlib
import numpy as np
import pulls
import tables
import torch
from about import commit, processor
from astropy.io import fits
from coverage_losses import exposure, seen
from coverage_report import HEADS

import isolux
from isolux.noise import check_correlation, correlated_noise

HERE = Path(__file__).resolve().parent
COSMOS = "cosmos-100/acs_I_unrot_sci_20_cf.fits"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#888888"
Rows = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Family:
    """Galaxies under one kind of noise.

    Parameters
    ----------
    title : str
        In tables.
    noise : str
        ``drizzle`` or ``cosmos``.
    masked : float
        Share of the pixels under masks.
    """

    title: str
    noise: str
    masked: float = 0.0


FAMILIES = {
    "drizzle": Family("drizzle", "drizzle"),
    "masks": Family("drizzle, 10 % masked", "drizzle", masked=0.1),
    "cosmos": Family("COSMOS", "cosmos"),
}
WAYS = {"with its correlation": True, "as if independent": False}


def main() -> None:
    options = parse()
    names = options.only or [n for n, f in FAMILIES.items() if f.noise != "cosmos" or options.data]
    paths = mocks.drawn(options.work, options.count, options.seed, options.jobs)
    rows: list[tuple[str, Rows]] = []
    for name in names:
        clock = time.perf_counter()
        parts = mocks.each(paths, partial(chunk, name, options.data), options.jobs)
        for way in WAYS:
            own = [part for part in parts if part["way"][0] == way]
            found = {
                k: np.concatenate([part[k] for part in own])[: options.count] for k in own[0] if k != "way"
            }
            rows.append((f"{FAMILIES[name].title}, {way}", found))
        print(f"{FAMILIES[name].title}: {time.perf_counter() - clock:.0f} s", flush=True)
    text = section(rows, options)
    print(text)
    if not options.only:
        tables.put(options.results, "correlated", text)
        draw(rows, options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn galaxies")
    parser.add_argument("--count", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--data", type=Path, default=os.environ.get("ISOLUX_REAL_DATA"))
    parser.add_argument("--only", nargs="+", choices=FAMILIES, help="families; nothing is written")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs" / "figures" / "correlated.png")
    return parser.parse_args()


def correlation(kind: str, data: Path | None) -> np.ndarray:
    """The noise's correlation function."""
    if kind == "cosmos":
        assert data is not None, "the COSMOS function is among the real data: --data or ISOLUX_REAL_DATA"
        function = fits.getdata(data / COSMOS).astype(float)
        return check_correlation(function / function.max())
    return drizzle()


def drizzle(pixel: float = 0.6, drop: float = 0.8, reach: int = 3) -> np.ndarray:
    """What drops of ``drop`` native pixels share among pixels of ``pixel`` native ones, averaged over dithers.

    A drop gives a pixel the part of it that falls there: the overlap of two boxes, a trapezoid in their distance.
    Pixels that are L apart share, summed over all dithers, the product of their trapezoids (Casertano et al. 2000,
    AJ 120, 2747, appendix A); x and y apart.
    """
    width = drop / pixel
    x = np.arange(-8, 8, 1e-3)
    overlap = np.clip(np.minimum(0.5 * (1 + width) - np.abs(x), min(1.0, width)), 0, None)
    shared = [float((overlap * np.interp(x + lag, x, overlap)).sum()) for lag in range(reach + 1)]
    line = np.array([*shared[:0:-1], *shared]) / shared[0]
    return check_correlation(np.outer(line, line))


def chunk(name: str, data: Path | None, path: Path) -> list[Rows]:
    """Fits of the galaxies of one file in both ways."""
    torch.set_num_threads(1)
    family = FAMILIES[name]
    rho = correlation(family.noise, data)
    found = []
    for clean in mocks.stamps(path):
        rng = np.random.default_rng([11, clean.chunk, clean.models.shape[1]])
        batch, truth, signal = observed(clean, rho, family.masked, rng)
        for way, known in WAYS.items():
            one = batch if known else dataclasses.replace(batch, noise_correlation=None)
            found.append({**fitted(one, truth), "signal": signal, "way": np.full(len(batch), way)})
    return found


def observed(
    clean: mocks.Clean, rho: np.ndarray, masked: float, rng: np.random.Generator
) -> tuple[isolux.Batch, mocks.Truth, np.ndarray]:
    """A batch with correlated noise, its truth, and its signal-to-noise of 50 to 1000 with correlation (galaxy,)."""
    count, size, _ = clean.models.shape
    growth = np.array([grown(model, rho) for model in clean.models])
    electrons, sky = exposure(
        clean, rng, (50.0 * np.median(growth), 1000.0 * np.median(growth)), (200.0, 20000.0)
    )
    light = np.clip(clean.models * electrons[:, None, None], 0, None)
    sigma = np.sqrt(light + sky[:, None, None])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    image = light + sigma * correlated_noise(torch.as_tensor(rho), (size, size), count, generator).numpy()
    mask = np.zeros(image.shape, bool)
    if masked > 0:
        for k in range(count):
            mask[k] = mocks._mask(size, (clean.truth["x"][k], clean.truth["y"][k]), masked, rng)
        image = np.where(mask, np.nan, image)
    found = seen(
        clean,
        image / mocks.GAIN,
        electrons,
        np.zeros(count),
        sigma=sigma / mocks.GAIN,
        mask=mask,
        noise_correlation=rho,
    )
    weighted = np.where(mask, 0, light / sigma)
    signal = np.sqrt((weighted**2).sum((1, 2))) / np.array([grown(w, rho) for w in weighted])
    return found.batch, found.truth, signal


def grown(weighted: np.ndarray, rho: np.ndarray) -> float:
    """By how much correlation raises the error of a matched filter's flux: root of a R a / a a."""
    side = [n + k for n, k in zip(weighted.shape, rho.shape, strict=True)]
    kernel = np.zeros(side)
    kernel[: rho.shape[0], : rho.shape[1]] = rho
    kernel = np.roll(kernel, (-(rho.shape[0] // 2), -(rho.shape[1] // 2)), (0, 1))
    amplitude = np.abs(np.fft.fft2(weighted, side)) ** 2
    return float(np.sqrt((amplitude * np.fft.fft2(kernel).real).sum() / amplitude.sum()))


def fitted(batch: isolux.Batch, truth: mocks.Truth) -> Rows:
    """Pulls, reduced chi-square and CPU seconds (galaxy,)."""
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    clock = time.process_time()
    result = isolux.fit(batch, scene)
    cpu = np.full(len(result), (time.process_time() - clock) / len(result))
    quadratic = [isolux.Flag.NOT_QUADRATIC not in flags for flags in result.flags]
    known = {"cpu": cpu, "chi2": result.reduced_chi2.numpy(), "pixels": result.n_pixels.numpy()}
    return {**pulls.of_result(result, truth), **known, "quadratic": np.array(quadratic)}


def section(rows: list[tuple[str, Rows]], options: argparse.Namespace) -> str:
    """The section of RESULTS.md."""
    command = f"python benchmarks/coverage_correlated.py --count {options.count}"
    signal = np.percentile(rows[0][1]["signal"], [1, 50, 99])
    lines = []
    for title, found in rows:
        scatter = tables.half_width((found["chi2"] - 1) * np.sqrt(found["pixels"] / 2))
        cells = [f"{np.median(found['chi2']):.4f}", f"{scatter:.2f}", f"{1000 * np.median(found['cpu']):.1f}"]
        lines.append([title, *cells, f"{100 * (1 - found['quadratic'].mean()):.1f} %"])
    heads = [
        "",
        "reduced chi2, median",
        "its scatter over √(2/N)",
        "CPU ms a galaxy",
        "flagged NOT_QUADRATIC",
    ]
    return "\n\n".join(
        [
            "## Correlated noise",
            f"`{command}`, {datetime.date.today()}, Isolux at commit {commit()}, {processor()}.",
            INTRODUCTION.format(low=signal[0], middle=signal[1], high=signal[2]),
            pulls.table(rows, HEADS),
            tables.markdown(heads, lines),
        ]
    )


INTRODUCTION = """\
The galaxies of the section "Coverage" with noise that pixels share, a sky fitted, errors from the covariance; pulls and
coverage as there. Signal-to-noise of the total flux with the correlation taken in: {low:.0f} to {high:.0f} (1st and
99th percentile), median {middle:.0f}. Drizzle: drops of 0.8 pixel on pixels 0.6 as large. COSMOS: the measured
function of HST's F814W images (81 x 81)."""


def draw(rows: list[tuple[str, Rows]], options: argparse.Namespace) -> None:
    """Correlation along a row, and the half-width of pulls with and without it."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(1, 1.6), layout="constrained")
    kinds = [("drizzle", BLUE, "o"), *([("cosmos", ORANGE, "s")] if options.data else [])]
    for kind, colour, marker in kinds:
        rho = correlation(kind, options.data)
        line = rho[rho.shape[0] // 2, rho.shape[1] // 2 :][:7]
        label = {"drizzle": "drizzle", "cosmos": "COSMOS"}[kind]
        left.plot(np.arange(len(line)), line, marker=marker, color=colour, label=label)
    left.set(xlabel="distance along a row, pixels", ylabel="correlation", ylim=(-0.03, 1.05))
    left.legend(frameon=False)
    for family, colour, marker in (("drizzle", BLUE, "o"), ("COSMOS", ORANGE, "s")):
        for way, filled in zip(WAYS, ("full", "none"), strict=True):
            found = dict(rows).get(f"{family}, {way}")
            if found is not None:
                widths = [pulls.summarise(found[name]).half_width[0] for name in HEADS]
                right.plot(widths, marker, color=colour, fillstyle=filled, label=f"{family}, {way}")
    right.axhspan(0.95, 1.05, color=GREY, alpha=0.25, linewidth=0)
    right.set(
        xticks=range(len(HEADS)), xticklabels=HEADS.values(), ylabel="half-width of pulls", ylim=(0.8, None)
    )
    right.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    options.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.figure, dpi=130)


if __name__ == "__main__":
    main()
