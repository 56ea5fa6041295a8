"""Rough shapes and fluxes of sources that have been extracted: what starting values and cut-outs are made from.

Fluxes are Kron's (1980, ApJS 43, 305), in the ellipse of 2.5 times his radius, but not smaller than 3.5 times
the source's own extent, as SExtractor's FLUX_AUTO; half-light radii are those of circles around the windowed centroid.
"""

from __future__ import annotations

import numpy as np
import sep
from scipy import ndimage

from isolux.field.extract import Extracted
from isolux.field.image import FieldImage

KRON_FACTOR, SMALLEST_KRON = 2.5, 3.5
"""Kron radii of the aperture, and its least size in units of a and b."""
SMALLEST = 0.3
"""Least rms extent in pixels."""
KRON_REACH = 6.0
"""In units of a and b: how far Kron's radius is measured."""
DEFAULT_FWHM = 3.0
"""Full width at half maximum in pixels where no star says which."""
BRIGHT_PEAKS = (100.0, 30.0, 10.0, 5.0)
"""Peaks in units of the noise from which on a source says how wide stars are; the first that five sources have."""
SEVERAL = 20
"""With fewer bright sources the smaller ones among them say how wide stars are, not the commonest."""
RESOLVED = 2.0
"""The filter is so many times wider than a star at most, where faint galaxies are."""
MOFFAT = 1.12
"""That width over the full width at half maximum, for Moffat profiles as stars have them."""
MASKED_PART = 0.05
"""From this part of the footprint's rim on without data a source is cut off."""


def shapes_of(
    field: FieldImage, image: np.ndarray, noise: np.ndarray, found: Extracted, fwhm: float
) -> dict[str, np.ndarray]:
    """The columns of :class:`~isolux.field.detect.Detections`, from sep's table.

    Parameters
    ----------
    field : FieldImage
        The image's masks.
    image, noise : numpy.ndarray
        (y, x): the image above the sky, and its standard deviation.
    found : Extracted
        The sources.
    fwhm : float
        Width of stars in pixels.
    """
    t = found.table
    a, b, angle = ellipses(t)
    x, y = (np.where(np.isfinite(t[c]), t[c], t[f"{c}peak"]).astype(np.float64) for c in "xy")
    number = np.arange(1, len(t) + 1, dtype=np.int32)
    columns = photometry(field, image, noise, found.segmentation, number, x, y, a, b, angle, fwhm)
    columns |= {name: t[name].astype(np.int64) for name in ("npix", "xmin", "xmax", "ymin", "ymax")}
    columns["peak"] = t["peak"].astype(np.float64)
    touching = touches(field.saturated, found.segmentation, len(t))
    cut = touches(field.mask & ~field.saturated, found.segmentation, len(t), MASKED_PART)
    columns["saturated"] = touching
    columns["edge"] |= ((t["flag"] & sep.OBJ_TRUNC) != 0) | cut | _at_border(t, field.shape)
    columns["blended"] |= (t["flag"] & sep.OBJ_MERGED) != 0
    columns["outside"] = np.zeros(len(t), bool)
    return columns


