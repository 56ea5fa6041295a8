"""Workers that are pods of Kubernetes, by the Dask operator through dask-kubernetes.

The operator must be installed in the Kubernetes cluster. The run folder and the input must be mounted in this process's
machine and in all pods under the same path (``volumes``, ``volume_mounts``): parts are written by the workers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from distributed import Client

from isolux.errors import InputError, MissingExtra
from isolux.survey.cluster_settings import (
    SETTINGS,
    as_environment,
    check_names,
    memory_bytes,
    process_environment,
)
from isolux.survey.options import ClusterOptions

IDLE = 3600
"""Seconds after which Kubernetes ends a cluster that has nothing to do, as when the process that leads was killed."""
OF_THE_CLUSTER = {"namespace", "resource_timeout", "port_forward_cluster_ip", "scheduler_forward_port"}
OF_THE_MANIFEST = {
    "name",
    "image",
    "env",
    "gpus",
    "volumes",
    "volume_mounts",
    "scheduler_service_type",
    "idle_timeout",
}


@contextmanager
def kubernetes_cluster(options: ClusterOptions) -> Iterator[Client]:
    """A scheduler and workers in pods.

    Raises
    ------
    InputError
        If an option is unknown or missing, or the Kubernetes cluster cannot be used.
    MissingExtra
        If dask-kubernetes is not installed.
    """
    manifest = cluster_manifest(options)
    import kr8s
    from dask_kubernetes.operator import KubeCluster

    arguments = {name: options.options[name] for name in OF_THE_CLUSTER & set(options.options)}
    with ExitStack() as stack:
        try:
            kr8s.api(namespace=arguments.get("namespace")).version()
            cluster = KubeCluster(custom_cluster_spec=manifest, quiet=True, **arguments)
            stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster, set_as_default=False))
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"the Kubernetes cluster cannot be used, {reason}") from None
        yield client


def cluster_manifest(options: ClusterOptions) -> dict[str, Any]:
    """The ``DaskCluster`` that the operator is asked for.

    Raises
    ------
    InputError
        If an option is unknown or missing.
    MissingExtra
        If dask-kubernetes is not installed.
    """
    try:
        from dask_kubernetes.operator import make_cluster_spec
    except ImportError:
        raise MissingExtra("dask-kubernetes", "cluster") from None
    given = options.options
    check_names(given, OF_THE_CLUSTER | OF_THE_MANIFEST, "Kubernetes")
    if "image" not in given:
        raise InputError("image: a Kubernetes cluster needs a container image in which Isolux is installed")
    if options.memory == "auto":
        raise InputError("memory of a worker", "auto", "an amount such as 4GiB, which its pod asks for")
    memory = memory_bytes(options.memory)
    manifest: dict[str, Any] = make_cluster_spec(
        name=given.get("name", f"isolux-{uuid.uuid4().hex[:8]}"),
        image=given["image"],
        n_workers=options.workers or 1,
        env=process_environment(options.threads) | as_environment(SETTINGS) | dict(given.get("env", {})),
        worker_command=["dask", "worker", "--nthreads", "1", "--memory-limit", str(memory), "--nanny"],
        scheduler_service_type=given.get("scheduler_service_type", "ClusterIP"),
        idle_timeout=given.get("idle_timeout", IDLE),
    )
    for role in ("scheduler", "worker"):
        pod = manifest["spec"][role]["spec"]
        _mount(pod, given)
        pod["containers"][0]["resources"] = _resources(options, memory if role == "worker" else None)
    return manifest


def _mount(pod: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Volumes of a pod, as Kubernetes spells them."""
    if "volumes" in given:
        pod["volumes"] = [dict(volume) for volume in given["volumes"]]
    if "volume_mounts" in given:
        pod["containers"][0]["volumeMounts"] = [dict(mount) for mount in given["volume_mounts"]]


def _resources(options: ClusterOptions, memory: int | None) -> dict[str, Any]:
    """What a worker's pod is promised and held to; of the scheduler's, what it is promised."""
    if memory is None:
        return {"requests": {"cpu": "1", "memory": "2Gi"}}
    amounts: dict[str, str] = {"cpu": str(options.threads), "memory": str(memory)}
    if options.options.get("gpus"):
        amounts["nvidia.com/gpu"] = str(options.options["gpus"])
    return {"requests": dict(amounts), "limits": dict(amounts)}
