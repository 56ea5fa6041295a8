"""One galaxy as it comes from a file or an array, and what is checked about it.

Faults never raise: a stamp that cannot be used becomes a galaxy with a status and a sentence, its pixels masked.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from isolux.noise import check_correlation, correlation_fault
from isolux.status import Flag, Status

NEGATIVE_PSF = 0.01
"""Share of negative light in a PSF above which it is remarked on."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stamp:
    """One galaxy as it comes from a file or an array, not yet checked.

    Attributes
    ----------
    id : str
        Name of the galaxy, unique in a sample.
    image : numpy.ndarray, optional
        (y, x); None if it could not be read, and then ``fault`` says why.
    sigma, variance, ivar : numpy.ndarray, optional
        (y, x): one of standard deviation, variance or inverse variance of each pixel.
    gain, sky, read_noise : float, optional
        Electrons per image unit, sky level that was subtracted and read noise in electrons, from which sigma is
        built where no map is given.
    mask : numpy.ndarray, optional
        (y, x): True or non-zero is bad.
    psf : numpy.ndarray, optional
        (v, u).
    noise_correlation : numpy.ndarray, optional
        (v, u): correlation of the noise of pixels so far apart, one in the middle.
    zero_point, pixel_scale : float
        AB magnitude of one image unit; arcsec a pixel.
    wcs : object, optional
        An astropy WCS.
    source : str
        Where it came from, for messages.
    fault : str, optional
        Why the stamp cannot be used.
    """

    id: str
    image: Any = None
    sigma: Any = None
    variance: Any = None
    ivar: Any = None
    gain: float | None = None
    sky: float = 0.0
    read_noise: float = 0.0
    mask: Any = None
    psf: Any = None
    noise_correlation: Any = None
    zero_point: float = 0.0
    pixel_scale: float = 1.0
    wcs: Any = None
    source: str = ""
    fault: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Checked:
    """A stamp after its checks: float64 pixels, repaired where that is safe, and what is to be said of it."""

    image: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray
    psf: np.ndarray | None
    noise_correlation: np.ndarray | None
    status: Status
    flags: Flag
    message: str

    def padded(self, tall: int, wide: int) -> Checked:
        """The stamp with masked pixels added at its upper and right edges."""
        rows, columns = self.image.shape
        if (rows, columns) == (tall, wide):
            return self
        if rows > tall or columns > wide:
            status = Status.BAD_INPUT if self.status is Status.RUNNING else self.status
            return unusable(status, self.message or f"the stamp is larger than {tall} x {wide}", (tall, wide))
        edges = ((0, tall - rows), (0, wide - columns))
        return dataclasses.replace(
            self,
            image=np.pad(self.image, edges),
            sigma=np.pad(self.sigma, edges, constant_values=1.0),
            mask=np.pad(self.mask, edges, constant_values=True),
            flags=self.flags | (Flag.PADDED if self.status is Status.RUNNING else Flag(0)),
        )


def unusable(status: Status, message: str, shape: tuple[int, int] = (1, 1)) -> Checked:
    """A galaxy that will not be fitted, and why."""
    zeros = np.zeros(shape, dtype=np.float64)
    return Checked(zeros, zeros + 1, zeros == 0, None, None, status, Flag(0), message)


