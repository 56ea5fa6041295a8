"""PSFs of surveys: from the ground a Moffat profile, from space a telescope's pupil; and how they vary over a field.

    Moffat       I(r) ~ (1 + r^2 / a^2)^-beta,     a = FWHM / (2 sqrt(2^(1/beta) - 1))            (Moffat 1969)
    Telescope    I(v) ~ [2 J1(v) / v - e^2 2 J1(e v) / (e v)]^2,     v = pi D theta / lambda       (Born & Wolf, 8.5)

with e the obscuration, the mean over the band's wavelengths, blurred by a Gaussian for jitter and charge diffusion.
The pixel is in all of them, as in images of stars.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from isolux.errors import InputError
from isolux.psf_model import PsfModel, monomials

ARCSEC = math.pi / 180 / 3600
NODES = 5
"""Quadrature points a side in each sample of a Moffat profile."""
COLOURS = 5
"""Wavelengths that stand for a band."""
FADES_FROM = 0.7
"""Part of its reach from which a PSF is faded out."""
DEGREE = 3
"""Of the polynomials by which PSFs vary."""
PLACES = 6
"""Positions a side at which the varying PSF is made for the polynomials to go through."""
ELLIPTICITY = 0.3
"""Largest ellipticity of a PSF over the relative change of its width."""


@dataclasses.dataclass(frozen=True)
class Moffat:
    """A PSF of the atmosphere.

    Attributes
    ----------
    fwhm : float
        Full width at half maximum in arcsec, before the pixel's average.
    beta : float
        Exponent.
    """

    fwhm: float
    beta: float = 3.0

    def __post_init__(self) -> None:
        if not self.fwhm > 0:
            raise InputError("FWHM of a PSF in arcsec", self.fwhm, "above 0")
        if not self.beta > 1:
            raise InputError("exponent of a Moffat PSF", self.beta, "above 1, where the flux is finite")

    @property
    def reach(self) -> float:
        """Radius in arcsec to which it is drawn."""
        return 10 * self.fwhm

    def image(
        self, half: int, scale: float, oversampling: int, shear: np.ndarray, points: int = NODES
    ) -> np.ndarray:
        """Image (v, u) of 2 half + 1 samples a side; ``shear`` (2, 2) takes offsets to those of the round PSF."""
        nodes, weights = np.polynomial.legendre.leggauss(points)
        wing = oversampling // 2
        cells = np.arange(-half - wing, half + wing + 1)
        axis = ((cells[:, None] + nodes / 2) * (scale / oversampling)).ravel()
        core = 0.5 * self.fwhm / math.sqrt(2 ** (1 / self.beta) - 1)
        light = (1 + _square(axis, shear) / core**2) ** -self.beta
        shape = (len(cells), points, len(cells), points)
        means = np.einsum("viuj,i,j->vu", light.reshape(shape), weights, weights)
        return _boxed(means, oversampling)


@dataclasses.dataclass(frozen=True)
class Telescope:
    """A PSF of diffraction.

    Attributes
    ----------
    diameter : float
        Of the mirror in metres.
    shortest, longest : float
        Wavelengths of the band in nanometres.
    obscuration : float
        Diameter of the secondary over that of the primary.
    jitter : float
        Standard deviation in arcsec of the Gaussian that blurs it.
    """

    diameter: float
    shortest: float
    longest: float
    obscuration: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not (self.diameter > 0 and 0 < self.shortest <= self.longest):
            raise InputError("diameter and wavelengths", (self.diameter, self.shortest, self.longest))
        if not 0 <= self.obscuration < 1 or self.jitter < 0:
            raise InputError("obscuration and jitter", (self.obscuration, self.jitter), "0 to 1; 0 or more")

    @property
    def reach(self) -> float:
        """Radius in arcsec to which it is drawn."""
        return 20 * 1e-9 * self.longest / self.diameter / ARCSEC

    def image(self, half: int, scale: float, oversampling: int, shear: np.ndarray) -> np.ndarray:
        """Image (v, u) of 2 half + 1 samples a side; ``shear`` (2, 2) takes offsets to those of the round PSF."""
        axis = np.arange(-2 * half, 2 * half + 1) * (scale / oversampling)
        radius = np.sqrt(_square(axis, shear)) * (math.pi * self.diameter * ARCSEC * 1e9)
        light = sum(self._disc(radius / wave) / wave**2 for wave in self._waves())
        frequency = np.fft.fftfreq(len(axis), d=1 / oversampling)
        soft = np.exp(-2 * (math.pi * self.jitter / scale * frequency) ** 2) * np.sinc(frequency)
        blurred = np.fft.ifft2(np.fft.fft2(light) * soft[:, None] * soft).real
        kept = slice(half, 3 * half + 1)
        return blurred[kept, kept]

    def _waves(self) -> np.ndarray:
        edges = np.linspace(self.shortest, self.longest, COLOURS + 1)
        return (edges[1:] + edges[:-1]) / 2

    def _disc(self, v: np.ndarray) -> np.ndarray:
        inner = self.obscuration
        return (_airy(v) - inner**2 * _airy(inner * v)) ** 2


def psf_model(
    psf: Moffat | Telescope,
    scale: float,
    shape: tuple[int, int],
    oversampling: int,
    variation: float,
    rng: np.random.Generator,
) -> PsfModel:
    """The PSF over a field.

    Parameters
    ----------
    psf : Moffat or Telescope
        In the middle.
    scale : float
        Arcsec a pixel.
    shape : (int, int)
        Rows and columns of the field.
    oversampling : int
        Samples a pixel; odd.
    variation : float
        About the relative change of its width from edge to edge; its ellipticity varies with it. 0 is constant.
    rng : numpy.random.Generator
        Of how it varies.
    """
    if oversampling < 1 or oversampling % 2 == 0:
        raise InputError("oversampling of the PSF of a mock field", oversampling, "1, 3, 5, ...")
    half = math.ceil(psf.reach / scale * oversampling)
    fade = _fade(half)
    middle, span = ((shape[1] - 1) / 2, (shape[0] - 1) / 2), (shape[1] / 2, shape[0] / 2)
    waves = rng.uniform(-0.5, 0.5, (3, 5))
    if variation == 0:
        image = psf.image(half, scale, oversampling, np.eye(2)) * fade
        return PsfModel.constant(image, oversampling, offset=middle, source="mock")
    side = np.linspace(-1, 1, PLACES)
    x, y = (grid.ravel() for grid in np.meshgrid(side, side))
    wander = monomials(x, y, 2)[:, 1:] @ waves.T
    growth, e1, e2 = wander.T * variation * np.array([[1.0], [ELLIPTICITY], [ELLIPTICITY]])
    images = [
        psf.image(half, scale, oversampling, _shear(*g)) * fade for g in zip(1 + growth, e1, e2, strict=True)
    ]
    stack = np.stack([image / image.sum() for image in images])
    basis = np.linalg.lstsq(monomials(x, y, DEGREE), stack.reshape(len(stack), -1), rcond=None)[0]
    basis = basis.reshape(-1, *stack.shape[1:])
    return PsfModel(basis, DEGREE, offset=middle, scale=span, oversampling=oversampling, source="mock")


def _fade(half: int) -> np.ndarray:
    """A window (v, u), one in the middle, that falls to zero at the PSF's reach, lest bright stars have an edge."""
    y, x = np.indices((2 * half + 1, 2 * half + 1)) - half
    depth = np.clip((1 - np.hypot(y, x) / (half + 0.5)) / (1 - FADES_FROM), 0, 1)
    return np.sin(0.5 * math.pi * depth) ** 2


