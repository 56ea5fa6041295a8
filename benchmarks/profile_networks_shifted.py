"""Galaxies that no network has been trained on, drawn by GalSim: other PSFs, profiles, pixels, noise and sky.

PSFs are Kolmogorov's, an Airy pattern with obscuration and spiders, or an elliptical Moffat profile; galaxies single
Sérsic profiles with n from 0.4 to 6.2, galaxies with a core, discs seen from the edge, rings, discs with knots; a fifth
of stamps has 256 pixels a side and half-light radii of up to 56 pixels. Noise is correlated in half of them, the sky is
wrong by a level and a gradient in most, a third has neighbours and stars, with a mask in half of these.
"""

import dataclasses

import galsim
import isophotes_mocks as mocks
import numpy as np
from profile_networks_sets import Sample, nearest_of, width_of
from profile_networks_truth import faintest, isophotes, on_grid
from scipy import ndimage

PARAMS = galsim.GSParams(folding_threshold=5e-3, maximum_fft_size=8192)
KINDS = ("sersic", "sersic", "cored", "edge-on", "ring", "knotty")
FINE = mocks.FINE


@dataclasses.dataclass(frozen=True)
class Camera:
    """Pixel scale in arcsec, zero point, and the surface brightness of the noise of a pixel."""

    name: str
    scale: float
    zero_point: float
    noise: float


CAMERAS = (
    Camera("sdss-like", 0.396, 22.5, 24.5),
    Camera("0.26 arcsec", 0.263, 30.0, 25.3),
    Camera("0.20 arcsec", 0.2, 27.0, 26.5),
    Camera("0.10 arcsec", 0.1, 23.9, 25.4),
    Camera("0.05 arcsec", 0.05, 25.9, 24.8),
)


def shifted(count: int, seed: int) -> list[Sample]:
    """The population."""
    return [shifted_sample(k, np.random.default_rng([seed, k]), seed) for k in range(count)]


def shifted_sample(number: int, rng: np.random.Generator, seed: int) -> Sample:
    """One of it; a third is SDSS-like."""
    camera = CAMERAS[0] if number % 3 == 0 else CAMERAS[1 + number % 4]
    side = 256 if number % 5 == 4 else 128
    kind = KINDS[int(rng.integers(len(KINDS)))]
    noise = 10 ** (-0.4 * (camera.noise - camera.zero_point)) * camera.scale**2
    psf = psf_of(rng, number % 3)
    seen = galsim.Convolve(psf, galsim.Pixel(1.0), gsparams=PARAMS)
    radius = rng.uniform(30, 56) if side == 256 else np.exp(rng.uniform(np.log(2), np.log(26)))
    q, angle = rng.uniform(0.2, 1), rng.uniform(0, 180)
    shape = galaxy(kind, rng, float(radius), float(q), side).rotate(angle * galsim.degrees)
    mean = np.exp(rng.uniform(np.log(1.0), np.log(300)))
    flux = 2 * np.pi * q * radius**2 * mean * noise
    centre = (side - 1) / 2 + rng.uniform(-2, 2, 2)
    fine = drawn(galsim.Convolve(shape.withFlux(flux), seen, gsparams=PARAMS), centre, FINE, side)
    coefficients = mocks.spline(fine)
    clean = mocks.sample(coefficients, *np.meshgrid(np.arange(side), np.arange(side)))
    others, places = np.zeros_like(clean), np.full((1, 2), np.nan)
    if rng.random() < 1 / 3:
        others, places = company(rng, centre, seen, side, flux)
    mask = others > 0.5 * noise if rng.random() < 0.5 else np.zeros(others.shape, bool)
    grain = np.clip(clean + others, 0, None) * noise * 10 ** rng.uniform(-3, -1)
    sigma = np.sqrt(noise**2 + grain)
    image = clean + others + sigma * unit_noise(rng, side, number % 2 == 1) + noise * sky(rng, side)
    at = on_grid(*isophotes(fine, tuple(centre), faintest(camera.zero_point, camera.scale)), noise)
    kernel = seen.drawImage(nx=41, ny=41, scale=1.0, method="no_pixel").array
    return Sample(
        f"shifted-{seed}-{number:03d}", "shifted", camera.name, kind, image, sigma, mask, kernel / kernel.sum(),
        width_of(kernel), camera.scale, camera.zero_point, noise,
        *map(float, centre), *at,
        nearest_of(places, *centre),
    )  # fmt: skip


def psf_of(rng: np.random.Generator, kind: int) -> galsim.GSObject:
    """A PSF without the pixel, in units of pixels."""
    width = rng.uniform(2.0, 4.5)
    if kind == 0:
        return galsim.Kolmogorov(fwhm=width, gsparams=PARAMS)
    if kind == 1:
        airy = galsim.OpticalPSF(
            lam_over_diam=width, obscuration=0.3, nstruts=4, strut_thick=0.04, defocus=rng.normal(0, 0.05),
            coma1=rng.normal(0, 0.04), scale_unit=galsim.radians, gsparams=PARAMS,
        )  # fmt: skip
        return galsim.Convolve(airy, galsim.Gaussian(fwhm=1.0), gsparams=PARAMS)
    moffat = galsim.Moffat(beta=rng.uniform(2.2, 5), fwhm=width, gsparams=PARAMS)
    return moffat.shear(g=rng.uniform(0.05, 0.12), beta=rng.uniform(0, 180) * galsim.degrees)


