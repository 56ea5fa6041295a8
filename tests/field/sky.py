"""A small piece of sky that GalSim draws: stars and galaxies with a known PSF."""

import functools

import galsim
import numpy as np

from isolux.field.image import FieldImage

SIDE, GAIN, SKY, NOISE = 384, 10.0, 5.0, 1.0


def psf_at(x: float, y: float, fwhm: float, vary: float) -> galsim.GSObject:
    """Return a Moffat PSF whose width and shape change over the field, by about the part ``vary``."""
    u, v = 2 * x / SIDE - 1, 2 * y / SIDE - 1
    moffat = galsim.Moffat(beta=3.0, fwhm=fwhm * (1 + vary * (0.6 * u - 0.3 * v)))
    return moffat.shear(g1=0.02 + 0.5 * vary * v, g2=-0.01 - 0.4 * vary * u)


def psf_image(
    x: float, y: float, fwhm: float, vary: float, size: tuple[int, int], oversampling: int = 1
) -> np.ndarray:
    """Return GalSim's image of a star, the pixel in it, of sum one."""
    star = galsim.Convolve(psf_at(x, y, fwhm, vary), galsim.Pixel(1.0))
    image = star.drawImage(nx=size[1], ny=size[0], scale=1 / oversampling, method="no_pixel").array.astype(
        float
    )
    return image / image.sum()


@functools.cache
def sky(
    stars: int = 40, galaxies: int = 25, fwhm: float = 3.0, vary: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image (y, x) with noise, and a row (star?, x, y, flux, half-light radius) a source."""
    rng = np.random.default_rng(4)
    image = galsim.ImageF(SIDE, SIDE)
    cells = rng.permutation(81)[: stars + galaxies]
    rows = []
    for k, cell in enumerate(cells):
        x, y = (24 + 42 * c + rng.uniform(-8, 8) for c in (cell % 9, cell // 9))
        psf = psf_at(x, y, fwhm, vary)
        if k < stars:
            flux, radius, source = 10 ** rng.uniform(3, 4.5), 0.0, psf
        else:
            flux, radius = 10 ** rng.uniform(2.8, 4), rng.uniform(2, 5)
            galaxy = galsim.Exponential(half_light_radius=radius).shear(
                q=rng.uniform(0.4, 1), beta=1 * galsim.radians
            )
            source = galsim.Convolve(galaxy, psf)
        bounds = galsim.BoundsI(*(round(c) + s for c in (x, y) for s in (-60, 62))) & image.bounds
        stamp = galsim.ImageF(bounds)
        source.withFlux(flux).drawImage(stamp, center=galsim.PositionD(x + 1, y + 1), scale=1.0)
        image[bounds] += stamp
        rows.append((k < stars, x, y, flux, radius))
    pixels = rng.poisson(np.maximum(image.array, 0) * GAIN) / GAIN + rng.normal(SKY, NOISE, image.array.shape)
    return pixels.astype(np.float32), np.array(rows, dtype=float)


def field(pixels: np.ndarray, **others: object) -> FieldImage:
    """Return a field with the gain of the sky."""
    return FieldImage.from_arrays(pixels, gain=GAIN, **others)
