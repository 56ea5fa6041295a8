"""Pieces of sky: positions as HEALPix cells, and cells of adaptive order that hold about as many galaxies each.

HEALPix (Gorski et al. 2005, ApJ 622, 759) parts the sky into 12 base cells and each cell into four of equal area. In
the nested order a cell's number is its parent's times four plus its place there, so that the galaxies of a cell of any
order are neighbours in a list sorted by the number of their smallest cells. :func:`cut` walks down from the whole sky
until a cell holds no more than a part may; neighbours that are small go together where that does not spread them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

DEEPEST = 29
"""Order of the smallest cells, 0.4 milliarcsec wide; the deepest whose numbers fit into 64 bits."""
NEAR = 2
"""Pieces that lie so many orders deeper than a cell at most go together in it."""
TINY = 8
"""Pieces with less than one part in this of what a part may hold go together with any neighbour."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Neighbours in a list of galaxies sorted by their smallest cells.

    Attributes
    ----------
    first, last : int
        From the first to before the last.
    order, cell : int
        The smallest HEALPix cell that holds them; order -1 is the whole sky.
    """

    first: int
    last: int
    order: int
    cell: int

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"HEALPix order {self.order}, cell {self.cell}" if self.order >= 0 else "over the whole sky"


def healpix_cells(ra: np.ndarray, dec: np.ndarray, order: int = DEEPEST) -> np.ndarray:
    """Numbers (position,) of the cells of an order, nested, that positions in degrees lie in.

    Parameters
    ----------
    ra, dec : numpy.ndarray
        (position,): degrees, finite, dec from -90 to 90.
    order : int
        0 to 29: cells are 58.6 / 2^order degrees wide.

    Returns
    -------
    numpy.ndarray
        (position,) of int64.
    """
    side = 1 << order
    quarter = np.mod(np.asarray(ra, float), 360.0) / 90.0
    quarter = np.where(quarter >= 4, 0.0, quarter)  # what is just below 0 is 360 after rounding
    height = np.sin(np.radians(dec))
    across, along, face = _equatorial(quarter, height, side, order)
    polar = np.abs(height) > 2 / 3
    if polar.any():
        colatitude = np.radians(90 - np.abs(np.asarray(dec, float)[polar]))
        ends = _polar(quarter[polar], colatitude, height[polar] > 0, side)
        across[polar], along[polar], face[polar] = ends
    return (face << (2 * order)) | _spread(across) | (_spread(along) << 1)


def _equatorial(
    quarter: np.ndarray, height: np.ndarray, side: int, order: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in a base cell and its number, where the lines of cells are straight in (ra, sin dec)."""
    middle, slope = side * (0.5 + quarter), side * 0.75 * height
    rising, falling = (np.floor(v).astype(np.int64) for v in (middle - slope, middle + slope))
    upper, lower = rising >> order, falling >> order
    face = np.where(upper == lower, (upper & 3) + 4, np.where(upper < lower, upper & 3, (lower & 3) + 8))
    return falling & (side - 1), side - 1 - (rising & (side - 1)), face


