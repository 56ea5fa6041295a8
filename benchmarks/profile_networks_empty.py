"""Stamps without a galaxy, SDSS-like: noise, correlated noise, gradients of the sky, lights away from the middle."""

import galsim
import numpy as np
from profile_networks_sets import Sample
from profile_networks_shifted import PARAMS, drawn, unit_noise
from profile_networks_truth import GRID

KINDS = ("white noise", "correlated noise", "gradients", "lights off the middle")
SIDE, SCALE, ZERO_POINT, NEAREST = 128, 0.396, 22.5, 0.2
"""The last: least distance of lights from the middle, over the side."""


def empty(count: int, seed: int) -> list[Sample]:
    """As many of each kind."""
    return [_one(k, np.random.default_rng([seed, k]), seed) for k in range(count)]


def _one(number: int, rng: np.random.Generator, seed: int) -> Sample:
    kind = KINDS[number % len(KINDS)]
    noise, centre = rng.uniform(0.02, 0.03), np.full(2, (SIDE - 1) / 2)
    image = unit_noise(rng, SIDE, kind == "correlated noise")
    axis = np.linspace(-1, 1, SIDE)
    if kind == "gradients":
        image = image + rng.normal(0, 0.5) * axis[None] + rng.normal(0, 0.5) * axis[:, None]
    others = np.zeros_like(image)
    psf = galsim.Moffat(beta=3, fwhm=rng.uniform(2.6, 3.8), gsparams=PARAMS)
    seen = galsim.Convolve(psf, galsim.Pixel(1.0), gsparams=PARAMS)
    if kind == "lights off the middle":
        for _ in range(rng.integers(1, 5)):
            others = others + _light(rng, centre, seen)
    kernel = seen.drawImage(nx=41, ny=41, scale=1.0, method="no_pixel").array
    nothing = np.full_like(GRID, np.nan)
    return Sample(
        f"empty-{seed}-{number:03d}", "empty", "sdss-like", kind, (image + others) * noise,
        np.full_like(image, noise), np.zeros(image.shape, bool), kernel / kernel.sum(), 3.2, SCALE, ZERO_POINT,
        float(noise), *map(float, centre), nothing, nothing, np.nan,
    )  # fmt: skip


def _light(rng: np.random.Generator, centre: np.ndarray, seen: galsim.GSObject) -> np.ndarray:
    """A star, or a galaxy small enough to leave the middle empty, in units of the noise."""
    away, angle = rng.uniform(NEAREST, 0.48) * SIDE, rng.uniform(0, 2 * np.pi)
    place = centre + away * np.array([np.cos(angle), np.sin(angle)])
    flux = 10 ** rng.uniform(2, 4)
    if rng.random() < 0.5:
        return drawn(seen.withFlux(flux), place, 1, SIDE)
    own = galsim.Exponential(half_light_radius=rng.uniform(1, 4), flux=flux, gsparams=PARAMS)
    own = own.shear(q=rng.uniform(0.3, 1), beta=rng.uniform(0, 180) * galsim.degrees)
    return drawn(galsim.Convolve(own, seen, gsparams=PARAMS), place, 1, SIDE)
