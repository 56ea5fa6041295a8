"""What a survey of 10^8 galaxies on 1,000 workers asks of scheduler, driver and file system.

    python benchmarks/survey_scale.py                     # all; half an hour on two cores
    python benchmarks/survey_scale.py --steps sleep files

``sleep``  the real loop over parts (`isolux.survey.drive`) and a real Dask scheduler in a process of its own, with
           light workers (many in a process) that sleep instead of measuring
``two``    two real worker processes, as `isolux survey` starts them: how long a worker waits from part to part
``files``  plan, receipts and parts on disk: sizes, and how long reading them back takes when a run is resumed

Results go to benchmarks/results/survey_scale.json, and with what follows from them on paper for 10^8 galaxies into the
section "Survey runs: the scheduler" of RESULTS.md.
"""

import argparse
import asyncio
import dataclasses
import datetime
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import dask.config
import numpy as np
import psutil
import pyarrow
import tables
from about import commit, processor
from distributed import Client, Worker

from isolux.io.plan_files import Plan, PlanWriter, read_plan
from isolux.io.run_folder import Receipt, RunFolder
from isolux.survey import drive
from isolux.survey.cluster import open_cluster
from isolux.survey.cluster_settings import SETTINGS, as_environment
from isolux.survey.options import ClusterOptions, SurveyOptions
from isolux.survey.work import Job

HERE = Path(__file__).resolve().parent
STEPS = ("sleep", "two", "files")
SLEEPS = ("30:2", "1:20", "0.1:20")
"""Seconds of a part, and parts of each worker."""
QUIET = {
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.worker.memory.monitor-interval": "60s",
}
"""So that a thousand workers of two cores spend little on themselves."""
CONTENT = 8192
"""Bytes of an input as it is sent with each part; that of examples/survey/slurm.toml has 1,203."""
TOTAL, WORKERS, GALAXY = 10**8, 1000, 0.03
"""The survey on paper; seconds of a galaxy on one core, with reading and writing."""


def main() -> None:
    options = parse()
    if options.host:
        return asyncio.run(host(options.host, options.first, options.count))
    save = HERE / "results" / "survey_scale.json"
    steps = {"sleep": sleep, "two": two, "files": files}
    for step in options.steps:
        new = steps[step](options)
        found = json.loads(save.read_text()) if save.exists() else {}
        if step == "sleep":  # what was measured before with parts of other lengths is kept
            old = {row["seconds"]: row for row in found.get(step, {}).get("rows", ())}
            new["rows"] = list((old | {row["seconds"]: row for row in new["rows"]}).values())
        new["options"] = " ".join(sys.argv[1:])
        found[step] = new | {"date": str(datetime.date.today()), "commit": commit(), "machine": processor()}
        save.write_text(json.dumps(found, indent=1))
        print(step, json.dumps(found[step]), flush=True)
    if all(step in found for step in STEPS):
        tables.put(options.results, "survey scale", report(found))
    return None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--workers", type=int, default=WORKERS, help="light workers")
    parser.add_argument("--hosts", type=int, default=4, help="processes that they share")
    parser.add_argument("--sleeps", nargs="+", default=SLEEPS, help="seconds of a part:parts of each worker")
    parser.add_argument("--folder", type=Path, help="where files are tried; they are removed in the end")
    parser.add_argument("--parts", type=int, default=10_000, help="parts whose files are tried")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--host", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def sleeping_part(job: Job, number: int, attempt: int, careful: bool = False) -> Receipt:
    """Stands for a part: sleeps, and says when and where it began and ended."""
    began = time.time()
    time.sleep(job.shown)
    where = f"{os.getpid()} {_worker_name()}"
    return Receipt(
        part=number, rows=1000, bytes=450_000, sha256="0" * 64, seconds=began, fitting=time.time(), cpu=0.0,
        memory=0, status={"converged": 1000}, flags={"NOT_QUADRATIC": 20}, remarks=[],
        attempt=attempt, host=where, finished="",
    )  # fmt: skip


def _worker_name() -> str:
    from distributed import get_worker

    return str(get_worker().name)


async def host(scheduler: str, first: int, count: int) -> None:
    """Light workers in this process, until the scheduler ends."""
    with dask.config.set(SETTINGS | QUIET):
        numbers = range(first, first + count)
        workers = [Worker(scheduler, nthreads=1, name=n, memory_limit=0, dashboard=False) for n in numbers]
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))


class Timed(drive.Drive):
    """The loop, which also keeps when each part began and ended on its worker."""

    def _receive(self, receipt: Receipt) -> None:
        self.times[receipt.host].append((receipt.seconds, receipt.fitting))
        super()._receive(receipt)


