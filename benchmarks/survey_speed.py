"""How fast a survey runs beside the fits alone, what memory it takes, and that its rows do not depend on the workers.

    python benchmarks/survey_speed.py                  # all parts; about 25 minutes on two cores
    python benchmarks/survey_speed.py --parts scaling

``run``      100,000 mocks by one command, `isolux survey examples/survey/mocks.toml`, with catalogue and report
``plain``    the same work without a survey: a loop that draws and fits, a process a core; and fits of images in memory
``stored``   stamps in Parquet files, measured by a survey, beside the fits alone
``scaling``  one worker and two; their catalogues are compared bit by bit
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow
import pyarrow.parquet
import tables
import torch
from about import commit, processor

from isolux.io.run_folder import RunFolder
from isolux.survey.fitting import BATCH
from isolux.survey.run_file import read_survey_file

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "survey" / "mocks.toml"
PARTS = ("run", "plain", "stored", "scaling")
MODEL = '[model.sersic]\nprofile = "sersic"\n[model.sky]\nprofile = "sky"\n'
CLUSTER = '[cluster]\ndashboard = "none"\n'
EVERY = 1.0


def main() -> None:
    options = parse()
    if options.loop:
        return print(json.dumps(loop(options.loop, options.galaxies, options.first)))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = json.loads(options.save.read_text()) if options.save.exists() else {}
        for part in options.parts:
            found[part] = WORK[part](Path(folder), options)
            found[part] |= {"date": str(datetime.date.today()), "commit": commit(), "machine": processor()}
            options.save.write_text(json.dumps(found, indent=1))
            print(part, json.dumps(found[part]), flush=True)
    text = report(found)
    print(text)
    tables.put(options.results, "survey-speed", text)
    return None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--count", type=int, default=100_000, help="galaxies of the large run")
    parser.add_argument("--galaxies", type=int, default=8192, help="galaxies of the others")
    parser.add_argument("--folder", help="where runs are written; they are removed in the end")
    parser.add_argument("--loop", choices=("draw+fit", "fit"), help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--save", type=Path, default=HERE / "results" / "survey_speed.json")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def large_run(folder: Path, options: argparse.Namespace) -> dict:
    """One command from nothing to catalogue and report, and the memory of its processes meanwhile."""
    text = EXAMPLE.read_text().replace("mocks = 100000", f"mocks = {options.count}")
    (folder / "mocks.toml").write_text(text.replace('"../../mocks"', '"mocks"'))
    began = time.perf_counter()
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "isolux", "survey", "mocks.toml"], cwd=folder, stdout=file, stderr=file
        )
        memory = watched(process)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(log.read_text())
    run = RunFolder(folder / "mocks")
    ended = next(event["seconds"] for event in run.events() if event["event"] == "ended")
    receipts = sorted(run.receipts(), key=lambda receipt: receipt.finished)
    first, last = (datetime.datetime.fromisoformat(receipts[k].finished) for k in (2, -1))
    between = sum(receipt.rows for receipt in receipts[3:])
    return {
        "galaxies": sum(receipt.rows for receipt in receipts),
        "seconds": seconds,
        "measuring and exporting": ended,
        "rate": between / (last - first).total_seconds(),
        "fitting": sum(receipt.fitting for receipt in receipts),
        "memory": memory,
        "sizes": {
            name: sum(f.stat().st_size for f in (folder / "mocks").glob(pattern) if f.is_file())
            for name, pattern in (("parts", "parts/**/*"), ("report", "report.html"), ("all", "**/*"))
        },
        "files": sum(1 for f in (folder / "mocks").rglob("*") if f.is_file()),
    }


def watched(process: subprocess.Popen) -> dict[str, list[float]]:
    """Resident memory in MB of the leading process and of its largest child, every so often until it ends."""
    seen: dict[str, list[float]] = {"leader": [], "largest worker": [], "all": []}

    def look() -> None:
        me = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                own = me.memory_info().rss / 1e6
                children = []
                for child in me.children(recursive=True):
                    try:
                        children.append(child.memory_info().rss / 1e6)
                    except psutil.Error:
                        continue
            except psutil.Error:
                break
            seen["leader"].append(own)
            seen["largest worker"].append(max(children, default=0.0))
            seen["all"].append(own + sum(children))
            time.sleep(EVERY)

    thread = threading.Thread(target=look)
    thread.start()
    process.wait()
    thread.join()
    return {name: [round(v) for v in values[:: max(1, len(values) // 200)]] for name, values in seen.items()}


def loop(kind: str, count: int, first: int) -> dict:
    """What a script without a survey does: draw galaxies batch by batch and fit them, in this process."""
    torch.set_num_threads(1)
    run = example(count * 4)
    part = next(run.input.plan(10**9, 10**15)).rows(first, first + count)
    warm = part.rows(0, BATCH)
    run.input.measure(warm, frozenset())
    if kind == "fit":
        portions = list(run.input.portions(part))
        began = time.perf_counter()
        for portion in portions:
            run.input._rows(run.input._fit(portion, workplace()), portion.carried)
    else:
        began = time.perf_counter()
        run.input.measure(part, frozenset())
    return {"rate": count / (time.perf_counter() - began)}


def workplace():
    from isolux.isolate import Workplace

    return Workplace(torch.device("cpu"))


def example(count: int):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mocks.toml"
        path.write_text(f"[input]\nmocks = {count}\n{MODEL}")
        return read_survey_file(path)


def plain(folder: Path, options: argparse.Namespace) -> dict:
    """Rates of the loops, on one core and on all at the same time."""
    cores = sorted(os.sched_getaffinity(0))
    count = options.galaxies // len(cores) // BATCH * BATCH
    found: dict = {"galaxies": count}
    for kind in ("draw+fit", "fit"):
        for number in sorted({1, len(cores)}):
            command = [sys.executable, __file__, "--loop", kind, "--galaxies", str(count), "--first"]
            running = [
                subprocess.Popen(
                    ["taskset", "-c", str(core), *command, str(k * count)],
                    stdout=subprocess.PIPE,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
                for k, core in enumerate(cores[:number])
            ]
            rates = [json.loads(process.communicate()[0])["rate"] for process in running]
            found[f"{kind} {number}"] = sum(rates)
    return found


def stored(folder: Path, options: argparse.Namespace) -> dict:
    """A survey of stamps in Parquet files."""
    run = example(options.galaxies)
    (folder / "in").mkdir()
    for number, part in enumerate(run.input.plan(2048, 10**15)):
        pieces = [table_of(portion) for portion in run.input.portions(part)]
        pyarrow.parquet.write_table(
            pyarrow.concat_tables(pieces), folder / "in" / f"{number}.parquet", row_group_size=256
        )
    given = f'[input]\ncatalogue = "in"\nzero_point = 22.5\npixel_scale = 0.396\n{MODEL}'
    return {name: value for name, value in measured(folder, given, "stored", 2).items() if name != "folder"}


def table_of(portion) -> pyarrow.Table:
    batch = portion.batch
    columns = {"id": list(batch.id)}
    for name in ("image", "sigma", "psf"):
        planes = getattr(batch, name)
        planes = planes.expand(len(batch), *planes.shape[1:]).numpy()
        columns[name] = pyarrow.array(list(planes.reshape(len(planes), -1)))
    return pyarrow.table(columns)


def measured(folder: Path, text: str, name: str, workers: int) -> dict:
    """The rate of a run from the first part that is done to the last, and of the whole."""
    path = folder / f"{name}.toml"
    path.write_text(text + CLUSTER + "[survey]\npart_galaxies = 256\n")
    shutil.rmtree(folder / name, ignore_errors=True)
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "isolux",
        "survey",
        str(path),
        "--no-report",
        "--out",
        str(folder / name),
    ]
    subprocess.run([*command, "--workers", str(workers)], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    run = RunFolder(folder / name)
    times = sorted(((folder / name) / "receipts").rglob("*.json"), key=lambda f: f.stat().st_mtime)
    ends = [f.stat().st_mtime for f in times]
    rows = sum(receipt.rows for receipt in run.receipts())
    part = rows / len(ends)
    skipped = 2 * workers
    rate = part * (len(ends) - skipped) / (ends[-1] - ends[skipped - 1])
    busy = sum(receipt.seconds for receipt in run.receipts())
    return {"rows": rows, "seconds": seconds, "rate": rate, "busy": busy, "folder": str(folder / name)}


def scaling(folder: Path, options: argparse.Namespace) -> dict:
    """One worker and two, in turn, twice; and whether their rows are the same."""
    text = f"[input]\nmocks = {options.galaxies}\n{MODEL}"
    runs: dict[int, list[dict]] = {1: [], 2: []}
    for turn in range(2):
        for workers in runs:
            runs[workers].append(measured(folder, text, f"scaling{workers}-{turn}", workers))
    rates = {workers: max(run["rate"] for run in found) for workers, found in runs.items()}
    tables_ = [
        pyarrow.concat_tables(RunFolder(found["folder"]).rows())
        for workers in runs
        for found in runs[workers]
    ]
    same = [same_rows(tables_[0], other) for other in tables_[1:]]
    shown = {str(w): [{k: v for k, v in run.items() if k != "folder"} for run in f] for w, f in runs.items()}
    return {
        "runs": shown,
        "scaling": rates[2] / rates[1],
        "rows": len(tables_[0]),
        "the same bit by bit": same,
    }


def same_rows(one: pyarrow.Table, other: pyarrow.Table) -> bool:
    """Whether two catalogues have the same rows in the same order, NaN being equal to NaN."""
    if one.schema != other.schema or len(one) != len(other):
        return False
    for name in one.column_names:
        a, b = (np.asarray(t[name].to_numpy(zero_copy_only=False)) for t in (one, other))
        equal = (
            a == b
            if a.dtype.kind in "OUSb"
            else (a == b) | (np.isnan(a.astype(float)) & np.isnan(b.astype(float)))
        )
        if not equal.all():
            return False
    return True


WORK = {"run": large_run, "plain": plain, "stored": stored, "scaling": scaling}


def report(found: dict) -> str:
    """The section of RESULTS.md."""
    lines = ["## Survey runs: speed and memory", ""]
    lines += [
        f"`python benchmarks/survey_speed.py`, PyTorch {torch.__version__}. Stamps of 64 x 64 pixels, Sérsic"
    ]
    lines += ["and sky, covariance; two cores. Rates are while parts are measured unless said otherwise.", ""]
    lines += ["| what | galaxies | galaxies/s | part of the loop's rate |", "|---|---|---|---|"]
    for words, galaxies, rate, base in rates(found):
        lines.append(f"| {words} | {galaxies} | {rate:.0f} | {f'{rate / base:.2f}' if base else ''} |")
    if "run" in found:
        lines += memory_and_files(found["run"])
    if "scaling" in found:
        s = found["scaling"]
        one, two = (max(run["rate"] for run in s["runs"][workers]) for workers in "12")
        lines += [
            "",
            f"One worker {one:.0f} galaxies/s, two {two:.0f}: {s['scaling']:.2f} times (better of two runs).",
        ]
        agree = "agree bit by bit" if all(s["the same bit by bit"]) else "DIFFER"
        lines.append(f"The {s['rows']} rows of all four runs {agree}.")
    parts = ", ".join(f"{name} {f['date']} at {f['commit']}" for name, f in found.items())
    lines += ["", f"Measured: {parts}. {next(iter(found.values()))['machine']}."]
    return "\n".join(lines) + "\n"


def rates(found: dict) -> list[tuple[str, int, float, float | None]]:
    """What was done, on how many galaxies, how many a second, and the rate of the loop that does the same."""
    rows: list[tuple[str, int, float, float | None]] = []
    base: dict[str, float | None] = {"draw+fit": None, "fit": None}
    if "plain" in found:
        p = found["plain"]
        words = {"draw+fit": "a loop that draws and fits", "fit": "a loop that fits images in memory"}
        for kind, told in words.items():
            base[kind] = p[f"{kind} 2"]
            rows.append((f"{told}, one core", p["galaxies"], p[f"{kind} 1"], None))
            rows.append((f"{told}, two cores at once", 2 * p["galaxies"], p[f"{kind} 2"], None))
    if "run" in found:
        r = found["run"]
        name = "`isolux survey examples/survey/mocks.toml`"
        rows.append((name, r["galaxies"], r["rate"], base["draw+fit"]))
        whole = f"{name}, from command to report with HATS: {r['seconds']:.0f} s"
        rows.append((whole, r["galaxies"], r["galaxies"] / r["seconds"], base["draw+fit"]))
    if "stored" in found:
        s = found["stored"]
        rows.append(("a survey of stamps in Parquet files", s["rows"], s["rate"], base["fit"]))
    return rows


def memory_and_files(run: dict) -> list[str]:
    """A table of memory in the quarters of the run, and what it has written."""
    lines = ["", "Resident memory of the large run in MB, its largest in each quarter of the time:", ""]
    lines += ["| | first | second | third | last |", "|---|---|---|---|---|"]
    for name, v in run["memory"].items():
        quarters = [max(v[k * len(v) // 4 : (k + 1) * len(v) // 4]) for k in range(4)]
        lines.append(f"| {name} | " + " | ".join(f"{value:.0f}" for value in quarters) + " |")
    told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in run["sizes"].items())
    return [*lines, "", f"Files: {run['files']}; {told}."]


if __name__ == "__main__":
    main()
