"""The catalogue of a field: one row a source, whatever happened to it.

First where the source is and what it is taken for; then the numbers of the model that describes it best, under names
that do not depend on the model; then how it was detected; then every component of every model that was fitted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from isolux.field.choose import bic, half_light
from isolux.field.fitting import Fitted
from isolux.field.groups import sizes
from isolux.field.models import MODELS
from isolux.field.summary import gather, summaries
from isolux.field.survey import Measured
from isolux.sky import on_sky
from isolux.status import Flag, Status

UNITS = {
    "pixel": "pix",
    "arcsec": "arcsec",
    "mag": "mag",
    "deg": "deg",
    "mag/arcsec2": "mag / arcsec2",
}
MOVED = 2.0
"""Half widths of the PSF, or half-light radii where that is more, that a centre may move."""
MUCH_MASKED = 0.2
SKIPPED = ("seconds", "zero_point", "pixel_scale", "message", "flags", "flags_text", "id", "ra", "dec")
SHARED = (
    "chi2",
    "n_pixels",
    "n_free",
    "dof",
    "reduced_chi2",
    "log_likelihood",
    "aic",
    "bic",
    "steps",
    "status",
    "prior",
    "bulge_fraction",
    "bulge_fraction_err",
)
"""Columns of a fit that every model has, or that the best model has too: the model's name is added to theirs."""
LEFT_OUT = ("log_likelihood", "aic", "dof", "n_pixels", "steps")
TAKEN = ("x", "y", "position_angle", "ellipticity", "signal_to_noise", "half_light_radius", "outer_radius")
"""Columns of shapes whose names need to say so."""
Column = tuple[str, np.ndarray, str, str]
"""Name, values (source,), unit, meaning."""


def catalogue(measured: Measured) -> Any:
    """The catalogue of a field.

    Parameters
    ----------
    measured : Measured
        As :func:`isolux.field.survey.measure_sources` gives it.

    Returns
    -------
    astropy.table.QTable
        With units and descriptions.
    """
    from astropy.table import QTable

    table = QTable()
    add(table, columns(measured))
    return table


def add(table: Any, columns: Iterator[Column]) -> None:
    """Put columns into a table, with units and descriptions."""
    from astropy.table import Column as TableColumn
    from astropy.units import Quantity

    for name, values, unit, meaning in columns:
        table[name] = Quantity(values, UNITS[unit]) if unit in UNITS else TableColumn(values)
        table[name].info.description = meaning + (", in image units" if unit == "flux" else "")


def columns(measured: Measured) -> Iterator[Column]:
    """Its columns in order."""
    best = [
        f[name] if name is not None else None for f, name in zip(measured.fits, measured.chosen, strict=True)
    ]
    found = measured.detections
    numbers = np.asarray(found.number)
    yield (
        "id",
        np.array([str(n) for n in numbers], dtype=str),
        "",
        "name of the source: its number in the segmentation map",
    )
    place = _places(measured, best)
    yield from _on_sky(measured, place)
    yield "x", place["x"], "pixel", "column of the centre, from 0"
    yield "x_err", place["x_err"], "pixel", "one standard deviation of it"
    yield "y", place["y"], "pixel", "row of the centre, from 0"
    yield "y_err", place["y_err"], "pixel", "one standard deviation of it"
    chosen = [name or "" for name in measured.chosen]
    yield "model", np.array(chosen, dtype=str), "", "the model with the least BIC"
    yield from _best(measured, best, place)
    yield "star", measured.star, "", "likeness to a star, 0 to 1, from size and magnitude before any fit"
    yield from _flags(measured, best)
    number, size = sizes(measured.groups, len(measured))
    yield "group", number, "", "number of the group of sources that were fitted at the same time"
    yield "group_size", size, "", "sources in it"
    yield from _detected(measured)
    yield from _shapes(measured)
    for name in measured.options.models:
        yield from _model_columns(measured, name)


