"""``isolux train profile``: the networks that read profiles, taught with drawn galaxies or with a table."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isolux.cli.train import Course, follow
from isolux.cli.train_arguments import ProfileLesson, TableArguments, TrainArguments
from isolux.errors import InputError, unknown_name
from isolux.io.training_table import read_examples
from isolux.mock.presets import survey_named
from isolux.nets.calibrate import interval_factors
from isolux.nets.card import Card
from isolux.nets.pix2prof import Pix2ProfConfig
from isolux.nets.pix2prof_lesson import (
    Drawn,
    Pix2ProfLesson,
    Sequences,
    Table,
    split_by_galaxy,
    table_sequences,
)
from isolux.nets.polar_lesson import PolarLesson
from isolux.nets.profile import PolarNet
from isolux.nets.profile_data import Lots
from isolux.nets.profile_draw import Universe, with_ranges
from isolux.nets.train import Row, TrainOptions
from isolux.types import Tensor

DEFAULTS: dict[str, dict[str, Any]] = {
    "polar": {"preset": "sdss,hsc,euclid", "size": 192, "batch": 64, "validation": 256},
    "pix2prof": {"preset": "sdss", "size": 256, "batch": 16, "validation": 64},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "polar": {},
    "pix2prof": {"steps": 100_000, "rate": 2e-4, "warm": 0, "average": 0.999},
}
LIMITS = {
    "polar": (
        "stamps with one galaxy within an eighth of the side of the middle",
        "half-light radii below a fifth of the stamp's side",
        "noise the same everywhere but for the galaxy's own photons, correlated over two pixels at most",
        "errors are those of galaxies like the drawn ones; another population has wider ones",
    ),
    "pix2prof": (
        "images in the units, pixels and bands of its training",
        "no shape, no centre and no errors",
        "an image without a galaxy has a profile all the same",
    ),
}


def train_profile(lesson: ProfileLesson, table: TableArguments, how: TrainArguments) -> bool:
    """Train, and write what came of it; False where the steps are not all done.

    Raises
    ------
    InputError
        If the call cannot be meant.
    """
    network = lesson.network or "polar"
    if network not in DEFAULTS:
        raise unknown_name("network", network, DEFAULTS)
    options = how.options(SCHEDULES[network])
    chosen = {name: getattr(lesson, name) or default for name, default in DEFAULTS[network].items()}
    drawn = _course(network, chosen, lesson.labels or "true", table, options, how.workers or 0)
    with drawn as course:
        return follow(course, options, how.out or Path("weights"))


@contextlib.contextmanager
def _course(
    network: str,
    chosen: dict[str, Any],
    labels: str,
    table: TableArguments,
    options: TrainOptions,
    workers: int,
) -> Iterator[Course]:
    if table.table is not None:
        if network != "pix2prof":
            raise InputError("network for examples of a table", network, "pix2prof")
        yield _of_table(table, chosen, options)
        return
    presets = tuple(name.strip() for name in chosen["preset"].split(","))
    universe = Universe(presets, chosen["size"], options.seed, labels)
    data = {**dataclasses.asdict(universe), "presets": list(presets), "batch": chosen["batch"]}
    with Lots(universe, workers) as lots:
        if network == "polar":
            count, validation = chosen["batch"], chosen["validation"]
            polar = PolarLesson(universe, lots, count=count, validation=validation, seed=options.seed)
            yield _of_polar(polar, data)
            return
        if len(presets) > 1:
            raise InputError("presets of pix2prof, which reads one survey's units", presets, "one")
        config = Pix2ProfConfig(size=chosen["size"])
        source = Drawn(universe, lots, chosen["batch"], config)
        config = dataclasses.replace(config, **scaling(source.of(0)))
        fixed = source.validation(chosen["validation"])
        yield _of_pix2prof(Pix2ProfLesson(config, source, fixed, seed=options.seed), data)


def scaling(given: Sequences) -> dict[str, Any]:
    """A and B by the paper's rule: floor of the least value, ceiling of the largest 99.9th percentile.

    In units of a power of ten, such that images of any flux unit are resolved.
    """
    low = float(given.image.min())
    flat = given.image.flatten(1)
    high = float(flat.kthvalue(max(1, round(0.999 * flat.shape[1])), dim=1).values.max())
    unit = 10.0 ** math.floor(math.log10(max(high - low, 1e-30)) - 1)
    return {"low": unit * math.floor(low / unit), "high": unit * math.ceil(high / unit)}


def _of_table(table: TableArguments, chosen: dict[str, Any], options: TrainOptions) -> Course:
    names = {"label": table.label or "label", "image": table.image or "image", "group": table.group or "id"}
    assert table.table is not None
    groups, images, labels = read_examples(table.table, **names)
    given = table_sequences(images, labels)
    held = split_by_galaxy(groups, table.share or 0.05, options.seed)
    rows = [k for k, kept in enumerate(held) if not kept], [k for k, kept in enumerate(held) if kept]
    if not all(rows):
        raise InputError(f"{table.table}: no galaxy is left for training or for validation", len(given.image))
    learned = given.select(rows[0])
    config = Pix2ProfConfig(
        size=max(32, *given.image.shape[1:]),
        middle=float(learned.values.mean()),
        most=max(100, given.values.shape[1]),
        **scaling(learned),
    )
    source = Table(learned, chosen["batch"], options.seed)
    data = {"table": table.table.name, **names, "rows": len(given.image), "batch": chosen["batch"]}
    return _of_pix2prof(Pix2ProfLesson(config, source, given.select(rows[1]), seed=options.seed), data)


def _of_polar(lesson: PolarLesson, data: dict[str, Any]) -> Course:
    def card(weights: dict[str, Tensor], training: dict[str, Any], scores: Row) -> Card:
        network = PolarNet()
        network.load_state_dict(weights)
        widths = interval_factors(network.eval(), lesson.fixed)
        built = {"passes": network.passes}
        made = Card("polar", built, data, training, scores, widths=widths, limits=LIMITS["polar"])
        return with_ranges(made)

    return Course("polar", lesson, data, card)


def _of_pix2prof(lesson: Pix2ProfLesson, data: dict[str, Any]) -> Course:
    seen: dict[str, Any] = {}
    if "presets" in data:
        band = survey_named(data["presets"][0]).bands[0]
        seen = {"pixel_scale": (band.pixel_scale,), "zero_point": band.zero_point, "bands": (band.name,)}

    def card(weights: dict[str, Tensor], training: dict[str, Any], scores: Row) -> Card:
        config = dataclasses.asdict(lesson.config)
        made = Card("pix2prof", config, data, training, scores, limits=LIMITS["pix2prof"], **seen)
        return with_ranges(made)

    # The scaling is found from the first batch: a checkpoint of another one is not to be gone on with.
    scale = {name: getattr(lesson.config, name) for name in ("low", "high")}
    return Course("pix2prof", lesson, data | scale, card)
