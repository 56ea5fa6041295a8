"""Inputs whose galaxies are stamps: read a portion, fit it, make its rows. What is the same wherever they come from."""

from __future__ import annotations

import dataclasses
import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.io.catalogue import Rows, rows_of
from isolux.io.portraits import Portrait
from isolux.io.rows import in_order, rows_from, text_of, with_columns, with_sky, without
from isolux.isolate import Workplace, failed, fit_each
from isolux.options import RunOptions
from isolux.parameters import Column, Fixed, Free
from isolux.result import Result
from isolux.scene import Scene
from isolux.stamp import Stamp
from isolux.survey.part import Input, Measured, Part
from isolux.task import cpu_threads

BATCH = 128
"""Galaxies that are fitted together. Not chosen by the memory that is free: rows are the same on every machine."""
VOLATILE = ("seconds",)
"""Columns of a result that no two runs have in common."""


@dataclasses.dataclass(frozen=True, eq=False)
class Portion:
    """Galaxies of a part that are fitted together.

    Attributes
    ----------
    batch : Batch
        Their stamps.
    start : mapping
        Columns (galaxy,) of starting values, as :func:`isolux.isolate.fit_each` takes them.
    carried : Rows
        Further columns of the catalogue, a row a galaxy in the batch's order; may have none.
    """

    batch: Batch
    start: Mapping[str, np.ndarray]
    carried: Rows | None = None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class StampFitting(Input):
    """An input of stamps.

    Attributes
    ----------
    scene : Scene
        The model.
    options : RunOptions
        How it is fitted; what it says of files, workers and memory is of no account here.
    """

    scene: Scene
    options: RunOptions = dataclasses.field(default_factory=RunOptions)

    @abstractmethod
    def portions(self, part: Part) -> Iterator[Portion]:
        """The stamps of a part; what is wrong with one of them is its fault, and raises nothing."""

    @property
    def batch_size(self) -> int:
        """Galaxies that are fitted together, at most."""
        return self.options.batch_size or BATCH

    def describe_fit(self) -> dict[str, Any]:
        """Model and options of the fit, for the manifest."""
        model: dict[str, dict[str, str]] = {}
        for parameter in self.scene.parameters:
            component, _, name = parameter.full_name.partition(".")
            model.setdefault(component, {})[name] = _plain(parameter.setting)
        for name, profile in self.scene.components.items():
            model.setdefault(name, {})["profile"] = f"{type(profile).__module__}.{type(profile).__qualname__}"
        options = {name: _plain(value) for name, value in self.options.fit_arguments.items()}
        return {
            "model": model,
            "fit": {**options, "dtype": self.options.dtype, "batch_size": self.batch_size},
        }

    def try_out(self, part: Part) -> None:
        """Fit the first galaxy of a part, so that a mistake in the model raises before anything is begun."""
        where = Workplace(self.options.torch_device)
        for portion in self.portions(part.rows(0, 1)):
            self._fit(portion, where, strict=True)

    def measure(self, part: Part, portraits: frozenset[str]) -> Measured:
        """Fit a part."""
        where = Workplace(self.options.torch_device)
        pieces: list[Rows] = []
        shown: list[Portrait] = []
        remarks: list[str] = []
        seconds = 0.0
        with cpu_threads(self.options.threads):
            for portion in self.portions(part):
                began = time.perf_counter()
                result = self._fit(portion, where)
                seconds += time.perf_counter() - began
                pieces.append(self._rows(result, portion.carried))
                wanted = [k for k, name in enumerate(portion.batch.id) if name in portraits]
                shown += draw_portraits(self.scene, portion.batch, result, wanted)
                remarks += [remark for remark in (portion.batch.remark, where.lost) if remark]
        rows = in_order(pieces, text_of(part.listing, "id"))
        return Measured(rows, seconds, shown, tuple(dict.fromkeys(remarks)))

    def lost(self, part: Part, reason: str) -> Rows:
        """The row of a galaxy that ends the process that tries to fit it."""
        name = text_of(part.listing, "id")[0]
        batch = Batch.from_stamps([Stamp(name, fault=reason)], dtype=self.options.torch_dtype)
        settings = (parameter.setting for parameter in self.scene.parameters)
        values = (
            s.start if isinstance(s, Free) else s.value for s in settings if isinstance(s, Free | Fixed)
        )
        start = {column.name: np.ones(1) for column in values if isinstance(column, Column)}
        result = failed(batch, self.scene, start, reason, **self.options.fit_arguments)
        return self._rows(result, self.carried(part))

    def carried(self, part: Part) -> Rows | None:
        """What a part's listing says that goes into the catalogue as it is; nothing, unless an input says more."""
        return None

    def _fit(self, portion: Portion, where: Workplace, strict: bool = False) -> Result:
        options = self.options.fit_arguments
        batch, start = portion.batch, portion.start

        def work(device: torch.device) -> Result:
            return fit_each(batch, self.scene, start, device=device, strict=strict, **options)

        return where.marked(where.do(work))

    def _rows(self, result: Result, carried: Rows | None) -> Rows:
        rows = with_sky(without(rows_of(result, "parquet"), VOLATILE))
        return rows if carried is None else with_columns(rows, without(carried, ["id"]))


def _plain(value: Any) -> str:
    """A setting as text that is the same in every process: functions without their place in memory."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


def draw_portraits(scene: Scene, batch: Batch, result: Result, wanted: Sequence[int]) -> list[Portrait]:
    """Portraits of some galaxies of a batch that has been fitted; NaN for the model of those without a fit."""
    if not wanted:
        return []
    some, found = batch.select(list(wanted)), result.select(list(wanted))
    fitted = [k for k, status in enumerate(found.status) if status.fitted]
    model = np.full(tuple(some.image.shape), np.nan, np.float32)
    if fitted:
        layers = scene.component_images(some.select(fitted), found.values[fitted])
        model[fitted] = torch.stack(list(layers.values())).sum(0).float().numpy()
    shapes = _ellipses(found)
    made = []
    for k, name in enumerate(some.id):
        tall, wide = some.height[k], some.width[k]
        image, sigma, bad = (t[k, :tall, :wide].numpy() for t in (some.image, some.sigma, some.mask))
        x, y, ratio, angle = (
            float(v)
            for v in np.where(np.isfinite(shapes[k]), shapes[k], [(wide - 1) / 2, (tall - 1) / 2, 1, 0])
        )
        numbers = (float(some.pixel_scale[k]), float(some.zero_point[k]), x, y, ratio, angle)
        made.append(Portrait(name, image, model[k, :tall, :wide], sigma, bad, *numbers))
    return made


def _ellipses(result: Result) -> np.ndarray:
    """x, y, axis ratio, position angle (galaxy, 4) of each galaxy's brightest component that has them."""
    names = {quantity.name for quantity in result.columns}
    shape = ("x", "y", "axis_ratio", "position_angle")
    tilted = [n.rpartition(".")[0] for n in names if n.endswith(".position_angle")]
    whole = sorted(c for c in tilted if all(f"{c}.{p}" in names for p in (*shape, "magnitude")))
    if not whole:
        return np.full((len(result), 4), np.nan)
    light = np.stack([result[f"{c}.magnitude"].numpy() for c in whole])
    best = np.argmin(np.where(np.isfinite(light), light, np.inf), 0)
    values = np.stack([[result[f"{c}.{p}"].numpy() for p in shape] for c in whole]).astype(float)
    return values[best, :, np.arange(len(result))]


def listing_of(ids: Sequence[str], **columns: Any) -> Rows:
    """A listing with its ids and further columns."""
    return rows_from({"id": np.array(ids, dtype=str), **columns})
