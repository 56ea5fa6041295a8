"""Galaxies on the sky in three bands, drawn by GalSim like those of a shallow survey, with the truth."""

import dataclasses

import galsim
import numpy as np
import torch

import isolux

SIZE, SCALE, ZERO_POINT = 64, 0.396, 22.5
WAVELENGTHS = {"g": 477.0, "r": 623.0, "i": 763.0}
FWHM = {"g": 1.44, "r": 1.32, "i": 1.26}
NOISE = {"g": 0.025, "r": 0.033, "i": 0.048}
"""Of a pixel in nanomaggies: SDSS's at its median depth."""
PLACE = {"g": -1.0, "r": 2 * (623 - 477) / (763 - 477) - 1, "i": 1.0}
Truth = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Batches by band, and what is in them."""

    batches: dict[str, isolux.Batch]
    truth: Truth


def truths(count: int, gradients: bool, seed: int) -> Truth:
    """Galaxies of r 16.5 to 20.5; with gradients their sizes fall and their indices rise with wavelength.

    By 15 % and 20 % from g to i in the median, with as much scatter, about what Vulcani et al. (2014, MNRAS 441, 1340)
    find for all kinds of galaxies together.
    """
    rng = np.random.default_rng(seed)
    red = rng.random(count) < 0.5
    r = rng.uniform(16.5, 20.5, count)
    colour = np.where(red, rng.normal(0.95, 0.08, count), rng.normal(0.5, 0.12, count))
    spread = 1.0 if gradients else 0.0
    return {
        "x": (SIZE - 1) / 2 + rng.uniform(-0.5, 0.5, count),
        "y": (SIZE - 1) / 2 + rng.uniform(-0.5, 0.5, count),
        "radius": np.exp(rng.uniform(np.log(1.0), np.log(3.5), count)) / SCALE,
        "index": np.where(
            red, np.exp(rng.normal(1.1, 0.3, count)), np.exp(rng.normal(0.2, 0.25, count))
        ).clip(0.5, 6),
        "axis_ratio": rng.uniform(0.25, 0.95, count),
        "position_angle": rng.uniform(-90, 90, count),
        "radius slope": spread * rng.normal(-0.08, 0.08, count),
        "index slope": spread * rng.normal(0.1, 0.1, count),
        "g": r + colour,
        "r": r,
        "i": r - rng.normal(0.35, 0.05, count),
    }


def drawn(truth: Truth, seed: int) -> Sample:
    """Stamps with noise."""
    rng = np.random.default_rng(seed)
    batches = {}
    for band in WAVELENGTHS:
        kernel = galsim.Moffat(beta=3.5, fwhm=FWHM[band] / SCALE, trunc=4 * FWHM[band] / SCALE)
        psf = kernel.drawImage(nx=31, ny=31, scale=1.0, dtype=float).array
        images = np.stack([_image(truth, k, band, kernel) for k in range(len(truth["x"]))])
        sigma = np.full_like(images, NOISE[band])
        batches[band] = isolux.Batch.from_arrays(
            images + sigma * rng.standard_normal(images.shape),
            sigma=sigma,
            psf=psf / psf.sum(),
            zero_point=ZERO_POINT,
            pixel_scale=SCALE,
            dtype=torch.float32,
        )
    return Sample(batches, truth)


def _image(truth: Truth, k: int, band: str, kernel: galsim.GSObject) -> np.ndarray:
    q = truth["axis_ratio"][k]
    radius = truth["radius"][k] * np.exp(truth["radius slope"][k] * PLACE[band])
    galaxy = galsim.Sersic(
        n=min(truth["index"][k] * np.exp(truth["index slope"][k] * PLACE[band]), 6.2),
        half_light_radius=radius * np.sqrt(q),
        flux=10 ** (-0.4 * (truth[band][k] - ZERO_POINT)),
    )
    middle = (SIZE - 1) / 2
    galaxy = galaxy.shear(q=q, beta=(truth["position_angle"][k] + 90) * galsim.degrees)
    galaxy = galaxy.shift(truth["x"][k] - middle, truth["y"][k] - middle)
    whole = galsim.Convolve(galaxy, kernel, gsparams=galsim.GSParams(maximum_fft_size=16384))
    return whole.drawImage(nx=SIZE, ny=SIZE, scale=1.0, dtype=float).array
