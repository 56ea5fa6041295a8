"""An elliptical Moffat profile fitted to stars: what a measured PSF departs from, and all there is with few stars.

    I(r) = (1 + r^2 / alpha^2)^-beta,   fwhm = 2 alpha sqrt(2^(1/beta) - 1)      (Moffat 1969, A&A 3, 455)

with r the elliptical radius of unit area. It describes the image of a star, the pixel included.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import least_squares

from isolux.field.star_stamps import StarStamps

ABOUT, FAINT = 0.02, 0.002
"""Parts of the light in a pixel, and of the peak, that need not be met, so that the core counts."""
WORTH_FITTING = 60
"""Stars, at most, that the profile is fitted to."""


@dataclasses.dataclass(frozen=True)
class Moffat:
    """An elliptical Moffat profile.

    Attributes
    ----------
    fwhm : float
        Geometric mean of the widths along both axes, in pixels.
    beta : float
        Exponent.
    e1, e2 : float
        Distortion along x and along the diagonal: axis ratio (1 - e) / (1 + e).
    """

    fwhm: float
    beta: float = 3.0
    e1: float = 0.0
    e2: float = 0.0

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Brightness at places in pixels from the centre, 1 in the middle."""
        e = self.e1**2 + self.e2**2
        squared = ((1 + e - 2 * self.e1) * x**2 + (1 + e + 2 * self.e1) * y**2 - 4 * self.e2 * x * y) / (
            1 - e
        )
        alpha = self.fwhm / 2 / np.sqrt(2 ** (1 / self.beta) - 1)
        return (1 + squared / alpha**2) ** -self.beta

    def image(self, size: tuple[int, int], oversampling: int = 1) -> np.ndarray:
        """Samples (v, u) around the middle one, of sum one."""
        v, u = ((np.arange(n) - n // 2) / oversampling for n in size)
        image = self(u[None, :], v[:, None])
        return image / image.sum()


def fit_moffat(stars: StarStamps, fwhm: float) -> Moffat:
    """The profile that fits the stars best, amplitudes being their own.

    Parameters
    ----------
    stars : StarStamps
        The stars, brightest first.
    fwhm : float
        About how wide they are, in pixels.
    """
    few = stars[np.arange(min(len(stars), WORTH_FITTING))]
    half = few.pixels.shape[1] // 2
    axis = np.arange(-half, half + 1)
    x = axis[None, None, :] - few.x[:, None, None]
    y = axis[None, :, None] - few.y[:, None, None]
    about = Moffat(fwhm)(x, y)
    about /= Moffat(fwhm)(axis[None, :], axis[:, None]).sum()
    variance = (
        few.sigma**2 + few.photons[:, None, None] * about + (ABOUT * about) ** 2 + (FAINT * about.max()) ** 2
    )
    weight = few.good / np.sqrt(variance)

    def residuals(p: np.ndarray) -> np.ndarray:
        model = (
            Moffat(np.exp(p[0]), 1 + np.exp(p[1]), np.tanh(p[2]) * 0.7, np.tanh(p[3]) * 0.7)(x, y) * weight
        )
        data = few.pixels * weight
        amplitude = (model * data).sum((1, 2)) / np.maximum((model**2).sum((1, 2)), 1e-300)
        return (data - amplitude[:, None, None] * model).ravel()

    found = least_squares(
        residuals,
        [np.log(fwhm), np.log(2.0), 0.0, 0.0],
        bounds=([np.log(0.7), np.log(0.3), -3, -3], [np.log(60), np.log(20), 3, 3]),
        loss="soft_l1",
        f_scale=3.0,
        max_nfev=40,
    )
    p = found.x
    return Moffat(
        float(np.exp(p[0])), float(1 + np.exp(p[1])), float(np.tanh(p[2]) * 0.7), float(np.tanh(p[3]) * 0.7)
    )
