"""The figures of docs/mock-fields.md: one piece of sky as six surveys see it, and galaxies that no simple model fits.

python benchmarks/mock_figures.py [--seed 7]
"""

import argparse
import dataclasses

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from small_figures import save_small

from isolux import mock
from isolux.report.style import house_style

PIXELS = 1600
"""Side of the piece of sky in the pixels of HST."""
FAINT, SEEN_FROM = 24.0, ("hst", "euclid", "lsst", "hsc", "legacy", "sdss")
TITLES = {
    "hst": "HST/ACS F814W",
    "euclid": "Euclid VIS",
    "lsst": "LSST i, 10 years",
    "hsc": "HSC Wide i",
    "legacy": "Legacy Surveys r",
    "sdss": "SDSS r",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=7)
    seed = parser.parse_args().seed
    with house_style():
        save_small(surveys(seed), "mock-surveys")
        save_small(galaxies(seed), "mock-galaxies")


def surveys(seed: int) -> Figure:
    """The same sky with the pixels, PSF, depth and noise of each survey."""
    bands = [dataclasses.replace(mock.SURVEYS[name].bands[0], name=name) for name in SEEN_FROM]
    made = mock.field(
        mock.Survey("six", tuple(bands)),
        bands=SEEN_FROM,
        seed=seed,
        size=PIXELS,
        galaxies=70,
        faint=FAINT,
        morphology="realistic",
    )
    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    for axes, name in zip(figure.subplots(2, 3).flat, SEEN_FROM, strict=True):
        field = made.bands[name]
        pixels = np.where(field.saturated, made.full[name], field.data) / made.sigma[name]
        show(axes, pixels, f"{TITLES[name]}, {field.pixel_scale:g}″/pixel")
    return figure


def galaxies(seed: int) -> Figure:
    """Large galaxies with bars, arms, clumps and dust, as HST sees them."""
    options = dict(size=3000, galaxies=36, stars=0, bright=18.5, faint=20.5, arrangement="grid")
    made = mock.field("hst", seed=seed, morphology="realistic", **options)
    truth = made.truth
    light = made.bands["F814W"].data / made.sigma["F814W"]
    reach = 4 * truth["disc_scale_radius"] / 0.03
    inside = [(c > reach) & (c < 2999 - reach) for c in (truth["x_F814W"], truth["y_F814W"])]
    order = np.argsort(-truth["disc_scale_radius"] * truth["realistic"] * np.logical_and(*inside))[:10]
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    for axes, row in zip(figure.subplots(2, 5).flat, order, strict=True):
        half = int(reach[row])
        x, y = round(truth["x_F814W"][row]), round(truth["y_F814W"][row])
        show(axes, light[y - half : y + half + 1, x - half : x + half + 1], "")
    return figure


def show(axes: Axes, pixels: np.ndarray, title: str) -> None:
    """One image, in units of the noise, on an asinh scale."""
    axes.imshow(np.arcsinh(pixels / 2), cmap="gray_r", origin="lower", vmin=-1.0, vmax=5.0)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)


if __name__ == "__main__":
    main()
