"""Two references for each image, both from GalSim's galaxies.

The **truth** is GalSim's own drawing of galaxy * PSF * pixel, with the PSF as an analytic object. Its parameters
are far tighter than its defaults; :func:`moved` tells by how much an image changes when they are tightened again.

The **ideal** is the best that a code can do that is handed samples of the PSF and assumes nothing about what is
between them: GalSim's transform of the galaxy times the transform of the samples up to the samples' own limiting
frequency. Where the ideal is off from the truth, the samples do not determine the image, and the error is that of
the PSF's sampling, not of the code.
"""

import math

import galsim
import numpy as np

from exact.cases import Case, Galaxy
from exact.psfs import BETA, MOFFAT_REACH, WIDTH_OF_GAUSSIAN, Psf

LARGEST_IDEAL = 2048
LARGEST_TRANSFORM = 10240
"""Points along an axis, a matter of memory."""
FOLDED = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
"""Shares of the flux that may be folded into the transform: the smallest that it is large enough for. What is
folded is spread over all of it: below 1e-6 of the peak, as :func:`moved` shows."""
ACCURATE = {
    "maxk_threshold": 1e-5,
    "kvalue_accuracy": 1e-7,
    "integration_relerr": 1e-7,
    "integration_abserr": 1e-9,
}
FLAT, FLATTEST = (2.0, 1e-1), (0.6, 1e-4)
"""GalSim's errors are shares of the flux. The light of a large galaxy without a cusp is spread over many pixels, and
such errors are large shares of its brightest one: below these indices so much smaller errors are asked for."""
SMALLEST = 1e-11
LARGE = 5.0
"""Effective radius above which they are, in pixels."""
TIGHTER = 0.1
"""By this much is everything tightened to see whether it is tight enough."""
BASE = galsim.GSParams(**ACCURATE, folding_threshold=5e-3, maximum_fft_size=2 * LARGEST_TRANSFORM)


def truth(case: Case, accuracy: dict[str, float] | None = None, folded: float = 5e-3) -> np.ndarray:
    """GalSim's image, at most a share ``folded`` of whose flux is folded, if the transform can be so large."""
    accuracy = accuracy or accuracy_for(case.galaxy)
    for threshold in (share for share in FOLDED if share >= folded):
        limits = {"folding_threshold": threshold, "maximum_fft_size": 2 * LARGEST_TRANSFORM}
        parameters = galsim.GSParams(**accuracy, **limits)
        galaxy = galsim_galaxy(case.galaxy, case.size, parameters)
        both = galsim.Convolve(galaxy, galsim_psf(case.psf, parameters), gsparams=parameters)
        if 2 * both.maxk / both.stepk < LARGEST_TRANSFORM:
            break
    return both.drawImage(nx=case.size, ny=case.size, scale=1.0, dtype=float).array


def accuracy_for(galaxy: Galaxy) -> dict[str, float]:
    """What is asked of GalSim for a galaxy."""
    factor = 1.0
    if galaxy.kind == "sersic" and galaxy.radius > LARGE:
        factor = min([f for below, f in (FLAT, FLATTEST) if galaxy.index < below], default=1.0)
    return {name: max(factor * value, SMALLEST) for name, value in ACCURATE.items()}


def ideal(case: Case) -> np.ndarray:
    """The image with the PSF's samples as all that is known of it."""
    pixels = periodic_size(case, len(case.psf.image()))
    side = pixels * case.psf.oversampling
    galaxy = galsim_galaxy(case.galaxy, case.size, BASE)
    waves = galaxy.drawKImage(nx=side, ny=side, scale=2 * math.pi / pixels).array
    return blurred(np.fft.ifftshift(waves), case.psf, case.size)


def ideal_point(x: float, y: float, psf: Psf, size: int) -> np.ndarray:
    """The same for a point source."""
    pixels = 2 ** math.ceil(math.log2(4 * size + len(psf.image())))
    k = 2 * math.pi * np.fft.fftfreq(pixels * psf.oversampling, d=1 / psf.oversampling)
    middle = (size - 1) / 2
    wave_x, wave_y = np.exp(-1j * k * (x - middle)), np.exp(-1j * k * (y - middle))
    return blurred(wave_y[:, None] * wave_x, psf, size)


