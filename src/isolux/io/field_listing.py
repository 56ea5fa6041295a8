"""The files and numbers of each field of a survey, before an image is opened."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from isolux.errors import InputError
from isolux.io.field_planes import list_planes
from isolux.io.field_source import PLANES, READING, FieldSource, checked_weight_type
from isolux.io.patterns import Files, find_files, split_hdu, stem
from isolux.io.tables import FORMATS, plain_column, read_table

NAMES = ("field", "id", "name")
"""Columns of a table that may name its fields."""
IMAGES = (".fits", ".fit", ".fts", ".fits.fz", ".fits.gz", ".fits.bz2")
"""Endings of images in a folder."""
BESIDE = (
    *("weight", "ivar", "variance", "sigma", "rms", "mask", "flag", "flags", "psf", "defects", "noiseless"),
    *("truth", "catalogue", "segmentation", "background", "model", "residual", "noise_correlation"),
)
"""What follows the name of a field in the names of files that are no fields."""
COMPANIONS = {
    "weight": ("_weight", "_ivar", "_variance", "_sigma", "_rms"),
    "mask": ("_mask", "_flag", "_flags"),
    "psf": (".psf", "_psf"),
}


@dataclasses.dataclass(frozen=True)
class FieldFiles:
    """What belongs to one field.

    Attributes
    ----------
    name : str
        Of the field.
    image : str
        Path, with its HDU if one is named.
    planes : dict
        Paths by the names of ``PLANES``; those that there are.
    also : tuple of str
        Images in further bands.
    reading : dict
        Arguments of :func:`isolux.io.field_image.read_field` by name; those that are given.
    fault : str
        Why it cannot be measured; empty if nothing is known to be wrong.
    """

    name: str
    image: str
    planes: dict[str, str]
    also: tuple[str, ...] = ()
    reading: dict[str, Any] = dataclasses.field(default_factory=dict)
    fault: str = ""

    def paths(self) -> list[str]:
        """Files that are there, without HDUs."""
        given = [split_hdu(path)[0] for path in (self.image, *self.planes.values(), *self.also)]
        packed = (
            next((p + e for e in ("", ".gz", ".fz", ".bz2") if Path(p + e).is_file()), "") for p in given
        )
        return list(dict.fromkeys(path for path in packed if path))


def list_fields(source: FieldSource) -> list[FieldFiles]:
    """All fields of a survey in the order of their names; looks at folders and the table, opens no image.

    Raises
    ------
    InputError
        If a pattern matches nothing, a list is too short, there is no field, or names repeat in a table.
    """
    given = source.fields
    if isinstance(given, str | Path):
        path = Path(source.folder) / Path(given).expanduser()
        if path.is_dir():
            found = _from_folder(source, path)
        elif path.is_file() and is_table(path):
            found = _from_table(source, path)
        else:
            found = _from_paths(source)
    else:
        found = _from_paths(source)
    if not found:
        raise InputError(f"{given}: no fields in it")
    return sorted(found, key=lambda field: field.name)


def is_table(path: Path) -> bool:
    """Whether a file is a table and no image."""
    kind = FORMATS.get(path.suffix.lower())
    if kind != "fits":
        return kind is not None
    try:
        list_planes(path)
    except InputError:
        try:
            return len(read_table(path)) >= 0
        except InputError:
            return False
    return False


def unique_names(paths: Sequence[str]) -> list[str]:
    """Names of fields: those of their files, with as many folders in front as tell them apart."""
    parts = [(*Path(split_hdu(path)[0]).parent.parts, stem(path) or "field") for path in paths]
    deepest = max((len(p) for p in parts), default=1)
    names = [p[-1] for p in parts]
    for depth in range(2, deepest + 1):
        repeated = {name for name, count in Counter(names).items() if count > 1}
        if not repeated:
            return names
        names = [
            "_".join(p[-depth:]).lstrip("/_") if n in repeated else n
            for n, p in zip(names, parts, strict=True)
        ]
    seen: Counter[str] = Counter()
    taken = set(names)
    for k, name in enumerate(names):
        seen[name] += 1
        while seen[name] > 1 and f"{name}-{seen[name]}" in taken:
            seen[name] += 1
        names[k] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return names


def _reading(source: FieldSource, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Arguments of the reader, from the source and from a row of a table."""
    given = (
        {name: getattr(source, name) for name in READING} | {"band": source.first_band} | dict(values or {})
    )
    checked_weight_type(given["weight_type"])
    if isinstance(given["hdu"], float) and given["hdu"].is_integer():
        given["hdu"] = int(given["hdu"])
    return {name: value for name, value in given.items() if value is not None}


def _from_paths(source: FieldSource) -> list[FieldFiles]:
    images = _found(source, "fields", source.fields)
    others = {kind: _found(source, kind, getattr(source, kind)) for kind in PLANES}
    further = [_found(source, "also", one) for one in source.also]
    claimed = {path for files in (*others.values(), *further) for path in files.matched.values()}
    if images.listed is not None:
        pairs = [(str(k), str(path)) for k, path in enumerate(images.listed)]
    else:
        every = dict(images.matched) or {"": str(images.shared)}
        pairs = [(key, path) for key, path in every.items() if path not in claimed]
    keys, paths = [key for key, _ in pairs], [path for _, path in pairs]
    for kind, files in (*others.items(), *(("also", files) for files in further)):
        if files.listed is not None and (images.listed is None or len(files.listed) != len(keys)):
            raise InputError(f"{kind} is a list of {len(files.listed)}, so fields must be a list as long")
    reading, found = _reading(source), []
    for k, (key, name) in enumerate(zip(keys, unique_names(paths), strict=True)):
        lacking = [kind for kind, files in others.items() if files.lacks(key)]
        lacking += [f"also ({source.also[n]})" for n, files in enumerate(further) if files.lacks(key)]
        planes = {kind: str(path) for kind, files in others.items() if (path := files.of(key, k)) is not None}
        also = tuple(str(files.of(key, k)) for files in further)
        fault = f"field {name}: no file for it among {', '.join(lacking)}" if lacking else ""
        found.append(FieldFiles(name, str(paths[k]), planes, also, reading, fault))
    return found


