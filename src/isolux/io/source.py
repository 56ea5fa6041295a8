"""What is known of a sample before an image is opened: where its stamps are, and the files of each galaxy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from astropy.table import QTable

from isolux.errors import InputError
from isolux.io.patterns import Paths, Plane

IMAGES = ("image", "sigma", "variance", "ivar", "mask", "segmentation", "psf", "noise_correlation")
NUMBERS = ("zero_point", "pixel_scale", "gain", "sky", "read_noise")
Number: TypeAlias = float | str | None


@dataclasses.dataclass(frozen=True)
class StampSource:
    """Where the stamps of a sample come from.

    Parameters
    ----------
    image, sigma, variance, ivar, mask, segmentation, psf, noise_correlation : str, path or list of paths, optional
        A pattern with ``*`` (whose match names the galaxy), one file for all, or a list with a file a
        galaxy; at most one of sigma, variance and ivar, which may also be a number. ``file.fits[SCI]`` names
        an HDU. A noise correlation function (one in the middle) makes errors hold where pixels share noise. In a
        segmentation map all labels are bad but 0 and the one at the stamp's centre. With a table:
        the names of its columns, those of the arguments themselves where left out.
    table : str or path, optional
        CSV, ECSV, FITS, Parquet or HDF5 with a row a galaxy; paths in it are relative to it.
    id : list of str or str, optional
        Names of the galaxies (of the column that has them, with a table).
    zero_point, pixel_scale : float or str, optional
        AB magnitude of one image unit; arcsec a pixel (from the WCS where left out). A number, a column of
        the table or a keyword of the image's header.
    gain, sky, read_noise : float or str, optional
        Electrons per image unit, sky that was subtracted, read noise in electrons: for images without sigma.
    mask_bad : float, list or str, optional
        The values in masks that are bad; any but zero where left out. Text names a column of the table.
    image_hdu, sigma_hdu, variance_hdu, ivar_hdu, mask_hdu, segmentation_hdu, psf_hdu, noise_correlation_hdu
        Number or EXTNAME (or column of the table); the first HDU with an image where left out.
    psf_oversampling : int
        PSF samples a pixel.
    psf_includes_pixel : bool
        False if the PSF is without the pixel's response.

    Raises
    ------
    InputError
        If neither image nor table is given, or several kinds of noise.
    """

    image: Paths = None
    sigma: Paths = None
    variance: Paths = None
    ivar: Paths = None
    mask: Paths = None
    segmentation: Paths = None
    psf: Paths = None
    noise_correlation: Paths = None
    table: str | Path | None = None
    id: Sequence[str] | str | None = None
    zero_point: Number = 0.0
    pixel_scale: Number = None
    gain: Number = None
    sky: Number = 0.0
    read_noise: Number = 0.0
    mask_bad: float | Sequence[float] | str | None = None
    image_hdu: int | str | None = None
    sigma_hdu: int | str | None = None
    variance_hdu: int | str | None = None
    ivar_hdu: int | str | None = None
    mask_hdu: int | str | None = None
    segmentation_hdu: int | str | None = None
    psf_hdu: int | str | None = None
    noise_correlation_hdu: int | str | None = None
    psf_oversampling: int = 1
    psf_includes_pixel: bool = True

    def __post_init__(self) -> None:
        if self.image is None and self.table is None:
            raise InputError("no stamps: give image (a pattern such as 'stamps/*_image.fits') or table")
        noise = [name for name in ("sigma", "variance", "ivar") if getattr(self, name) is not None]
        if len(noise) > 1:
            raise InputError("give one of sigma, variance and ivar", noise)
        if isinstance(self.mask_bad, str) and self.table is None:
            raise InputError("mask_bad names a column, but there is no table", self.mask_bad)
        if self.psf_oversampling < 1:
            raise InputError("psf_oversampling", self.psf_oversampling, "1 or more")

    @property
    def bad_values(self) -> tuple[float, ...] | None:
        """``mask_bad`` as a tuple; None where it is left out or a column."""
        if self.mask_bad is None or isinstance(self.mask_bad, str):
            return None
        return (
            (float(self.mask_bad),)
            if isinstance(self.mask_bad, int | float)
            else tuple(map(float, self.mask_bad))
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class StampFiles:
    """The files and numbers of one galaxy.

    Attributes
    ----------
    id : str
        Name of the galaxy.
    planes : tuple
        A path (``path[hdu]``), a number for all pixels, or None, in the order of ``IMAGES``.
    numbers : tuple
        A number, a header keyword or None, in the order of ``NUMBERS``.
    bad_values : tuple of float, optional
        Values of bad pixels in the mask.
    fault : str, optional
        Why it cannot be loaded.
    table : QTable, optional
        The table that it comes from; its other columns are starting values.
    row : int
        Its place in the table.
    """

    id: str
    planes: tuple[Plane, ...]
    numbers: tuple[Number, ...]
    bad_values: tuple[float, ...] | None = None
    fault: str | None = None
    table: QTable | None = None
    row: int = 0
