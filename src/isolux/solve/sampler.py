"""Samples from many densities at once, each with its own chains, proposals and end.

Every row is one density; a handful of chains of it advance together with those of all other rows. Most proposals
are drawn from a mixture of Student-t densities without regard to where the chain is (an independence sampler,
Tierney 1994); where the mixture is good, nearly every one is an independent sample. One in six is a difference of
two earlier samples added to the chain's place (differential evolution with a fixed archive, ter Braak & Vrugt
2008), which gets chains to and from where the mixture has missed.

Chains run in epochs, each as long as all before it. The first has the Gaussian that the caller gives and steps of all
sizes. After an epoch in which too few proposals were taken or chains stuck, mixture and archive are renewed from its
samples, and what was sampled so far is thrown away; after any other they stay as they are, so that what is kept
comes from a proper Markov chain. A row ends when its chains agree (R-hat) and have enough effective samples; the
first eighth of them is dropped.

Random numbers of a row come from a generator of its own, and rows are evaluated in groups of fixed size, so that what
a row gets does not depend on its company.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from isolux.errors import InputError
from isolux.solve.convergence import effective_samples, rhat
from isolux.solve.mixture import DEGREES, Mixture
from isolux.types import PerGalaxy, Rows, Tensor, Theta

FIRST = 32
"""Iterations of the first epoch."""
CYCLE = 6
"""One iteration in this many is a step from where the chain is."""
TAKEN, WORTH = 0.4, 0.1
"""Share of independent proposals that must be taken, and effective samples a sample, for a mixture to stay."""
FITTED, ARCHIVE = 2000, 256
"""Most samples that a mixture is fitted to; samples kept for differences."""
JUMP = 0.1
"""Share of the steps that are a whole difference, from one mode to another."""


class Density(Protocol):
    """Many independent densities of the same number of unknowns, without bounds."""

    @property
    def places(self) -> int:
        """How many points are best worked on at once."""

    def log_density(self, points: Theta, rows: Rows) -> PerGalaxy:
        """Logarithm of the densities (point,) of some rows at points (point, free); not finite means none."""


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Options of the sampler.

    Parameters
    ----------
    draws : int
        Samples kept of each row, evenly from all chains.
    effective : float
        Effective samples of every unknown that are enough.
    rhat : float
        R-hat of every unknown that is near enough to one. Where chains agree it is about
        1 + chains / effective samples.
    chains : int
        Chains of each row.
    evaluations : int
        Evaluations of each row's density at most.
    """

    draws: int = 500
    effective: float = 400.0
    rhat: float = 1.03
    chains: int = 8
    evaluations: int = 65_536

    def __post_init__(self) -> None:
        least = {"draws": 2, "effective": 1, "rhat": 1, "chains": 2, "evaluations": FIRST * self.chains}
        for name, lowest in least.items():
            if not getattr(self, name) >= lowest:
                raise InputError(f"Sampler: {name}", getattr(self, name), f"{lowest} or more")

    def sample(self, density: Density, mean: Theta, covariance: Tensor, seeds: Sequence[int]) -> Samples:
        """Sample every row.

        Parameters
        ----------
        density : Density
            What to sample from.
        mean, covariance : Tensor
            (row, free) and (row, free, free): Gaussians near the densities, wide rather than narrow.
        seeds : sequence of int
            One a row.

        Returns
        -------
        Samples
        """
        found = Samples.empty(len(mean), self.draws, mean)
        if len(mean) == 0:
            return found
        run = _Run(self, density, Mixture.single(mean, covariance), seeds)
        length, spent = FIRST, 0
        while len(run.rows):
            length = min(length, (self.evaluations - spent) // self.chains)
            run.epoch(length)
            spent += length * self.chains
            last = spent + FIRST * self.chains > self.evaluations
            ended = torch.zeros_like(run.lost)
            for some in run.same_length():
                ended[some] = found.take(self, run, some, spent, last)
            run.go_on(~ended)
            length = spent // self.chains
        return found


@dataclasses.dataclass
class Samples:
    """What came out of a sampler.

    Attributes
    ----------
    points : Tensor
        (row, draw, free): samples, chain after chain; NaN where there are none.
    rhat, effective : Tensor
        (row, free): R-hat and effective number of samples of the chains that they are from.
    good : Tensor
        (row,) of bool: whether both are as was asked for.
    accepted : Tensor
        (row,): share of independent proposals that were taken in the last epoch.
    evaluations : Tensor
        (row,) of int.
    """

    points: Tensor
    rhat: Theta
    effective: Theta
    good: Tensor
    accepted: PerGalaxy
    evaluations: Tensor

    @classmethod
    def empty(cls, rows: int, draws: int, like: Theta) -> Samples:
        """Room for so many rows."""
        free = like.shape[1]
        return cls(
            like.new_full((rows, draws, free), torch.nan),
            like.new_full((rows, free), torch.inf),
            like.new_zeros(rows, free),
            torch.zeros(rows, dtype=torch.bool, device=like.device),
            like.new_zeros(rows),
            torch.zeros(rows, dtype=torch.int64, device=like.device),
        )

    def take(self, options: Sampler, run: _Run, some: Rows, spent: int, last: bool) -> Tensor:
        """Judge some rows of a run and keep those that are good, lost or at the end; which of them ended."""
        chains = run.kept(some)
        number = chains.shape[1] * chains.shape[2]
        r, n = rhat(chains), effective_samples(chains)
        run.worth[some] = n.amin(1) / number
        good = (r <= options.rhat).all(1) & (n >= options.effective).all(1) & ~run.lost[some]
        ended = good & (number >= options.draws) | run.lost[some] | last
        where = run.rows[some][ended]
        self.points[where] = _evenly(chains.flatten(1, 2)[ended], options.draws)
        self.points[run.rows[some][run.lost[some]]] = torch.nan
        self.rhat[where], self.effective[where], self.good[where] = r[ended], n[ended], good[ended]
        self.accepted[where], self.evaluations[where] = run.accepted[some][ended], spent
        return ended


class _Run:
    """The rows that are still at work: where their chains are and have been, and what proposes."""

    def __init__(self, options: Sampler, density: Density, mixture: Mixture, seeds: Sequence[int]) -> None:
        count, self.device = len(seeds), mixture.mean.device
        self.options, self.density, self.mixture = options, density, mixture
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.rows = torch.arange(count, device=self.device)
        self.archive = self._independent(-(-ARCHIVE // options.chains)).flatten(1, 2)
        self.fresh = torch.ones(count, dtype=torch.bool, device=self.device)
        self.place = self._independent(1)[:, :, 0]
        self.level = self._level(self.place)
        self.accepted = torch.zeros_like(mixture.weight[:, 0])
        self.worth = torch.zeros_like(self.accepted)
        self.history: list[Tensor] = []
        self.since = torch.zeros_like(self.rows)

    @property
    def lost(self) -> Tensor:
        """(row,) of bool: where no chain has found any density."""
        return torch.isinf(self.level).all(1)

    def epoch(self, length: int) -> None:
        """Advance all chains."""
        proposals, steps = self._independent(length), self._steps(length)
        chance = self._random(torch.rand, length).log()
        drawn = self.mixture.log_density(proposals.flatten(1, 2)).unflatten(1, proposals.shape[1:3])
        history, levels = torch.empty_like(proposals), torch.empty_like(drawn)
        taken_at = torch.zeros_like(drawn, dtype=torch.bool)
        for k in range(length):
            local = k % CYCLE == CYCLE - 1
            if k % CYCLE == 0:  # independent proposals can be evaluated before their turn
                some = proposals[:, :, k : k + CYCLE - 1]
                levels[:, :, k : k + CYCLE - 1] = self._level(some.flatten(1, 2)).unflatten(
                    1, some.shape[1:3]
                )
            trial = self.place + steps[:, :, k] if local else proposals[:, :, k]
            level = self._level(trial) if local else levels[:, :, k]
            gain = level - self.level
            if not local:
                gain = gain + self.mixture.log_density(self.place) - drawn[:, :, k]
            # A chain without density takes any place that has some.
            taken = (chance[:, :, k] < gain) | (torch.isinf(self.level) & torch.isfinite(level))
            self.place = torch.where(taken[..., None], trial, self.place)
            self.level = torch.where(taken, level, self.level)
            history[:, :, k], taken_at[:, :, k] = self.place, taken
        alone = torch.arange(length, device=self.device) % CYCLE != CYCLE - 1
        self.accepted = taken_at[:, :, alone].double().mean((1, 2))
        self.history.append(history)

    def same_length(self) -> list[Rows]:
        """Groups of rows whose proposals have stayed since the same epoch."""
        return [torch.nonzero(self.since == first)[:, 0] for first in self.since.unique().tolist()]

    def kept(self, some: Rows) -> Tensor:
        """Chains (row, chain, draw, free) of a group since its proposals were renewed, without the first eighth."""
        chains = torch.cat([part[some] for part in self.history[int(self.since[some[0]]) :]], 2)
        return chains[:, :, chains.shape[2] // 8 :]

    def go_on(self, going: Tensor) -> None:
        """Leave the rows that ended behind, and renew the proposals of those that need it."""
        self.rows, self.place, self.level = self.rows[going], self.place[going], self.level[going]
        self.archive, self.fresh, self.since = self.archive[going], self.fresh[going], self.since[going]
        self.accepted, self.worth = self.accepted[going], self.worth[going]
        self.mixture = self.mixture.select(going)
        self.history = [part[going] for part in self.history]
        self.generators = [g for g, on in zip(self.generators, going.tolist(), strict=True) if on]
        for some in self.same_length():
            poor = some[(self.accepted[some] < TAKEN) | (self.worth[some] < WORTH)]
            if len(poor):
                self._renew(poor)

    def _renew(self, some: Rows) -> None:
        past = self.kept(some).flatten(1, 2)
        found = Mixture.best(_evenly(past, min(FITTED, past.shape[1])), self.mixture.select(some))
        self.mixture = self.mixture.replace(some, found)
        self.archive[some] = _evenly(past, self.archive.shape[1])
        self.fresh[some] = False
        self.since[some] = len(self.history)

    def _level(self, points: Tensor) -> Tensor:
        """Logarithm of the density (row, point) at points (row, point, free); -inf where there is none."""
        flat, each = points.flatten(0, 1), points.shape[1]
        width = max(1, self.density.places // each) * each
        rows = self.rows.repeat_interleave(each)
        parts = zip(flat.split(width), rows.split(width), strict=True)
        level = torch.cat([self.density.log_density(part, own) for part, own in parts])
        return torch.nan_to_num(level, nan=-torch.inf, posinf=-torch.inf).unflatten(0, points.shape[:2])

    def _random(self, kind: Callable[..., Tensor], length: int, *shape: int) -> Tensor:
        """Random numbers (row, chain, iteration, ...), each row's from its own generator."""
        size = (self.options.chains, length, *shape)
        return torch.stack([kind(size, generator=g, dtype=torch.float64) for g in self.generators]).to(
            self.device
        )

    def _independent(self, length: int) -> Tensor:
        """Proposals (row, chain, iteration, free) from the mixture."""
        normal = self._random(torch.randn, length, self.mixture.mean.shape[2])
        chi2 = (self._random(torch.randn, length, DEGREES) ** 2).sum(3)
        choice = self._random(torch.rand, length)
        flat = self.mixture.draw(choice.flatten(1, 2), normal.flatten(1, 2), chi2.flatten(1, 2))
        return flat.unflatten(1, normal.shape[1:3])

    def _steps(self, length: int) -> Tensor:
        """Steps (row, chain, iteration, free): differences of the archive, at first of all sizes."""
        usual = 2.38 / (2 * self.mixture.mean.shape[2]) ** 0.5
        pair = (self._random(torch.rand, length, 2) * self.archive.shape[1]).long()
        rows = torch.arange(len(self.rows), device=self.device)[:, None, None]
        difference = self.archive[rows, pair[..., 0]] - self.archive[rows, pair[..., 1]]
        choice, spread = self._random(torch.rand, length), 1 + 0.1 * self._random(torch.randn, length)
        size = torch.where(choice < JUMP, torch.ones_like(spread), usual * spread)
        size = torch.where(self.fresh[:, None, None], usual * 10 ** (2.5 * choice - 2), size)
        return size[..., None] * difference


def _evenly(samples: Tensor, number: int) -> Tensor:
    """So many of samples (row, sample, free), evenly."""
    chosen = torch.linspace(0, samples.shape[1] - 1, number, device=samples.device).round().long()
    return samples[:, chosen]
