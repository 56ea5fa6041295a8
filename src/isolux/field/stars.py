"""Stars of a field: which sources are stars, which of them show the PSF, and the PSF that they show.

Stars are all as large as the PSF; how the locus of their sizes is found says :mod:`isolux.field.locus`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from isolux.errors import InputError
from isolux.field.detect import Detections
from isolux.field.image import FieldImage
from isolux.field.locus import HALF_LIGHT, Locus, star_locus
from isolux.field.moffat import Moffat, fit_moffat
from isolux.field.pixel_psf import solve_pixels
from isolux.field.star_stamps import cut_stars, width_of
from isolux.psf_model import PsfModel

CLEAR = 40.0
"""Signal-to-noise from which on a star helps the PSF; half of it, where there are few."""
MOST = 250
"""Stars that the PSF is measured from, at most."""
FEWEST = 4
"""With fewer stars the PSF is a Moffat profile."""
DEGREES = ((150, 3), (50, 2), (20, 1))
"""Stars from which on the polynomial has this degree."""
ABSURD = 1.8
"""A profile so many times wider or narrower than the sources look is not believed."""
COARSE = 1.8
"""Width in pixels up to which that of the Moffat profile says how finely the PSF is sampled."""
SIZE_ERROR = 1.5
"""Relative error of a half-light radius times the signal-to-noise."""
COMMON = 0.3
"""Part of the sources that are stars, before their size is known."""


def star_likeness(detections: Detections, fwhm: float) -> np.ndarray:
    """How likely each source is a star, from its size.

    Parameters
    ----------
    detections : Detections
        The sources of a field.
    fwhm : float
        Full width at half maximum of its PSF in pixels.

    Returns
    -------
    numpy.ndarray
        (source,), 0 to 1; about 0.3 where the signal-to-noise is too low to tell, NaN where there is no size.

    Raises
    ------
    InputError
        If the width is not positive.
    """
    if not fwhm > 0:
        raise InputError("fwhm", fwhm, "above 0")
    size = detections.half_light_radius
    locus = _locus(detections, fwhm)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.log(size / locus.radius)
        error = np.hypot(locus.scatter, SIZE_ERROR / np.maximum(detections.snr, 0.1))
        star = np.exp(-0.5 * (off / error) ** 2) / (error * math.sqrt(2 * math.pi))
        # Galaxies: of every size from a little above the PSF's to six times that, blurred by the error.
        galaxy = (_ramp((off - 0.05) / error) - _ramp((off - 1.8) / error)) / 1.75
        likely = COMMON * star / (COMMON * star + (1 - COMMON) * galaxy + 1e-300)
    likely = np.where(off < -3 * error, 0.0, likely)
    return np.where(np.isfinite(size), likely, np.nan)


def _ramp(z: np.ndarray) -> np.ndarray:
    """The cumulative normal distribution, to a hundredth."""
    return 1 / (1 + np.exp(np.clip(-1.702 * z, -50, 50)))


def _clean(d: Detections) -> np.ndarray:
    return ~(d.edge | d.saturated | d.blended | d.outside)


def _locus(detections: Detections, fwhm: float | None = None) -> Locus:
    """The locus of the stars, near that of a PSF of this width (pixels) where it is known."""
    d = detections
    return star_locus(
        d.half_light_radius, d.snr, _clean(d), HALF_LIGHT * (fwhm or d.fwhm), near=fwhm is not None
    )


def select_stars(field: FieldImage, detections: Detections, most: int = MOST) -> np.ndarray:
    """Unsaturated, isolated stars that show the PSF.

    Parameters
    ----------
    field : FieldImage
        The image.
    detections : Detections
        Its sources.
    most : int
        Stars at most.

    Returns
    -------
    numpy.ndarray
        Their indices, brightest first; empty where there are none.
    """
    if not len(detections):
        return np.zeros(0, np.int64)
    d = detections
    locus = _locus(d)
    radius, chosen = locus.radius, np.zeros(0, np.int64)
    for snr in (CLEAR, CLEAR / 2):
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.maximum(3 * locus.scatter, 0.04) + SIZE_ERROR / d.snr
            alike = np.abs(np.log(d.half_light_radius / radius)) < width
            round_ = (d.a - d.b) / (d.a + d.b) < 0.15
        chosen = np.flatnonzero(_clean(d) & (d.snr > snr) & alike & round_ & _alone(d, radius))
        if len(chosen) >= 10:
            break
    chosen = chosen[np.argsort(-d.flux[chosen], kind="stable")]
    chosen = chosen[_whole(field, d.x[chosen], d.y[chosen], 2 * radius)]
    return chosen[: most if locus.found else FEWEST - 1]


def _alone(d: Detections, radius: float) -> np.ndarray:
    """Whether no other source is near enough, and bright enough, to be seen in a star's image."""
    there = np.isfinite(d.x) & np.isfinite(d.y)
    rows = np.flatnonzero(there)
    alone = there.copy()
    places = np.stack([d.x[rows], d.y[rows]], 1)
    tree = cKDTree(places)
    for part, reach in ((0.02, 5 * radius), (0.2, 12 * radius)):
        pairs = tree.query_pairs(reach, output_type="ndarray")
        for one, two in (pairs.T, pairs.T[::-1]):
            near = d.flux[rows[two]] > part * d.flux[rows[one]]
            alone[rows[one[near]]] = False
    return alone


