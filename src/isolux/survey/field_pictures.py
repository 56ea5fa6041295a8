"""Images that are kept of a measured field: maps on disk, and portraits of a few galaxies."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np

from isolux.field.cutouts import cut
from isolux.field.survey import Measured
from isolux.io.catalogue import Rows
from isolux.io.field_maps import write_map
from isolux.io.portraits import Portrait
from isolux.io.rows import numbers_of, text_of
from isolux.measure_field import MeasuredImage

LARGEST = 256
"""Side of a portrait in pixels at most."""
LONGEST = 80
"""Characters of a folder's name at most."""


def safe_name(name: str) -> str:
    """A name that can stand for a folder, and never leads out of one; other names have other ones."""
    plain = re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII).lstrip(".")
    if plain == name and 0 < len(name) <= LONGEST:
        return name
    return f"{plain[:LONGEST]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_maps(folder: str | Path, field: str, found: MeasuredImage) -> list[Path]:
    """Write what the models leave of a field, and the models, into a folder of its own.

    Parameters
    ----------
    folder : str or path
        Of the maps of all fields.
    field : str
        Its name.
    found : MeasuredImage
        The measured field.
    """
    own, measured = Path(folder) / safe_name(field), found.measured
    what = "image less background and models"
    files = [
        write_map(own / "residual.fits", measured.residual, measured.field, what),
        write_map(own / "model.fits", measured.model, measured.field, "models of all sources"),
    ]
    for band in found.bands.bands[1:] if found.bands is not None else ():
        assert found.bands is not None
        sheet = found.bands.sheets[band]
        left = np.where(sheet.field.mask, np.float32(0), sheet.image - sheet.light)
        files.append(write_map(own / f"residual_{safe_name(band)}.fits", left, sheet.field, what))
    return files


def draw_portraits(measured: Measured, rows: Rows, count: int) -> list[Portrait]:
    """Portraits of a few galaxies of a field: half of them its brightest, the others by chance.

    Parameters
    ----------
    measured : Measured
        The field.
    rows : Rows
        Its rows of the catalogue, in the order of its sources.
    count : int
        How many at most.
    """
    return [_portrait(measured, rows, k) for k in sample(rows, count)]


def sample(rows: Rows, count: int) -> list[int]:
    """Numbers of the galaxies that are shown; the same for the same names and magnitudes."""
    ids, model = text_of(rows, "id"), text_of(rows, "model")
    magnitude = numbers_of(rows, "magnitude")
    galaxies = [k for k in range(len(ids)) if model[k] not in ("", "point") and math.isfinite(magnitude[k])]
    bright = sorted(galaxies, key=lambda k: (magnitude[k], ids[k]))[: (count + 1) // 2]
    rest = sorted(set(galaxies) - set(bright), key=lambda k: hashlib.sha256(ids[k].encode()).hexdigest())
    return bright + rest[: count - len(bright)]


def _portrait(measured: Measured, rows: Rows, k: int) -> Portrait:
    found, sheet = measured.detections, measured.sheet
    cutout = cut([k], found.x, found.y, measured.need, min(LARGEST, measured.options.largest))
    inside, _ = cutout.box(sheet.image.shape)
    light = sheet.light[inside]
    numbers = {name: float(numbers_of(rows, name)[k]) for name in ("x", "y", "axis_ratio", "position_angle")}
    return Portrait(
        text_of(rows, "id")[k],
        image=measured.field.data[inside].copy(),
        model=light + sheet.background[inside],
        sigma=sheet.sigma_with(inside, np.maximum(light, 0)).astype(np.float32),
        mask=measured.field.mask[inside].copy(),
        pixel_scale=measured.field.pixel_scale,
        zero_point=measured.field.zero_point,
        x=numbers["x"] - inside[1].start,
        y=numbers["y"] - inside[0].start,
        axis_ratio=numbers["axis_ratio"],
        position_angle=numbers["position_angle"],
    )
