"""Masks of stamps by the network of :mod:`isolux.nets.masks`: what is the galaxy's, what is to be left out of fits.

Where no place is given the network is asked about the source nearest to the middle, by its own heat map, and about the
middle where there is none. What cannot be answered is said of each galaxy, and never stops the others.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.nets.card import Card
from isolux.nets.frame import GAUSSIAN, in_bins, psf_area
from isolux.nets.mask_data import OTHER, THIS
from isolux.nets.mask_view import View
from isolux.nets.masks import MaskNet, tops
from isolux.nets.unet import MULTIPLE
from isolux.types import Images, PerGalaxy, Tensor

LARGEST = 256
"""Largest side in pixels; larger stamps are binned."""
PIXELS_AT_ONCE = 1 << 18
"""Of stamps that are looked at together, few enough for a CPU's cache."""
NEAR = (6.0, 0.06)
"""How far the source may be from the middle: in pixels, and over the side, whichever is more."""
EQUAL = (1.3, 2.0)
"""Two sources are equally near where the farther one is so much farther: a factor, and pixels."""
ALIKE = 2.0
"""Factor by which their brightness may differ."""
UNLIKE = 1.0
"""Score from which on a stamp is said to be unlike those of the training."""


@dataclasses.dataclass(frozen=True, eq=False)
class Masks:
    """What the pixels of stamps are.

    Attributes
    ----------
    id : tuple of str
        Of the galaxies.
    labels : Tensor
        (galaxy, y, x), uint8: 0 sky, 1 this galaxy, 2 something else.
    share : Tensor
        (galaxy, y, x): part of the sources' light that is this galaxy's; means nothing where there is only sky.
    bad : Tensor
        (galaxy, y, x) of bool: to be left out of fits, the batch's own masked pixels among them.
    x, y : Tensor
        (galaxy,): the place that was asked about, pixels.
    found : Tensor
        (galaxy,) of bool: whether there is a source.
    score : Tensor
        (galaxy,): how unlike the training the stamp is; 1 is what one of a hundred drawn stamps has. NaN where there
        is nothing to be seen.
    message : tuple of str
        What is to be said of each galaxy.
    """

    id: tuple[str, ...]
    labels: Images
    share: Images
    bad: Images
    x: PerGalaxy
    y: PerGalaxy
    found: Tensor
    score: PerGalaxy
    message: tuple[str, ...]


def mask_network(tensors: dict[str, Tensor], card: Card) -> MaskNet:
    """The network of weights and their card, as :func:`isolux.io.weights.read_weights` gives them; to be used.

    Raises
    ------
    InputError
        For weights of another network, or of another shape.
    """
    if card.network != "masks":
        raise InputError("weights for masks: network", card.network, "masks")
    network = MaskNet()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"tensors do not fit the network on the card: {error}") from None
    fast: Any = network.eval()
    return cast(MaskNet, fast.to(memory_format=torch.channels_last))


