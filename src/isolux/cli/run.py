"""A run with all that it shows: ``isolux fit`` and ``isolux demo`` go through here."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections import Counter

import numpy as np

from isolux.batch import Batch
from isolux.cli import console
from isolux.errors import FitWarning
from isolux.io.catalogue import part_files, parts_folder, recover
from isolux.io.runfile import RunFile
from isolux.measure import Progress, Run, measure
from isolux.options import RunOptions
from isolux.result import Result
from isolux.status import FLAG_MESSAGES, Flag, Status

SHOWN_FAULTS = 5


class Interrupted(Exception):
    """The user stopped the run."""


@dataclasses.dataclass
class Tally:
    """What the summary tells of a run, collected batch by batch; draws the figures on the way."""

    run: RunFile
    flags: Counter[str] = dataclasses.field(default_factory=Counter)
    reduced_chi2: list[np.ndarray] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    drawn: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    failed: int = 0

    def add(self, result: Result) -> None:
        """Take in the result of a batch."""
        for flags, status in zip(result.flags, result.status, strict=True):
            if status.fitted:
                self.flags.update(flag.name for flag in Flag if flag in flags and flag.name)
        self.reduced_chi2.append(result.reduced_chi2.numpy())
        self.seconds += float(result.seconds.sum())
        faults = [m for m, status in zip(result.message, result.status, strict=True) if not status.fitted]
        self.faults += faults[: SHOWN_FAULTS - len(self.faults)]
        self.failed += len(faults)

    def draw(self, batch: Batch, result: Result) -> None:
        """Draw the figures of a batch, as far as they are wanted."""
        options = self.run.options
        wanted = len(batch) if options.figures is True else min(len(batch), int(options.figures) - self.drawn)
        if wanted > 0:
            from isolux.report import save_galaxy_figures

            folder = options.path.parent / "figures"
            save_galaxy_figures(batch, self.run.scene, result, folder, limit=wanted)
            self.drawn += wanted

    @property
    def median_chi2(self) -> float:
        """Median of the reduced chi-square; NaN where nothing was fitted."""
        values = np.concatenate([*self.reduced_chi2, np.empty(0)])
        good = values[np.isfinite(values)]
        return float(np.median(good)) if good.size else float("nan")


def failures(progress: Progress) -> int:
    """Galaxies without a fit so far."""
    return sum(number for name, number in progress.status.items() if not Status[name.upper()].fitted)


def fit_and_show(run: RunFile) -> tuple[Run, Tally]:
    """Measure a sample, showing how far it is.

    Raises
    ------
    Interrupted
        If the user stops it; the rows that are done are then joined to a catalogue.
    InputError
        If the run cannot be meant.
    """
    options, tally = run.options, Tally(run)
    free = sum(kind == "Free" for kind in (type(p.setting).__name__ for p in run.scene.parameters))
    console.note(
        f"Fitting {'+'.join(run.scene.components)}, {free} free parameters a galaxy, on {_place(options)}."
    )
    warnings.filterwarnings("ignore", category=FitWarning)  # they are shown by ``show``
    told: list[str] = []
    with console.Meter("galaxies") as meter:

        def show(state: Progress) -> None:
            if state.latest is not None:
                tally.add(state.latest)
            for remark in state.remarks[len(told) :]:
                console.note(f"Warning: {remark}.")
                told.append(remark)
            meter.show(state.done, state.total, state.seconds, failures(state))

        try:
            return measure(
                run.source, run.scene, options, progress=show, after=tally.draw if options.figures else None
            ), tally
        except KeyboardInterrupt:
            pass
    raise Interrupted(_kept(options))


def _place(options: RunOptions) -> str:
    """Where the fits are done, in words."""
    device, count = options.torch_device, options.worker_count(sys.maxsize) * options.threads
    if device.type != "cpu":
        return str(device)
    most = "up to " if options.workers is None and count > options.threads else ""
    return f"{most}{count} CPU core{'s' * (count > 1)}"


def _kept(options: RunOptions) -> str:
    if not part_files(parts_folder(options.path)):
        return "Interrupted before the first batch was done."
    return f"Interrupted. What was done is in {recover(options.path)}; go on with --resume."


def show_summary(run: Run, tally: Tally) -> None:
    """Print how the galaxies ended, remarks, goodness, speed, and where everything is."""
    progress = run.progress
    if run.skipped:
        console.note(f"{run.skipped} galaxies were in {run.catalogue} already.")
    if progress.done:
        messages = {status.name.lower(): status.message for status in Status}
        rows = console.count_rows(progress.status, messages)
        console.print_table(f"How {progress.done} fit{'s' * (progress.done != 1)} ended", rows, right=[0])
        remarks = console.count_rows(tally.flags, {str(f.name): FLAG_MESSAGES[f] for f in Flag})
        if remarks:
            console.OUT.print()
            console.print_table("Remarks on them", remarks, right=[0])
        _show_faults(tally, str(run.catalogue))
    options = tally.run.options
    fitted = progress.done > failures(progress)
    rows = [("median reduced chi-square", f"{tally.median_chi2:.3f}")] if fitted else []
    rows += [("time", _times(progress, tally.seconds)), ("catalogue", str(run.catalogue))]
    rows += [("image blocks", str(options.blocks_folder))] if options.blocks and fitted else []
    rows += [("figures", str(options.path.parent / "figures"))] if tally.drawn else []
    console.OUT.print()
    console.print_table("", rows)
    if progress.done and not fitted:
        console.fail(f"no galaxy has a fit; see the column message in {run.catalogue}")


def _times(progress: Progress, fitting: float) -> str:
    fitted = progress.done - failures(progress)
    if not fitted or not progress.seconds:
        return console.duration(progress.seconds)
    rate = f"{fitted / progress.seconds:.3g} galaxies a second; {1e3 * fitting / fitted:.3g} ms a fit"
    return f"{console.duration(progress.seconds)}, {rate}"


def _show_faults(tally: Tally, catalogue: str) -> None:
    if tally.failed:
        rest = tally.failed - len(tally.faults)
        more = f"\n... and {rest} more: see the column message in {catalogue}" if rest else ""
        console.OUT.print()
        console.OUT.print("[bold]Without a fit[/bold]")
        console.OUT.print("\n".join(tally.faults) + more, markup=False, soft_wrap=True)
