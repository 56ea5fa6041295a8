"""Stamps as the images that Pix2Prof was trained on: its field of view, its pixels, its flux unit.

A flux unit is exact. Pixels of another scale are not: each new one is the mean over the part of the stamp that it
covers, by area, so that brightness and flux are kept, but not the noise's correlation nor the PSF's shape.
"""

from __future__ import annotations

import torch

from isolux.batch import Batch
from isolux.isophotes.quality import ProfileFlag
from isolux.nets.card import SAME, Card
from isolux.nets.frame import GAUSSIAN, Frame, psf_area
from isolux.types import Images, PerGalaxy, Tensor

COVERED = 0.5
"""Share of a pixel that must be good, else it counts as masked."""
OFF = 8.0
"""Pixels off the middle: those of the training, and its wobble."""
SKY = 1.0
"""Sky that is left, over the noise, from which on it is remarked on."""


def unit_factor(batch: Batch, card: Card) -> PerGalaxy:
    """Units of the weights in one image unit (galaxy,)."""
    if card.zero_point is None:
        return torch.ones_like(batch.zero_point, dtype=torch.float64)
    return 10 ** (0.4 * (card.zero_point - batch.zero_point.double()))


def pixel_ratio(batch: Batch, card: Card) -> PerGalaxy:
    """Image pixels (galaxy,) in the side of one of the weights' pixels; one where they are the same."""
    scale = batch.pixel_scale.double()
    if not card.pixel_scale:
        return torch.ones_like(scale)
    low, high = min(card.pixel_scale), max(card.pixel_scale)
    same = (scale >= low * (1 - SAME)) & (scale <= high * (1 + SAME))
    ratio = torch.where(scale < low, low, high) / scale
    return torch.where(same | ~batch.usable, 1.0, ratio)


def adapted(batch: Batch, card: Card, size: int) -> Images:
    """Images (galaxy, size, size) in the units and pixels of the weights, the stamps' middles in theirs.

    Parameters
    ----------
    batch : Batch
        Stamps of any size; what is added to make them one batch does not count.
    card : Card
        Of the weights.
    size : int
        Of the network's field; beyond the stamp and where it is masked it is zero.
    """
    factor, ratio = unit_factor(batch, card), pixel_ratio(batch, card)
    found = torch.zeros(len(batch), size, size, device=batch.image.device)
    for k in range(len(batch)):
        part = slice(0, max(batch.height[k], 1)), slice(0, max(batch.width[k], 1))
        light = torch.where(batch.mask[k], 0.0, batch.image[k])[part]
        if float(ratio[k]) == 1.0:
            cut = placed(light, size)
        else:
            cut = resampled(light, ~batch.mask[k][part], float(ratio[k]), size)
        found[k] = (cut.double() * factor[k]).float()
    return torch.nan_to_num(found, posinf=0.0, neginf=0.0)


def placed(image: Images, size: int) -> Images:
    """An image (y, x) cut or filled with zeros to (size, size), its middle in the middle."""
    found = image.new_zeros(size, size)
    here, there = [], []
    for own in image.shape:
        begin = (own - size) // 2
        here.append(slice(max(begin, 0), min(begin + size, own)))
        there.append(slice(max(-begin, 0), max(-begin, 0) + min(size, own)))
    found[tuple(there)] = image[tuple(here)]
    return found


def resampled(image: Images, good: Tensor, ratio: float, size: int) -> Images:
    """An image (y, x) on (size, size) pixels of ``ratio`` times the side: flux a new pixel, zero where unknown."""
    rows, columns = (_overlap(n, ratio, size, image.device) for n in image.shape)
    light = rows @ torch.where(good, image, 0.0).double() @ columns.T
    share = rows @ good.double() @ columns.T / ratio**2
    return torch.where(share >= COVERED, light / share.clamp_min(COVERED), 0.0)


def _overlap(count: int, ratio: float, size: int, device: torch.device) -> Tensor:
    """Length (new, old) of each old pixel inside each new one, in old pixels."""
    begin = 0.5 * count + ratio * (torch.arange(size, dtype=torch.float64, device=device) - 0.5 * size)
    old = torch.arange(count, dtype=torch.float64, device=device)
    high = torch.minimum((begin + ratio)[:, None], old + 1)
    return (high - torch.maximum(begin[:, None], old)).clamp_min(0)


def remarks(
    batch: Batch, frame: Frame, card: Card, images: Images, range_: tuple[float, float]
) -> tuple[list[ProfileFlag], list[list[str]]]:
    """What is to be said of each galaxy before it is looked at.

    Parameters
    ----------
    batch, frame : Batch, Frame
        The stamps.
    card : Card
        Of the weights.
    images : Tensor
        From :func:`adapted`.
    range_ : tuple of float
        The values that are scaled to 0 and 1.
    """
    ratio, factor = pixel_ratio(batch, card), unit_factor(batch, card)
    binning = frame.binning
    noise = frame.unit * binning * ratio * factor
    width = GAUSSIAN * torch.sqrt(psf_area(batch).double()) / ratio
    notes = card.outside({"psf_fwhm": width, "noise": noise})
    flags = [ProfileFlag(0)] * len(batch)
    sky = frame.sky / (frame.unit * binning)
    middle = [(torch.tensor(n, device=ratio.device) - 1) / 2 for n in (batch.width, batch.height)]
    corner = 0.5 * (binning - 1)
    off = (
        torch.hypot(*(p * binning + corner - m for p, m in zip((frame.x, frame.y), middle, strict=True)))
        / ratio
    )
    seen = images != 0
    beyond = ((images < range_[0]) | (images > range_[1])) & seen
    share = beyond.sum((1, 2)) / seen.sum((1, 2)).clamp_min(1)
    for k, own in enumerate(notes):
        if abs(float(sky[k])) > SKY:
            own.append(f"sky {float(sky[k]):.2g} times the noise, in training 0")
        if float(off[k]) > OFF:
            own.append(f"{float(off[k]):.0f} pixels off the middle, in training up to {OFF:.0f}")
        if float(share[k]) > 0.5:
            own.append(f"{float(share[k]):.0%} of the pixels not between {range_[0]:g} and {range_[1]:g}")
        flags[k] = ProfileFlag.UNLIKE if own else ProfileFlag(0)
        if float(ratio[k]) != 1.0:
            flags[k] |= ProfileFlag.RESAMPLED
            own.append(f"pixels of {float(batch.pixel_scale[k]):.3g} made {card.pixel_scale[0]:.3g} arcsec")
    return flags, notes
