"""Stamps in files as an input: galaxies are put in the order of the sky and cut into compact parts.

Positions are those of the table or, where it has none, of the middles of images that have a WCS. One look at each
header gives size and place; a galaxy whose files are not there, or cannot be read, is in the plan with its fault.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from isolux.errors import InputError
from isolux.io.catalogue import Rows, join_rows
from isolux.io.listing import list_stamps, starting_values
from isolux.io.parquet_catalogue import seen_pixels
from isolux.io.parquet_layout import has_images
from isolux.io.patterns import split_hdu
from isolux.io.source import IMAGES, StampFiles, StampSource
from isolux.io.stamp_listing import (
    TRUTH,
    carried_columns,
    chosen_columns,
    files_listed,
    listed_columns,
    listing_of_stamps,
    look_at,
    positions_of,
    sky_columns,
    stamps_listed,
    start_columns,
)
from isolux.io.stamps import batch_of, load_stamps, shared_reader
from isolux.io.stream import Size, group_by_size
from isolux.io.tables import to_arrow
from isolux.options import MOST_PIXELS
from isolux.survey.fitting import Portion, StampFitting
from isolux.survey.model_columns import model_columns
from isolux.survey.part import Part
from isolux.survey.sky_parts import cut, healpix_cells, runs

AT_ONCE = 10_000
"""Galaxies whose files are looked at before they are written down, to take little memory."""
LONG = 20
"""Lists of more paths than this are in the manifest as a number and a checksum."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class StampsInput(StampFitting):
    """Galaxies with files of their own.

    Attributes
    ----------
    source : StampSource
        Patterns, lists or a table of files.
    carry : tuple of str
        Columns of the table that go into the catalogue; those named ``truth_...`` do in any case.
    folder : str, optional
        The folder all of whose FITS files are stamps, but for those that ``source`` names as something else.

    Raises
    ------
    InputError
        If columns are to be carried, but there is no table.
    """

    kind: ClassVar[str] = "stamps"
    source: StampSource
    carry: tuple[str, ...] = ()
    folder: str | None = None

    def __post_init__(self) -> None:
        if self.carry and self.source.table is None:
            raise InputError("carry: columns of which table? there is none", self.carry)

    def describe(self) -> Mapping[str, Any]:
        """All that decides over the result."""
        given = describe_source(self.source)
        return {"input": given | {"carry": list(self.carry)}, **self.describe_fit()}

    def plan(self, galaxies: int, pixels: int) -> Iterator[Part]:
        """Parts that are compact on the sky; galaxies without a position come last, in the order of the source."""
        table = self.source.table
        if table is not None and has_images(table, self.source.image):
            raise InputError(f"{table}: has images in it; give it as catalogue, not as table")
        files = list_stamps(self.source)
        if self.folder is not None:
            files = _without_companions(files)
        listing, sizes = self._listing(files, *self._columns(files))
        del files
        for rows, place in _pieces(listing, sizes, galaxies, pixels):
            yield Part(listing.take(rows), int(sizes[rows].sum()), place)

    def files(self, part: Part) -> Sequence[str]:
        """Files of images, noise, masks and PSFs, and the table's own left out: the plan holds what it says."""
        return files_listed(part.listing)

    def portions(self, part: Part) -> Iterator[Portion]:
        """The stamps, in groups of similar size."""
        files, sizes = stamps_listed(part.listing)
        yield from portions_of(self, self.source, part.listing, files, sizes)

    def carried(self, part: Part) -> Rows | None:
        """Columns of the table, and the position."""
        return carried_columns(part.listing)

    def _listing(
        self, files: Sequence[StampFiles], more: Rows | None, ra: np.ndarray, dec: np.ndarray
    ) -> tuple[Rows, np.ndarray]:
        """Rows for all galaxies, with positions from headers where the table has none, and pixels (galaxy,)."""
        pieces, sizes = [], []
        for first in range(0, len(files), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            unknown = np.isnan(ra[some])
            seen = look_at(files[some], places=bool(unknown.any()))
            east, north = (
                np.where(unknown, [getattr(one, name) for one in seen], given[some])
                for name, given in (("ra", ra), ("dec", dec))
            )
            extra = None if more is None else more.slice(first, AT_ONCE)
            pieces.append(listing_of_stamps(seen, east, north, extra))
            sizes.append(seen_pixels(seen))
        return join_rows(pieces).combine_chunks(), np.concatenate(sizes)

    def _columns(self, files: Sequence[StampFiles]) -> tuple[Rows | None, np.ndarray, np.ndarray]:
        """Columns of the table that are wanted, and positions (galaxy,)."""
        wanted, unknown = model_columns(self.scene, self.options), np.full(len(files), np.nan)
        table = files[0].table
        if table is None:
            named = [name for name in wanted if "." not in name]
            if named:
                raise InputError("the model takes values from columns, but there is no table", named)
            return None, unknown, unknown
        where = str(self.source.table)
        needed = {*wanted, *self.carry, *(sky_columns(table.colnames) or ())}
        kept = [name for name in table.colnames if name in needed or name.startswith(TRUTH)]
        rows = to_arrow(table[kept]) if kept else Rows.from_pylist([{}] * len(files))
        chosen = chosen_columns(where, rows.schema, wanted, self.carry, table.colnames)
        pair = sky_columns(rows.column_names)
        ra, dec = (unknown, unknown) if pair is None else positions_of(where, rows, pair)
        return (listed_columns(rows, chosen) if chosen else None), ra, dec


def portions_of(
    fitting: StampFitting,
    source: StampSource,
    listing: Rows,
    files: Sequence[StampFiles],
    sizes: Sequence[Size | None],
) -> Iterator[Portion]:
    """Stamps in groups of similar size, the same on every machine.

    Parameters
    ----------
    fitting : StampFitting
        The input: size of batches, precision.
    source : StampSource
        What it says of all PSFs.
    listing : Rows
        Columns of starting values and those to be carried over.
    files : sequence of StampFiles
        The galaxies, in the listing's order.
    sizes : sequence
        Rows and columns of their stamps; None where there is no image.
    """
    read = shared_reader()
    dtype = fitting.options.torch_dtype
    for members, size in group_by_size(range(len(files)), sizes, most_of(fitting)):
        batch = batch_of(load_stamps([files[k] for k in members], read), source, dtype=dtype, size=size)
        some = listing.take(members)
        yield Portion(
            batch, starting_values(start_columns(some), batch.pixel_scale.numpy()), carried_columns(some)
        )


def most_of(fitting: StampFitting) -> Callable[[Size], int]:
    """How many stamps of a size are fitted together; never a matter of the memory that is free."""
    pixels = fitting.options.max_pixels or MOST_PIXELS
    return lambda size: max(1, min(fitting.batch_size, pixels // prod(size)))


def describe_source(source: StampSource) -> dict[str, Any]:
    """What is given of a source, as plain values."""
    found = {}
    for field in dataclasses.fields(StampSource):
        value = getattr(source, field.name)
        if value != field.default:
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value
    values = [_plain(item) for item in value]
    if len(values) <= LONG:
        return values
    return {"items": len(values), "sha256": hashlib.sha256(repr(values).encode()).hexdigest()}


def _pieces(listing: Rows, sizes: np.ndarray, galaxies: int, pixels: int) -> Iterator[tuple[np.ndarray, str]]:
    """Numbers of the galaxies of each part and where it is."""
    ra, dec = (listing[name].to_numpy() for name in ("ra", "dec"))
    names = listing["id"].to_pylist()
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    cells = healpix_cells(ra[known], dec[known])
    order = np.lexsort((np.array([names[k] for k in known.tolist()], dtype="U"), cells))
    placed = known[order]
    for piece in cut(cells[order], sizes[placed], galaxies, pixels):
        yield placed[piece.first : piece.last], piece.place
    lost = np.setdiff1d(np.arange(len(names)), known)
    for first, last in runs(sizes[lost], galaxies, pixels):
        yield lost[first:last], "position not known"


def _without_companions(files: Sequence[StampFiles]) -> list[StampFiles]:
    """Without those whose image is the PSF, say, of all."""
    others = {split_hdu(str(plane))[0] for f in files for plane in f.planes[1:] if isinstance(plane, str)}
    kept = [f for f in files if not isinstance(f.planes[0], str) or split_hdu(f.planes[0])[0] not in others]
    if not kept:
        raise InputError("no stamps: every file is named as something else", sorted(others)[:5], IMAGES)
    return kept
