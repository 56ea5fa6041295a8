"""Examples to learn from in a Parquet file: an image, a sequence of numbers and a name in each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from isolux.errors import InputError, unknown_name
from isolux.types import Tensor


def read_examples(
    path: Path, *, label: str, image: str, group: str
) -> tuple[list[str], list[Tensor], list[list[float]]]:
    """Names, images (y, x) and sequences of all rows.

    Parameters
    ----------
    path : Path
        Of the file.
    label, image, group : str
        Columns: lists of numbers, lists of rows of pixels, names.

    Raises
    ------
    InputError
        For a file or column that is not there, or a row that is no image or no sequence.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowInvalid

    if not path.exists():
        raise InputError(f"no such table: {path}")
    try:
        file = parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file: {error}") from None
    for name in (label, image, group):
        if name not in file.schema_arrow.names:
            raise unknown_name(f"column of {path.name}", name, file.schema_arrow.names)
    columns = file.read(columns=[label, image, group]).to_pydict()
    images = []
    for row, pixels in enumerate(columns[image]):
        try:
            array = np.asarray(pixels, dtype=np.float32)
        except (TypeError, ValueError):
            array = np.zeros(0, np.float32)
        if array.ndim != 2 or not np.isfinite(array).all():
            raise InputError(f"{path.name}, row {row}, column {image}", allowed="rows of finite pixels")
        images.append(torch.from_numpy(array))
    labels = [list(values) if isinstance(values, list) else [] for values in columns[label]]
    return [str(name) for name in columns[group]], images, labels
