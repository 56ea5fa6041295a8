"""All that is drawn of one galaxy, as plain arrays, wherever it came from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from isolux.errors import InputError
from isolux.report.labels import number
from isolux.report.profile1d import Annuli, Shape, shape_of_light

LARGE = 1e4
"""A reduced chi-square above which only its size matters."""
TOGETHER = 3.0
"""Components whose centres are nearer than this many pixels make one galaxy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Component:
    """One component of a fitted galaxy.

    Attributes
    ----------
    name : str
        Its name in the scene.
    image : numpy.ndarray
        (y, x): its convolved model image.
    is_sky : bool
        Whether it is background: no PSF blurs it.
    shape : Shape or None
        Its ellipse; None for a component without one.
    """

    name: str
    image: np.ndarray
    is_sky: bool = False
    shape: Shape | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class GalaxyView:
    """One galaxy ready to be drawn.

    Attributes
    ----------
    name : str
        The galaxy's id.
    image : numpy.ndarray
        (y, x): flux a pixel.
    mask : numpy.ndarray
        (y, x) of bool: True is bad.
    sigma : numpy.ndarray or None
        (y, x): standard deviation of each pixel, if known.
    components : tuple of Component
        Empty if the galaxy was not fitted.
    zero_point, pixel_scale : float
        AB magnitude of one image unit; arcsec a pixel.
    psf_width : float or None
        Full width at half maximum of the PSF in pixels.
    lines : tuple of str
        Fitted parameters as text, one line a component.
    summary, status : str
        Goodness of fit; how the fit ended.
    model : numpy.ndarray or None
        (y, x): the sum of the components, or None if the galaxy was not fitted.
    shape : Shape
        The ellipse of the annuli.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    sigma: np.ndarray | None
    components: tuple[Component, ...]
    zero_point: float
    pixel_scale: float
    shape: Shape
    model: np.ndarray | None = None
    psf_width: float | None = None
    lines: tuple[str, ...] = ()
    summary: str = ""
    status: str = ""

    @property
    def light(self) -> tuple[Component, ...]:
        """The components that are not sky."""
        return tuple(component for component in self.components if not component.is_sky)

    @property
    def sky(self) -> np.ndarray:
        """Sum of the sky components (y, x); zero without any."""
        images = [component.image for component in self.components if component.is_sky]
        return np.sum(images, axis=0) if images else np.zeros(self.image.shape)

    @property
    def residual(self) -> np.ndarray:
        """Data less model (y, x), NaN where masked."""
        if self.model is None:
            raise InputError(f"galaxy {self.name} has no model")
        return np.where(self.mask, np.nan, self.image - self.model)

    def annuli(self) -> Annuli:
        """The elliptical annuli of its radial profile."""
        return Annuli.around(self.shape, self.mask)


def main_shape(components: tuple[Component, ...], size: tuple[int, int]) -> Shape:
    """Ellipse of the brightest component of the galaxy that lies nearest to the middle of the stamp."""
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    placed = [(c, c.shape) for c in components if c.shape is not None]
    if not placed:
        light = [component.image for component in components if not component.is_sky]
        return shape_of_light(np.sum(light, axis=0)) if light else Shape(middle_x, middle_y)
    _, centre = min(placed, key=lambda pair: math.hypot(pair[1].x - middle_x, pair[1].y - middle_y))
    near = [(c, s) for c, s in placed if math.hypot(s.x - centre.x, s.y - centre.y) <= TOGETHER]
    return max(near, key=lambda pair: float(pair[0].image.sum()))[1]


def shape_from(values: Mapping[str, float], component: str) -> Shape | None:
    """Ellipse of a component from parameter values by full name; None for a component without a centre."""
    own = {
        name.partition(".")[2]: value for name, value in values.items() if name.partition(".")[0] == component
    }
    if "x" not in own or "y" not in own:
        return None
    named = {field.name: own[field.name] for field in dataclasses.fields(Shape) if field.name in own}
    return Shape(**named)


def goodness(reduced_chi2: float, pixels: int) -> str:
    """Goodness of a fit as text."""
    text = f"{reduced_chi2:.3f}" if reduced_chi2 < LARGE else number(reduced_chi2)
    return rf"$\chi^2/\nu$ = {text},  {pixels} pixels"