def check(stamp: Stamp) -> Checked:
    """One stamp, repaired where that is safe, or turned into a galaxy that will not be fitted."""
    where = f"{stamp.source}: " if stamp.source else f"galaxy {stamp.id}: "
    if stamp.fault is not None or stamp.image is None:
        return unusable(Status.BAD_INPUT, stamp.fault or f"{where}no image")
    image = native(stamp.image)
    if image.ndim != 2 or image.size == 0:
        return unusable(Status.BAD_INPUT, f"{where}the image has shape {image.shape}, not (rows, columns)")
    for name in ("sigma", "variance", "ivar", "mask"):
        value = getattr(stamp, name)
        if value is not None and np.ndim(value) != 0 and np.shape(value) != image.shape:
            return unusable(
                Status.BAD_INPUT, f"{where}{name} has shape {np.shape(value)} but the image has {image.shape}"
            )
    for name, value, good in (
        ("zero_point", stamp.zero_point, np.isfinite(stamp.zero_point)),
        ("pixel_scale", stamp.pixel_scale, np.isfinite(stamp.pixel_scale) and stamp.pixel_scale > 0),
    ):
        if not good:
            return unusable(Status.BAD_INPUT, f"{where}{name} is {value}")
    sigma = _sigma(stamp, image)
    if sigma is None:
        return unusable(
            Status.BAD_INPUT,
            f"{where}no uncertainty: give sigma, variance, inverse variance, or a gain above 0",
        )
    mask = (
        np.zeros(image.shape, bool)
        if stamp.mask is None
        else np.broadcast_to(native(stamp.mask) != 0, image.shape)
    )
    psf, status, message = _check_psf(stamp.psf, where)
    flags = Flag(0)
    if status is not Status.RUNNING:
        return unusable(status, message)
    correlation = None if stamp.noise_correlation is None else native(stamp.noise_correlation)
    if correlation is not None and (fault := correlation_fault(correlation)):
        return unusable(Status.BAD_INPUT, f"{where}{fault}")
    if stamp.psf is None:
        flags |= Flag.NO_PSF
    elif psf is not None:
        total = float(native(stamp.psf).sum())
        flags |= Flag.PSF_SCALED if abs(total - 1) > 1e-3 else Flag(0)
        flags |= Flag.PSF_NEGATIVE if -psf[psf < 0].sum() > NEGATIVE_PSF else Flag(0)
    with np.errstate(invalid="ignore"):
        broken = ~np.isfinite(image) | ~np.isfinite(sigma) | ~(sigma > 0)
    if (broken & ~mask).any():
        flags |= Flag.PIXELS_REPAIRED
    mask = mask | broken
    if mask.all():
        return unusable(
            Status.MASKED_OUT, f"{where}all {image.size} pixels are masked or not finite", image.shape
        )
    return Checked(
        np.where(mask, 0.0, image),
        np.where(mask, 1.0, sigma),
        mask,
        psf,
        None if correlation is None else check_correlation(correlation),
        Status.RUNNING,
        flags,
        "",
    )


def _sigma(stamp: Stamp, image: np.ndarray) -> np.ndarray | None:
    """Standard deviation of each pixel, from whichever form was given."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if stamp.sigma is not None:
            return np.broadcast_to(native(stamp.sigma), image.shape)
        if stamp.variance is not None:
            return np.sqrt(np.broadcast_to(native(stamp.variance), image.shape))
        if stamp.ivar is not None:
            return 1 / np.sqrt(np.broadcast_to(native(stamp.ivar), image.shape))
        if stamp.gain is not None and stamp.gain > 0:
            electrons = np.maximum(image + stamp.sky, max(stamp.sky, 0.0)) * stamp.gain
            variance = electrons + stamp.read_noise**2
            return np.sqrt(np.where(variance == 0, 1.0, variance)) / stamp.gain
    return None


def _check_psf(psf: Any, where: str) -> tuple[np.ndarray | None, Status, str]:
    if psf is None:
        return None, Status.RUNNING, ""
    array = native(psf)
    if array.ndim != 2 or array.size == 0:
        return None, Status.BAD_PSF, f"{where}the PSF has shape {array.shape}, not (rows, columns)"
    if array.shape[0] % 2 == 0 or array.shape[1] % 2 == 0:
        size = f"{array.shape[0]} x {array.shape[1]}"
        return (
            None,
            Status.BAD_PSF,
            f"{where}the PSF is {size} pixels: both must be odd, so that its centre is a pixel",
        )
    if not np.isfinite(array).all():
        return (
            None,
            Status.BAD_PSF,
            f"{where}the PSF has {int((~np.isfinite(array)).sum())} pixels that are not finite",
        )
    total = array.sum()
    if not total > 0:
        return None, Status.BAD_PSF, f"{where}the PSF sums to {total:.4g}: it must be positive"
    return array / total, Status.RUNNING, ""


def native(array: Any) -> np.ndarray:
    """Any array or tensor as float64 in the machine's byte order; masked array elements become NaN."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    if isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(np.float64), np.nan)
    return np.asarray(array).astype(np.float64)
