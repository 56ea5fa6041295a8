"""What every model says of a source, under names that do not depend on the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from isolux.field.fitting import Fitted
from isolux.field.models import MODELS
from isolux.profiles.exponential import HALF_LIGHT
from isolux.result import Result


def gather(fitted: Sequence[Fitted]) -> Result:
    """The results of sources with one model as one, a row each."""
    by_batch: dict[int, list[int]] = {}
    for k, one in enumerate(fitted):
        by_batch.setdefault(id(one.batch), []).append(k)
    parts = [fitted[rows[0]].batch.select([fitted[k].row for k in rows]) for rows in by_batch.values()]
    order = np.argsort([k for rows in by_batch.values() for k in rows])
    return Result.concatenate(parts).select(order.tolist())


KEYS = (
    "magnitude",
    "flux",
    "effective_radius",
    "sersic_index",
    "axis_ratio",
    "position_angle",
    "bulge_fraction",
)
Pairs = dict[str, np.ndarray]
"""Values and errors (source, 2) by name."""


def summaries(best: Sequence[Fitted | None], zero_point: float) -> Pairs:
    """Values and errors of what every model has, in pixels; NaN where the model does not have it."""
    found = {key: np.full((len(best), 2), np.nan) for key in KEYS}
    for name in MODELS:
        rows = [k for k, fitted in enumerate(best) if fitted is not None and fitted.model.name == name]
        if rows:
            some = summary(
                name, gather([f for f in best if f is not None and f.model.name == name]), zero_point
            )
            for key, pairs in some.items():
                found[key][rows] = pairs
    return found


def summary(name: str, result: Result, zero_point: float) -> Pairs:
    """The same for sources with one model."""
    model = MODELS[name]
    light = model.light

    def pair(column: str) -> np.ndarray:
        return np.stack([result[column].double().numpy(), result.error(column).double().numpy()], 1)

    magnitude = pair("total.magnitude" if model.composite else f"{light}.magnitude")
    flux = 10 ** (-0.4 * (magnitude[:, 0] - zero_point))
    row = {"magnitude": magnitude, "flux": np.stack([flux, flux * magnitude[:, 1] * math.log(10) / 2.5], 1)}
    if name == "point":
        return row | {"effective_radius": np.array([[0.0, np.nan]] * len(result))}
    row |= {key: pair(f"{light}.{key}") for key in ("axis_ratio", "position_angle")}
    if name == "exponential":
        row["effective_radius"] = HALF_LIGHT * pair("exponential.scale_radius")
        row["sersic_index"] = np.array([[1.0, 0.0]] * len(result))
    elif name == "bulge+disc":
        radius = half_light_of_both(result)
        row["effective_radius"] = np.stack([radius, np.full(len(radius), np.nan)], 1)
        row["bulge_fraction"] = pair("bulge.fraction")
    else:
        row |= {key: pair(f"{light}.{key}") for key in ("effective_radius", "sersic_index")}
        if name == "sersic+point":
            row["bulge_fraction"] = pair("nucleus.fraction")
    return row


def half_light_of_both(result: Result) -> np.ndarray:
    """Radii (source,) in pixels that hold half of the light of a bulge and a disc, each along its own major axis."""
    share = result["bulge.fraction"].double().numpy()
    parts = (
        (
            share,
            result["bulge.effective_radius"].double().numpy(),
            result["bulge.sersic_index"].double().numpy(),
        ),
        (1 - share, HALF_LIGHT * result["disc.scale_radius"].double().numpy(), np.ones(len(result))),
    )

    def inside(radius: np.ndarray) -> np.ndarray:
        return sum(
            part * special.gammainc(2 * n, special.gammaincinv(2 * n, 0.5) * (radius / size) ** (1 / n))
            for part, size, n in parts
        )

    low, high = (np.log(f(parts[0][1], parts[1][1])) for f in (np.minimum, np.maximum))
    for _ in range(40):
        middle = (low + high) / 2
        more = inside(np.exp(middle)) > 0.5
        low, high = np.where(more, low, middle), np.where(more, middle, high)
    return np.exp((low + high) / 2)
