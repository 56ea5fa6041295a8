"""Cash's statistic: counts of Poisson noise, down to none a pixel (Cash 1979, ApJ 228, 939)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.loss.base import Loss, above_zero
from isolux.types import Images, PerGalaxy, Points, Rows, Tensor

ROUNDING = 10
"""Expectations this many units of a float's last digit, at the brightest pixel, can be told from zero."""
FAR = 6
"""Counts may be this many times the read noise below zero."""


@dataclasses.dataclass(frozen=True)
class Cash(Loss):
    """Counts of Poisson noise, down to none a pixel.

    In electrons, d = gain (image + sky) + read_noise^2 and m = gain (model + sky) + read_noise^2: the sky is what
    was subtracted from the image before, and the read noise is taken for that of as many more electrons. The
    batch's sigma is not used but for chi2 in the results.

    Parameters
    ----------
    gain, sky, read_noise : float, optional
        Electrons per image unit, sky that was subtracted in image units a pixel, and read noise in electrons;
        those given with the stamps where left out.
    """

    gain: float | None = None
    sky: float | None = None
    read_noise: float | None = None

    def __post_init__(self) -> None:
        if self.gain is not None:
            above_zero("Cash: gain", self.gain)
        for name in ("sky", "read_noise"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(f"Cash: {name}", value, "0 or more")

    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """Raise: it has to be put on a batch first."""
        raise InputError("Cash needs the counts of a batch: use Cash().on(batch)")

    def weight(self, batch: Batch) -> Images:
        """Electrons per image unit (galaxy, y, x), zero where masked."""
        gain, _, _ = self._electrons(batch)
        usable = torch.where(torch.isfinite(gain) & (gain > 0), gain, 1.0).to(batch.image.dtype)
        return torch.where(batch.mask, torch.zeros_like(batch.image), usable[:, None, None])

    def on(self, batch: Batch) -> Loss:
        """The loss with each galaxy's background."""
        gain, sky, read_noise = self._electrons(batch)
        if bool(batch.usable.any()) and not bool((gain[batch.usable] > 0).any()):
            raise InputError(
                "the Cash loss counts electrons: give the gain, with the stamps or as Cash(gain=...)"
            )
        background = torch.nan_to_num(gain * sky + read_noise**2).to(batch.image.dtype)
        floor = ROUNDING * torch.finfo(background.dtype).eps * _peak(batch.image * self.weight(batch))
        floor = torch.maximum(floor, torch.nan_to_num(0.5 * read_noise**2).to(floor))
        return _CashOn(background[:, None], floor[:, None])

    def faults(self, batch: Batch) -> list[str]:
        """A gain that is missing or not positive, and counts below zero."""
        gain, sky, read_noise = self._electrons(batch)
        background = gain * sky + read_noise**2
        counts = batch.image.double() * gain[:, None, None] + (gain * sky)[:, None, None]
        allowed = FAR * read_noise + 1e-6 * (1 + background + counts.abs().flatten(1).amax(1))
        below = ((counts < -allowed[:, None, None]) & ~batch.mask).flatten(1).sum(1).tolist()
        least = torch.where(batch.mask, torch.inf, counts).flatten(1).amin(1).tolist()
        found = []
        for k, number in enumerate(gain.tolist()):
            text = ""
            if not (math.isfinite(number) and number > 0):
                text = f"the gain is {number:.6g}; the Cash loss needs one above 0"
            elif not (math.isfinite(float(background[k])) and background[k] >= 0):
                text = f"sky and read noise make {float(background[k]):.6g} electrons a pixel; allowed: 0 or more"
            elif below[k]:
                text = (
                    f"{below[k]} good pixels have negative counts, down to {least[k]:.4g} electrons; the Cash "
                    "loss needs the sky that was subtracted, and the read noise"
                )
            found.append(f"galaxy {batch.id[k]}: {text}" if text else "")
        return found

    def _electrons(self, batch: Batch) -> tuple[PerGalaxy, PerGalaxy, PerGalaxy]:
        """Gain, sky and read noise (galaxy,)."""
        own = (self.gain, self.sky, self.read_noise)
        given = (batch.gain, batch.sky, batch.read_noise)
        device = batch.image.device
        found = (
            g.to(device) if v is None else torch.full_like(g, v, device=device)
            for v, g in zip(own, given, strict=True)
        )
        gain, sky, read_noise = found
        return gain, sky, read_noise


def _peak(electrons: Images) -> PerGalaxy:
    """About the brightest expectation (galaxy,), at least 1; single hot pixels and thin tracks do not count."""
    blocks = -functional.max_pool2d(-electrons, 2, stride=1) if min(electrons.shape[1:]) > 1 else electrons
    return (4 * blocks.flatten(1).amax(1)).clamp_min(1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class _CashOn(Loss):
    """Cash's statistic with the background and the smallest expectation (galaxy, 1) of each galaxy, in electrons.

    Below ``floor`` the logarithm is continued by its parabola, and below zero a parabola is added, which lets a
    solver return from where no expectation can be. Both only concern rounding in the model's wings.

    Read noise can make counts negative. Their cost is 2 (m - d ln m) as for all others, but for the constant that has
    no meaning there; its slope, 2 (m - d) / m, is zero on average at the true m whatever the noise.
    """

    background: Tensor
    floor: Tensor

    def weigh(self, data: Points, model: Points, galaxies: Rows) -> tuple[Points, Points, Tensor | None]:
        """Cost; Pearson's residual (d - m) / sqrt(m), and 1 / sqrt(m), whose square is the expected curvature."""
        background, floor = self.background[galaxies], self.floor[galaxies]
        difference, mean = data - model, model + background
        counts = torch.where(background > 0, data + background, data.clamp_min(0.0))
        positive, low = counts > 0, mean < floor
        safe = torch.where(low, floor, mean)
        excess = difference / safe
        # Where both are there: m ((1 + x) ln(1 + x) - x) with x = d / m - 1 keeps the digits that m - d + d ln(d / m)
        # loses. Else m - d (ln m - constant), with the logarithm's parabola below the floor.
        ratio = torch.where(positive & ~low, excess, 0.0).clamp_min(-1 + 1e-7)
        usual = safe * ((1 + ratio) * torch.log1p(ratio) - ratio)
        below = torch.where(low, (mean - floor) / floor, 0.0)
        best = torch.where(positive, counts, torch.where(counts < 0, background, 1.0))
        logarithm = torch.log(safe / best) + below - 0.5 * below * below
        other = mean - torch.where(counts == 0, 0.0, best) - counts * logarithm
        beneath = mean.clamp_max(0.0)
        cost = 2 * torch.where(positive & ~low, usual, other) + beneath * beneath / floor
        root = torch.sqrt(safe)
        score = torch.where(low, counts * (1 - below) / floor - 1, excess) - beneath / floor
        return cost, score * root, 1 / root