def find_masks(
    batch: Batch, network: MaskNet, card: Card, at: tuple[PerGalaxy, PerGalaxy] | None = None
) -> Masks:
    """Masks of all galaxies of a batch.

    Parameters
    ----------
    batch : Batch
        Stamps of any size.
    network : MaskNet
        With trained weights, in evaluation mode.
    card : Card
        Of the weights.
    at : tuple of Tensor, optional
        x and y, each (galaxy,), in pixels: the source that is meant. Left out, or NaN: the one nearest to the middle.

    Raises
    ------
    InputError
        For places that are not one position a galaxy.
    """
    nowhere = torch.full((len(batch), 2), torch.nan)
    places = nowhere if at is None else torch.stack([torch.as_tensor(n) for n in at], 1)
    if places.shape != nowhere.shape:
        raise InputError("shape of places for masks", tuple(places.shape), tuple(nowhere.shape))
    times = math.ceil(max(batch.shape) / LARGEST)
    seen, width = (in_bins(batch, times) if times > 1 else batch), psf_area(batch)
    places = ((places - 0.5 * (times - 1)) / times).to(batch.image.device, torch.float32)
    size = max(1, PIXELS_AT_ONCE // (seen.shape[0] * seen.shape[1]))
    parts = []
    with torch.inference_mode():
        for first in range(0, len(batch), size):
            rows = list(range(first, min(first + size, len(batch))))
            some = seen.select(rows)
            parts.append(_some(some, View.of(some, width[rows] / times**2), network, places[rows]))
    said = [text for part in parts for text in part.pop("message")]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    wide = card.outside({"psf_fwhm": GAUSSIAN * width.sqrt()})
    said = ["; ".join(filter(None, [one, *more])) for one, more in zip(said, wide, strict=True)]
    return _written(batch, card, found, said, times)


def _some(batch: Batch, view: View, network: MaskNet, at: Tensor) -> dict[str, Any]:
    """Answers about a few stamps."""
    tall, wide = batch.shape
    view = view.padded(MULTIPLE)
    inputs = view.inputs()
    features = network.down(inputs, view.constants())
    said = [""] * len(batch)
    unsaid = ~torch.isfinite(at).all(1)
    if bool(unsaid.any()):
        heat = network.heat(features)[:, 0, :tall, :wide]
        nearest, texts = _nearest(heat, inputs[:, 1], batch)
        at = torch.where(unsaid[:, None], nearest, at)
        said = [text if own else "" for text, own in zip(texts, unsaid.tolist(), strict=True)]
    logits, share = network.about(inputs, features, at[:, None])
    labels = logits[:, 0, :, :tall, :wide].argmax(1).to(torch.uint8)
    return {
        "labels": labels, "share": torch.sigmoid(share[:, 0, :tall, :wide]), "at": at.double(), "message": said,
        "unlike": network.unlike(features, view.good),
    }  # fmt: skip


def _nearest(heat: Images, light: Images, batch: Batch) -> tuple[Tensor, list[str]]:
    """Place (galaxy, 2) of the source nearest to the middle of each stamp, and what is to be said of it."""
    places, said = [], []
    for k, (some, tall, wide) in enumerate(zip(map(tops, heat), batch.height, batch.width, strict=True)):
        middle = torch.tensor([(wide - 1) / 2, (tall - 1) / 2], device=heat.device)
        far = torch.linalg.vector_norm(some[:, :2] - middle, dim=1)
        order = far.argsort(stable=True)
        some, far = some[order], far[order]
        text = ""
        if not len(some) or float(far[0]) > max(NEAR[0], NEAR[1] * max(tall, wide)):
            places.append(middle)
        else:
            places.append(some[0, :2])
            rows, columns = some[:2, 1].long(), some[:2, 0].long()
            bright = light[k, rows, columns]
            if len(some) > 1 and float(far[1]) < EQUAL[0] * float(far[0]) + EQUAL[1]:
                alike = float(torch.sinh(3 * bright).clamp_min(1e-6).log().diff().abs())
                if alike < math.log(ALIKE):
                    x, y = some[1, :2].tolist()
                    text = f"another source as bright is as near to the middle, at x {x:.0f}, y {y:.0f}"
        said.append(text)
    return torch.stack(places), said


def _written(batch: Batch, card: Card, found: dict[str, Tensor], said: list[str], times: int) -> Masks:
    """Answers about binned stamps, put into words and into the stamps' own pixels."""
    tall, wide = batch.shape
    maps = [found["labels"], found["share"]]
    if times > 1:
        maps = [m.repeat_interleave(times, 1).repeat_interleave(times, 2)[:, :tall, :wide] for m in maps]
    labels, share = maps
    at = found["at"] * times + 0.5 * (times - 1)
    usable = batch.usable
    here = usable[:, None, None]
    labels = torch.where(here, labels, torch.zeros_like(labels))
    share = torch.where(here, share, torch.zeros_like(share))
    bad = batch.mask | (labels == OTHER) | ~here
    there = _around(labels == THIS, at, times) & usable
    score = found["unlike"].double() / card.scores.get("unlike", 1.0)
    score = torch.where(usable, score, torch.nan)
    message = tuple(_sentence(batch, k, bool(there[k]), float(score[k]), said[k]) for k in range(len(batch)))
    return Masks(batch.id, labels, share, bad, at[:, 0], at[:, 1], there, score, message)


def _around(this: Images, at: Tensor, times: int) -> Tensor:
    """Whether some pixel (galaxy,) near the place is the galaxy's."""
    rows, columns = (torch.arange(n, device=at.device) for n in this.shape[1:])
    square = (rows[:, None] - at[:, 1, None, None]) ** 2 + (columns - at[:, 0, None, None]) ** 2
    return (this & (square < (NEAR[0] * times) ** 2)).flatten(1).any(1)


def _sentence(batch: Batch, k: int, there: bool, score: float, said: str) -> str:
    if not bool(batch.usable[k]):
        return batch.message[k] or batch.status[k].message
    parts = [said] if said else []
    if not there:
        parts.append("there is no source at the place that was asked about")
    if score > UNLIKE:
        parts.append(f"unlike the stamps of the training: score {score:.1f}, allowed up to {UNLIKE:g}")
    return "; ".join(parts)
