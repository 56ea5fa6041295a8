"""What a worker does with a part: read its listing, measure it, write its rows, then its receipt.

Nothing is sent back but the receipt or, where the part fails, a sentence: how it failed decides what is done next.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
import functools
import hashlib
import inspect
import os
import pickle
import resource
import time
import traceback
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path

from isolux.errors import InputError
from isolux.io.plan_files import read_listing
from isolux.io.portraits import write_portraits
from isolux.io.profile_file import is_loose, load_module
from isolux.io.rows import how_they_ended, text_of
from isolux.io.run_folder import Receipt, RunFolder, whereabouts
from isolux.survey.careful import measure_carefully
from isolux.survey.fitting import StampFitting
from isolux.survey.part import Input, Measured, Part

NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""What the system says where the run's folder cannot be written: no part can be done then."""


class Fault(Enum):
    """What failed."""

    PART = "part"
    INPUT = "input"
    RUN = "run"


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a part was not done.

    Attributes
    ----------
    fault : Fault
        The part itself, a file that it is read from, or the run's folder: then no part can be done.
    reason : str
        In a sentence.
    trace : str
        Where it happened.
    """

    fault: Fault
    reason: str
    trace: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """What is the same for all parts of a run, as it is sent to workers.

    Attributes
    ----------
    folder : str
        The run's folder, which workers must see under the same name.
    content : bytes
        The input, pickled.
    modules : mapping
        Files of profiles that are not installed, by the name of their module.
    shown : float
        Share of the galaxies whose portraits are kept.
    run : str
        What the folder's manifest calls the run. A worker that has outlived its run, and finds another in the folder,
        writes nothing; it does not look where this is empty.
    """

    folder: str
    content: bytes
    modules: Mapping[str, str]
    shown: float = 0.0
    run: str = ""

    @classmethod
    def of(cls, folder: Path, source: Input, shown: float, run: str = "") -> Job:
        """The job of a run.

        Raises
        ------
        InputError
            If the input cannot be sent to another process.
        """
        try:
            content = pickle.dumps(source)
        except Exception as error:
            raise InputError(f"the survey's input cannot be sent to workers, {error}") from None
        if b"__main__" in content:
            raise InputError(
                "a class or function of the model is defined in the script itself: put it into a module"
            )
        kinds = (
            [type(p) for p in source.scene.components.values()] if isinstance(source, StampFitting) else []
        )
        modules = {kind.__module__: inspect.getfile(kind) for kind in kinds if is_loose(kind.__module__)}
        return cls(str(folder.resolve()), content, modules, shown, run)

    @property
    def source(self) -> Input:
        """The input."""
        return _loaded(self.content, tuple(self.modules.items()))

    def part(self, number: int, pixels: int = 0) -> Part:
        """A part with its listing."""
        return Part(read_listing(Path(self.folder) / "plan", number), pixels, "", number)


@lru_cache(maxsize=4)
def _loaded(content: bytes, modules: tuple[tuple[str, str], ...]) -> Input:
    for name, file in modules:
        load_module(name, Path(file))
    source: Input = pickle.loads(content)
    return source


def do_part(job: Job, number: int, attempt: int, careful: bool = False) -> Receipt | Failure:
    """Measure a part and put its rows and its receipt into the run's folder.

    Parameters
    ----------
    job : Job
        The run.
    number : int
        Of the part.
    attempt : int
        From 1.
    careful : bool
        Measure it in a process of its own, in halves where that dies, down to the galaxy at fault.
    """
    began, cpu = time.perf_counter(), time.process_time()
    try:
        part, source = job.part(number), job.source
        missing = _gone(source, part)
        if missing:
            return missing
        portraits = chosen(text_of(part.listing, "id"), job.shown)
        if careful:
            measured = measure_carefully(
                functools.partial(measure_piece, job, number), source, part, memory_limit()
            )
        else:
            measured = source.measure(part, portraits)
        missing = _gone(source, part)
        if missing:
            return missing
    except Exception as error:
        return _failure(error)
    try:
        folder = RunFolder(job.folder)
        if job.run and folder.manifest().get("run") != job.run:
            return Failure(Fault.RUN, f"{job.folder} holds another run by now")
        return _put(folder, number, measured, attempt, began, cpu)
    except InputError as error:
        return Failure(Fault.RUN, str(error))
    except OSError as error:
        fault = Fault.RUN if error.errno in NO_PLACE else Fault.PART
        return Failure(
            fault, f"{job.folder} cannot be written: {error.strerror or error}", traceback.format_exc()
        )


def measure_piece(job: Job, number: int, span: tuple[int, int]) -> Measured:
    """Measure some rows of a part: what the processes of careful mode do."""
    part = job.part(number).rows(*span)
    return job.source.measure(part, chosen(text_of(part.listing, "id"), job.shown))


def chosen(names: list[str], share: float) -> frozenset[str]:
    """The names that a lot falls on which depends on each name alone."""
    if not share:
        return frozenset()
    most = int(min(share, 1.0) * 2**64)
    lots = (
        (name, hashlib.blake2b(name.encode(), digest_size=8, person=b"portrait").digest()) for name in names
    )
    return frozenset(name for name, lot in lots if int.from_bytes(lot, "little") < most)


def memory_limit() -> int | None:
    """Bytes that the Dask worker this runs in may use; None where there is no limit, or no worker."""
    from distributed import get_worker

    try:
        limit = get_worker().memory_manager.memory_limit
    except (ValueError, AttributeError):
        return None
    return int(limit) if limit else None


def _put(
    folder: RunFolder, number: int, measured: Measured, attempt: int, began: float, cpu: float
) -> Receipt:
    if measured.portraits:
        write_portraits(folder.portraits_file(number), measured.portraits)
    size, checksum = folder.write_part(number, measured.rows)
    status, flags = how_they_ended(measured.rows)
    receipt = Receipt(
        part=number,
        rows=len(measured.rows),
        bytes=size,
        sha256=checksum,
        seconds=time.perf_counter() - began,
        fitting=measured.seconds,
        cpu=time.process_time() - cpu,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        status=status,
        flags=flags,
        remarks=measured.remarks,
        attempt=attempt,
        host=whereabouts(),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    folder.write_receipt(receipt)
    return receipt


def _gone(source: Input, part: Part) -> Failure | None:
    """What of a part's files is not there any more."""
    gone = [path for path in source.files(part) if not os.path.exists(path)]
    if not gone:
        return None
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return Failure(Fault.INPUT, f"{gone[0]}{more}: was there when the run was planned, and is gone")


def _failure(error: Exception) -> Failure:
    if isinstance(error, OSError) and error.errno in NO_PLACE[:3]:
        return Failure(Fault.RUN, f"{error.filename or 'a file'}: {error.strerror}", traceback.format_exc())
    words = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    fault = Fault.INPUT if isinstance(error, InputError) else Fault.PART
    return Failure(fault, words.strip(), traceback.format_exc())
