"""A page's galaxies from a catalogue that ``isolux fit`` or ``isolux measure`` wrote, with what lies beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from isolux.errors import InputError
from isolux.io.blocks import block_path, read_block
from isolux.io.catalogue import TEXT, Rows, part_files, parts_folder, read_catalogue, read_part
from isolux.io.headers import quiet
from isolux.io.tables import format_of, read_table, to_arrow
from isolux.report.blocks import view_of_block
from isolux.report.page.origin import Origin, Pieces
from isolux.report.profile1d import Shape
from isolux.report.view import Component, GalaxyView

NEEDED = ("id", "status", "flags")
AT_ONCE = 50_000
"""Rows of a Parquet file that are in memory at the same time."""
HALF_SIDE = (12, 80)
"""Least and most pixels from the middle of a cutout of a field to its edge."""


def catalogue_origin(path: Path) -> Origin:
    """The origin of a catalogue; images come from ``blocks/``, or from a field's maps, in its folder.

    Raises
    ------
    InputError
        If it is no catalogue of Isolux.
    """
    schema, pieces = _opened(path)
    missing = [name for name in NEEDED if name not in schema.names]
    if missing:
        raise InputError(f"{path}: is no catalogue of Isolux, these columns are missing", missing)
    folder = path.parent
    maps = [folder / "model.fits", folder / "residual.fits"]
    is_field = all(file.exists() for file in maps) and {"x", "y"} <= set(schema.names)
    return Origin(
        name=path.resolve().parent.name,
        what="field" if is_field else "fit",
        schema=schema,
        pieces=pieces,
        views=lambda rows: _cutouts(maps, rows) if is_field else _blocks(folder / "blocks", rows),
        about={"catalogue": path.name},
    )


def _opened(path: Path) -> tuple[pyarrow.Schema, Pieces]:
    """Columns and rows: Parquet files and parts a piece at a time, other formats as a whole."""
    parts = part_files(parts_folder(path))
    if parts and not path.exists():
        return pyarrow.parquet.read_schema(parts[0]), lambda columns: (read_part(p, columns) for p in parts)
    if not parts and format_of(path) == "parquet":
        try:
            schema = pyarrow.parquet.read_schema(path)
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{path}: cannot be read as parquet, {error}") from None
        return schema, lambda columns: _streamed(path, columns)
    table = to_arrow(read_catalogue(path) if parts else read_table(path, TEXT))
    return table.schema, lambda columns: iter([table if columns is None else table.select(columns)])


def _streamed(path: Path, columns: Sequence[str] | None) -> Iterator[Rows]:
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(AT_ONCE, columns=columns):
            yield pyarrow.Table.from_batches([batch])


def _blocks(folder: Path, rows: Rows) -> Iterator[tuple[str, GalaxyView]]:
    """Views of the image blocks that are there and belong to the galaxy."""
    for name in rows["id"].to_pylist():
        path = block_path(folder, name)
        try:
            view = view_of_block(read_block(path), name)
        except (InputError, OSError):
            continue
        if view.name.strip()[:60] == name.strip()[:60] or not view.name.isascii() or not name.isascii():
            yield name, view


def _cutouts(maps: Sequence[Path], rows: Rows) -> Iterator[tuple[str, GalaxyView]]:
    """Views of sources cut out of a field's maps of the models and of what they leave."""
    with fits.open(maps[0], memmap=True) as first, fits.open(maps[1], memmap=True) as second:
        model, residual = first[0], second[0]
        if model.data is None or residual.data is None or model.data.shape != residual.data.shape:
            return
        scale = _scale(model.header)
        zero_point = float(model.header.get("MAGZERO", 0.0))
        for row in rows.to_pylist():
            view = _cutout(row, model.data, residual.data, scale, zero_point)
            if view is not None:
                yield row["id"], view


def _cutout(
    row: dict[str, Any], model: Any, residual: Any, scale: float, zero_point: float
) -> GalaxyView | None:
    numbers = {key: row.get(key) for key in ("x", "y", "axis_ratio", "position_angle")}
    x, y, ratio, angle = (np.nan if v is None else float(v) for v in numbers.values())
    if not np.isfinite([x, y]).all():
        return None
    half = _half_side(row, scale)
    left, low = (max(round(centre) - half, 0) for centre in (x, y))
    cut = (slice(low, max(round(y) + half + 1, 0)), slice(left, max(round(x) + half + 1, 0)))
    light, rest = (np.asarray(pixels[cut], np.float64) for pixels in (model, residual))
    if light.size == 0:
        return None
    shape = Shape(x - left, y - low)
    if np.isfinite([ratio, angle]).all():
        shape = Shape(x - left, y - low, min(max(ratio, 0.05), 1.0), angle)
    mask = (rest == 0) | ~np.isfinite(rest)
    return GalaxyView(
        name=row["id"],
        image=np.where(mask, 0.0, light + rest),
        mask=mask,
        sigma=None,
        components=(Component("light", light, shape=shape),),
        zero_point=zero_point,
        pixel_scale=scale,
        shape=shape,
        model=light,
    )


def _half_side(row: dict[str, Any], scale: float) -> int:
    """Pixels from the middle of a cutout to its edge: some half-light radii, as fitted and as seen."""
    sizes = [row.get("effective_radius"), row.get("detected_radius")]
    known = [float(size) for size in sizes if size is not None and np.isfinite(size)]
    return int(np.clip(4 * max(known, default=0.0) / scale, *HALF_SIDE))


def _scale(header: Any) -> float:
    """Arcsec a pixel; 1 where there is no WCS."""
    with quiet():
        wcs = WCS(header)
        if not wcs.has_celestial:
            return 1.0
        return float(np.mean(proj_plane_pixel_scales(wcs.celestial))) * 3600
