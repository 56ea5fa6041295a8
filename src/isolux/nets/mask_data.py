"""Training stamps for the mask network: scenes with noise, and what is true of their pixels.

The network is asked about two places of each stamp: the central galaxy's, and that of another source or of empty sky.
For a place, a pixel is *other* where the light of all else matters to a fit of the source there: it is above
:data:`SEEN` of the pixel's noise and above :data:`PART` of the source's own light. It is *this* where the source's own
light is above :data:`SEEN` and it is not other, and else it is *sky*.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.nets.mask_scenes import Drawn, defects, draw_scene, half_light
from isolux.nets.profile_draw import Lot, Universe
from isolux.types import Images, Tensor

SKY, THIS, OTHER = 0, 1, 2
SEEN, PART = 0.3, 0.1
FOUND, LEAST, NEAREST = 6.0, 0.4, 4.0
"""Signal-to-noise of a source that is to be found; those above half of it need not be, but may. The part of it from
which on a source is what is meant by a place, and pixels from a place within which it is."""
BURIED = 0.25
"""Part of the light in its best pixel below which a source is lost in the light of others, and need not be found."""
SIDES = (96, 128, 128, 160)
"""Of the stamps of a batch, never larger than the lots'."""
SMOOTHED, SMOOTHING = 0.3, (0.3, 1.3)
"""Share of stamps whose noise is correlated, as resampled images have it, and the Gaussian's sigmas in pixels."""
LEVEL, GRADIENT = 0.1, 0.15
"""Standard deviations of what is left of the sky, over the noise."""
NO_PSF, CUT = 0.2, 0.25
"""Shares of stamps of an unknown PSF, and of those of which a side is missing."""
MOST_CUT = 0.42
"""Part of the side that is cut at most; the smallest stamps are seen so."""
OFF = 0.35
"""A place is off the source's centre by less than this part of the way to the next source."""
ASKED = 2


@dataclasses.dataclass(frozen=True, eq=False)
class MaskExamples:
    """Noisy stamps and the truth about them.

    Attributes
    ----------
    batch : Batch
        The stamps, of no PSF; in units of the sky's noise.
    width : Tensor
        (galaxy,): pixels in the PSF's area, NaN where unknown.
    at : Tensor
        (galaxy, ASKED, 2): x and y of the places that are asked about.
    own, others : Tensor
        (galaxy, ASKED, y, x): light of the source there, and of all else but the sky, over the noise of each pixel.
    places, strength : Tensor
        (galaxy, source, 2) and (galaxy, source): x and y of sources, NaN where there is none, and signal-to-noise.
    radius : Tensor
        (galaxy, ASKED): half-light radius in pixels of the source asked about.
    """

    batch: Batch
    width: Tensor
    at: Tensor
    own: Tensor
    others: Tensor
    places: Tensor
    strength: Tensor
    radius: Tensor

    def labels(self) -> Tensor:
        """(galaxy, ASKED, y, x): what each pixel is."""
        other = (self.others > SEEN) & (self.others > PART * self.own)
        return torch.where(other, OTHER, torch.where(self.own > SEEN, THIS, SKY))


def mask_examples(lots: list[Lot], universe: Universe, step: int, count: int, side: int = 0) -> MaskExamples:
    """Batch number ``step`` of ``count`` stamps; of a side that depends on the number where none is given."""
    rng = np.random.default_rng([universe.seed, step, 79])
    side = side or min(int(rng.choice(SIDES)), universe.size)
    parts = [_one(lots[k % len(lots)], side, rng) for k in range(count)]
    images, masks, *others = (torch.stack(column) for column in zip(*parts, strict=True))
    ones = np.ones(images.shape, np.float32)
    batch = Batch.from_arrays(images.numpy(), sigma=ones, mask=masks.numpy())
    return MaskExamples(batch, *others)


