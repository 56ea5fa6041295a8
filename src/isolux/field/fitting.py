"""Fits of the sources of a field: all of them at first, then each with every model, then groups with the best ones.

    1  every group of neighbours with one plain model a source        -> a model of the whole field
    2  every source with each model, the others' light subtracted     -> which model describes it
    3  every group of several with the chosen models, all at once     -> errors that know of the neighbours

Sources are fitted in batches of one kind: the same models, the same side of the stamp.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.crowd import Crowd
from isolux.field.cutouts import Cutout, Drawn, Sheet, psf_radius
from isolux.field.models import Model, member, prefix_of, scene_of
from isolux.isolate import Workplace, failed, fit_each
from isolux.priors import Prior
from isolux.renderer import Renderer
from isolux.result import Result
from isolux.scene import Scene
from isolux.status import Flag, Status

BATCH_PIXELS = 1 << 20
"""Pixels of a batch at most: small enough that several processes share the work evenly."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """One source with one model.

    Attributes
    ----------
    model : Model
        What was fitted.
    cutout : Cutout
        Where; positions in ``batch`` are those of its pixels.
    batch : Result
        The results of all sources that were fitted with it.
    row : int
        Its own.
    drawn : Drawn or None
        The model image; None where there is no fit.
    masked : float
        Share of its footprint that was masked.
    """

    model: Model
    cutout: Cutout
    batch: Result
    row: int
    drawn: Drawn | None
    masked: float

    @property
    def status(self) -> Status:
        """Why its fit ended."""
        return self.batch.status[self.row]

    @property
    def flags(self) -> Flag:
        """Remarks on its fit."""
        return self.batch.flags[self.row]

    @cached_property
    def values(self) -> dict[str, float]:
        """Parameters and derived quantities by full name."""
        return {
            column.name: value
            for columns, numbers in (
                (self.batch.columns, self.batch.values),
                (self.batch.derived, self.batch.derived_values),
            )
            for column, value in zip(columns, numbers[self.row].tolist(), strict=True)
        }

    @cached_property
    def result(self) -> Result:
        """The result of this source alone, one row."""
        return self.batch.select([self.row])


@dataclasses.dataclass(frozen=True)
class Answer:
    """Results and model images (galaxy, y, x), one of each a member."""

    results: tuple[Result, ...]
    images: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Job:
    """A batch of groups that have the same models.

    Attributes
    ----------
    places : tuple of int
        Numbers of the groups.
    models : tuple of Model
        One a member.
    batch : Batch
        Their stamps.
    start : mapping
        Starting values (galaxy,) by full name.
    options : mapping
        Of :func:`isolux.fit`.
    device : str
        Where to fit.
    """

    places: tuple[int, ...]
    models: tuple[Model, ...]
    batch: Batch
    start: Mapping[str, np.ndarray]
    options: Mapping[str, Any]
    device: str = "cpu"

    def answer(self) -> Answer:
        """Fit the batch and draw the models of its members."""
        scene = scene_of(self.models, max(self.batch.shape))
        where = Workplace(torch.device(self.device))
        result = where.marked(
            where.do(lambda device: fit_each(self.batch, scene, self.start, device=device, **self.options))
        )
        every = range(len(self.models))
        results = tuple(member(result, self.batch, self.models, k) for k in every)
        images = tuple(draw_member(self.batch, scene, result, self.models, k) for k in every)
        return Answer(results, images)

    def given_up(self, how: str) -> Answer:
        """Rows that say that the processes which were to fit the batch died."""
        scene = scene_of(self.models, max(self.batch.shape))
        rows = [
            failed(
                self.batch.select([k]),
                scene,
                {name: values[[k]] for name, values in self.start.items()},
                f"the process that fitted it {how}",
                **self.options,
            )
            for k in range(len(self.batch))
        ]
        result = Result.concatenate(rows)
        results = tuple(member(result, self.batch, self.models, k) for k in range(len(self.models)))
        blank = np.zeros(tuple(self.batch.image.shape), np.float32)
        return Answer(results, (blank,) * len(self.models))


def do(job: Any) -> Any:
    """What processes do: whatever a job is."""
    return job.answer()


def give_up(job: Any, how: str) -> Any:
    """What becomes of a job that ended its processes."""
    return job.given_up(how)


def draw_member(batch: Batch, scene: Scene, result: Result, models: Sequence[Model], k: int) -> np.ndarray:
    """Model images (galaxy, y, x) of one member of each group, without sky; zero where there is no fit."""
    values = torch.nan_to_num(result.values.double(), nan=1.0)
    rows = torch.arange(len(values))
    total = torch.zeros(len(values), *batch.shape, dtype=batch.image.dtype)
    with torch.no_grad():
        for name in models[k].components:
            total += Renderer.of(scene.components, batch, only=prefix_of(models, k) + name).model(
                values, rows
            )
    fitted = torch.tensor([status.fitted for status in result.status])
    return torch.where(fitted[:, None, None], torch.nan_to_num(total), 0.0).float().numpy()


@dataclasses.dataclass(frozen=True, eq=False)
class Fitter:
    """Fits cutouts of a field in batches, in one process or several.

    Attributes
    ----------
    crowd : Crowd
        The processes.
    ids : sequence of str
        Names of the sources.
    signal : sequence of float
        Signal-to-noise of each as it was detected.
    options : mapping
        Of :func:`isolux.fit`.
    priors : callable
        Priors of a group, from its models; their numbers are columns that the starting values bring along.
    device : str
        Where to fit.
    tell : callable
        Told after each batch how many sources were fitted.
    """

    crowd: Crowd[Any, Any]
    ids: Sequence[str]
    signal: Sequence[float]
    options: Mapping[str, Any]
    priors: Callable[[Sequence[Model]], Sequence[Prior]]
    device: str
    tell: Callable[[int], object]

    def fit(
        self,
        sheet: Sheet,
        wanted: Sequence[tuple[Cutout, tuple[Model, ...]]],
        start: Callable[[Cutout, tuple[Model, ...]], Mapping[str, float]],
        drawn: Sequence[Drawn | None],
    ) -> list[tuple[Fitted, ...]]:
        """Fit cutouts with the models of their members.

        Parameters
        ----------
        sheet : Sheet
            What stamps are cut from.
        wanted : sequence of (Cutout, tuple of Model)
            What to fit.
        start : callable
            Starting values of a cutout by full name; the same names for the same models.
        drawn : sequence of Drawn or None
            Models of all sources that the sheet subtracts.

        Returns
        -------
        list of tuple of Fitted
            For each cutout its members in order.
        """
        found: list[tuple[Fitted, ...]] = [()] * len(wanted)
        for job, answer in self.crowd.map(self._jobs(sheet, wanted, start, drawn)):
            for row, place in enumerate(job.places):
                cutout, models = wanted[place]
                found[place] = tuple(
                    Fitted(
                        model,
                        cutout,
                        answer.results[k],
                        row,
                        self._drawn(cutout, answer, k, row),
                        sheet.masked_share(cutout, cutout.members[k], job.batch.mask[row].numpy()),
                    )
                    for k, model in enumerate(models)
                )
            self.tell(len(job.places))
        return found

    @staticmethod
    def _drawn(cutout: Cutout, answer: Answer, k: int, row: int) -> Drawn | None:
        if not answer.results[k].status[row].fitted:
            return None
        return Drawn(cutout.left, cutout.bottom, answer.images[k][row])

    def _jobs(
        self,
        sheet: Sheet,
        wanted: Sequence[tuple[Cutout, tuple[Model, ...]]],
        start: Callable[[Cutout, tuple[Model, ...]], Mapping[str, float]],
        drawn: Sequence[Drawn | None],
    ) -> Iterator[Job]:
        """Batches of one kind, the most costly first."""
        kinds: dict[tuple[int, int, tuple[str, ...]], list[int]] = defaultdict(list)
        for place, (cutout, models) in enumerate(wanted):
            radius = psf_radius(sheet.psf, max(self.signal[k] for k in cutout.members))
            kinds[cutout.side, radius, tuple(model.name for model in models)].append(place)
        for (side, radius, _), places in sorted(kinds.items(), key=lambda kind: kind[0], reverse=True):
            size = max(1, BATCH_PIXELS // side**2)
            for first in range(0, len(places), size):
                some = places[first : first + size]
                cutouts = [wanted[place][0] for place in some]
                names = ["+".join(self.ids[k] for k in cutout.members) for cutout in cutouts]
                given = [start(*wanted[place]) for place in some]
                table = {name: np.array([values[name] for values in given]) for name in given[0]}
                batch = sheet.batch(cutouts, names, drawn, radius=radius)
                models = wanted[some[0]][1]
                fitting = {**self.options, "priors": self.priors(models)}
                yield Job(tuple(some), models, batch, table, fitting, self.device)
