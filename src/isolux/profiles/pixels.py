r"""A free-form image: brightness at the knots of a rectangular grid.

    I(x, y) = sum_jk I_jk K((y - y_j) / dy) K((x - x_k) / dx)

with the triangle K(t) = max(0, 1 - |t|) (bilinear) or the box |t| < 1/2 (nearest). Beyond the outermost
knots the light falls to zero within one spacing, so that the flux is dx dy times the sum of the knots. Each
point looks up four knots or one: cost and memory grow with the number of points, not with points times
knots.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from isolux.errors import InputError, unknown_name
from isolux.parameters import Parameter
from isolux.profiles.base import ImageProfile
from isolux.types import Points, Tensor

VALUES = Parameter("values", "flux/pixel2", "surface brightness at the knots, row by row", default=0.0)
INTERPOLATIONS = ("bilinear", "nearest")


class PixelGrid(ImageProfile):
    """A free-form image, blurred by the PSF like any other component.

    The parameter is a vector, of thousands of numbers if need be. Fit it with a first-order solver and
    without a covariance: ``isolux.fit(..., solver=FirstOrder("LBFGS", learning_rate=1.0), errors="none")``.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of knots, two or more each.
    box : (float, float, float, float), optional
        Pixel coordinates (left, bottom, right, top) of the outermost knots; where it is left out, one knot a
        pixel from (0, 0).
    interpolation : str
        ``bilinear`` or ``nearest``.
    **settings
        ``values``, of rows times columns numbers.

    Raises
    ------
    InputError
        For fewer than two rows or columns, an empty box or an unknown interpolation.
    """

    parameters = (VALUES,)

    def __init__(
        self,
        shape: tuple[int, int] = (32, 32),
        box: Sequence[float] | None = None,
        interpolation: str = "bilinear",
        **settings: Any,
    ) -> None:
        rows, columns = shape
        left, bottom, right, top = box or (0.0, 0.0, columns - 1.0, rows - 1.0)
        if rows < 2 or columns < 2:
            raise InputError("PixelGrid: shape must be 2 x 2 or more", shape)
        if not (left < right and bottom < top):
            raise InputError(
                "PixelGrid: box is (left, bottom, right, top)", box, "left < right, bottom < top"
            )
        if interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation", interpolation, INTERPOLATIONS)
        self.rows, self.columns, self.interpolation = rows, columns, interpolation
        self.corner = (left, bottom)
        self.spacing = ((right - left) / (columns - 1), (top - bottom) / (rows - 1))
        super().__init__(**settings)

    def declared(self, settings: Mapping[str, object]) -> tuple[Parameter, ...]:
        """``values``, of the size of this instance."""
        return (dataclasses.replace(VALUES, size=self.rows * self.columns),)

    def brightness(self, x: Points, y: Points, values: Tensor) -> Points:
        """Interpolated values; zero far from the grid."""
        column = (x - self.corner[0]) / self.spacing[0]
        row = (y - self.corner[1]) / self.spacing[1]
        if self.interpolation == "nearest":
            return self._look_up(values, torch.floor(column + 0.5), torch.floor(row + 0.5))
        left, bottom = torch.floor(column), torch.floor(row)
        across, up = column - left, row - bottom
        below = torch.lerp(
            self._look_up(values, left, bottom), self._look_up(values, left + 1, bottom), across
        )
        above = torch.lerp(
            self._look_up(values, left, bottom + 1), self._look_up(values, left + 1, bottom + 1), across
        )
        return torch.lerp(below, above, up)

    def _look_up(self, values: Tensor, column: Points, row: Points) -> Points:
        """Values at whole columns and rows, zero outside the grid."""
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        index = row.clamp(0, self.rows - 1).long() * self.columns + column.clamp(0, self.columns - 1).long()
        galaxies = max(len(values), len(index))
        found = torch.gather(values.expand(galaxies, -1), 1, index.expand(galaxies, -1))
        return torch.where(inside, found, torch.zeros_like(found))
