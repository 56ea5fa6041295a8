"""Ways to kill a run: a worker, what hosts the workers, the scheduler, the leading process, all; at telling moments."""

import dataclasses
import functools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from survey_kills_compare import compared, same_exports, table_of
from survey_kills_trial import LONG, Hung, Pace, Trial, numbers, receipts, wait_for_moment, waits

from isolux.survey.cluster_jobs import worker_environment

NOTICED = 120.0
"""Seconds in which a run must have noticed what has been done to it."""


@dataclasses.dataclass
class Outcome:
    """What came of one kill."""

    kind: str
    rows: int = 0
    """Done when it came."""
    code: int | None = None
    """With which the run ended before it was gone on with."""
    seconds: float = 0.0
    """Until the run had noticed, or its processes were gone."""
    left: int = 0
    """Temporary files after the kill."""
    lost: int = 0
    doubled: int = 0
    different: int = 0
    again: int = 0
    """Parts that were done and were measured again all the same."""
    after: int = 0
    """Temporary files after the run has been gone on with."""
    wrong: str = ""
    """What was not as it should be, in words."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.different or self.again or self.after or self.wrong)


@dataclasses.dataclass
class Bench:
    """What all kinds need."""

    folder: Path
    input: str
    part: int
    seed: int
    moments: int
    reference: Trial
    pace: Pace
    table: pa.Table

    def dice(self, kind: str) -> random.Random:
        """Dice of a kind's own."""
        return random.Random(f"{self.seed} {self.moments} {kind}")

    def trials(self, kind: str, count: int | None = None, **more: object) -> Iterator[Trial]:
        """New folders with the same run."""
        for name in numbers(self.moments if count is None else count):
            trial = Trial(self.folder / kind.replace(" ", "_") / name, self.input, self.part, **more)
            try:
                yield trial
            finally:
                trial.kill_all()
            shutil.rmtree(trial.folder / "run" / "portraits", ignore_errors=True)

    def judge(self, trial: Trial, outcome: Outcome, before: dict[int, tuple[int, int]]) -> Outcome:
        """Compare the catalogue of a run that has ended with the reference."""
        try:
            difference = compared(table_of(trial.run), self.table)
        except Exception as error:
            outcome.wrong += f"; no catalogue: {error}"
            return outcome
        outcome.lost, outcome.doubled = difference.lost, difference.doubled
        outcome.different = difference.different
        now = trial.done()
        outcome.again += changed(before, now)
        outcome.after = trial.temporary()
        if trial.run.quarantined():
            outcome.wrong += "; parts were given up"
        if len(trial.run.done()) != self.pace.parts:
            outcome.wrong += "; receipts do not agree with the parts"
        if set(trial.run.path.glob("portraits/*/*")) and portraits(trial) != portraits(self.reference):
            outcome.wrong += "; other portraits"
        return outcome

    def resumed(self, trial: Trial, outcome: Outcome, *more: str) -> Outcome:
        """Go on with a run that was ended, and compare."""
        before = trial.done()
        outcome.left = outcome.left or trial.temporary()
        outcome.rows = outcome.rows or sum(rows for rows, _ in before.values())
        try:
            code = trial.do(*more)
        except Hung as error:
            outcome.wrong += f"; {error}"
            return outcome
        if code:
            outcome.wrong += f"; gone on with, it ended with {code}: {trial.log[-300:]}"
        return self.judge(trial, outcome, before)


def portraits(trial: Trial) -> list[tuple[str, bytes]]:
    """Portraits of a run."""
    files = sorted(trial.run.path.glob("portraits/*/*.parquet"))
    return [(path.name, path.read_bytes()) for path in files]


def kill_workers(bench: Bench) -> Iterator[Outcome]:
    """A worker, which the run must survive by itself."""
    pick = lambda trial: trial.workers_alive()  # noqa: E731
    yield from _chains(bench, "worker", functools.partial(_strike_one, pick), survives=True)


def kill_hosts(bench: Bench) -> Iterator[Outcome]:
    """The process that starts the workers, and restarts them."""
    pick = lambda trial: [p for p, words in trial.processes().items() if "cluster_host" in words]  # noqa: E731
    strike = functools.partial(_strike_one, pick)
    yield from _chains(bench, "host of the workers", strike, survives=True, share=0.2)


def kill_drivers(bench: Bench) -> Iterator[Outcome]:
    """The leading process alone; half of the times it is gone on with while its workers may still be at work."""
    yield from _chains(bench, "leading process", _strike_driver)


def kill_runs(bench: Bench) -> Iterator[Outcome]:
    """Every process at once, as when the machine goes down."""
    yield from _chains(bench, "whole run", _strike_all)


def kill_schedulers(bench: Bench) -> Iterator[Outcome]:
    """A scheduler that was running before: the run must say so and end, and go on with another."""
    dask: list[subprocess.Popen[bytes]] = []

    def start(trial: Trial) -> None:
        address, scheduler = start_dask(trial)
        dask.append(scheduler)
        trial.start("--scheduler", address)

    def strike(trial: Trial, outcome: Outcome, dice: random.Random) -> None:
        _strike_scheduler(trial, outcome, dask[-1])

    yield from _chains(bench, "scheduler", strike, start)


