"""The last attempt at a part that has ended its workers: find the galaxy that is to blame, and keep the rest.

The part is measured by a process of its own. Where that dies or fails, the halves of what it was at are tried, and
their halves, until a single galaxy is left; its row says what happened.
"""

from __future__ import annotations

import functools
import pickle
import resource
from collections.abc import Callable

from isolux.crowd import COMMAND, Lost, Process
from isolux.io.rows import in_order, text_of
from isolux.survey.part import Input, Measured, Part

MOST_LOST = 10
"""Galaxies of a part that may be lost; then the part as a whole is at fault, or the machine."""
Piece = Callable[[tuple[int, int]], Measured]


class Spoiled(Exception):
    """A part of which too many galaxies fail."""


def measure_carefully(measure: Piece, source: Input, part: Part, memory: int | None = None) -> Measured:
    """Measure a part, whatever becomes of the processes that try.

    Parameters
    ----------
    measure : callable
        From a span of rows (first, one past the last) to what comes of them; it is sent to another process.
    source : Input
        The input.
    part : Part
        With its listing.
    memory : int, optional
        Bytes that a process may take.

    Returns
    -------
    Measured
        The rows in the order of the listing.

    Raises
    ------
    Spoiled
        If more than ``MOST_LOST`` galaxies cannot be measured.
    """
    if not source.divisible:
        raise Spoiled("this input's parts cannot be measured in pieces")
    lost: list[tuple[str, str]] = []
    with _Bench(pickle.dumps(functools.partial(_limited, measure, memory))) as bench:
        pieces = _measured(bench, source, part, (0, len(part)), lost)
    rows = in_order([piece.rows for piece in pieces], text_of(part.listing, "id"))
    shown = [portrait for piece in pieces for portrait in piece.portraits]
    remarks = dict.fromkeys(remark for piece in pieces for remark in piece.remarks)
    told = [f"galaxy {name} was left out: {reason}" for name, reason in lost]
    return Measured(rows, sum(piece.seconds for piece in pieces), shown, (*remarks, *told))


class _Bench:
    """A process that measures pieces, and the next one when it dies."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.process: Process | None = None

    def __enter__(self) -> _Bench:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.process.end()
            self.process = None

    def do(self, span: tuple[int, int]) -> Measured:
        if self.process is None:
            self.process = Process(COMMAND, self.content)
        try:
            found = self.process.do(span)
        except (Lost, MemoryError):
            self.__exit__()
            raise
        assert isinstance(found, Measured)
        return found


def _measured(
    bench: _Bench, source: Input, part: Part, span: tuple[int, int], lost: list[tuple[str, str]]
) -> list[Measured]:
    first, last = span
    try:
        return [bench.do(span)]
    except Lost as death:
        reason = f"the process that measured it {death}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    if last - first > 1:
        middle = (first + last) // 2
        halves = ((first, middle), (middle, last))
        return [piece for half in halves for piece in _measured(bench, source, part, half, lost)]
    name = text_of(part.listing, "id")[first]
    lost.append((name, reason))
    if len(lost) > MOST_LOST:
        raise Spoiled(f"more than {MOST_LOST} of its galaxies cannot be measured; of {name}: {reason}")
    return [Measured(source.lost(part.rows(first, last), reason), 0.0)]


def _limited(measure: Piece, memory: int | None, span: tuple[int, int]) -> Measured:
    if memory is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory if hard < 0 else min(memory, hard), hard))
    return measure(span)