def _shear(growth: float, e1: float, e2: float) -> np.ndarray:
    """The matrix that takes offsets in a widened, elliptical PSF back to the round one."""
    stretch = np.array([[1 + e1, e2], [e2, 1 - e1]]) / math.sqrt(1 - e1**2 - e2**2)
    return np.linalg.inv(stretch * growth)


def _square(axis: np.ndarray, shear: np.ndarray) -> np.ndarray:
    """Squared radii (y, x) in the round PSF of the points of a square grid."""
    y, x = axis[:, None], axis[None, :]
    return (shear[0, 0] * x + shear[0, 1] * y) ** 2 + (shear[1, 0] * x + shear[1, 1] * y) ** 2


def _boxed(samples: np.ndarray, oversampling: int) -> np.ndarray:
    """Sums over the pixel, of an odd number of samples a side."""
    if oversampling == 1:
        return samples
    sums = np.cumsum(np.cumsum(np.pad(samples, ((1, 0), (1, 0))), 0), 1)
    k = oversampling
    return sums[k:, k:] - sums[:-k, k:] - sums[k:, :-k] + sums[:-k, :-k]


def _airy(v: np.ndarray) -> np.ndarray:
    """2 J1(v) / v."""
    safe = np.where(np.abs(v) < 1e-6, 1.0, v)
    bessel = torch.special.bessel_j1(torch.as_tensor(safe)).numpy()
    return np.where(np.abs(v) < 1e-6, 1.0, 2 * bessel / safe)