def _one(lot: Lot, side: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    drawn = draw_scene(lot, side, rng)
    light = drawn.layers.sum(0)
    added, known = defects(side, light, rng)
    noise = torch.sqrt(1 + lot.grain * light)
    image = (light + noise_like(side, rng) * noise + _sky(side, rng)).clamp_max(drawn.limit) + added
    mask = known | (light > drawn.limit) if rng.uniform() < 0.5 else known
    if rng.uniform() < CUT:
        mask = mask | _missing(side, rng)
    strength = ((drawn.layers / noise) ** 2).sum((1, 2)).sqrt()
    apparent = (drawn.layers / (light + 0.5)).flatten(1).amax(1)
    strength = torch.where(apparent < BURIED, strength.clamp_max(0.75 * FOUND), strength)
    asked = [(0, *_place(drawn, 0, strength, side, rng)), _second(drawn, strength, side, rng)]
    seen = (apparent >= BURIED) & (strength >= LEAST * FOUND)
    asked = [(k if k >= 0 and bool(seen[k]) else _dominant(drawn, x, y), x, y) for k, x, y in asked]
    own = torch.stack([drawn.layers[k] if k >= 0 else torch.zeros_like(light) for k, *_ in asked])
    others = ((light - own).clamp_min(0) + added.abs()) / noise
    radius = torch.tensor([half_light(drawn.layers[k], float(drawn.x[k]), float(drawn.y[k])) if k >= 0
                           and float(strength[k]) > 0 else 0.0 for k, *_ in asked])  # fmt: skip
    room = 12 - len(drawn.x)
    places = functional.pad(torch.stack([drawn.x, drawn.y], 1), (0, 0, 0, room), value=math.nan)
    width = 1 / float(lot.psf.square().sum()) if rng.uniform() >= NO_PSF else math.nan
    at = torch.tensor([[x, y] for _, x, y in asked])
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    turned = [_turned(t, turns, flip) for t in (image, mask, own / noise, others)]
    at, places = (_moved(p, side, turns, flip) for p in (at, places))
    strength = functional.pad(strength, (0, room))
    return turned[0], turned[1], torch.tensor(width), at, turned[2], turned[3], places, strength, radius


def _place(
    drawn: Drawn, k: int, strength: Tensor, side: int, rng: np.random.Generator
) -> tuple[float, float]:
    """A place at which a source would be asked about: near its centre, or the stamp's middle where there is none."""
    x, y = float(drawn.x[k]), float(drawn.y[k])
    if math.isnan(x):
        return (side - 1) / 2, (side - 1) / 2
    apart = torch.hypot(drawn.x - x, drawn.y - y)
    apart[k] = math.inf
    apart[strength < FOUND] = math.inf
    off = min(4.0, OFF * float(torch.nan_to_num(apart, nan=math.inf).min())) * math.sqrt(rng.uniform())
    angle = rng.uniform(0, 2 * math.pi)
    return x + off * math.cos(angle), y + off * math.sin(angle)


def _second(drawn: Drawn, strength: Tensor, side: int, rng: np.random.Generator) -> tuple[int, float, float]:
    """Another source that can be found, by its number, or -1 and an empty place."""
    inside = (drawn.x > 0) & (drawn.x < side - 1) & (drawn.y > 0) & (drawn.y < side - 1)
    able = torch.nonzero(inside & (strength > FOUND))[:, 0]
    able = able[able > 0]
    if len(able) and rng.uniform() < 0.85:
        k = int(able[int(rng.integers(len(able)))])
        return (k, *_place(drawn, k, strength, side, rng))
    for _ in range(20):
        x, y = rng.uniform(0, side - 1, 2)
        if float(drawn.layers[:, round(y), round(x)].sum()) < SEEN:
            return -1, x, y
    return 0, *_place(drawn, 0, strength, side, rng)


def _dominant(drawn: Drawn, x: float, y: float) -> int:
    """The source with the most light at a place, if its centre is within its half-light radius; or else -1."""
    column, row = (min(max(round(n), 0), drawn.layers.shape[1] - 1) for n in (x, y))
    here = drawn.layers[:, row, column]
    k = int(here.argmax())
    own_x, own_y = float(drawn.x[k]), float(drawn.y[k])
    if not float(here[k]) > SEEN:
        return -1
    radius = max(half_light(drawn.layers[k], own_x, own_y), NEAREST)
    return k if math.hypot(x - own_x, y - own_y) <= radius else -1


def noise_like(side: int, rng: np.random.Generator) -> Images:
    """Noise of variance one; of some stamps as if they had been resampled."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    white = torch.randn(side, side, generator=generator)
    if rng.uniform() >= SMOOTHED:
        return white
    kernel = torch.exp(-0.5 * (torch.arange(-4, 5) / rng.uniform(*SMOOTHING)) ** 2)
    kernel = kernel / kernel.square().sum().sqrt()
    padded = functional.pad(white[None, None], (4, 4, 4, 4), mode="circular")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None])[0, 0]


def _sky(side: int, rng: np.random.Generator) -> Images:
    level, (across, along) = rng.normal(0, LEVEL), rng.normal(0, GRADIENT, 2)
    axis = torch.linspace(-1, 1, side)
    return (level + across * axis[None] + along * axis[:, None]).float()


def _missing(side: int, rng: np.random.Generator) -> Tensor:
    """Pixels of a strip along one edge or more."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    most = int(MOST_CUT * side) if rng.uniform() < 0.3 else side // 4
    for cut in rng.choice(["low", "high", "left", "right"], int(rng.integers(1, 5)), replace=False):
        n = int(rng.integers(1, most))
        rows = {"low": slice(0, n), "high": slice(side - n, side)}.get(cut, slice(None))
        columns = {"left": slice(0, n), "right": slice(side - n, side)}.get(cut, slice(None))
        mask[rows, columns] = True
    return mask


def _turned(image: Tensor, turns: int, flip: bool) -> Tensor:
    image = torch.rot90(image, turns, (-2, -1))
    return image.flip(-1) if flip else image


def _moved(places: Tensor, side: int, turns: int, flip: bool) -> Tensor:
    """Places (place, 2) in an image that was turned so."""
    x, y = places.unbind(-1)
    for _ in range(turns):
        x, y = y, side - 1 - x
    return torch.stack([side - 1 - x if flip else x, y], -1)
