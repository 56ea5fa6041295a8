"""A PSF that varies over a field: images of stars times the monomials of a polynomial in position.

    PSF(x, y) = sum_k B_k x'^i y'^j,   i + j <= degree,   x' = (x - x0) / sx,   y' = (y - y0) / sy

with the powers of x running fastest (1, x', x'^2, ..., y', x'y', ..., y'^2, ...), as PSFEx orders them (Bertin 2011,
ASP Conf. Ser. 442, 435; the "PSFEx user guide", appendix on the format of PSF files).
"""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from typing import Any

import numpy as np

from isolux.errors import InputError

FINER = 8
"""Samples a pixel at least, on which the width of a PSF is measured."""
LOWEST_SUM = 0.1
"""Where the polynomial leaves less than this part of the middle's flux, it says nothing: the middle's PSF is taken."""


@dataclasses.dataclass(frozen=True, eq=False)
class PsfModel:
    """A PSF at each position of a field.

    Attributes
    ----------
    basis : numpy.ndarray
        (term, v, u), float64, odd-sized, the centre of the star in the middle sample: an image for each monomial.
    degree : int
        Of the polynomial; there are (degree + 1) (degree + 2) / 2 terms.
    offset, scale : tuple of float
        (x0, y0) and (sx, sy) in pixels: positions x, y (0-based) enter as (x - x0) / sx and (y - y0) / sy.
    oversampling : int
        Samples a pixel of the image.
    includes_pixel : bool
        Whether the pixel's response is in it, as in the image of a star.
    stars : int
        Number of stars that it was measured from; 0 where unknown.
    source : str
        The file or method that it comes from.
    remarks : tuple of str
        What a user should know of it.

    Raises
    ------
    InputError
        If coefficients are not finite (with their number), the sides are even, the number of images is not that of
        the polynomial, or the PSF in the middle has no flux.
    """

    basis: np.ndarray
    degree: int = 0
    offset: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    oversampling: int = 1
    includes_pixel: bool = True
    stars: int = 0
    source: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = f"{self.source}: " if self.source else ""
        basis = np.ascontiguousarray(np.asarray(self.basis, dtype=np.float64))
        object.__setattr__(self, "basis", basis)
        if basis.ndim != 3 or basis.shape[1] % 2 == 0 or basis.shape[2] % 2 == 0:
            raise InputError(f"{name}shape of the PSF", basis.shape, "(term, v, u) with odd v and u")
        if self.degree < 0 or len(basis) != terms(self.degree):
            raise InputError(
                f"{name}images of a PSF of degree {self.degree}", len(basis), terms(max(self.degree, 0))
            )
        bad = int(np.count_nonzero(~np.isfinite(basis)))
        if bad:
            raise InputError(f"{name}{bad} of {basis.size} coefficients of the PSF are not finite")
        if self.oversampling < 1:
            raise InputError(f"{name}oversampling of the PSF", self.oversampling, "1, 2, 3, ...")
        if not all(math.isfinite(s) and s > 0 for s in self.scale) or not all(
            map(math.isfinite, self.offset)
        ):
            raise InputError(f"{name}offset and scale of the PSF's positions", (self.offset, self.scale))
        if not basis[0].sum() > 0:
            raise InputError(f"{name}sum of the PSF", float(basis[0].sum()), "above 0")

    @classmethod
    def constant(
        cls, image: Any, oversampling: int = 1, includes_pixel: bool = True, **others: Any
    ) -> PsfModel:
        """One PSF for the whole field from its image (v, u)."""
        return cls(
            np.asarray(image, dtype=np.float64)[None],
            oversampling=oversampling,
            includes_pixel=includes_pixel,
            **others,
        )

    def at(self, x: Any, y: Any) -> np.ndarray:
        """The PSF at positions.

        Parameters
        ----------
        x, y : array or float
            (source,): 0-based pixels. Where they are not finite the PSF of the middle is given.

        Returns
        -------
        numpy.ndarray
            (source, v, u), float64, each of sum one.
        """
        xs, ys = np.broadcast_arrays(np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float)))
        powers = monomials(
            (xs - self.offset[0]) / self.scale[0], (ys - self.offset[1]) / self.scale[1], self.degree
        )
        sums = self.basis.sum(axis=(1, 2))
        with np.errstate(invalid="ignore"):
            lost = ~(powers @ sums > LOWEST_SUM * sums[0])
        powers[lost] = np.eye(1, len(sums))
        images = np.tensordot(powers, self.basis, axes=1)
        return images / images.sum(axis=(1, 2), keepdims=True)

    @property
    def size(self) -> tuple[int, int]:
        """Samples (v, u)."""
        return self.basis.shape[1], self.basis.shape[2]

    @cached_property
    def half_light_radius(self) -> float:
        """Radius in pixels of the circle that holds half of the light within three FWHM of the middle of the field."""
        image = self.at(*self.offset)[0]
        rows, columns = (np.arange(length) - length // 2 for length in image.shape)
        radius = np.hypot(rows[:, None], columns).ravel() / self.oversampling
        inside = radius < 3 * self.fwhm
        # Each sample's light is spread over a ring as wide as the sample, so that the growth has no steps.
        edges = np.linspace(0, 3 * self.fwhm, 400)
        half = 0.5 / self.oversampling
        share = np.clip((edges[:, None] - radius[inside] + half) / (2 * half), 0, 1)
        growth = share @ image.ravel()[inside]
        return float(np.interp(0.5 * growth[-1], growth, edges))

    @cached_property
    def fwhm(self) -> float:
        """Full width at half maximum in pixels, in the middle of the field: that of the circle of the same area."""
        return half_maximum_width(self.at(*self.offset)[0], self.oversampling)


def terms(degree: int) -> int:
    """Number of monomials up to a degree."""
    return (degree + 1) * (degree + 2) // 2


def monomials(x: np.ndarray, y: np.ndarray, degree: int) -> np.ndarray:
    """The monomials x^i y^j, i + j <= degree, at positions: (source, term), powers of x running fastest."""
    columns = [x**i * y**j for j in range(degree + 1) for i in range(degree + 1 - j)]
    return np.stack(columns, axis=-1)


def half_maximum_width(image: np.ndarray, oversampling: int = 1) -> float:
    """Width in pixels of the circle as large as the part of a PSF image (v, u) above half its maximum."""
    times = max(1, math.ceil(FINER / oversampling))
    fine = _finer(image, times)
    above = np.count_nonzero(fine > fine.max() / 2)
    return 2 * math.sqrt(above / math.pi) / (times * oversampling)


def _finer(image: np.ndarray, times: int) -> np.ndarray:
    """An image with odd sides on a grid so many times finer, by its Fourier series."""
    if times == 1:
        return image
    tall, wide = image.shape
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    fine = np.zeros((tall * times, wide * times), complex)
    top, left = tall * times // 2 - tall // 2, wide * times // 2 - wide // 2
    fine[top : top + tall, left : left + wide] = spectrum
    return np.fft.ifft2(np.fft.ifftshift(fine)).real
