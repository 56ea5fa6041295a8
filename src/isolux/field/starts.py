"""Starting values of the sources of a field: from their detection, or from an earlier fit with another model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from isolux.field.cutouts import Cutout
from isolux.field.detect import Detections
from isolux.field.fitting import Fitted
from isolux.field.models import Model
from isolux.profiles.exponential import HALF_LIGHT

LEAST_RADIUS = 0.3
"""Least half-light radius to begin with, in that of the PSF."""
USUAL_INDEX = 1.5
KRON = 1.06
"""Light of a galaxy over that in its Kron aperture."""
INDEX_ROOM, RATIO_ROOM = (0.4, 7.0), (0.1, 0.97)


def from_detection(detections: Detections, k: int, blur: float, zero_point: float) -> dict[str, float]:
    """Position, magnitude, size and shape of a source as it was detected, the PSF taken off in quadrature.

    ``blur`` is the half-light radius of the PSF in pixels.
    """
    seen = float(detections.half_light_radius[k])
    seen = seen if math.isfinite(seen) and seen > 0 else blur
    round_radius = math.sqrt(max(seen**2 - blur**2, (LEAST_RADIUS * blur) ** 2))
    blur = (blur / 1.1774) ** 2
    major = max(float(detections.a[k]) ** 2 - blur, 0.1)
    minor = max(float(detections.b[k]) ** 2 - blur, 0.05)
    ratio = min(max(math.sqrt(minor / major), 0.25), 0.95)
    flux = KRON * max(float(detections.flux[k]), 3 * float(detections.flux_error[k]), 1e-300)
    return {
        "x": float(detections.x[k]),
        "y": float(detections.y[k]),
        "magnitude": zero_point - 2.5 * math.log10(flux),
        "effective_radius": round_radius / math.sqrt(ratio),
        "sersic_index": USUAL_INDEX,
        "axis_ratio": ratio,
        "position_angle": float(np.nan_to_num(detections.theta[k])),
    }


def plain_values(fitted: Fitted, fallback: Mapping[str, float]) -> dict[str, float]:
    """The same from a fit with one component; the detection's where there is none."""
    if not fitted.status.fitted or fitted.model.composite:
        return dict(fallback)
    known = dict(fallback)
    for name, value in fitted.values.items():
        component, short = name.split(".", 1)
        if component == fitted.model.light and math.isfinite(value):
            known[short] = value
    if "scale_radius" in known:
        known["effective_radius"], known["sersic_index"] = HALF_LIGHT * known.pop("scale_radius"), 1.0
    known["x"] += fitted.cutout.left
    known["y"] += fitted.cutout.bottom
    return known


def for_model(model: Model, known: Mapping[str, float], cutout: Cutout, prefix: str = "") -> dict[str, float]:
    """Starting values of a model's components in a stamp, by full name; others are estimated from the image."""
    x, y = known["x"] - cutout.left, known["y"] - cutout.bottom
    name = f"{prefix}{model.centre}"
    start = {f"{name}.x": x, f"{name}.y": y}
    if model.composite:
        return start
    start[f"{name}.magnitude"] = known["magnitude"]
    if model.name == "point":
        return start
    largest = 0.4 * cutout.side
    radius = min(known["effective_radius"], largest)
    ratio = min(max(known["axis_ratio"], RATIO_ROOM[0]), RATIO_ROOM[1])
    start |= {f"{name}.axis_ratio": ratio, f"{name}.position_angle": known["position_angle"]}
    if model.name == "exponential":
        return start | {f"{name}.scale_radius": radius / HALF_LIGHT}
    index = min(max(known["sersic_index"], INDEX_ROOM[0]), INDEX_ROOM[1])
    return start | {f"{name}.effective_radius": radius, f"{name}.sersic_index": index}


def again(fitted: Fitted, cutout: Cutout, prefix: str = "") -> dict[str, float]:
    """Starting values from a fit of the same model on another stamp."""
    start = {}
    for column, kind in zip(fitted.batch.columns, fitted.batch.kinds, strict=True):
        component, short = column.name.split(".", 1)
        if component == "sky" or kind != "free":
            continue
        value = fitted.values[column.name]
        moved = {"x": fitted.cutout.left - cutout.left, "y": fitted.cutout.bottom - cutout.bottom}.get(
            short, 0
        )
        start[f"{prefix}{component}.{short}"] = value + moved
    return start
