"""A Parquet or HATS catalogue as an input, a row a galaxy, with the images themselves or their paths in its columns.

Parts are neighbouring rows of a file, in the catalogue's order; that of HATS is the sky's. A plan is made from the
footers of the files and the columns that are no images, a span of rows at a time, so that its memory does not grow
with the catalogue. A worker reads the row groups that its part lies in. Where images are in the file a part's limit of
pixels holds for the mean of a row group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pyarrow

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.io.hats_catalogue import CatalogueFile, CatalogueFiles, check_same, find_catalogue, read_schema
from isolux.io.parquet_bands import LOOKED_AT, check_band
from isolux.io.parquet_layout import BAND, Layout, find_layout
from isolux.io.parquet_rows import fields_of, leaves, pixels_a_row, read_rows, spans_of, stream_spans
from isolux.io.parquet_stamps import check_planes, plain_files, with_pixels
from isolux.io.source import StampFiles, StampSource
from isolux.io.stamp_listing import (
    Seen,
    carried_columns,
    chosen_columns,
    files_listed,
    listed_columns,
    listing_of_stamps,
    look_at,
    positions_of,
    stamps_listed,
)
from isolux.io.stamps import READERS
from isolux.io.stream import Size
from isolux.survey.fitting import Portion, StampFitting
from isolux.survey.model_columns import model_columns
from isolux.survey.part import Part
from isolux.survey.sky_parts import runs
from isolux.survey.stamps import describe_source, portions_of, seen_pixels


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CatalogueInput(StampFitting):
    """Galaxies that are rows of a Parquet file, of a folder of them, or of a HATS catalogue.

    Attributes
    ----------
    path : str
        The file or folder.
    source : StampSource
        Names of columns (``image.flux`` is a field in one), numbers, or files for all; ``table`` is of no account.
    carry : tuple of str
        Columns that go into the catalogue; those named ``truth_...`` do in any case.
    band : int or str, optional
        Which of several bands, by number or name.
    psf_fwhm : float or str, optional
        Full width at half maximum in arcsec, or the column that has it, of Moffat PSFs where there are no images.
    """

    kind: ClassVar[str] = "catalogue"
    path: str
    source: StampSource
    carry: tuple[str, ...] = ()
    band: int | str | None = None
    psf_fwhm: float | str | None = None

    def describe(self) -> Mapping[str, Any]:
        """All that decides over the result."""
        own = {
            "catalogue": self.path,
            "carry": list(self.carry),
            "band": self.band,
            "psf_fwhm": self.psf_fwhm,
        }
        given = {name: value for name, value in describe_source(self.source).items() if name != "table"}
        return {"input": given | own, **self.describe_fit()}

    def plan(self, galaxies: int, pixels: int) -> Iterator[Part]:
        """Parts of neighbouring rows of a file."""
        found = find_catalogue(self.path)
        schema, _ = read_schema(found.files[0].path)
        layout = self.layout(schema, found)
        chosen = chosen_columns(self.path, schema, model_columns(self.scene, self.options), self.carry)
        filled = _check_files(found, schema, _used(layout, chosen))
        if not filled:
            raise InputError(f"{self.path}: no galaxies in it")
        cutter = _Cutter(self.path, found, layout, chosen, _bands(self.path, filled[0].path, layout))
        for file in filled:
            yield from cutter.parts(file, galaxies, pixels)

    def layout(self, schema: pyarrow.Schema, found: CatalogueFiles | None = None) -> Layout:
        """Where everything is in a file of these columns."""
        sky = (None, None) if found is None else (found.ra, found.dec)
        return find_layout(self.path, schema, self.source, band=self.band, psf_fwhm=self.psf_fwhm, sky=sky)

    def files(self, part: Part) -> Sequence[str]:
        """The file of the catalogue, and those of images."""
        return [*part.listing["file"].unique().to_pylist(), *files_listed(part.listing)]

    def portions(self, part: Part) -> Iterator[Portion]:
        """The stamps, in groups of similar size."""
        files, sizes = stamps_listed(part.listing)
        paths = np.array(part.listing["file"].to_pylist(), dtype=object)
        rows = part.listing["row"].to_numpy()
        for path in dict.fromkeys(paths.tolist()):
            here = np.flatnonzero(paths == path)
            self._read(path, rows[here], here.tolist(), files, sizes)
        yield from portions_of(self, self.source, part.listing, files, sizes)

    def carried(self, part: Part) -> Rows | None:
        """Columns of the catalogue, and the position."""
        return carried_columns(part.listing)

    def _read(
        self,
        path: str,
        rows: np.ndarray,
        here: Sequence[int],
        files: list[StampFiles],
        sizes: list[Size | None],
    ) -> None:
        """Put the pixels that a file has of some rows into ``files``, at the places ``here``."""
        waiting = set(here)
        try:
            schema, footer = read_schema(path)
            layout = self.layout(schema)
            if not layout.heavy:
                return
            columns = list(leaves(footer, fields_of(layout.heavy)))
            for places, batch in read_rows(path, columns, rows):
                numbers = [here[k] for k in places]
                for k, one in zip(
                    numbers, with_pixels(layout, batch, [files[k] for k in numbers]), strict=True
                ):
                    files[k] = one
                    image = one.planes[0]
                    sizes[k] = image.shape if isinstance(image, np.ndarray) else sizes[k]
                waiting.difference_update(numbers)
        except (InputError, OSError, pyarrow.ArrowException) as error:
            for k in waiting:
                fault = f"galaxy {files[k].id}: {str(error).splitlines()[0]}"
                files[k] = dataclasses.replace(files[k], planes=(None,) * len(files[k].planes), fault=fault)


@dataclasses.dataclass(frozen=True)
class _Cutter:
    """What all files of a catalogue have in common when they are cut into parts."""

    where: str
    found: CatalogueFiles
    layout: Layout
    chosen: Mapping[str, str]
    bands: int

    def parts(self, file: CatalogueFile, galaxies: int, pixels: int) -> Iterator[Part]:
        """The parts of a file."""
        _, footer = read_schema(file.path)
        image = self.layout.planes["image"]
        groups = pixels_a_row(footer, image, self.bands)
        if not self.layout.in_file:
            groups = [(rows, 0) for rows, _ in groups]
        each = np.repeat([size for _, size in groups], [rows for rows, _ in groups])
        plain = [(name,) for name in _used(self.layout, self.chosen, light=True)]
        columns = list(leaves(footer, [*fields_of(list(self.layout.light.values())), *plain]))
        spans = spans_of(groups, galaxies, pixels)
        for (first, last), table in zip(spans, stream_spans(file.path, columns, spans), strict=True):
            seen = self._seen(plain_files(self.layout, table, self.found.root, file.name, first))
            sizes = each[first:last] if self.layout.in_file else seen_pixels(seen)
            listing = self._listing(file, table, seen, first)
            for a, b in runs(sizes, galaxies, pixels):
                place = f"{file.name}, rows {first + a} to {first + b - 1}"
                yield Part(listing.slice(a, b - a), int(sizes[a:b].sum()), place)

    def _seen(self, files: Sequence[StampFiles]) -> list[Seen]:
        if any(isinstance(plane, str) for one in files for plane in one.planes):
            return look_at(files, places=self.layout.sky is None)
        return [Seen(one, None) for one in files]

    def _listing(self, file: CatalogueFile, table: pyarrow.Table, seen: Sequence[Seen], first: int) -> Rows:
        count = len(table)
        more = pyarrow.table(
            {
                "file": pyarrow.array([file.path] * count, pyarrow.string()),
                "row": pyarrow.array(np.arange(first, first + count)),
            }
        )
        chosen = listed_columns(table, self.chosen)
        for field in chosen.schema:
            more = more.append_column(field, chosen[field.name])
        if self.layout.sky is None:
            ra, dec = (np.array([getattr(one, name) for one in seen], float) for name in ("ra", "dec"))
        else:
            ra, dec = positions_of(self.where, table, self.layout.sky)
        return listing_of_stamps(seen, ra, dec, more)


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
