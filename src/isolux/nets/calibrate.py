"""How far the 68 % intervals of a network must be stretched that they hold 68 % of held-out truths.

Each side of the median by itself: below (and above) lie the truths of half of all radii, and of these 68.3 % should lie
within the interval. The factor is that percentile of deviation over width (split conformal prediction: Romano,
Patterson & Candes 2019, NeurIPS 32).
"""

from __future__ import annotations

import torch

from isolux.nets.polar_lesson import Example
from isolux.nets.profile import PolarNet
from isolux.types import Points, Tensor

SHARE = 0.6827


def interval_factors(network: PolarNet, examples: list[Example]) -> tuple[float, float, float, float]:
    """Factors of the widths below and above of the brightness, and of the growth."""
    pairs: list[list[tuple[Tensor, Points, Tensor]]] = [[], []]
    with torch.inference_mode():
        for frame, labels, present in examples:
            said = network(frame)[-1]
            inside = labels.there(present) & labels.known
            pairs[0].append((said.brightness, labels.brightness, inside))
            beyond = inside.clone()
            beyond[:, 0] = False
            pairs[1].append((said.growth, labels.growth, beyond))
    found = [
        factor(torch.cat([_ratios(*part, below) for part in parts]))
        for parts in pairs
        for below in (True, False)
    ]
    return found[0], found[1], found[2], found[3]


def factor(ratios: Tensor) -> float:
    """The percentile of deviations over widths; one where there are too few to say."""
    if len(ratios) < 20:
        return 1.0
    return float(torch.quantile(ratios[:: max(1, len(ratios) // 1_000_000)].double(), SHARE))


def _ratios(said: Tensor, truth: Points, inside: Tensor, below: bool) -> Tensor:
    middle = said[..., 1]
    width = middle - said[..., 0] if below else said[..., 2] - middle
    miss = middle - truth if below else truth - middle
    return (miss / width.clamp_min(1e-6))[inside & (miss > 0)]
