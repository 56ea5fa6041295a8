"""How one band of a mock field is seen: its PSF, noise, gain and full well, and what they make of the light."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from isolux.field.image import FieldImage
from isolux.mock.detector import BAD_COLUMN, expose
from isolux.mock.dice import Dice
from isolux.mock.frame import Frame
from isolux.mock.options import FieldOptions
from isolux.mock.psfs import psf_model
from isolux.mock.surveys import Band
from isolux.psf_model import PsfModel


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A band of a field.

    Attributes
    ----------
    band : Band
        The survey's.
    shape : (int, int)
        Rows and columns.
    wcs : object
        An astropy WCS.
    psf : PsfModel
        Over the field.
    sigma, gain, full : float
        The sky's noise a pixel, electrons per image unit, and image units at which a pixel is full.
    correlation : float
        Width (FWHM, in pixels) of the kernel that the noise looks as if smoothed with.
    """

    band: Band
    shape: tuple[int, int]
    wcs: Any
    psf: PsfModel
    sigma: float
    gain: float
    full: float
    correlation: float

    @property
    def name(self) -> str:
        """Of the band."""
        return self.band.name

    def observed(
        self, light: np.ndarray, options: FieldOptions, dice: Dice
    ) -> tuple[FieldImage, np.ndarray, np.ndarray]:
        """Image, background and defects that light (y, x) gives, the same noise for the same seed."""
        made = expose(
            light,
            options,
            dice,
            band=self.name,
            sigma=self.sigma,
            gain=self.gain,
            full=self.full,
            correlation=self.correlation,
        )
        image = FieldImage.from_arrays(
            made.image,
            sigma=self.sigma,
            mask=made.defects & BAD_COLUMN,
            saturation=self.full,
            zero_point=self.band.zero_point,
            pixel_scale=self.band.pixel_scale,
            gain=self.gain,
            wcs=self.wcs,
            band=self.name,
            wavelength=self.band.wavelength,
            source=f"mock {self.name}",
        )
        return image, made.background, made.defects


def view_of(band: Band, frame: Frame, options: FieldOptions, dice: Dice) -> View:
    """The view of a band on its frame."""
    psf = psf_model(
        band.psf,
        band.pixel_scale,
        frame.shape,
        band.oversampling,
        options.psf_variation,
        dice.of("psf", band.name),
    )
    correlation = correlation_of(band, options)
    sigma = band.sky_sigma(psf, correlation)
    return View(band, frame.shape, frame.wcs, psf, sigma, band.gain(sigma), band.full(psf), correlation)


def correlation_of(band: Band, options: FieldOptions) -> float:
    """Correlation of a band's noise: as asked for, or the survey's."""
    return band.correlation if options.noise_correlation is None else options.noise_correlation
