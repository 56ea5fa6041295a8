"""What the network of :mod:`isolux.nets.masks` is taught with: the loss, and how it is scored.

Classes by cross-entropy, in which rare classes count more, and by the soft overlap of each mask (Milletari, Navab &
Ahmadi 2016, 3DV, 565); shares by cross-entropy, weighted by how significant the light is; centres by the focal loss of
Zhou, Wang & Kraehenbuehl (2019, arXiv:1904.07850). Where the CPU has bfloat16 products, training uses them, which makes
it 1.7 times as fast; what is scored and shipped is done in float32.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from isolux.nets.mask_data import FOUND, OTHER, SEEN, THIS, MaskExamples, mask_examples
from isolux.nets.mask_scores import mask_scores
from isolux.nets.mask_view import View
from isolux.nets.masks import Answer, MaskNet
from isolux.nets.profile_data import LOTS, Lots
from isolux.nets.profile_draw import Universe, draw_lot
from isolux.types import Images, Tensor

WEIGHTS = (0.6, 1.5, 1.0)
"""Of the classes."""
OVERLAP, CENTRES = 0.5, 0.25
"""Weights of the losses beside those of classes and shares."""
PEAK = 1.5
"""Sigma in pixels of the truth's peaks in the heat map."""
VALIDATION = 1_000_000_007
"""Added to the seed for the validation set, which has lots of its own."""
AGAIN = 2
"""Batches that are made of the same lots, times what profiles are."""


class MaskLesson:
    """Teaches :class:`isolux.nets.masks.MaskNet` with scenes that are put together on the way."""

    def __init__(
        self, universe: Universe, lots: Lots, *, count: int = 16, validation: int = 128, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        network: Any = MaskNet()
        self.model: nn.Module = network.to(memory_format=torch.channels_last)
        self.universe, self.lots, self.count = universe, lots, count
        other = dataclasses.replace(universe, seed=universe.seed + VALIDATION)
        own = [draw_lot((other, k)) for k in range(LOTS)] if validation else []
        sizes = [min(16, validation - k) for k in range(0, validation, 16)]
        side = min(128, universe.size)
        self.fixed = [mask_examples(own, other, k, size, side) for k, size in enumerate(sizes)]

    def batch(self, step: int) -> MaskExamples:
        """Stamps number ``step``."""
        return mask_examples(self.lots.of(step // AGAIN), self.universe, step, self.count)

    def loss(self, model: nn.Module, batch: MaskExamples) -> Tensor:
        """Sum of the losses of classes, overlap, shares and centres."""
        view = View.of(batch.batch, batch.width)
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
            said = model(view, batch.at)
        numbers = {f.name: getattr(said, f.name).float() for f in dataclasses.fields(said)}
        return mask_loss(Answer(**numbers), batch, view.good)

    def scores(self, model: nn.Module) -> dict[str, float]:
        """See :func:`isolux.nets.mask_scores.mask_scores`."""
        answers = [model(View.of(some.batch, some.width), some.at) for some in self.fixed]
        return mask_scores(answers, self.fixed)


def mask_loss(said: Answer, truth: MaskExamples, good: Images) -> Tensor:
    """Of an answer; pixels that are not good do not count."""
    labels, weight = truth.labels(), good[:, None].expand_as(truth.own)
    balance = torch.tensor(WEIGHTS, device=good.device)
    logits = said.logits.movedim(2, -1)
    each = functional.cross_entropy(logits.flatten(0, 3), labels.flatten(), balance, reduction="none")
    counted = balance[labels] * weight
    classes = (each * weight.flatten()).sum() / counted.sum().clamp_min(1.0)
    known = weight * torch.log1p(truth.own + truth.others) * ((truth.own + truth.others) > SEEN)
    part = truth.own / (truth.own + truth.others).clamp_min(1e-6)
    each = functional.binary_cross_entropy_with_logits(said.share, part, reduction="none")
    shares = (each * known).sum() / known.sum().clamp_min(1.0)
    overlap = _apart(logits.softmax(-1), labels, weight)
    return classes + shares + OVERLAP * overlap + CENTRES * centre_loss(said.heat, truth, good)


def _apart(chance: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """One minus the soft overlap of this and other, mean over the masks that there are."""
    found = []
    for kind in (THIS, OTHER):
        own = (labels == kind) * weight
        both = (chance[..., kind] * own).sum((2, 3))
        sizes = (chance[..., kind] * weight).sum((2, 3)) + own.sum((2, 3))
        there = own.sum((2, 3)) > 0
        found.append(((1 - 2 * both / sizes.clamp_min(1e-6)) * there).sum() / there.sum().clamp_min(1))
    return torch.stack(found).mean()


def centre_loss(heat: Images, truth: MaskExamples, good: Images) -> Tensor:
    """Focal loss of the heat map; near sources that need not be found nothing counts."""
    target, counts = centre_target(truth.places, truth.strength, heat.shape[1:])
    chance = torch.sigmoid(heat).clamp(1e-4, 1 - 1e-4)
    peak = (target == 1) & (good > 0)
    hit = (1 - chance) ** 2 * torch.log(chance) * peak
    miss = (1 - target) ** 4 * chance**2 * torch.log(1 - chance) * (~peak) * counts * good
    return -(hit + miss).sum() / peak.sum().clamp_min(1)


def centre_target(places: Tensor, strength: Tensor, shape: tuple[int, ...]) -> tuple[Images, Images]:
    """Heat map (image, y, x) with a peak of one at each source that is to be found, and where it counts."""
    axes = [torch.arange(n, device=places.device, dtype=places.dtype) for n in shape]
    x, y = torch.round(places).unbind(-1)
    square = (axes[0][:, None] - y[..., None, None]) ** 2 + (axes[1] - x[..., None, None]) ** 2
    peaks = torch.nan_to_num(torch.exp(-0.5 * square / PEAK**2))
    sure = (strength >= FOUND)[..., None, None]
    target = (peaks * sure).amax(1)
    doubtful = (peaks * (~sure & (strength >= 0.5 * FOUND)[..., None, None])).amax(1)
    return target, ((doubtful < 0.1) | (target > 0.1)).float()
