"""What is done with each batch of a sample: stamps -> starting values -> fit -> image blocks -> rows.

A :class:`Task` says what to do with every batch of a run, an :class:`Order` which galaxies are in one. Both and
what comes of it, :class:`Done`, can be sent to another process (:mod:`isolux.workers`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from isolux.batch import Batch
from isolux.footprint import Footprint
from isolux.io.blocks import write_blocks
from isolux.io.catalogue import Rows, rows_of
from isolux.io.listing import Columns, starting_values, table_columns
from isolux.io.source import IMAGES, StampFiles, StampSource
from isolux.io.stamps import Reader, batch_of, load_stamps, shared_reader
from isolux.io.stream import Group, plan_batches, plane_shape, read_ahead
from isolux.io.tables import format_of
from isolux.isolate import Workplace, fit_each
from isolux.options import RunOptions
from isolux.result import Result
from isolux.scene import Scene

PSF = IMAGES.index("psf")
DRAWN = 16
"""Galaxies whose images are drawn together for the blocks."""


@dataclasses.dataclass(frozen=True)
class Order:
    """One batch that is to be fitted.

    Attributes
    ----------
    place : int
        Its number in the run, from 1.
    files : sequence of StampFiles
        The files of its galaxies.
    size : (int, int)
        Rows and columns of its stamps.
    columns : mapping
        Starting values of its galaxies in the sample's table.
    """

    place: int
    files: Sequence[StampFiles]
    size: tuple[int, int]
    columns: Columns

    def __len__(self) -> int:
        return len(self.files)

    def part(self, rows: Sequence[int]) -> Order:
        """The order of some of its galaxies."""
        columns = {name: (values[list(rows)], unit) for name, (values, unit) in self.columns.items()}
        return dataclasses.replace(self, files=[self.files[k] for k in rows], columns=columns)


@dataclasses.dataclass(frozen=True)
class Done:
    """What has come of an order.

    Attributes
    ----------
    place : int
        Of the order.
    result : Result
        The fits.
    rows : Rows
        Their rows in the catalogue.
    batch : Batch or None
        The images, where the task keeps them.
    remarks : tuple of str
        What the user should know of the batch as a whole.
    """

    place: int
    result: Result
    rows: Rows
    batch: Batch | None
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Task:
    """What is done with each batch of a run.

    Attributes
    ----------
    source : StampSource
        Where the stamps are.
    scene : Scene
        The model.
    options : RunOptions
        How to fit and what to write.
    keep : bool
        Whether the images are wanted with the result.
    """

    source: StampSource
    scene: Scene
    options: RunOptions
    keep: bool = False

    def plan(self, files: Sequence[StampFiles]) -> list[Group]:
        """The galaxies of each batch, as many as there is memory for."""
        kind = self.footprint(files)
        return plan_batches(
            files, lambda size: self.options.batch_galaxies(dataclasses.replace(kind, shape=size))
        )

    def footprint(self, files: Sequence[StampFiles]) -> Footprint:
        """The memory of fits of these galaxies, all PSFs being of the size of the first; of stamps of a pixel."""
        psfs = dict.fromkeys(file.planes[PSF] for file in files)
        shapes = (plane_shape(psf) for psf in psfs if psf is not None)
        return Footprint(
            (1, 1),
            next((shape for shape in shapes if shape is not None), None),
            len(self.scene.components),
            self.source.psf_oversampling,
            len(psfs) > 1,
            self.options.torch_dtype,
        )

    def orders(self, groups: Sequence[Group]) -> Iterator[Order]:
        """The orders of all batches; the table is left behind, so that an order is small."""
        for place, (members, size) in enumerate(groups, start=1):
            bare = [dataclasses.replace(files, table=None) for files in members]
            yield Order(place, bare, size, table_columns(members))

    def read(self, order: Order, reader: Reader) -> Batch:
        """The stamps of an order."""
        stamps = load_stamps(order.files, reader)
        return batch_of(stamps, self.source, dtype=self.options.torch_dtype, size=order.size)

    def fit(self, order: Order, batch: Batch, where: Workplace, strict: bool = False) -> Result:
        """The fits of an order whose stamps have been read."""
        start = starting_values(order.columns, batch.pixel_scale.numpy())
        options = self.options.fit_arguments
        return where.marked(
            where.do(
                lambda device: fit_each(batch, self.scene, start, device=device, strict=strict, **options)
            )
        )

    def finish(self, order: Order, batch: Batch, where: Workplace, strict: bool = False) -> Done:
        """Fit, and write the image blocks."""
        result = self.fit(order, batch, where, strict)
        if self.options.blocks:
            folder = self.options.blocks_folder
            where.do(lambda device: write_batch_blocks(folder, batch, self.scene, result, device))
        rows = rows_of(result, format_of(self.options.path))
        kept = batch if self.keep else None
        remarks = tuple(remark for remark in (batch.remark, where.lost) if remark)
        return Done(order.place, result, rows, kept, remarks)

    def in_this_process(self, groups: Sequence[Group]) -> Iterator[Done]:
        """Do all orders one after the other, reading ahead."""
        for order, batch, where in self.batches(groups):
            yield self.finish(order, batch, where, strict=order.place == 1)

    def batches(self, groups: Sequence[Group]) -> Iterator[tuple[Order, Batch, Workplace]]:
        """All orders with their stamps, and where to fit them."""
        reader, where, ahead = shared_reader(), Workplace(self.options.torch_device), self.options.ahead
        stream = ((order, self.read(order, reader)) for order in self.orders(groups))
        for order, batch in read_ahead(stream, ahead) if ahead > 0 else stream:
            yield order, batch, where


def write_batch_blocks(
    folder: Path, batch: Batch, scene: Scene, result: Result, device: torch.device
) -> list[Path]:
    """Draw and write the image blocks of the galaxies of a batch that were fitted."""
    written: list[Path] = []
    fitted = [k for k, status in enumerate(result.status) if status.fitted]
    for first in range(0, len(fitted), DRAWN):
        rows = fitted[first : first + DRAWN]
        some = batch.select(rows).to(device)
        components = scene.component_images(some, result.values[rows].to(some.image.device))
        model = torch.stack(list(components.values())).sum(0)
        written += write_blocks(folder, some, result.select(rows), model, components)
    return written


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many CPU threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