def _every(measured: Measured, of: Sequence[Any], fill: float = math.nan) -> np.ndarray:
    return np.array([fill if value is None else value for value in of], dtype=np.float64)


def _places(measured: Measured, best: Sequence[Fitted | None]) -> dict[str, np.ndarray]:
    """Position in the field and its errors; where the source was detected if there is no fit."""
    found = measured.detections
    place = {"x": np.array(found.x, float), "y": np.array(found.y, float)}
    place |= {"x_err": np.full(len(best), np.nan), "y_err": np.full(len(best), np.nan)}
    for name, model in MODELS.items():
        rows = [k for k, f in enumerate(best) if f is not None and f.model.name == name]
        if not rows:
            continue
        fitted = [f for f in best if f is not None and f.model.name == name]
        result = gather(fitted)
        for axis, corner in (("x", "left"), ("y", "bottom")):
            values = result[f"{model.centre}.{axis}"].double().numpy()
            moved = values + np.array([getattr(f.cutout, corner) for f in fitted])
            good = np.isfinite(moved)
            place[axis][np.array(rows)[good]] = moved[good]
            place[f"{axis}_err"][rows] = result.error(f"{model.centre}.{axis}").double().numpy()
    return place


def _on_sky(measured: Measured, place: dict[str, np.ndarray]) -> Iterator[Column]:
    wcs = celestial(measured.field.wcs)
    if wcs is None or len(measured) == 0:
        return
    ra, dec, _ = on_sky(wcs, place["x"], place["y"], np.zeros(len(measured)))
    yield "ra", ra, "deg", "right ascension, ICRS"
    yield "dec", dec, "deg", "declination, ICRS"


def celestial(wcs: Any) -> Any:
    """The celestial axes of a WCS; None where there are none."""
    return wcs.celestial if wcs is not None and wcs.has_celestial else None


