"""Clusters of this machine, and running ones: workers as asked for, quiet, ended with the run however that ends."""

import importlib.metadata
import logging
import os
import platform
import signal
import socket
import subprocess
import sys
import time

import dask.config
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from isolux.errors import InputError
from isolux.survey import cluster, cluster_local
from isolux.survey.cluster import Threads, check_versions, dashboard_link, open_cluster
from isolux.survey.cluster_local import local_places
from isolux.survey.options import ClusterOptions

LIMIT = 1 << 30
SCRIPT = """
import os, time
from isolux.survey.cluster import open_cluster
from isolux.survey.options import ClusterOptions
with open_cluster(ClusterOptions(workers=1, dashboard="none")) as client:
    print(*client.run(os.getpid).values(), flush=True)
    client.submit(time.sleep, 600).result()
"""


def threads_and_settings():
    import torch

    names = ("distributed.worker.memory.pause", "distributed.worker.memory.spill")
    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], [dask.config.get(name) for name in names]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def eat():
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(1 << 20)) * 100)
        time.sleep(0.05)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def client(taken_port):
    options = ClusterOptions(workers=2, threads=2, memory="1GiB", dashboard=f":{taken_port}")
    with open_cluster(options) as client:
        yield client


def test_workers_are_as_asked_for(client):
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    assert [(w["nthreads"], w["memory_limit"]) for w in workers] == [(1, LIMIT)] * 2
    assert list(client.run(threads_and_settings).values()) == [(2, "2", [False, False])] * 2


def test_dashboard_takes_another_port_if_its_own_is_taken(client, taken_port):
    link = dashboard_link(client)
    assert link.startswith("http://127.0.0.1:")
    assert f":{taken_port}/" not in link


def test_scheduler_is_not_reached_from_other_machines(client):
    assert client.scheduler.address.startswith("tcp://127.0.0.1:")


def test_dead_worker_is_told_at_once_and_replaced(client, capfd):
    with pytest.raises(KilledWorker, match="on 1 different workers"):
        client.submit(die, pure=False).result()
    client.wait_for_workers(2, timeout=60)
    assert capfd.readouterr() == ("", "")


def test_worker_over_its_memory_is_ended(client):
    with pytest.raises(KilledWorker):
        client.submit(eat, pure=False).result(timeout=60)
    client.wait_for_workers(2, timeout=60)


def test_host_of_the_workers_is_replaced(client):
    before = set(client.run(os.getpid).values())
    host = psutil.Process(next(iter(before))).parent()
    host.kill()
    until(lambda: not any(map(psutil.pid_exists, before)))
    client.wait_for_workers(2, timeout=60)
    until(lambda: len(set(client.run(os.getpid, on_error="ignore").values()) - before) == 2)


def test_settings_and_loggers_are_as_before_in_the_end():
    handlers = [h for h in logging.getLogger("distributed").handlers]
    before = dask.config.get("distributed.scheduler.allowed-failures"), [h.level for h in handlers]
    with open_cluster(ClusterOptions(workers=1, dashboard="none")) as client:
        assert dashboard_link(client) is None
        assert dask.config.get("distributed.scheduler.allowed-failures") == 0
        (pid,) = client.run(os.getpid).values()
    assert not psutil.pid_exists(pid)
    assert before == (dask.config.get("distributed.scheduler.allowed-failures"), [h.level for h in handlers])


