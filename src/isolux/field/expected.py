"""What is expected of each source before a fit, and what a fit must not exceed to be believed.

At first all of it is from the detection; sources in the wings of others, and the sizes of faint galaxies, are thought
of anew once there is a first model of the field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isolux.field import starts
from isolux.field.choose import Limits, is_meant
from isolux.field.cutouts import Cutout
from isolux.field.detect import Detections
from isolux.field.fitting import Fitted
from isolux.field.image import FieldImage
from isolux.field.models import Model, prefix_of
from isolux.field.population import SIZE_DEX, Sizes, learn_sizes, population_columns
from isolux.status import Flag

KRON_REACH = 2.5
"""Kron apertures in units of the Kron radius."""
MARGIN = 10.0
"""Sky around a source in its stamp, in pixels."""
ROOM = 1.25
"""Kron apertures from a source's centre to the edge of its stamp, the margin apart."""
FAINT = 0.05
"""A stamp reaches out to where a fitted galaxy is so bright, in standard deviations of the sky's noise a pixel."""
MOST_GROWN = 4.0
"""How many times larger than at first a stamp may become."""
TELLING = 20.0
"""Signal-to-noise from which a galaxy tells how large those of its field are."""
FAR_OFF = 4.0
"""A model is not believed if it holds so many times the light that was detected, or is so many times as large."""
IN_WINGS = 1.5
"""Largest size of a source in the wings of another, in half-light radii of the PSF: what was seen is not its own."""


class Expected:
    """What is expected of the sources of a field.

    Parameters
    ----------
    field : FieldImage
        The image.
    found : Detections
        Its sources.
    half_width, blur : float
        Of the PSF: half width at half maximum and half-light radius, in pixels.

    Attributes
    ----------
    reach : numpy.ndarray
        (source,): semi-major axis of the Kron aperture in pixels, that of a star at least.
    ratio : numpy.ndarray
        (source,): axis ratio as detected.
    flux, size : numpy.ndarray
        (source,): light and half-light radius, the PSF still in it, as detected.
    known : list of dict
        Starting values of a plain galaxy, positions in pixels of the field.
    sizes : Sizes or None
        How sizes go with magnitudes in this field, once it has been learned.
    """

    def __init__(self, field: FieldImage, found: Detections, half_width: float, blur: float) -> None:
        self.field, self.found, self.half_width, self.blur = field, found, half_width, blur
        self.reach = np.maximum(KRON_REACH * np.nan_to_num(found.kron_radius), 2 * half_width)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.ratio = np.clip(np.nan_to_num(found.b / found.a, nan=1.0), 0.1, 1.0)
        self.flux = np.nan_to_num(np.array(found.flux, float))
        self.size = np.nan_to_num(np.array(found.half_light_radius, float))
        self.known = [starts.from_detection(found, k, blur, field.zero_point) for k in range(len(found))]
        self.sizes: Sizes | None = None

    @property
    def need(self) -> np.ndarray:
        """Pixels (source,) from the centre to the edges of the first stamps."""
        return ROOM * self.reach + MARGIN

    def begin(self, cutout: Cutout, models: Sequence[Model]) -> dict[str, float]:
        """Starting values of a group in a stamp, before its members are fitted."""
        values = self.columns(cutout, models)
        for k, (number, model) in enumerate(zip(cutout.members, models, strict=True)):
            values |= starts.for_model(model, self.known[number], cutout, prefix_of(models, k))
        return values

    def in_wings(self, k: int, foreign: float) -> None:
        """Note that so much of a source's detected light is that of others."""
        self.flux[k] = max(self.flux[k] - foreign, 3 * float(self.found.flux_error[k]))
        self.size[k] = min(self.size[k], IN_WINGS * self.blur)
        self.known[k] = starts.from_detection(self.found, k, self.blur, self.field.zero_point) | {
            "magnitude": self.magnitude(k),
            "effective_radius": self.blur,
            "axis_ratio": 0.8,
        }

    def magnitude(self, k: int) -> float:
        """The magnitude of a source's expected light."""
        return self.field.zero_point - 2.5 * math.log10(max(float(self.flux[k]), 1e-300))

    def limits(self, k: int) -> Limits:
        """How much light and what size a model of a source may have."""
        light = max(float(self.flux[k]), 3 * max(float(self.found.flux_error[k]), 0.0))
        size = float(self.size[k])
        return Limits(self.half_width, FAR_OFF * light, FAR_OFF * max(size, self.blur))

    def need_of(self, k: int, fitted: Fitted) -> float:
        """Pixels from the centre to the edges of a source's stamp, now that it has a model."""
        least = float(self.need[k])
        if not fitted.status.fitted or fitted.model.name != "sersic":
            return least
        names = ("flux", "effective_radius", "sersic_index", "axis_ratio")
        flux, radius, index, ratio = (fitted.values[f"sersic.{name}"] for name in names)
        b = 2 * index - 1 / 3  # Graham & Driver 2005, section 2.1
        whole = 2 * math.pi * index * math.exp(b) * b ** (-2 * index) * math.gamma(2 * index)
        at_radius = flux / (whole * radius**2 * ratio)
        faint = FAINT * self.sky_noise(k)
        if not (at_radius > 0 and math.isfinite(at_radius)):
            return least
        out = radius * (1 + max(0.0, math.log(at_radius / faint)) / b) ** index
        return float(min(max(least, out), MOST_GROWN * least))

    def columns(self, cutout: Cutout, models: Sequence[Model]) -> dict[str, float]:
        """Numbers of the priors."""
        sizes = [self.expected_size(number) for number in cutout.members]
        noise = self.sky_noise(cutout.members[0])
        signal = max(float(np.nan_to_num(self.found.snr[k])) for k in cutout.members)
        dex = SIZE_DEX if self.sizes is None else self.sizes.dex
        return dict(population_columns(models, sizes, noise, signal, 0.4 * cutout.side, dex))

    def expected_size(self, k: int) -> float:
        """Half-light radius in pixels that a source is expected to have."""
        if self.sizes is None:
            return self.known[k]["effective_radius"]
        return self.sizes.radius(self.magnitude(k))

    def learn(self, baseline: Sequence[Fitted]) -> None:
        """How sizes go with magnitudes among the galaxies of this field that are bright enough to tell."""
        bright = [
            k
            for k, fitted in enumerate(baseline)
            if fitted.model.name == "sersic"
            and self.found.snr[k] > TELLING
            and is_meant(fitted, self.limits(k))
            and Flag.AT_BOUND not in fitted.flags
        ]
        magnitude = np.array([baseline[k].values["sersic.magnitude"] for k in bright])
        radius = np.array([baseline[k].values["sersic.effective_radius"] for k in bright])
        self.sizes = learn_sizes(magnitude, radius)

    def sky_noise(self, k: int) -> float:
        """Noise of a pixel of sky where a source is."""
        row = int(np.clip(round(float(self.found.y[k])), 0, self.field.shape[0] - 1))
        column = int(np.clip(round(float(self.found.x[k])), 0, self.field.shape[1] - 1))
        sky = self.found.background.rms if self.field.sigma is None else self.field.sigma
        noise = float(sky[row, column])
        return noise if noise > 0 else 1.0
