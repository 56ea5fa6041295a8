"""Survey images as an input: a part is a field, which is measured as :func:`isolux.measure_field` does it.

    headers of all images                  columns that all share, which fields overlap, their order on the sky
    a worker: read, measure, write maps    rows, with ``primary`` for the one row of a source that several fields show

A part is read and measured by itself, by one process on one core; nothing that its size decides stays behind.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from isolux.errors import InputError, unknown_name
from isolux.field.cutouts import lost_light, trimmed
from isolux.field.image import FieldImage
from isolux.field.options import FieldOptions
from isolux.io.catalogue import Rows
from isolux.io.field_image import read_field
from isolux.io.field_listing import list_fields
from isolux.io.field_rows import columns_of, conformed, field_rows
from isolux.io.field_source import FieldSource
from isolux.io.positions import Positions, read_positions
from isolux.io.rows import rows_from, text_of
from isolux.measure_field import MeasuredImage, measure_image, plain_name
from isolux.options import RunOptions
from isolux.priors import priors_from
from isolux.survey.field_columns import example
from isolux.survey.field_pictures import draw_portraits, write_maps
from isolux.survey.field_plan import Plan, look_at
from isolux.survey.field_sky import Footprint, from_text, primary, to_text
from isolux.survey.field_truth import add_truth
from isolux.survey.part import Input, Measured, Part
from isolux.task import cpu_threads

TEXTS = ("image", "planes", "also", "reading", "shared", "around", "files", "fault")
"""Columns of a listing beside the field's name; all but the first and last are JSON."""
BESIDE = ("weight", "mask")
"""Files that are read with the image."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FieldsInput(Input):
    """Fields, each measured as a whole.

    Attributes
    ----------
    source : FieldSource
        Where they are.
    options : FieldOptions
        How each is measured; ``workers`` is of no account, and a ``device`` of ``auto`` is a GPU where there is one.
    maps : str, optional
        Folder for maps of residuals and models, a folder a field; none are written where left out.
    portraits : int
        Galaxies whose images are kept for the report, of each field that is asked for portraits.

    Raises
    ------
    InputError
        If the number of portraits is negative.
    """

    kind: ClassVar[str] = "fields"
    divisible: ClassVar[bool] = False
    source: FieldSource
    options: FieldOptions = dataclasses.field(default_factory=FieldOptions)
    maps: str | None = None
    portraits: int = 0

    def __post_init__(self) -> None:
        if self.portraits < 0:
            raise InputError("portraits of each field", self.portraits, "0 or more")

    def describe(self) -> Mapping[str, Any]:
        """All that decides over the rows."""
        names = [f.name for f in dataclasses.fields(FieldOptions) if f.name not in ("workers", "device")]
        return {
            "input": self.source.described(),
            "field": {name: _described(getattr(self.options, name)) for name in names},
        }

    def plan(self, galaxies: int, pixels: int) -> Iterator[Part]:
        """A part a field, neighbours on the sky one after the other; the limits do not cut fields.

        Raises
        ------
        InputError
            If fields would have different columns: with and without a WCS, or of different bands.
        """
        found = look_at(list_fields(self.source), self.source)
        self._columns(found.bands, found.sky, found.truth)
        with ThreadPoolExecutor() as pool:
            files = dict(
                zip(found.order, pool.map(lambda name: found.files[name].paths(), found.order), strict=True)
            )
        for name in found.order:
            yield Part(self._listing(found, name, files[name]), found.pixels(name), found.place(name))

    def files(self, part: Part) -> Sequence[str]:
        """All files of the field that were there when the survey was planned."""
        return [path for text in text_of(part.listing, "files") for path in json.loads(text)]

    def measure(self, part: Part, portraits: frozenset[str]) -> Measured:
        """Measure a field.

        Parameters
        ----------
        part : Part
            The field.
        portraits : frozenset of str
            Names of fields of which portraits are wanted; which of its galaxies have one is chosen here.

        Raises
        ------
        InputError
            If the field cannot be read.
        """
        try:
            return self._measure(part, portraits)
        finally:
            # They keep PSFs of fields that are done with.
            lost_light.cache_clear()
            trimmed.cache_clear()

    def lost(self, part: Part, reason: str) -> Rows:
        """Nothing: a field that ends its process has no rows.

        Raises
        ------
        InputError
            Always, with the reason.
        """
        raise InputError(f"field {text_of(part.listing, 'id')[0]}: {reason}")

    def _measure(self, part: Part, portraits: frozenset[str]) -> Measured:
        name = text_of(part.listing, "id")[0]
        given: dict[str, Any] = {key: text_of(part.listing, key)[0] for key in TEXTS}
        if given["fault"]:
            raise InputError(given["fault"])
        given |= {key: json.loads(given[key]) for key in ("planes", "also", "reading")}
        shared = json.loads(given["shared"])
        field, others = self._images(given, shared["bands"])
        positions = _inside(given["planes"].get("positions"), field)
        device = str(RunOptions(device=self.options.device).torch_device)
        began = time.perf_counter()
        with cpu_threads(1):
            found = measure_image(
                field,
                psf=given["planes"].get("psf"),
                psf_oversampling=self.source.psf_oversampling,
                psf_includes_pixel=self.source.psf_includes_pixel,
                positions=None if positions is None else positions[0],
                also=others,
                degrees=self.source.degrees,
                hold=self.source.hold,
                options=dataclasses.replace(self.options, workers=1, device=device),
            )
        seconds = time.perf_counter() - began
        rows = self._rows(name, found, from_text(given["around"]), given["planes"].get("truth", ""), shared)
        if self.maps is not None:
            write_maps(self.maps, name, found)
        shown = draw_portraits(found.measured, rows, self.portraits if name in portraits else 0)
        remarks = (*found.remarks, *(() if positions is None else positions[1]))
        return Measured(rows, seconds, shown, tuple(dict.fromkeys(remarks)))

    def _images(self, given: Mapping[str, Any], bands: Sequence[str]) -> tuple[FieldImage, list[FieldImage]]:
        """The image and those of further bands, with the names of bands that all fields have."""
        maps = {kind: given["planes"][kind] for kind in BESIDE if kind in given["planes"]}
        field = read_field(given["image"], **maps, **given["reading"])
        if not given["also"]:
            return field, []
        others = [read_field(path, band=band) for path, band in zip(given["also"], bands[1:], strict=True)]
        return dataclasses.replace(field, band=bands[0]), others

    def _rows(
        self,
        name: str,
        found: MeasuredImage,
        around: Sequence[Footprint],
        truth: str,
        shared: Mapping[str, Any],
    ) -> Rows:
        """The rows of a field with the columns of all."""
        table, field = found.table, found.measured.field
        best = np.ones(len(table), bool)
        if "ra" in table.colnames and around:
            best = primary(name, around, table["ra"].value, table["dec"].value)
        if shared["truth"]:
            bands = shared["bands"] or [plain_name(field.band)]
            fwhm = 0.0 if found.measured.psf is None else found.measured.psf.fwhm
            add_truth(table, truth, bands, (table["x"].value, table["y"].value), fwhm)
        rows = field_rows(table, name, best, field.zero_point, field.pixel_scale)
        try:
            return conformed(rows, self._columns(shared["bands"], shared["sky"], shared["truth"]))
        except InputError as error:
            raise InputError(f"field {name}: {error}") from None

    def _columns(self, bands: Sequence[str], sky: bool, truth: bool) -> Any:
        """The columns that all fields have."""
        priors = self.options.priors
        options = dataclasses.replace(
            self.options, priors=priors if isinstance(priors, str) else tuple(priors), workers=1, device="cpu"
        )
        return _columns(options, tuple(bands), sky, truth, tuple(sorted((self.source.degrees or {}).items())))

    @staticmethod
    def _listing(found: Plan, name: str, files: Sequence[str]) -> Rows:
        field = found.files[name]
        values = {
            "image": field.image,
            "planes": json.dumps(field.planes),
            "also": json.dumps(field.also),
            "reading": json.dumps(field.reading),
            "shared": json.dumps({"bands": found.bands, "sky": found.sky, "truth": found.truth}),
            "around": to_text(found.around(name)),
            "files": json.dumps(list(files)),
            "fault": found.faults.get(name, ""),
        }
        return rows_from(
            {"id": np.array([name])} | {key: np.array([values[key]], dtype=str) for key in TEXTS}
        )


@lru_cache(maxsize=4)
def _columns(
    options: FieldOptions,
    bands: tuple[str, ...],
    sky: bool,
    truth: bool,
    degrees: tuple[tuple[str, int], ...],
) -> Any:
    with cpu_threads(1):
        table = example(options, bands, sky, dict(degrees))
    if truth:
        add_truth(table, "", bands, (np.zeros(1), np.zeros(1)), 0.0)
    return columns_of(field_rows(table, "field", np.ones(1, bool), 0.0, 1.0))


def _inside(path: str | None, field: FieldImage) -> tuple[Positions, tuple[str, ...]] | None:
    """The positions of a table that are on the image, and a remark on how many are not."""
    if path is None:
        return None
    found = read_positions(path, field)
    rows, columns = field.shape
    here = np.flatnonzero(
        (found.x >= -0.5) & (found.x < columns - 0.5) & (found.y >= -0.5) & (found.y < rows - 0.5)
    )
    kept = Positions(tuple(found.id[k] for k in here), found.x[here], found.y[here])
    away = len(found.id) - len(here)
    return kept, ((f"{away} of {len(found.id)} positions are not on the image",) if away else ())


def _described(value: Any) -> Any:
    """An option as a plain value."""
    if isinstance(value, list | tuple):
        return [
            one if isinstance(one, str) else f"{type(one).__name__}({one.label}, {one.given})"
            for one in value
        ]
    return value


def fields_input(
    table: Mapping[str, Any], folder: Path, options: FieldOptions, maps: str | None = None, portraits: int = 0
) -> FieldsInput:
    """The input that a run file's ``[input]`` with the key ``fields`` describes.

    Parameters
    ----------
    table : mapping
        The fields of :class:`isolux.io.field_source.FieldSource`.
    folder : Path
        What its paths are relative to.
    options : FieldOptions
        How fields are measured.
    maps, portraits
        Of :class:`FieldsInput`.

    Raises
    ------
    InputError
        For an unknown key, with the nearest known one, or a value that cannot be.
    """
    known = [f.name for f in dataclasses.fields(FieldSource) if f.name != "folder"]
    for name in table:
        if name not in known:
            raise unknown_name("key of [input] with fields", name, known)
    return FieldsInput(
        source=FieldSource(**table, folder=str(folder)), options=options, maps=maps, portraits=portraits
    )


def field_options(table: Mapping[str, Any]) -> FieldOptions:
    """The options that a run file's ``[field]`` describes.

    Raises
    ------
    InputError
        For an unknown key, with the nearest known one, or a value that cannot be.
    """
    values = dict(table)
    for name in ("workers", "device"):
        if name in values:
            raise InputError(f"{name} belongs to [cluster] here, not to [field]")
    if isinstance(values.get("priors"), list | tuple):
        values["priors"] = priors_from(values["priors"])
    return FieldOptions.from_dict(values)
