"""Pixels that stick out of their neighbours as no star does: cosmic rays and hot pixels.

A robust loss needs no mask for them, but its starting values do: the brightest thing in a stamp may be a cosmic ray.
A pixel is a spike where it stands more than ``NOISE`` sigma above the median of the three by three pixels around it,
and more than ``SHARPEST`` times as high above the sky: under a PSF of 1.5 pixels FWHM, the sharpest that images are
taken with, a star's brightest pixel is 3.4 times that median. Tracks one or two pixels wide are found too, since most
of the nine pixels are beside them (the idea of LACosmic: van Dokkum 2001, PASP 113, 1420).
"""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.types import Images, Tensor

NOISE, SHARPEST = 6.0, 5.0
AT_ONCE = 16
"""Galaxies looked at together: nine copies of their pixels are in memory."""


def without_spikes(batch: Batch) -> Batch:
    """The batch with spikes masked, for looking at and not for fitting."""
    parts = [
        _spikes(
            batch.image[first : first + AT_ONCE],
            batch.sigma[first : first + AT_ONCE],
            batch.mask[first : first + AT_ONCE],
        )
        for first in range(0, len(batch), AT_ONCE)
    ]
    return dataclasses.replace(batch, mask=batch.mask | torch.cat(parts))


def _spikes(image: Images, sigma: Images, mask: Tensor) -> Tensor:
    """Which pixels (galaxy, y, x) are spikes."""
    good = torch.where(mask, torch.nan, image).flatten(1)
    sky = torch.nan_to_num(good.nanmedian(1).values)[:, None, None]
    light = torch.where(mask, torch.zeros_like(image), image - sky)
    padded = functional.pad(light, (1, 1, 1, 1))
    tall, wide = image.shape[1:]
    around = torch.stack([padded[:, y : y + tall, x : x + wide] for y in range(3) for x in range(3)])
    middle = around.median(0).values.clamp_min(0.0)
    return ~mask & (light > SHARPEST * middle + NOISE * sigma)
