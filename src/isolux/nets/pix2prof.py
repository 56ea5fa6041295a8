"""Pix2Prof: a profile read off an image as a caption is (Smith et al. 2021, MNRAS 503, 96).

A ResNet-18 makes an image a vector z of 512 numbers. That is the first state of each of three stacked gated recurrent
units, which are fed what they said last, a zero at first; a rectifier and a dense layer make their output a surface
brightness, every 0.2 arcsec along the major axis. It halts when its last 100 outputs have a standard deviation of 0.01
or less: the profile has ended, and is held at its last value.

What the paper leaves open, and what is done here: in training the units are fed the true last value for a share
``teacher`` of batches, else their own output; dropout stands between the units and before the dense layer; outputs are
magnitudes about ``middle``, since 25 is far from where a dense layer begins.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from isolux.errors import InputError
from isolux.nets.resnet import LATENT, ResNet18
from isolux.nets.swift import Halting, Units, folded
from isolux.types import Images, PerGalaxy, Points, Tensor

ENCODED = 8
"""Images that are encoded together, as few as fit a cache."""
FEWER = 0.875
"""Share of galaxies that have not halted from which on the others are dropped."""


@dataclasses.dataclass(frozen=True)
class Pix2ProfConfig:
    """What decides over the network, all of which its card holds.

    Attributes
    ----------
    size : int
        Rows and columns of the images; larger ones are cropped, smaller ones padded with zero.
    low, high : float
        A and B of the scaling (x - A) / (B - A), image units. The paper's are 2 and 30 nanomaggies: floor of the least
        value and ceiling of the largest 99.9th percentile among its images, which still had their sky.
    percentile : float
        Brighter pixels are cut to this percentile of their image.
    layers, dropout : int and float
        Of the recurrent units.
    step : float
        Arcsec between the values.
    window, spread : int and float
        It halts when so many values have a standard deviation of ``spread`` or less.
    most : int
        It halts after so many values in any case.
    middle : float
        Added to every output.
    """

    size: int = 256
    low: float = 2.0
    high: float = 30.0
    percentile: float = 99.9
    layers: int = 3
    dropout: float = 0.2
    step: float = 0.2
    window: int = 100
    spread: float = 0.01
    most: int = 1000
    middle: float = 24.0

    def __post_init__(self) -> None:
        if self.size < 32:
            raise InputError("size of the images in pixels", self.size, "32 or more")
        if not self.high > self.low:
            raise InputError("low and high of the scaling", (self.low, self.high), "low < high")
        if not 0 <= self.dropout < 1 or not 0 < self.percentile <= 100:
            raise InputError("dropout and percentile", (self.dropout, self.percentile), "0 to 1; 0 to 100")
        if self.window < 2 or self.most < self.window or self.layers < 1:
            raise InputError("window, most and layers", (self.window, self.most, self.layers))


class Pix2Prof(nn.Module):
    """The paper's network; see the module."""

    def __init__(self, config: Pix2ProfConfig | None = None) -> None:
        super().__init__()
        self.config = config or Pix2ProfConfig()
        layers = self.config.layers
        self.encoder = ResNet18()
        between = self.config.dropout if layers > 1 else 0.0
        self.decoder = nn.GRU(1, LATENT, layers, batch_first=True, dropout=between)
        self.drop = nn.Dropout(self.config.dropout)
        self.dense = nn.Linear(LATENT, 1)

    def forward(self, images: Images, truth: Points | None = None, steps: int = 0) -> Points:
        """Values (galaxy, step) of scaled images: fed the truth (galaxy, step), or for some steps its own output."""
        state = self._begin(images)
        if truth is not None:
            before = truth[:, :-1] - self.config.middle
            fed = torch.cat([torch.zeros_like(truth[:, :1]), before], 1)[..., None]
            return self._say(self.decoder(fed, state)[0])[..., 0] + self.config.middle
        said, values = torch.zeros(len(images), 1, 1, dtype=state.dtype, device=state.device), []
        for _ in range(steps):
            out, state = self.decoder(said, state)
            said = self._say(out)
            values.append(said[:, 0])
        return torch.cat(values, 1) + self.config.middle

    @torch.no_grad()
    def read(self, images: Images) -> tuple[Points, Tensor]:
        """Profiles of scaled images, each until it halts.

        Parameters
        ----------
        images : Tensor
            (galaxy, y, x), of any number of galaxies, scaled by :func:`scaled`.

        Returns
        -------
        values : Tensor
            (galaxy, step): surface brightness in mag/arcsec^2.
        length : Tensor
            (galaxy,): where the run of equal values begins that ended it; all steps where none did.
        """
        config, count, device = self.config, len(images), images.device
        state, units = self._encoded(images), Units(self.decoder)
        said = torch.zeros(count, 1, dtype=state.dtype, device=device)
        halting = Halting(count, config.window, config.spread, device)
        rows, steps = torch.arange(count, device=device), 0
        values = torch.zeros(count, config.most, dtype=state.dtype, device=device)
        length = torch.full((count,), -1, device=device)
        while steps < config.most and len(rows):
            state = units.step(said, state)
            said = self._say(state[-1][:, None])[:, 0]
            values[rows, steps] = said[:, 0]
            steps += 1
            still = halting.add(said[:, 0]) & (length[rows] < 0)
            length[rows] = torch.where(still, steps - config.window, length[rows])
            going = length[rows] < 0
            if int(going.sum()) <= FEWER * len(rows):
                values[rows[~going], steps:] = said[~going]
                state, said, rows = state[:, going], said[going], rows[going]
                halting.select(going)
        length = torch.where(length < 0, steps, length)
        return values[:, :steps] + config.middle, length

    def _encoded(self, images: Images) -> Tensor:
        """The first state, with an encoder that is made for reading where nothing is learned."""
        if self.training or not len(images):
            return self._begin(images)
        encoder = folded(self.encoder)
        parts = [encoder(some) for some in images.split(ENCODED)]
        return torch.cat(parts).expand(self.config.layers, -1, -1)

    def _begin(self, images: Images) -> Tensor:
        z = self.encoder(images)
        return z.expand(self.config.layers, -1, -1).contiguous()

    def _say(self, out: Tensor) -> Tensor:
        return self.dense(self.drop(out).relu())


