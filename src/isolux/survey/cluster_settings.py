"""How Dask is set for a survey; see :mod:`isolux.survey.cluster`."""

from __future__ import annotations

import difflib
import socket
from collections.abc import Collection, Mapping
from typing import Any

import dask.utils

from isolux.errors import InputError

WORKER_SETTINGS: Mapping[str, Any] = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.comm.timeouts.tcp": "120s",
}
"""Of every worker: PyTorch keeps memory that it has had, so a worker that is held back for its memory never goes on.
Machines that are too busy to answer for a while are not taken for dead; processes that die are noticed at once."""
SETTINGS: Mapping[str, Any] = {
    **WORKER_SETTINGS,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
}
"""Of the scheduler as well."""


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as the environment variables from which a process of Dask's takes them."""
    return {
        "DASK_" + name.replace(".", "__").replace("-", "_").upper(): str(value)
        for name, value in settings.items()
    }


KEPT_MEMORY: Mapping[str, str] = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
"""Has the C library keep freed memory. A worker measures in a thread, whose freed memory goes back to the system at
once (by Dask's own settings, too), and comes again page by page with the next image: that took half of all time."""


def process_environment(threads: int) -> dict[str, str]:
    """What gives numerical libraries their number of threads, and keeps their memory."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: str(threads) for name in names} | dict(KEPT_MEMORY)


def dashboard_options(address: str, host: str) -> dict[str, Any]:
    """Arguments of a scheduler for its dashboard; where the port is taken, any that is free.

    Parameters
    ----------
    address : str
        Such as ``:8787``, or ``none``.
    host : str
        Where ``address`` does not say which of this machine's addresses to listen at.

    Raises
    ------
    InputError
        If it is no address.
    """
    if address == "none":
        return {"dashboard": False, "dashboard_address": f"{host}:0"}
    name, _, port = address.rpartition(":")
    name = name or host
    if not port.isdigit():
        raise InputError("address of the dashboard", address, "such as :8787, or none")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((name, int(port)))
        except (OSError, OverflowError):
            port = "0"
    return {"dashboard": True, "dashboard_address": f"{name}:{port}"}


def memory_bytes(memory: str) -> int:
    """Bytes of ``4GiB``.

    Raises
    ------
    InputError
        If it is no amount of memory.
    """
    try:
        found = int(dask.utils.parse_bytes(memory))
    except (ValueError, TypeError):
        found = 0
    if found <= 0:
        raise InputError("memory of a worker", memory, "an amount such as 4GiB or 3500MB, or auto")
    return found


def check_names(options: Mapping[str, Any], known: Collection[str], kind: str) -> None:
    """See that all options of a cluster are known.

    Raises
    ------
    InputError
        Naming an unknown one and the nearest known ones.
    """
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(
                f"unknown option {name!r} of a {kind} cluster{hint}", allowed=", ".join(sorted(known))
            )
