"""Stamps for training, made of layers: a galaxy, others of its lot as neighbours, stars, sky, noise, masks.

A batch is a function of its number, whoever draws the lots it is made of: so a run that was ended goes on as if it had
not been. Each galaxy is used a few times, every time with other neighbours, another quarter turn and other noise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.crowd import Crowd
from isolux.nets.profile_draw import TURNED, Lot, Universe, draw_lot
from isolux.nets.profile_labels import Labels, on_window
from isolux.status import Flag, Status
from isolux.types import Images, Tensor

LOTS, TIMES = 4, 8
"""Lots that a batch is made of, and batches after which the oldest of them is replaced."""
MOST_OTHERS = 8
"""Whose places are kept."""
NEIGHBOURS, STARS = 1.0, 0.6
"""Mean numbers of each."""
EMPTY, MASKED, NO_PSF, SMALLER = 0.1, 0.5, 0.15, 0.5
"""Shares of stamps without a galaxy, with masked neighbours, of an unknown PSF, and cut smaller."""
CUT = (1 / 16, 5 / 16)
"""Range of what is cut off each side of the latter, over the side."""
SMOOTHED, SMOOTHING = 0.35, (0.3, 1.3)
"""Share of stamps whose noise is correlated, as resampled images have it, and the Gaussian's sigmas in pixels."""
SPOILT = 0.15
"""Share of stamps of which a ring, a disc or some rows are masked, whatever is there."""
ALONE = 0.15
"""Least distance of the next light from the middle of stamps without a galaxy, over the side."""
SKY = 0.1
"""Standard deviation of what is left of the sky at the middle and of its change to the edge, over the noise."""


@dataclasses.dataclass(frozen=True, eq=False)
class Mixed:
    """Noisy stamps with their labels, in units of the sky's noise.

    Attributes
    ----------
    batch : Batch
        The stamps.
    labels : Labels
        Of each galaxy.
    present : Tensor
        (galaxy,) of bool: whether there is one.
    sigma : Tensor
        (galaxy,): the noise in the survey's image units.
    cut : list of int
        Rows and columns that each stamp has lost at each side; what is left begins at the first row and column.
    own, others : Tensor
        (galaxy, y, x): noise-free light of the galaxy, and of all else but the sky.
    places : Tensor
        (galaxy, source, 2): x and y of the others, NaN where there are fewer.
    truth : Tensor
        (galaxy, :data:`isolux.nets.profile_draw.TRUTH`), NaN where there is no galaxy.
    """

    batch: Batch
    labels: Labels
    present: Tensor
    sigma: Tensor
    cut: list[int]
    own: Images
    others: Images
    places: Tensor
    truth: Tensor


class Lots:
    """Lots by number, drawn ahead by some processes; use it in a ``with`` statement."""

    def __init__(self, universe: Universe, workers: int = 0) -> None:
        self.universe = universe
        self.kept: dict[int, Lot] = {}
        self.crowd = Crowd(draw_lot, workers)
        self.coming: Iterator[tuple[tuple[Universe, int], Lot]] | None = None

    def __enter__(self) -> Lots:
        return self

    def __exit__(self, *error: object) -> None:
        self.crowd.__exit__(*error)

    def of(self, step: int) -> list[Lot]:
        """The lots that batch number ``step`` is made of."""
        first = step // TIMES
        self.kept = {number: lot for number, lot in self.kept.items() if number >= first}
        if self.coming is None:
            self.coming = self.crowd.map((self.universe, n) for n in range(first, 1 << 40))
        wanted = range(first, first + LOTS)
        while any(number not in self.kept for number in wanted):
            (_, number), lot = next(self.coming)
            self.kept[number] = lot
        return [self.kept[number] for number in wanted]


def mixed(lots: list[Lot], universe: Universe, step: int, count: int) -> Mixed:
    """Batch number ``step`` of ``count`` stamps."""
    rng = np.random.default_rng([universe.seed, step, 78])
    parts = [_one(lots[k % len(lots)], rng) for k in range(count)]
    columns: dict[str, list[Any]] = {name: [part[name] for part in parts] for name in parts[0]}
    labels = Labels(*(torch.stack(columns[f.name]) for f in dataclasses.fields(Labels)))
    present = torch.tensor(columns["present"])
    batch = _batch(columns, count)
    sigma = torch.tensor(columns["sigma"], dtype=torch.float64)
    if universe.labels == "classical":
        labels, present = classical_labels(batch, labels)
    own, others, places, truth = (torch.stack(columns[n]) for n in ("own", "others", "places", "truth"))
    return Mixed(batch, labels, present, sigma, columns["cut"], own, others, places, truth)


