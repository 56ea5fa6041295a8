"""What Pix2Prof is taught with: images in image units and sequences of surface brightness, drawn or from a table.

As in the paper: mean squared error, wobble and quarter turns in training, none in validation, which is free-running and
scored over the whole profile. Sequences are held at their last value after their end, which the halting rule needs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence

import torch
from torch import nn

from isolux.errors import InputError
from isolux.nets.pix2prof import Pix2Prof, Pix2ProfConfig, augmented, scaled, whole_profile_error
from isolux.nets.polar import ring_radii
from isolux.nets.profile_data import LOTS, Lots, Mixed, mixed
from isolux.nets.profile_draw import Universe, draw_lot
from isolux.nets.rings import at
from isolux.types import Images, Points, Tensor

WOBBLE = 5
"""Pixels by which images are moved."""
TEACHER = 0.5
"""Share of batches in which the units are fed the truth."""
VALIDATION = 1_000_000_007
HELD = 100
"""Values that a sequence is held for after its end."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sequences:
    """Images with the sequences that belong to them.

    Attributes
    ----------
    image : Tensor
        (galaxy, y, x), image units.
    values : Tensor
        (galaxy, step), held at the last one after the end.
    length : Tensor
        (galaxy,).
    """

    image: Images
    values: Points
    length: Tensor

    def select(self, rows: Sequence[int]) -> Sequences:
        """Some of them."""
        chosen = list(rows)
        return Sequences(self.image[chosen], self.values[chosen], self.length[chosen])


class Pix2ProfLesson:
    """Teaches :class:`isolux.nets.pix2prof.Pix2Prof` with what a function of the step gives."""

    def __init__(self, config: Pix2ProfConfig, source: object, fixed: Sequences, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model: nn.Module = Pix2Prof(config)
        self.config, self.source, self.fixed, self.seed = config, source, fixed, seed

    def batch(self, step: int) -> tuple[Images, Points, bool]:
        """Scaled, augmented images, their sequences, and whether the truth is fed."""
        some: Sequences = self.source.of(step)  # type: ignore[attr-defined]
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        image = augmented(some.image, self.config, WOBBLE, generator)
        fed = bool(torch.rand((), generator=generator) < TEACHER)
        longest = min(int(some.length.max()) + HELD, some.values.shape[1])
        return image, some.values[:, :longest], fed

    def loss(self, model: nn.Module, batch: tuple[Images, Points, bool]) -> Tensor:
        """Mean squared error."""
        image, values, fed = batch
        said = model(image, values if fed else None, values.shape[1])
        return (said - values).square().mean()

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Median over galaxies of the median |deviation| over the whole profile, and the error of the length."""
        fixed = self.fixed
        values, length = model.read(scaled(fixed.image, self.config))  # type: ignore[operator]
        miss = whole_profile_error(values, length, fixed.values, fixed.length)
        ends = (length - fixed.length).abs().float().median()
        return {"score": float(miss.median()), "end_steps": float(ends)}


class Drawn:
    """Sequences from stamps that are drawn on the way; galaxies of an empty profile are left out."""

    def __init__(self, universe: Universe, lots: Lots, count: int, config: Pix2ProfConfig) -> None:
        self.universe, self.lots, self.count, self.config = universe, lots, count, config

    def of(self, step: int) -> Sequences:
        """Batch number ``step``."""
        return sequences(mixed(self.lots.of(step), self.universe, step, self.count), self.config)

    def validation(self, count: int) -> Sequences:
        """Of lots of their own."""
        other = dataclasses.replace(self.universe, seed=self.universe.seed + VALIDATION)
        own = [draw_lot((other, k)) for k in range(LOTS)]
        return sequences(mixed(own, other, 0, count), self.config)


class Table:
    """Sequences that are all in memory, in a new order in each round."""

    def __init__(self, given: Sequences, count: int, seed: int = 0) -> None:
        self.given, self.count, self.seed = given, min(count, len(given.image)), seed

    def of(self, step: int) -> Sequences:
        """Batch number ``step``."""
        rounds = len(self.given.image) // self.count
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step // rounds)
        order = torch.randperm(len(self.given.image), generator=generator)
        first = (step % rounds) * self.count
        return self.given.select(order[first : first + self.count].tolist())


def sequences(made: Mixed, config: Pix2ProfConfig) -> Sequences:
    """Labels of stamps as magnitudes every ``config.step`` arcsec, images in the survey's units."""
    batch, labels = made.batch, made.labels
    scale, sigma = batch.pixel_scale[:, None], made.sigma[:, None]
    inside = (labels.there(made.present) & labels.known).sum(1)
    rings = ring_radii().double()
    end = rings[(inside - 1).clamp_min(0)][:, None] * scale
    length = (end / config.step).floor().long()[:, 0] + 1
    width = min(int(length.max()) + HELD, config.most)
    sma = torch.arange(width, dtype=torch.float64)[None] * config.step / scale
    light = torch.exp(at(rings, labels.brightness.double()[..., None], sma)[..., 0]) * sigma / scale**2
    values = batch.zero_point[:, None] - 2.5 / math.log(10) * torch.log(light)
    held = torch.minimum(
        torch.arange(width).expand(len(batch), -1), (length - 1).clamp_max(width - 1)[:, None]
    )
    middle = [torch.roll(image, (cut, cut), (0, 1)) for image, cut in zip(batch.image, made.cut, strict=True)]
    image = torch.stack(middle) * made.sigma.float()[:, None, None]
    found = Sequences(image, values.gather(1, held).float(), length.clamp_max(width))
    return found.select(torch.nonzero(inside > 0)[:, 0].tolist())


def table_sequences(images: Sequence[Images], labels: Sequence[Sequence[float]]) -> Sequences:
    """Images (y, x) of one size with sequences of any lengths.

    Raises
    ------
    InputError
        If there are none, an image has another size, or a sequence is empty or not finite.
    """
    if not len(images) or len(images) != len(labels):
        raise InputError(f"{len(images)} images and {len(labels)} labels")
    length = torch.tensor([len(label) for label in labels])
    width = int(length.max()) + HELD
    values = torch.empty(len(labels), width)
    for row, label in enumerate(labels):
        own = torch.as_tensor(label, dtype=torch.float32)
        if not len(own) or not bool(torch.isfinite(own).all()):
            raise InputError(f"label of row {row}", allowed="one finite number or more")
        if images[row].shape != images[0].shape or images[row].ndim != 2:
            raise InputError(f"image of row {row}", tuple(images[row].shape), tuple(images[0].shape))
        values[row, : len(own)], values[row, len(own) :] = own, own[-1]
    return Sequences(torch.stack([i.float() for i in images]), values, length)


def split_by_galaxy(names: Sequence[str], share: float, seed: int = 0) -> list[bool]:
    """Which rows are for validation: all rows of a name, such as the bands of a galaxy, together.

    Whether a galaxy is depends on its name and the seed alone, not on the others.
    """
    if not 0 < share < 1:
        raise InputError("share of galaxies for validation", share, "between 0 and 1")

    def part(name: str) -> float:
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    return [part(name) < share for name in names]
