"""Kill survey runs in every way, go on with them, and compare their catalogues row by row with an undisturbed run's.

`python benchmarks/survey_kills.py`; as root, since a disk of its own is filled. It ends with 1 if a row is lost,
doubled or different, or a run behaves in another way than it should.
"""

import argparse
import dataclasses
import datetime
import json
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import survey_kills_faults as faults
import survey_kills_kinds as kinds
import tables
from about import commit, processor
from survey_kills_compare import compared, table_of
from survey_kills_trial import Trial, measured_pace

HERE = Path(__file__).resolve().parent
KINDS = {
    "worker": kinds.kill_workers,
    "host": kinds.kill_hosts,
    "scheduler": kinds.kill_schedulers,
    "driver": kinds.kill_drivers,
    "elsewhere": kinds.kill_drivers_elsewhere,
    "run": kinds.kill_runs,
    "plan": kinds.kill_at_plan,
    "parts": kinds.kill_at_parts,
    "resume": kinds.kill_at_resume,
    "end": kinds.kill_at_end,
    "overwrite": faults.overwrite,
    "disk": faults.fill_disks,
    "input": faults.lose_inputs,
    "memory": faults.take_memory,
    "interrupt": faults.interrupt,
    "terminal": faults.close_terminals,
    "second": faults.second_runs,
}
TEXT = """
## Survey runs: kills

{date}, Isolux at commit {commit}, {processor}, shared with much else.
`{command}`: {galaxies} simulated galaxies in parts of {part}, one or two workers. Runs are ended at random moments
(a quarter of them before the first part of a session is done) or in the way that the table names, and gone on with;
those that are killed at random moments are killed five times each. Each catalogue is then compared with that of an
undisturbed run, every column bit for bit. An undisturbed run on one worker is {undisturbed}.

{table}

{kills} kills and mishaps: **{lost} rows lost, {doubled} doubled, {different} different**, {again} parts measured twice
that were done, {wrong} surprises. 'Rows done': at that moment. 'Noticed': until the run said so or ended; of a leading
process, until its workers were gone; of a full disk, lost input and memory, how long the run went on. 'Temporary':
files that the kill left, and those after the run has been gone on with. A galaxy that always takes all memory gets a
row that says so; the others of its part are then fitted in smaller batches and may differ by {rounding:g} of a value
(seen: 7e-7), by the order of float32 sums. A scheduler that dies is waited for for a while, as networks fail.
{notes}
"""
HEAD = [
    "kind",
    "times",
    "rows done",
    "exit code",
    "noticed, s",
    "lost",
    "doubled",
    "different",
    "measured twice",
]
HEAD += ["temporary", "as it should be"]


def main() -> None:
    options = parse()
    # Runs are to take signals as they do in a terminal, also where this is started in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    bad = try_all(options) if options.kinds else False
    show(options)
    sys.exit(bad)