def kill_drivers_elsewhere(bench: Bench) -> Iterator[Outcome]:
    """The leading process alone, whose workers are somebody else's: gone on with there while they still work for it."""
    dask: dict[Path, str] = {}

    def start(trial: Trial) -> None:
        if trial.folder not in dask:
            dask[trial.folder], _ = start_dask(trial)
        trial.start("--scheduler", dask[trial.folder])

    def strike(trial: Trial, outcome: Outcome, dice: random.Random) -> None:
        trial.kill(trial.process.pid)
        outcome.code = trial.ended()

    yield from _chains(bench, "leading process, workers of others", strike, start, share=0.25)


CHAIN = 5
"""Kills of one run, before it may end and is compared."""


def _chains(
    bench: Bench,
    kind: str,
    strike: Callable[[Trial, Outcome, random.Random], None],
    start: Callable[[Trial], None] = Trial.start,
    survives: bool = False,
    share: float = 1.0,
) -> Iterator[Outcome]:
    """Kill runs several times each and go on with them each time; the last outcome of each has the comparison."""
    dice, wanted = bench.dice(kind), max(2, round(share * bench.moments))
    for k, trial in enumerate(bench.trials(kind, 3 * wanted)):
        trial.workers = 1 + k % 2
        trial.write()
        made: list[Outcome] = []
        while len(made) < min(CHAIN, wanted):
            before = trial.done()
            if not trial.running():
                start(trial)
            if not wait_for_moment(trial, bench.pace, dice, len(before), 0.0 if survives else EARLY):
                break  # it ended before the moment
            outcome = Outcome(kind)
            strike(trial, outcome, dice)
            now = trial.done()
            outcome.rows = sum(rows for rows, _ in now.values())
            outcome.left = trial.temporary()
            outcome.again = changed(before, now)
            made.append(outcome)
        wanted -= len(made)
        if made:
            yield from made[:-1]
            yield _finished(bench, trial, made[-1])
        trial.kill_all()
        if not wanted:
            return


EARLY = 0.25
"""Share of the moments before the first part of a session is done."""


def changed(before: dict[int, tuple[int, int]], now: dict[int, tuple[int, int]]) -> int:
    """Parts that were done and have been written again, or are not done any more."""
    return sum(1 for number, known in before.items() if now.get(number) != known)


def _finished(bench: Bench, trial: Trial, outcome: Outcome) -> Outcome:
    """Let a run end, or go on with it, and compare."""
    if not trial.running():
        return bench.resumed(trial, outcome)
    before = trial.done()
    try:
        code = trial.ended()
    except Hung as error:
        outcome.wrong += f"; {error}"
        return outcome
    if code:
        outcome.wrong += f"; it ended with {code}: {trial.log[-300:]}"
    if trial.until_alone() > NOTICED:
        outcome.wrong += "; processes were left"
    return bench.judge(trial, outcome, before)


def _strike_one(
    pick: Callable[[Trial], list[int]], trial: Trial, outcome: Outcome, dice: random.Random
) -> None:
    waits(lambda: bool(pick(trial)) or not trial.running(), 120)
    there, told = pick(trial), trial.log.count("tried again")
    if not there:
        outcome.wrong = "; there was none"
        return
    trial.kill(dice.choice(sorted(there)))
    killed = time.monotonic()
    waits(lambda: trial.log.count("tried again") > told or not trial.running(), 15)
    outcome.seconds = time.monotonic() - killed if trial.log.count("tried again") > told else 0.0


def _strike_driver(trial: Trial, outcome: Outcome, dice: random.Random) -> None:
    trial.kill(trial.process.pid)
    outcome.code = trial.ended()
    if dice.random() < 0.5:
        outcome.seconds = trial.until_alone()
        if outcome.seconds > NOTICED:
            outcome.wrong += "; workers lived on"


def _strike_all(trial: Trial, outcome: Outcome, dice: random.Random) -> None:
    trial.kill_all()
    outcome.code = trial.ended()


def _strike_scheduler(trial: Trial, outcome: Outcome, scheduler: subprocess.Popen[bytes]) -> None:
    killed, told = time.monotonic(), len(trial.log)
    scheduler.kill()
    scheduler.wait()
    try:
        outcome.code = trial.ended(NOTICED)
    except Hung as error:
        outcome.wrong += f"; {error}"
    outcome.seconds = time.monotonic() - killed
    said = trial.log[told:]
    early = outcome.code == 2 and "no Dask scheduler answers" in said
    if not early and (outcome.code != 3 or "The run has stopped" not in said):
        outcome.wrong += f"; it ended with {outcome.code}: {said[-1000:]}"
    if "Traceback" in said:
        outcome.wrong += f"; a traceback was shown: {said[:600]}"
    trial.kill_all()


