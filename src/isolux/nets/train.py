"""Training of any network: one loop, which can be ended at any time and goes on where it was.

A lesson knows its network and its data; a store keeps a checkpoint. Batches are functions of their number, dropout is
seeded by it, and a checkpoint holds the optimiser's moments and the averaged weights: so a run in many pieces gives the
same weights as one in one piece. The rate rises over a few steps and falls like a cosine to a hundredth of itself at
the last step. What is shipped are the averaged weights (Polyak & Juditsky 1992, SIAM J. Control Optim. 30, 838).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from isolux.errors import InputError
from isolux.types import Tensor

Row = dict[str, float]
LEAST_RATE = 0.01


class Lesson(Protocol):
    """A network and what it is taught with."""

    model: nn.Module

    def batch(self, step: int) -> Any:
        """Training data number ``step``, always the same."""

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """What is made small."""

    def scores(self, model: nn.Module) -> Row:
        """Of the fixed validation set; ``score`` is the one that decides which weights are best."""


class Store(Protocol):
    """Where a run keeps its checkpoint."""

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and facts, None where there is no checkpoint."""

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Replace it, whole or not at all."""


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a network is trained.

    Parameters
    ----------
    steps : int
        Of the whole schedule.
    rate : float
        Largest learning rate of Adam.
    warm : int
        Steps over which it rises.
    average : float
        Decay a step of the averaged weights.
    clip : float
        Largest norm of the gradient.
    seed : int
        Of weights and dropout.
    validate_every : int
        Steps between validations.
    save_every : float
        Seconds between checkpoints.
    minutes : float, optional
        Wall-clock time after which it stops, to go on another time.
    """

    steps: int = 20_000
    rate: float = 2e-3
    warm: int = 200
    average: float = 0.998
    clip: float = 1.0
    seed: int = 0
    validate_every: int = 500
    save_every: float = 120.0
    minutes: float | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("steps", 1, 1e9),
            ("rate", 0, 1),
            ("warm", 0, 1e6),
            ("average", 0, 1),
            ("clip", 0, 1e9),
            ("seed", 0, 2**62),
            ("validate_every", 1, 1e9),
            ("save_every", 0, 120),
            ("minutes", 0, 1e6),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"{name} of training", value, f"{low:g} to {high:g}")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        warm = min(1.0, (step + 1) / max(self.warm, 1))
        fall = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.rate * warm * (LEAST_RATE + (1 - LEAST_RATE) * fall)


@dataclasses.dataclass
class Trained:
    """Where training is.

    Attributes
    ----------
    step : int
        Steps that are done.
    seconds : float
        That they took, over all pieces.
    average, best : dict of Tensor
        Averaged weights, and those of the best score.
    score : float
        The best one.
    """

    step: int
    seconds: float
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    score: float


def train(
    lesson: Lesson, options: TrainOptions, store: Store, tell: Callable[[Row], None] | None = None
) -> Trained:
    """Train until the steps or the minutes are done, or Ctrl-C; always ends with a checkpoint.

    Parameters
    ----------
    lesson : Lesson
        The network and its data.
    options : TrainOptions
        How.
    store : Store
        Where the checkpoint is, from which it goes on.
    tell : callable, optional
        Told a row of numbers at each validation: step, seconds, loss, rate, and the scores.
    """
    model = lesson.model
    adam = torch.optim.Adam(model.parameters(), lr=options.rate)
    run = _begin(model, adam, store)
    clock, saved, before = time.monotonic(), time.monotonic(), run.seconds
    losses: list[float] = []
    try:
        while run.step < options.steps and not _late(clock, options):
            losses.append(_step(lesson, adam, options, run))
            run.seconds = before + time.monotonic() - clock
            if run.step % options.validate_every == 0 or run.step == options.steps:
                row = _validate(lesson, run, options, losses)
                losses = []
                if tell:
                    tell(row)
            if time.monotonic() - saved > options.save_every:
                _save(model, adam, run, store)
                saved = time.monotonic()
    except KeyboardInterrupt:
        pass
    _save(model, adam, run, store)
    return run


