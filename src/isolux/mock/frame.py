"""Where the pixels of a mock field are on the sky: a gnomonic projection with the same middle in all bands."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from isolux.mock.surveys import Band


@dataclasses.dataclass(frozen=True)
class Frame:
    """The pixels of one band.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    pixel_scale : float
        Arcsec.
    ra, dec, rotation : float
        Sky position of the middle and the angle of north from up, counter-clockwise, in degrees.
    """

    shape: tuple[int, int]
    pixel_scale: float
    ra: float
    dec: float
    rotation: float

    @property
    def wcs(self) -> Any:
        """An astropy WCS: TAN, east to the left where north is up."""
        from astropy.wcs import WCS

        turn, step = math.radians(self.rotation), self.pixel_scale / 3600
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [self.ra % 360, self.dec]
        wcs.wcs.crpix = [(self.shape[1] + 1) / 2, (self.shape[0] + 1) / 2]
        cos, sin = step * math.cos(turn), step * math.sin(turn)
        wcs.wcs.cd = [[-cos, -sin], [-sin, cos]]
        wcs.wcs.set()
        wcs.array_shape = self.shape
        return wcs

    def pixels(self, right: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel positions x and y of offsets from the middle in arcsec along rows and columns."""
        return (
            (self.shape[1] - 1) / 2 + np.asarray(right) / self.pixel_scale,
            (self.shape[0] - 1) / 2 + np.asarray(up) / self.pixel_scale,
        )

    def sky(self, right: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination in degrees of such offsets."""
        x, y = self.pixels(right, up)
        ra, dec = self.wcs.all_pix2world(x, y, 0) if len(x) else (x, y)
        return np.asarray(ra), np.asarray(dec)


def frame_of(
    band: Band, first: Band, shape: tuple[int, int], ra: float, dec: float, rotation: float
) -> Frame:
    """The frame of a band that covers what ``shape`` pixels of the first band do."""
    ratio = first.pixel_scale / band.pixel_scale
    rows, columns = (max(1, math.ceil(side * ratio - 1e-9)) for side in shape)
    return Frame((rows, columns), band.pixel_scale, ra, dec, rotation)