def _found(source: FieldSource, kind: str, given: Any) -> Files:
    if given is None or isinstance(given, int | float):
        if given is not None:
            raise InputError(kind, given, "a path, a pattern or a list of paths")
        return Files()
    folder = Path(source.folder)
    if isinstance(given, str | Path):
        return find_files(kind, str(folder / Path(given).expanduser()))
    return find_files(
        kind, [None if path is None else str(folder / Path(path).expanduser()) for path in given]
    )


def _from_folder(source: FieldSource, folder: Path) -> list[FieldFiles]:
    """Every image of a folder that is not named after another one, with what is named after it."""
    files = sorted(
        p for p in folder.iterdir() if p.is_file() and p.name.lower().endswith(IMAGES) and p.name[0] != "."
    )
    stems = {stem(path): path for path in files}
    images = [
        path
        for name, path in stems.items()
        if not any(name.endswith(f"_{word}") and name.removesuffix(f"_{word}") in stems for word in BESIDE)
        and not name.endswith("_truth")
    ]
    every = sorted(p.name for p in folder.iterdir() if p.is_file())
    shared = {kind: _found(source, kind, getattr(source, kind)) for kind in PLANES}
    if any(files.matched or files.listed for files in shared.values()) or source.also:
        raise InputError(
            f"{folder}: beside a folder of fields, patterns and further bands need a pattern for fields"
        )
    reading, found = _reading(source), []
    for path, name in zip(images, unique_names([str(p) for p in images]), strict=True):
        planes = {kind: str(files.shared) for kind, files in shared.items() if files.shared is not None}
        for kind, endings in COMPANIONS.items():
            own = [n for e in endings for n in every if n == stem(path) + e or stem(n) == stem(path) + e]
            if own and kind not in planes:
                planes[kind] = str(folder / own[0])
        found.append(FieldFiles(name, str(path), planes, (), reading))
    return found


def _from_table(source: FieldSource, path: Path) -> list[FieldFiles]:
    table = read_table(path, text=(*NAMES, "image", *PLANES, "also", "band", "hdu"))
    rows = {name: _cells(table, name) for name in table.colnames}
    images = next((rows[name] for name in ("image", "fields") if name in rows), None)
    if images is None:
        raise InputError(f"{path}: no column image", tuple(table.colnames))
    planes = {kind: _column(source, rows, kind, path.parent) for kind in PLANES}
    further = [_column(source, rows, str(one), path.parent, str(one)) for one in source.also]
    texts = rows.get("also", [None] * len(table)) if not source.also else [None] * len(table)
    values = {name: _values(source, rows, name) for name in READING}
    names = next(([str(n) for n in rows[name]] for name in NAMES if name in rows), None)
    located = [_located(path.parent, str(image or "")) for image in images]
    repeated = [name for name, count in Counter(names or []).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: a name is given to more than one field", repeated[0])
    found = []
    for k, name in enumerate(names or unique_names(located)):
        fault = "" if images[k] else f"field {name}: {path.name} has no image for it"
        own = {kind: column[k] for kind, column in planes.items() if column[k]}
        also = [column[k] or "" for column in further]
        also += [_located(path.parent, one.strip()) for one in str(texts[k] or "").split(";") if one.strip()]
        reading = _reading(source, {name: column[k] for name, column in values.items()})
        found.append(FieldFiles(name, located[k], own, tuple(also), reading, fault))
    return found


def _cells(table: QTable, name: str) -> list[Any]:
    """Values of a column, None where a cell is empty."""
    values = plain_column(table, name)[0]
    if values.dtype.kind == "f":
        return [None if np.isnan(value) else value for value in values.tolist()]
    return [None if isinstance(value, str) and not value.strip() else value for value in values.tolist()]


def _located(folder: Path, path: str) -> str:
    return str(folder / Path(path).expanduser()) if path else ""


def _column(
    source: FieldSource, rows: Mapping[str, list[Any]], kind: str, folder: Path, given: Any = None
) -> list[str]:
    """Paths of one kind, a row a field: from the column of that name, or the one that is given; or one file for all."""
    wanted = given if given is not None else getattr(source, kind)
    count = len(next(iter(rows.values())))
    name = kind if wanted is None else str(wanted)
    if name in rows:
        return [_located(folder, str(value or "")) for value in rows[name]]
    if wanted is None:
        return [""] * count
    files = _found(source, kind, wanted)
    if files.shared is None or not Path(split_hdu(str(files.shared))[0]).exists():
        raise InputError(
            f"{kind}: no column of the table of fields, and no file", str(wanted), ", ".join(rows)
        )
    return [str(files.shared)] * count


def _values(source: FieldSource, rows: Mapping[str, list[Any]], name: str) -> list[Any]:
    """One of the reader's arguments, a row a field."""
    given = source.first_band if name == "band" else getattr(source, name)
    if isinstance(given, str) and given in rows:
        return rows[given]
    count = len(next(iter(rows.values())))
    return rows[name] if given is None and name in rows else [given] * count
