"""A scene of many components, drawn and then fitted: appendix C of Chen et al. (2024).

A galaxy of disc, bulge and bar; a side galaxy; two point sources; an open cluster. The numbers are the
paper's, its sizes in arcsec and its pixels counted from 1/2 instead of 0; it gives none for the cluster, so
that those are ours. Its point sources are Gaussians as wide as the PSF and not convolved: the PSF itself.

python examples/appendix_c.py OUT
"""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import isolux
from isolux import Batch, Fixed, Free, Scene, Sersic, Tied
from isolux.profiles import Ferrer, King, PointSource
from isolux.simulate import draw

PIXEL_SCALE, ZERO_POINT, SHAPE = 0.396, 22.5, (128, 128)
FWHM = 1.2 / PIXEL_SCALE
STAR = 0.1 * math.pi * FWHM**2 / (4 * math.log(2))
"""Flux of a Gaussian with a peak of 0.1 and the PSF's width."""
GAIN, SKY_SIGMA = 2000.0, 0.002


def pixels(arcsec: float) -> float:
    """Arcsec as pixels."""
    return arcsec / PIXEL_SCALE


def gaussian_psf(size: int = 41) -> np.ndarray:
    """A round Gaussian that sums to one, as the image of a star."""
    axis = np.arange(size) - size // 2
    psf = np.exp(-4 * math.log(2) * (axis[:, None] ** 2 + axis**2) / FWHM**2)
    return psf / psf.sum()


CENTRE = {"x": Tied("disc.x"), "y": Tied("disc.y")}
# Held are the shapes of the bulge and of the bar's ends: a disc sixty times brighter hides them.
SCENE = Scene(
    disc=Sersic(
        x=64.5,
        y=63.5,
        magnitude=17.0,
        effective_radius=pixels(13),
        sersic_index=1.0,
        axis_ratio=0.44,
        position_angle=55.0,
        boxiness=0.1,
    ),
    bulge=Sersic(
        **CENTRE,
        magnitude=21.5,
        effective_radius=Fixed(pixels(6)),
        sersic_index=Fixed(6.0),
        axis_ratio=Fixed(1.0),
        position_angle=Fixed(0.0),
    ),
    bar=Ferrer(
        **CENTRE,
        magnitude=21.5,
        outer_radius=pixels(5),
        truncation_sharpness=Fixed(0.5),
        central_slope=Fixed(1.9),
        axis_ratio=0.2,
        position_angle=-40.0,
        boxiness=Fixed(0.1),
    ),
    side=Sersic(
        x=44.93,
        y=100.45,
        magnitude=17.5,
        effective_radius=pixels(13),
        sersic_index=1.6,
        axis_ratio=0.7,
        position_angle=-60.0,
        boxiness=-0.6,
    ),
    star_1=PointSource(x=74.5, y=79.5, flux=STAR),
    star_2=PointSource(x=87.5, y=39.5, flux=STAR),
    cluster=King(
        x=104.0,
        y=98.0,
        magnitude=20.5,
        core_radius=pixels(0.8),
        truncation_radius=pixels(5),
        alpha=Fixed(2.0),
        axis_ratio=Fixed(1.0),
        position_angle=Fixed(0.0),
    ),
)


def noisy(clean: np.ndarray) -> Batch:
    """A batch of one galaxy: the image with the noise of photons and sky."""
    rng = np.random.default_rng(0)
    sigma = np.sqrt(clean / GAIN + SKY_SIGMA**2)
    image = clean + sigma * rng.standard_normal(clean.shape)
    return Batch.from_arrays(
        image,
        sigma=sigma,
        psf=gaussian_psf(),
        id=["appendix_c"],
        zero_point=ZERO_POINT,
        pixel_scale=PIXEL_SCALE,
    )


def rough_start() -> dict[str, np.ndarray]:
    """Starting values some way off the truth: half a pixel, a tenth of a size, eight degrees."""
    rng = np.random.default_rng(1)
    start = {}
    for entry, value in zip(SCENE.parameters, SCENE.values()[0].tolist(), strict=True):
        if not isinstance(entry.setting, Free):
            continue
        shift = {"pixel": 0.5, "mag": 0.2, "deg": 8.0, "flux": 0.2, "": 0.05}[entry.parameter.unit]
        kick = rng.normal()
        start[entry.full_name] = np.array(
            [value * 1.1**kick if entry.parameter.log else value + shift * kick]
        )
    return start


def draw_figure(panels: dict[str, torch.Tensor], path: Path) -> None:
    """Images side by side on one logarithmic-like scale."""
    figure, axes = plt.subplots(2, 5, figsize=(15, 6.4), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, image) in zip(axes.flat, panels.items(), strict=False):
        axis.imshow(torch.arcsinh(image / 0.01).numpy(), origin="lower", cmap="magma", vmin=-0.3, vmax=4)
        axis.set_title(name)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(folder: Path) -> None:
    """Draw the scene, fit a noisy image of it, write a figure and the catalogue into the folder."""
    total, components = draw(SCENE, SHAPE, psf=gaussian_psf(), zero_point=ZERO_POINT)
    sharp, _ = draw(SCENE, SHAPE, zero_point=ZERO_POINT)
    batch = noisy(total[0].numpy())
    panels = {"without PSF": sharp[0], "with PSF": total[0], **{n: c[0] for n, c in components.items()}}
    draw_figure({**panels, "with noise": batch.image[0]}, folder / "appendix_c.png")
    result = isolux.fit(batch, SCENE, start=rough_start())
    print(result.describe(0), f"; reduced chi-square {float(result.reduced_chi2[0]):.3f}", sep="")
    for k, (column, true) in enumerate(zip(result.columns, SCENE.values()[0].tolist(), strict=True)):
        if result.kinds[k] == "free":
            value, error = float(result.values[0, k]), float(result.errors[0, k])
            print(f"{column.name:28} {value:10.4f} +- {error:7.4f}   true {true:10.4f} {column.unit}")
    result.table().write(folder / "appendix_c.fits", overwrite=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    main(out)
