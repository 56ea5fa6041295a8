"""Which files a Parquet catalogue is made of: one file, a folder of files, or a HATS catalogue.

HATS (https://hats.readthedocs.io) is a folder of Parquet files, one a HEALPix cell, with names such as
``dataset/Norder=k/Dir=d/Npix=n.parquet`` with ``d = n // 10000 * 10000``. Beside them are ``hats.properties`` (lines
``key = value``) and ``partition_info.csv`` (the cells). A collection has ``collection.properties``, which names the
catalogue among its margins and indices.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

from isolux.errors import InputError

PROPERTIES = ("hats.properties", "properties")
CATALOGUES = ("object", "source")
PARQUET = (".parquet", ".pq", ".parq")
DIRECTORY = 10_000
"""Cells in a folder of HATS."""


@dataclasses.dataclass(frozen=True)
class CatalogueFile:
    """A file of a catalogue.

    Attributes
    ----------
    path : str
        Absolute.
    name : str
        Where it is in the catalogue, without ending: unique, and the same wherever the catalogue lies.
    """

    path: str
    name: str


@dataclasses.dataclass(frozen=True)
class CatalogueFiles:
    """The files of a catalogue, in order.

    Attributes
    ----------
    root : str
        Absolute path of the folder that relative paths in the catalogue begin at.
    files : sequence of CatalogueFile
        At least one.
    ra, dec : str, optional
        Names of the columns of positions, where the catalogue says so.
    """

    root: str
    files: Sequence[CatalogueFile]
    ra: str | None = None
    dec: str | None = None


def find_catalogue(path: str | Path) -> CatalogueFiles:
    """The files of a Parquet file, a folder of Parquet files or a HATS catalogue.

    Raises
    ------
    InputError
        If there is nothing, partitions of HATS are missing, it is a margin cache or an index, or files differ in
        their columns.
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    if path.is_file():
        return CatalogueFiles(str(path.parent), (CatalogueFile(str(path), path.stem),))
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    collection = path / "collection.properties"
    if collection.is_file():
        primary = read_properties(collection).get("hats_primary_table_url", "")
        if not primary or not (path / primary).is_dir():
            raise InputError(f"{collection}: hats_primary_table_url names no folder beside it", primary)
        path = path / primary
    found = (
        _hats(path) if _properties_file(path) or (path / "partition_info.csv").is_file() else _folder(path)
    )
    return found


def read_properties(path: Path) -> dict[str, str]:
    """The lines ``key = value`` of a properties file."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (
        line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith(("#", "!"))
    )
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_schema(path: str) -> tuple[pyarrow.Schema, pyarrow.parquet.FileMetaData]:
    """Columns and footer of a Parquet file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet, {str(error).splitlines()[0]}") from None


def check_same(
    first: str, expected: pyarrow.Schema, path: str, found: pyarrow.Schema, used: Sequence[str]
) -> None:
    """Refuse a file whose columns are not those of the first, or whose used ones are of another type.

    Raises
    ------
    InputError
        Naming file and columns.
    """
    differing = sorted(set(expected.names) ^ set(found.names))
    if differing:
        shown = [f"{name} (only in {path if name in found.names else first})" for name in differing[:5]]
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise InputError(f"{path}: its columns differ from those of {first}: {', '.join(shown)}{more}")
    for name in used:
        kinds = [schema.field(name).type for schema in (expected, found)]
        if not _alike(*kinds):
            raise InputError(f"{path}: column {name} is {kinds[1]}, but {kinds[0]} in {first}")


def _alike(first: pyarrow.DataType, second: pyarrow.DataType) -> bool:
    """Whether two types hold the same; how text is stored, and columns without a value, are of no account."""
    types = pyarrow.types
    if first.equals(second) or types.is_null(first) or types.is_null(second):
        return True
    if types.is_dictionary(first) or types.is_dictionary(second):
        first, second = (kind.value_type if types.is_dictionary(kind) else kind for kind in (first, second))
        return _alike(first, second)
    if types.is_large_string(first) or types.is_large_string(second):
        return all(types.is_string(kind) or types.is_large_string(kind) for kind in (first, second))
    listed = (types.is_list, types.is_large_list)
    if all(any(test(kind) for test in listed) for kind in (first, second)):
        return _alike(first.value_type, second.value_type)  # names of elements differ between writers
    return False


def _properties_file(path: Path) -> Path | None:
    return next((path / name for name in PROPERTIES if (path / name).is_file()), None)


