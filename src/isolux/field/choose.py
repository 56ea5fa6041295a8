"""Which model describes a source: Schwarz's criterion among those that are meant.

    BIC = chi2 + k ln N     (Schwarz 1978, Ann. Stat. 6, 461)

All models of a source are fitted to the same pixels with the same noise, so that differences of the criterion count.
A model is not meant where it has no fit, or where it has come apart: a component that holds next to none of the light,
or whose size has run into a bound, is another, simpler model that has been paid for twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isolux.field.fitting import Fitted
from isolux.status import Flag

LEAST_PART = 0.01
"""Least part of a source's light that a component must hold."""
UNRESOLVED = 0.2
"""Half-light radius over the PSF's half width below which a galaxy cannot be told from a star."""


def bic(fitted: Fitted) -> float:
    """Schwarz's criterion of a fit; infinite where there is none."""
    result = fitted.result
    value = float(result.bic[0]) if result.status[0].fitted else np.inf
    return value if np.isfinite(value) else np.inf


def is_meant(fitted: Fitted, half_width: float) -> bool:
    """Whether a model has stayed what it is.

    Parameters
    ----------
    fitted : Fitted
        A fit.
    half_width : float
        Of the PSF at half maximum, in pixels.
    """
    result, model = fitted.result, fitted.model
    if not result.status[0].fitted:
        return False
    if model.composite:
        if Flag.AT_BOUND in result.flags[0] or Flag.NO_COVARIANCE in result.flags[0]:
            return False
        parts = [float(result[f"{name}.fraction"][0]) for name in model.components]
        if min(parts) < LEAST_PART:
            return False
        if model.name == "bulge+disc":
            bulge, disc = (half_light(result, name) for name in ("bulge", "disc"))
            return bulge < disc
        return True
    return model.name == "point" or half_light(result, model.light) > UNRESOLVED * half_width


def half_light(result, name: str) -> float:  # type: ignore[no-untyped-def]
    """Half-light radius of a component in pixels, along its major axis; zero for a point."""
    columns = {column.name for column in result.columns}
    if f"{name}.effective_radius" in columns:
        return float(result[f"{name}.effective_radius"][0])
    if f"{name}.scale_radius" in columns:
        return 1.6783469900166605 * float(result[f"{name}.scale_radius"][0])
    return 0.0


def choose(candidates: Mapping[str, Fitted], half_width: float) -> str | None:
    """The name of the model with the least criterion among those that are meant; None where no model has a fit."""
    meant = {name: bic(f) for name, f in candidates.items() if is_meant(f, half_width)}
    anyhow = {name: bic(f) for name, f in candidates.items() if np.isfinite(bic(f))}
    among = meant or anyhow
    return min(among, key=lambda name: among[name]) if among else None
