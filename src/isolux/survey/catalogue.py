"""A Parquet or HATS catalogue as an input, a row a galaxy, with the images themselves or their paths in its columns.

Parts are neighbouring rows of a file, in the catalogue's order; that of HATS is the sky's. Where images are in the file
a part's limit of pixels holds for the mean of a row group. Row groups of no more rows than a part has are read fastest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from isolux.io.catalogue import Rows
from isolux.io.parquet_catalogue import ParquetCatalogue
from isolux.io.source import StampSource
from isolux.io.stamp_listing import carried_columns, files_listed, stamps_listed
from isolux.survey.fitting import Portion, StampFitting
from isolux.survey.model_columns import model_columns
from isolux.survey.part import Part
from isolux.survey.sky_parts import runs
from isolux.survey.stamps import describe_source, portions_of


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

    @property
    def catalogue(self) -> ParquetCatalogue:
        """The files and their columns."""
        return ParquetCatalogue(self.path, self.source, self.band, self.psf_fwhm)

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
        opened = self.catalogue.open(model_columns(self.scene, self.options), self.carry)
        for span in opened.spans(galaxies, pixels):
            for a, b in runs(span.sizes, galaxies, pixels):
                place = f"{span.name}, rows {span.first + a} to {span.first + b - 1}"
                yield Part(span.listing.slice(a, b - a), int(span.sizes[a:b].sum()), place)

    def files(self, part: Part) -> Sequence[str]:
        """The file of the catalogue, and those of images."""
        return [*part.listing["file"].unique().to_pylist(), *files_listed(part.listing)]

    def portions(self, part: Part) -> Iterator[Portion]:
        """The stamps, in groups of similar size."""
        files, sizes = stamps_listed(part.listing)
        self.catalogue.put_pixels(part.listing, files, sizes)
        yield from portions_of(self, self.source, part.listing, files, sizes)

    def carried(self, part: Part) -> Rows | None:
        """Columns of the catalogue, and the position."""
        return carried_columns(part.listing)