def driven(client: Client, parts: int, seconds: float) -> dict:
    """Drive sleeping parts, and find how long workers waited between them."""
    drive.do_part = sleeping_part
    plan = Plan(np.full(parts, 1000), np.full(parts, 1 << 20), ["here"] * parts, ["0" * 64] * parts)
    job = Job("/nowhere", os.urandom(CONTENT), {}, seconds)
    run = Timed(client, job, plan, SurveyOptions(), {}, 60.0)
    run.times = defaultdict(list)
    before, began = time.process_time(), time.perf_counter()
    run.run()
    wall, cpu = time.perf_counter() - began, time.process_time() - before
    gaps = []
    for times in run.times.values():
        times.sort()
        gaps += [later[0] - earlier[1] for earlier, later in pairwise(times)]
    low, middle, high = np.percentile(gaps, [5, 50, 95])
    return {
        "seconds": seconds,
        "parts": parts,
        "wall": wall,
        "rate": parts / wall,
        "busy": parts * seconds / (wall * len(run.times)),
        "driver_ms": 1e3 * cpu / parts,
        "driver_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "wait_ms": [1e3 * float(wait) for wait in (low, middle, high)],
    }


def sleep(options: argparse.Namespace) -> dict:
    """A thousand light workers."""
    with tempfile.TemporaryDirectory() as name:
        note = Path(name) / "scheduler.json"
        environment = (
            os.environ
            | as_environment(SETTINGS | QUIET)
            | {"PYTHONPATH": str(HERE), "DASK_LOGGING__DISTRIBUTED": "error"}
        )
        words = [
            "-m",
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
        ]
        words += ["--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(note)]
        log = (HERE / "results" / "local" / "survey_scale.log").open("w")
        scheduler = subprocess.Popen([sys.executable, *words], env=environment, stderr=log)
        while not note.exists():
            time.sleep(0.2)
        address = json.loads(note.read_text())["address"]
        each = options.workers // options.hosts
        hosts = [
            subprocess.Popen(
                [sys.executable, __file__, "--host", address, "--first", str(n * each), "--count", str(each)],
                env=environment,
                stderr=log,
            )
            for n in range(options.hosts)
        ]
        try:
            with dask.config.set(SETTINGS), Client(address, set_as_default=False) as client:
                client.wait_for_workers(each * options.hosts, timeout=600)
                kinds = [tuple(map(float, kind.split(":"))) for kind in options.sleeps]
                rows = [_slept(client, scheduler, hosts, each * options.hosts, *kind) for kind in kinds]
        finally:
            for process in (*hosts, scheduler):
                process.kill()
                process.wait()
    return {"workers": each * options.hosts, "hosts": options.hosts, "rows": rows}


def _slept(
    client: Client, scheduler: subprocess.Popen, hosts: list, workers: int, seconds: float, each: float
) -> dict:
    there = psutil.Process(scheduler.pid)
    idle = _cpu(there)
    time.sleep(10)
    idle = (_cpu(there) - idle) / 10
    before, of_hosts = _cpu(there), sum(_cpu(psutil.Process(h.pid)) for h in hosts)
    found = driven(client, round(workers * each), seconds)
    used = _cpu(there) - before
    of_hosts = sum(_cpu(psutil.Process(h.pid)) for h in hosts) - of_hosts
    found |= {
        "idle_cores": idle,
        "scheduler_ms": 1e3 * (used - idle * found["wall"]) / found["parts"],
        "scheduler_cores": used / found["wall"],
        "scheduler_mb": there.memory_info().rss / 1e6,
        "worker_ms": 1e3 * of_hosts / found["parts"],
        "load": os.getloadavg()[0],
    }
    print(found, flush=True)
    return found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def two(options: argparse.Namespace) -> dict:
    """Two real workers: scheduler and driver are one process, as in a run."""
    os.environ["PYTHONPATH"] = str(HERE)
    with open_cluster(ClusterOptions(workers=2, dashboard="none")) as client:
        driven(client, 20, 0.1)
        return {"rows": [driven(client, parts, seconds) for seconds, parts in ((1.0, 40), (10.0, 10))]}


def files(options: argparse.Namespace) -> dict:
    """Plans, parts and receipts of as many parts as asked for."""
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        return {
            "parts": options.parts,
            **_plans(folder / "plan"),
            **_resumed(RunFolder(folder / "run"), options.parts),
        }
    finally:
        shutil.rmtree(folder)


def _plans(folder: Path, parts: int = 200, galaxies: int = 1000) -> dict:
    """A plan of stamps in files, the largest that there is."""
    names = ["image", "sigma", "psf", "mask", "ra", "dec", "magnitude", "effective_radius"]
    rng = np.random.default_rng(1)
    began = time.perf_counter()
    with PlanWriter(folder) as writer:
        for part in range(parts):
            ids = [f"survey-{part:06d}-{n:06d}" for n in range(galaxies)]
            columns = {"id": ids}
            for name in names[:4]:
                columns[name] = [f"/data/survey/stamps/{i[7:13]}/{i}_{name}.fits" for i in ids]
            for name in names[4:]:
                columns[name] = rng.random(galaxies)
            writer.add(pyarrow.table(columns), 64 * 64 * galaxies, "")
        writer.finish(pyarrow.table({"path": ["x"]}))
    written = time.perf_counter() - began
    began = time.perf_counter()
    read_plan(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "plan_bytes": size / (parts * galaxies),
        "plan_us": 1e6 * written / (parts * galaxies),
        "plan_read_s": time.perf_counter() - began,
        "plan_files": len(list(folder.iterdir())),
    }


def _resumed(run: RunFolder, parts: int, rows: int = 1000, columns: int = 45) -> dict:
    """Parts of the size of real ones with their receipts; some are written as a run does, the others are links."""
    rng = np.random.default_rng(2)
    table = pyarrow.table(
        {"id": [f"mock_{n:09d}" for n in range(rows)]} | {f"c{n}": rng.random(rows) for n in range(columns)}
    )
    model = Receipt(**dataclasses.asdict(_receipt_like(rows)))
    real = min(200, parts)
    began = time.perf_counter()
    for number in range(real):
        size, checksum = run.write_part(number, table)
        receipt = dataclasses.replace(model, part=number, bytes=size, sha256=checksum)
        run.write_receipt(receipt)
    each = (time.perf_counter() - began) / real
    for number in range(real, parts):
        path = run.part_file(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(run.part_file(number % real), path)
        path = run.receipt_file(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(dataclasses.asdict(dataclasses.replace(receipt, part=number)), sort_keys=True)
        )
    before = psutil.Process().memory_info().rss
    cpu, began = time.process_time(), time.perf_counter()
    done = run.done()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(done) == parts
    began = time.perf_counter()
    assert sum(1 for _ in run.receipts()) == parts
    return {
        "part_bytes": size,
        "row_bytes": size / rows,
        "receipt_bytes": run.receipt_file(0).stat().st_size,
        "write_ms": 1e3 * each,
        "done_ms": 1e3 * wall / parts,
        "done_cpu_ms": 1e3 * cpu / parts,
        "done_kb": (psutil.Process().memory_info().rss - before) / 1e3 / parts,
        "receipts_ms": 1e3 * (time.perf_counter() - began) / parts,
    }


def _receipt_like(rows: int) -> Receipt:
    return Receipt(
        part=0, rows=rows, bytes=0, sha256="0" * 64, seconds=31.415926535, fitting=30.1415926535, cpu=29.1415926535,
        memory=512345678, status={"converged": 985, "step_limit": 10, "failed": 5}, flags={"NOT_QUADRATIC": 20},
        remarks=[], attempt=1, host="node-0123.cluster.example.org, process 123456",
        finished="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


TEXT = """
## Survey runs: the scheduler

`{command}` ({options}), {date},
Isolux at commit {commit}, {machine}. Other work kept both cores busy all the time (load
{load:.0f}: each process had a few per cent of a core), so that only the CPU times say something; waits, rates and
"busy" are the machine's, and are to be measured again on one of its own. A thousand
workers could not be had on it: it did not answer them in time. What a part costs scheduler and driver does not
depend on the number of workers; what their heartbeats cost grows with it.

{workers} light workers in {hosts} processes, a Dask scheduler in a process of its own, the loop over parts of a
real run; parts sleep. One part a worker is out at a time. "Busy" is the workers' share of time in parts; "wait"
is a worker's from the end of a part to the beginning of the next, 5 %, median, 95 %.
"""
PAPER = """
### On paper: 10^8 galaxies on 1,000 workers

From the figures above, with {galaxy:g} s of one core a galaxy. On a core each, scheduler and driver can do
{most:.0f} parts a second; what is asked of them is in the table.

{table}

- Files lie in folders of 1,000. Bytes a row are those of 45 columns of incompressible numbers.
- On resuming, all receipts are read and the checksum of every part is computed: {done:.2f} ms of a core a part
  of 1,000 here. From a file system of 1 GB/s all parts take {disk:.0f} s.
- The plan is of stamps, each with four files and four numbers. Planning keeps 8 bytes an id, 0.8 GB for 10^8,
  and twice that when it looks for repeated ones; of stamps in files of their own it also keeps all paths, some
  40 GB for 4 x 10^8: put images into Parquet files long before.
- A write of a part, with its receipt, waited {write:.0f} ms for the disk, which other work used too.
- Object stores: a PUT is atomic, a rename is not, and there is neither lock nor append. A run's folder needs a
  POSIX file system now; parts are written once, whole, and never changed, so they can be copied to a store as
  they come.
"""


def report(found: dict) -> str:
    light, real, disk = (found[step] for step in STEPS)
    text = TEXT.format(
        command="python benchmarks/survey_scale.py",
        load=max(row["load"] for row in light["rows"]),
        **{name: light[name] for name in ("date", "commit", "machine", "workers", "hosts", "options")},
    )
    header = [
        "a part",
        "parts",
        "parts a second",
        "busy",
        "wait, ms",
        "scheduler, CPU ms a part",
        "driver, CPU ms a part",
    ]
    header += ["scheduler, MB", "driver, MB"]
    rows = [_row(r, f"{r['scheduler_ms']:.2f}", f"{r['scheduler_mb']:.0f}") for r in light["rows"]]
    idle = max(row["idle_cores"] for row in light["rows"])
    twos = [[*_row(r, "in the driver", "in the driver")] for r in real["rows"]]
    return "\n\n".join(
        [
            text,
            tables.markdown(header, rows),
            f"With nothing to do, {light['workers']} workers take {100 * idle:.1f} % of the scheduler's core.",
            "Two real workers, scheduler and driver in one process, as on one machine:",
            tables.markdown(header, twos),
            _share(real["rows"]),
            _paper(light["rows"], disk),
        ]
    )


def _row(r: dict, scheduler_ms: str, scheduler_mb: str) -> list[str]:
    wait = ", ".join(f"{ms:.0f}" for ms in r["wait_ms"])
    shown = [f"{r['seconds']:g} s", str(r["parts"]), f"{r['rate']:.1f}", f"{100 * r['busy']:.1f} %", wait]
    return [*shown, scheduler_ms, f"{r['driver_ms']:.2f}", scheduler_mb, f"{r['driver_mb']:.0f}"]


def _share(rows: list[dict]) -> str:
    longest = max(rows, key=lambda row: row["seconds"])
    share = (longest["wait_ms"][1] + longest["driver_ms"]) / 1e3 / longest["seconds"]
    return (
        f"Of a part of {longest['seconds']:g} s, scheduler and driver take {100 * share:.2f} %: the worker's"
        " wait and the CPU time of both, which on two cores is the workers' loss too."
    )


def _paper(light: list[dict], disk: dict) -> str:
    heaviest = max(max(r["scheduler_ms"], r["driver_ms"]) for r in light)
    dear = max(light, key=lambda r: r["scheduler_ms"] + r["driver_ms"])
    columns = ["a part of", *(f"{galaxies:,} galaxies" for galaxies in (1000, 5000))]
    lines: dict[str, list[str]] = defaultdict(list)
    for galaxies in (1000, 5000):
        parts = TOTAL // galaxies
        seconds = galaxies * GALAXY
        lines["parts; seconds of each"].append(f"{parts:,}; {seconds:.0f}")
        lines["parts a second asked of the scheduler"].append(f"{WORKERS / seconds:.1f}")
        lines["run time, h"].append(f"{TOTAL * GALAXY / WORKERS / 3600:.2f}")
        used = WORKERS / seconds * (dear["scheduler_ms"] + dear["driver_ms"]) / 10
        lines["scheduler and driver together, % of a core"].append(f"{used:.0f}")
        lines["files: parts, receipts, listings"].append(f"{parts:,}, {parts:,}, {-(-parts // 256):,}")
        lines["folders of parts"].append(f"{-(-parts // 1000):,}")
        lines["bytes of a part"].append(f"{disk['row_bytes'] * galaxies / 1e6:.2f} MB")
        lines["catalogue"].append(f"{disk['row_bytes'] * TOTAL / 1e9:.0f} GB")
        lines["receipts"].append(f"{disk['receipt_bytes'] * parts / 1e6:.0f} MB")
        lines["plan"].append(
            f"{disk['plan_bytes'] * TOTAL / 1e9:.1f} GB, {disk['plan_us'] * TOTAL / 3.6e9:.1f} h at that load"
        )
        busy = disk["done_cpu_ms"] * (parts * galaxies / 1000) / 1e3
        lines["looking through what is done, on resuming, CPU s"].append(f"{busy:.0f}")
        lines["receipts in memory, on resuming"].append(f"{disk['done_kb'] * parts / 1e3:.0f} MB")
    table = tables.markdown(columns, [[name, *values] for name, values in lines.items()])
    return PAPER.format(
        galaxy=GALAXY, most=1e3 / heaviest, table=table, write=disk["write_ms"],
        done=disk["done_cpu_ms"], disk=disk["row_bytes"] * TOTAL / 1e9,
    )  # fmt: skip


if __name__ == "__main__":
    main()
