"""Which model describes a source: Schwarz's criterion among those that are meant.

    BIC = chi2 + k ln N     (Schwarz 1978, Ann. Stat. 6, 461)

All models of a source are fitted to the same pixels with the same noise, so that differences of the criterion count.
A model is not meant where it has no fit, or where it has come apart: a component that holds next to none of the light,
or whose size has run into a bound, is another, simpler model that has been paid for twice.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from isolux.field.fitting import Fitted
from isolux.profiles.exponential import HALF_LIGHT
from isolux.status import Flag

LARGEST = 0.49
"""Half-light radius, in sides of the stamp, at which a galaxy is but a slope of the sky."""
LEAST_PART = 0.01
"""Least part of a source's light that a component must hold."""
UNRESOLVED = 0.2
"""Half-light radius over the PSF's half width below which a galaxy cannot be told from a star."""


def bic(fitted: Fitted) -> float:
    """Schwarz's criterion of a fit; infinite where there is none."""
    if not fitted.status.fitted:
        return math.inf
    batch, row = fitted.batch, fitted.row
    pixels, free = float(batch.n_pixels[row]), float(batch.n_free[row])
    value = float(batch.chi2[row]) + free * math.log(max(pixels, 1.0))
    return value if math.isfinite(value) else math.inf


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a model of a source may not exceed to be believed.

    Attributes
    ----------
    half_width : float
        Of the PSF at half maximum, in pixels.
    light : float
        The most flux.
    size : float
        The largest half-light radius in pixels.
    """

    half_width: float
    light: float = math.inf
    size: float = math.inf


def is_meant(fitted: Fitted, limits: Limits) -> bool:
    """Whether a model has stayed what it is, and is of the source that was detected."""
    model, half_width = fitted.model, limits.half_width
    if not fitted.status.fitted:
        return False
    if not abs(sum(fitted.values[f"{name}.flux"] for name in model.components)) < limits.light:
        return False
    if not half_light(fitted, model.light) < max(limits.size, 2 * half_width):
        return False
    if model.composite:
        if Flag.AT_BOUND in fitted.flags or Flag.NO_COVARIANCE in fitted.flags:
            return False
        if min(fitted.values[f"{name}.fraction"] for name in model.components) < LEAST_PART:
            return False
        if model.name == "bulge+disc":
            return half_light(fitted, "bulge") < half_light(fitted, "disc")
        return True
    if model.name == "point":
        return True
    size = half_light(fitted, model.light)
    return UNRESOLVED * half_width < size < LARGEST * fitted.cutout.side


def half_light(fitted: Fitted, name: str) -> float:
    """Half-light radius of a component in pixels, along its major axis; zero for a point."""
    if f"{name}.effective_radius" in fitted.values:
        return fitted.values[f"{name}.effective_radius"]
    if f"{name}.scale_radius" in fitted.values:
        return HALF_LIGHT * fitted.values[f"{name}.scale_radius"]
    return 0.0


def choose(candidates: Mapping[str, Fitted], limits: Limits) -> str | None:
    """The name of the model with the least criterion among those that are meant.

    Where none is, a point if it has been tried: it can swallow least of what is not the source's. None where no model
    has a fit.
    """
    evidence = {name: bic(f) for name, f in candidates.items() if math.isfinite(bic(f))}
    meant = {name: value for name, value in evidence.items() if is_meant(candidates[name], limits)}
    if not meant and "point" in evidence:
        return "point"
    among = meant or evidence
    return min(among, key=lambda name: among[name]) if among else None
