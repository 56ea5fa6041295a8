"""Workers on this machine: one a core, or one a GPU.

They are started by a process of their own (``cluster_host.py``), not by :mod:`multiprocessing` from here, so that a
user's script needs no ``if __name__ == "__main__"``, and Ctrl-C reaches this process alone. When this process ends,
however it does, so do they.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import torch
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT

from isolux.errors import InputError
from isolux.options import cores
from isolux.survey.cluster_settings import (
    WORKER_SETTINGS,
    check_names,
    dashboard_options,
    memory_bytes,
    process_environment,
)
from isolux.survey.options import ClusterOptions

HOST = Path(__file__).with_name("cluster_host.py")
SHARE = 0.9
"""Of the memory of this machine, or of the control group that it runs in, that workers have together."""
ENDING = 10.0
"""Seconds in which workers must end when asked to."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A worker that is to be.

    Attributes
    ----------
    name : int
        Its name.
    memory : int
        Bytes above which it is ended.
    environment : mapping
        Of its process.
    """

    name: int
    memory: int
    environment: Mapping[str, str]


@contextmanager
def local_cluster(options: ClusterOptions) -> Iterator[Client]:
    """A scheduler in this process and workers on this machine; all workers are there when the block begins.

    Raises
    ------
    InputError
        If options do not fit this machine, or the workers do not start.
    """
    check_names(options.options, (), "local")
    places = local_places(options)
    with (
        _scheduler(options.dashboard) as cluster,
        tempfile.TemporaryFile("w+", errors="replace") as log,
        Client(cluster, set_as_default=False) as client,
    ):
        host = _Host(places, cluster.scheduler_address, log)
        try:
            host.wait(client, len(places), options.wait)
            yield client
        finally:
            host.end()


def local_places(options: ClusterOptions, gpus: int | None = None) -> Sequence[Place]:
    """The workers for some options.

    Parameters
    ----------
    options : ClusterOptions
        Number, memory and device of the workers.
    gpus : int, optional
        GPUs of this machine; counted where left out.

    Raises
    ------
    InputError
        If GPUs are asked for and there are none.
    """
    gpus = torch.cuda.device_count() if gpus is None else gpus
    if options.device == "cuda" and not gpus:
        raise InputError(
            "device of workers: this machine has no GPU that PyTorch can use", "cuda", "auto, cpu"
        )
    if options.device == "cpu":
        gpus = 0
    count = options.workers or gpus or max(1, cores() // options.threads)
    memory = int(SHARE * MEMORY_LIMIT) // count if options.memory == "auto" else memory_bytes(options.memory)
    visible = _visible_gpus(gpus)
    of_all = {**process_environment(options.threads), "PYTHONWARNINGS": "ignore"}
    return [
        Place(number, memory, of_all | {"CUDA_VISIBLE_DEVICES": visible[number % gpus] if gpus else ""})
        for number in range(count)
    ]


def _visible_gpus(count: int) -> Sequence[str]:
    """Names of the GPUs for ``CUDA_VISIBLE_DEVICES``, some of which may be hidden from this process already."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if len(named) >= count else [str(number) for number in range(count)]


@contextmanager
def _scheduler(dashboard: str) -> Iterator[LocalCluster]:
    """A scheduler that only this machine can reach; a dashboard's port that is taken is replaced by another."""
    options = dashboard_options(dashboard, "127.0.0.1")
    try:
        cluster = LocalCluster(
            n_workers=0,
            dashboard_address=options["dashboard_address"],
            scheduler_kwargs=options,
            silence_logs=logging.CRITICAL,
        )
    except RuntimeError as error:
        cause = error.__cause__ or error
        raise InputError(
            f"the scheduler cannot start, {cause}; address of the dashboard", dashboard
        ) from None
    with cluster:
        yield cluster


class _Host:
    """The process that starts the workers, and starts them again when they have died; it is replaced if it dies itself.

    Parameters
    ----------
    places : sequence of Place
        The workers.
    scheduler : str
        Address to which they connect.
    log : file
        What they say goes there.
    """

    def __init__(self, places: Sequence[Place], scheduler: str, log: IO[str]) -> None:
        workers = [dataclasses.asdict(place) for place in places]
        order = {"scheduler": scheduler, "config": dict(WORKER_SETTINGS), "workers": workers}
        self.order = json.dumps(order).encode() + b"\n"
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "DASK_LOGGING__DISTRIBUTED": "error"}
        self.environment = os.environ | places[0].environment | path
        self.log, self.ending = log, threading.Event()
        self.process = self._start()
        self.keeper = threading.Thread(target=self._keep, name="isolux-workers", daemon=True)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", str(HOST)],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
        )
        _send(process, self.order)
        return process

    def _keep(self) -> None:
        while not self.ending.wait(1.0):
            if self.process.poll() is not None:
                _close(self.process)
                self.process = self._start()

    def wait(self, client: Client, count: int, seconds: float) -> None:
        """Wait until all workers are there; from then on they are kept.

        Raises
        ------
        InputError
            If they do not start, or not in time.
        """
        until = time.monotonic() + seconds
        while len(client.scheduler_info(n_workers=-1)["workers"]) < count:
            if self.process.poll() is not None:
                raise InputError(f"the workers of this machine did not start: {_last_line(self.log)}")
            if time.monotonic() > until:
                raise InputError(
                    f"{count} workers of this machine did not start in time", seconds, "a longer wait"
                )
            time.sleep(0.05)
        self.keeper.start()

    def end(self) -> None:
        """End the workers: what they are at is given up."""
        self.ending.set()
        if self.keeper.is_alive():
            self.keeper.join()
        _send(self.process, b"end\n")
        try:
            self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _close(self.process)


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(line)
        process.stdin.flush()


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    lines = log.read().strip().splitlines()
    return lines[-1] if lines else "they said nothing"
