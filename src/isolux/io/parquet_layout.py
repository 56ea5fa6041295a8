"""Which columns of a Parquet file hold what of a galaxy, and of what kind they are.

Columns have the names that :class:`isolux.io.source.StampSource` gives, its own where it gives none. A column may be
inside another: ``image.flux`` is the field ``flux`` of the column ``image``, a structure or, with a band each, a list
of structures or a structure of lists beside a list ``band``. That is how the Multimodal Universe has images:
``image.flux``, ``image.ivar``, ``image.mask``, ``image.psf_fwhm``, ``image.scale``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow
import pyarrow.parquet

from isolux.errors import InputError, unknown_name
from isolux.io.listing import KEYWORD
from isolux.io.patterns import split_hdu
from isolux.io.positions import NAMES
from isolux.io.source import IMAGES, NUMBERS, StampSource
from isolux.io.stamp_listing import is_number, is_text, sky_columns

Form: TypeAlias = Literal["pixels", "text", "number"]
ALIASES = {
    "image": ("flux", "image", "array"),
    "mask": ("mask", "bit_mask"),
    "pixel_scale": ("pixel_scale", "scale"),
}
"""Names of fields beside each other in a structure, where they are not those of the options."""
SMALL = ("psf", "noise_correlation")
"""Planes that have a shape of their own."""
BAND = "band"
PSF_FWHM = "psf_fwhm"


@dataclasses.dataclass(frozen=True)
class Place:
    """A column, or a field in one.

    Attributes
    ----------
    parts : tuple of str
        The column's name, and that of the field.
    form : {"pixels", "text", "number"}
        What a row has there.
    """

    parts: tuple[str, ...]
    form: Form

    @property
    def name(self) -> str:
        """As it is written."""
        return ".".join(self.parts)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where in a file everything is.

    Attributes
    ----------
    planes : mapping
        Place of each of ``IMAGES`` that is in a column.
    numbers : mapping
        Place of each of ``NUMBERS`` that is in a column; of ``psf_fwhm`` and ``mask_bad`` too.
    plain : mapping
        Columns of names (``id``) and HDUs (``image_hdu``, ...), by what they are.
    sky : (str, str), optional
        Columns of right ascension and declination.
    source : StampSource
        What is the same for all rows; it finds the rest in a table with the names of the options.
    band : int or str, optional
        Which of several bands.
    psf_fwhm : float, optional
        Arcsec, of all PSFs, where there are no images of them.
    shapes : mapping
        Place of the rows, or rows and columns, of planes that are flat lists.
    """

    planes: Mapping[str, Place]
    numbers: Mapping[str, Place]
    plain: Mapping[str, str]
    sky: tuple[str, str] | None
    source: StampSource
    band: int | str | None
    psf_fwhm: float | None = None
    shapes: Mapping[str, Place] = dataclasses.field(default_factory=dict)

    @property
    def pixels(self) -> dict[str, Place]:
        """The planes whose pixels are in the file."""
        return {name: place for name, place in self.planes.items() if place.form == "pixels"}

    @property
    def light(self) -> dict[str, Place]:
        """All but pixels."""
        texts = {name: place for name, place in self.planes.items() if place.form != "pixels"}
        return {**texts, **self.numbers}

    @property
    def heavy(self) -> list[Place]:
        """What is read with the pixels."""
        widths = [self.numbers[PSF_FWHM]] if PSF_FWHM in self.numbers else []
        return [*self.pixels.values(), *self.shapes.values(), *widths]

    @property
    def in_file(self) -> bool:
        """Whether the images themselves are in the file, not their paths."""
        return self.planes["image"].form == "pixels"


def find_layout(
    where: str,
    schema: pyarrow.Schema,
    source: StampSource,
    *,
    band: int | str | None = None,
    psf_fwhm: float | str | None = None,
    sky: tuple[str | None, str | None] = (None, None),
) -> Layout:
    """Where everything is in files of these columns.

    Parameters
    ----------
    where : str
        The catalogue, for messages.
    schema : pyarrow.Schema
        Its columns.
    source : StampSource
        Names of columns, numbers, and files for all.
    band : int or str, optional
        Name or number of the band, where there are several.
    psf_fwhm : float or str, optional
        Arcsec, or the column: for Moffat PSFs where there are no PSF images.
    sky : (str, str), optional
        Columns of positions, where the catalogue says so.

    Raises
    ------
    InputError
        If a column is not there, or does not hold what it should.
    """
    if source.id is not None and not isinstance(source.id, str):
        raise InputError(f"{where}: id is the name of a column here, not a list")
    base = _base(schema, source.image)
    found = {kind: _place_of(where, schema, kind, getattr(source, kind), base) for kind in IMAGES}
    planes = {kind: place for kind, place in found.items() if place is not None}
    if "image" not in planes:
        raise unknown_name(f"column of {where} for image", "image", schema.names)
    _check_forms(where, planes, source, base)
    numbers = _numbers(where, schema, source, base, planes)
    if "psf" not in planes and source.psf is None:
        place = _place_of(where, schema, PSF_FWHM, psf_fwhm, base)
        numbers |= {} if place is None else {PSF_FWHM: place}
    _check_numbers(where, numbers)
    plain = _plain(where, schema, source, planes)
    east, north = sky
    told = east in schema.names and north in schema.names
    return Layout(
        planes,
        numbers,
        plain,
        (str(east), str(north)) if told else sky_columns(schema.names),
        _without(source, [*planes, *plain], numbers),
        band,
        float(psf_fwhm) if isinstance(psf_fwhm, int | float) else None,
        {kind: place for kind in planes if (place := _shape_place(schema, kind, planes[kind])) is not None},
    )