def _polar(
    quarter: np.ndarray, colatitude: np.ndarray, north: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same beyond a sin(dec) of 2/3, where cells narrow to the poles."""
    base = np.minimum(quarter.astype(np.int64), 3)
    share = quarter - base
    reach = side * np.sqrt(6.0) * np.sin(colatitude / 2)
    rising, falling = (np.minimum((part * reach).astype(np.int64), side - 1) for part in (share, 1 - share))
    return (
        np.where(north, side - 1 - falling, rising),
        np.where(north, side - 1 - rising, falling),
        np.where(north, base, base + 8),
    )


def _spread(numbers: np.ndarray) -> np.ndarray:
    """Each bit of numbers below 2^32 moved to twice its place."""
    spread = numbers.astype(np.uint64)
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        spread = (spread | (spread << np.uint64(shift))) & np.uint64(mask)
    return spread.astype(np.int64)


def cut(cells: np.ndarray, pixels: np.ndarray, most_galaxies: int, most_pixels: int) -> list[Piece]:
    """Pieces of a list of galaxies, each of which is a compact piece of sky.

    Parameters
    ----------
    cells : numpy.ndarray
        (galaxy,): numbers of their cells of order 29, ascending.
    pixels : numpy.ndarray
        (galaxy,): of their stamps.
    most_galaxies, most_pixels : int
        Of a piece; a galaxy that is larger is a piece of its own.

    Returns
    -------
    list of Piece
        In order; every galaxy is in one of them.
    """
    sums = np.concatenate([[0], np.cumsum(pixels, dtype=np.int64)])
    return _Cutter(cells, sums, most_galaxies, most_pixels).below(0, len(cells), -1, 0)


def runs(pixels: np.ndarray, most_galaxies: int, most_pixels: int) -> list[tuple[int, int]]:
    """First and last of runs of neighbours in a list (galaxy,), as even in number as the limits allow."""
    count = len(pixels)
    most = -(-count // max(1, -(-count // most_galaxies)))
    found, first, held = [], 0, 0
    for k, size in enumerate(np.asarray(pixels).tolist()):
        if k > first and (k - first >= most or held + size > most_pixels):
            found.append((first, k))
            first, held = k, 0
        held += size
    return [*found, (first, count)] if count else []


@dataclasses.dataclass(frozen=True, eq=False)
class _Cutter:
    """What :func:`cut` is asked; ``sums`` are the pixels before each galaxy."""

    cells: np.ndarray
    sums: np.ndarray
    galaxies: int
    pixels: int

    def fits(self, first: int, last: int, share: int = 1) -> bool:
        """Whether these galaxies are no more than a part, or one in ``share`` of it, may hold."""
        light = self.sums[last] - self.sums[first] <= self.pixels // share
        return last - first <= self.galaxies // share and bool(light)

    def below(self, first: int, last: int, order: int, cell: int) -> list[Piece]:
        """The pieces of the galaxies of a cell."""
        if first == last:
            return []
        if order >= 0 and (last - first == 1 or self.fits(first, last)):
            return [self.piece(first, last)]
        if order == DEEPEST:
            sizes = np.diff(self.sums[first : last + 1])
            return [self.piece(first + a, first + b) for a, b in runs(sizes, self.galaxies, self.pixels)]
        children = np.arange(4 * cell, 4 * cell + 4) if order >= 0 else np.arange(12)
        starts = children[1:] << (2 * (DEEPEST - order - 1))
        edges = [first, *(first + np.searchsorted(self.cells[first:last], starts)).tolist(), last]
        found: list[Piece] = []
        for child, a, b in zip(children.tolist(), edges[:-1], edges[1:], strict=True):
            found += self.below(a, b, order + 1, child)
        return self._merged(found, order)

    def piece(self, first: int, last: int) -> Piece:
        """These galaxies, in the smallest cell that holds them."""
        low, high = int(self.cells[first]), int(self.cells[last - 1])
        # Two bits are a level; those that differ beyond all levels are of base cells.
        order = max(-1, DEEPEST - (1 + (low ^ high).bit_length()) // 2)
        return Piece(first, last, order, low >> 2 * (DEEPEST - order) if order >= 0 else 0)

    def _merged(self, pieces: list[Piece], order: int) -> list[Piece]:
        """Neighbours in a cell that are small and near, as one."""
        joined = pieces[:1]
        for piece in pieces[1:]:
            before = joined[-1]
            near = max(before.order, piece.order) <= order + NEAR
            tiny = any(self.fits(p.first, p.last, TINY) for p in (before, piece))
            if (near or tiny) and self.fits(before.first, piece.last):
                joined[-1] = self.piece(before.first, piece.last)
            else:
                joined.append(piece)
        return joined
