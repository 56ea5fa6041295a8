"""A network that says of each pixel what it is: sky, the galaxy that is asked about, or something else.

Half of a U-Net (:mod:`isolux.nets.unet`) looks at the image; a heat map of where sources are comes from it alone. The
other half is told a place, and says for each pixel the logits of the three classes and the share of the light that
is the source's at that place. So a stamp's galaxy and every source of a field get their masks from the same weights.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional

from isolux.nets.mask_view import INPUTS, View
from isolux.nets.unet import MULTIPLE, WIDTHS, Down, Pyramid, Up
from isolux.types import Images, PerGalaxy, Tensor

FINE = 8
"""Channels at the image's own pixels."""
RARE = -4.0
"""Logit of a source's centre to begin with."""
CHANCE = 0.3
"""Chance in the heat map from which on a peak is a source."""
MOMENTUM = 0.01
"""Of the running mean and scatter of what training images look like."""


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What the network says.

    Attributes
    ----------
    logits : Tensor
        (image, place, class, y, x): of sky, this and other.
    share : Tensor
        (image, place, y, x): logit of the part of the light that is the source's.
    heat : Tensor
        (image, y, x): logit of a source's centre.
    unlike : Tensor
        (image,): distance from the images of the training, in standard deviations a number.
    """

    logits: Tensor
    share: Tensor
    heat: Images
    unlike: PerGalaxy


class MaskNet(nn.Module):
    """See the module."""

    seen_mean: Tensor
    seen_scatter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.down = Down(INPUTS, 2)
        self.up = Up()
        self.heat = Pyramid(1)
        self.fine = nn.Conv2d(WIDTHS[0], 4 * FINE, 1)
        self.mix = nn.Conv2d(FINE + INPUTS, FINE, 3, 1, 1)
        self.out = nn.Conv2d(FINE, 4, 1)
        nn.init.constant_(self.heat.out.bias, RARE)  # type: ignore[arg-type]
        self.register_buffer("seen_mean", torch.zeros(WIDTHS[0] + WIDTHS[-1]))
        self.register_buffer("seen_scatter", torch.ones(WIDTHS[0] + WIDTHS[-1]))

    def forward(self, view: View, at: Tensor) -> Answer:
        """What images look like about places (image, place, 2), x and y in pixels."""
        tall, wide = view.image.shape[1:]
        view = view.padded(MULTIPLE)
        inputs = view.inputs()
        features = self.down(inputs, view.constants())
        logits, share = self.about(inputs, features, at)
        heat = self.heat(features)[:, 0]
        unlike = self.unlike(features, view.good)
        return Answer(logits[..., :tall, :wide], share[..., :tall, :wide], heat[:, :tall, :wide], unlike)

    def about(self, inputs: Tensor, features: list[Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and share of :class:`Answer` for inputs and features that were looked at already."""
        count, places = at.shape[:2]
        several = [f.repeat_interleave(places, 0) for f in features] if places > 1 else features
        x = functional.pixel_shuffle(self.fine(self.up(several, at.flatten(0, 1).to(inputs.dtype))), 2)
        own = inputs.repeat_interleave(places, 0) if places > 1 else inputs
        x = self.out(functional.silu(self.mix(torch.cat([x, own], 1))))
        x = x.reshape(count, places, *x.shape[1:])
        return x[:, :, :3], x[:, :, 3]

    def unlike(self, features: list[Tensor], good: Images) -> PerGalaxy:
        """How unlike those of the training images are; in training mode they are added to what it knows."""
        seen = _summary(features, good)
        if self.training:
            with torch.no_grad():
                self.seen_mean.lerp_(seen.mean(0), MOMENTUM)
                self.seen_scatter.lerp_((seen - self.seen_mean).square().mean(0).sqrt(), MOMENTUM)
        return ((seen - self.seen_mean) / self.seen_scatter.clamp_min(1e-3)).square().mean(1).sqrt()


def _summary(features: list[Tensor], good: Images) -> Tensor:
    """(image, number): scatter of the finest features and mean of the deepest ones, over good pixels."""
    fine = functional.avg_pool2d(good[:, None], 2)
    deep = functional.avg_pool2d(good[:, None], MULTIPLE)
    mean = _mean(features[0], fine)
    scatter = (_mean(features[0].square(), fine) - mean.square()).clamp_min(0).sqrt()
    return torch.cat([scatter, _mean(features[-1], deep)], 1).detach()


def _mean(features: Tensor, weight: Tensor) -> Tensor:
    return (features * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1e-3)


def tops(heat: Tensor, chance: float = CHANCE) -> Tensor:
    """The sources (source, 3) in one heat map of logits (y, x): x, y and chance, the most certain first."""
    largest = functional.max_pool2d(heat[None], 3, 1, 1)[0]
    above = heat > math.log(chance / (1 - chance))
    rows, columns = torch.nonzero((heat == largest) & above, as_tuple=True)
    values = heat[rows, columns]
    some = torch.stack([columns.to(values.dtype), rows.to(values.dtype), torch.sigmoid(values)], 1)
    return some[values.argsort(descending=True, stable=True)]
