"""Runs that are started to be killed: their processes, their folders, how far they are, and what they leave."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from isolux.io.run_folder import RunFolder

SOURCE = Path(__file__).resolve().parent.parent / "src"
MARK = "ISOLUX_KILLS"
LONG = 420.0
"""Seconds after which a run that should end is said to hang; far more than any takes."""
RUN_FILE = """\
[input]
{input}
[model.sersic]
profile = "sersic"
{model}
[survey]
part_galaxies = {part}
portraits = 40
[cluster]
workers = {workers}
dashboard = "none"
wait = 120
[output]
folder = "run"
exports = [{exports}]
"""


class Hung(Exception):
    """A run did not end in time."""


@dataclasses.dataclass
class Trial:
    """A folder with a run file, and the run that it names."""

    folder: Path
    input: str
    part: int
    model: str = ""
    workers: int = 2
    exports: Sequence[str] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mark = uuid.uuid4().hex
        self.process: subprocess.Popen[bytes] | None = None
        self.write()

    def write(self) -> None:
        """Write the run file."""
        exports = ", ".join(f'"{name}"' for name in self.exports)
        words = {"input": self.input, "model": self.model, "part": self.part, "workers": self.workers}
        (self.folder / "run.toml").write_text(RUN_FILE.format(**words, exports=exports))

    @property
    def run(self) -> RunFolder:
        """The folder of the run."""
        return RunFolder(self.folder / "run")

    @property
    def log(self) -> str:
        """All that the runs have said."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def command(self, *more: str) -> list[str]:
        """The command of the run."""
        report = [] if "--report" in more else ["--no-report"]
        return [sys.executable, "-m", "isolux", "survey", "run.toml", *report, *more]

    def around(self) -> dict[str, str]:
        """The environment of the run, by which its processes are found whoever their parents are."""
        words = {MARK: self.mark, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE)}
        return {**os.environ, **words, **self.environment}

    def start(self, *more: str) -> None:
        """Start the run in a process group of its own."""
        self.began = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(
                self.command(*more), cwd=self.folder, env=self.around(), start_new_session=True, **streams
            )

    def running(self) -> bool:
        """Whether it still goes on."""
        return self.process is not None and self.process.poll() is None

    def ended(self, within: float = LONG) -> int:
        """The exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise Hung(f"{self.folder}: still running after {within:.0f} s") from None

    def do(self, *more: str) -> int:
        """Run to the end."""
        self.start(*more)
        return self.ended()

    def processes(self) -> dict[int, str]:
        """Process ids and command lines of all that belongs to the run."""
        word = f"{MARK}={self.mark}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z" and word in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
                except OSError:
                    continue
        return found

    def workers_alive(self) -> list[int]:
        """Process ids of workers."""
        return [pid for pid, words in self.processes().items() if "spawn_main" in words]

    def kill(self, *pids: int, by: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal."""
        for pid in pids:
            try:
                os.kill(pid, by)
            except ProcessLookupError:
                continue

    def kill_all(self) -> None:
        """End the whole run at once: nobody may do anything while others are killed."""
        pids = self.processes()
        self.kill(*pids, by=signal.SIGSTOP)
        while pids:
            self.kill(*pids)
            time.sleep(0.02)
            pids = self.processes()
        if self.process is not None:
            self.process.wait()

    def until_alone(self, within: float = 120.0) -> float:
        """Seconds until the last process of the run is gone; those that stay are killed, and it is infinite."""
        began = time.monotonic()
        while self.processes():
            if time.monotonic() - began > within:
                self.kill_all()
                return float("inf")
            time.sleep(0.05)
        return time.monotonic() - began

    def done(self) -> dict[int, tuple[int, int]]:
        """Parts that have a receipt: their rows, and when their rows were written (ns)."""
        found = {}
        for file in (self.run.path / "receipts").glob("*/part-*.json"):
            try:
                number, rows = (json.loads(file.read_text())[key] for key in ("part", "rows"))
                found[number] = rows, self.run.part_file(number).stat().st_mtime_ns
            except (OSError, ValueError):
                continue
        return found

    def temporary(self) -> int:
        """Temporary files and folders in the run's folder."""
        return sum(1 for _ in self.run.path.glob("**/.*.tmp"))


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long an undisturbed run takes: seconds to its first part, and from part to part."""

    first: float
    between: float
    parts: int


def measured_pace(trial: Trial) -> Pace:
    """Run a trial undisturbed and look at the times of its parts; one that was run before is not run again."""
    began, code = time.time(), 0
    kept = trial.folder / "began"
    if kept.exists():
        began = float(kept.read_text())
    else:
        code = trial.do()
    times = sorted(written / 1e9 for _, written in trial.done().values())
    if code or not times:
        raise SystemExit(f"the undisturbed run ended with {code}:\n{trial.log}")
    kept.write_text(f"{began}")
    return Pace(times[0] - began, (times[-1] - times[0]) / max(len(times) - 1, 1), len(times))


def wait_for_moment(
    trial: Trial, pace: Pace, dice: random.Random, done: int = 0, early: float = 0.25, most: int = 3
) -> bool:
    """Wait until a random moment of a session, and say whether the run is there still.

    It is before the first part (a share ``early``), or a random number of parts, ``most`` at most, after the ``done``
    ones. Counting parts, not seconds, keeps moments random whatever else the machine does.
    """
    if dice.random() < early:
        return not waits(lambda: not trial.running(), dice.uniform(0, pace.first))
    wanted, more = done + dice.randint(1, most), dice.uniform(0, 2 * pace.between)
    waits(lambda: len(receipts(trial)) >= wanted or not trial.running(), LONG, 0.005)
    time.sleep(more)
    return trial.running()


def receipts(trial: Trial) -> list[Path]:
    """Files of receipts."""
    return list((trial.run.path / "receipts").glob("*/part-*.json"))


def waits(condition: Callable[[], bool], seconds: float, step: float = 0.01) -> bool:
    """Wait until a condition holds; whether it does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        if step:
            time.sleep(step)
    return condition()


def numbers(count: int) -> Iterator[str]:
    """Names of trials."""
    return (f"{k:02d}" for k in range(count))