def galaxy(kind: str, rng: np.random.Generator, radius: float, q: float, side: int) -> galsim.GSObject:
    """A galaxy along x, of half-light radius ``radius`` in pixels along its major axis, about."""
    round_one = radius * np.sqrt(q)
    flat = galsim.Shear(q=q, beta=0 * galsim.degrees)
    if kind == "sersic":
        n = np.exp(rng.uniform(np.log(0.4), np.log(6.2)))
        # Cut beyond the stamp, so that Fourier transforms stay small.
        cut = max(1.2 * side / np.sqrt(q), 4 * round_one)
        return galsim.Sersic(
            n, round_one, trunc=cut, flux_untruncated=True, gsparams=PARAMS
        ).shear(flat)  # fmt: skip
    if kind == "edge-on":
        tilt = rng.uniform(82, 90) * galsim.degrees
        return galsim.InclinedExponential(
            tilt, scale_radius=radius / 1.68, scale_h_over_r=rng.uniform(0.06, 0.2), gsparams=PARAMS
        )
    if kind == "knotty":
        return knots(rng, round_one).shear(flat)
    return painted(kind, rng, radius, q, side)


def knots(rng: np.random.Generator, radius: float) -> galsim.GSObject:
    """A disc with Gaussian knots."""
    disc = galsim.Exponential(half_light_radius=radius, flux=1.0, gsparams=PARAMS)
    parts = [disc]
    for _ in range(rng.integers(6, 25)):
        away, angle = radius * np.sqrt(rng.uniform(0.05, 4)), rng.uniform(0, 2 * np.pi)
        spot = galsim.Gaussian(sigma=radius * rng.uniform(0.04, 0.15), flux=rng.uniform(0.002, 0.03))
        parts.append(spot.shift(away * np.cos(angle), away * np.sin(angle)))
    return galsim.Sum(parts)


def painted(kind: str, rng: np.random.Generator, radius: float, q: float, side: int) -> galsim.GSObject:
    """A galaxy from an image of a quarter of a pixel: a core within a steeper profile, or a disc with a ring."""
    axis = (np.arange(8 * side) - 4 * side + 0.5) / 4
    r = np.hypot(axis[None], axis[:, None] / q) / radius
    if kind == "cored":
        core, slope = rng.uniform(0.1, 0.5), rng.uniform(2.2, 3.5)
        light = (1 + (r / core) ** 2) ** (-slope / 2)
    else:
        place, width = rng.uniform(0.7, 1.5), rng.uniform(0.12, 0.35)
        light = np.exp(-1.68 * r) + rng.uniform(0.05, 0.3) * np.exp(-0.5 * ((r - place) / width) ** 2)
    image = galsim.Image(light / light.sum(), scale=0.25)
    return galsim.InterpolatedImage(image, x_interpolant="cubic", gsparams=PARAMS)


def company(
    rng: np.random.Generator, centre: np.ndarray, seen: galsim.GSObject, side: int, flux: float
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours and stars, and their places."""
    light, places = np.zeros((side, side)), []
    for _ in range(rng.integers(1, 4)):
        away, angle = rng.uniform(0.1, 0.5) * side, rng.uniform(0, 2 * np.pi)
        place = centre + away * np.array([np.cos(angle), np.sin(angle)])
        places.append(place)
        part = flux * 10 ** rng.uniform(-1.7, 0)
        if rng.random() < 0.5:
            light += drawn(seen.withFlux(0.3 * part), place, 1, side)
            continue
        size, q = np.exp(rng.uniform(np.log(1.5), np.log(6))), rng.uniform(0.3, 1)
        own = galsim.Exponential(half_light_radius=size, flux=part, gsparams=PARAMS)
        own = own.shear(q=q, beta=rng.uniform(0, 180) * galsim.degrees)
        light += drawn(galsim.Convolve(own, seen, gsparams=PARAMS), place, 1, side)
    return light, np.array(places)


def unit_noise(rng: np.random.Generator, side: int, correlated: bool) -> np.ndarray:
    """Of variance one."""
    white = rng.normal(0, 1, (side, side))
    if not correlated:
        return white
    smooth = ndimage.gaussian_filter(white, rng.uniform(0.4, 1.2), mode="wrap")
    return smooth / smooth.std()


def sky(rng: np.random.Generator, side: int) -> np.ndarray:
    """What is left of the sky, in units of the noise."""
    level, along, across = rng.normal(0, 0.15), rng.normal(0, 0.2), rng.normal(0, 0.2)
    axis = np.linspace(-1, 1, side)
    return level + along * axis[:, None] + across * axis[None]


def drawn(thing: galsim.GSObject, centre: np.ndarray, finer: int, side: int) -> np.ndarray:
    """Brightness a pixel, sampled at ``finer`` points a pixel from pixel 0 on, the pixel included."""
    count = finer * (side - 1) + 1
    offset = tuple(finer * (centre - (side - 1) / 2))
    image = thing.drawImage(
        nx=count, ny=count, scale=1 / finer, method="no_pixel", offset=offset, dtype=float
    )
    return image.array * finer**2
