"""References are slow to draw and do not change with Isolux: they are kept in a folder, by what they are of."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import galsim
import numpy as np

VERSION = 3
"""To be raised when references change, so that kept ones are drawn again."""


def kept(
    folder: Path, kind: str, what: object, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What ``make`` gives for ``what``, whose repr says all of it, from the folder if it is there."""
    content = repr((VERSION, galsim.__version__, kind, what))
    path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:20]}.npz"
    if not path.exists():
        arrays = make()
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **arrays)
        partial.rename(path)
    with np.load(path) as f:
        return dict(f)
