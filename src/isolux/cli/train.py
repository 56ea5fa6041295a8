"""``isolux train profile``: lessons, checkpoints, a log, a figure, and weights with their card."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from isolux.cli import console
from isolux.cli.train_arguments import ProfileLesson, TableArguments, TrainArguments
from isolux.errors import InputError, unknown_name
from isolux.io.safe_files import put_text
from isolux.io.training_table import read_examples
from isolux.io.weights import CheckpointFile, write_weights
from isolux.mock.presets import survey_named
from isolux.nets.calibrate import interval_factors
from isolux.nets.card import NETWORKS, Card
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
from isolux.nets.profile_draw import Universe
from isolux.nets.train import Row, Trained, TrainOptions, train

Lesson = PolarLesson | Pix2ProfLesson
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
    if network not in NETWORKS:
        raise unknown_name("network", network, NETWORKS)
    options = how.options(SCHEDULES[network])
    chosen = {name: getattr(lesson, name) or default for name, default in DEFAULTS[network].items()}
    folder = how.out or Path("weights")
    with _lesson(network, chosen, lesson.labels or "true", table, options, how.workers or 0) as (
        taught,
        data,
    ):
        setting = {"network": network, "data": data, "steps": options.steps, "seed": options.seed}
        setting |= {"rate": options.rate, "average": options.average, "warm": options.warm}
        store = CheckpointFile(folder / f"{network}.checkpoint.safetensors", setting)
        log = Log(folder / f"{network}.jsonl", store)
        run = train(taught, options, store, log.add)
        _finish(taught, run, setting, folder, log)
    done = run.step >= options.steps
    said = "" if done else f" of {options.steps}; give the same command again to go on"
    console.OUT.print(f"{run.step} steps{said}")
    return done or options.minutes is not None


@contextlib.contextmanager
def _lesson(
    network: str,
    chosen: dict[str, Any],
    labels: str,
    table: TableArguments,
    options: TrainOptions,
    workers: int,
) -> Iterator[tuple[Lesson, dict[str, Any]]]:
    """The lesson, and what it is taught with in words for the card."""
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
            taught: Lesson = PolarLesson(
                universe, lots, count=chosen["batch"], validation=chosen["validation"], seed=options.seed
            )
        else:
            if len(presets) > 1:
                raise InputError("presets of pix2prof, which reads one survey's units", presets, "one")
            config = Pix2ProfConfig(size=chosen["size"])
            source = Drawn(universe, lots, chosen["batch"], config)
            config = dataclasses.replace(config, **scaling(source.of(0)))
            fixed = source.validation(chosen["validation"])
            taught = Pix2ProfLesson(config, source, fixed, seed=options.seed)
        yield taught, data


def scaling(given: Sequences) -> dict[str, Any]:
    """A and B by the paper's rule: floor of the least value, ceiling of the largest 99.9th percentile.

    In units of a power of ten, such that images of any flux unit are resolved.
    """
    low = float(given.image.min())
    flat = given.image.flatten(1)
    high = float(flat.kthvalue(max(1, round(0.999 * flat.shape[1])), dim=1).values.max())
    unit = 10.0 ** math.floor(math.log10(max(high - low, 1e-30)) - 1)
    return {"low": unit * math.floor(low / unit), "high": unit * math.ceil(high / unit)}


def _of_table(
    table: TableArguments, chosen: dict[str, Any], options: TrainOptions
) -> tuple[Lesson, dict[str, Any]]:
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
    return Pix2ProfLesson(config, source, given.select(rows[1]), seed=options.seed), data


class Log:
    """Losses and scores, a JSON text a line; lines beyond the checkpoint that a run goes on from are dropped."""

    def __init__(self, path: Path, store: CheckpointFile) -> None:
        found = store.load()
        step = 0 if found is None else found[1]["step"]
        self.path = path
        self.rows: list[Row] = []
        if path.exists() and found is not None:
            self.rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.rows = [row for row in self.rows if row["step"] <= step]
        self._write()

    def add(self, row: Row) -> None:
        """Write a row, and say it."""
        self.rows.append(row)
        self._write()
        console.OUT.print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), highlight=False)

    def _write(self) -> None:
        put_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))


def _finish(lesson: Lesson, run: Trained, setting: dict[str, Any], folder: Path, log: Log) -> None:
    """Weights with their card, and the figure."""
    weights = run.best if math.isfinite(run.score) else run.average
    card = _card(lesson, run, weights, setting, log.rows)
    path = write_weights(folder / f"{card.network}.safetensors", weights, card)
    put_text(folder / f"{card.network}.json", json.dumps(card.as_dict(), indent=1) + "\n")
    if log.rows:
        from isolux.report.training import save_training_figure

        save_training_figure(log.rows, folder / f"{card.network}.png")
    console.OUT.print(f"weights: {path}")


def _card(
    lesson: Lesson, run: Trained, weights: dict[str, Any], setting: dict[str, Any], rows: list[Row]
) -> Card:
    drawn = setting["data"].get("presets")
    best = min(rows, key=lambda row: row["score"], default={})
    scores = {k: v for k, v in best.items() if k not in ("seconds", "rate", "loss")}
    training = {
        **{k: v for k, v in setting.items() if k not in ("data", "network")},
        "steps_done": run.step, "seconds": round(run.seconds), "date": time.strftime("%Y-%m-%d"),
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "torch": torch.__version__, "isolux": version("isolux"),
    }  # fmt: skip
    limits = LIMITS[setting["network"]]
    if isinstance(lesson, PolarLesson):
        network = PolarNet()
        network.load_state_dict(weights)
        widths = interval_factors(network.eval(), lesson.fixed)
        built = {"passes": network.passes}
        return Card("polar", built, setting["data"], training, scores, widths=widths, limits=limits)
    config = dataclasses.asdict(lesson.config)
    if drawn is None:
        return Card("pix2prof", config, setting["data"], training, scores, limits=limits)
    band = survey_named(drawn[0]).bands[0]
    return Card(
        "pix2prof", config, setting["data"], training, scores, pixel_scale=(band.pixel_scale,),
        zero_point=band.zero_point, bands=(band.name,), limits=limits,
    )  # fmt: skip
