"""How exact a drawn image is: Isolux and the plain practice beside GalSim, on a few Sérsic galaxies.

GalSim's image of a galaxy convolved with a Moffat PSF (beta 3) and the pixel is taken for the truth. The others
are given the PSF's image, 201 pixels wide, so that next to no light is cut off with it. The plain practice is to
average the model over pixels near the centre (10 x 10 points a pixel), to take it at the pixel's centre
elsewhere, and to convolve on the pixel grid; with the image of a star as PSF, or with a PSF sampled at points.

An error is the largest difference from GalSim's image in any pixel over that image's brightest pixel; of three
places of the galaxy within a pixel the worst counts. Prints the tables of docs/how-images-are-made.md and draws
its figure; takes about a minute.

    python benchmarks/exactness_small.py [--out docs/figures/exactness.png]
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import galsim
import matplotlib
import numpy as np
import torch

from isolux import Batch, Scene, Sersic
from isolux.profiles.sersic import sersic_b

ACCURATE = galsim.GSParams(folding_threshold=5e-4, maxk_threshold=2e-4, maximum_fft_size=32768)
TIGHTER = galsim.GSParams(
    folding_threshold=1e-4, maxk_threshold=2e-5, kvalue_accuracy=1e-6, maximum_fft_size=32768
)
SIDE, PSF_SIDE, ANGLE, FWHM = 65, 201, 35.0, 3.3
PLACES = ((31.3, 31.8), (32.0, 32.0), (31.5, 32.25))
"""Centres (x, y), from pixel 0."""
CORE = 10
"""Pixels nearer to the centre than this, along x and y, are averaged in the plain practice."""
GRID = (
    (0.5, 1.0, 0.6),
    (0.5, 5.0, 0.6),
    (1.0, 2.0, 0.6),
    (1.0, 8.0, 0.2),
    (1.0, 15.0, 0.6),
    (2.5, 5.0, 0.6),
    (4.0, 2.0, 0.6),
    (4.0, 10.0, 0.3),
    (4.0, 15.0, 0.6),
    (6.0, 1.0, 0.6),
    (6.0, 5.0, 0.2),
    (6.0, 15.0, 0.6),
)
"""Sérsic index, half-light semi-major axis in pixels, axis ratio."""
WIDTHS = (1.2, 1.6, 2.0, 2.5, 3.3)
FINER = (1, 2, 4)
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
Shape = tuple[float, float, float]
Place = tuple[float, float]
Draw = Callable[[Shape, Place], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    figures = Path(__file__).parents[1] / "docs" / "figures"
    parser.add_argument("--out", type=Path, default=figures / "exactness.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    star, point = psf_image(FWHM), psf_image(FWHM, method="no_pixel")
    ways: dict[str, Draw] = {
        "plain, image of a star": lambda shape, place: plain(shape, place, star),
        "plain, PSF without the pixel": lambda shape, place: plain(shape, place, point),
        "Isolux, float32": lambda shape, place: isolux_image(shape, place, star, dtype=torch.float32),
        "Isolux, float64": lambda shape, place: isolux_image(shape, place, star),
    }
    print(f"GalSim {galsim.__version__}, torch {torch.__version__}\n")
    grid_table(ways)
    width_table()
    draw_figure(ways, options.out)
    print(options.out)


def grid_table(ways: dict[str, Draw]) -> None:
    """Errors of each way on the grid of galaxies, and how far GalSim itself moves with tighter parameters."""
    print(f"| n | r_e, pixels | q | {' | '.join(ways)} |")
    print("|---:|---:|---:|" + "---:|" * len(ways))
    own = 0.0
    for shape in GRID:
        truths = {place: galsim_image(shape, place) for place in PLACES}
        errors = [max(error(draw(shape, p), truth) for p, truth in truths.items()) for draw in ways.values()]
        n, radius, q = shape
        print(f"| {n:g} | {radius:g} | {q:g} | " + " | ".join(f"{e:.1e}" for e in errors) + " |", flush=True)
        own = max(own, error(galsim_image(shape, PLACES[0], parameters=TIGHTER), truths[PLACES[0]]))
    print(
        f"\nTighter parameters change GalSim's own images by {own:.0e} of their peak at most.\n", flush=True
    )


def width_table() -> None:
    """Errors of Isolux by width of the PSF and oversampling of its image."""
    shape = (2.5, 5.0, 0.6)
    print("| FWHM, pixels | " + " | ".join(f"oversampling {k}" for k in FINER) + " |")
    print("|---:|" + "---:|" * len(FINER))
    for fwhm in WIDTHS:
        errors = []
        for k in FINER:
            psf = psf_image(fwhm, oversampling=k)
            found = {place: isolux_image(shape, place, psf, psf_oversampling=k) for place in PLACES}
            errors.append(max(error(image, galsim_image(shape, p, fwhm)) for p, image in found.items()))
        print(f"| {fwhm:g} | " + " | ".join(f"{e:.1e}" for e in errors) + " |", flush=True)
    print()


def error(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(image - truth).max() / truth.max())


def galsim_image(
    shape: Shape, place: Place, fwhm: float = FWHM, parameters: galsim.GSParams = ACCURATE
) -> np.ndarray:
    """The galaxy convolved with PSF and pixel, of unit flux."""
    n, radius, q = shape
    x, y = (c - (SIDE - 1) / 2 for c in place)
    galaxy = galsim.Sersic(n=n, half_light_radius=radius * math.sqrt(q), gsparams=parameters)
    galaxy = galaxy.shear(q=q, beta=(90 + ANGLE) * galsim.degrees).shift(x, y)
    psf = galsim.Moffat(beta=3, fwhm=fwhm, gsparams=parameters)
    both = galsim.Convolve(galaxy, psf, gsparams=parameters)
    return both.drawImage(nx=SIDE, ny=SIDE, scale=1.0, dtype=float).array


def psf_image(fwhm: float, method: str = "auto", oversampling: int = 1) -> np.ndarray:
    """Image of a star, or with ``no_pixel`` the PSF at points; always with the pixel where it is oversampled."""
    psf: galsim.GSObject = galsim.Moffat(beta=3, fwhm=fwhm, gsparams=TIGHTER)
    if oversampling > 1:
        psf, method = galsim.Convolve(psf, galsim.Pixel(1.0), gsparams=TIGHTER), "no_pixel"
    side = PSF_SIDE if oversampling == 1 else 101 * oversampling // 2 * 2 + 1
    image = psf.drawImage(nx=side, ny=side, scale=1 / oversampling, method=method, dtype=float).array
    return image / image.sum()


def isolux_image(
    shape: Shape, place: Place, psf: np.ndarray, dtype: torch.dtype = torch.float64, psf_oversampling: int = 1
) -> np.ndarray:
    (n, radius, q), (x, y) = shape, place
    galaxy = Sersic(
        x=x, y=y, flux=1.0, effective_radius=radius, sersic_index=n, axis_ratio=q, position_angle=ANGLE
    )
    scene = Scene(galaxy=galaxy)
    blank = np.zeros((1, SIDE, SIDE))
    batch = Batch.from_arrays(blank, sigma=blank + 1, psf=psf, psf_oversampling=psf_oversampling, dtype=dtype)
    return scene.images(batch, scene.values())[0].double().numpy()


def plain(shape: Shape, place: Place, psf: np.ndarray) -> np.ndarray:
    """Pixel averages near the centre, values at pixel centres elsewhere, convolved with the PSF's image."""
    x, y = place
    margin = PSF_SIDE // 2
    column, row = (np.arange(-margin, SIDE + margin, dtype=float) - c for c in (x, y))
    model = brightness(shape, column[None, :], row[:, None])
    near_x, near_y = (np.flatnonzero(np.abs(axis) < CORE) for axis in (column, row))
    fine = (np.arange(10) - 4.5) / 10
    fine_x = (column[near_x][:, None] + fine).ravel()
    fine_y = (row[near_y][:, None] + fine).ravel()
    points = brightness(shape, fine_x[None, :], fine_y[:, None])
    model[np.ix_(near_y, near_x)] = points.reshape(len(near_y), 10, len(near_x), 10).mean((1, 3))
    size = [length + PSF_SIDE - 1 for length in model.shape]
    image = np.fft.irfft2(np.fft.rfft2(model, size) * np.fft.rfft2(psf, size), size)
    first = 2 * margin
    return image[first : first + SIDE, first : first + SIDE]


