"""Workers that are jobs of SLURM or PBS, sent to the queue from this process by dask-jobqueue.

A job is a number of worker processes (``processes``), each of which measures one part at a time. A job that has been at
work and is gone (its time was up, its node went down, somebody cancelled it) is replaced by another.
"""

from __future__ import annotations

import inspect
import logging
import math
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from distributed import Client, Status

from isolux.errors import InputError, MissingExtra
from isolux.survey.cluster_settings import (
    WORKER_SETTINGS,
    as_environment,
    check_names,
    dashboard_options,
    memory_bytes,
    process_environment,
)
from isolux.survey.options import ClusterOptions

OURS = {
    "self",
    "scheduler",
    "name",
    "nanny",
    "loop",
    "asynchronous",
    "n_workers",
    "job_cls",
    "config_name",
    "silence_logs",
    "scheduler_cls",
    "dashboard_address",
    "host",
    "job_kwargs",
    "base_class_kwargs",
}
"""Arguments of dask-jobqueue that are set here."""
OUTDATED = {"extra", "env_extra", "job_extra", "header_skip", "project"}
GONE = 60.0
"""Seconds after which a job none of whose workers is there is replaced; a worker that has died is back earlier."""


@contextmanager
def job_cluster(options: ClusterOptions) -> Iterator[Client]:
    """A scheduler in this process, and jobs in the queue.

    Raises
    ------
    InputError
        If options do not fit each other, or the queue does not take the jobs.
    MissingExtra
        If dask-jobqueue is not installed.
    """
    kind = _kind(options.kind)
    arguments, processes = job_arguments(options)
    if shutil.which(kind.job_cls.submit_command) is None:
        name = options.kind.upper()
        raise InputError(
            f"{kind.job_cls.submit_command}: no such command; {name} jobs are sent from a machine that has it"
        )
    jobs = math.ceil((options.workers or processes) / processes)
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(kind(**arguments, silence_logs=logging.CRITICAL))
            for _ in range(jobs):
                cluster.worker_spec.update(cluster.new_worker_spec())
            cluster.sync(_settled, cluster)
        except (RuntimeError, ValueError, OSError) as error:
            for (
                job
            ) in cluster.workers.values():  # or closing the cluster complains of jobs that have not begun
                job.status = Status.failed
            raise InputError(f"{options.kind.upper()} does not take the jobs: {_reason(error)}") from None
        client = stack.enter_context(Client(cluster, set_as_default=False))
        stack.enter_context(_replacing(cluster, jobs))
        yield client


async def _settled(cluster: Any) -> None:
    """Send the jobs, and raise what goes wrong."""
    await cluster


def _kind(name: str) -> Any:
    try:
        import dask_jobqueue
    except ImportError:
        raise MissingExtra("dask-jobqueue", "cluster") from None
    return {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}[name]


def job_arguments(options: ClusterOptions) -> tuple[dict[str, Any], int]:
    """Arguments for dask-jobqueue, and the worker processes of a job.

    Raises
    ------
    InputError
        If an option is unknown, or it is not said what a job has.
    """
    kind = _kind(options.kind)
    check_names(options.options, _known(kind), options.kind.upper())
    given = dict(options.options)
    cores = _count(given.get("cores", options.threads), "cores of a job")
    processes = _count(given.get("processes", max(1, cores // options.threads)), "processes of a job")
    if processes * options.threads > cores:
        raise InputError(
            "processes of a job", processes, f"{cores} cores are enough for {cores // options.threads}"
        )
    memory = given.get("memory")
    if memory is None:
        if options.memory == "auto":
            raise InputError(
                "memory: say how much each worker (in [cluster]) or each job (in its options) needs"
            )
        memory = f"{memory_bytes(options.memory) * processes}B"
    memory_bytes(memory)
    prologue = [f"export {name}={value}" for name, value in worker_environment(options.threads).items()]
    given |= {
        "cores": cores,
        "processes": processes,
        "memory": memory,
        "job_script_prologue": [*given.get("job_script_prologue", ()), *prologue],
        # A worker measures one part at a time, whatever its number of threads; the last word counts.
        "worker_extra_args": [*given.get("worker_extra_args", ()), "--nthreads", "1", "--no-dashboard"],
        "scheduler_options": {
            **dashboard_options(options.dashboard, "0.0.0.0"),
            **given.get("scheduler_options", {}),
        },
    }
    return given, processes


def worker_environment(threads: int) -> Mapping[str, str]:
    """Environment of workers that are started by somebody else's hand."""
    return {**process_environment(threads), **as_environment(WORKER_SETTINGS)}


def _known(kind: Any) -> set[str]:
    """Names of the options that dask-jobqueue takes for a kind of cluster."""
    functions = [cls.__init__ for cls in (*kind.__mro__[:2], *kind.job_cls.__mro__[:2])]
    names = {name for function in functions for name in inspect.signature(function).parameters}
    return names - OURS - OUTDATED


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(name, value, "a whole number, 1 or more")
    return value


def _reason(error: Exception) -> str:
    """What the queue said, of all that dask-jobqueue tells."""
    text = str(error.__cause__ or error)
    said = text.rpartition("stderr:")[2].strip() or text.strip()
    return " ".join(said.split())


@contextmanager
def _replacing(cluster: Any, jobs: int) -> Iterator[None]:
    """Replace jobs that are gone, from a thread of its own."""
    stop, watch = threading.Event(), Watch(cluster, jobs)

    def look() -> None:
        while not stop.wait(GONE / 6):
            with suppress(Exception):  # The queue may not answer for a while; the next look is soon.
                watch.look(time.monotonic())

    thread = threading.Thread(target=look, name="isolux-jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Watch:
    """Knows which jobs have been at work and are gone.

    Parameters
    ----------
    cluster : dask_jobqueue.JobQueueCluster
        Whose jobs are watched.
    jobs : int
        How many there should be.
    """

    def __init__(self, cluster: Any, jobs: int) -> None:
        self.cluster, self.jobs = cluster, jobs
        self.last_seen: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Replace the jobs that have been gone for a while.

        Parameters
        ----------
        now : float
            Seconds on some clock.
        """
        there = {str(worker["name"]) for worker in self.cluster.scheduler_info["workers"].values()}
        gone = []
        for job, spec in list(self.cluster.worker_spec.items()):
            if there & {f"{job}{suffix}" for suffix in spec.get("group", ("",))}:
                self.last_seen[job] = now
            elif job in self.last_seen and now - self.last_seen[job] >= GONE:
                gone.append(job)
        if gone:
            self.cluster.sync(self.cluster.scale_down, gone)
            self.cluster.scale(jobs=self.jobs)
        for job in gone:
            del self.last_seen[job]