def try_all(options: argparse.Namespace) -> bool:
    """Kill in all ways that are asked for; whether anything was not as it should be."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    bench, undisturbed = prepare(folder, options)
    bad = undisturbed != SAME
    for name in options.kinds:
        found = []
        for outcome in KINDS[name](bench):
            found.append(outcome)
            print(f"{outcome.kind}: {'same' if outcome.good else outcome}", flush=True)
            keep(options, name, undisturbed, found)
            bad |= not outcome.good
    if options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return bad


SAME = "the same"


def prepare(folder: Path, options: argparse.Namespace) -> tuple[kinds.Bench, str]:
    """The reference, and a second undisturbed run beside it."""
    source = f"mocks = {options.galaxies}\nsize = 48\nseed = {options.seed}"
    part = max(1, options.galaxies // options.parts)
    reference = Trial(folder / "reference", source, part)
    pace = measured_pace(reference)
    print(f"undisturbed: first part after {pace.first:.1f} s, then one each {pace.between:.2f} s", flush=True)
    single = Trial(folder / "single", source, part, workers=1)
    if not single.run.exists() and single.do("--memory", "3GiB"):
        raise SystemExit(single.log)
    table = table_of(reference.run)
    difference = compared(table_of(single.run), table)
    undisturbed = SAME if difference.none else f"DIFFERENT: {difference}"
    print(f"one worker beside two: {undisturbed}", flush=True)
    exported = Trial(folder / "exported", source, part, exports=("fits", "hats"))
    if "end" in options.kinds:
        if not exported.run.exists():
            shutil.copytree(reference.run.path, exported.run.path)
        if exported.do():
            raise SystemExit(exported.log)
    bench = kinds.Bench(folder, source, part, options.seed, options.moments, reference, pace, table)
    return bench, undisturbed


def keep(options: argparse.Namespace, name: str, undisturbed: str, found: Sequence[kinds.Outcome]) -> None:
    """Write what was found of a kind so far."""
    about = {
        "command": "python benchmarks/survey_kills.py",
        "date": str(datetime.date.today()),
        "commit": options.version,
        "processor": processor(),
        "galaxies": options.galaxies,
        "part": max(1, options.galaxies // options.parts),
        "seed": options.seed,
        "undisturbed": undisturbed,
    }
    options.json.mkdir(parents=True, exist_ok=True)
    outcomes = [dataclasses.asdict(outcome) for outcome in found]
    (options.json / f"{name}.json").write_text(json.dumps({**about, "outcomes": outcomes}, indent=1) + "\n")


def show(options: argparse.Namespace) -> None:
    """Write the section of RESULTS.md, of all kinds of which something is known."""
    files = [file for name in KINDS if (file := options.json / f"{name}.json").exists()]
    known = [json.loads(file.read_text()) for file in files]
    outcomes = [kinds.Outcome(**row) for one in known for row in one["outcomes"]]
    about = known[0] | {"commit": ", ".join(sorted({one["commit"] for one in known}))}
    table = tables.markdown(HEAD, [line(kind, outcomes) for kind in dict.fromkeys(o.kind for o in outcomes)])
    count = {
        name: sum(getattr(o, name) for o in outcomes) for name in ("lost", "doubled", "different", "again")
    }
    wrong = [o for o in outcomes if o.wrong]
    words = [
        f"{o.kind}: {' '.join(re.sub('[^ -~]', ' ', o.wrong).strip('; ').split())[-200:]}" for o in wrong
    ]
    notes = "".join(f"\n- {told} ({words.count(told)} times)" for told in dict.fromkeys(words))
    text = TEXT.format(
        rounding=faults.ROUNDING,
        **about,
        **count,
        table=table,
        kills=len(outcomes),
        wrong=len(wrong),
        notes=notes,
    )
    print(text)
    tables.put(options.results, "survey kills", text)


def line(kind: str, outcomes: Sequence[kinds.Outcome]) -> list[str]:
    """A row of the table."""
    some = [o for o in outcomes if o.kind == kind]

    def span(values: Sequence[float], form: str = "{:.0f}") -> str:
        low, high = form.format(min(values)), form.format(max(values))
        return low if low == high else f"{low} to {high}"

    codes = ", ".join(sorted({str(o.code) for o in some if o.code is not None})) or "-"
    seconds = span([o.seconds for o in some], "{:.1f}") if any(o.seconds for o in some) else "-"
    sums = [str(sum(getattr(o, name) for o in some)) for name in ("lost", "doubled", "different", "again")]
    files = f"{sum(o.left for o in some)}, then {sum(o.after for o in some)}"
    good = sum(1 for o in some if o.good)
    return [
        kind,
        str(len(some)),
        span([o.rows for o in some]),
        codes,
        seconds,
        *sums,
        files,
        f"{good} of {len(some)}",
    ]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--moments", type=int, default=20, help="at which a worker, a scheduler, a run are killed"
    )
    parser.add_argument("--galaxies", type=int, default=256)
    parser.add_argument("--parts", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kinds", nargs="*", default=list(KINDS), help="none: only the table; " + ", ".join(KINDS)
    )
    parser.add_argument(
        "--folder", type=Path, help="where runs are made and kept; undisturbed ones there are used"
    )
    parser.add_argument("--json", type=Path, default=HERE / "results" / "survey_kills", help="folder")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    unknown = set(options.kinds) - set(KINDS)
    if unknown:
        parser.error(f"unknown kinds: {unknown}")
    options.version = commit()
    return options


if __name__ == "__main__":
    main()
