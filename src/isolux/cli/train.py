"""``isolux train``: what is the same for all networks. Checkpoint, log, figure, and weights with their card.

A network is an entry: a :class:`Course`, made in a file of its own (:mod:`isolux.cli.train_profile`), and a command in
:mod:`isolux.cli.train_commands`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from isolux.cli import console
from isolux.io.safe_files import put_text
from isolux.io.weights import CheckpointFile, write_weights
from isolux.nets.card import Card
from isolux.nets.train import Lesson, Row, Trained, TrainOptions, train
from isolux.types import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """A network that is to be trained.

    Attributes
    ----------
    network : str
        Its name, and that of its files.
    lesson : Lesson
        The network and its data.
    data : dict
        What it is taught with, in words: for the card, and to know a checkpoint of the same run.
    card : callable
        The card of weights, what is known of their training, and their scores.
    """

    network: str
    lesson: Lesson
    data: dict[str, Any]
    card: Callable[[dict[str, Tensor], dict[str, Any], Row], Card]


def follow(course: Course, options: TrainOptions, folder: Path) -> bool:
    """Train, and write what came of it; False where the steps are not all done and no time was set.

    Raises
    ------
    InputError
        For a checkpoint of another run in the folder.
    """
    setting = {"network": course.network, "data": course.data, "steps": options.steps, "seed": options.seed}
    setting |= {"rate": options.rate, "average": options.average, "warm": options.warm}
    store = CheckpointFile(folder / f"{course.network}.checkpoint.safetensors", setting)
    log = Log(folder / f"{course.network}.jsonl", store)
    run = train(course.lesson, options, store, log.add)
    _finish(course, run, setting, folder, log)
    done = run.step >= options.steps
    said = "" if done else f" of {options.steps}; give the same command again to go on"
    console.OUT.print(f"{run.step} steps{said}")
    return done or options.minutes is not None


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


def _finish(course: Course, run: Trained, setting: dict[str, Any], folder: Path, log: Log) -> None:
    """Weights with their card, and the figure."""
    weights = run.best if math.isfinite(run.score) else run.average
    best: Row = min(log.rows, key=lambda row: row["score"], default={})
    scores = {k: v for k, v in best.items() if k not in ("seconds", "rate", "loss")}
    card = course.card(weights, _training(run, setting), scores)
    path = write_weights(folder / f"{course.network}.safetensors", weights, card)
    if log.rows:
        from isolux.report.training import save_training_figure

        save_training_figure(log.rows, folder / f"{course.network}.png")
    console.OUT.print(f"weights: {path}")


def _training(run: Trained, setting: dict[str, Any]) -> dict[str, Any]:
    """What the card says of the training."""
    return {
        **{k: v for k, v in setting.items() if k not in ("data", "network")},
        "steps_done": run.step, "seconds": round(run.seconds), "date": time.strftime("%Y-%m-%d"),
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "torch": torch.__version__, "isolux": version("isolux"),
    }  # fmt: skip