def test_workers_end_with_the_process_that_leads(tmp_path):
    """The script has no guard of ``__main__``, and is killed while a worker is at work."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as leading:
        worker = int(leading.stdout.readline())
        assert psutil.pid_exists(worker)
        leading.kill()
        assert leading.stderr.read() == ""
    until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)


def test_memory_is_shared_out(monkeypatch):
    monkeypatch.setattr(cluster_local, "MEMORY_LIMIT", 10 << 30)
    places = local_places(ClusterOptions(workers=3), gpus=0)
    assert [place.memory for place in places] == [int(0.9 * (10 << 30)) // 3] * 3
    assert {place.environment["CUDA_VISIBLE_DEVICES"] for place in places} == {""}


@pytest.mark.parametrize(("cores", "threads", "workers"), [(8, 1, 8), (8, 3, 2), (2, 4, 1)])
def test_one_worker_a_core(monkeypatch, cores, threads, workers):
    monkeypatch.setattr(cluster_local, "cores", lambda: cores)
    places = local_places(ClusterOptions(threads=threads), gpus=0)
    assert len(places) == workers
    assert places[0].environment["MKL_NUM_THREADS"] == str(threads)


@pytest.mark.parametrize(
    ("visible", "workers", "seen"),
    [
        (None, None, "0 1 2 3"),
        ("6,7,2,3", None, "6 7 2 3"),
        (None, 2, "0 1"),
        ("GPU-a,GPU-b,1,0", 6, "GPU-a GPU-b 1 0 GPU-a GPU-b"),
    ],
)
def test_each_worker_sees_one_gpu(monkeypatch, visible, workers, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    places = local_places(ClusterOptions(workers=workers), gpus=4)
    assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places] == seen.split()


def test_gpus_are_left_alone_if_cpus_are_asked_for(monkeypatch):
    monkeypatch.setattr(cluster_local, "cores", lambda: 5)
    places = local_places(ClusterOptions(device="cpu"), gpus=4)
    assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places] == [""] * 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"memory": "lots"}, "memory of a worker.*'lots'.*4GiB"),
        ({"memory": "-2GiB"}, "memory of a worker"),
        ({"device": "tpu"}, "device of workers.*'tpu'.*auto, cpu, cuda"),
        ({"options": {"queue": "short"}}, "unknown option 'queue' of a local cluster"),
        ({"dashboard": "no.such.host.invalid:8787"}, "scheduler cannot start"),
        ({"dashboard": "localhost:dash"}, "address of the dashboard.*localhost:dash"),
    ],
)
def test_options_that_cannot_be_meant(options, words):
    with pytest.raises(InputError, match=words), open_cluster(ClusterOptions(workers=1, **options)):
        pass


def test_gpu_that_is_not_there():
    with pytest.raises(InputError, match="no GPU"):
        local_places(ClusterOptions(device="cuda"), gpus=0)


def test_workers_that_do_not_start_say_why(monkeypatch, tmp_path):
    host = tmp_path / "host.py"
    host.write_text("raise ValueError('no room')", encoding="utf-8")
    monkeypatch.setattr(cluster_local, "HOST", host)
    with (
        pytest.raises(InputError, match="did not start: ValueError: no room"),
        open_cluster(ClusterOptions(workers=1)),
    ):
        pass


@pytest.fixture(scope="module")
def running():
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as there:
        yield there.scheduler_address


def test_running_scheduler_goes_on_running(running):
    import torch

    before = torch.get_num_threads()
    for _ in range(2):
        with open_cluster(ClusterOptions(scheduler=running, threads=before)) as client:
            assert client.submit(abs, -3).result() == 3
    with Client(running, set_as_default=False) as client:
        plugins = client.run(lambda dask_worker: list(dask_worker.plugins))
    assert all(Threads.name not in names for names in plugins.values())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("carrier-pigeon://host:1", "address of a scheduler.*tcp://host:8786"),
        ("tcp://127.0.0.1:many", "scheduler"),
    ],
)
def test_scheduler_that_is_not_there(monkeypatch, address, words):
    monkeypatch.setattr(cluster, "CONNECTING", 0.5)
    with pytest.raises(InputError, match=words), open_cluster(ClusterOptions(scheduler=address)):
        pass


class Workers:
    """A client whose workers have whatever versions."""

    def __init__(self, **changed):
        same = {name: importlib.metadata.version(name) for name in cluster.SAME}
        self.found = same | {"Python": platform.python_version()} | changed

    def run(self, function, package="Python", on_error=None):
        return {"tcp://good:1": Workers().found[package], "tcp://bad:1": self.found[package]}

    def run_on_scheduler(self, function, package="Python"):
        return Workers().found[package]


class Scheduler(Workers):
    """A client whose scheduler is without a package."""

    def run(self, function, package="Python", on_error=None):
        return {}

    def run_on_scheduler(self, function, package="Python"):
        if isinstance(self.found[package], Exception):
            raise self.found[package]
        return self.found[package]


def test_scheduler_without_isolux_is_named():
    with pytest.raises(InputError, match=r"not installed for .*: scheduler \(none\)$"):
        check_versions(Scheduler(isolux=importlib.metadata.PackageNotFoundError("isolux")))


@pytest.mark.parametrize(
    "changed", [{}, {"torch": importlib.metadata.version("torch").partition("+")[0] + "+cu999"}]
)
def test_same_versions_pass(changed):
    check_versions(Workers(**changed))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"isolux": importlib.metadata.PackageNotFoundError("isolux")},
            r"not installed for these processes of the cluster: tcp://bad:1 \(none\)$",
        ),
        ({"isolux": "0.0.1"}, r"isolux is .* have another version: tcp://bad:1 \(0.0.1\)$"),
        ({"torch": "1.0"}, "torch is "),
        ({"distributed": "2019.1.0"}, "distributed is "),
        ({"Python": "2.7.1"}, "Python is "),
    ],
)
def test_workers_with_other_versions_are_named(changed, words):
    with pytest.raises(InputError, match=words):
        check_versions(Workers(**changed))


def test_many_workers_are_not_all_named():
    text = cluster._those({f"tcp://{n}": "1" for n in range(12)}, lambda found: True)
    assert text.endswith("and 7 more")
