"""A Parquet or HATS catalogue of galaxies: listings of spans of its rows, and the pixels of some rows.

Listings are made from the footers of the files and the columns that are no images, a span of rows at a time, so that
memory does not grow with the catalogue. Pixels are read from the row groups that the rows are in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import pyarrow

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.io.hats_catalogue import CatalogueFile, CatalogueFiles, check_same, find_catalogue, read_schema
from isolux.io.parquet_bands import LOOKED_AT, check_band
from isolux.io.parquet_layout import BAND, Layout, find_layout
from isolux.io.parquet_rows import fields_of, leaves, pixels_a_row, read_rows, spans_of, stream_spans
from isolux.io.parquet_stamps import check_planes, plain_files, with_pixels
from isolux.io.source import IMAGES, StampFiles, StampSource
from isolux.io.stamp_listing import (
    Seen,
    chosen_columns,
    listed_columns,
    listing_of_stamps,
    look_at,
    positions_of,
)
from isolux.io.stamps import READERS
from isolux.io.stream import Size


@dataclasses.dataclass(frozen=True)
class ParquetCatalogue:
    """Where a catalogue is, and what its columns are for.

    Attributes
    ----------
    path : str
        A Parquet file, a folder of them, or a HATS catalogue.
    source : StampSource
        Names of columns, numbers, or files for all.
    band : int or str, optional
        Which of several bands.
    psf_fwhm : float or str, optional
        Arcsec, or the column, where there are no images of PSFs.
    """

    path: str
    source: StampSource
    band: int | str | None = None
    psf_fwhm: float | str | None = None

    def layout(self, schema: pyarrow.Schema, found: CatalogueFiles | None = None) -> Layout:
        """Where everything is in a file of these columns."""
        sky = (None, None) if found is None else (found.ra, found.dec)
        return find_layout(self.path, schema, self.source, band=self.band, psf_fwhm=self.psf_fwhm, sky=sky)

    def open(self, starts: Sequence[str], carry: Sequence[str]) -> OpenCatalogue:
        """The catalogue with all its files looked at.

        Parameters
        ----------
        starts : sequence of str
            Columns that the model needs.
        carry : sequence of str
            Columns that are to be carried over.

        Raises
        ------
        InputError
            If files are missing or cannot be read, differ in their columns or lack what is needed, or have no rows.
        """
        found = find_catalogue(self.path)
        schema, _ = read_schema(found.files[0].path)
        layout = self.layout(schema, found)
        chosen = chosen_columns(self.path, schema, starts, carry)
        filled = _check_files(found, schema, _used(layout, chosen))
        if not filled:
            raise InputError(f"{self.path}: no galaxies in it")
        bands = _bands(self.path, filled[0].path, layout)
        return OpenCatalogue(self.path, found.root, filled, layout, chosen, bands)

    def put_pixels(self, listing: Rows, files: list[StampFiles], sizes: list[Size | None]) -> None:
        """Put the pixels that are in the catalogue into ``files``; what cannot be read is a fault."""
        paths = np.array(listing["file"].to_pylist(), dtype=object)
        rows = listing["row"].to_numpy()
        for path in dict.fromkeys(paths.tolist()):
            waiting = dict(
                zip(np.flatnonzero(paths == path).tolist(), rows[paths == path].tolist(), strict=True)
            )
            try:
                self._put(str(path), waiting, files, sizes)
            except (InputError, OSError, pyarrow.ArrowException) as error:
                for k in waiting:
                    fault = f"galaxy {files[k].id}: {str(error).splitlines()[0]}"
                    files[k] = dataclasses.replace(files[k], planes=(None,) * len(IMAGES), fault=fault)

    def _put(
        self, path: str, waiting: dict[int, int], files: list[StampFiles], sizes: list[Size | None]
    ) -> None:
        """Take the galaxies that have been read out of ``waiting``, their row by their place."""
        schema, footer = read_schema(path)
        layout = self.layout(schema)
        if not layout.heavy:
            return
        columns = list(leaves(footer, fields_of(layout.heavy)))
        here = list(waiting)
        for places, batch in read_rows(path, columns, np.array(list(waiting.values()), np.int64)):
            numbers = [here[k] for k in places.tolist()]
            read = with_pixels(layout, batch, [files[k] for k in numbers])
            for k, one in zip(numbers, read, strict=True):
                files[k] = one
                image = one.planes[0]
                sizes[k] = (image.shape[0], image.shape[1]) if isinstance(image, np.ndarray) else sizes[k]
                del waiting[k]


@dataclasses.dataclass(frozen=True)
class Span:
    """Neighbouring rows of a file.

    Attributes
    ----------
    listing : Rows
        As :func:`isolux.io.stamp_listing.listing_of_stamps` makes it, with the columns ``file`` and ``row``.
    sizes : numpy.ndarray
        (galaxy,): pixels of stamps; where images are in the file, the mean of their row group.
    name : str
        Of the file.
    first : int
        Number of the first row.
    """

    listing: Rows
    sizes: np.ndarray
    name: str
    first: int


@dataclasses.dataclass(frozen=True)
class OpenCatalogue:
    """A catalogue whose files all have the same columns.

    Attributes
    ----------
    where, root : str
        Its path, and the folder that relative paths in it begin at.
    files : sequence of CatalogueFile
        Those with rows.
    layout : Layout
        Where everything is.
    chosen : mapping
        Columns that are copied into listings, by their names there.
    bands : int
        Of each image.
    """

    where: str
    root: str
    files: Sequence[CatalogueFile]
    layout: Layout
    chosen: Mapping[str, str]
    bands: int

    def spans(self, galaxies: int, pixels: int) -> Iterator[Span]:
        """All rows, in spans of at most so many galaxies and, where images are in the file, pixels."""
        light = fields_of(list(self.layout.light.values()))
        plain = [(name,) for name in _used(self.layout, self.chosen, light=True)]
        for file in self.files:
            _, footer = read_schema(file.path)
            groups = pixels_a_row(footer, self.layout.planes["image"], self.bands)
            if not self.layout.in_file:
                groups = [(rows, 0) for rows, _ in groups]
            ends, each = np.cumsum([rows for rows, _ in groups]), np.array([size for _, size in groups])
            spans = spans_of(groups, galaxies, pixels)
            tables = stream_spans(file.path, list(leaves(footer, [*light, *plain])), spans)
            for (first, last), table in zip(spans, tables, strict=True):
                seen = self._seen(plain_files(self.layout, table, self.root, file.name, first))
                mean = each[np.searchsorted(ends, np.arange(first, last), side="right")]
                sizes = mean if self.layout.in_file else seen_pixels(seen)
                yield Span(self._listing(file, table, seen, first), sizes, file.name, first)

    def _seen(self, files: Sequence[StampFiles]) -> list[Seen]:
        if any(isinstance(plane, str) for one in files for plane in one.planes):
            return look_at(files, places=self.layout.sky is None)
        return [Seen(one, None) for one in files]

    def _listing(self, file: CatalogueFile, table: Rows, seen: Sequence[Seen], first: int) -> Rows:
        count = len(table)
        paths = pyarrow.array([file.path] * count, pyarrow.string())
        more = pyarrow.table({"file": paths, "row": pyarrow.array(np.arange(first, first + count))})
        chosen = listed_columns(table, self.chosen)
        for field in chosen.schema:
            more = more.append_column(field, chosen[field.name])
        if self.layout.sky is None:
            ra, dec = (np.array([getattr(one, name) for one in seen], float) for name in ("ra", "dec"))
        else:
            ra, dec = positions_of(self.where, table, self.layout.sky)
        return listing_of_stamps(seen, ra, dec, more)


def seen_pixels(seen: Sequence[Seen]) -> np.ndarray:
    """Pixels (galaxy,) of stamps; none where the image cannot be read."""
    return np.array([0 if one.size is None else prod(one.size) for one in seen], np.int64)


def _used(layout: Layout, chosen: Mapping[str, str], light: bool = False) -> list[str]:
    """Columns of a catalogue that are read; of its names, positions and what is copied alone if ``light``."""
    names = [*layout.plain.values(), *(layout.sky or ()), *chosen.values()]
    if not light:
        places = [*layout.planes.values(), *layout.numbers.values(), *layout.shapes.values()]
        names += [place.parts[0] for place in places]
    return list(dict.fromkeys(names))


def _check_files(found: CatalogueFiles, schema: pyarrow.Schema, used: Sequence[str]) -> list[CatalogueFile]:
    """The files that have rows; all must have the same columns."""
    first = found.files[0].path

    def rows(file: CatalogueFile) -> int:
        columns, footer = read_schema(file.path)
        check_same(first, schema, file.path, columns, used)
        return footer.num_rows

    with ThreadPoolExecutor(READERS, "isolux-footers") as pool:
        counts = list(pool.map(rows, found.files))
    return [file for file, count in zip(found.files, counts, strict=True) if count]


def _bands(where: str, path: str, layout: Layout) -> int:
    """Bands of each image, by the first rows of a file."""
    place = layout.planes["image"]
    _, footer = read_schema(path)
    few = np.arange(min(footer.num_rows, LOOKED_AT))
    if len(place.parts) > 1:
        columns = list(leaves(footer, [(*place.parts[:-1], BAND)]) or leaves(footer, [place.parts]))
        names = pyarrow.Table.from_batches([batch for _, batch in read_rows(path, columns, few)])
        return check_band(where, names.combine_chunks(), layout)
    if place.form == "pixels":
        _, batch = next(read_rows(path, list(leaves(footer, [place.parts])), few[:1]))
        return check_planes(where, batch, layout)
    return 1
