"""Jobs of SLURM and PBS: what is asked of the queue, and a stand-in for a queue that runs what it is given."""

import dataclasses
import os
import re
import stat
import sys
import time
import tomllib
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from isolux.errors import InputError, MissingExtra
from isolux.survey.cluster import check_versions, open_cluster
from isolux.survey.cluster_jobs import GONE, Watch, job_arguments
from isolux.survey.cluster_kubernetes import cluster_manifest
from isolux.survey.cluster_local import local_places
from isolux.survey.options import ClusterOptions
from isolux.survey.run_file import read_survey_file

ROOT = Path(__file__).parents[2]
HEADS = {
    "slurm": [
        "-J dask-worker",
        "-p short",
        "-A me",
        "-n 1",
        "--cpus-per-task=8",
        "--mem=16G",
        "-t 01:00:00",
        "--gres=x",
    ],
    "pbs": [
        "-N dask-worker",
        "-q short",
        "-A me",
        "-l select=1:ncpus=8:mem=16GB",
        "-l walltime=01:00:00",
        "--gres=x",
    ],
}
QUEUES = {"slurm": ("sbatch", "scancel", "Submitted batch job"), "pbs": ("qsub", "qdel", "")}
OF_ALL = {"queue": "short", "account": "me", "walltime": "01:00:00", "job_extra_directives": ["--gres=x"]}


def script(options):
    """The job that is sent, as dask-jobqueue writes it."""
    import dask_jobqueue

    kind = {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}[options.kind]
    arguments, _ = job_arguments(options)
    arguments.pop("scheduler_options")
    return kind.job_cls(scheduler="tcp://here:1", name="x", **arguments).job_script().splitlines()


@pytest.mark.parametrize("kind", HEADS)
def test_job_asks_for_what_it_should(kind):
    mark = {"slurm": "#SBATCH ", "pbs": "#PBS "}[kind]
    lines = script(ClusterOptions(kind=kind, threads=2, memory="4GiB", options={"cores": 8, **OF_ALL}))
    assert [line.removeprefix(mark) for line in lines if line.startswith(mark)] == HEADS[kind]
    assert "export OMP_NUM_THREADS=2" in lines
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False" in lines


@pytest.mark.parametrize("kind", ["slurm", "pbs", "kubernetes"])
def test_examples_can_be_meant(kind):
    options = read_survey_file(ROOT / "examples" / "survey" / f"{kind}.toml").cluster
    assert options.kind == kind
    asked_for(options)


def test_clusters_of_the_documentation_can_be_meant():
    page = (ROOT / "docs" / "survey-clusters.md").read_text(encoding="utf-8")
    blocks = [tomllib.loads(text) for text in re.findall(r"^```toml no-run\n(.*?)^```", page, re.M | re.S)]
    assert len(blocks) == 4
    for block in blocks:
        asked_for(ClusterOptions(**block["cluster"]))


def asked_for(options):
    """See that all options are known."""
    {"local": local_places, "kubernetes": cluster_manifest}.get(options.kind, job_arguments)(
        dataclasses.replace(options, device="cpu")
    )


@pytest.mark.parametrize("kind", HEADS)
def test_workers_of_a_job_have_one_part_each(kind):
    """The command line names the number of threads twice; the last counts."""
    command = script(ClusterOptions(kind=kind, threads=2, memory="4GiB", options={"cores": 8}))[-1].split()
    after = {name: [b for a, b in pairwise(command) if a == name] for name in command}
    assert command[0] == sys.executable
    assert after["--nthreads"] == ["2", "1"]
    assert after["--nworkers"] == ["4"]
    assert after["--memory-limit"] == ["4.00GiB"]


def test_memory_of_a_whole_job_is_taken_as_it_is():
    lines = script(ClusterOptions(kind="slurm", options={"cores": 4, "memory": "10GiB", "processes": 2}))
    assert "#SBATCH --mem=10G" in lines
    assert "--memory-limit 5.00GiB" in lines[-1]


