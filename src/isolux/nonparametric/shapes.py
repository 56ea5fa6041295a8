"""What was measured without a model: one row a galaxy, whatever happened to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isolux.nonparametric.flags import ShapeFlag
from isolux.result import UNITLESS, UNITS, Quantity
from isolux.types import PerGalaxy, Tensor

COLUMNS = (
    Quantity("x", "pixel", "column of the centre of least asymmetry"),
    Quantity("y", "pixel", "row of the centre of least asymmetry"),
    Quantity("kron_magnitude", "mag", "AB magnitude within 2.5 Kron radii"),
    Quantity("kron_flux", "flux", "flux within 2.5 Kron radii"),
    Quantity("kron_radius", "pixel", "mean semi-major axis of the light"),
    Quantity("petrosian_magnitude", "mag", "AB magnitude within 2 Petrosian radii, ellipse"),
    Quantity("petrosian_flux", "flux", "flux within 2 Petrosian radii, ellipse"),
    Quantity("petrosian_radius", "pixel", "Petrosian radius, semi-major axis"),
    Quantity("petrosian_magnitude_circular", "mag", "AB magnitude within 2 Petrosian radii, circle"),
    Quantity("petrosian_flux_circular", "flux", "flux within 2 Petrosian radii, circle"),
    Quantity("petrosian_radius_circular", "pixel", "Petrosian radius of circles"),
    Quantity("half_light_radius", "pixel", "semi-major axis of half the light of the whole segment"),
    Quantity("r20", "pixel", "radius of 20 % of the light within 1.5 circular Petrosian radii"),
    Quantity("r50", "pixel", "radius of 50 % of the light within 1.5 circular Petrosian radii"),
    Quantity("r80", "pixel", "radius of 80 % of the light within 1.5 circular Petrosian radii"),
    Quantity("r90", "pixel", "radius of 90 % of the light within 1.5 circular Petrosian radii"),
    Quantity("concentration", "", "5 log10(r80 / r20)"),
    Quantity("asymmetry", "", "difference from the image turned by 180 degrees, less the sky's"),
    Quantity("rms_asymmetry", "", "the same of squares"),
    Quantity("outer_asymmetry", "", "asymmetry beyond the half-light ellipse"),
    Quantity("shape_asymmetry", "", "asymmetry of the outline at the brightness of the sky's noise"),
    Quantity("smoothness", "", "light in clumps"),
    Quantity("gini", "", "how unequally pixels share the light"),
    Quantity(
        "m20", "", "second moment of the brightest fifth of the light over that of all, decimal logarithm"
    ),
    Quantity("gini_m20_bulge", "", "place along the sequence of Gini and M20; larger with the bulge"),
    Quantity("gini_m20_merger", "", "distance from that sequence; mergers are above zero"),
    Quantity("ellipticity", "", "1 - b / a of second moments"),
    Quantity("position_angle", "deg", "major axis of second moments, counter-clockwise from +y"),
    Quantity("outer_radius", "pixel", "distance of the farthest pixel above the sky's noise"),
    Quantity("signal_to_noise", "", "mean signal-to-noise of the galaxy's pixels"),
)
"""What is measured, in pixels."""
NAMES = tuple(column.name for column in COLUMNS)
LENGTHS = tuple(c.name for c in COLUMNS if c.unit == "pixel" and c.name not in ("x", "y"))
WITH_ERRORS = (
    *("kron_magnitude", "kron_flux", "kron_radius"),
    *("petrosian_magnitude", "petrosian_flux", "petrosian_radius"),
    *("petrosian_magnitude_circular", "petrosian_flux_circular", "petrosian_radius_circular"),
    *("r20", "r50", "r80", "r90", "concentration", "asymmetry"),
)
"""Those whose error follows from the noise of fluxes."""


@dataclasses.dataclass(frozen=True, eq=False)
class Shapes:
    """Non-parametric sizes, magnitudes and shapes of a batch.

    Attributes
    ----------
    values, errors : Tensor
        (galaxy, column), float64, lengths in pixels: NaN where there is none; ``columns`` says what they are.
    flags : tuple of ShapeFlag
        One a galaxy.
    zero_point : Tensor
        (galaxy,): AB magnitude of one image unit.
    pixel_scale : Tensor
        (galaxy,): arcsec a pixel.
    columns : tuple of Quantity
        Name, unit and meaning of each column.
    """

    values: Tensor
    errors: Tensor
    flags: tuple[ShapeFlag, ...]
    zero_point: PerGalaxy
    pixel_scale: PerGalaxy
    columns: tuple[Quantity, ...] = COLUMNS

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str) -> PerGalaxy:
        """Values (galaxy,) of a column."""
        return self.values[:, self._place(name)]

    def error(self, name: str) -> PerGalaxy:
        """Errors (galaxy,) of a column: one standard deviation; NaN for columns that have none."""
        return self.errors[:, self._place(name)]

    def table(self) -> Any:
        """The catalogue: positions in pixels from 0, sizes in arcsec, angles in degrees, with ``_err`` columns.

        Returns
        -------
        astropy.table.QTable
            With units and descriptions; ``shape_flags`` as a number, ``shape_flags_text`` in words.
        """
        from astropy.table import Column, QTable
        from astropy.units import Quantity as WithUnit

        table = QTable()
        for quantity in self.columns:
            wanted = (("", self.values), ("_err", self.errors))
            for ending, source in wanted[: 2 if quantity.name in WITH_ERRORS else 1]:
                column, unit = source[:, self._place(quantity.name)], quantity.unit
                if quantity.name in LENGTHS:
                    column, unit = column * self.pixel_scale, "arcsec"
                name = quantity.name + ending
                numbers = column.cpu().numpy()
                table[name] = WithUnit(numbers, UNITS[unit]) if unit in UNITS else Column(numbers)
                said = "one standard deviation: " if ending else ""
                table[name].info.description = said + quantity.meaning + UNITLESS.get(unit, "")
        table["shape_flags"] = np.array([int(flag) for flag in self.flags], dtype=np.int32)
        table["shape_flags"].info.description = "sum of the remarks' codes"
        table["shape_flags_text"] = np.array(["; ".join(flag.messages) for flag in self.flags], dtype=str)
        table["shape_flags_text"].info.description = "the remarks in words"
        return table

    def select(self, rows: Sequence[int]) -> Shapes:
        """The rows with these numbers, in this order."""
        chosen = list(rows)
        return dataclasses.replace(
            self,
            values=self.values[chosen],
            errors=self.errors[chosen],
            flags=tuple(self.flags[k] for k in chosen),
            zero_point=self.zero_point[chosen],
            pixel_scale=self.pixel_scale[chosen],
        )

    @staticmethod
    def concatenate(parts: Sequence[Shapes]) -> Shapes:
        """Several batches as one."""
        names = ("values", "errors", "zero_point", "pixel_scale")
        values, errors, zero, scale = (torch.cat([getattr(part, name) for part in parts]) for name in names)
        return Shapes(values, errors, tuple(flag for part in parts for flag in part.flags), zero, scale)

    def _place(self, name: str) -> int:
        for k, column in enumerate(self.columns):
            if column.name == name:
                return k
        raise KeyError(name)
