"""The way of a sample: stamps -> starting values -> fit -> image blocks -> catalogue. Read this first.

:func:`measure` reads a sample batch by batch (:mod:`isolux.io.stream`), fits each (:mod:`isolux.task`), in this
process or in several (:mod:`isolux.workers`), and has its rows on disk before it goes on
(:mod:`isolux.io.catalogue`), so that a killed run loses a few batches at most and ``resume`` takes it up again.
Nothing that one galaxy does ends the run (:mod:`isolux.isolate`).
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from math import prod
from pathlib import Path
from typing import Any, overload

from isolux.batch import Batch
from isolux.errors import FitWarning, InputError
from isolux.field.image import FieldImage
from isolux.io.catalogue import CatalogueWriter
from isolux.io.listing import list_stamps
from isolux.io.source import StampFiles, StampSource
from isolux.measure_field import FieldRun, measure_field
from isolux.options import RunOptions
from isolux.result import Result
from isolux.scene import Scene
from isolux.status import Status
from isolux.task import Done, Task, cpu_threads
from isolux.workers import CannotSend, Crew


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes
    ----------
    done, total : int
        Galaxies of this run.
    seconds : float
        Since it began.
    status : mapping
        How many galaxies ended in each way, by the status's name.
    remarks : tuple of str
        What the user should know of the run so far.
    latest : Result, optional
        Of the batch that has just been done.
    """

    done: int
    total: int
    seconds: float
    status: Mapping[str, int]
    remarks: tuple[str, ...] = ()
    latest: Result | None = None

    def with_batch(self, done: Done, seconds: float) -> Progress:
        """How far it is after another batch."""
        ended = Counter(self.status)
        ended.update(status.name.lower() for status in done.result.status)
        remarks = tuple(dict.fromkeys((*self.remarks, *done.remarks)))
        count = self.done + len(done.result)
        return Progress(count, self.total, seconds, dict(ended), remarks, done.result)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run has done.

    Attributes
    ----------
    catalogue : Path
        The catalogue, of all runs that were resumed.
    skipped : int
        Galaxies that were there already.
    progress : Progress
        Of this run.
    """

    catalogue: Path
    skipped: int
    progress: Progress


@overload
def measure(
    source: StampSource,
    scene: Scene,
    options: RunOptions | None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    after: Callable[[Batch, Result], object] | None = None,
) -> Run: ...


@overload
def measure(source: str | Path | FieldImage, **how: Any) -> FieldRun: ...


def measure(
    source: StampSource | str | Path | FieldImage,
    scene: Scene | None = None,
    options: Any = None,
    *,
    progress: Any = None,
    after: Callable[[Batch, Result], object] | None = None,
    **how: Any,
) -> Run | FieldRun:
    """Fit a sample of stamps of any size, or measure all sources of a survey image.

    ``measure(StampSource(...), scene)`` fits a sample and writes its catalogue and image blocks.
    ``measure("image.fits")`` is :func:`isolux.measure_field`: everything else is then an argument of that.

    Parameters
    ----------
    source : StampSource, str, path or FieldImage
        Where the stamps are; or an image of a field. With stamps, other columns of its table are starting values
        for :class:`Column` settings, in the parameters' units or, for sizes, in arcsec where the column says so.
    scene : Scene
        The model of stamps.
    options : RunOptions or FieldOptions, optional
        How to fit, and with stamps what to write.
    progress : callable, optional
        Told after each batch how far the run is.
    after : callable, optional
        Given each batch with its result before its rows are written, for figures and the like. From workers both
        come without WCS.
    **how
        Of :func:`isolux.measure_field`, for a field.

    Returns
    -------
    Run or FieldRun

    Warns
    -----
    FitWarning
        Of what concerns more than a galaxy, once each: a GPU that was lost, a worker that died, an undersampled
        PSF, a run without a single fit.

    Raises
    ------
    InputError
        If source, scene or options cannot be meant, or a catalogue is there that is neither to be resumed nor
        overwritten. Faults of galaxies are in the catalogue.
    """
    if isinstance(source, str | Path | FieldImage):
        if scene is not None or after is not None:
            raise InputError(f"{source}: a field has no scene; for stamps give a StampSource")
        return measure_field(source, options=options, progress=progress, **how)
    if scene is None or how:
        raise InputError("stamps need a scene, and take no options of fields", tuple(how) or None)
    options = options or RunOptions()
    clock = time.perf_counter()
    files = list_stamps(source)
    with CatalogueWriter(options.path, resume=options.resume, overwrite=options.overwrite) as catalogue:
        waiting = [f for f in files if f.id not in catalogue.done]
        state = Progress(0, len(waiting), 0.0, {})
        task = Task(source, scene, options, keep=after is not None)
        with closing(fit_sample(task, waiting)) as batches:
            for done in batches:
                if after is not None and done.batch is not None:
                    after(done.batch, done.result)
                catalogue.write(done.rows, done.place)
                told = len(state.remarks)
                state = state.with_batch(done, time.perf_counter() - clock)
                for remark in state.remarks[told:]:
                    warnings.warn(remark, FitWarning, stacklevel=2)
                if progress is not None:
                    progress(state)
    if state.done and not any(Status[name.upper()].fitted for name in state.status):
        warnings.warn(
            f"no galaxy has a fit; see the column message in {options.path}", FitWarning, stacklevel=2
        )
    return Run(options.path, len(files) - len(waiting), state)


def fit_sample(task: Task, files: Sequence[StampFiles]) -> Generator[Done]:
    """What comes of each batch of a sample, from this process or from several."""
    groups = task.plan(files)
    pixels = sum(len(members) * prod(size) for members, size in groups)
    workers = min(task.options.worker_count(pixels), len(groups))
    found = 0
    if workers > 1:
        try:
            for done in Crew(task, workers).work(groups):
                found += 1
                yield done
            return
        except CannotSend as error:
            if found or task.options.workers is not None:
                raise InputError(f"several workers cannot be used, {error}; give workers = 1") from None
    with cpu_threads(task.options.threads):
        yield from task.in_this_process(groups)