def _one(lot: Lot, rng: np.random.Generator) -> dict[str, object]:
    """A stamp of a random galaxy of a lot."""
    row, turns, flip = int(rng.integers(len(lot.layer))), int(rng.integers(4)), bool(rng.integers(2))
    own, truth = lot.layer[row], lot.truth[row]
    present = bool(rng.uniform() >= EMPTY)
    if not present:
        own, truth = torch.zeros_like(own), torch.full_like(truth, torch.nan)
    others, places = _company(lot, rng, not present)
    bright = (others > 1) & (others > 0.5 * own)
    mask = bright if rng.uniform() < MASKED else torch.zeros_like(bright)
    size = own.shape[0]
    if rng.uniform() < SPOILT:
        mask = mask | _spoilt(size, rng)
    labels = {f.name: getattr(lot.labels, f.name)[row] for f in dataclasses.fields(Labels)}
    cut = round(size * rng.uniform(*CUT)) if rng.uniform() < SMALLER else 0
    labels["known"] = labels["known"] & on_window(lot.labels.select(row), size, cut)[0]
    light = own + others
    image = light + _noise(size, rng) * torch.sqrt(1 + lot.grain * light) + _sky(size, rng)
    drawn = {"image": image, "mask": mask, "own": own, "others": others}
    drawn, labels, places, truth = _turned(drawn, labels, places, truth, turns, flip)
    if cut:
        drawn = {name: _cut(t, cut) for name, t in drawn.items()}
        labels |= {name: labels[name] - cut for name in ("x", "y")}
        places = places - cut
    return {
        **labels, **drawn, "places": places, "truth": truth, "present": present, "cut": cut,
        "psf": lot.psf, "sigma": lot.sigma,
        "psf_known": bool(rng.uniform() >= NO_PSF), "zero_point": lot.band.zero_point,
        "pixel_scale": lot.band.pixel_scale,
    }  # fmt: skip


def _company(lot: Lot, rng: np.random.Generator, alone: bool) -> tuple[Images, Tensor]:
    """Light (y, x) of neighbours and stars, none near the middle where there is no galaxy; their places."""
    size = lot.layer.shape[1]
    light = torch.zeros(size, size)
    nearest = ALONE * size if alone else 8.0
    places = torch.full((MOST_OTHERS, 2), torch.nan)
    count = 0
    for _ in range(int(rng.poisson(NEIGHBOURS))):
        other = int(rng.integers(len(lot.layer)))
        part = 10 ** rng.uniform(-1.5, 0.2)
        turns = int(rng.integers(4))
        move = _away(rng, nearest, 0.7 * size)
        _add(light, torch.rot90(lot.layer[other], turns) * part, move)
        x, y = lot.labels.x[other], lot.labels.y[other]
        for _ in range(turns):
            x, y = y, size - 1 - x
        count = _noted(places, count, x + move[1], y + move[0])
    for _ in range(int(rng.poisson(STARS))):
        peak = 10 ** rng.uniform(0.5, 3.5)
        move = _away(rng, nearest, 0.7 * size)
        _add(light, lot.psf * (peak / lot.psf.max()), move)
        # A stamp of odd side is put half a pixel below the middle of one of even side.
        middle = (size - lot.psf.shape[0]) // 2 + lot.psf.shape[0] // 2
        count = _noted(places, count, torch.tensor(middle + move[1]), torch.tensor(middle + move[0]))
    return light, places


def _noted(places: Tensor, count: int, x: Tensor, y: Tensor) -> int:
    if count < MOST_OTHERS:
        places[count] = torch.stack([x, y])
    return count + 1


def _away(rng: np.random.Generator, nearest: float, farthest: float) -> tuple[int, int]:
    angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(nearest**2, farthest**2))
    return round(radius * np.sin(angle)), round(radius * np.cos(angle))


def _add(light: Images, stamp: Images, move: tuple[int, int]) -> None:
    """Add a stamp whose middle is moved from the middle by rows and columns."""
    here, there = [], []
    for total, own, step in zip(light.shape, stamp.shape, move, strict=True):
        corner = (total - own) // 2 + step
        low, high = max(corner, 0), min(corner + own, total)
        if low >= high:
            return
        here.append(slice(low, high))
        there.append(slice(low - corner, high - corner))
    light[tuple(here)] += stamp[tuple(there)]


