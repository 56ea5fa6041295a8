"""What else ends a run: a full disk, input that vanishes, too little memory; and what users and queues do to one."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
from survey_kills_compare import compared, table_of
from survey_kills_kinds import NOTICED, Bench, Outcome
from survey_kills_trial import Hung, Trial, wait_for_moment, waits

from isolux.io.rows import text_of
from isolux.io.write_stamps import write_stamps
from isolux.simulate import Observation, mock_stamps

ROUNDING = 1e-4
"""A galaxy fitted in a smaller batch: float32 sums in another order, so that a fit stops at another point near by."""
HUNGRY = '''\
"""A profile that takes all the memory there is when it meets a galaxy with an appetite."""

import os
from pathlib import Path

import torch

from isolux import ImageProfile, Parameter

EATEN = []


class Hungry(ImageProfile):
    """Nothing, at a price."""

    parameters = (Parameter("appetite", "", "how hungry it is", default=0.0),)
    convolved = False
    from_centre = True

    def brightness(self, x: torch.Tensor, y: torch.Tensor, appetite: torch.Tensor) -> torch.Tensor:
        """No light."""
        if bool((appetite > 0.5).any()) and _may():
            while len(EATEN) < 100:
                EATEN.append(torch.ones(1 << 24))  # 64 MiB
        return 0 * (x + y + appetite)


def _may() -> bool:
    flag = Path(os.environ["HUNGRY_FLAG"])
    if os.environ["HUNGRY"] == "once" and not flag.exists():
        flag.touch()
        return True
    return os.environ["HUNGRY"] == "always"
'''
HUNGRY_MODEL = """\
[model.hungry]
profile = "hungry.py:Hungry"
appetite = { fixed = "appetite" }
"""
GALAXIES, PART, GUILTY = 60, 10, 37


def fill_disks(bench: Bench) -> Iterator[Outcome]:
    """A disk that is full at the beginning, in the middle, near the end."""
    kind = "disk full"
    whole = sum(
        -(-f.stat().st_size // 4096) * 4096 for f in bench.reference.run.path.glob("**/*") if f.is_file()
    )
    for share, trial in zip((0.02, 0.3, 0.6, 0.9), bench.trials(kind, 4), strict=True):
        outcome, place = Outcome(kind), trial.run.path
        place.mkdir(parents=True)
        size = max(8192, int(share * whole))
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=False)
        if mounted.returncode:
            raise SystemExit("a small file system is needed for this, and it cannot be mounted (be root)")
        try:
            began = time.monotonic()
            try:
                outcome.code = trial.do()
            except Hung as error:
                outcome.wrong += f"; {error}"
            outcome.seconds = time.monotonic() - began
            if outcome.code != 3 or "No space left" not in trial.log or "Traceback" in trial.log:
                outcome.wrong += f"; it ended with {outcome.code}: {trial.log[-1500:]}"
            subprocess.run(["mount", "-o", "remount,size=256M", place], check=True)
            outcome = bench.resumed(trial, outcome)
        finally:
            trial.kill_all()
            subprocess.run(["umount", place], check=True)
        yield outcome


def stamps_in(folder: Path, seed: int) -> str:
    """Write stamps as FITS files and a table of them; the input of a run over them."""
    batch, _ = mock_stamps(GALAXIES, seed=seed, observation=Observation(size=48))
    write_stamps(batch, folder)
    lines = ["id,image,sigma,mask,psf,appetite"]
    for k, name in enumerate(batch.id):
        files = ",".join(str(folder / f"{name}_{kind}.fits") for kind in ("image", "sigma", "mask", "psf"))
        lines.append(f"{name},{files},{float(k == GUILTY)}")
    table = folder / "stamps.csv"
    table.write_text("\n".join(lines) + "\n")
    numbers = f"zero_point = {float(batch.zero_point[0])}\npixel_scale = {float(batch.pixel_scale[0])}"
    return f'table = "{table}"\nimage = "image"\nsigma = "sigma"\nmask = "mask"\npsf = "psf"\n{numbers}\n'


def lose_inputs(bench: Bench) -> Iterator[Outcome]:
    """Files that vanish while the run goes on, and come back."""
    kind = "input vanishes"
    folder = bench.folder / kind.replace(" ", "_")
    source = stamps_in(folder / "stamps", bench.seed)
    reference = Trial(folder / "reference", source, PART)
    if reference.do():
        raise SystemExit(reference.log)
    table = table_of(reference.run)
    dice = bench.dice(kind)
    for _, trial in zip(range(3), bench.trials(kind, 3), strict=True):
        trial.input, trial.part = source, PART
        trial.write()
        outcome = Outcome(kind)
        trial.start()
        wait_for_parts(trial, 1)
        victim = lost_file(trial, dice.randrange(4), folder)
        away = victim.with_suffix(".away")
        victim.rename(away)
        outcome.rows = sum(rows for rows, _ in trial.done().values())
        began = time.monotonic()
        outcome.code = trial.ended()
        outcome.seconds = time.monotonic() - began
        given_up = trial.run.quarantined()
        if outcome.code != 1 or [victim.name in what.reason for what in given_up] != [True]:
            outcome.wrong += f"; it ended with {outcome.code}, given up: {[w.reason for w in given_up]}"
        away.rename(victim)
        before = trial.done()
        if trial.do():
            outcome.wrong += f"; gone on with, it failed: {trial.log[-300:]}"
        yield _judged(outcome, trial, table, before)


def lost_file(trial: Trial, which: int, folder: Path) -> Path:
    """A file of the last galaxy of the last part."""
    import pyarrow.parquet

    listing = sorted((trial.run.path / "plan").glob("listing-*.parquet"))[-1]
    with pyarrow.parquet.ParquetFile(listing) as file:
        name = text_of(file.read_row_group(file.num_row_groups - 1), "id")[-1]
    return folder / "stamps" / f"{name}_{('image', 'sigma', 'mask', 'psf')[which]}.fits"


def wait_for_parts(trial: Trial, parts: int) -> None:
    """Wait until so many parts are done."""
    waits(lambda: len(trial.done()) >= parts or not trial.running(), 300)


def _judged(outcome: Outcome, trial: Trial, table: pa.Table, before: dict[int, tuple[int, int]]) -> Outcome:
    difference = compared(table_of(trial.run), table)
    outcome.lost, outcome.doubled, outcome.different = (
        difference.lost,
        difference.doubled,
        difference.different,
    )
    outcome.again = sum(1 for number, known in before.items() if trial.done().get(number) != known)
    outcome.after = trial.temporary()
    if trial.run.quarantined():
        outcome.wrong += "; parts are still given up"
    return outcome


def take_memory(bench: Bench) -> Iterator[Outcome]:
    """A galaxy that takes all memory: once, then always."""
    folder = bench.folder / "memory"
    source = stamps_in(folder / "stamps", bench.seed)
    tables: dict[str, pa.Table] = {}
    for way in ("never", "once", "always"):
        (folder / way).mkdir(parents=True, exist_ok=True)
        (folder / way / "hungry.py").write_text(HUNGRY)
        around = {"HUNGRY": way, "HUNGRY_FLAG": str(folder / way / "eaten")}
        trial = Trial(folder / way, source, PART, HUNGRY_MODEL, environment=around)
        outcome = Outcome(f"out of memory, {way}")
        began = time.monotonic()
        try:
            outcome.code = trial.do("--memory", "1500MiB")
        except Hung as error:
            outcome.wrong += f"; {error}"
        outcome.seconds = time.monotonic() - began
        if outcome.code:
            raise SystemExit(f"{way}: it ended with {outcome.code}: {trial.log[-3000:]}")
        tables[way] = table_of(trial.run)
        if way == "never":
            continue
        outcome.wrong += _memory_wrong(way, trial, tables, outcome)
        trial.kill_all()
        yield outcome


def _memory_wrong(way: str, trial: Trial, tables: dict[str, pa.Table], outcome: Outcome) -> str:
    guilty = f"{tables['never']['id'].to_pylist()[0].rpartition('_')[0]}_{GUILTY}"
    names = tables["never"]["id"].to_pylist()
    guilty = next(name for name in names if name.endswith(f"{GUILTY:03d}") or name == guilty)
    but = () if way == "once" else (guilty,)
    difference = compared(tables[way], tables["never"], but)
    outcome.lost, outcome.doubled = difference.lost, difference.doubled
    outcome.different = difference.different if way == "once" else 0
    outcome.after = trial.temporary()
    wrong = ""
    if way == "once" and not Path(trial.environment["HUNGRY_FLAG"]).exists():
        wrong += "; nothing was eaten"
    if way == "always":
        row = tables[way].filter(np.array(tables[way]["id"].to_pylist()) == guilty).to_pylist()[0]
        print(f"    the galaxy's row: status {row['status']}, {row['message']!r}")
        print(f"    {difference.different} other rows differ, at most by {difference.largest:.2g} of a value")
        if row["status"] == 0 or not row["message"]:
            wrong += f"; the galaxy's row says {row['status']}: {row['message']!r}"
        if difference.largest > ROUNDING:
            wrong += f"; other rows differ by {difference.largest:.2g}"
    return wrong


def interrupt(bench: Bench) -> Iterator[Outcome]:
    """Ctrl-C, and what a queue sends when the time is up."""
    for kind, sent in (("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        dice = bench.dice(kind)
        for trial in bench.trials(kind, max(2, bench.moments // 10)):
            outcome = Outcome(kind)
            trial.start()
            waits(lambda t=trial: "Planning" in t.log, 120)
            wait_for_moment(trial, bench.pace, dice, most=10)
            if not trial.running():
                outcome.wrong = "; the run had ended before"
            killed = time.monotonic()
            trial.kill(trial.process.pid, by=sent)
            try:
                outcome.code = trial.ended(NOTICED)
            except Hung as error:
                outcome.wrong += f"; {error}"
            outcome.seconds = time.monotonic() - killed
            if outcome.code != 130 or "Interrupted." not in trial.log or "Traceback" in trial.log:
                outcome.wrong += f"; it ended with {outcome.code}: {trial.log[-1500:]}"
            if trial.until_alone() > NOTICED:
                outcome.wrong += "; processes were left"
            yield bench.resumed(trial, outcome)


def close_terminals(bench: Bench) -> Iterator[Outcome]:
    """A terminal that is closed while its run goes on."""
    kind = "terminal closed"
    dice = bench.dice(kind)
    for trial in bench.trials(kind, 2):
        outcome = Outcome(kind)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(trial.folder)
            os.execve(sys.executable, trial.command(), trial.around())
        os.set_blocking(terminal, False)
        wanted = dice.randint(1, 10)

        def far(trial: Trial = trial, wanted: int = wanted, terminal: int = terminal) -> bool:
            with suppress(OSError):
                os.read(terminal, 1 << 16)
            return len(trial.done()) >= wanted

        waits(far, 300)
        os.close(terminal)
        killed = time.monotonic()
        if not waits(lambda p=pid: os.waitpid(p, os.WNOHANG)[0] != 0, NOTICED):
            outcome.wrong += "; it did not end"
        outcome.seconds = time.monotonic() - killed
        if trial.until_alone() > NOTICED:
            outcome.wrong += "; processes were left"
        events = [event["event"] for event in trial.run.events()]
        if events[-1:] != ["stopped"]:
            outcome.wrong += f"; the last event is {events[-1:]}"
        yield bench.resumed(trial, outcome)


def second_runs(bench: Bench) -> Iterator[Outcome]:
    """A second run in the same folder, which must be refused and disturb nothing."""
    kind = "second run"
    for trial in bench.trials(kind, 2):
        outcome = Outcome(kind)
        trial.start()
        wait_for_parts(trial, 2)
        began = time.monotonic()
        second = subprocess.run(
            trial.command(), cwd=trial.folder, env=trial.around(), capture_output=True, text=True, check=False
        )
        outcome.seconds, outcome.code = time.monotonic() - began, second.returncode
        if second.returncode != 2 or "another run is using this folder" not in second.stderr:
            outcome.wrong = f"; it ended with {second.returncode}: {second.stderr[-300:]}"
        outcome.rows = sum(rows for rows, _ in trial.done().values())
        before = trial.done()
        if trial.ended():
            outcome.wrong += "; the first run failed"
        yield bench.judge(trial, outcome, before)


def overwrite(bench: Bench) -> Iterator[Outcome]:
    """A run that is overwritten by another one and killed while it goes; nothing of the old one may come back."""
    kind = "killed while overwriting"
    dice = bench.dice(kind)
    for trial in bench.trials(kind, max(2, bench.moments // 10)):
        outcome = Outcome(kind)
        other = bench.input.replace("seed = ", "seed = 9")
        old = Trial(bench.folder / "other", other, bench.part)
        if not old.run.exists() and old.do():
            raise SystemExit(old.log)
        shutil.copytree(old.run.path, trial.run.path)
        trial.start("--overwrite")
        gone = trial.run.receipt_file(0)
        waits(lambda g=gone, t=trial: not g.exists() or not t.running(), 120, 0.0)
        time.sleep(dice.choice((0.0, 0.0, 0.001, 0.01, 0.1)))
        trial.kill_all()
        outcome.code = trial.ended()
        # Without --overwrite the old run may still be there: then it is refused.
        code = trial.do()
        if code == 2 and "another configuration" in trial.log:
            code = trial.do("--overwrite")
        if code:
            outcome.wrong += f"; gone on with, it ended with {code}: {trial.log[-300:]}"
        yield bench.judge(trial, outcome, {})