def start_dask(trial: Trial, workers: int = 2) -> tuple[str, subprocess.Popen[bytes]]:
    """A scheduler and workers by Dask's own commands, as a user starts them."""
    file = trial.folder / "scheduler.json"
    file.unlink(missing_ok=True)
    around = {**trial.around(), **worker_environment(1)}
    log = (trial.folder / "dask.log").open("ab")

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        return subprocess.Popen(command, cwd=trial.folder, env=around, stdout=log, stderr=log)

    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    scheduler = start("dask_scheduler", *options)
    if not waits(file.exists, LONG):
        raise Hung("Dask's scheduler does not start")
    time.sleep(0.2)
    address = json.loads(file.read_text())["address"]
    for _ in range(workers):
        start("dask_worker", address, "--nthreads", "1", "--no-dashboard", "--memory-limit", "2GiB")
    return address, scheduler


def kill_at_plan(bench: Bench) -> Iterator[Outcome]:
    """The whole run, before there is a manifest."""
    count = max(2, bench.moments // 10)
    yield from _at(bench, "while the plan is written", count, lambda t: _any(t.run.path, ".plan.tmp"))
    yield from _at(bench, "plan there, manifest not", count, lambda t: (t.run.path / "plan").exists())


def kill_at_parts(bench: Bench) -> Iterator[Outcome]:
    """The whole run, while a part is put in place."""
    count = max(2, bench.moments // 10)
    yield from _at(bench, "rows there, receipt not", 2 * count, _unreceipted)
    yield from _at(bench, "while a file is written", count, lambda t: _any(t.run.path, "parts/*/.part*.tmp"))


def kill_at_resume(bench: Bench) -> Iterator[Outcome]:
    """The whole run, while it is compared with what was there before."""
    kind, count = "while a resume compares", max(2, bench.moments // 10)
    yield from _at(bench, kind, count, lambda t: "Going on with" in t.log, begun=True)


def kill_at_end(bench: Bench) -> Iterator[Outcome]:
    """The whole run, when all parts are done and catalogues and the report are made."""
    count = max(2, bench.moments // 10)
    for name, more, condition in (
        ("while FITS is written", (), lambda t: _any(t.run.path, ".catalogue.fits.*.tmp")),
        ("while HATS is written", (), lambda t: _any(t.run.path, ".catalogue_hats.*.tmp")),
        ("while the report is written", ("--report",), lambda t: "galaxies ended" in t.log),
    ):
        yield from _at(bench, name, count, condition, more, begun=True)


def _at(
    bench: Bench,
    kind: str,
    count: int,
    condition: Callable[[Trial], bool],
    more: tuple[str, ...] = (),
    begun: bool = False,
) -> Iterator[Outcome]:
    dice = bench.dice(kind)
    exports = ("fits", "hats") if "FITS" in kind or "HATS" in kind else ()
    for trial in bench.trials(kind, count, exports=exports):
        outcome = Outcome(kind)
        if begun:
            _begun(bench, trial, dice, whole="written" in kind)
        before = trial.done()
        trial.start(*more)
        hit = waits(lambda t=trial: condition(t) or not t.running(), LONG, 0.0)
        if begun:
            time.sleep(dice.uniform(0, 0.3) if "compares" in kind else dice.uniform(0, 1.0))
        if not hit or not trial.running():
            outcome.wrong = "; the moment was missed"
        trial.kill_all()
        outcome.code = trial.ended()
        now = trial.done()
        if any(now.get(number) != known for number, known in before.items()):
            outcome.wrong += "; parts were gone after the kill"
        yield _with_exports(bench, trial, bench.resumed(trial, outcome, *more), exports)


def _with_exports(bench: Bench, trial: Trial, outcome: Outcome, exports: tuple[str, ...]) -> Outcome:
    if exports and not same_exports(trial.run.path, bench.folder / "exported" / "run"):
        outcome.wrong += "; the exports differ"
    return outcome


def _begun(bench: Bench, trial: Trial, dice: random.Random, whole: bool) -> None:
    """Put a run in place: whole, or with random parts missing."""
    shutil.copytree(bench.reference.run.path, trial.run.path)
    files = receipts(trial)
    for file in [] if whole else dice.sample(files, len(files) // 2):
        file.unlink()


def _any(folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None


def _unreceipted(trial: Trial) -> bool:
    """Whether a part's rows are there and its receipt is not; the run is halted while it is looked at."""
    parts = {p.stem for p in trial.run.path.glob("parts/*/part*.parquet")}
    if not parts - {p.stem for p in receipts(trial)}:
        return False
    workers = trial.workers_alive()
    trial.kill(*workers, by=signal.SIGSTOP)
    parts = {p.stem for p in trial.run.path.glob("parts/*/part*.parquet")}
    if parts - {p.stem for p in receipts(trial)}:
        return True
    trial.kill(*workers, by=signal.SIGCONT)
    return False
