"""What is written down about galaxies while they are measured."""

from __future__ import annotations

import dataclasses

import torch

from isolux.nonparametric.flags import ShapeFlag
from isolux.nonparametric.shapes import NAMES
from isolux.types import PerGalaxy, Tensor


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What is being written down about each galaxy: columns by name, with errors, and flags as integers.

    Fluxes are in noises of a sky pixel.
    """

    values: dict[str, PerGalaxy]
    errors: dict[str, PerGalaxy]
    flags: Tensor

    def remark(self, flag: ShapeFlag, where: Tensor) -> None:
        """Set a flag where (galaxy,) it holds."""
        self.flags.bitwise_or_(int(flag) * where.long())


def columns_of(sheets: list[dict[str, PerGalaxy]], count: int) -> Tensor:
    """Columns of several sheets as one table (galaxy, column) in the order of ``NAMES``."""
    table = torch.full((count, len(NAMES)), torch.nan, dtype=torch.float64)
    for k, name in enumerate(NAMES):
        if sheets and name in sheets[0]:
            table[:, k] = torch.cat([sheet[name] for sheet in sheets])
    return table
