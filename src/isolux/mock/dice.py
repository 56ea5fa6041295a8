"""Random numbers of a mock field: independent ones for each purpose, so that changing one thing leaves the others."""

from __future__ import annotations

import dataclasses

import numpy as np

from isolux.errors import InputError


@dataclasses.dataclass(frozen=True)
class Dice:
    """Independent random numbers for each purpose of one seed."""

    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise InputError("seed", self.seed, "0 or a positive integer")

    def of(self, *purpose: str) -> np.random.Generator:
        """The generator of a purpose."""
        words = [byte for text in purpose for byte in (*text.encode(), 0)]
        return np.random.default_rng([self.seed, *words])
