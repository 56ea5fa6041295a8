"""An input without pixels: its galaxies are numbers, and some of them misbehave as they are told."""

import dataclasses
import errno
import os
import signal
import time
from pathlib import Path

import numpy as np

from isolux.io.rows import numbers_of, rows_from, text_of
from isolux.survey.fitting import listing_of
from isolux.survey.part import Input, Measured, Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stub(Input):
    """Numbers from 0, squared.

    ``faults`` says what a galaxy does when it is measured: ``raise``, ``kill``, ``full`` (the disk), ``once-raise``,
    ``once-kill`` (the first time only, remembered by a file in ``memory``), ``hang``.
    """

    kind = "stub"
    count: int
    faults: tuple[tuple[int, str], ...] = ()
    memory: str = ""
    files_of: tuple[str, ...] = ()
    offset: int = 0
    seconds: float = 0.0

    def describe(self):
        return {"input": {"count": self.count, "offset": self.offset}}

    def plan(self, galaxies, pixels):
        for first in range(0, self.count, galaxies):
            numbers = np.arange(first, min(first + galaxies, self.count))
            yield Part(listing_of([f"g{n}" for n in numbers], number=numbers), 0, f"from {first}")

    def files(self, part):
        number = int(numbers_of(part.listing, "number")[0])
        return self.files_of[number : number + len(part)]

    def measure(self, part, portraits):
        numbers = numbers_of(part.listing, "number")
        faults = dict(self.faults)
        for number in numbers.tolist():
            if number in faults:
                self._misbehave(number, faults[number])
        if self.seconds:
            time.sleep(self.seconds)
        return Measured(self._rows(part, numbers.astype(float) ** 2 + self.offset, 0), 0.0)

    def lost(self, part, reason):
        return self._rows(part, np.full(len(part), np.nan), 10)

    def _rows(self, part, values, status):
        many = np.full(len(part), status, np.int32)
        ids = np.array(text_of(part.listing, "id"))
        return rows_from({"id": ids, "square": values, "status": many, "flags": many * 0})

    def _misbehave(self, number, how):
        if how.startswith("once-"):
            mark = Path(self.memory) / f"{number}"
            if mark.exists():
                return
            mark.touch()
        if how.endswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if how.endswith("full"):
            raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
        raise RuntimeError(f"number {number} is bad")
