"""A galaxy's figure from its image block alone, without the data that it was fitted to.

A block holds no sigma: residuals are then in units of flux, and the errors of the radial profile follow from the
scatter of the residuals along each annulus.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from isolux.io.blocks import Block, read_block
from isolux.report.figures import draw
from isolux.report.labels import Entry, component_line
from isolux.report.view import Component, GalaxyView, goodness, main_shape, shape_from

SKY = ("level", "gradient_x", "gradient_y")
"""Parameters of a background."""


def figure_from_block(path: str | Path) -> Figure:
    """Draw the fit of one galaxy from an image block.

    Parameters
    ----------
    path : str or path
        A block as ``isolux fit`` writes it: data, model, residual, components.

    Returns
    -------
    matplotlib.figure.Figure
        As from :func:`galaxy_figure`, but without sigma and PSF.

    Raises
    ------
    InputError
        If the file is not an image block.
    """
    return draw(view_of_block(read_block(path), Path(path).stem))


def view_of_block(block: Block, name: str) -> GalaxyView:
    """What is to be drawn of a block; ``name`` where its header has none."""
    header = block.header
    scale = float(header.get("PIXSCALE", 1.0))
    entries = _entries(block)
    components = tuple(_component(block, part, image) for part, image in block.components.items())
    mask = ~np.isfinite(block.data)
    reduced = float(header.get("CHI2NU", math.nan))
    return GalaxyView(
        name=str(header.get("OBJECT", name)),
        image=np.where(mask, 0.0, block.data).astype(np.float64),
        mask=mask,
        sigma=None,
        components=components,
        zero_point=float(header.get("MAGZPT", 0.0)),
        pixel_scale=scale,
        shape=main_shape(components, mask.shape),
        model=np.asarray(block.model, dtype=np.float64),
        lines=tuple(component_line(entries, component.name, scale) for component in components),
        summary=goodness(reduced, int((~mask).sum())) if math.isfinite(reduced) else "",
        status=str(header.get("STATTEXT", "")),
    )


def _component(block: Block, part: str, image: np.ndarray) -> Component:
    """A component under its name in the parameters, whatever case the file has it in."""
    owners = {full.partition(".")[0] for full in block.values}
    name = next((owner for owner in sorted(owners) if owner.lower() == part.lower()), part)
    own = [full.partition(".")[2] for full in block.values if full.partition(".")[0] == name]
    is_sky = bool(own) and all(short in SKY for short in own)
    return Component(name, np.asarray(image, dtype=np.float64), is_sky, shape_from(block.values, name))


def _entries(block: Block) -> list[Entry]:
    numbers = {str(block.header[key]): key[3:] for key in block.header if re.fullmatch(r"PAR\d+", key)}
    return [
        Entry(
            name,
            str(block.header.comments[f"PAR{numbers[name]}"]).strip(),
            str(block.header.get(f"KIND{numbers[name]}", "free")),
            value,
            block.errors[name],
        )
        for name, value in block.values.items()
    ]
