"""How much memory a fit takes, as a function of its batch and of nothing else.

    bytes <= FIXED + galaxies (HELD pixels + OWN points) + lot points (DRAWN + COMPONENT components)

for float32, twice as much but for the first for float64. Pixels are those of a stamp, points those of the grid that
models are drawn on (stamp and PSF together), counted for one galaxy where all have the same PSF; a lot are the rows
that are drawn together (:class:`isolux.likelihood.ChiSquare`). It is a bound: `benchmarks/memory.py` compares it with
the peaks of processes, from which the numbers are taken. Waiting batches come on top, and what is read.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.likelihood import CACHED_POINTS
from isolux.psf import fast_size

FIXED = 30_000_000
HELD = 40
"""Bytes a pixel of each galaxy: image, sigma, mask, weights, and what is made on the way to them."""
OWN = 16
"""Bytes a point of each PSF: its transform."""
DRAWN, COMPONENT = 120, 125
"""Bytes a point of what is being drawn, and as many again for each component: maps and their transforms."""
WAITING = 9
"""Bytes a pixel of a batch that waits: image, sigma and mask."""
READ = 45
"""Bytes a pixel of a batch that is being read and checked, in float64."""


@dataclasses.dataclass(frozen=True)
class Footprint:
    """The memory of fits of one kind.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the stamps.
    psf : (int, int), optional
        Of the PSFs; None without.
    components : int
        Of the scene.
    oversampling : int
        PSF samples a pixel.
    own_psf : bool
        Whether each galaxy has its own PSF.
    dtype : torch.dtype
        float32 or float64.
    """

    shape: tuple[int, int]
    psf: tuple[int, int] | None = None
    components: int = 1
    oversampling: int = 1
    own_psf: bool = True
    dtype: torch.dtype = torch.float32

    @property
    def pixels(self) -> int:
        """Of a stamp."""
        return self.shape[0] * self.shape[1]

    @property
    def points(self) -> int:
        """Of the grid of one galaxy, roughly."""
        sides = (
            self.oversampling * fast_size(side + 2 * math.ceil((psf // 2) / self.oversampling))
            for side, psf in zip(self.shape, self.psf or (1, 1), strict=True)
        )
        return math.prod(sides)

    @property
    def a_galaxy(self) -> int:
        """Bytes that each galaxy adds to a fit."""
        own = OWN * self.points if self.psf is not None and self.own_psf else 0
        return (HELD * self.pixels + own) * self._size

    @property
    def at_work(self) -> int:
        """Bytes that a fit on a CPU takes whatever the number of its galaxies."""
        lot = max(1, CACHED_POINTS // self.points) * self.points
        shared = 0 if self.psf is not None and self.own_psf else OWN * self.points
        return FIXED + (lot * (DRAWN + COMPONENT * self.components) + shared) * self._size

    def fit(self, galaxies: int) -> int:
        """Bytes of the fit of a batch on a CPU, its images included."""
        return self.at_work + galaxies * self.a_galaxy

    def run(self, galaxies: int, waiting: int = 0) -> int:
        """Bytes of a process that fits batches of so many galaxies, with so many read ahead."""
        beside = READ + waiting * WAITING * self._size if waiting else 0
        return self.fit(galaxies) + galaxies * self.pixels * beside

    def galaxies(self, room: int, waiting: int = 0) -> int:
        """Galaxies of a batch, a power of two, whose run fits into so many bytes; at least one."""
        each = self.run(2, waiting) - self.run(1, waiting)
        most = max(1, (room - self.at_work) // each)
        return 1 << (most.bit_length() - 1)

    @property
    def _size(self) -> int:
        """Bytes of a number over those of float32."""
        return 2 if self.dtype == torch.float64 else 1