def _hats(path: Path) -> CatalogueFiles:
    file = _properties_file(path)
    said = {} if file is None else read_properties(file)
    kind = said.get("dataproduct_type", "object")
    if kind not in CATALOGUES:
        raise InputError(f"{path}: is no catalogue of galaxies but HATS of type", kind, ", ".join(CATALOGUES))
    suffix = said.get("hats_npix_suffix", ".parquet")
    listed = path / "partition_info.csv"
    cells = _cells(listed) if listed.is_file() else _cells_there(path)
    files: list[CatalogueFile] = []
    missing: list[str] = []
    for order, cell in cells:
        place = f"dataset/Norder={order}/Dir={cell // DIRECTORY * DIRECTORY}/Npix={cell}"
        name = f"Norder={order}/Npix={cell}"
        target = path / (place + ("" if suffix == "/" else suffix))
        if suffix == "/" and target.is_dir():
            inside = _parquet_files(target)
            files += [
                CatalogueFile(str(p), f"{name}/{p.relative_to(target).with_suffix('')}") for p in inside
            ]
            missing += [] if inside else [place]
        elif suffix != "/" and target.is_file():
            files.append(CatalogueFile(str(target), name))
        else:
            missing.append(place)
    _refuse_missing(path, missing, len(cells))
    found = CatalogueFiles(str(path), files, said.get("hats_col_ra"), said.get("hats_col_dec"))
    _check_rows(path, found, said.get("hats_nrows", ""))
    return found


def _refuse_missing(path: Path, missing: Sequence[str], count: int) -> None:
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        shown = ", ".join(missing[:5])
        raise InputError(f"{path}: {len(missing)} of its {count} partitions are missing: {shown}{more}")
    if not count:
        raise InputError(f"{path}: this HATS catalogue has no partitions")


def _check_rows(path: Path, found: CatalogueFiles, said: str) -> None:
    """Where there is no list of partitions, the number of rows tells whether all are there."""
    if (path / "partition_info.csv").is_file() or not said.isdecimal():
        return
    rows = sum(read_schema(file.path)[1].num_rows for file in found.files)
    if rows != int(said):
        raise InputError(
            f"{path}: partitions are missing: {rows} rows are there, hats.properties says {said}"
        )


def _cells(listed: Path) -> list[tuple[int, int]]:
    """Orders and numbers of the cells in ``partition_info.csv``, in the order of the sky."""
    with listed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        cells = {(int(row["Norder"]), int(row["Npix"])) for row in rows}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{listed}: has no columns Norder and Npix of whole numbers") from None
    return _on_the_sky(cells)


def _cells_there(path: Path) -> list[tuple[int, int]]:
    """The same from the names of files."""
    pattern = re.compile(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(?:\D.*)?")
    base = path / "dataset"
    names = (entry.relative_to(base).as_posix() for entry in base.glob("Norder=*/Dir=*/Npix=*"))
    return _on_the_sky({(int(m[1]), int(m[2])) for m in map(pattern.fullmatch, names) if m})


def _on_the_sky(cells: set[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(cells, key=lambda cell: (cell[1] << (2 * (29 - cell[0])), cell[0]))


def _folder(path: Path) -> CatalogueFiles:
    files = [
        CatalogueFile(str(p), p.relative_to(path).with_suffix("").as_posix()) for p in _parquet_files(path)
    ]
    if not files:
        raise InputError(f"{path}: no Parquet files in it", allowed="names ending in " + ", ".join(PARQUET))
    return CatalogueFiles(str(path), files)


def _parquet_files(path: Path) -> list[Path]:
    """Parquet files below a folder in the order of their names; hidden ones, and margins of HATS, left out."""
    found: list[Path] = []
    for folder, folders, names in os.walk(path):
        here = Path(folder)
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")) and not _is_margin(here / f))
        found += [here / name for name in names if name.endswith(PARQUET) and not name.startswith((".", "_"))]
    return sorted(found, key=lambda p: p.relative_to(path).parts)


def _is_margin(path: Path) -> bool:
    """Whether a folder is a margin cache; another HATS catalogue inside a folder of files is refused."""
    file = _properties_file(path)
    if file is None:
        return False
    kind = read_properties(file).get("dataproduct_type", "object")
    if kind in CATALOGUES:
        raise InputError(f"{path}: is a HATS catalogue within a folder of files; give it by itself")
    return True
