"""Where a survey's parts are measured: a Dask cluster of this machine or of many, opened and closed.

Whatever the cluster, a worker measures one part at a time in one thread, keeps no results and takes none from others.
So Dask is told not to move work about, not to hold a worker back for its memory (which PyTorch keeps; a worker over
its limit is ended), and to report a part at once when its worker has died: what is tried again is decided by the run.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dask.config
import torch
from distributed import Client, Worker, WorkerPlugin
from distributed.versions import VersionMismatchWarning

from isolux.errors import InputError
from isolux.survey.cluster_jobs import job_cluster
from isolux.survey.cluster_kubernetes import kubernetes_cluster
from isolux.survey.cluster_local import local_cluster
from isolux.survey.cluster_settings import SETTINGS
from isolux.survey.options import ClusterOptions

CONNECTING = 30.0
"""Seconds in which a scheduler must answer."""
SAME = ("isolux", "torch", "distributed")
"""Packages of which all machines must have one version."""
DEVICES = ("auto", "cpu", "cuda")


class Threads(WorkerPlugin):
    """Gives PyTorch its number of threads in every worker, also in those that come later.

    Parameters
    ----------
    count : int
        CPU threads of a worker.
    """

    name = "isolux-threads"

    def __init__(self, count: int) -> None:
        self.count = count

    def setup(self, worker: Worker) -> None:
        """Set it in the worker's process."""
        torch.set_num_threads(self.count)


@contextmanager
def open_cluster(options: ClusterOptions) -> Iterator[Client]:
    """A cluster while the block lasts; on leaving it, its workers are ended, unless it was running before.

    Workers of queues come when the queue lets them, so there may be none yet.

    Parameters
    ----------
    options : ClusterOptions
        Which cluster, and how large.

    Yields
    ------
    Client
        Connected; workers give PyTorch ``options.threads`` threads.

    Raises
    ------
    InputError
        If the options do not fit each other or this machine, the cluster does not answer, or workers have other
        versions of Isolux, PyTorch or Dask.
    MissingExtra
        If the library for this kind of cluster is not installed.
    """
    if options.device not in DEVICES:
        raise InputError("device of workers", options.device, ", ".join(DEVICES))
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set(SETTINGS))
        if options.dashboard == "none":
            stack.enter_context(dask.config.set({"distributed.dashboard.link": ""}))
        if options.scheduler is not None:
            client = stack.enter_context(_running(options.scheduler))
        else:
            client = stack.enter_context(_OPENERS[options.kind](options))
        check_versions(client)
        client.register_plugin(Threads(options.threads))
        if options.scheduler is not None:
            stack.callback(_forget, client)
        yield client


_OPENERS = {
    "local": local_cluster,
    "slurm": job_cluster,
    "pbs": job_cluster,
    "kubernetes": kubernetes_cluster,
}


def dashboard_link(client: Client) -> str | None:
    """Address of the cluster's dashboard for a browser; None where there is none."""
    return client.dashboard_link or None


@contextmanager
def _running(address: str) -> Iterator[Client]:
    """A client of a scheduler that is running, which goes on running."""
    try:
        client = Client(address, timeout=CONNECTING, set_as_default=False)
    except (OSError, TimeoutError) as error:
        reason = f"no Dask scheduler answers at {address} within {CONNECTING:.0f} s ({error})"
        raise InputError(reason) from None
    except ValueError as error:
        raise InputError(f"address of a scheduler: {error}", address, "such as tcp://host:8786") from None
    with client:
        yield client


def _forget(client: Client) -> None:
    """Leave nothing of ours with somebody else's cluster: workers that come later may not have Isolux."""
    # A client whose scheduler has gone has None in its place, hence the AttributeError.
    with suppress(OSError, TimeoutError, ValueError, RuntimeError, AttributeError):
        client.unregister_worker_plugin(Threads.name)


def check_versions(client: Client) -> None:
    """See that the scheduler, which unpacks all tasks, and the workers that are there have what this process has.

    Raises
    ------
    InputError
        Naming those without Isolux, and those with another version of it, of PyTorch, Dask or Python.
    """
    here = {package: importlib.metadata.version(package) for package in SAME} | {
        "Python": platform.python_version()
    }
    there = {package: _everywhere(client, importlib.metadata.version, package) for package in SAME}
    there["Python"] = _everywhere(client, platform.python_version)
    lacking = _those(there["isolux"], lambda found: isinstance(found, Exception))
    if lacking:
        raise InputError(
            f"Isolux {here['isolux']} is not installed for these processes of the cluster: {lacking}"
        )
    for package, wanted in here.items():
        differing = _those(
            there[package], functools.partial(_differs, wanted, parts=2 if package == "Python" else 3)
        )
        if differing:
            where = "these processes of the cluster have another version"
            raise InputError(f"{package} is {wanted} here; {where}: {differing}")


def _everywhere(client: Client, function: Callable[..., str], *arguments: str) -> dict[str, Any]:
    """What a function gives, or the error that it raises, in the scheduler and in all workers."""
    found: dict[str, Any] = client.run(function, *arguments, on_error="return")
    try:
        return found | {"scheduler": client.run_on_scheduler(function, *arguments)}
    except importlib.metadata.PackageNotFoundError as error:
        return found | {"scheduler": error}


def _those(found: Mapping[str, Any], is_wrong: Callable[[Any], bool], most: int = 5) -> str:
    """The workers that are wrong, with what they have."""
    wrong = [f"{worker} ({_said(value)})" for worker, value in sorted(found.items()) if is_wrong(value)]
    more = f" and {len(wrong) - most} more" if len(wrong) > most else ""
    return ", ".join(wrong[:most]) + more


def _said(version: object) -> str:
    return "none" if isinstance(version, Exception) else str(version)


def _differs(wanted: str, found: object, parts: int) -> bool:
    """Whether versions differ, but for the build: PyTorch for CPUs and for GPUs are one version."""
    one, other = (_said(version).partition("+")[0].split(".")[:parts] for version in (wanted, found))
    return one != other


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own messages off the screen, unless the user's Dask configuration asks for them."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", VersionMismatchWarning)
        if not dask.config.get("logging", None):
            for name in list(logging.root.manager.loggerDict):
                if name.split(".")[0] in {"distributed", "tornado", "bokeh"}:
                    for handler in logging.getLogger(name).handlers:
                        stack.callback(handler.setLevel, handler.level)
                        handler.setLevel(logging.CRITICAL + 1)
        yield
