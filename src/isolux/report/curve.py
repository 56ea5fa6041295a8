"""The radial profile of a galaxy's figure: surface brightness against semi-major axis, and what the model misses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from isolux.report.labels import plain_name
from isolux.report.profile1d import surface_brightness
from isolux.report.style import BLACK, BLUE, COMPONENT_COLOURS, DASHES, GREY, ORANGE
from isolux.report.view import GalaxyView

LEAST_RADIUS = 0.38
"""Mean distance of the points of a pixel from its centre: where the central pixel is drawn."""
LARGEST_MISS = 1.5
"""Largest difference in magnitudes that the lower panel reaches to."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A galaxy's light along elliptical annuli, each array (annulus,), fluxes a pixel above the sky.

    Attributes
    ----------
    radius : numpy.ndarray
        Semi-major axis in arcsec.
    data, error, model : numpy.ndarray
        Mean flux of the data, its error, and mean flux of the model over the same pixels.
    components : dict of str to numpy.ndarray
        Mean flux of each component that is not sky.
    zero_point, pixel_scale : float
        AB magnitude of one image unit; arcsec a pixel.
    """

    radius: np.ndarray
    data: np.ndarray
    error: np.ndarray
    model: np.ndarray
    components: dict[str, np.ndarray]
    zero_point: float
    pixel_scale: float

    @classmethod
    def of(cls, view: GalaxyView) -> Curve:
        """The curve of a fitted galaxy; errors from sigma, or from the residuals where sigma is not known."""
        annuli = view.annuli()
        residual = np.zeros(view.image.shape) if view.model is None else np.nan_to_num(view.residual)
        error = annuli.scatter_error(residual) if view.sigma is None else annuli.error(view.sigma)
        sky = annuli.mean(view.sky)
        model = view.image if view.model is None else view.model
        return cls(
            radius=np.maximum(annuli.radius, LEAST_RADIUS) * view.pixel_scale,
            data=annuli.mean(view.image) - sky,
            error=error,
            model=annuli.mean(model) - sky,
            components={component.name: annuli.mean(component.image) for component in view.light},
            zero_point=view.zero_point,
            pixel_scale=view.pixel_scale,
        )

    def magnitudes(self, flux: np.ndarray) -> np.ndarray:
        """Surface brightness of fluxes a pixel; NaN where they are not positive."""
        return surface_brightness(flux, self.zero_point, self.pixel_scale)

    @property
    def seen(self) -> np.ndarray:
        """Annuli whose light exceeds its error."""
        return self.data > self.error

    def bars(self) -> np.ndarray:
        """Lengths (2, annulus) of the error bars towards brighter and fainter, of the annuli that are seen."""
        flux, error = self.data[self.seen], self.error[self.seen]
        middle = self.magnitudes(flux)
        return np.stack([middle - self.magnitudes(flux + error), self.magnitudes(flux - error) - middle])


def draw_curve(upper: Axes, lower: Axes, view: GalaxyView) -> None:
    """Draw the radial profile and, below it, data less model in magnitudes.

    Annuli whose light does not exceed its error are drawn as upper limits at twice the error above the data.
    """
    curve = Curve.of(view)
    _draw_profile(upper, curve, bool(np.any(view.sky)))
    _draw_difference(lower, curve)
    for axes in (upper, lower):
        _radius_axis(axes, curve)
        _mark_psf(axes, view)
    _legend(upper)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("semi-major axis [arcsec]")


def _legend(axes: Axes) -> None:
    """Say what the marks are, the data first."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda k: not labels[k].startswith("data"))
    options: dict[str, Any] = {"frameon": True, "framealpha": 0.85, "edgecolor": "none", "fancybox": False}
    if order:
        names = [labels[k] for k in order]
        axes.legend([handles[k] for k in order], names, loc="lower left", labelspacing=0.3, **options)


