"""From the pixels of one band to those of another.

Near a galaxy two pixel grids differ by an affine map, (x', y') = M (x, y) + t, found from what both WCSs say of the
galaxy's surroundings. With square pixels M is a scale s, a turn by an angle phi and, where one image is mirrored, a
flip of x. For the parameters of a component that means

    centre            (x', y') = M (x, y) + t
    lengths           r' = s r
    position angle    PA' = PA + phi,  or  phi - PA where it is mirrored
    magnitude         the same;  flux' = flux 10^(0.4 (zp' - zp))
    flux a pixel      times 1 / s^2 besides

and of the numbers that the solver moves (logarithms, fluxes in units of the noise) it is affine too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.types import PerGalaxy, Tensor

REACH = 0.1
"""The map is measured over this share of the stamp to either side of the centre."""
SHEAR = 0.02
"""Most that pixels may differ in shape between two grids."""


@dataclasses.dataclass(frozen=True)
class Grids:
    """Affine maps between the pixels of two grids, one a galaxy; NaN where it is not known.

    Attributes
    ----------
    matrix : Tensor
        (galaxy, 2, 2): M.
    shift : Tensor
        (galaxy, 2): t, in pixels.
    """

    matrix: Tensor
    shift: Tensor

    @classmethod
    def of(cls, affine: Tensor) -> Grids:
        """From (galaxy, 2, 3): M and t side by side."""
        return cls(affine[..., :2], affine[..., 2])

    @property
    def known(self) -> Tensor:
        """(galaxy,) of bool."""
        return torch.isfinite(self.matrix).flatten(1).all(1) & torch.isfinite(self.shift).all(1)

    @property
    def scale(self) -> PerGalaxy:
        """Pixels of the second grid along one of the first."""
        return torch.linalg.det(self.matrix).abs().sqrt()

    @property
    def parity(self) -> PerGalaxy:
        """1, or -1 where one grid is mirrored."""
        return torch.where(torch.linalg.det(self.matrix) < 0, -1.0, 1.0).to(self.matrix)

    @property
    def turn(self) -> PerGalaxy:
        """The angle phi in degrees."""
        (a, b), (c, d) = self.matrix[:, 0].unbind(1), self.matrix[:, 1].unbind(1)
        plain, mirrored = torch.atan2(c - b, a + d), torch.atan2(-(b + c), d - a)
        return torch.where(self.parity > 0, plain, mirrored) * 180 / math.pi

    @property
    def sheared(self) -> Tensor:
        """(galaxy,) of bool: whether pixels of the two grids differ in shape by more than ``SHEAR``."""
        matrix = torch.where(self.known[:, None, None], self.matrix, torch.eye(2).to(self.matrix))
        sizes = torch.linalg.svdvals(matrix)
        return sizes[:, 0] > (1 + SHEAR) * sizes[:, 1]

    @property
    def turned(self) -> Tensor:
        """(galaxy,) of bool: whether columns of the one are not columns of the other."""
        off = torch.stack([self.matrix[:, 0, 1], self.matrix[:, 1, 0]], 1).abs().amax(1)
        return off > 1e-9 * self.scale

    def points(self, points: Tensor) -> Tensor:
        """Positions (galaxy, 2) on the second grid."""
        return (self.matrix @ points[..., None])[..., 0] + self.shift

    def inverse(self) -> Grids:
        """From the second grid to the first."""
        safe = torch.where(self.known[:, None, None], self.matrix, torch.eye(2).to(self.matrix))
        matrix = torch.where(self.known[:, None, None], torch.linalg.inv(safe), torch.nan)
        return Grids(matrix, -(matrix @ self.shift[..., None])[..., 0])

    def after(self, first: Grids) -> Grids:
        """Another map, then this one."""
        return Grids(self.matrix @ first.matrix, self.points(first.shift))

    def or_identity(self, use: Tensor) -> Grids:
        """These maps where (galaxy,) of bool says so, no change elsewhere."""
        matrix = torch.where(use[:, None, None], self.matrix, torch.eye(2).to(self.matrix))
        return Grids(matrix, torch.where(use[:, None], self.shift, 0.0))

    def where(self, condition: Tensor, other: Grids) -> Grids:
        """These maps where (galaxy,) of bool says so, the other ones elsewhere."""
        matrix = torch.where(condition[:, None, None], self.matrix, other.matrix)
        return Grids(matrix, torch.where(condition[:, None], self.shift, other.shift))


def middles(batch: Batch) -> Tensor:
    """Pixel positions (galaxy, 2) of the centres of the stamps, without their padding."""
    size = torch.tensor([batch.width, batch.height], dtype=torch.float64)
    return ((size - 1) / 2).T


def inside(batch: Batch, points: Tensor) -> Tensor:
    """(galaxy,) of bool: whether positions (galaxy, 2) lie on the stamps."""
    size = torch.tensor([batch.width, batch.height], dtype=torch.float64).T
    return ((points >= -0.5) & (points <= size - 0.5)).all(1)


def between(first: Batch, second: Batch, rows: Iterable[int] | None = None) -> Grids:
    """The maps from the pixels of one batch to those of another, for the galaxies in ``rows`` or all.

    From the two WCSs; where neither stamp has one, the grids are the same if size and pixel scale are.
    """
    affine = np.full((len(first), 2, 3), np.nan)
    for k in range(len(first)) if rows is None else rows:
        one, two = first.wcs[k], second.wcs[k]
        if one is not None and two is not None:
            middle = np.array([(first.width[k] - 1) / 2, (first.height[k] - 1) / 2])
            reach = max(1.0, REACH * min(first.width[k], first.height[k]))
            affine[k] = from_wcs(one, two, middle, reach)
        elif one is None and two is None and _alike(first, second, k):
            affine[k] = [[1, 0, 0], [0, 1, 0]]
    return Grids.of(torch.as_tensor(affine))


def _alike(first: Batch, second: Batch, k: int) -> bool:
    same_size = (first.height[k], first.width[k]) == (second.height[k], second.width[k])
    return same_size and float(first.pixel_scale[k]) == float(second.pixel_scale[k])


def from_wcs(one: Any, two: Any, middle: np.ndarray, reach: float) -> np.ndarray:
    """M and t (2, 3) between the pixels of two WCSs, from differences over ``reach`` pixels around a position (2,).

    NaN where a projection has no answer.
    """
    steps = reach * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=float)
    found = _through_sky(one, two, middle + steps)
    matrix = np.stack([found[1] - found[2], found[3] - found[4]], 1) / (2 * reach)
    return np.column_stack([matrix, found[0] - matrix @ middle])


def _through_sky(one: Any, two: Any, points: np.ndarray) -> np.ndarray:
    """Pixel positions (point, 2) of one WCS as those of another; NaN where there is no answer."""
    from astropy.wcs import NoConvergence
    from astropy.wcs.utils import pixel_to_pixel

    try:
        if _frame(one) == _frame(two):
            return np.asarray(two.all_world2pix(one.all_pix2world(points, 0), 0))
        return np.stack(pixel_to_pixel(one, two, *points.T), 1)
    except (NoConvergence, ValueError):
        return np.full_like(points, np.nan)


def _frame(wcs: Any) -> tuple[Any, ...]:
    core = wcs.wcs
    return core.lng, core.lat, core.lngtyp, core.radesys, str(core.equinox)