def sky_angles(wcs: Any, x: np.ndarray, y: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Position angles (source,) on the sky, east of north, in (-90, 90], of directions in the image from +y."""
    return on_sky(wcs, x, y, angle)[2]


def _best(
    measured: Measured, best: Sequence[Fitted | None], place: dict[str, np.ndarray]
) -> Iterator[Column]:
    """Magnitude, size and shape by the chosen model."""
    field = measured.field
    scale = field.pixel_scale
    data = summaries(best, field.zero_point)
    described = {
        "magnitude": ("mag", 1.0, "total AB magnitude of the best model"),
        "flux": ("flux", 1.0, "total flux of the best model"),
        "effective_radius": (
            "arcsec",
            scale,
            "semi-major half-light radius of the best model, before the PSF; 0 for a point",
        ),
        "sersic_index": (
            "",
            1.0,
            "Sérsic index of the best model; 1 for an exponential, none for points and bulge+disc",
        ),
        "axis_ratio": ("", 1.0, "minor over major axis of the best model (of its disc or host)"),
        "position_angle": ("deg", 1.0, "major axis, counter-clockwise from +y (of its disc or host)"),
    }
    for key, (unit, times, meaning) in described.items():
        yield key, times * data[key][:, 0], unit, meaning
        yield f"{key}_err", times * data[key][:, 1], unit, f"one standard deviation: {meaning}"
    angle = data["position_angle"][:, 0]
    wcs, turned = celestial(field.wcs), angle
    if wcs is not None and len(measured):
        turned = sky_angles(wcs, place["x"], place["y"], angle)
        yield "pa_sky", turned, "deg", "major axis on the sky, east of north"
    yield from ellipticity(data["axis_ratio"], turned, data["position_angle"][:, 1])
    part = data["bulge_fraction"]
    yield (
        "bulge_fraction",
        part[:, 0],
        "",
        "light of the bulge, or of the point in its middle, over all; of models that have one",
    )
    yield "bulge_fraction_err", part[:, 1], "", "one standard deviation of it"
    with np.errstate(invalid="ignore", divide="ignore"):
        yield "snr", data["flux"][:, 0] / data["flux"][:, 1], "", "flux of the best model over its error"


def ellipticity(ratio: np.ndarray, angle: np.ndarray, angle_error: np.ndarray) -> Iterator[Column]:
    """e1 and e2 (source,) with errors: e = (1 - q) / (1 + q), e1 = e cos 2 pa, e2 = e sin 2 pa.

    On the sky they are those of the Legacy Surveys' ``shape_e1`` and ``shape_e2``; without a WCS those of the image.
    """
    q, q_err = ratio.T
    e, e_err = (1 - q) / (1 + q), 2 * q_err / (1 + q) ** 2
    double, turn = 2 * np.radians(angle), 2 * np.radians(angle_error)
    for name, wave, other in (("e1", np.cos(double), np.sin(double)), ("e2", np.sin(double), np.cos(double))):
        yield name, e * wave, "", f"ellipticity (1 - q) / (1 + q), component {name[1]}, towards north or +y"
        yield f"{name}_err", np.hypot(e_err * wave, e * turn * other), "", "one standard deviation of it"


def flags_of(measured: Measured, k: int, fitted: Fitted | None) -> Flag:
    """All remarks on a source: of its detection and of its fit."""
    found = measured.detections
    flags = Flag(0) if fitted is None else fitted.flags
    for flag, marked in (
        (Flag.EDGE, found.edge[k]),
        (Flag.SATURATED, found.saturated[k]),
        (Flag.BLENDED, found.blended[k]),
        (Flag.OUTSIDE, found.outside[k]),
    ):
        flags |= flag if marked else Flag(0)
    if fitted is None:
        return flags
    # The centre is where the model is: stamps are padded with masked pixels beyond the image.
    if fitted.masked > MUCH_MASKED:
        flags |= Flag.MUCH_MASKED
    if measured.sheet.hides_others(fitted.cutout):
        flags |= Flag.NEIGHBOUR_MASKED
    if fitted.cutout.side >= measured.options.largest:
        flags |= Flag.STAMP_LIMIT
    centre = fitted.model.centre
    x = fitted.cutout.left + fitted.values[f"{centre}.x"] - found.x[k]
    y = fitted.cutout.bottom + fitted.values[f"{centre}.y"] - found.y[k]
    half_width = 0.5 * measured.psf.fwhm if measured.psf is not None else 1.0
    if math.hypot(x, y) > MOVED * max(half_width, half_light(fitted, fitted.model.light)):
        flags |= Flag.MOVED
    return flags


def _flags(measured: Measured, best: Sequence[Fitted | None]) -> Iterator[Column]:
    flags = [flags_of(measured, k, fitted) for k, fitted in enumerate(best)]
    status = [Status.FAILED if f is None else f.status for f in best]
    for k, fitted in enumerate(best):
        if fitted is None and measured.fits[k]:
            status[k] = next(iter(measured.fits[k].values())).status
    words = []
    for k, (code, fitted) in enumerate(zip(status, best, strict=True)):
        tried = fitted or next(iter(measured.fits[k].values()), None)
        words.append((tried.batch.message[tried.row] if tried is not None else "") or code.message)
    yield (
        "status",
        np.array([int(s) for s in status], np.int32),
        "",
        "why the fit of the best model ended; 0 converged",
    )
    yield "message", np.array(words, dtype=str), "", "the status in words"
    yield "flags", np.array([int(f) for f in flags], np.int32), "", "sum of the remarks' codes"
    yield (
        "flags_text",
        np.array(["; ".join(f.messages) for f in flags], dtype=str),
        "",
        "the remarks in words",
    )
    yield (
        "masked",
        _every(measured, [None if f is None else f.masked for f in best]),
        "",
        "share of its detected pixels that were masked",
    )
    yield (
        "reduced_chi2",
        _every(measured, [None if f is None else reduced(f) for f in best]),
        "",
        "chi-square of the best model over degrees of freedom, in its stamp",
    )


def reduced(fitted: Fitted) -> float:
    """Chi-square over degrees of freedom."""
    batch, row = fitted.batch, fitted.row
    return float(batch.chi2[row]) / max(float(batch.n_pixels[row] - batch.n_free[row]), 1.0)


def _detected(measured: Measured) -> Iterator[Column]:
    """What was seen before any fit."""
    found, scale = measured.detections, measured.field.pixel_scale
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = measured.field.zero_point - 2.5 * np.log10(np.where(found.flux > 0, found.flux, np.nan))
        error = 2.5 / math.log(10) * found.flux_error / np.where(found.flux > 0, found.flux, np.nan)
    yield "detected_x", np.asarray(found.x), "pixel", "column of the detected light's centre"
    yield "detected_y", np.asarray(found.y), "pixel", "row of the detected light's centre"
    yield "detected_magnitude", magnitude, "mag", "in the Kron ellipse, as detected"
    yield "detected_magnitude_err", error, "mag", "one standard deviation of it"
    yield (
        "detected_radius",
        scale * np.asarray(found.half_light_radius),
        "arcsec",
        "holds half of that light; the PSF is in it",
    )
    yield "detected_snr", np.asarray(found.snr), "", "signal-to-noise of the detected light"
    yield "detected_pixels", np.asarray(found.npix), "", "pixels above the threshold"


def _shapes(measured: Measured) -> Iterator[Column]:
    """What was measured without a model."""
    if measured.shapes is None:
        return
    table = measured.shapes.table()
    for name in table.colnames:
        column = table[name]
        unit = str(column.unit) if getattr(column, "unit", None) is not None else ""
        values = np.asarray(getattr(column, "value", column))
        yield f"shape_{name}" if name in TAKEN else name, values, _ours(unit), column.info.description


def _model_columns(measured: Measured, name: str) -> Iterator[Column]:
    """All numbers of one model, NaN for sources that it was not fitted to."""
    rows = [k for k, fits in enumerate(measured.fits) if name in fits]
    suffix = name.replace("+", "_")
    yield (
        f"bic_{suffix}",
        _every(measured, [bic(f[name]) if name in f else None for f in measured.fits]),
        "",
        f"Schwarz's criterion of {name}",
    )
    if not rows:
        return
    fitted = [measured.fits[k][name] for k in rows]
    table = gather(fitted).table()
    corner = {
        "x": np.array([f.cutout.left for f in fitted]),
        "y": np.array([f.cutout.bottom for f in fitted]),
    }
    own = MODELS[name].components
    for column in table.colnames:
        if column in SKIPPED or column in LEFT_OUT or column.endswith(("_mark", "_flux", "_flux_err")):
            continue
        values = getattr(table[column], "value", table[column])
        if values.dtype.kind not in "fiu":
            continue
        data = np.full(len(measured), np.nan)
        data[rows] = np.asarray(values, dtype=np.float64)
        for component in own:
            for axis in "xy":
                if column == f"{component}_{axis}":
                    data[rows] += corner[axis]
        final = f"{column}_{suffix}" if column in SHARED or column.startswith(("sky_", "total_")) else column
        if column == "bic":
            continue
        unit = str(table[column].unit) if getattr(table[column], "unit", None) is not None else ""
        yield final, data, _ours(unit), table[column].info.description
    if "flags" in table.colnames:
        data = np.full(len(measured), -1, np.int32)
        data[rows] = [int(f.flags) for f in fitted]
        yield f"flags_{suffix}", data, "", f"remarks on the fit of {name}; -1 where there is none"


def _ours(unit: str) -> str:
    """The key of an astropy unit's name in ``UNITS``."""
    return next((key for key, name in UNITS.items() if name.replace(" ", "") == unit.replace(" ", "")), "")
