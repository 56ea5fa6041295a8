"""How fluxes become colours: an asinh stretch common to the data and the models of a galaxy."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from matplotlib.colors import AsinhNorm

from isolux.report.view import GalaxyView

MEDIAN_TO_SIGMA = 1.4826


@dataclasses.dataclass(frozen=True)
class Stretch:
    """How fluxes become colours: an asinh common to data and models, linear below the noise.

    Attributes
    ----------
    background : numpy.ndarray
        (y, x): the sky's model, or the median of data without one; subtracted before drawing.
    exponent : int
        Power of ten by which fluxes are divided, so that labels stay short.
    noise, low, high : float
        Typical noise and the ends of the map, after both.
    """

    background: np.ndarray
    exponent: int
    noise: float
    low: float
    high: float

    @classmethod
    def of(cls, view: GalaxyView) -> Stretch:
        """The stretch for a galaxy's data and model."""
        background = view.sky
        if view.model is None and not view.mask.all():
            background = np.full(view.image.shape, np.median(view.image[~view.mask]))
        good = (view.image - background)[~view.mask]
        good = good if good.size else np.zeros(1)
        top = float(np.percentile(good, 99.8))
        if view.model is not None:
            top = max(top, float((view.model - background).max()))
        noise = _noise(view, good)
        low = min(-2 * noise, float(np.percentile(good, 1)) if top <= 0 else math.inf)
        high = max(top, low + 4 * noise)
        power = math.floor(math.log10(max(abs(low), abs(high))))
        exponent = 0 if -2 <= power <= 3 else power
        unit = 10.0**exponent
        return cls(background, exponent, noise / unit, low / unit, high / unit)

    def norm(self) -> AsinhNorm:
        """The norm of the image panels."""
        return AsinhNorm(linear_width=2 * self.noise, vmin=self.low, vmax=self.high)

    def scaled(self, image: np.ndarray, above: bool = True) -> np.ndarray:
        """An image in drawing units, less the background if it is to be ``above`` it."""
        return (image - self.background if above else image) / 10.0**self.exponent

    def label(self, above: bool = True) -> str:
        """Label of a colour bar of what lies ``above`` the background, or of a difference."""
        quantity = "flux above sky" if above and bool(np.any(self.background)) else "flux"
        unit = "" if self.exponent == 0 else rf"$10^{{{self.exponent}}}$ "
        return f"{quantity} [{unit}pixel$^{{-1}}$]"


def _noise(view: GalaxyView, good: np.ndarray) -> float:
    """Typical noise of a pixel; never zero."""
    if view.sigma is not None and not view.mask.all():
        noise = float(np.median(view.sigma[~view.mask]))
    else:
        flat = good if view.model is None else view.residual[~view.mask]
        noise = robust_scatter(flat) if flat.size else 0.0
    spread = float(np.ptp(good))
    return noise if math.isfinite(noise) and noise > 0 else 1e-3 * spread or 1.0


def robust_scatter(values: np.ndarray) -> float:
    """Standard deviation from the median absolute deviation."""
    return MEDIAN_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))


def asinh_ticks(stretch: Stretch) -> list[float]:
    """Zero and round numbers that stand well apart on the stretched bar."""
    norm = stretch.norm()
    powers = range(
        math.floor(math.log10(stretch.noise)), math.floor(math.log10(max(stretch.high, stretch.noise))) + 1
    )
    choices = [0.0, *(factor * 10.0**power for power in reversed(powers) for factor in (1, 5, 2))]
    ticks: list[float] = []
    for tick in choices:
        place = float(norm(tick))
        if 0 <= place <= 1 and all(abs(place - float(norm(other))) > 0.2 for other in ticks):
            ticks.append(tick)
    return sorted(ticks)


def reach(values: np.ndarray, percentile: float, least: float) -> float:
    """Symmetric limit that holds a percentile of the values."""
    finite = np.abs(values[np.isfinite(values)])
    limit = max(float(np.percentile(finite, percentile)) if finite.size else 0.0, least)
    return limit if limit > 0 else 1.0
