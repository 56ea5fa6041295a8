"""Images of single galaxies for the report, a Parquet file a part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from isolux.io.safe_files import put_whole

IMAGES = ("image", "model", "sigma", "mask")
NUMBERS = ("pixel_scale", "zero_point", "x", "y", "axis_ratio", "position_angle")


@dataclasses.dataclass(frozen=True, eq=False)
class Portrait:
    """What a report shows of one galaxy.

    Attributes
    ----------
    id : str
        Its name in the catalogue.
    image, model, sigma : numpy.ndarray
        (y, x), image units; the sky is in the model.
    mask : numpy.ndarray
        (y, x) of bool: True is bad.
    pixel_scale, zero_point : float
        Arcsec a pixel; AB magnitude of one image unit.
    x, y, axis_ratio, position_angle : float
        Ellipse along which profiles are taken: 0-based pixels, degrees from +y.
    """

    id: str
    image: np.ndarray
    model: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray
    pixel_scale: float
    zero_point: float
    x: float
    y: float
    axis_ratio: float
    position_angle: float


def write_portraits(path: Path, portraits: Sequence[Portrait]) -> None:
    """Write the portraits of a part."""
    columns: dict[str, Any] = {"id": [p.id for p in portraits]}
    columns["rows"] = [p.image.shape[0] for p in portraits]
    columns |= {name: [float(getattr(p, name)) for p in portraits] for name in NUMBERS}
    for name in IMAGES:
        kind = np.uint8 if name == "mask" else np.float32
        arrays = [np.asarray(getattr(p, name)).astype(kind).ravel() for p in portraits]
        columns[name] = pyarrow.array(arrays, pyarrow.list_(pyarrow.from_numpy_dtype(kind)))
    with put_whole(path) as temporary, temporary.open("wb") as file:
        pyarrow.parquet.write_table(pyarrow.table(columns), file, compression="zstd")


def read_portraits(folder: Path) -> Iterator[Portrait]:
    """The portraits in a run's folder of them, in the order of its parts."""
    for path in sorted(folder.glob("*/part-*.parquet")):
        table = pyarrow.parquet.read_table(path)
        for row in table.to_batches(max_chunksize=1):
            yield _portrait(row)


def _portrait(row: Any) -> Portrait:
    tall = row["rows"][0].as_py()
    images: dict[str, Any] = {name: np.asarray(row[name][0].values).reshape(tall, -1) for name in IMAGES}
    images["mask"] = images["mask"].astype(bool)
    return Portrait(row["id"][0].as_py(), **images, **{name: row[name][0].as_py() for name in NUMBERS})