def test_own_words_of_the_user_are_kept():
    own = {"job_script_prologue": ["module load python"], "worker_extra_args": ["--lifetime", "50m"]}
    lines = script(ClusterOptions(kind="slurm", memory="1GiB", options={**own, "log_directory": "."}))
    assert lines.index("module load python") < lines.index("export OMP_NUM_THREADS=1")
    assert "--lifetime 50m" in lines[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"options": {"que": "short"}}, "unknown option 'que' of a SLURM cluster; did you mean 'queue'"),
        ({"options": {"project": "me"}}, "unknown option 'project' of a SLURM cluster"),
        ({"options": {"nanny": False}}, "unknown option 'nanny'"),
        ({"memory": "auto"}, "memory: say how much each worker"),
        ({"options": {"memory": "some"}}, "'some'"),
        ({"options": {"cores": 0}}, "cores of a job"),
        ({"options": {"cores": "all"}}, "cores of a job"),
        (
            {"options": {"cores": 4, "processes": 3}, "threads": 2},
            "processes of a job.*4 cores are enough for 2",
        ),
    ],
)
def test_options_that_cannot_be_meant(options, words):
    with pytest.raises(InputError, match=words):
        job_arguments(ClusterOptions(**{"kind": "slurm", "memory": "1GiB", **options}))


@pytest.mark.parametrize("kind", HEADS)
def test_missing_library_names_its_extra(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with (
        pytest.raises(MissingExtra, match=r"dask-jobqueue.*isolux\[cluster\]"),
        open_cluster(ClusterOptions(kind=kind)),
    ):
        pass


@pytest.mark.parametrize("kind", HEADS)
def test_machine_without_the_queue(kind, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    words = f"{QUEUES[kind][0]}: no such command"
    with pytest.raises(InputError, match=words), open_cluster(ClusterOptions(kind=kind, memory="1GiB")):
        pass


def command(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Commands of both queues that run a job at once, in a session of its own whose process is the job's number."""
    for send, cancel, said in QUEUES.values():
        run = f'cp "$1" "{tmp_path}/job"\nsetsid bash "{tmp_path}/job" > "{tmp_path}/log" 2>&1 &\necho {said} $!'
        command(tmp_path / send, run)
        command(tmp_path / cancel, 'kill -9 -- -"$1"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


@pytest.mark.parametrize("kind", HEADS)
def test_jobs_come_work_and_go(kind, queue):
    with open_cluster(ClusterOptions(kind=kind, memory="1GiB", workers=1, dashboard="none")) as client:
        client.wait_for_workers(1, timeout=60)
        check_versions(client)
        pid = client.submit(os.getpid).result()
        (worker,) = client.scheduler_info(n_workers=-1)["workers"].values()
        assert (worker["nthreads"], worker["memory_limit"]) == (1, 1 << 30)
        assert client.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    end = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_queue_that_refuses_is_quoted(queue):
    command(queue / "sbatch", "echo sbatch: error: invalid partition specified: shrot >&2; exit 1")
    options = ClusterOptions(kind="slurm", memory="1GiB", dashboard="none", options={"queue": "shrot"})
    words = "SLURM does not take the jobs: sbatch: error: invalid partition specified: shrot$"
    with pytest.raises(InputError, match=words), open_cluster(options):
        pass


class Jobs:
    """A cluster that keeps count of its jobs."""

    def __init__(self, suffixes):
        spec = {"group": suffixes} if suffixes else {}
        self.worker_spec = {f"job-{n}": spec for n in range(3)}
        self.there = {f"{job}{suffix}" for job in self.worker_spec for suffix in suffixes or [""]}
        self.asked = []

    @property
    def scheduler_info(self):
        return {"workers": {name: {"name": name} for name in self.there}}

    def sync(self, function, *arguments):
        function(*arguments)

    def scale_down(self, jobs):
        for job in jobs:
            del self.worker_spec[job]

    def scale(self, jobs):
        self.asked.append(jobs)


@pytest.mark.parametrize("suffixes", [[], ["-0", "-1"]])
def test_jobs_that_are_gone_are_replaced(suffixes):
    cluster = Jobs(suffixes)
    watch = Watch(cluster, 3)
    watch.look(0.0)
    cluster.there -= {name for name in cluster.there if name.startswith("job-1")}
    watch.look(1.0)
    watch.look(GONE - 1)
    assert not cluster.asked
    watch.look(GONE)
    assert (cluster.asked, sorted(cluster.worker_spec)) == ([3], ["job-0", "job-2"])
    watch.look(2 * GONE)
    assert cluster.asked == [3]


def test_job_with_a_worker_left_and_job_in_the_queue_are_let_be():
    cluster = Jobs(["-0", "-1"])
    cluster.there = {"job-0-1"}
    watch = Watch(cluster, 3)
    for now in (0, GONE, 9 * GONE):
        watch.look(now)
    assert not cluster.asked