def blurred(waves: np.ndarray, psf: Psf, size: int) -> np.ndarray:
    """The stamp, whose middle is the origin, of a periodic image with the transform (ky, kx) before the PSF."""
    k, samples, side = psf.oversampling, psf.image(), len(waves)
    half = len(samples) // 2
    field = np.zeros((side, side))
    field[: len(samples), : len(samples)] = samples
    transform = np.fft.fft2(np.roll(field, (-half, -half), (0, 1)))
    frequency = 2 * math.pi * np.fft.fftfreq(side, d=1 / k)
    if not psf.includes_pixel:
        response = np.sinc(frequency / (2 * math.pi))
        transform = transform * response[:, None] * response
    start = side // 2 - (size - 1) / 2 * k
    shift = np.exp(-1j * frequency * (start % 1) / k)  # an even stamp is centred between grid points
    image = np.fft.fftshift(np.fft.ifft2(waves * transform * shift[:, None] * shift).real) * k**2
    first = math.ceil(start)
    cut = slice(first, first + (size - 1) * k + 1, k)
    return image[cut, cut]


def periodic_size(case: Case, psf_side: int) -> int:
    """Pixels of the transform: light beyond is folded in, at less than 1e-5 of the peak."""
    reach = 4 * case.size + psf_side // case.psf.oversampling
    wide = 16 * case.galaxy.radius * (4 if case.galaxy.index > 3 else 1)
    return 2 ** math.ceil(math.log2(max(256, reach, min(wide, 2048))))


def galsim_galaxy(galaxy: Galaxy, size: int, parameters: galsim.GSParams) -> galsim.GSObject:
    """GalSim's galaxy, with its own conventions: round before the shear, angles from +x, places from the centre."""
    radius = galaxy.radius * math.sqrt(galaxy.q)
    match galaxy.kind:
        case "sersic":
            drawn = galsim.Sersic(n=galaxy.index, half_light_radius=radius, gsparams=parameters)
        case "exponential":
            drawn = galsim.Exponential(half_light_radius=radius, gsparams=parameters)
        case "gaussian":
            drawn = galsim.Gaussian(half_light_radius=radius, gsparams=parameters)
        case "moffat":
            drawn = galsim.Moffat(beta=galaxy.index, fwhm=2 * radius, gsparams=parameters)
    turned = drawn.shear(q=galaxy.q, beta=(90 + galaxy.angle) * galsim.degrees)
    return turned.shift(galaxy.x - (size - 1) / 2, galaxy.y - (size - 1) / 2)


def galsim_psf(psf: Psf, parameters: galsim.GSParams) -> galsim.GSObject:
    """The same PSF as GalSim's object, without the pixel."""
    parts = []
    for part in psf.parts:
        width = part.fwhm / math.sqrt(part.q)
        if part.moffat:
            end = MOFFAT_REACH * width
            drawn = galsim.Moffat(beta=BETA, fwhm=width, trunc=end, flux=part.share, gsparams=parameters)
        else:
            drawn = galsim.Gaussian(sigma=width / WIDTH_OF_GAUSSIAN, flux=part.share, gsparams=parameters)
        turned = drawn.shear(q=part.q, beta=part.angle * galsim.degrees)
        parts.append(turned.shift(part.dx, part.dy))
    return galsim.Sum(parts, gsparams=parameters)


def moved(case: Case) -> float:
    """Largest change of the truth with tighter parameters, over its maximum."""
    tighter = {name: TIGHTER * value for name, value in accuracy_for(case.galaxy).items()}
    before, after = truth(case), truth(case, tighter, 1e-3)
    return float(np.abs(after - before).max() / after.max())


def references(case: Case) -> dict[str, np.ndarray]:
    """Truth and ideal; no ideal where it would cost too much, which is where the PSF is finely sampled."""
    drawn = {"truth": truth(case)}
    if case.psf.oversampling * periodic_size(case, len(case.psf.image())) <= LARGEST_IDEAL:
        drawn["ideal"] = ideal(case)
    return drawn
