r"""Surface brightness along elliptical annuli: images turned into curves, masked pixels left out.

The annuli share the centre, axis ratio, angle and boxiness of one ellipse. In each, over its N good pixels,

    I = sum(I_i) / N,     error(I) = sqrt(sum(sigma_i^2)) / N,     mu = zero point - 2.5 log10(I / scale^2)

and the radius is the mean semi-major axis of the same pixels, so that data and models, taken over the same
pixels, can be compared without any correction.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from isolux.geometry import Ellipse, grid_offsets, locate, superellipse_area

GROWTH = 0.08
"""Width of an annulus over its inner semi-major axis; never narrower than one pixel."""
COVERED = 0.3
"""Share of an annulus that must lie on the stamp."""
LEAST_AREA = 8.0
"""Pixels of an annulus from which on that share can be told."""
UPSAMPLED = 8


@dataclasses.dataclass(frozen=True)
class Shape:
    """An ellipse in pixels and degrees; ``effective_radius`` is its half-light semi-major axis if it has one."""

    x: float
    y: float
    axis_ratio: float = 1.0
    position_angle: float = 0.0
    boxiness: float = 0.0
    effective_radius: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Annuli:
    """Elliptical annuli on a stamp.

    Attributes
    ----------
    radius : numpy.ndarray
        (annulus,): mean semi-major axis of the good pixels, in pixels.
    pixels : numpy.ndarray
        (annulus,): number of good pixels, at least one.
    member : numpy.ndarray
        (y, x): number of the annulus of each pixel, -1 for none.
    """

    radius: np.ndarray
    pixels: np.ndarray
    member: np.ndarray

    @classmethod
    def around(cls, shape: Shape, mask: np.ndarray, growth: float = GROWTH) -> Annuli:
        """Annuli from the centre to where under ``COVERED`` of them lies on the stamp.

        Parameters
        ----------
        shape : Shape
            Centre and form of the annuli.
        mask : numpy.ndarray
            (y, x): True is bad.
        growth : float
            Width of an annulus over its inner radius.
        """
        radius = elliptical_radius(shape, mask.shape)
        edges = _edges(float(radius.max()), growth)
        step = np.searchsorted(edges, radius, side="right") - 1
        inside = np.bincount(step.ravel(), minlength=len(edges) - 1)
        boxy = float(superellipse_area(torch.tensor(shape.boxiness, dtype=torch.float64)))
        area = math.pi * shape.axis_ratio * boxy * np.diff(edges**2)
        few = np.flatnonzero((inside < COVERED * area) & (edges[:-1] >= 2) & (area >= LEAST_AREA))
        last = few[0] if len(few) else len(edges)
        good = ~mask & (step < last)
        numbers, member = np.unique(step[good], return_inverse=True)
        pixels = np.bincount(member, minlength=len(numbers))
        where = np.full(mask.shape, -1)
        where[good] = member
        return cls(np.bincount(member, radius[good], len(numbers)) / pixels, pixels, where)

    def __len__(self) -> int:
        return len(self.radius)

    def mean(self, image: np.ndarray) -> np.ndarray:
        """Mean (annulus,) of an image (y, x)."""
        return self._sum(image) / self.pixels

    def error(self, sigma: np.ndarray) -> np.ndarray:
        """Error of the mean (annulus,) from the standard deviation (y, x) of each pixel."""
        return np.sqrt(self._sum(np.square(sigma, dtype=np.float64))) / self.pixels

    def scatter_error(self, residual: np.ndarray) -> np.ndarray:
        """Error of the mean (annulus,) from the scatter of a residual image (y, x) within each annulus.

        Annuli of fewer than eight pixels take the scatter of all annuli together.
        """
        square = self._sum((residual - self._spread(self.mean(residual))) ** 2)
        freedom = np.maximum(self.pixels - 1, 1)
        together = square.sum() / max(float((self.pixels - 1).sum()), 1.0)
        return np.sqrt(np.where(self.pixels < 8, together, square / freedom) / self.pixels)

    def _sum(self, image: np.ndarray) -> np.ndarray:
        taken = self.member >= 0
        return np.bincount(self.member[taken], np.asarray(image, dtype=np.float64)[taken], len(self))

    def _spread(self, values: np.ndarray) -> np.ndarray:
        return np.append(values, np.nan)[self.member]


def elliptical_radius(shape: Shape, size: tuple[int, ...]) -> np.ndarray:
    """Elliptical radius (y, x) of the pixels of a stamp."""
    numbers = (shape.x, shape.y, shape.axis_ratio, shape.position_angle)
    ellipse = Ellipse(*(torch.tensor([[value]], dtype=torch.float64) for value in numbers))
    if shape.boxiness != 0:
        ellipse = dataclasses.replace(ellipse, boxiness=torch.tensor([[shape.boxiness]], dtype=torch.float64))
    x, y = (torch.arange(count, dtype=torch.float64) for count in (size[1], size[0]))
    return locate(ellipse, *grid_offsets(ellipse, x, y)).radius.reshape(size).numpy()


def surface_brightness(flux: np.ndarray, zero_point: float, pixel_scale: float) -> np.ndarray:
    """Magnitudes a square arcsec of fluxes a pixel; NaN where the flux is not positive."""
    positive = np.where(flux > 0, flux, np.nan)
    return zero_point - 2.5 * np.log10(positive / pixel_scale**2)


def shape_of_light(image: np.ndarray) -> Shape:
    """Ellipse of the second moments of a model image (y, x), which should be positive and fall to zero."""
    light = np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64)), 0, None)
    total = light.sum()
    tall, wide = image.shape
    if not total > 0:
        return Shape((wide - 1) / 2, (tall - 1) / 2)
    rows, columns = np.indices(image.shape)
    x, y = float((light * columns).sum() / total), float((light * rows).sum() / total)
    dx, dy = columns - x, rows - y
    xx, yy, xy = (float((light * product).sum() / total) for product in (dx * dx, dy * dy, dx * dy))
    small, large = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    angle = math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) - 90
    ratio = math.sqrt(max(small, 1e-12) / max(large, 1e-12))
    return Shape(x, y, min(max(ratio, 0.05), 1.0), angle)


def psf_fwhm(psf: np.ndarray, oversampling: int = 1) -> float:
    """Full width at half maximum in pixels: diameter of the circle of the area above half the peak."""
    kernel = torch.as_tensor(np.asarray(psf, dtype=np.float64))[None, None]
    fine = torch.nn.functional.interpolate(kernel, scale_factor=UPSAMPLED, mode="bicubic")
    area = float((fine > 0.5 * fine.max()).sum()) / UPSAMPLED**2
    return 2 * math.sqrt(area / math.pi) / oversampling


def _edges(last: float, growth: float) -> np.ndarray:
    edges = [0.0]
    while edges[-1] <= last:
        edges.append(edges[-1] + max(1.0, growth * edges[-1]))
    return np.array(edges)
