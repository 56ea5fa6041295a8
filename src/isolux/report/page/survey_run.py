"""A page's galaxies from the folder of a survey's run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet

from isolux.io.catalogue import Rows
from isolux.io.portraits import Portrait, read_portraits
from isolux.io.run_folder import RunFolder
from isolux.report.page.origin import Origin
from isolux.report.profile1d import Shape
from isolux.report.view import Component, GalaxyView


def survey_origin(run: RunFolder) -> Origin:
    """The origin of a survey's run, finished or not."""
    manifest = run.manifest()
    planned = _planned(manifest)
    return Origin(
        name=str(manifest.get("name") or run.path.resolve().name),
        what="survey",
        schema=run.schema(),
        pieces=lambda columns: run.rows(columns),
        views=lambda rows: _views(run, rows),
        pictured=lambda: frozenset(_names(run)),
        about=manifest,
        receipts=run.receipts,
        quarantined=run.quarantined(),
        events=run.events(),
        planned=planned,
    )


def _planned(manifest: dict[str, Any]) -> int | None:
    """Galaxies of the plan; not known of fields, where a part is one field."""
    plan, configuration = manifest.get("plan"), manifest.get("configuration")
    if isinstance(configuration, dict) and configuration.get("kind") == "fields":
        return None
    found = plan.get("galaxies") if isinstance(plan, dict) else manifest.get("galaxies")
    return found if isinstance(found, int) else None


def _names(run: RunFolder) -> Iterator[str]:
    for path in sorted((run.path / "portraits").glob("*/part-*.parquet")):
        yield from pyarrow.parquet.read_table(path, columns=["id"])["id"].to_pylist()


def _views(run: RunFolder, rows: Rows) -> Iterator[tuple[str, GalaxyView]]:
    levels = _sky_levels(rows)
    for portrait in read_portraits(run.path / "portraits"):
        if portrait.id in levels:
            yield portrait.id, view_of_portrait(portrait, levels[portrait.id])


def _sky_levels(rows: Rows) -> dict[str, float]:
    """Fitted level of the sky by galaxy, NaN where there is none."""
    names = rows["id"].to_pylist()
    column = next((name for name in rows.column_names if name == "sky_level"), None)
    levels = [np.nan] * len(names) if column is None else rows[column].to_pylist()
    return {
        name: np.nan if level is None else float(level) for name, level in zip(names, levels, strict=True)
    }


def view_of_portrait(portrait: Portrait, level: float = np.nan) -> GalaxyView:
    """What is to be drawn of a portrait.

    Parameters
    ----------
    portrait : Portrait
        The galaxy.
    level : float
        Level of the sky in its images; where it is not known, the lowest value of the model is taken.
    """
    image, mask = np.asarray(portrait.image, np.float64), portrait.mask | ~np.isfinite(portrait.image)
    model = np.asarray(portrait.model, np.float64)
    fitted = bool(np.isfinite(model).all())
    sky = level if np.isfinite(level) else float(model.min()) if fitted else 0.0
    shape = Shape(portrait.x, portrait.y, min(max(portrait.axis_ratio, 0.05), 1.0), portrait.position_angle)
    if not np.isfinite([shape.x, shape.y, shape.axis_ratio, shape.position_angle]).all():
        shape = Shape((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2)
    parts: Sequence[Component] = ()
    if fitted:
        flat = Component("sky", np.full(image.shape, sky), is_sky=True)
        parts = (Component("galaxy", model - sky, shape=shape), flat)
    return GalaxyView(
        name=portrait.id,
        image=np.where(mask, 0.0, image),
        mask=mask,
        sigma=np.where(np.isfinite(portrait.sigma), portrait.sigma, np.inf).astype(np.float64),
        components=tuple(parts),
        zero_point=portrait.zero_point,
        pixel_scale=portrait.pixel_scale,
        shape=shape,
        model=model if fitted else None,
    )
