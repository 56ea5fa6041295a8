"""The plan of a survey on disk: its parts, their listings, and the input's files as they were when it was made."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.io.rows import digest, text_of
from isolux.io.safe_files import sha256

LISTED = 256
"""Parts whose listings share a file."""
LOOKERS = 16
SHOWN = 5
FILES = pyarrow.schema(
    [
        ("path", pyarrow.string()),
        ("bytes", pyarrow.int64()),
        ("modified", pyarrow.int64()),
        ("sha256", pyarrow.string()),
    ]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The parts of a survey, an array each of what is known of them.

    Attributes
    ----------
    galaxies, pixels : numpy.ndarray
        (part,).
    place, digest : list of str
        Where each is, for people; checksum of its listing.
    """

    galaxies: np.ndarray
    pixels: np.ndarray
    place: list[str]
    digest: list[str]

    def __len__(self) -> int:
        return len(self.galaxies)

    @property
    def summary(self) -> dict[str, Any]:
        """Numbers of parts, galaxies and pixels, and a checksum of all listings."""
        whole = hashlib.sha256("".join(self.digest).encode()).hexdigest()
        return {
            "parts": len(self),
            "galaxies": int(self.galaxies.sum()),
            "pixels": int(self.pixels.sum()),
            "digest": whole,
        }


class PlanWriter:
    """Writes a plan part by part; use it in a ``with`` statement. Nothing is there before it ends.

    Parameters
    ----------
    folder : Path
        The run's ``plan`` folder; one that is there is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder.with_name(f".{folder.name}.tmp")
        self.rows: list[tuple[int, int, str, str]] = []
        self.names = array("Q")
        self.writer: pyarrow.parquet.ParquetWriter | None = None
        self.schema: pyarrow.Schema | None = None

    def __enter__(self) -> PlanWriter:
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_file()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.temporary.rename(self.folder)
        else:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def add(self, listing: Rows, pixels: int, place: str) -> int:
        """Add a part; its number.

        Raises
        ------
        InputError
            If its columns differ from those of the first part.
        """
        number = len(self.rows)
        if self.schema is None:
            self.schema = listing.schema
        if listing.schema != self.schema:
            differing = sorted({f.name for f in set(listing.schema) ^ set(self.schema)})
            raise InputError(
                f"the input's columns are not the same throughout; at {place or number} differ", differing
            )
        if number % LISTED == 0:
            self._end_file()
            path = self.temporary / f"listing-{number // LISTED:05d}.parquet"
            self.writer = pyarrow.parquet.ParquetWriter(path, self.schema, compression="zstd")
        assert self.writer is not None
        self.writer.write_table(listing, row_group_size=max(len(listing), 1))
        self.names.extend(_short(name) for name in text_of(listing, "id"))
        self.rows.append((len(listing), pixels, place, digest(listing)))
        return number

    def finish(self, files: Rows) -> Plan:
        """Write what is known of the parts, and of the input's files.

        Raises
        ------
        InputError
            If there are no galaxies, or an id is given to more than one.
        """
        self._end_file()
        galaxies, pixels, place, digests = (
            (list(column) for column in zip(*self.rows, strict=True)) if self.rows else ([],) * 4
        )
        if sum(galaxies) == 0:
            raise InputError("the survey's input has no galaxies")
        self._check_names()
        table = {"galaxies": galaxies, "pixels": pixels, "place": place, "digest": digests}
        pyarrow.parquet.write_table(pyarrow.table(table), self.temporary / "parts.parquet")
        pyarrow.parquet.write_table(files, self.temporary / "files.parquet")
        return Plan(np.array(galaxies), np.array(pixels), place, digests)

    def _end_file(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _check_names(self) -> None:
        short = np.frombuffer(self.names, dtype=np.uint64)
        ordered = np.sort(short)
        twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        if not twice:
            return
        seen: dict[str, int] = {}
        for number in range(len(self.rows)):
            for name in text_of(read_listing(self.temporary, number), "id"):
                if _short(name) in twice:
                    if name in seen:
                        parts = (
                            f"parts {seen[name]} and {number}" if seen[name] != number else f"part {number}"
                        )
                        raise InputError(f"an id is given to more than one galaxy, in {parts}", name)
                    seen[name] = number


def read_plan(folder: Path) -> Plan:
    """The parts of a plan.

    Raises
    ------
    InputError
        If the plan cannot be read.
    """
    try:
        table = pyarrow.parquet.read_table(folder / "parts.parquet")
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{folder}: the run's plan cannot be read, {error}") from None
    galaxies, pixels = (np.asarray(table[name]) for name in ("galaxies", "pixels"))
    return Plan(galaxies, pixels, table["place"].to_pylist(), table["digest"].to_pylist())


def read_listing(folder: Path, number: int) -> Rows:
    """The listing of a part."""
    with pyarrow.parquet.ParquetFile(folder / f"listing-{number // LISTED:05d}.parquet") as file:
        return file.read_row_group(number % LISTED)


def look_at(paths: Iterable[str], content: bool) -> Rows:
    """Size and time of change of files, and with ``content`` their checksums; those that are missing have size -1."""
    with ThreadPoolExecutor(LOOKERS) as pool:
        found = list(pool.map(lambda path: _looked(path, content), sorted(set(paths))))
    columns = list(zip(*found, strict=True)) if found else [()] * len(FILES)
    return pyarrow.table([list(column) for column in columns], schema=FILES)


def read_files(folder: Path) -> Rows:
    """The input's files as they were when the plan was made."""
    return pyarrow.parquet.read_table(folder / "files.parquet")


def changed_files(before: Rows, now: Rows) -> list[str]:
    """What is different about files, in words; the first few, and how many more."""
    old = {row["path"]: row for row in before.to_pylist()}
    new = {row["path"]: row for row in now.to_pylist()}
    told = [f"{path}: is new" for path in sorted(new.keys() - old.keys())]
    told += [f"{path}: is not used any more" for path in sorted(old.keys() - new.keys())]
    for path in sorted(old.keys() & new.keys()):
        said = _difference(old[path], new[path])
        told += [f"{path}: {said}"] if said else []
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return told[:SHOWN] + more


def names_changed(before: Rows, now: Rows) -> list[str]:
    """What is different between two listings of one part, in words."""
    old, new = text_of(before, "id"), text_of(now, "id")
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    told = [f"{word} {_some(names)}" for word, names in (("without", gone), ("with", come)) if names]
    if before.schema != now.schema:
        told.append(f"other columns: {_some(sorted({f.name for f in set(before.schema) ^ set(now.schema)}))}")
    if not told and sorted(old) == sorted(new):
        pairs = zip(before.to_pylist(), now.to_pylist(), strict=True)
        rows = [(a, b) for a, b in pairs if a != b]
        told = [
            f"galaxy {a['id']}: {key} was {a[key]!r}, is {b.get(key)!r}"
            for a, b in rows[:1]
            for key in a
            if a[key] != b.get(key)
        ]
    return told[:SHOWN]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    if old["bytes"] != new["bytes"]:
        return "is gone" if new["bytes"] < 0 else f"had {old['bytes']} bytes, has {new['bytes']}"
    if old["sha256"] and new["sha256"]:
        return "" if old["sha256"] == new["sha256"] else "has other content"
    return "" if old["modified"] == new["modified"] else "has been written again since"


def _looked(path: str, content: bool) -> tuple[str, int, int, str]:
    try:
        known = Path(path).stat()
        return path, known.st_size, known.st_mtime_ns, sha256(Path(path)) if content else ""
    except OSError:
        return path, -1, -1, ""


def _short(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