def brightness(shape: Shape, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sérsic profile of unit flux at offsets from its centre."""
    n, radius, q = shape
    b = float(sersic_b(torch.tensor(n, dtype=torch.float64)))
    sin, cos = math.sin(math.radians(ANGLE)), math.cos(math.radians(ANGLE))
    r = np.hypot(y * cos - x * sin, (x * cos + y * sin) / q)
    total = 2 * math.pi * q * radius**2 * n * math.exp(b) * b ** (-2 * n) * math.gamma(2 * n)
    return np.exp(-b * ((r / radius) ** (1 / n) - 1)) / total


def draw_figure(ways: dict[str, Draw], path: Path) -> None:
    """Errors against the Sérsic index, and where in the image they are."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(14, 3.4), width_ratios=(1.5, 1, 1, 1), layout="constrained")
    compared = {"plain, image of a star": (ORANGE, "plain"), "Isolux, float64": (BLUE, "Isolux")}
    indices = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    lines = {2.0: "-", 5.0: "--", 10.0: ":"}
    truths = {
        (n, radius, 0.6): galsim_image((n, radius, 0.6), PLACES[0]) for n in indices for radius in lines
    }
    for way, (colour, label) in compared.items():
        for radius, line in lines.items():
            shapes = [(n, radius, 0.6) for n in indices]
            errors = [error(ways[way](shape, PLACES[0]), truths[shape]) for shape in shapes]
            axes[0].semilogy(indices, errors, line, color=colour, label=f"{label}, $r_e$ = {radius:g}")
    axes[0].set(xlabel="Sérsic index", ylabel="largest error / peak", ylim=(1e-5, 0.2))
    axes[0].legend(fontsize="x-small", ncols=2, frameon=False, loc="lower right")
    axes[0].spines[["top", "right"]].set_visible(False)
    shape, place = (4.0, 5.0, 0.6), PLACES[0]
    truth = galsim_image(shape, place)
    show(axes[1], np.log10(truth / truth.max()), (-4, 0), "GalSim, log10 of peak", "viridis")
    for axis, (way, (_, label)), limit in zip(axes[2:], compared.items(), (5.0, 0.05), strict=True):
        difference = 100 * (ways[way](shape, place) - truth) / truth.max()
        show(axis, difference, (-limit, limit), f"{label} − GalSim, % of peak", "RdBu_r")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def show(axis, image: np.ndarray, limits: tuple[float, float], title: str, colours: str) -> None:
    centre = slice(SIDE // 2 - 12, SIDE // 2 + 13)
    drawn = axis.imshow(image[centre, centre], origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1])
    axis.set_title(title, fontsize="small")
    axis.set_axis_off()
    axis.figure.colorbar(drawn, ax=axis, shrink=0.8)


if __name__ == "__main__":
    main()
