"""How fast a survey went: times, processors and memory from the receipts of its parts."""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from isolux.io.run_folder import Receipt

REMARKS = 50
"""Different remarks that are kept."""
MOST = 1500
"""Parts that are drawn; of more, every so many-th."""


@dataclasses.dataclass(frozen=True, eq=False)
class Speed:
    """What the receipts say.

    Attributes
    ----------
    parts, galaxies, again : int
        Parts that are done, their galaxies, and the parts that took more than one attempt.
    working : float
        Seconds in which at least one part was being measured.
    cpu : float
        Processor seconds of all.
    memory : int
        Largest resident memory of a process, bytes.
    hosts : int
        Machines.
    first, last : str
        When the first part was begun and the last one done, UTC.
    remarks : sequence of (str, int)
        What the parts remarked, the most frequent first, and how many did.
    drawn : dict
        For the page: lists by part of the time since the beginning, galaxies, milliseconds a galaxy and memory.
    """

    parts: int
    galaxies: int
    again: int
    working: float
    cpu: float
    memory: int
    hosts: int
    first: str
    last: str
    remarks: Sequence[tuple[str, int]]
    drawn: dict[str, Any]


def speed(receipts: Iterable[Receipt]) -> Speed | None:
    """Sum up receipts; None without any. Some 50 bytes a part are kept."""
    numbers, hosts, again = [], set(), 0
    remarks: Counter[str] = Counter()
    for receipt in receipts:
        try:
            end = datetime.datetime.fromisoformat(receipt.finished).timestamp()
        except ValueError:
            continue
        hosts.add(receipt.host.partition(",")[0])
        again += receipt.attempt > 1
        remarks.update(text for text in receipt.remarks if text in remarks or len(remarks) < REMARKS)
        numbers.append((end, receipt.seconds, receipt.fitting, receipt.cpu, receipt.memory, receipt.rows))
    if not numbers:
        return None
    table = np.array(sorted(numbers), dtype=np.float64)
    end, seconds, fitting, cpu, memory, rows = table.T
    begin = float((end - seconds).min())
    every = max(1, -(-len(table) // MOST))
    a_galaxy = 1e3 * fitting / np.maximum(rows, 1)
    drawn = {
        "elapsed": np.round(end - begin, 1)[::every].tolist(),
        "done": np.cumsum(rows).astype(int)[::every].tolist(),
        "each": np.round(a_galaxy, 3)[::every].tolist(),
        "every": every,
    }
    times = [datetime.datetime.fromtimestamp(t, datetime.UTC) for t in (begin, float(end[-1]))]
    first, last = (f"{t:%Y-%m-%d %H:%M}" for t in times)
    busy = _covered(end - seconds, end)
    return Speed(
        len(table),
        int(rows.sum()),
        again,
        busy,
        float(cpu.sum()),
        int(memory.max()),
        len(hosts),
        first,
        last,
        remarks.most_common(),
        drawn,
    )


def _covered(begin: np.ndarray, end: np.ndarray) -> float:
    """Length of the union of intervals."""
    order = np.argsort(begin)
    reached = np.maximum.accumulate(end[order])
    before = np.concatenate([[-np.inf], reached[:-1]])
    return float(np.maximum(reached - np.maximum(begin[order], before), 0).sum())
