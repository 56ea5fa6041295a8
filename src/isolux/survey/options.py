"""How a survey is run: what is cut, tried again and compared, and where the work is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from isolux.errors import InputError

Check = Literal["time", "content", "none"]
Kind = Literal["local", "slurm", "pbs", "kubernetes"]


@dataclasses.dataclass(frozen=True)
class SurveyOptions:
    """How a survey is cut into parts, and what is done with parts that fail.

    Parameters
    ----------
    part_galaxies, part_pixels : int
        Galaxies of a part, and pixels of its stamps, at most. Parts of half a minute or so cost a scheduler nothing.
    retries : int
        How often a part is tried again after it has failed or its worker has died.
    input_check : {"time", "content", "none"}
        How input files are compared when a run is resumed: by size and time of change, by checksum (which reads them
        all), or not at all.
    portraits : int
        Galaxies whose images are kept for the report.
    stop_after : int
        Parts given up in a row, none having been done, after which the run ends: then something is wrong with all.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    part_galaxies: int = 1000
    part_pixels: int = 1 << 26
    retries: int = 2
    input_check: Check = "time"
    portraits: int = 400
    stop_after: int = 5

    def __post_init__(self) -> None:
        least = {"part_galaxies": 1, "part_pixels": 1, "retries": 0, "portraits": 0, "stop_after": 1}
        _whole_numbers(self, least)
        if self.input_check not in get_args(Check):
            raise InputError("input_check", self.input_check, ", ".join(get_args(Check)))


@dataclasses.dataclass(frozen=True)
class ClusterOptions:
    """Where the work is done.

    Parameters
    ----------
    kind : {"local", "slurm", "pbs", "kubernetes"}
        This machine, or a cluster that jobs are sent to.
    scheduler : str, optional
        Address of a Dask scheduler that is running, such as ``tcp://host:8786``; ``kind`` is then of no account.
    workers : int, optional
        Worker processes; one a core, or one a GPU, of this machine where left out.
    threads : int
        CPU threads of each.
    memory : str
        Of each worker, such as ``4GiB``; ``auto`` shares this machine's memory out. A worker that takes more is ended.
    device : str
        ``auto``, ``cpu`` or ``cuda``: with GPUs, each worker has one of its own.
    dashboard : str
        Address of the dashboard, such as ``:8787``; ``none`` for none.
    options : mapping
        For dask-jobqueue (``queue``, ``account``, ``walltime``, ``cores``, ``job_extra_directives``, ...) or
        dask-kubernetes (``image``, ``namespace``, ...).
    wait : float
        Seconds for which a run without any worker waits for one.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    kind: Kind = "local"
    scheduler: str | None = None
    workers: int | None = None
    threads: int = 1
    memory: str = "auto"
    device: str = "auto"
    dashboard: str = ":8787"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    wait: float = 600.0

    def __post_init__(self) -> None:
        _whole_numbers(self, {"threads": 1} | ({} if self.workers is None else {"workers": 1}))
        if self.kind not in get_args(Kind):
            raise InputError("kind of cluster", self.kind, ", ".join(get_args(Kind)))
        if not self.wait > 0:
            raise InputError("wait for workers in seconds", self.wait, "above 0")


def _whole_numbers(options: Any, least: Mapping[str, int]) -> None:
    for name, lowest in least.items():
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise InputError(name, value, f"a whole number, {lowest} or more")


EXPORTS: Sequence[str] = ("hats", "parquet", "fits", "votable")
"""Formats of catalogues that are made from the parts when all are done."""
