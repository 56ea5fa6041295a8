"""The way of a sample: stamps -> starting values -> fit -> image blocks -> catalogue. Read this first.

:func:`measure` reads a sample batch by batch (:mod:`isolux.io.stream`), fits each (:mod:`isolux.fit`), and has its
rows on disk before it goes on (:mod:`isolux.io.catalogue`), so that a killed run loses a batch at most and
``resume`` takes it up again. Nothing that one galaxy does ends the run (:mod:`isolux.isolate`).
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from isolux.batch import Batch
from isolux.io.blocks import write_blocks
from isolux.io.catalogue import CatalogueWriter
from isolux.io.listing import list_stamps, starting_columns
from isolux.io.source import StampFiles, StampSource
from isolux.io.stream import iter_batches
from isolux.isolate import fit_each
from isolux.options import RunOptions
from isolux.result import Result
from isolux.scene import Scene

DRAWN = 16
"""Galaxies whose images are drawn together for the blocks."""


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
    """

    done: int
    total: int
    seconds: float
    status: Mapping[str, int]


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


def measure(
    source: StampSource,
    scene: Scene,
    options: RunOptions | None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    after: Callable[[Batch, Result], object] | None = None,
) -> Run:
    """Fit a sample of any size and write its catalogue and image blocks.

    Parameters
    ----------
    source : StampSource
        Where the stamps are. Other columns of its table are starting values for :class:`Column` settings, in
        the parameters' units or, for sizes, in arcsec where the column says so.
    scene : Scene
        The model.
    options : RunOptions, optional
        How to fit and what to write.
    progress : callable, optional
        Told after each batch how far the run is.
    after : callable, optional
        Given each batch with its result before its rows are written, for figures and the like.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If source, scene or options cannot be meant, or a catalogue is there that is neither to be resumed nor
        overwritten. Faults of galaxies are in the catalogue.
    """
    options = options or RunOptions()
    clock = time.perf_counter()
    files = {f.id: f for f in list_stamps(source)}
    ended: Counter[str] = Counter()
    with CatalogueWriter(options.path, resume=options.resume, overwrite=options.overwrite) as catalogue:
        waiting = [f for name, f in files.items() if name not in catalogue.done]
        state = Progress(0, len(waiting), 0.0, ended)
        for batch, result in fit_sample(source, scene, waiting, options):
            if options.blocks:
                write_batch_blocks(options.blocks_folder, batch, scene, result)
            if after is not None:
                after(batch, result)
            catalogue.write(result)
            ended.update(status.name.lower() for status in result.status)
            state = Progress(state.done + len(batch), len(waiting), time.perf_counter() - clock, dict(ended))
            if progress is not None:
                progress(state)
    return Run(options.path, len(files) - len(waiting), state)


def fit_sample(
    source: StampSource, scene: Scene, files: list[StampFiles], options: RunOptions
) -> Iterator[tuple[Batch, Result]]:
    """Each batch of a sample with its result."""
    by_id = {f.id: f for f in files}
    galaxies, pixels = options.batch_limits
    stream = iter_batches(
        source, galaxies, files=files, dtype=options.torch_dtype, max_pixels=pixels, ahead=options.ahead
    )
    for number, batch in enumerate(stream):
        batch = batch.to(device=options.torch_device)
        start = starting_columns([by_id[name] for name in batch.id], batch.pixel_scale.cpu().numpy())
        yield batch, fit_each(batch, scene, start, strict=number == 0, **options.fit_arguments)


def write_batch_blocks(folder: Path, batch: Batch, scene: Scene, result: Result) -> list[Path]:
    """Draw and write the image blocks of the galaxies of a batch that were fitted."""
    written: list[Path] = []
    fitted = [k for k, status in enumerate(result.status) if status.fitted]
    for first in range(0, len(fitted), DRAWN):
        rows = fitted[first : first + DRAWN]
        some, values = batch.select(rows), result.values[rows].to(batch.image.device)
        components = scene.component_images(some, values)
        model = torch.stack(list(components.values())).sum(0)
        written += write_blocks(folder, some, result.select(rows), model, components)
    return written