def _whole(field: FieldImage, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Whether there is no bad pixel in the middle of a star."""
    reach = max(1, round(radius))
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    pieces = (
        field.mask[max(r - reach, 0) : r + reach + 1, max(c - reach, 0) : c + reach + 1]
        for r, c in zip(row, column, strict=True)
    )
    return np.array([not piece.any() for piece in pieces], bool)


def psf_from_stars(
    field: FieldImage,
    detections: Detections,
    *,
    stars: np.ndarray | None = None,
    degree: int | None = None,
    oversampling: int | None = None,
    half_size: int | None = None,
) -> PsfModel:
    """The PSF of a field from its own stars.

    Parameters
    ----------
    field : FieldImage
        The image.
    detections : Detections
        Its sources.
    stars : numpy.ndarray, optional
        Indices of the stars; :func:`select_stars` where left out.
    degree : int, optional
        Of the polynomial in position, 0 to 5; by the number of stars where left out.
    oversampling : int, optional
        Samples a pixel; by the width of the stars where left out: 1 from 2.5 pixels on, 2 from 1.5 on, else 3.
    half_size : int, optional
        Pixels on each side of the middle; six times the width, and 15 at least, where left out.

    Returns
    -------
    PsfModel
        The image of a star, the pixel in it. With fewer than four stars a Moffat profile fitted to them, or of the
        width that the sources show, and a remark that says so.

    Raises
    ------
    InputError
        If an option is out of range.
    """
    if degree is not None and not 0 <= degree <= 5:
        raise InputError("degree of the PSF's polynomial", degree, "0 to 5")
    if oversampling is not None and not 1 <= oversampling <= 10:
        raise InputError("oversampling of the PSF", oversampling, "1 to 10")
    d = detections
    chosen = select_stars(field, d) if stars is None else np.asarray(stars, dtype=np.int64)
    if not len(chosen):
        note = f"no star shows the PSF: it is taken as a Moffat profile of {d.fwhm:.2f} pixels"
        return _analytic(Moffat(d.fwhm), oversampling, half_size, 0, (note,))
    half = half_size or math.ceil(np.clip(6 * d.fwhm, 15, 60))
    x, y, flux = d.x[chosen], d.y[chosen], d.flux[chosen]
    cut = cut_stars(field, d.background, d.segmentation, d.number[chosen], x, y, flux, half)
    smooth = fit_moffat(cut, d.fwhm)
    if not 1 / ABSURD < smooth.fwhm / d.fwhm < ABSURD:
        note = (
            f"the sources taken for stars make no PSF: it is taken as a Moffat profile of {d.fwhm:.2f} pixels"
        )
        return _analytic(Moffat(d.fwhm), oversampling, half_size, 0, (note,))
    if len(chosen) < FEWEST:
        note = f"only {len(chosen)} stars show the PSF: a Moffat profile of {smooth.fwhm:.2f} pixels is fitted to them"
        return _analytic(smooth, oversampling, half_size, len(chosen), (note,))
    # Rings are too coarse for the narrowest; of others they say more than a profile that has to fit the wings too.
    width = width_of(cut) if smooth.fwhm > COARSE else smooth.fwhm
    fine = oversampling or _fine(width if np.isfinite(width) else smooth.fwhm)
    power = next((k for count, k in DEGREES if len(chosen) >= count), 0) if degree is None else degree
    offset = ((field.shape[1] - 1) / 2, (field.shape[0] - 1) / 2)
    scale = (max(field.shape[1] / 2, 1.0), max(field.shape[0] / 2, 1.0))
    samples = 2 * half * fine + 1
    start = smooth.image((samples, samples), fine)
    solved = solve_pixels(
        cut, start, power, ((x - offset[0]) / scale[0], (y - offset[1]) / scale[1]), fine, smooth.fwhm
    )
    used = int(np.count_nonzero(solved.used))
    notes = (f"PSF from {used} of {len(chosen)} stars, degree {power}",)
    return PsfModel(solved.basis, power, offset, scale, fine, True, used, "stars of the field", notes)


def _fine(fwhm: float) -> int:
    """Samples a pixel that a PSF of this width in pixels needs."""
    return 1 if fwhm >= 2.5 else 2 if fwhm >= 1.5 else 3


def _analytic(
    profile: Moffat, oversampling: int | None, half_size: int | None, stars: int, notes: tuple[str, ...]
) -> PsfModel:
    fine = oversampling or _fine(profile.fwhm)
    half = half_size or math.ceil(np.clip(6 * profile.fwhm, 15, 60))
    image = profile.image((2 * half * fine + 1,) * 2, fine)
    return PsfModel.constant(image, fine, stars=stars, source="Moffat profile", remarks=notes)