def _late(clock: float, options: TrainOptions) -> bool:
    return options.minutes is not None and time.monotonic() - clock > 60 * options.minutes


def _begin(model: nn.Module, adam: torch.optim.Adam, store: Store) -> Trained:
    found = store.load()
    if found is None:
        own = {name: t.detach().clone() for name, t in model.state_dict().items()}
        return Trained(0, 0.0, own, {name: t.clone() for name, t in own.items()}, math.inf)
    tensors, facts = found
    model.load_state_dict(_part(tensors, "model"))
    for name, parameter in model.named_parameters():
        if f"first.{name}" in tensors:
            adam.state[parameter] = {
                "step": torch.tensor(float(facts["step"])),
                "exp_avg": tensors[f"first.{name}"].to(parameter.device),
                "exp_avg_sq": tensors[f"second.{name}"].to(parameter.device),
            }
    average, best = _part(tensors, "average"), _part(tensors, "best")
    return Trained(int(facts["step"]), float(facts["seconds"]), average, best, float(facts["score"]))


def _save(model: nn.Module, adam: torch.optim.Adam, run: Trained, store: Store) -> None:
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    tensors |= {f"average.{name}": t for name, t in run.average.items()}
    tensors |= {f"best.{name}": t for name, t in run.best.items()}
    for name, parameter in model.named_parameters():
        moments = adam.state.get(parameter)
        if moments:
            tensors[f"first.{name}"] = moments["exp_avg"]
            tensors[f"second.{name}"] = moments["exp_avg_sq"]
    facts = {"step": run.step, "seconds": run.seconds, "score": run.score}
    store.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, facts)


def _step(lesson: Lesson, adam: torch.optim.Adam, options: TrainOptions, run: Trained) -> float:
    """One step; a step of which the loss is not finite changes nothing."""
    model = lesson.model.train()
    for group in adam.param_groups:
        group["lr"] = options.rate_at(run.step)
    with _seeded(options.seed, run.step):
        loss = lesson.loss(model, lesson.batch(run.step))
    adam.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), options.clip)
    if bool(torch.isfinite(norm)):
        adam.step()
    run.step += 1
    decay = min(options.average, run.step / (run.step + 10))
    for name, now in model.state_dict().items():
        kept = run.average[name]
        if kept.is_floating_point():
            kept.lerp_(now.detach().to(kept.device), 1 - decay)
        else:
            kept.copy_(now)
    return float(loss.detach())


def _validate(lesson: Lesson, run: Trained, options: TrainOptions, losses: list[float]) -> Row:
    with averaged(lesson.model, run.average) as model, torch.no_grad():
        scores = lesson.scores(model)
    if scores["score"] < run.score:
        run.score = scores["score"]
        run.best = {name: t.clone() for name, t in run.average.items()}
    mean = sum(losses) / max(len(losses), 1)
    rate = options.rate_at(run.step)
    return {"step": run.step, "seconds": round(run.seconds, 1), "loss": mean, "rate": rate, **scores}


@contextmanager
def averaged(model: nn.Module, weights: dict[str, Tensor]) -> Iterator[nn.Module]:
    """The model with other weights, for evaluation, and with its own again afterwards."""
    own = {name: t.detach().clone() for name, t in model.state_dict().items()}
    model.load_state_dict(weights)
    try:
        yield model.eval()
    finally:
        model.load_state_dict(own)


@contextmanager
def _seeded(seed: int, step: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((seed * 1_000_003 + step) % 2**63)
        yield


def _part(tensors: dict[str, Tensor], begin: str) -> dict[str, Tensor]:
    return {name[len(begin) + 1 :]: t.clone() for name, t in tensors.items() if name.startswith(f"{begin}.")}
