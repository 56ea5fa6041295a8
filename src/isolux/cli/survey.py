"""``isolux survey`` on the screen: a bar or lines while parts are measured, then what became of them."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from isolux.cli import console
from isolux.io.run_folder import RunFolder
from isolux.status import FLAG_MESSAGES, Flag, Status
from isolux.survey.drive import RunStopped, SurveyProgress
from isolux.survey.run import SurveyDone, survey
from isolux.survey.run_file import read_survey_file

SHOWN = 5


class Ended(Exception):
    """The run ended before all was done, with an exit code.

    Parameters
    ----------
    words : str
        What to tell the user.
    code : int
        Of the program.
    """

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


def survey_and_show(
    run_file: Path, resume: bool | None, overwrite: bool, report: bool, changes: dict[str, Any]
) -> SurveyDone:
    """Measure a survey, showing how far it is; afterwards its numbers and what to do next.

    Raises
    ------
    Ended
        If it stopped, or the user stopped it; it can be resumed.
    InputError
        If it cannot be meant.
    """
    run = read_survey_file(run_file, **changes)
    counted = run.input.divisible
    with _ending(), console.Meter("galaxies" if counted else "fields") as meter:
        said: Counter[str] = Counter()

        def show(state: SurveyProgress) -> None:
            done, total = (state.done, state.total) if counted else (state.parts, state.all_parts)
            here = state.measured if counted else state.parts
            meter.show(done, total, state.seconds, state.failed, here)
            if state.remark:
                said[state.remark] += 1
                if said[state.remark] == 1:
                    console.note(state.remark[0].upper() + state.remark[1:] + ".")

        try:
            done = survey(run, resume=resume, overwrite=overwrite, progress=show, say=console.note)
        except KeyboardInterrupt:
            raise Ended(
                f"Interrupted. What was done is in {run.folder}; the same command goes on.", 130
            ) from None
        except RunStopped as reason:
            words = (
                f"The run has stopped: {reason}. What was done is in {run.folder}; the same command goes on."
            )
            raise Ended(words, 3) from None
    show_done(done)
    if report and done.parts:
        began = time.monotonic()
        try:
            page = write_page(done.folder.path)
        except OSError as error:
            raise Ended(f"All parts are done, but the report cannot be written: {error}", 3) from None
        console.note(f"The report took {console.duration(time.monotonic() - began)}.")
        console.OUT.print(f"\n[bold]Look at it[/bold]\n  {page}", soft_wrap=True)
    return done


@contextmanager
def _ending() -> Iterator[None]:
    """Take as Ctrl-C what a queue sends when the time is up (SIGTERM), and a terminal that is closed (SIGHUP)."""
    kinds = [kind for kind in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(kind) == signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN)
        raise KeyboardInterrupt

    for kind in kinds:
        signal.signal(kind, end)
    try:
        yield
    finally:
        for kind in kinds:
            signal.signal(kind, signal.SIG_DFL)


def write_page(folder: Path) -> Path:
    """Write the report of a run beside its parts."""
    from isolux.report.page.write import write_report

    return write_report(folder, overwrite=True).path


def show_done(done: SurveyDone) -> None:
    """Print how the galaxies ended, remarks on them, parts that were given up, speed and places."""
    status, flags, rows, busy = _tally(done.folder)
    console.print_table(
        f"How {rows} galaxies ended",
        console.count_rows(status, {s.name.lower(): s.message for s in Status}),
        right=[0],
    )
    remarks = console.count_rows(flags, {str(f.name): FLAG_MESSAGES[f] for f in Flag})
    if remarks:
        console.OUT.print()
        console.print_table("Remarks on them", remarks, right=[0])
    if done.quarantined:
        console.OUT.print()
        given_up = [(str(what.part), what.place, what.reason) for what in done.quarantined[:SHOWN]]
        title = f"{len(done.quarantined)} of {len(done.plan)} parts were given up; the same command tries them again"
        console.print_table(title, given_up, head=["part", "where", "why"], right=[0])
    here = done.parts - done.before
    lines = [("parts", f"{done.parts} of {len(done.plan)}, {here} of them now")]
    lines += (
        [("time", f"{console.duration(done.seconds)}; {1e3 * busy / rows:.3g} ms of a core a galaxy")]
        if rows
        else []
    )
    lines += [
        ("catalogue", f"{done.folder.path / 'parts'} (any Parquet reader takes the folder as one table)")
    ]
    lines += [("", str(path)) for path in done.exported]
    console.OUT.print()
    console.print_table("", lines)


def _tally(folder: RunFolder) -> tuple[Counter[str], Counter[str], int, float]:
    status: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    rows, busy = 0, 0.0
    for receipt in folder.receipts():
        status.update(receipt.status)
        flags.update(receipt.flags)
        rows += receipt.rows
        busy += receipt.cpu
    return status, flags, rows, busy
