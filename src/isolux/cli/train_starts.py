"""``isolux train starts``: the network of :mod:`isolux.nets.starts`, taught with drawn galaxies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from isolux.cli.train import Course, follow
from isolux.cli.train_arguments import StartArguments, TrainArguments
from isolux.nets.card import Card
from isolux.nets.profile_data import Lots
from isolux.nets.profile_draw import Universe, with_ranges
from isolux.nets.start_lesson import StartLesson, stretches
from isolux.nets.starts import StartNet
from isolux.nets.train import Row
from isolux.types import Tensor

PRESETS, LOSS = "sdss,legacy,hsc,euclid", "gaussian"
SIZE, BATCH, VALIDATION = 192, 64, 512
SCHEDULE: dict[str, Any] = {"steps": 12_000, "validate_every": 400}
LIMITS = (
    "one Sérsic galaxy, or a bulge with an exponential disc about one centre",
    "half-light radii below a fifth of the stamp's side",
    "errors are those of galaxies like the drawn ones, where sizes and brightnesses are spread evenly",
    "galaxies without a PSF begin from moments",
)


def train_starts(lesson: StartArguments, how: TrainArguments) -> bool:
    """Train, and write what came of it; False where the steps are not all done.

    Raises
    ------
    InputError
        If the call cannot be meant.
    """
    options = how.options(SCHEDULE)
    presets = tuple(name.strip() for name in (lesson.preset or PRESETS).split(","))
    universe = Universe(presets, lesson.size or SIZE, options.seed)
    count, validation, loss = (
        lesson.batch or BATCH,
        lesson.validation or VALIDATION,
        lesson.loss or LOSS,
    )
    data = {**dataclasses.asdict(universe), "presets": list(presets), "batch": count, "loss": loss}
    with Lots(universe, how.workers or 0) as lots:
        taught = StartLesson(universe, lots, loss=loss, count=count, validation=validation, seed=options.seed)

        def card(weights: dict[str, Tensor], training: dict[str, Any], scores: Row) -> Card:
            network = StartNet()
            network.load_state_dict(weights)
            config = {"stretch": list(stretches(network.eval(), taught.fixed))}
            return with_ranges(Card("starts", config, data, training, scores, limits=LIMITS))

        course = Course("starts", taught, data, card)
        return follow(course, options, how.out or Path("weights"))
