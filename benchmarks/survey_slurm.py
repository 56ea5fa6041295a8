"""A survey on a real SLURM, one of whose jobs is cancelled in the middle, beside the same survey without a queue.

    bash benchmarks/survey_slurm.sh up        # where there is no SLURM: one of two cores on this machine, as root
    SLURM_CONF=/var/tmp/isolux-slurm/slurm.conf python benchmarks/survey_slurm.py
    bash benchmarks/survey_slurm.sh down

The rows of both runs must be the same, bit by bit. Results go to benchmarks/results/survey_slurm.json and into the
section "Clusters" of RESULTS.md.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow
import tables
from about import commit, processor

from isolux.io.run_folder import RunFolder

HERE = Path(__file__).resolve().parent
RUN_FILE = """
[input]
mocks = {galaxies}
[model.sersic]
profile = "sersic"
[survey]
part_galaxies = {part}
[cluster]
kind = "{kind}"
workers = 2
memory = "2GiB"
dashboard = "none"
{options}
[output]
folder = "{kind}"
"""
OPTIONS = """
[cluster.options]
queue = "{queue}"
walltime = "00:30:00"
processes = 1
log_directory = "logs"
"""
TEXT = """
## Clusters

A survey of {galaxies} mocks in {parts} parts by two workers, each a job of a real SLURM ({version}, one node, two
cores, `benchmarks/survey_slurm.sh`). When {at} parts were done, one of the two jobs was cancelled (`scancel`).
`{command}`, {date}, Isolux at commit {commit}, {machine}; other work ran on the machine at the same time.
PBS was tried with a stand-in for its commands, Kubernetes by holding what the Dask operator is asked for against the
operator's own definition (`tests/survey/test_cluster_jobs.py`, `test_cluster_kubernetes.py`); neither on a real one.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--galaxies", type=int, default=6000)
    parser.add_argument("--part", type=int, default=100, help="galaxies of a part")
    parser.add_argument("--queue", default="short", help="partition")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = compare(Path(name), options)
    about = {"date": str(datetime.date.today()), "commit": commit(), "machine": processor()}
    found |= about | {"command": " ".join(["python", "benchmarks/survey_slurm.py", *sys.argv[1:]])}
    (HERE / "results" / "survey_slurm.json").write_text(json.dumps(found, indent=1))
    tables.put(options.results, "clusters", report(found))


def compare(folder: Path, options: argparse.Namespace) -> dict:
    """Run the survey on SLURM and without, and compare the rows."""
    slurm, events = on_slurm(folder, options)
    command(folder, options, "local", "").wait()
    local = RunFolder(folder / "local")
    one, other = (pyarrow.concat_tables(list(run.rows())) for run in (slurm, local))
    receipts = list(slurm.receipts())
    return {
        "galaxies": len(other),
        "parts": len(receipts),
        "same": one.equals(other),
        "quarantined": len(slurm.quarantined()),
        "again": sum(receipt.attempt > 1 for receipt in receipts),
        "workers": len({receipt.host for receipt in receipts}),
        "version": words("sinfo", "--version"),
        **events,
    }


def command(folder: Path, options: argparse.Namespace, kind: str, more: str) -> subprocess.Popen:
    text = RUN_FILE.format(galaxies=options.galaxies, part=options.part, kind=kind, options=more)
    (folder / f"{kind}.toml").write_text(text)
    words = [sys.executable, "-m", "isolux", "survey", f"{kind}.toml", "--no-report"]
    return subprocess.Popen(words, cwd=folder)


def on_slurm(folder: Path, options: argparse.Namespace) -> tuple[RunFolder, dict]:
    """Cancel a job when a third is done; the run, and what happened when."""
    began, run = time.monotonic(), RunFolder(folder / "slurm")
    process = command(folder, options, "slurm", OPTIONS.format(queue=options.queue))
    events: dict = {}
    seen: dict[str, float] = {}
    while process.poll() is None:
        done = len(list((run.path / "receipts").glob("*/part-*.json")))
        now = time.monotonic() - began
        for job in words("squeue", "-h", "-o", "%i", "-t", "RUNNING").split():
            seen.setdefault(job, now)
        if done and "first_part" not in events:
            events["first_part"] = now
        if done >= options.galaxies / options.part / 3 and "cancelled" not in events:
            job = min(seen)
            words("scancel", job)
            events |= {"at": done, "cancelled": now, "job": job}
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"the survey ended with exit code {process.returncode}")
    late = [when - events["cancelled"] for when in seen.values() if when > events["cancelled"]]
    return run, events | {
        "seconds": time.monotonic() - began,
        "jobs": len(seen),
        "replaced_after": min(late, default=None),
    }


def words(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def report(found: dict) -> str:
    after = found["replaced_after"]
    lines = [
        ["rows the same as without a queue, bit by bit", "yes" if found["same"] else "NO"],
        ["parts that were given up", str(found["quarantined"])],
        ["parts that were measured again", str(found["again"])],
        ["jobs seen, worker processes that measured parts", f"{found['jobs']}, {found['workers']}"],
        ["first part done after", f"{found['first_part']:.0f} s"],
        ["job cancelled after", f"{found['cancelled']:.0f} s"],
        ["another in its place", "none" if after is None else f"{after:.0f} s later"],
        ["whole run", f"{found['seconds']:.0f} s"],
    ]
    return "\n\n".join([TEXT.format(**found), tables.markdown(["", "found"], lines)])


if __name__ == "__main__":
    main()
