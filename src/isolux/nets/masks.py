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
"""Of the running mean, scatter and correlation of what training images look like."""
PARTS, STRIDE = (0.16, 0.5, 0.84), 4
"""Percentiles of the finest features that sum up an image, and how many of their pixels are left out."""
RIDGE, SLIGHT = 0.05, 1e-3
"""Added to the correlation, so that it can be inverted; least scatter."""


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
    seen_together: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.down = Down(INPUTS, 2)
        self.up = Up()
        self.heat = Pyramid(1)
        self.fine = nn.Conv2d(WIDTHS[0], 4 * FINE, 1)
        self.mix = nn.Conv2d(FINE + INPUTS, FINE, 3, 1, 1)
        self.out = nn.Conv2d(FINE, 4, 1)
        nn.init.constant_(self.heat.out.bias, RARE)  # type: ignore[arg-type]
        numbers = len(PARTS) * WIDTHS[0] + WIDTHS[-1]
        self.register_buffer("seen_mean", torch.zeros(numbers))
        self.register_buffer("seen_scatter", torch.ones(numbers))
        self.register_buffer("seen_together", torch.eye(numbers))

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
        """How unlike those of the training images are; in training mode they are added to what it knows.

        The Mahalanobis distance of what sums an image up, a number (Lee et al. 2018, NeurIPS 31, 7167).
        """
        with torch.autocast(good.device.type, enabled=False):
            return self._distance(_summary(features, good))

    def _distance(self, seen: Tensor) -> PerGalaxy:
        if self.training:
            with torch.no_grad():
                self.seen_mean.lerp_(seen.mean(0), MOMENTUM)
                away = seen - self.seen_mean
                self.seen_scatter.lerp_(away.square().mean(0).sqrt(), MOMENTUM)
                away = away / self.seen_scatter.clamp_min(SLIGHT)
                self.seen_together.lerp_(away.T @ away / len(away), MOMENTUM)
        away = (seen - self.seen_mean) / self.seen_scatter.clamp_min(SLIGHT)
        ridge = RIDGE * torch.eye(len(self.seen_mean), device=seen.device)
        return (away * torch.linalg.solve(self.seen_together + ridge, away.T).T).mean(1).clamp_min(0).sqrt()


def _summary(features: list[Tensor], good: Images) -> Tensor:
    """(image, number): percentiles of the finest features and the mean of the deepest ones, over good pixels."""
    fine = functional.avg_pool2d(good[:, None], 2)[:, :, ::STRIDE, ::STRIDE].flatten(2)
    deep = functional.avg_pool2d(good[:, None], MULTIPLE)
    some = features[0].detach()[:, :, ::STRIDE, ::STRIDE].flatten(2).float()
    parts = torch.tensor(PARTS, device=some.device)
    spread = torch.nanquantile(some.masked_fill(fine < 1, torch.nan), parts, dim=2)
    mean = (features[-1].detach().float() * deep).sum((2, 3)) / deep.sum((2, 3)).clamp_min(1e-3)
    return torch.cat([*torch.nan_to_num(spread), mean], 1)


def tops(heat: Tensor, chance: float = CHANCE) -> Tensor:
    """The sources (source, 3) in one heat map of logits (y, x): x, y and chance, the most certain first."""
    largest = functional.max_pool2d(heat[None], 3, 1, 1)[0]
    above = heat > math.log(chance / (1 - chance))
    rows, columns = torch.nonzero((heat == largest) & above, as_tuple=True)
    values = heat[rows, columns]
    some = torch.stack([columns.to(values.dtype), rows.to(values.dtype), torch.sigmoid(values)], 1)
    return some[values.argsort(descending=True, stable=True)]
