"""A survey from its configuration to its catalogue: plan -> measure what is missing -> export. Nothing else decides.

    isolux.survey("run.toml")

A run that has been killed at whatever moment goes on with the same call. It is compared first: with another
configuration, or with input that has changed, it is refused, and told what differs.
"""

from __future__ import annotations

import dataclasses
import errno
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from distributed.comm import CommClosedError

from isolux.errors import FitWarning, InputError
from isolux.io.plan_files import (
    Plan,
    PlanWriter,
    changed_files,
    look_at,
    names_changed,
    read_files,
    read_listing,
    read_plan,
)
from isolux.io.rows import digest
from isolux.io.run_folder import Quarantined, Receipt, RunFolder, whereabouts
from isolux.survey.cluster import dashboard_link, open_cluster
from isolux.survey.drive import Drive, RunStopped, SurveyProgress
from isolux.survey.manifest import check_same, configuration, manifest, versions
from isolux.survey.run_file import read_survey_file
from isolux.survey.setup import SurveyRun
from isolux.survey.work import Job

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
Teller = Callable[[SurveyProgress], object]


@dataclasses.dataclass(frozen=True, eq=False)
class SurveyDone:
    """What a run has come to.

    Attributes
    ----------
    folder : RunFolder
        With the catalogue in ``parts/``.
    plan : Plan
        All parts.
    parts : int
        That are done.
    before : int
        Of these, those that were done before this session.
    quarantined : list of Quarantined
        Parts that were given up.
    seconds : float
        Of this session.
    exported : list of Path
        Catalogues that were made.
    """

    folder: RunFolder
    plan: Plan
    parts: int
    before: int
    quarantined: list[Quarantined]
    seconds: float
    exported: list[Path]


def survey(
    run: SurveyRun | str | Path,
    *,
    resume: bool | None = None,
    overwrite: bool = False,
    progress: Teller | None = None,
    say: Callable[[str], object] | None = None,
) -> SurveyDone:
    """Measure a survey of any size, part by part, on one machine or many.

    Parameters
    ----------
    run : SurveyRun, str or path
        What to do, or the run file that says it.
    resume : bool, optional
        Whether to go on with a run that is in the folder; where left out it is gone on with if there is one.
    overwrite : bool
        Remove the run that is there, and begin anew.
    progress : callable, optional
        Given a :class:`SurveyProgress` now and then.
    say : callable, optional
        Given a sentence when something begins: the address of the dashboard and the like.

    Returns
    -------
    SurveyDone

    Raises
    ------
    InputError
        If configuration or input cannot be used, or are not those of the run that is in the folder.
    RunStopped
        If the run cannot go on now, and can be resumed: the disk is full, the scheduler is gone.
    """
    if not isinstance(run, SurveyRun):
        run = read_survey_file(run)
    say = say or (lambda words: None)
    clock = time.monotonic()
    folder = RunFolder(run.folder)
    if resume is False and folder.exists() and not overwrite:
        raise InputError(
            f"{folder.path}: holds a run already; resume it, overwrite it, or give another folder"
        )
    if resume and not folder.exists():
        raise InputError(f"{folder.path}: holds no run that could be resumed")
    with _room(folder.path), folder.locked():
        if overwrite:
            folder.clear()
        folder.sweep()
        plan = _resumed(run, folder, say) if folder.exists() else _begun(run, folder, say)
        done = folder.done()
        told = {"versions": versions(), "host": whereabouts(), "parts": len(done), "command": sys.argv}
        folder.tell("resumed" if done else "began", **told)
        try:
            if len(done) < len(plan):
                _drive(run, folder, plan, done, progress, say)
        except (RunStopped, KeyboardInterrupt) as reason:
            with suppress(OSError):
                folder.tell("stopped", reason=str(reason) or "interrupted", seconds=time.monotonic() - clock)
            raise
        folder.sweep()
        parts, given_up = sum(1 for _ in folder.receipts()), folder.quarantined()
        exported = _exported(run, folder, parts, say)
        folder.tell("ended", parts=parts, quarantined=len(given_up), seconds=time.monotonic() - clock)
    return SurveyDone(folder, plan, parts, len(done), given_up, time.monotonic() - clock, exported)


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Say of a disk that is full, which files do not, that the run has stopped."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise RunStopped(f"{folder} cannot be written: {error.strerror or error}") from None