def scaled(images: Images, config: Pix2ProfConfig, shift: Tensor | None = None) -> Images:
    """Images as the network wants them: cut to its size, clipped and scaled.

    Parameters
    ----------
    images : Tensor
        (galaxy, y, x), image units.
    config : Pix2ProfConfig
        How.
    shift : Tensor, optional
        (galaxy, 2) integers: rows and columns by which the cut-out is moved, the "wobble".
    """
    size = config.size
    tall, wide = images.shape[1:]
    room = [max(0, size - n) + 2 * (0 if shift is None else int(shift.abs().max())) for n in (wide, tall)]
    before = [r // 2 for r in room]
    padded = nn.functional.pad(images, (before[0], room[0] - before[0], before[1], room[1] - before[1]))
    top, left = (padded.shape[1] - size) // 2, (padded.shape[2] - size) // 2
    if shift is None:
        cut = padded[:, top : top + size, left : left + size]
    else:
        cut = torch.stack(
            [p[top + y : top + y + size, left + x : left + x + size]
             for p, (y, x) in zip(padded, shift.tolist(), strict=True)]
        )  # fmt: skip
    rank = max(1, round(cut[0].numel() * config.percentile / 100))
    limit: PerGalaxy = cut.flatten(1).kthvalue(rank, dim=1).values
    return (torch.minimum(cut, limit[:, None, None]) - config.low) / (config.high - config.low)


def augmented(images: Images, config: Pix2ProfConfig, wobble: int, generator: torch.Generator) -> Images:
    """Scaled images, each moved by up to ``wobble`` pixels and turned by some quarter turns."""
    shift = torch.randint(-wobble, wobble + 1, (len(images), 2), generator=generator)
    turns = torch.randint(0, 4, (len(images),), generator=generator).tolist()
    moved = scaled(images, config, shift)
    return torch.stack([torch.rot90(image, k, (0, 1)) for image, k in zip(moved, turns, strict=True)])


def whole_profile_error(said: Points, ends: Tensor, truth: Points, true_ends: Tensor) -> PerGalaxy:
    """Median |deviation| (galaxy,) over the longer of both profiles, the shorter held at its last value.

    A wrong end is an error like any other; it would not be, were only radii scored that both have.
    """
    width = max(said.shape[1], truth.shape[1])
    held = [_held(*pair, width) for pair in ((said, ends), (truth, true_ends))]
    longer = torch.maximum(ends, true_ends)
    number = torch.arange(width, device=said.device)
    counted = torch.where(number < longer[:, None], (held[0] - held[1]).abs(), torch.nan)
    return counted.nanmedian(1).values


def _held(values: Points, ends: Tensor, width: int) -> Points:
    place = torch.arange(width, device=values.device).expand(len(values), -1)
    return values.gather(1, torch.minimum(place, (ends - 1).clamp(0, values.shape[1] - 1)[:, None]))
