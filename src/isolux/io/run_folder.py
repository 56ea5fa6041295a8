"""The folder of a survey run: its plan, its parts with their receipts, what was given up, what has happened.

    manifest.json                         configuration, versions, digest of the plan
    plan/parts.parquet                    a row a part
    plan/listing-00000.parquet            listings of the parts, a row group each, ``LISTED`` in a file
    plan/files.parquet                    the input's files: size, time of change, checksum where asked for
    parts/00000/part-00000000.parquet     rows of the catalogue; any Parquet reader takes the folder as one table
    receipts/00000/part-00000000.json     rows, bytes, checksum, times, how its galaxies ended
    portraits/00000/part-00000000.parquet images for the report
    quarantine/part-00000000.json         a part that was given up, with the reason
    events.jsonl                          when the run began, went on and ended, and on what

A part is done when its receipt is there and the checksum of its rows agrees. The receipt is written last.
"""

from __future__ import annotations

import dataclasses
import datetime
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.io.safe_files import put_text, put_whole, sha256

FOLDED = 1000
"""Parts in one folder: file systems are slow with more than some ten thousand entries."""
CHECKERS = 8
LEFT = ".*.????????????.tmp"
"""Names of temporary files."""


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What is known of a part that is done.

    Attributes
    ----------
    part, rows, bytes : int
        Its number; rows and bytes of its file.
    sha256 : str
        Checksum of the file.
    seconds, fitting : float
        Wall time of the whole part and of measuring alone.
    cpu : float
        Processor seconds.
    memory : int
        Largest resident memory in bytes of the process so far.
    status, flags : mapping
        How many galaxies ended in each way, and have each remark, by name.
    remarks : sequence of str
        What the user should know of the part as a whole.
    attempt : int
        From 1.
    host : str
        Host and process that measured it.
    finished : str
        Time, UTC.
    """

    part: int
    rows: int
    bytes: int
    sha256: str
    seconds: float
    fitting: float
    cpu: float
    memory: int
    status: Mapping[str, int]
    flags: Mapping[str, int]
    remarks: Sequence[str]
    attempt: int
    host: str
    finished: str


@dataclasses.dataclass(frozen=True)
class Quarantined:
    """A part that was given up.

    Attributes
    ----------
    part : int
        Its number.
    galaxies : int
        That are missing because of it.
    place : str
        Where it is.
    reason : str
        In a sentence.
    attempts : sequence of str
        What each attempt ended with.
    trace : str
        Where the last one failed in the code.
    """

    part: int
    galaxies: int
    place: str
    reason: str
    attempts: Sequence[str]
    trace: str = ""


class RunFolder:
    """The files of a run.

    Parameters
    ----------
    path : str or path
        The folder; need not be there yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    @property
    def manifest_file(self) -> Path:
        """What the run is."""
        return self.path / "manifest.json"

    def exists(self) -> bool:
        """Whether there is a run in the folder."""
        return self.manifest_file.exists()

    def manifest(self) -> dict[str, Any]:
        """What the run is.

        Raises
        ------
        InputError
            If there is no run in the folder, or its manifest cannot be read.
        """
        try:
            content = json.loads(self.manifest_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{self.path}: no survey run is here (no manifest.json)") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{self.manifest_file}: cannot be read, {error}") from None
        if not isinstance(content, dict):
            raise InputError(f"{self.manifest_file}: is no manifest")
        return content

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        """Say what the run is."""
        put_text(self.manifest_file, json.dumps(content, indent=2, sort_keys=True) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder; the lock ends with the process, however that ends.

        Raises
        ------
        InputError
            If another run is using it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise InputError(f"{self.path}: another run is using this folder ({file.read()})") from None
            file.truncate(0)
            file.write(whereabouts())
            file.flush()
            yield

    def write_part(self, number: int, rows: Rows) -> tuple[int, str]:
        """Put the rows of a part in place; their bytes and checksum."""
        path = self.part_file(number)
        with put_whole(path) as temporary:
            with temporary.open("wb") as file:  # a file of Python's, whose errors say what the system said
                pyarrow.parquet.write_table(rows, file, compression="zstd", write_page_checksum=True)
            size, checksum = temporary.stat().st_size, sha256(temporary)
        return size, checksum

    def write_receipt(self, receipt: Receipt) -> None:
        """Say that a part is done; its rows must be in place."""
        put_text(self.receipt_file(receipt.part), json.dumps(dataclasses.asdict(receipt), sort_keys=True))
        self.quarantine_file(receipt.part).unlink(missing_ok=True)

    def done(self) -> dict[int, Receipt]:
        """The parts that are done and whole; others are as if they had not been."""
        with ThreadPoolExecutor(CHECKERS) as pool:
            found = pool.map(self._checked, sorted((self.path / "receipts").glob("*/part-*.json")))
            return {receipt.part: receipt for receipt in found if receipt is not None}

    def receipts(self) -> Iterator[Receipt]:
        """The receipts in order, without a look at the parts."""
        for path in sorted((self.path / "receipts").glob("*/part-*.json")):
            receipt = _receipt(path)
            if receipt is not None:
                yield receipt

    def quarantine(self, what: Quarantined) -> None:
        """Give a part up; what an attempt that was cut off, or damaged later, has left of it goes."""
        for path in (self.receipt_file(what.part), self.part_file(what.part), self.portraits_file(what.part)):
            path.unlink(missing_ok=True)
        put_text(self.quarantine_file(what.part), json.dumps(dataclasses.asdict(what), indent=2))

    def quarantined(self) -> list[Quarantined]:
        """The parts that were given up."""
        files = sorted((self.path / "quarantine").glob("part-*.json"))
        return [Quarantined(**json.loads(path.read_text(encoding="utf-8"))) for path in files]

    def tell(self, event: str, **details: Any) -> None:
        """Add a line to what has happened."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": now, "event": event, **details}, sort_keys=True)
        with (self.path / "events.jsonl").open("a+b") as file:
            if file.tell():  # a disk that was full may have cut the last line off
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode() + b"\n")

    def events(self) -> list[dict[str, Any]]:
        """What has happened; a last line that was cut off is left out."""
        try:
            lines = (self.path / "events.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def part_files(self) -> list[Path]:
        """Files with rows of the catalogue, in the order of the parts."""
        return sorted((self.path / "parts").glob("*/part-*.parquet"))

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Rows]:
        """The catalogue, part by part.

        Raises
        ------
        InputError
            If a file is damaged, or its columns differ from those of the first.
        """
        schema: Any = None
        for path in self.part_files():
            try:
                with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
                    found = file.schema_arrow
                    rows = file.read(columns)
            except (OSError, pyarrow.ArrowException) as error:
                raise InputError(f"{path}: is damaged, {error}; resume the run to measure it again") from None
            if schema is not None and found != schema:
                differing = sorted({f.name for f in set(found) ^ set(schema)})
                raise InputError(
                    f"{path}: its columns differ from those of {self.part_files()[0].name}", differing[:5]
                )
            schema = found
            yield rows

    def schema(self) -> pyarrow.Schema:
        """Names, types, units and descriptions of the catalogue's columns.

        Raises
        ------
        InputError
            If no part is done.
        """
        files = self.part_files()
        if not files:
            raise InputError(f"{self.path}: no part of this run is done")
        return pyarrow.parquet.read_schema(files[0])

    def clear(self) -> None:
        """Remove a run; one that is cut off here is a run of which parts are missing, until it is none at all."""
        for name in ("receipts", "quarantine", "portraits", "parts"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        self.manifest_file.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what writers that were killed have left; nobody must be writing any more."""
        for folder in (".", "receipts/*", "quarantine", "portraits/*", "parts/*"):
            for path in self.path.glob(f"{folder}/{LEFT}"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def part_file(self, number: int) -> Path:
        """Where the rows of a part are."""
        return self.path / "parts" / _folded(number, "parquet")

    def receipt_file(self, number: int) -> Path:
        """Where the receipt of a part is."""
        return self.path / "receipts" / _folded(number, "json")

    def portraits_file(self, number: int) -> Path:
        """Where the images of a part's galaxies for the report are."""
        return self.path / "portraits" / _folded(number, "parquet")

    def quarantine_file(self, number: int) -> Path:
        """Where it says that a part was given up."""
        return self.path / "quarantine" / f"part-{number:08d}.json"

    def _checked(self, path: Path) -> Receipt | None:
        receipt = _receipt(path)
        if receipt is None or path != self.receipt_file(receipt.part):
            return None
        rows = self.part_file(receipt.part)
        try:
            whole = rows.stat().st_size == receipt.bytes and sha256(rows) == receipt.sha256
        except OSError:
            return None
        return receipt if whole else None


def whereabouts() -> str:
    """Host and process, for messages."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def _folded(number: int, ending: str) -> Path:
    return Path(f"{number // FOLDED:05d}") / f"part-{number:08d}.{ending}"


def _receipt(path: Path) -> Receipt | None:
    try:
        return Receipt(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