def _without(source: StampSource, columns: Sequence[str], numbers: Mapping[str, Place]) -> StampSource:
    """A source that takes what is in columns from those with the names of its own options."""
    blank: dict[str, Any] = dict.fromkeys(columns) | {n: _default(n) for n in numbers if n in NUMBERS}
    if "mask_bad" in numbers:
        blank["mask_bad"] = "mask_bad"
    return dataclasses.replace(source, **blank)


def _shape_place(schema: pyarrow.Schema, kind: str, place: Place) -> Place | None:
    """Where it says how many rows a plane of flat lists has; None where it needs no saying, or nothing says it."""
    flat: Any = kind_at(schema, place.parts)
    if place.form != "pixels" or not is_list(flat) or is_list(stored(flat.value_type)):
        return None
    names = [f"{kind}_shape", f"{kind}_rows", *(() if kind in SMALL else ("shape", "rows"))]
    for parts in ((*base, name) for name in names for base in (place.parts[:-1], ())):
        found = kind_at(schema, parts)
        form = None if found is None else form_of(found)
        if form in ("pixels", "number"):
            return Place(parts, form)
    return None


def has_images(path: str | Path, image: Any = None) -> bool:
    """Whether a table is a Parquet file with images themselves in the column of images."""
    path = Path(path).expanduser()
    if path.suffix not in (".parquet", ".pq") or not path.is_file():
        return False
    try:
        schema = pyarrow.parquet.read_schema(path)
    except (OSError, pyarrow.ArrowException):
        return False
    kind = kind_at(schema, split_name(schema, image if isinstance(image, str) else "image"))
    return kind is not None and (structure(kind) is not None or form_of(kind) == "pixels")


def kind_at(schema: pyarrow.Schema, parts: Sequence[str]) -> pyarrow.DataType | None:
    """Type of what a row has in a place, for one band where there are several; None if there is no such place."""
    if parts[0] not in schema.names:
        return None
    kind = schema.field(parts[0]).type
    for part in parts[1:]:
        outer = structure(kind)
        if outer is None or outer.get_field_index(part) < 0:
            return None
        kind = outer.field(part).type
        if is_banded(outer) and is_list(kind):
            kind = kind.value_type
    return kind


def structure(kind: pyarrow.DataType) -> pyarrow.StructType | None:
    """The structure that a column has, or a list of in each row."""
    kind = kind.value_type if is_list(kind) else kind
    return kind if pyarrow.types.is_struct(kind) else None


def is_banded(kind: pyarrow.StructType) -> bool:
    """Whether a structure has a list of bands, and so a list in all other fields."""
    place = kind.get_field_index(BAND)
    return place >= 0 and is_list(kind.field(place).type)


def form_of(kind: pyarrow.DataType) -> Form | None:
    """What a type holds: pixels, text or a number; None where it is none of them."""
    if is_text(kind):
        return "text"
    if is_number(kind):
        return "number"
    inner = stored(kind)
    if not is_list(inner):
        return None
    while is_list(inner):
        inner = stored(inner.value_type)
    return "pixels" if is_number(inner) or pyarrow.types.is_boolean(inner) else None


def stored(kind: pyarrow.DataType) -> pyarrow.DataType:
    """The plain type of an extension type; others as they are."""
    return kind.storage_type if isinstance(kind, pyarrow.BaseExtensionType) else kind


def is_list(kind: pyarrow.DataType) -> bool:
    """Whether a row of a column of this type is a list."""
    types = pyarrow.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _base(schema: pyarrow.Schema, given: Any) -> tuple[str, ...]:
    """The structure that the image is in, whose other fields then are what their names say; empty if in none."""
    name = given if isinstance(given, str) else "image"
    parts = split_name(schema, name)
    if kind_at(schema, parts) is None:
        return ()
    if len(parts) > 1:
        return parts[:-1]
    return parts if structure(schema.field(parts[0]).type) is not None else ()


