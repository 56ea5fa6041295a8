"""Sources of a field: found, told apart and measured roughly, by sep (Barbary 2016, JOSS 1, 58), SExtractor's way.

Two passes: the sky, bright sources, the sky without them; then all sources. The second pass filters the image with
a Gaussian as wide as its stars and asks for ``threshold`` times the noise that the filtered image has (Bertin & Arnouts
1996). That noise is measured, since pixels of resampled images share it, and weight maps may be wrong. Sources that
touch are told apart in an image that is filtered less (:mod:`isolux.field.deblend`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from isolux.errors import InputError
from isolux.field.background import BOX, Background, measure_background, unit_of
from isolux.field.deblend import divided, rejoined
from isolux.field.extract import Extracted, extract, filtered_noise, gaussian_kernel, without_holes
from isolux.field.forced import measure_at
from isolux.field.image import FieldImage
from isolux.field.locus import HALF_LIGHT, Locus, saturation_peak, star_locus
from isolux.field.measured import shapes_of, star_width, typical_width

BRIGHT = 3.0
"""Threshold of the first pass in units of the noise a pixel."""
GROWN = 6
"""Pixels by which sources are grown before the sky is measured again."""
NARROWEST, WIDEST = 1.5, 8.0
"""Widths in pixels between which that of the filter is kept."""
SHARPER = (0.5, 0.1)
"""Width of the filter in whose image sources that touch are told apart, over that of the PSF; and the part of the
contrast that is asked for there, since footprints are those of all that touches a bright star."""
CORRELATED = 1.3
"""From this ratio on a remark says that pixels share their noise."""


@dataclasses.dataclass(frozen=True)
class DetectOptions:
    """How sources are found.

    Parameters
    ----------
    threshold : float
        Detection threshold in units of the noise of the filtered image.
    min_area : int
        Pixels above it at least.
    fwhm : float, optional
        Full width at half maximum of stars in pixels, which the filter is made for; measured where left out.
    deblend_levels : int
        Levels between threshold and peak at which sources are split.
    deblend_contrast : float
        Least part of the flux that makes a peak a source of its own.
    box : int
        Sides of the sky's mesh in pixels.
    """

    threshold: float = 3.5
    min_area: int = 5
    fwhm: float | None = None
    deblend_levels: int = 32
    deblend_contrast: float = 0.003
    box: int = BOX

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise InputError("threshold", self.threshold, "above 0")
        if self.min_area < 1:
            raise InputError("min_area", self.min_area, "1 or more")
        if self.fwhm is not None and not self.fwhm > 0:
            raise InputError("fwhm", self.fwhm, "above 0")
        if self.deblend_levels < 1 or not 0 <= self.deblend_contrast <= 1:
            raise InputError(
                "deblend_levels and deblend_contrast", (self.deblend_levels, self.deblend_contrast)
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """A row a source, arrays (source,); pixels are 0-based, angles degrees counter-clockwise from +y.

    Attributes
    ----------
    number : numpy.ndarray
        Label of the source in the segmentation: 1 to N.
    x, y : numpy.ndarray
        Windowed centroid (that of the isophote where the window does not settle).
    a, b, theta : numpy.ndarray
        Rms extent along the major and minor axis of the isophotal light in pixels; position angle.
    npix : numpy.ndarray
        Pixels of the footprint.
    flux, flux_error : numpy.ndarray
        In the Kron aperture above the sky, and its error; neighbours' pixels replaced by the aperture's mean.
    peak : numpy.ndarray
        Highest pixel above the sky.
    kron_radius : numpy.ndarray
        Kron's radius along the major axis in pixels; the aperture's is 2.5 times it.
    half_light_radius : numpy.ndarray
        Of the circle that has half of ``flux``, in pixels; the PSF is in it. NaN where it cannot be measured.
    xmin, xmax, ymin, ymax : numpy.ndarray
        The footprint's first and last columns and rows.
    edge, saturated, blended, outside : numpy.ndarray
        Whether the footprint or aperture is cut off by the image's edge or by pixels without data; a saturated
        pixel is in or next to it; the source was split from a neighbour's, or has its light in the aperture; the
        position is not in the image.
    snr : numpy.ndarray
        ``flux`` over ``flux_error``.
    segmentation : numpy.ndarray
        (y, x), int32: label of the source that a pixel belongs to, 0 for none.
    background : Background
        The sky.
    fwhm : float
        Full width at half maximum of the stars in pixels, that the filter was made for.
    remarks : tuple of str
        What a user should know.
    """

    number: np.ndarray
    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    theta: np.ndarray
    npix: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    peak: np.ndarray
    kron_radius: np.ndarray
    half_light_radius: np.ndarray
    xmin: np.ndarray
    xmax: np.ndarray
    ymin: np.ndarray
    ymax: np.ndarray
    edge: np.ndarray
    saturated: np.ndarray
    blended: np.ndarray
    outside: np.ndarray
    snr: np.ndarray
    segmentation: np.ndarray
    background: Background
    fwhm: float = 3.0
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def at(
        cls,
        field: FieldImage,
        x: Any,
        y: Any,
        *,
        background: Background | None = None,
        segmentation: np.ndarray | None = None,
        options: DetectOptions | None = None,
    ) -> Detections:
        """The same table for given positions: forced photometry.

        Parameters
        ----------
        field : FieldImage
            The image.
        x, y : array
            (source,): 0-based pixels.
        background, segmentation : Background and numpy.ndarray, optional
            What :func:`detect` found in this field; it is called where they are left out.
        options : DetectOptions, optional
            How.

        Returns
        -------
        Detections
            In the order of the positions, which are kept. A position in the footprint of a source has its shape; a
            footprint with several positions is divided among them (``blended``); one in no footprint has the
            shape of a star. Labels above the number of positions are sources that are not among them. Rows with
            ``outside`` have NaN.

        Raises
        ------
        InputError
            If x and y differ in length, or the segmentation has another shape.
        """
        options = options or DetectOptions()
        if background is None or segmentation is None:
            found = detect(field, options)
            background, segmentation = found.background, found.segmentation
        if segmentation.shape != field.shape:
            raise InputError("shape of the segmentation", segmentation.shape, f"{field.shape}, as the image")
        image, scaled, unit = above_sky(field, background)
        noise = background.rms / unit if scaled.sigma is None else scaled.sigma
        columns, labels, fwhm = measure_at(scaled, image, noise, x, y, segmentation, options.fwhm)
        return cls(**_in_units(columns, unit), segmentation=labels, background=background, fwhm=fwhm)


def detect(
    field: FieldImage, options: DetectOptions | None = None, progress: Callable[[str], None] | None = None
) -> Detections:
    """Find the sources of a field.

    Parameters
    ----------
    field : FieldImage
        The image; where it has no ``sigma`` the noise is measured.
    options : DetectOptions, optional
        How they are found.
    progress : callable, optional
        Is told of each step.

    Returns
    -------
    Detections
        Sorted as sep finds them; none where there are none.

    Raises
    ------
    InputError
        If the image is too crowded for sep at any limit.
    """
    options = options or DetectOptions()
    tell = progress or (lambda step: None)
    unit = unit_of(field)
    scaled = scaled_field(field, unit)
    tell("sky")
    sky = measure_background(scaled, box=options.box)
    rough, seen = _bright(scaled, sky)
    tell(f"sky without {len(rough)} bright sources")
    sky = measure_background(scaled, seen, box=options.box)
    image = scaled.data - sky.level
    image[scaled.mask & ~scaled.saturated] = 0
    fwhm = options.fwhm or star_width(rough.table)
    noise = sky.rms if scaled.sigma is None else scaled.sigma
    bad, hidden = scaled.mask & ~scaled.saturated, scaled.mask | (rough.segmentation > 0)
    runs = []
    wide = max(typical_width(rough.table, fwhm), NARROWEST)
    for width, part in ((wide, 1.0), (SHARPER[0] * max(fwhm, NARROWEST), SHARPER[1])):
        kernel = gaussian_kernel(min(width, WIDEST))
        factor = filtered_noise(image, noise, hidden, kernel)
        tell("sources" if part == 1 else "sources that touch")
        runs.append(
            (factor, _extracted(image, noise, bad, options.threshold * factor, kernel, part, options))
        )
    found, factor = divided(runs[0][1], runs[1][1], image, options.deblend_contrast), runs[0][0]
    smooth = ndimage.convolve(image, kernel, mode="constant")
    photons = np.maximum(smooth, 0) / scaled.gain if scaled.gain > 0 else 0.0
    spread = runs[1][0] * np.sqrt(np.sum(kernel**2) * (noise**2 + photons))
    found = rejoined(found, image, smooth, spread)
    tell(f"shapes of {len(found)} sources")
    columns = shapes_of(scaled, image, noise, found, fwhm)
    remarks = found.remarks
    locus = _stars(columns, fwhm)
    fwhm = options.fwhm or (locus.radius / HALF_LIGHT if locus.found else fwhm)
    full = saturation_peak(columns["half_light_radius"], columns["flux"], columns["peak"], locus)
    if full is not None and not field.saturated.any():
        columns["saturated"] |= columns["peak"] >= full
        value = full * float(unit) + float(np.median(sky.level)) * float(unit)
        remarks += (
            f"the peaks of the brightest stars pile up: pixels above {value:.4g} are taken as saturated",
        )
    columns = _in_units(columns, unit)
    if factor > CORRELATED:
        remarks += (f"the noise of the filtered image is {factor:.2f} times that of independent pixels",)
    sky = Background(sky.level * unit, sky.rms * unit)
    return Detections(**columns, segmentation=found.segmentation, background=sky, fwhm=fwhm, remarks=remarks)


def _stars(columns: dict[str, np.ndarray], fwhm: float) -> Locus:
    """Where the stars are among the sizes."""
    clean = ~(columns["edge"] | columns["blended"])
    return star_locus(columns["half_light_radius"], columns["snr"], clean, HALF_LIGHT * fwhm)


def scaled_field(field: FieldImage, unit: np.float32) -> FieldImage:
    """The field in units of about its noise, with the cores of saturated stars filled."""
    data = without_holes(field.data, field.saturated) / unit
    sigma = None if field.sigma is None else field.sigma / unit
    return dataclasses.replace(field, data=data, sigma=sigma, gain=field.gain * float(unit))


def above_sky(field: FieldImage, sky: Background) -> tuple[np.ndarray, FieldImage, np.float32]:
    """The image above a sky, 0 where there are no data; the field; both in units of about the noise; that unit."""
    unit = unit_of(field)
    scaled = scaled_field(field, unit)
    image = scaled.data - sky.level / unit
    image[scaled.mask & ~scaled.saturated] = 0
    return image, scaled, unit


def _in_units(columns: dict[str, np.ndarray], unit: np.float32) -> dict[str, Any]:
    """Fluxes in the image's own unit."""
    return columns | {name: columns[name] * float(unit) for name in ("flux", "flux_error", "peak")}


def _extracted(
    image: np.ndarray,
    noise: np.ndarray,
    bad: np.ndarray,
    threshold: float,
    kernel: np.ndarray,
    part: float,
    options: DetectOptions,
) -> Extracted:
    return extract(
        image,
        noise,
        bad,
        threshold=threshold,
        kernel=kernel,
        min_area=options.min_area,
        levels=options.deblend_levels,
        contrast=part * options.deblend_contrast,
    )


def _bright(field: FieldImage, sky: Background) -> tuple[Extracted, np.ndarray]:
    """Bright sources, and a map of their pixels and those around."""
    image = field.data - sky.level
    found = extract(
        image,
        sky.rms,
        field.mask & ~field.saturated,
        threshold=BRIGHT,
        kernel=gaussian_kernel(2.0),
        min_area=8,
    )
    seen = found.segmentation > 0
    return found, ndimage.binary_dilation(seen, ndimage.generate_binary_structure(2, 1), iterations=GROWN)