def ellipses(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rms extents and angles (radians from +x) of sep's table, as sep wants them; small circles where it has none."""
    a, b, angle = (table[name].astype(np.float64) for name in ("a", "b", "theta"))
    known = np.isfinite(a) & np.isfinite(b) & np.isfinite(angle)
    a = np.where(known, np.clip(a, SMALLEST, None), SMALLEST)
    b = np.where(known, np.clip(b, SMALLEST, a), SMALLEST)
    return a, b, np.where(known, np.clip(angle, -np.pi / 2, np.pi / 2), 0.0)


def photometry(
    field: FieldImage,
    image: np.ndarray,
    noise: np.ndarray,
    labels: np.ndarray,
    number: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    angle: np.ndarray,
    fwhm: float,
    centre: bool = True,
) -> dict[str, np.ndarray]:
    """Kron fluxes, half-light radii and windowed centroids in ellipses.

    Parameters
    ----------
    labels, number : numpy.ndarray
        The segmentation (y, x), and the label of each source.
    x, y, a, b, angle : numpy.ndarray
        (source,): the ellipses; angle in radians counter-clockwise from +x.
    centre : bool
        Whether positions are to be measured, or kept.
    """
    mask = field.mask & ~field.saturated
    x, y = x.astype(np.float64), y.astype(np.float64)
    shared = {"mask": mask, "seg_id": number, "segmap": labels}
    if not len(x):
        nothing = np.zeros(0)
        names = ("x", "y", "a", "b", "theta", "flux", "flux_error", "kron_radius", "half_light_radius", "snr")
        none = np.zeros(0, bool)
        return {name: nothing for name in names} | {"number": number, "edge": none, "blended": none}
    kron, _ = sep.kron_radius(image, x, y, a, b, angle, KRON_REACH, **shared)
    kron = np.where(np.isfinite(kron) & (kron > 0), kron, 0)
    kron = np.clip(KRON_FACTOR * kron, SMALLEST_KRON, KRON_FACTOR * KRON_REACH)
    flux, error, flag = sep.sum_ellipse(
        image, x, y, a, b, angle, kron, err=noise, gain=None, subpix=5, **shared
    )
    if np.isfinite(field.gain) and not field.sigma_includes_sources:
        error = np.sqrt(error**2 + np.maximum(flux, 0) / field.gain)
    reach = np.maximum(kron * a, 2 * fwhm)
    half, _ = sep.flux_radius(image, x, y, reach, 0.5, normflux=np.maximum(flux, 1e-30), subpix=5, **shared)
    half = np.where((flux > 0) & np.isfinite(half) & (half > 0), half, np.nan)
    columns = {"number": number, "a": a, "b": b, "theta": (np.degrees(angle) - 90 + 90) % 180 - 90}
    columns["theta"] = (np.degrees(angle) - 90) % 180
    columns |= (
        {"x": x, "y": y}
        if not centre
        else dict(zip("xy", _windowed(image, mask, labels, number, x, y, a, half), strict=True))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = flux / error
    columns |= {
        "x": x,
        "y": y,
        "flux": flux,
        "flux_error": error,
        "kron_radius": kron * a / KRON_FACTOR,
        "half_light_radius": half,
        "snr": snr,
    }
    columns["edge"] = (flag & sep.APER_TRUNC) != 0
    columns["blended"] = _crowded(labels, number, x, y, a, b, angle, kron)
    return columns


def _windowed(
    image: np.ndarray,
    mask: np.ndarray,
    labels: np.ndarray,
    number: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    half: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Centroids under a Gaussian as wide as the source; the isophotal ones where those run away."""
    width = np.where(np.isfinite(half), half, a) * 2 / 2.3548
    new_x, new_y, flag = sep.winpos(image, x, y, width, mask=mask)
    moved = np.hypot(new_x - x, new_y - y)
    with np.errstate(invalid="ignore"):
        settled = np.isfinite(moved) & (moved < 0.5 + 0.3 * a) & ((flag & sep.APER_HASMASKED) == 0)
    column = np.clip(np.nan_to_num(new_x).round().astype(int), 0, image.shape[1] - 1)
    row = np.clip(np.nan_to_num(new_y).round().astype(int), 0, image.shape[0] - 1)
    settled &= labels[row, column] == number
    return np.where(settled, new_x, x), np.where(settled, new_y, y)


def _crowded(
    labels: np.ndarray,
    number: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    angle: np.ndarray,
    kron: np.ndarray,
) -> np.ndarray:
    """Whether a tenth of the Kron ellipse's pixels are a neighbour's."""
    others = np.zeros(len(x), bool)
    for k in range(len(x)):
        reach = int(np.ceil(kron[k] * a[k]))
        column, row = round(x[k]), round(y[k])
        left, top = max(column - reach, 0), max(row - reach, 0)
        piece = labels[top : row + reach + 1, left : column + reach + 1]
        strangers = (piece != 0) & (piece != number[k])
        if not strangers.any():
            continue
        v, u = np.nonzero(strangers)
        du, dv = u + left - x[k], v + top - y[k]
        cos, sin = np.cos(angle[k]), np.sin(angle[k])
        inside = ((du * cos + dv * sin) / a[k]) ** 2 + ((dv * cos - du * sin) / b[k]) ** 2 < kron[k] ** 2
        others[k] = np.count_nonzero(inside) > 0.1 * np.pi * a[k] * b[k] * kron[k] ** 2
    return others


def touches(bad: np.ndarray, labels: np.ndarray, count: int, part: float = 0.0) -> np.ndarray:
    """Which of the sources have such a pixel in or next to more than this part of their footprint."""
    if not bad.any() or not count:
        return np.zeros(count, bool)
    near = ndimage.binary_dilation(bad, np.ones((3, 3), bool))
    hits = np.bincount(labels[near], minlength=count + 1)[1 : count + 1]
    if not part:
        return hits > 0
    return hits > part * np.bincount(labels.ravel(), minlength=count + 1)[1 : count + 1]


def _at_border(table: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Footprints in the first or last row or column."""
    low = (table["xmin"] == 0) | (table["ymin"] == 0)
    return low | (table["xmax"] == shape[1] - 1) | (table["ymax"] == shape[0] - 1)


def widths_of(table: np.ndarray) -> np.ndarray:
    """Full widths at half maximum (source,) of Gaussians with the flux and peak of the sources of sep's table."""
    with np.errstate(divide="ignore", invalid="ignore"):
        area = np.where((table["peak"] > 0) & (table["flux"] > 0), table["flux"] / table["peak"], np.nan)
    good = (table["flag"] == 0) & (table["npix"] >= 8)
    return np.where(good, np.sqrt(area * 4 * np.log(2) / np.pi), np.nan)


def typical_width(table: np.ndarray, fwhm: float) -> float:
    """Width in pixels of a filter that finds faint sources: that of most of them, but at least a star's."""
    widths = widths_of(table) / MOFFAT
    faint = widths[(table["peak"] < BRIGHT_PEAKS[1]) & np.isfinite(widths)]
    return fwhm if len(faint) < 10 else float(np.clip(np.median(faint), fwhm, RESOLVED * fwhm))


def star_width(table: np.ndarray) -> float:
    """Full width at half maximum of stars in pixels, from the commonest width of the bright sources of sep's table.

    The width of each is that of a Gaussian of its flux and peak; stars are alike, and many, where galaxies are neither.
    """
    widths = widths_of(table)
    good = np.isfinite(widths)
    few = (good & (table["peak"] > peak) for peak in BRIGHT_PEAKS)
    bright = next((rows for rows in few if np.count_nonzero(rows) >= 5), None)
    if bright is None:
        return DEFAULT_FWHM
    values = np.sort(widths[bright])
    if len(values) < SEVERAL:
        return float(np.clip(np.percentile(values, 20) / MOFFAT, 1.0, 20.0))
    values = values[: round(0.8 * len(values))]
    while len(values) > 4:  # the half with the least spread, again and again
        half = (len(values) + 1) // 2
        first = int(np.argmin(values[half - 1 :] / values[: len(values) - half + 1]))
        values = values[first : first + half]
    return float(np.clip(np.mean(values) / MOFFAT, 1.0, 20.0))
