"""How good masks are: overlap with the truth, light of others that is left in a galaxy, shares, sources found."""

from __future__ import annotations

import torch

from isolux.nets.mask_data import FOUND, OTHER, THIS, MaskExamples
from isolux.nets.masks import Answer, tops
from isolux.types import Images, Tensor

LEAST = 10
"""Pixels of masks that are compared."""
NEAR = 2.0
"""Pixels by which a source that is found may be off."""


def mask_scores(answers: list[Answer], truths: list[MaskExamples]) -> dict[str, float]:
    """Scores of the answers about stamps.

    Returns
    -------
    dict of str to float
        ``score``, which decides: one minus the mean of both overlaps. ``this``, ``other``: mean intersection over
        union. ``contamination``: mean of others' light that is not masked within two half-light radii over the
        galaxy's light, at most one. ``lost``: mean part of the galaxy's light there that is masked. ``share``: mean
        error of the shares. ``found``, ``right``: part of the sources that are found, and of the peaks that are
        sources. ``unlike``: 99th percentile of the distance from the training.
    """
    columns: dict[str, list[Tensor]] = {}
    for said, truth in zip(answers, truths, strict=True):
        for name, values in _scores(said, truth).items():
            columns.setdefault(name, []).append(values)
    joined = {name: torch.cat(values) for name, values in columns.items()}
    unlike = float(joined.pop("unlike").quantile(0.99))
    means = {name: float(values.mean()) if len(values) else 0.0 for name, values in joined.items()}
    return {"score": 1 - 0.5 * (means["this"] + means["other"]), **means, "unlike": unlike}


def _scores(said: Answer, truth: MaskExamples) -> dict[str, Tensor]:
    good = ~truth.batch.mask[:, None]
    labels, own, others = truth.labels(), truth.own * good, truth.others * good
    found = said.logits.argmax(2)
    overlaps = {}
    for name, kind in (("this", THIS), ("other", OTHER)):
        overlaps[name] = overlap((found == kind) & good, (labels == kind) & good)
    left, lost = contamination(found == OTHER, own, others, truth.at, truth.radius)
    total = own + others
    error = ((torch.sigmoid(said.share) - own / total.clamp_min(1e-6)).abs() * total.clamp_max(10.0)).sum(
        (2, 3)
    )
    weight = total.clamp_max(10.0).sum((2, 3))
    hit, right = sources_found(said.heat, truth)
    return {
        **overlaps, "contamination": left, "lost": lost, "share": (error / weight.clamp_min(1))[weight > LEAST],
        "found": hit, "right": right, "unlike": said.unlike,
    }  # fmt: skip


def overlap(found: Images, truth: Images) -> Tensor:
    """Intersection over union of masks (..., y, x), of those with pixels enough."""
    both, either = ((found & truth).sum((-2, -1)), (found | truth).sum((-2, -1)))
    return (both / either.clamp_min(1))[truth.sum((-2, -1)) >= LEAST]


def contamination(
    bad: Images, own: Images, others: Images, at: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """Others' light that is not masked within 2 half-light radii, over own light there, and own light that is."""
    axes = [torch.arange(n, device=own.device) for n in own.shape[-2:]]
    square = (axes[0][:, None] - at[..., 1, None, None]) ** 2 + (axes[1] - at[..., 0, None, None]) ** 2
    inside = square < (2 * radius.clamp_min(1.5)[..., None, None]) ** 2
    light = (own * inside).sum((-2, -1))
    left = (others * inside * ~bad).sum((-2, -1)) / light.clamp_min(1e-6)
    lost = (own * inside * bad).sum((-2, -1)) / light.clamp_min(1e-6)
    there = light > LEAST
    return left.clamp_max(1.0)[there], lost[there]


def sources_found(heat: Images, truth: MaskExamples) -> tuple[Tensor, Tensor]:
    """Of each source that is to be found whether it was; of each peak whether there is a source."""
    hit, right = [], []
    inside = torch.tensor([heat.shape[2] - 1, heat.shape[1] - 1], device=heat.device)
    for some, places, strength, mask in zip(
        map(tops, heat), truth.places, truth.strength, truth.batch.mask, strict=True
    ):
        there = ((places >= -0.5) & (places < inside + 0.5)).all(1) & (strength >= 0.5 * FOUND)
        places, strength = places[there], strength[there]
        column, row = places.round().clamp_min(0).long().unbind(1)
        apart = torch.cdist(some[:, :2], places)
        able = (strength >= FOUND) & ~mask[row, column]
        near = torch.full((len(places) + 1,), torch.inf)[:-1] if not len(some) else apart.amin(0)
        hit.append((near <= NEAR)[able])
        closest = torch.full((len(some),), torch.inf) if not len(places) else apart.amin(1)
        right.append(closest <= NEAR)
    return torch.cat(hit).float(), torch.cat(right).float()