def _noise(size: int, rng: np.random.Generator) -> Images:
    """Of variance one; of some stamps as if they had been resampled."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    white = torch.randn(size, size, generator=generator)
    if rng.uniform() >= SMOOTHED:
        return white
    axis = torch.arange(-3, 4)
    kernel = torch.exp(-0.5 * (axis / rng.uniform(*SMOOTHING)) ** 2)
    kernel = kernel / kernel.square().sum().sqrt()
    padded = functional.pad(white[None, None], (3, 3, 3, 3), mode="circular")
    return functional.conv2d(
        functional.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None]
    )[0, 0]


def _sky(size: int, rng: np.random.Generator) -> Images:
    level, across, along = rng.normal(0, SKY, 3)
    axis = torch.linspace(-1, 1, size)
    return (level + across * axis[None] + along * axis[:, None]).float()


def _spoilt(size: int, rng: np.random.Generator) -> Tensor:
    """A mask (y, x): a ring about the middle, a disc anywhere, or some rows."""
    axis = torch.arange(size) - (size - 1) / 2
    kind, width = int(rng.integers(3)), float(np.exp(rng.uniform(0, math.log(12))))
    if kind == 2:
        return ((axis - rng.uniform(-0.3, 0.3) * size).abs() < 0.5 * min(width, 5))[:, None].expand(-1, size)
    up, left = (0.0, 0.0) if kind == 0 else rng.uniform(-0.3, 0.3, 2) * size
    radius = torch.hypot(axis[:, None] - up, axis - left)
    least = float(np.exp(rng.uniform(0, math.log(0.2 * size)))) if kind == 0 else 0.0
    return (radius >= least) & (radius < least + width)


def _cut(image: Tensor, width: int) -> Tensor:
    """The image without its edges, at the first row and column; the rest is zero, or masked."""
    kept = image[width:-width, width:-width]
    return functional.pad(kept, (0, 2 * width, 0, 2 * width), value=image.dtype == torch.bool)


def _turned(
    drawn: dict[str, Tensor], labels: dict[str, Tensor], places: Tensor, truth: Tensor, turns: int, flip: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor, Tensor]:
    """All of it by quarter turns of the arrays' rows towards their columns, then mirrored left to right."""
    size = drawn["image"].shape[0]
    x, y, shape = labels["x"], labels["y"], labels["shape"]
    truth = truth.clone()
    for _ in range(turns):
        x, y, shape = y, size - 1 - x, -shape
        places = torch.stack([places[:, 1], size - 1 - places[:, 0]], 1)
    drawn = {name: torch.rot90(t, turns) for name, t in drawn.items()}
    if turns % 2:
        truth[[*TURNED[0], *TURNED[1]]] *= -1
    if flip:
        drawn, x = {name: t.flip(1) for name, t in drawn.items()}, size - 1 - x
        shape = shape * torch.tensor([1.0, -1.0])
        places = torch.stack([size - 1 - places[:, 0], places[:, 1]], 1)
        truth[list(TURNED[1])] *= -1
    return drawn, {**labels, "x": x, "y": y, "shape": shape}, places, truth


def _batch(columns: dict[str, list[Any]], count: int) -> Batch:
    """The stamps as a batch; without the checks of stamps from outside."""
    image, mask = torch.stack(columns["image"]), torch.stack(columns["mask"])
    one = torch.zeros_like(columns["psf"][0])
    one[one.shape[0] // 2, one.shape[1] // 2] = 1.0
    known = zip(columns["psf"], columns["psf_known"], strict=True)
    ones = torch.ones(count, dtype=torch.float64)
    return Batch(
        id=tuple(str(k) for k in range(count)),
        image=torch.where(mask, 0.0, image),
        sigma=torch.ones_like(image),
        mask=mask,
        psf=torch.stack([psf if there else one for psf, there in known]),
        zero_point=torch.tensor(columns["zero_point"], dtype=torch.float64),
        pixel_scale=torch.tensor(columns["pixel_scale"], dtype=torch.float64),
        gain=ones * torch.nan,
        sky=ones * 0,
        read_noise=ones * 0,
        height=tuple(image.shape[1] - 2 * cut for cut in columns["cut"]),
        width=tuple(image.shape[2] - 2 * cut for cut in columns["cut"]),
        status=(Status.RUNNING,) * count,
        flags=(Flag(0),) * count,
        message=("",) * count,
        wcs=(None,) * count,
    )


def classical_labels(batch: Batch, labels: Labels) -> tuple[Labels, Tensor]:
    """What the classical method makes of noisy stamps; the galaxies of an empty profile are not present."""
    from isolux.isophotes.measure import measure_isophotes
    from isolux.nets.polar import ring_radii
    from isolux.nets.profile import LEAST

    radii = ring_radii().double().expand(len(batch), -1)
    found = measure_isophotes(batch, sma=radii)
    positive = (found.intensity > 0) & torch.isfinite(found.intensity)
    brightness = torch.log(torch.where(positive, found.intensity, 1.0)).float().clamp_min(LEAST)
    growth = torch.log(torch.nan_to_num(found.growth).clamp_min(1e-3)).float()
    shape = torch.nan_to_num(found.shape).float()
    known = positive & found.valid
    return (
        Labels(brightness, growth, shape, known, found.x.float(), found.y.float()),
        found.length > 0,
    )
