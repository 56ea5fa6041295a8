"""Point sources: their image is the PSF, which is known in closed form wherever it lies."""

from dataclasses import dataclass

import numpy as np

from exact import truth
from exact.cases import PSFS
from exact.psfs import Psf

SIZE = 48


@dataclass(frozen=True)
class Point:
    """A point source of unit flux."""

    name: str
    x: float
    y: float
    psf: Psf
    size: int = SIZE

    @property
    def family(self) -> str:
        return self.name.split("-")[0]

    @property
    def words(self) -> str:
        return f"point at {self.x:.2f}, {self.y:.2f} of {self.size}; {self.psf.given}"


def references(point: Point) -> dict[str, np.ndarray]:
    """The PSF's average over each pixel, and the best that its samples allow."""
    axis = np.arange(point.size)
    return {
        "truth": point.psf.pixel_averages(axis - point.x, axis - point.y),
        "ideal": truth.ideal_point(point.x, point.y, point.psf, point.size),
        "peak": point.psf.pixel_averages(np.zeros(1), np.zeros(1)),
    }


def points() -> dict[str, list[Point]]:
    """Near the centre, and near and beyond the edges of the stamp, where nothing may come in on the other side."""
    rng = np.random.default_rng(700)
    inside, edge = [], []
    for k, psf in enumerate(PSFS):
        x, y = (SIZE - 1) / 2 + rng.uniform(-1, 1, 2)
        inside.append(Point(f"points-{k:03d}", float(x), float(y), psf))
        near, along = rng.uniform(-4, 4), rng.uniform(-3, SIZE + 3)
        places = ((near, along), (along, near), (SIZE - 1 - near, along), (along, SIZE - 1 - near))
        edge.append(Point(f"pointedge-{k:03d}", *(float(v) for v in places[k % 4]), psf))
    return {"points": inside, "pointedge": edge}
