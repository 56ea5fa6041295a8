"""Everything that would go wrong in a run, found before it: a run of a single step that writes nothing."""

from __future__ import annotations

import dataclasses

from isolux.cli import console
from isolux.cli.build import Arguments
from isolux.errors import InputError
from isolux.io.catalogue import parts_folder
from isolux.io.listing import list_stamps
from isolux.io.runfile import RunFile
from isolux.io.source import StampFiles
from isolux.solve import LevenbergMarquardt
from isolux.status import FLAG_MESSAGES, Flag
from isolux.task import Task, cpu_threads

GENERAL = "(all)"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong, with which galaxy, and in which file."""

    galaxy: str
    what: str
    where: str


def check_and_show(arguments: Arguments) -> bool:
    """Print all faults; whether there is none."""
    run, errors = arguments.faults()
    faults = [Fault(GENERAL, str(error), "") for error in errors]
    remarks: dict[str, int] = {}
    count = 0
    if run is not None:
        count, found, remarks = check_run(run)
        faults += found
    if faults:
        wrong = [(fault.galaxy, fault.what, fault.where) for fault in faults]
        title = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        console.print_table(title, wrong, head=["galaxy", "what", "where"])
    if remarks:
        rows = console.count_rows(remarks, {str(f.name): FLAG_MESSAGES[f] for f in Flag})
        console.OUT.print()
        console.print_table("Remarks, no faults", rows, right=[0])
    if not faults:
        console.OUT.print(f"{count} galaxies: nothing is wrong.")
    return not faults


def check_run(run: RunFile) -> tuple[int, list[Fault], dict[str, int]]:
    """Number of galaxies, faults, and how often each remark on the input is made."""
    faults = output_faults(run)
    try:
        files = {file.id: file for file in list_stamps(run.source)}
        found, remarks = galaxy_faults(run, files)
        return len(files), faults + found, remarks
    except InputError as error:
        return 0, [Fault(GENERAL, str(error), ""), *faults], {}


def output_faults(run: RunFile) -> list[Fault]:
    """What is in the way of the output."""
    options, path = run.options, run.options.path
    if (path.exists() or parts_folder(path).exists()) and not (options.resume or options.overwrite):
        return [
            Fault(GENERAL, "there is a catalogue or an unfinished run: --resume or --overwrite it", str(path))
        ]
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return [] if folder.is_dir() else [Fault(GENERAL, "is no folder", str(folder))]


def galaxy_faults(run: RunFile, files: dict[str, StampFiles]) -> tuple[list[Fault], dict[str, int]]:
    """Faults of each galaxy, and remarks on them all, after a single step of its fit."""
    solver = LevenbergMarquardt(max_steps=1)
    options = dataclasses.replace(run.options, solver=solver, errors="none", starts=1)
    task = Task(run.source, run.scene, options)
    faults: list[Fault] = []
    remarks: dict[str, int] = {}
    done = 0
    with console.Meter("galaxies") as meter, cpu_threads(options.threads):
        clock = console.time.perf_counter()
        for order, batch, place in task.batches(task.plan(list(files.values()))):
            result = task.fit(order, batch, place, strict=order.place == 1)
            for name, status, message in zip(result.id, result.status, result.message, strict=True):
                if not status.fitted:
                    where = str(files[name].planes[0] or "")
                    faults.append(Fault(name, message.removeprefix(f"{where}: "), where))
            for flags in batch.flags:
                for flag in flags:
                    remarks[str(flag.name)] = remarks.get(str(flag.name), 0) + 1
            done += len(batch)
            meter.show(done, len(files), console.time.perf_counter() - clock, len(faults))
    listed = {name: number for number, name in enumerate(files)}
    return sorted(faults, key=lambda fault: listed[fault.galaxy]), remarks
