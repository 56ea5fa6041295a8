"""``isolux train masks``: the network of :mod:`isolux.nets.masks`, taught with drawn scenes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from isolux.cli.train import Course, follow
from isolux.cli.train_arguments import MaskArguments, TrainArguments
from isolux.nets.card import Card
from isolux.nets.mask_lesson import MaskLesson
from isolux.nets.profile_data import Lots
from isolux.nets.profile_draw import Universe, training_ranges
from isolux.nets.train import Row
from isolux.types import Tensor

PRESETS = "sdss,legacy,hsc,euclid"
SIZE, BATCH, VALIDATION = 192, 16, 128
LIMITS = (
    "half-light radii below a fifth of the side of the training's stamps; larger stamps are binned",
    "noise the same everywhere but for the sources' own photons, correlated over three pixels at most",
    "of two sources closer than the PSF is wide only one is found",
)


def train_masks(lesson: MaskArguments, how: TrainArguments) -> bool:
    """Train, and write what came of it; False where the steps are not all done.

    Raises
    ------
    InputError
        If the call cannot be meant.
    """
    options = how.options({})
    presets = tuple(name.strip() for name in (lesson.preset or PRESETS).split(","))
    universe = Universe(presets, lesson.size or SIZE, options.seed)
    count, validation = lesson.batch or BATCH, lesson.validation or VALIDATION
    data = {**dataclasses.asdict(universe), "presets": list(presets), "batch": count}
    with Lots(universe, how.workers or 0) as lots:
        taught = MaskLesson(universe, lots, count=count, validation=validation, seed=options.seed)

        def card(weights: dict[str, Tensor], training: dict[str, Any], scores: Row) -> Card:
            ranges = {"psf_fwhm": training_ranges(universe)["psf_fwhm"]}
            return Card("masks", {}, data, training, scores, limits=LIMITS, ranges=ranges)

        course = Course("masks", taught, data, card)
        return follow(course, options, how.out or Path("weights"))
