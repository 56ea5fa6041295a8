"""Are the errors right? Pulls of fitted mock galaxies at three depths.

GalSim draws single Sérsic galaxies (as in sets.py); the same galaxies are then made shallower by adding noise.
Isolux fits each with a free sky from starting values of its own, with errors from the covariance and from the
bootstrap. A pull is (fitted - true) / error: its median should be 0 and the half width of its central 68 %
should be 1. Galaxies that did not converge or ended at a bound are left out and counted. Prints the table of
docs/errors-and-status.md and draws its figure; takes about fifteen minutes.

    python benchmarks/pulls_small.py [--count 200] [--seed 11] [--replicates 50] [--no-bootstrap]
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import sets
import tables
import torch

import isolux

NAMES = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
SHORT = ("x", "y", "mag", "r_e", "n", "q", "PA")
ADDED = (0.0, 0.1, 0.4)
"""Noise added to each pixel, in image units, beside the 0.02 to 0.03 of the sky."""
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#BBBBBB"
Pulls = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--no-bootstrap", action="store_true", help="errors from the covariance alone")
    figures = Path(__file__).parents[1] / "docs" / "figures"
    parser.add_argument("--out", type=Path, default=figures / "pulls.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    arrays, truth = mocks(options.count, options.seed)
    print(f"{options.count} galaxies, seed {options.seed}, torch {torch.__version__}\n")
    header = "| S/N, median | errors | converged | at bound | no error | " + " | ".join(SHORT) + " |"
    print(header + "\n|---:|---|---:|---:|---:|" + "---:|" * len(SHORT))
    shown = []
    for added in ADDED:
        batch = observed(arrays, added, options.seed)
        for kind in ("covariance",) if options.no_bootstrap else ("covariance", "bootstrap"):
            result = fit(batch, kind, options.replicates)
            pulls = pulls_of(result, truth)
            print(row(signal(batch, truth), kind, result, pulls), flush=True)
            if kind == "covariance":
                shown.append((f"S/N {signal(batch, truth):.0f}", pulls))
    draw(shown, options.out)
    print(f"\n{options.out}")


def mocks(count: int, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.npz"
        sets.make(path, "single", count, seed)
        with np.load(path) as f:
            arrays = {name: f[name][:-1] for name in ("image", "sigma", "psf_eff", "truth")}
    return arrays, dict(zip(NAMES, arrays["truth"].T, strict=True))


def observed(arrays: dict[str, np.ndarray], added: float, seed: int) -> isolux.Batch:
    noise = added * np.random.default_rng(seed).standard_normal(arrays["image"].shape)
    return isolux.Batch.from_arrays(
        arrays["image"] + noise,
        sigma=np.hypot(arrays["sigma"], added),
        psf=arrays["psf_eff"],
        zero_point=sets.ZERO_POINT,
        pixel_scale=sets.PIXEL_SCALE,
    )


def fit(batch: isolux.Batch, errors: str, replicates: int) -> isolux.Result:
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    return isolux.fit(batch, scene, errors=errors, replicates=replicates)


def signal(batch: isolux.Batch, truth: dict[str, np.ndarray]) -> float:
    """Median signal-to-noise of the sample, sqrt(sum of (model / sigma)^2)."""
    scene = isolux.Scene(galaxy=isolux.Sersic(**truth))
    model = scene.images(batch, scene.values(len(batch)))
    return float(((model / batch.sigma) ** 2).flatten(1).sum(1).sqrt().median())


def pulls_of(result: isolux.Result, truth: dict[str, np.ndarray]) -> Pulls:
    """Pulls of the galaxies that converged away from all bounds; NaN where there is no error."""
    free = torch.tensor([isolux.Flag.AT_BOUND not in flags for flags in result.flags])
    kept = (result.converged & free).numpy()
    pulls = {}
    for name, true in truth.items():
        difference = result[f"galaxy.{name}"].double().numpy() - true
        if name == "position_angle":
            difference = (difference + 90) % 180 - 90
        error = result.error(f"galaxy.{name}").double().numpy()
        pulls[name] = (difference / error)[kept]
    return pulls


def row(signal_to_noise: float, kind: str, result: isolux.Result, pulls: Pulls) -> str:
    stuck = sum(isolux.Flag.AT_BOUND in flags for flags in result.flags)
    lacking = sum(isolux.Flag.NO_COVARIANCE in flags for flags in result.flags)
    cells = [f"{signal_to_noise:.0f}", kind, f"{int(result.converged.sum())}", f"{stuck}", f"{lacking}"]
    for pull in pulls.values():
        kept = pull[np.isfinite(pull)]
        cells.append(f"{np.median(kept):+.2f} ± {tables.half_width(kept):.2f}")
    return "| " + " | ".join(cells) + " |"


def draw(shown: list[tuple[str, Pulls]], path: Path) -> None:
    """Histograms of the pulls from the covariance, a row a depth, with the unit normal curve."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    size = (2 * len(NAMES), 1.7 * len(shown))
    figure, axes = plt.subplots(len(shown), len(NAMES), figsize=size, sharex=True, layout="constrained")
    bins, fine = np.linspace(-5, 5, 31), np.linspace(-5, 5, 201)
    for line, (label, pulls) in zip(axes, shown, strict=True):
        for axis, short, pull in zip(line, SHORT, pulls.values(), strict=True):
            kept = pull[np.isfinite(pull)]
            axis.hist(np.clip(kept, -5, 5), bins, color=BLUE)
            normal = len(kept) * (bins[1] - bins[0]) * np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi)
            axis.plot(fine, normal, color=ORANGE, linewidth=1)
            axis.set(yticks=[])
            axis.spines[["top", "right", "left"]].set_visible(False)
            if axis in axes[0]:
                axis.set_title(short)
        line[0].set_ylabel(label)
    figure.supxlabel("(fitted − true) / error, beyond ±5 in the last bin", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