def split_name(schema: pyarrow.Schema, name: str) -> tuple[str, ...]:
    """A column's name, and that of a field in it behind a dot; names of columns may have dots themselves."""
    outer = [n for n in schema.names if name == n or name.startswith(n + ".")]
    if not outer:
        return (name,)
    column = max(outer, key=len)
    return (column,) if name == column else (column, *name[len(column) + 1 :].split("."))


def _place_of(
    where: str, schema: pyarrow.Schema, kind: str, given: Any, base: tuple[str, ...]
) -> Place | None:
    """The place of a plane or number; None where it is not in a column."""
    if isinstance(given, int | float):
        return None
    if given is not None and not isinstance(given, str | Path):
        raise InputError(f"{where}: {kind} is the name of a column here, not a list")
    if given is not None:
        parts = split_name(schema, str(given))
        found = kind_at(schema, parts)
        if found is not None and structure(found) is not None and kind == "image":
            parts = _field_in(schema, parts, kind) or parts
            found = kind_at(schema, parts)
        if found is None and Path(split_hdu(str(given))[0]).is_file():
            return None
        if found is None:
            raise unknown_name(f"column of {where} for {kind}", str(given), _places(schema))
    else:
        parts = (_field_in(schema, base, kind) if base else None) or (kind,)
        found = kind_at(schema, parts)
        if found is None or (base == parts and kind != "image"):
            return None
    form = form_of(found)
    if form is None:
        raise InputError(f"{where}: column {'.'.join(parts)} cannot be used for {kind}", str(found))
    return Place(parts, form)


def _field_in(schema: pyarrow.Schema, base: tuple[str, ...], kind: str) -> tuple[str, ...] | None:
    names = ALIASES.get(kind, (kind,))
    return next(((*base, name) for name in names if kind_at(schema, (*base, name)) is not None), None)


def _places(schema: pyarrow.Schema) -> list[str]:
    names = list(schema.names)
    for field in schema:
        outer = structure(field.type)
        if outer is not None:
            names += [f"{field.name}.{inner.name}" for inner in outer]
    return names


def _check_forms(where: str, planes: Mapping[str, Place], source: StampSource, base: tuple[str, ...]) -> None:
    if planes["image"].form == "number":
        raise InputError(
            f"{where}: column {planes['image'].name} has one number a row; images are lists, or paths"
        )
    mask = planes.get("mask")
    if mask is not None and source.mask is None and base and source.mask_bad is None:
        raise InputError(
            f"{where}: which values of {mask.name} are bad? Give mask_bad: 0 where good pixels are marked, as in"
            " the Multimodal Universe, 1 where bad ones are"
        )


def _numbers(
    where: str,
    schema: pyarrow.Schema,
    source: StampSource,
    base: tuple[str, ...],
    planes: Mapping[str, Place],
) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for name in NUMBERS:
        given = getattr(source, name)
        if isinstance(given, str) and kind_at(schema, split_name(schema, given)) is None:
            if KEYWORD.fullmatch(given) and planes["image"].form == "text":
                continue
            raise unknown_name(f"column of {where} for {name}", given, _places(schema))
        place = _place_of(where, schema, name, None if given == _default(name) else given, base)
        if place is not None:
            found[name] = place
    if isinstance(source.mask_bad, str):
        place = _place_of(where, schema, "mask_bad", source.mask_bad, ())
        found |= {} if place is None else {"mask_bad": place}
    return found


def _check_numbers(where: str, numbers: Mapping[str, Place]) -> None:
    for name, place in numbers.items():
        if place.form != "number":
            raise InputError(f"{where}: column {place.name} for {name} does not hold numbers")


def _plain(
    where: str, schema: pyarrow.Schema, source: StampSource, planes: Mapping[str, Place]
) -> dict[str, str]:
    """Columns of names and HDUs."""
    known = {name.lower(): name for name in reversed(schema.names)}
    name = source.id or next((known[n] for n in NAMES if n in known), None)
    if source.id is not None and source.id not in schema.names:
        raise unknown_name(f"column of {where} for id", str(source.id), schema.names)
    found = {} if name is None else {"id": str(name)}
    for kind in planes:
        given = getattr(source, f"{kind}_hdu")
        column = f"{kind}_hdu" if given is None else str(given)
        if column in schema.names:
            found[f"{kind}_hdu"] = column
    return found


def _default(name: str) -> Any:
    return getattr(StampSource, name)