def _draw_profile(axes: Axes, curve: Curve, has_sky: bool) -> None:
    seen, limits = curve.seen, _limits(curve)
    middle = curve.magnitudes(curve.data[seen])
    style: dict[str, Any] = {
        "color": ORANGE,
        "mec": BLACK,
        "mew": 0.4,
        "ecolor": ORANGE,
        "elinewidth": 0.9,
        "ms": 3.6,
        "zorder": 2,
    }
    if seen.any():
        label = "data less sky" if has_sky else "data"
        axes.errorbar(curve.radius[seen], middle, curve.bars(), fmt="o", label=label, **style)
    if np.isfinite(limits).any():
        axes.plot(
            curve.radius, limits, "v", mfc="none", mec=ORANGE, ms=3.6, mew=0.7, label="2σ limit", zorder=1
        )
    total = curve.magnitudes(curve.model)
    if np.isfinite(total).any():
        axes.plot(curve.radius, total, color=BLACK, label="model", zorder=3)
    if len(curve.components) > 1:
        for number, (name, flux) in enumerate(curve.components.items()):
            line = {
                "color": COMPONENT_COLOURS[number % len(COMPONENT_COLOURS)],
                "ls": DASHES[number % len(DASHES)],
            }
            axes.plot(curve.radius, curve.magnitudes(flux), label=plain_name(name), zorder=3, **line)
    axes.set_ylim(*_brightness_range(middle, limits, total))
    axes.set_ylabel(r"surface brightness [mag arcsec$^{-2}$]")
    axes.yaxis.set_major_locator(MaxNLocator(7, integer=True))


def _draw_difference(axes: Axes, curve: Curve) -> None:
    seen = curve.seen & (curve.model > 0)
    radius = curve.radius[seen]
    miss = curve.magnitudes(curve.data[seen]) - curve.magnitudes(curve.model[seen])
    bars = curve.bars()[:, curve.model[curve.seen] > 0]
    steady = np.abs(miss)[curve.data[seen] > 5 * curve.error[seen]]
    reach = min(max(1.4 * float(steady.max(initial=0.0)), 0.12), LARGEST_MISS)
    inside = np.abs(miss) <= reach
    style: dict[str, Any] = {"color": BLUE, "ecolor": BLUE, "elinewidth": 0.9, "ms": 3.2}
    if inside.any():
        axes.errorbar(radius[inside], miss[inside], bars[:, inside], fmt="o", **style)
    for sign, marker in ((-1, "^"), (1, "v")):
        beyond = ~inside & (np.sign(miss) == sign)
        axes.plot(radius[beyond], np.full(beyond.sum(), 0.93 * sign * reach), marker, color=BLUE, ms=3.2)
    axes.axhline(0, color=BLACK, lw=0.8, zorder=0)
    axes.set_ylim(reach, -reach)
    axes.yaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    axes.set_ylabel("data − model\n[mag]")


def _limits(curve: Curve) -> np.ndarray:
    """Upper limits, NaN for the annuli that are seen."""
    flux = np.maximum(curve.data, 0) + 2 * curve.error
    return np.where(curve.seen, np.nan, curve.magnitudes(flux))


def _brightness_range(middle: np.ndarray, limits: np.ndarray, total: np.ndarray) -> tuple[float, float]:
    """Ends of the axis, the faint one first, so that bright is up."""
    points = np.concatenate([middle, limits[np.isfinite(limits)]])
    lines = total[np.isfinite(total)]
    shown = points if points.size else lines
    if not shown.size:
        return 1.0, 0.0
    bright = min(float(shown.min()), float(lines.min()) if lines.size else np.inf)
    return float(shown.max()) + 0.5, bright - 0.4


def _mark_psf(axes: Axes, view: GalaxyView) -> None:
    """Draw a line at half the PSF's width, where it lies on the axis."""
    half = 0.5 * (view.psf_width or 0.0) * view.pixel_scale
    if axes.get_xlim()[0] < half < axes.get_xlim()[1]:
        axes.axvline(half, color=GREY, lw=0.8, zorder=0, label="half width of the PSF")


def _radius_axis(axes: Axes, curve: Curve) -> None:
    axes.set_xscale("log")
    axes.set_xlim(
        0.8 * max(float(curve.radius.min()), 0.3 * curve.pixel_scale), 1.15 * float(curve.radius.max())
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
