"""An image of a piece of sky in one band, as it comes from a survey: pixels, noise, which are bad, where they are."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from isolux.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class FieldImage:
    """One band of a field.

    Attributes
    ----------
    data : numpy.ndarray
        (y, x), float32 in the machine's byte order: flux a pixel; zero where ``mask`` is set.
    sigma : numpy.ndarray or None
        (y, x), float32: standard deviation of each pixel; None where nobody said (it is then measured).
    mask : numpy.ndarray
        (y, x) of bool: True is bad (not finite, no weight, flagged, saturated).
    saturated : numpy.ndarray
        (y, x) of bool: bad because the detector was full.
    sigma_includes_sources : bool
        Whether ``sigma`` holds the noise of the sources' own photons; weight maps usually do not.
    zero_point : float
        AB magnitude of one image unit.
    pixel_scale : float
        Arcsec a pixel.
    gain : float
        Electrons per image unit; NaN where nobody said.
    wcs : object or None
        An astropy WCS.
    band : str
        Its name, part of column names where there are several.
    wavelength : float
        Effective wavelength in nanometres; NaN where nobody said.
    source : str
        The file it came from, for messages.
    remarks : tuple of str
        What a user should know of how it was read.
    """

    data: np.ndarray
    sigma: np.ndarray | None
    mask: np.ndarray
    saturated: np.ndarray
    sigma_includes_sources: bool = False
    zero_point: float = 0.0
    pixel_scale: float = 1.0
    gain: float = math.nan
    wcs: Any = None
    band: str = ""
    wavelength: float = math.nan
    source: str = ""
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_arrays(
        cls,
        data: Any,
        *,
        sigma: Any = None,
        mask: Any = None,
        saturation: float | None = None,
        **others: Any,
    ) -> FieldImage:
        """A field from arrays; pixels that are not finite or have no positive sigma are bad.

        Parameters
        ----------
        data : array
            (y, x).
        sigma : array or float, optional
            Standard deviation of each pixel.
        mask : array, optional
            (y, x): True or non-zero is bad.
        saturation : float, optional
            Pixels of this value and above are saturated.
        **others
            The other attributes.

        Raises
        ------
        InputError
            If shapes differ, or the image is no plane or has no good pixel.
        """
        where = f"{others.get('source')}: " if others.get("source") else ""
        image = np.ascontiguousarray(np.ma.filled(np.ma.asarray(data, dtype=np.float32), np.nan))
        if image.ndim != 2 or image.size == 0:
            raise InputError(f"{where}shape of the image", image.shape, "(rows, columns)")
        noise = None
        if sigma is not None:
            if np.ndim(sigma) and np.shape(sigma) != image.shape:
                raise InputError(f"{where}shape of sigma", np.shape(sigma), f"{image.shape}, as the image")
            noise = np.array(np.broadcast_to(np.asarray(sigma, dtype=np.float32), image.shape))
        if mask is not None and np.shape(mask) != image.shape:
            raise InputError(f"{where}shape of the mask", np.shape(mask), f"{image.shape}, as the image")
        with np.errstate(invalid="ignore"):
            full = np.zeros(image.shape, bool) if saturation is None else image >= saturation
            bad = ~np.isfinite(image) | full
            if noise is not None:
                bad |= ~(np.isfinite(noise) & (noise > 0))
        if mask is not None:
            bad |= np.asarray(mask) != 0
        if bad.all():
            raise InputError(f"{where}no good pixel among {image.size}")
        if noise is not None:
            noise = np.where(bad, np.float32(1), noise)
        return cls(np.where(bad, np.float32(0), image), noise, bad, full, **others)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[0], self.data.shape[1]
