"""What the network of :mod:`isolux.nets.profile` is taught with: the loss, and how it is scored."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from isolux.nets.frame import Frame
from isolux.nets.profile import LEAST, PolarNet, Reading, pinball
from isolux.nets.profile_data import LOTS, Lots, Mixed, mixed
from isolux.nets.profile_draw import Universe, draw_lot
from isolux.nets.profile_labels import Labels
from isolux.types import Tensor

BEYOND = 0.1
"""Weight of rings beyond the end of the profile, as far as they are above :data:`isolux.nets.profile.LEAST`."""
FIRST_PASSES = 0.4
"""Weight of passes but the last."""
VALIDATION = 1_000_000_007
"""Added to the seed for the validation set, which has lots of its own."""
Example = tuple[Frame, Labels, Tensor]


class PolarLesson:
    """Teaches :class:`isolux.nets.profile.PolarNet` with stamps that are drawn on the way."""

    def __init__(
        self, universe: Universe, lots: Lots, *, count: int = 64, validation: int = 256, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        self.model: nn.Module = PolarNet()
        self.universe, self.lots, self.count = universe, lots, count
        other = dataclasses.replace(universe, seed=universe.seed + VALIDATION)
        own = [draw_lot((other, k)) for k in range(LOTS)] if validation else []
        sizes = [min(64, validation - k) for k in range(0, validation, 64)]
        self.fixed = [example(mixed(own, other, k, size)) for k, size in enumerate(sizes)]

    def batch(self, step: int) -> Example:
        """Stamps number ``step``."""
        return example(mixed(self.lots.of(step), self.universe, step, self.count))

    def loss(self, model: nn.Module, batch: Example) -> Tensor:
        """Sum over the passes."""
        frame, labels, present = batch
        readings = model(frame)
        losses = [reading_loss(reading, labels, present) for reading in readings]
        return losses[-1] + FIRST_PASSES * sum(losses[:-1], torch.zeros(()))

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Median |deviation| in magnitudes (``score``), the share inside the 68 % interval, errors of the ends."""
        miss, low, high, ends, empty = [], [], [], [], []
        for frame, labels, present in self.fixed:
            said = model(frame)[-1]
            inside = labels.there(present) & labels.known
            truth = labels.brightness
            miss.append(((said.brightness[..., 1] - truth).abs() * 1.0857)[inside])
            low.append((truth >= said.brightness[..., 0])[inside])
            high.append((truth <= said.brightness[..., 2])[inside])
            length = (said.there > 0).long().cumprod(1).sum(1)
            ends.append((length - inside.sum(1)).abs()[present].float())
            empty.append((length == 0)[~present].float())
        within = (torch.cat(low) & torch.cat(high)).float().mean()
        found = {
            "score": float(torch.cat(miss).median()),
            "inside": float(within),
            "end_rings": float(torch.cat(ends).median()),
        }
        none = torch.cat(empty)
        return found | ({"empty_right": float(none.mean())} if len(none) else {})


def example(made: Mixed) -> Example:
    """What the network sees, and the labels in the units that it sees."""
    frame = Frame.of(made.batch, placed=True)
    unit = torch.log(frame.unit).float()[:, None]
    labels = dataclasses.replace(
        made.labels, brightness=made.labels.brightness - unit, growth=made.labels.growth - unit
    )
    return frame, labels, made.present


def reading_loss(said: Reading, labels: Labels, present: Tensor) -> Tensor:
    """Of one pass: brightness, growth, shape, centre and end."""
    inside = labels.there(present) & labels.known
    faint = present[:, None] & labels.known & (labels.brightness > LEAST + 0.1)
    weight = torch.where(inside, 1.0, torch.where(faint, BEYOND, 0.0))
    total = weight.sum().clamp_min(1.0)
    light = (pinball(said.brightness, labels.brightness) * weight).sum() / total
    grown = (pinball(said.growth, labels.growth)[:, 1:] * weight[:, 1:]).sum() / total
    apart = (said.shape - labels.shape).abs().sum(-1)
    spread = said.shape_log_error.clamp(-6, 1)
    bent = ((apart * torch.exp(-spread) + 2 * spread) * weight).sum() / total
    centre = (said.x - labels.x).abs() + (said.y - labels.y).abs()
    centre = (functional.smooth_l1_loss(centre, torch.zeros_like(centre), reduction="none") * present).mean()
    ends = functional.binary_cross_entropy_with_logits(said.there, inside.float())
    return light + 0.5 * grown + 0.05 * bent + 0.2 * centre + 0.3 * ends
