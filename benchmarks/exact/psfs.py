"""PSFs whose whole light fits into their image, so that the truth and the code under test are given the same light.

A PSF is a sum of Gaussians (elliptical and off-centre ones make it elliptical or not symmetric at all), or a
Moffat that ends at 8 times its width, where it has fallen to 3e-6 of its centre. Its image is made here, without
GalSim, from its values at points (``includes_pixel=False``) or from their average over a pixel (Gauss-Legendre, 8 x
8 points). A width is the full width at half maximum of the narrowest part along its narrowest axis, in pixels
and before the average over the pixel.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

WIDTH_OF_GAUSSIAN = 2 * math.sqrt(2 * math.log(2))
REACH, MOFFAT_REACH = 6.5, 8.0
"""Half side of the image: in standard deviations of a Gaussian, in widths of a Moffat."""
BETA = 3.0
POINTS_A_PIXEL = 8


@dataclass(frozen=True)
class Part:
    """A Gaussian, or a Moffat, of total flux ``share``; the width is the minor axis's, angles are ccw from +x."""

    share: float
    fwhm: float
    q: float = 1.0
    angle: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    moffat: bool = False

    @property
    def sigma(self) -> float:
        """Standard deviation along the minor axis, of a Gaussian."""
        return self.fwhm / WIDTH_OF_GAUSSIAN

    @property
    def reach(self) -> float:
        """Distance from the PSF's centre beyond which there is no light to speak of."""
        along = MOFFAT_REACH * self.fwhm if self.moffat else REACH * self.sigma
        return along / self.q + math.hypot(self.dx, self.dy)

    def light(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Surface brightness at points."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        x, y = x - self.dx, y - self.dy
        major, minor = x * cos + y * sin, y * cos - x * sin
        square = (major * self.q) ** 2 + minor**2
        if not self.moffat:
            return self.share * self.q / (2 * math.pi * self.sigma**2) * np.exp(-square / (2 * self.sigma**2))
        core = (self.fwhm / 2) ** 2 / math.expm1(math.log(2) / BETA)
        end = (MOFFAT_REACH * self.fwhm) ** 2
        total = math.pi * core / (BETA - 1) * (1 - (1 + end / core) ** (1 - BETA)) / self.q
        return self.share / total * (1 + square / core) ** -BETA * (square < end)


@dataclass(frozen=True)
class Psf:
    """A PSF and how its image is given."""

    name: str
    parts: tuple[Part, ...]
    oversampling: int = 1
    includes_pixel: bool = True

    @property
    def given(self) -> str:
        """The name and how it is sampled, in few words."""
        pixel = "" if self.includes_pixel else ", without pixel"
        return f"{self.name}{f', x{self.oversampling}' * (self.oversampling > 1)}{pixel}"

    @property
    def reach(self) -> float:
        return max(part.reach for part in self.parts)

    def light(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.add.reduce([part.light(x, y) for part in self.parts])

    def pixel_averages(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Averages (y, x) over the pixels around the columns x and rows y, positions from the PSF's centre."""
        nodes, weights = np.polynomial.legendre.leggauss(POINTS_A_PIXEL)
        fine_x, fine_y = ((axis[:, None] + nodes / 2).ravel() for axis in (x, y))
        values = self.light(fine_x[None, :], fine_y[:, None])
        shape = (len(y), POINTS_A_PIXEL, len(x), POINTS_A_PIXEL)
        return np.einsum("viuj,i,j->vu", values.reshape(shape), weights / 2, weights / 2)

    def image(self) -> np.ndarray:
        """The image that codes are given, summing to one."""
        return _image(self)


@cache
def _image(psf: Psf) -> np.ndarray:
    half = math.ceil((psf.reach + 1) * psf.oversampling)
    axis = np.arange(-half, half + 1) / psf.oversampling
    image = psf.pixel_averages(axis, axis) if psf.includes_pixel else psf.light(axis[None, :], axis[:, None])
    return image / image.sum()


def named(shape: str, fwhm: float, oversampling: int = 1, includes_pixel: bool = True) -> Psf:
    """One of the PSFs of the benchmark: round, elliptical, lopsided, moffat, elliptical moffat."""
    makers = {
        "gaussian": lambda w: (Part(1.0, w),),
        "round": lambda w: (Part(0.75, w), Part(0.25, 2 * w)),
        "elliptical": lambda w: (Part(0.8, w, 0.7, 25), Part(0.2, 1.8 * w, 0.8, 70)),
        "lopsided": lambda w: (
            Part(0.6, w),
            Part(0.25, 1.3 * w, dx=0.5 * w, dy=0.2 * w),
            Part(0.15, 1.8 * w, dx=-0.3 * w, dy=0.9 * w),
        ),
        "moffat": lambda w: (Part(1.0, w, moffat=True),),
        "elliptical moffat": lambda w: (Part(1.0, w, 0.75, -40, moffat=True),),
    }
    return Psf(f"{shape} {fwhm:g}", makers[shape](fwhm), oversampling, includes_pixel)
