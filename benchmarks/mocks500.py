"""The figure of the documentation that compares 500 fitted mock galaxies with their true values.

`python benchmarks/mocks500.py`: GalSim draws single Sérsic galaxies (as in sets.py), Isolux fits them with a
free sky from starting values of its own. A histogram of the differences, with their median and scatter
(half the central 68 %), is under each panel; its outermost bins hold all that lies beyond.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import sets
import tables

import isolux

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
PANELS = (
    ("magnitude", "magnitude", 0.1, 4),
    ("position_angle", "position angle, deg", 10.0, 2),
    ("axis_ratio", "axis ratio", 0.05, 4),
    ("effective_radius", "effective radius, arcsec", 0.5, 3),
    ("sersic_index", "Sérsic index", 0.5, 3),
)
COLUMNS = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=500)
    figures = Path(__file__).parents[1] / "docs" / "figures"
    parser.add_argument("--out", type=Path, default=figures / "mocks500.png")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.npz"
        sets.make(path, "single", options.count, options.seed)
        with np.load(path) as f:
            arrays = {name: f[name][:-1] for name in ("image", "sigma", "psf_eff", "truth")}
    truth = dict(zip(COLUMNS, arrays["truth"].T, strict=True))
    result = fit(arrays)
    fitted = {name: result[f"galaxy.{name}"].double().numpy() for name in COLUMNS}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw(fitted, truth, options.out)
    print(f"{int(result.converged.sum())} of {options.count} converged; {options.out}")


def fit(arrays: dict[str, np.ndarray]) -> isolux.Result:
    batch = isolux.Batch.from_arrays(
        arrays["image"],
        sigma=arrays["sigma"],
        psf=arrays["psf_eff"],
        zero_point=sets.ZERO_POINT,
        pixel_scale=sets.PIXEL_SCALE,
    )
    return isolux.fit(batch, isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky()))


def comparable(name: str, fitted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radii in arcsec; of the angles that mean the same, the fitted one within 90 degrees of the true one."""
    if name == "effective_radius":
        return fitted * sets.PIXEL_SCALE, truth * sets.PIXEL_SCALE
    if name == "position_angle":
        return truth + (fitted - truth + 90) % 180 - 90, truth
    return fitted, truth


def draw(fitted: dict[str, np.ndarray], truth: dict[str, np.ndarray], path: Path) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(PANELS), figsize=(15, 4.6), height_ratios=(3, 1.2), layout="constrained"
    )
    for (name, label, limit, digits), (above, below) in zip(PANELS, axes.T, strict=True):
        y, x = comparable(name, fitted[name], truth[name])
        fine = np.isfinite(y)
        difference = (y - x)[fine]
        r2 = 1 - (difference**2).sum() / ((x[fine] - x[fine].mean()) ** 2).sum()
        above.plot(x, y, ".", color=BLUE, alpha=0.5, markersize=5, markeredgewidth=0)
        ends = [x.min(), x.max()]
        above.plot(ends, ends, "-", color=ORANGE, linewidth=1)
        above.set(xlabel=f"true {label}", ylabel="fitted")
        above.annotate(f"$R^2$ = {r2:.4f}", (0.05, 0.9), xycoords="axes fraction")
        below.hist(np.clip(difference, -limit, limit), np.linspace(-limit, limit, 41), color=BLUE)
        below.axvline(0, color=ORANGE, linewidth=1)
        words = f"{np.median(difference):+.{digits}f} ± {tables.half_width(difference):.{digits}f}"
        below.set_title(words, color=GREY, fontsize="small")
        below.set(xlabel="fitted less true", xlim=(-limit, limit), yticks=[])
        for axis in (above, below):
            axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
