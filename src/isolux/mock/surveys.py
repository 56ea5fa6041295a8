"""Surveys to imitate: pixels, PSF, depth, sky and zero point of each band, with where the numbers are from.

The noise of the sky follows from the depth: a point source of the limiting magnitude has a matched-filter
signal-to-noise of 5 over the sky's noise, F5 = 5 sigma / sqrt(sum P^2); with correlated noise as :func:`significance`
has it. With the sky's brightness S a pixel the gain, electrons per image unit for the whole of the exposures, is then
the one for which the sky's photons make that noise, were it not smoothed: gain = S / sigma^2.
Images are sky-subtracted, as the surveys' coadded ones are.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from isolux.errors import InputError, unknown_name
from isolux.mock.psfs import Moffat, Telescope
from isolux.psf_model import PsfModel

FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian over its standard deviation."""


@dataclasses.dataclass(frozen=True)
class Band:
    """How a survey sees in one band.

    Attributes
    ----------
    name : str
        Of the band.
    wavelength : float
        Nanometres.
    pixel_scale : float
        Arcsec a pixel.
    zero_point : float
        AB magnitude of one image unit.
    depth : float
        Magnitude of a point source at a signal-to-noise of 5.
    psf : Moffat or Telescope
        In the middle of the field.
    sky : float
        Brightness of the sky in mag / arcsec^2.
    saturation : float
        Magnitude of a star centred on a pixel which that pixel is just filled by.
    exposure : float
        Seconds, for the header.
    oversampling : int
        Samples of the PSF a pixel: 1, or an odd number where pixels are too coarse for it.
    correlation : float
        Width (FWHM, in pixels) of the kernel that the noise looks as if smoothed with; 0 for independent pixels.
    """

    name: str
    wavelength: float
    pixel_scale: float
    zero_point: float
    depth: float
    psf: Moffat | Telescope
    sky: float
    saturation: float
    exposure: float = 1.0
    oversampling: int = 1
    correlation: float = 0.0

    def __post_init__(self) -> None:
        for name in ("wavelength", "pixel_scale", "exposure"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} of band {self.name!r}", getattr(self, name), "above 0")

    def flux(self, magnitude: np.ndarray | float) -> np.ndarray:
        """Image units of magnitudes."""
        return np.asarray(10 ** (-0.4 * (np.asarray(magnitude, dtype=np.float64) - self.zero_point)))

    def sky_sigma(self, psf: PsfModel, correlation: float) -> float:
        """Noise of the sky a pixel, from the depth and the PSF in the middle of the field."""
        return float(self.flux(self.depth)) * significance(_pixels(psf), correlation) / 5

    def gain(self, sigma: float) -> float:
        """Electrons per image unit for which the sky's photons make a noise ``sigma``."""
        return float(self.flux(self.sky)) * self.pixel_scale**2 / sigma**2

    def full(self, psf: PsfModel) -> float:
        """Image units at which a pixel is full."""
        return float(self.flux(self.saturation)) * float(_pixels(psf).max())


@dataclasses.dataclass(frozen=True)
class Survey:
    """A survey: its bands, the first of which is the one that sizes and magnitude limits are given in."""

    name: str
    bands: tuple[Band, ...]

    def chosen(self, names: object = None) -> tuple[Band, ...]:
        """Some bands, in the order asked for; the survey's first where ``names`` is None.

        Raises
        ------
        InputError
            For a band that the survey does not have, or one named twice.
        """
        if names is None:
            return self.bands[:1]
        wanted = [names] if isinstance(names, str) else list(names)  # type: ignore[call-overload]
        known = {band.name: band for band in self.bands}
        for name in wanted:
            if name not in known:
                raise unknown_name(f"band of {self.name}", name, known)
        if not wanted or len(set(wanted)) < len(wanted):
            raise InputError(f"bands of {self.name}", wanted, "one or more, each once")
        return tuple(known[name] for name in wanted)


def significance(light: np.ndarray, correlation: float) -> float:
    """Signal-to-noise of a matched filter on an image (y, x), weighted by the inverse of the noise a pixel.

    sum m^2 / sqrt(m^T rho m), with rho the noise's correlation; ``correlation`` as in :class:`Band`.
    """
    power = float(np.square(light).sum())
    if correlation == 0:
        return math.sqrt(power)
    from scipy.ndimage import gaussian_filter

    spread = correlation / FWHM * math.sqrt(2)
    wide = gaussian_filter(np.asarray(light, dtype=np.float64), spread, mode="constant", truncate=6.0)
    return power / math.sqrt(2 * math.pi * spread**2 * float((light * wide).sum()))


def _pixels(psf: PsfModel) -> np.ndarray:
    """A star in the middle of the field and of a pixel, as the pixels see it."""
    image, k = psf.at(*psf.offset)[0], psf.oversampling
    middle = image.shape[0] // 2, image.shape[1] // 2
    return image[middle[0] % k :: k, middle[1] % k :: k] * k**2