def _begun(run: SurveyRun, folder: RunFolder, say: Callable[[str], object]) -> Plan:
    """Make the plan of a new run and say in its manifest what it is."""
    say("Planning.")
    settings = configuration(run.input, run.survey)
    paths: set[str] = set()
    with PlanWriter(folder.path / "plan") as writer:
        for number, part in enumerate(run.input.plan(run.survey.part_galaxies, run.survey.part_pixels)):
            if number == 0:
                run.input.try_out(part)
            writer.add(part.listing, part.pixels, part.place)
            paths.update(run.input.files(part))
        plan = writer.finish(look_at(paths, run.survey.input_check == "content"))
    folder.write_manifest(manifest(run.name or folder.path.name, settings, plan, len(paths)))
    return plan


def _resumed(run: SurveyRun, folder: RunFolder, say: Callable[[str], object]) -> Plan:
    """The plan of the run that is there, if it is this one.

    Raises
    ------
    InputError
        If configuration, input or the way it is cut differ; the differences are named.
    """
    say(f"Going on with the run in {folder.path}.")
    check_same(folder, configuration(run.input, run.survey))
    where = folder.path / "plan"
    plan = read_plan(where)
    paths: set[str] = set()
    count = 0
    for part in run.input.plan(run.survey.part_galaxies, run.survey.part_pixels):
        if count >= len(plan):
            raise InputError(f"{folder.path}: the input has more galaxies than when the run began")
        if digest(part.listing) != plan.digest[count]:
            differing = names_changed(read_listing(where, count), part.listing)
            raise _changed(folder, [f"part {count} ({plan.place[count]}): {words}" for words in differing])
        paths.update(run.input.files(part))
        count += 1
    if count < len(plan):
        raise InputError(f"{folder.path}: the input has fewer galaxies than when the run began")
    if run.survey.input_check != "none":
        told = changed_files(read_files(where), look_at(paths, run.survey.input_check == "content"))
        if told:
            raise _changed(folder, told)
    return plan


def _changed(folder: RunFolder, told: Sequence[str]) -> InputError:
    words = "\n  ".join(told)
    return InputError(
        f"{folder.path}: the input has changed since the run began; measure it into another folder, or overwrite this"
        f' one (files that were only copied or touched pass with input_check = "none"). What differs:\n  {words}'
    )


def _drive(
    run: SurveyRun,
    folder: RunFolder,
    plan: Plan,
    done: Mapping[int, Receipt],
    tell: Teller | None,
    say: Callable[[str], object],
) -> None:
    shown = run.survey.portraits / max(int(plan.galaxies.sum()), 1)
    job = Job.of(folder.path, run.input, shown, str(folder.manifest().get("run", "")))
    try:
        with open_cluster(run.cluster) as client:
            link = dashboard_link(client)
            if link:
                say(f"Dashboard: {link}")
            Drive(client, job, plan, run.survey, done, run.cluster.wait, tell).run()
    except (CommClosedError, TimeoutError) as error:
        raise RunStopped(f"the scheduler is gone ({type(error).__name__})") from None


def _exported(run: SurveyRun, folder: RunFolder, parts: int, say: Callable[[str], object]) -> list[Path]:
    if not run.exports or not parts:
        return []
    from isolux.export import export

    made: list[Path] = []
    for kind in run.exports:
        say(f"Writing the catalogue as {kind}.")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FitWarning)
            try:
                made.append(export(folder.path, format=kind, columns=run.columns, overwrite=True).path)
            except OSError as error:
                raise RunStopped(f"all parts are done, but the catalogue as {kind}: {error}") from error
        for warning in caught:
            say(f"Warning: {warning.message}")
    return made
