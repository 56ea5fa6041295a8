"""Non-parametric quantities of the sources of a field, on the stamps that they were fitted on.

The models of all other sources are subtracted, so that what is measured is the source alone.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from isolux.crowd import Crowd
from isolux.field.cutouts import Cutout, Drawn, Sheet
from isolux.field.detect import Detections
from isolux.field.expected import Expected
from isolux.nonparametric import COLUMNS, ShapeFlag, Shapes, measure_shapes

NAMES = [column.name for column in COLUMNS]
AT_ONCE = 64
"""Sources that are measured together."""
PIXELS = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class ShapeJob:
    """Sources whose stamps have one size.

    Attributes
    ----------
    sources : tuple of int
        Their numbers.
    corner : numpy.ndarray
        (source, 2): column and row of each stamp's first pixel in the field.
    image, mask, segmentation : numpy.ndarray
        (source, y, x).
    numbers : mapping
        (source,) by name: what :func:`measure_shapes` takes.
    """

    sources: tuple[int, ...]
    corner: np.ndarray
    image: np.ndarray
    mask: np.ndarray
    segmentation: np.ndarray
    numbers: Mapping[str, np.ndarray]

    def answer(self) -> Shapes:
        """Measure them."""
        return measure_shapes(self.image, self.mask, segmentation=self.segmentation, **self.numbers)

    def given_up(self, how: str) -> Shapes:
        """Rows without numbers, for sources whose processes died."""
        count = len(self.sources)
        nothing = torch.full((count, len(COLUMNS)), torch.nan, dtype=torch.float64)
        one = torch.ones(count, dtype=torch.float64)
        return Shapes(nothing, nothing.clone(), (ShapeFlag.INVALID,) * count, one, one)


def shape_jobs(
    sheet: Sheet,
    cutouts: Sequence[Cutout],
    drawn: Sequence[Drawn | None],
    ellipses: Mapping[str, np.ndarray],
    fwhm: float,
) -> Iterator[ShapeJob]:
    """Jobs for all sources.

    Parameters
    ----------
    sheet : Sheet
        With the models of all sources.
    cutouts : sequence of Cutout
        One a source.
    drawn : sequence of Drawn or None
        The models in the sheet.
    ellipses : mapping
        (source,): ``x``, ``y`` in pixels of the field, ``axis_ratio``, ``position_angle``.
    fwhm : float
        Of the PSF in pixels.
    """
    kinds: dict[int, list[int]] = defaultdict(list)
    for k, cutout in enumerate(cutouts):
        kinds[cutout.side].append(k)
    for side, all_of_it in kinds.items():
        size = max(1, min(AT_ONCE, PIXELS // side**2))
        for first in range(0, len(all_of_it), size):
            some = all_of_it[first : first + size]
            own = [cutouts[k] for k in some]
            batch = sheet.batch(own, [str(k) for k in some], drawn, torch.float32, radius=0)
            left = np.array([cutout.left for cutout in own])
            bottom = np.array([cutout.bottom for cutout in own])
            noise = [sheet.sky_sigma[sheet.middle_of(cutout)] for cutout in own]
            field = sheet.field
            numbers = {
                "sigma_sky": np.array(noise, float),
                "x": ellipses["x"][some] - left,
                "y": ellipses["y"][some] - bottom,
                "axis_ratio": ellipses["axis_ratio"][some],
                "position_angle": ellipses["position_angle"][some],
                "zero_point": np.full(len(some), field.zero_point),
                "pixel_scale": np.full(len(some), field.pixel_scale),
                "psf_fwhm": np.full(len(some), fwhm),
            }
            if field.gain > 0:
                numbers["gain"] = np.full(len(some), field.gain)
            labels = np.stack([sheet.labels(c, k) for c, k in zip(own, some, strict=True)])
            yield ShapeJob(
                tuple(some),
                np.stack([left, bottom], 1),
                batch.image.numpy(),
                batch.mask.numpy(),
                labels,
                numbers,
            )


def joined(count: int, answers: Sequence[tuple[ShapeJob, Shapes]], zero_point: float, scale: float) -> Shapes:
    """The shapes of all sources in their order; NaN with a flag where there are none."""
    values = torch.full((count, len(COLUMNS)), torch.nan, dtype=torch.float64)
    errors = values.clone()
    flags = [ShapeFlag.INVALID] * count
    for job, shapes in answers:
        rows = torch.tensor(job.sources)
        values[rows], errors[rows] = shapes.values.double().cpu(), shapes.errors.double().cpu()
        for place, axis in enumerate("xy"):
            values[rows, NAMES.index(axis)] += torch.as_tensor(job.corner[:, place])
        for k, flag in zip(job.sources, shapes.flags, strict=True):
            flags[k] = flag
    number = torch.full((count,), 1.0, dtype=torch.float64)
    return Shapes(values, errors, tuple(flags), number * zero_point, number * scale)


def measure_all(
    crowd: Crowd[Any, Any],
    sheet: Sheet,
    cutouts: Sequence[Cutout],
    drawn: Sequence[Drawn | None],
    found: Detections,
    expected: Expected,
    tell: Callable[[str, int, int], object],
) -> Shapes:
    """The shapes of all sources, a cutout each; the models in the sheet are those of ``drawn``."""
    count, done = len(found), 0
    angle = np.nan_to_num(found.theta)
    ellipses = {"x": found.x, "y": found.y, "axis_ratio": expected.ratio, "position_angle": angle}
    answers = []
    for job, answer in crowd.map(shape_jobs(sheet, cutouts, drawn, ellipses, 2 * expected.half_width)):
        answers.append((job, answer))
        done += len(job.sources)
        tell("measuring shapes", done, count)
    return joined(count, answers, sheet.field.zero_point, sheet.field.pixel_scale)
