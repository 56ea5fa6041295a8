"""From stamps to shapes: the order in which things are measured.

1. The light around the given centre in ellipses of the given shape: a Petrosian radius, and an image in which masked
   pixels hold the mean brightness of their ellipse, so that a masked star leaves no hole.
2. The centre of least asymmetry; from here on everything is about this centre.
3. The light in circles and in ellipses: Petrosian and Kron radii and magnitudes, radii of shares of the light.
4. Asymmetries, smoothness; Gini and M20 of the pixels that are as bright as at the Petrosian radius.

Definitions are those of statmorph (Rodriguez-Gomez et al. 2019, MNRAS 483, 4140). Every galaxy is measured with
operations of the same shape, whatever the others are.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from isolux.nonparametric.flags import ShapeFlag
from isolux.nonparametric.shapes import NAMES, Shapes
from isolux.nonparametric.sheet import Sheet, columns_of
from isolux.nonparametric.stamps import as_stamps
from isolux.nonparametric.steps import measure_stamps
from isolux.types import PerGalaxy

PIXELS_AT_ONCE = 1 << 19
"""Pixels of the galaxies that are measured together on a CPU."""
PIXELS_AT_ONCE_GPU = 1 << 25


def measure_shapes(
    image: Any,
    mask: Any,
    sigma_sky: Any,
    x: Any,
    y: Any,
    axis_ratio: Any,
    position_angle: Any,
    *,
    zero_point: Any = 0.0,
    pixel_scale: Any = 1.0,
    gain: Any = None,
    segmentation: Any = None,
    psf_fwhm: Any = None,
    max_radius: Any = None,
) -> Shapes:
    """Sizes, magnitudes and shapes of galaxies without a model.

    Parameters
    ----------
    image : array or Tensor
        (galaxy, y, x): stamps of one size, in which the sky has been subtracted and neighbours are subtracted or
        masked. Pixels that are not finite are masked.
    mask : array, Tensor or None
        (galaxy, y, x): True or non-zero is bad.
    sigma_sky : array or float
        (galaxy,): standard deviation of a pixel of sky, image units.
    x, y : array or float
        (galaxy,): centre in pixels from 0, where the search for that of least asymmetry begins.
    axis_ratio, position_angle : array or float
        (galaxy,): of elliptical apertures; degrees counter-clockwise from +y.
    zero_point : array or float
        AB magnitude of one image unit.
    pixel_scale : array or float
        Arcsec a pixel.
    gain : array or float, optional
        Electrons per image unit; without it, photons of the galaxy add no noise.
    segmentation : array, optional
        (galaxy, y, x): non-zero where the pixel belongs to the galaxy. Second moments are then taken of these
        pixels, and they are no sky; without it the pixels are those of Gini and M20.
    psf_fwhm : array or float, optional
        Pixels; to flag galaxies that are hardly larger.
    max_radius : array or float, optional
        Semi-major axis in pixels beyond which no aperture goes.

    Returns
    -------
    Shapes
        A row a galaxy: NaN with a flag where something could not be measured.

    Raises
    ------
    InputError
        If shapes do not fit together, or stamps are smaller than 12 pixels.

    Examples
    --------
    >>> import numpy as np
    >>> rows, columns = np.mgrid[:64, :64] - 32.0
    >>> disc = 100 * np.exp(-np.hypot(rows, columns) / 4)
    >>> shapes = measure_shapes(disc[None], None, 0.1, 32, 32, 1.0, 0.0)
    >>> round(float(shapes["concentration"][0]), 1)
    2.7
    """
    numbers = {
        "sigma_sky": sigma_sky,
        "x": x,
        "y": y,
        "axis_ratio": axis_ratio,
        "position_angle": position_angle,
        "zero_point": zero_point,
        "pixel_scale": pixel_scale,
        "gain": gain,
        "psf_fwhm": psf_fwhm,
        "max_radius": max_radius,
    }
    stamps, columns = as_stamps(image, mask, segmentation, numbers)
    pixels = stamps.image[0].numel() if len(stamps) else 1
    most = PIXELS_AT_ONCE if stamps.image.device.type == "cpu" else PIXELS_AT_ONCE_GPU
    at_once = max(1, most // pixels)
    # The thinner an ellipse, the more shells a pixel reaches into: galaxies of like shape go together.
    order = torch.argsort(stamps.axis_ratio, stable=True)
    sheets = [measure_stamps(stamps.part(rows)) for rows in order.split(at_once)] if len(stamps) else []
    found = _assembled(
        stamps.noise[order], sheets, columns["zero_point"][order], columns["pixel_scale"][order]
    )
    return found.select(torch.argsort(order).tolist())


def _assembled(
    noise: PerGalaxy, sheets: list[Sheet], zero_point: PerGalaxy, pixel_scale: PerGalaxy
) -> Shapes:
    """The sheets as one table, in image units."""
    values = columns_of([sheet.values for sheet in sheets], len(noise))
    errors = columns_of([sheet.errors for sheet in sheets], len(noise))
    noise, zero, scale = (t.cpu() for t in (noise, zero_point, pixel_scale))
    for name in NAMES:
        if not name.partition("_")[2].startswith("flux"):
            continue
        flux, magnitude = NAMES.index(name), NAMES.index(name.replace("flux", "magnitude"))
        values[:, flux] *= noise
        errors[:, flux] *= noise
        positive = torch.where(values[:, flux] > 0, values[:, flux], torch.nan)
        values[:, magnitude] = zero - 2.5 * torch.log10(positive)
        errors[:, magnitude] = 2.5 / math.log(10) * errors[:, flux] / positive
    flags = tuple(ShapeFlag(flag) for sheet in sheets for flag in sheet.flags.tolist())
    return Shapes(values, errors, flags, zero, scale)
