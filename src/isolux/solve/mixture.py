"""Mixtures of Student-t densities fitted to samples: independent proposals for many chains at once.

Samples are whitened, cut into slices of equal number along their most heavy-tailed direction, which is along the
bend of a curved posterior, and the slices are the start of expectation-maximisation for Gaussians (Dempster, Laird
& Rubin 1977). Each covariance is drawn a little to their mean, as few samples are a poor estimate of it. The
density is that of Student-t with the same centres and matrices: wider, as independent proposals should be.
"""

from __future__ import annotations

import dataclasses

import torch

from isolux.types import Tensor

DEGREES = 8
"""Of freedom of Student's t: heavy enough to reach what the samples have not, and near enough to a Gaussian."""
TRIED = (1, 2, 4, 8)
"""Numbers of components that are tried."""
COMPONENTS = TRIED[-1]
EACH = 60
"""Samples for each component at least."""
ITERATIONS = 12
PLAIN = 10
"""Different samples for each unknown from which on their own covariance is trusted alone."""


@dataclasses.dataclass(frozen=True)
class Mixture:
    """One mixture a row.

    Attributes
    ----------
    weight : Tensor
        (row, component), summing to one.
    mean : Tensor
        (row, component, free).
    root : Tensor
        (row, component, free, free): Cholesky factors of the matrices.
    """

    weight: Tensor
    mean: Tensor
    root: Tensor

    @classmethod
    def single(cls, mean: Tensor, covariance: Tensor) -> Mixture:
        """One component, of mean (row, free) and covariance (row, free, free)."""
        return cls._padded(torch.ones_like(mean[:, :1]), mean[:, None], cholesky(covariance)[:, None])

    @classmethod
    def fit(cls, samples: Tensor, components: int, before: Mixture) -> Mixture:
        """Fit to samples (row, sample, free); ``before`` stands in where too few of them differ."""
        count, free = samples.shape[1:]
        mean = samples.mean(1)
        offsets = samples - mean[:, None]
        covariance = offsets.transpose(1, 2) @ offsets / count
        moved = (samples[:, 1:] != samples[:, :-1]).any(2).sum(1)
        trust = (moved / (PLAIN * free)).clamp(max=1.0)[:, None, None]
        root = cholesky(trust * covariance + (1 - trust) * before.covariance())
        white = torch.linalg.solve_triangular(root, offsets.transpose(1, 2), upper=False).transpose(1, 2)
        weight, centre, spread = _expectation_maximisation(white, components)
        mean = mean[:, None] + (root[:, None] @ centre[..., None])[..., 0]
        return cls._padded(weight, mean, root[:, None] @ spread)

    @classmethod
    def best(cls, samples: Tensor, before: Mixture) -> Mixture:
        """The mixture of as many components as foretell the second half of the samples best from the first."""
        half = samples.shape[1] // 2
        sizes = [k for k in TRIED if k == 1 or k * EACH <= samples.shape[1]]
        tests = [cls.fit(samples[:, :half], k, before).log_density(samples[:, half:]).mean(1) for k in sizes]
        winner = torch.stack(tests, 1).nan_to_num(-torch.inf).argmax(1)
        found = cls.fit(samples, 1, before)
        for place, components in enumerate(sizes[1:], 1):
            rows = torch.nonzero(winner == place)[:, 0]
            if len(rows):
                found = found.replace(rows, cls.fit(samples[rows], components, before.select(rows)))
        return found

    @classmethod
    def _padded(cls, weight: Tensor, mean: Tensor, root: Tensor) -> Mixture:
        """With components of no weight, so that all mixtures have as many."""
        lacking = COMPONENTS - weight.shape[1]
        weight = torch.nn.functional.pad(weight, (0, lacking))
        copies = [torch.cat([t, t[:, :1].expand(-1, lacking, *t.shape[2:])], 1) for t in (mean, root)]
        return cls(weight, *copies)

    def covariance(self) -> Tensor:
        """Covariance (row, free, free) of the Gaussians together."""
        middle = (self.weight[..., None] * self.mean).sum(1, keepdim=True)
        offsets = self.mean - middle
        each = self.root @ self.root.transpose(2, 3) + offsets[..., :, None] * offsets[..., None, :]
        return (self.weight[..., None, None] * each).sum(1)

    def select(self, rows: Tensor) -> Mixture:
        """The mixtures of some rows."""
        return Mixture(self.weight[rows], self.mean[rows], self.root[rows])

    def replace(self, rows: Tensor, others: Mixture) -> Mixture:
        """The mixtures with those of some rows replaced."""
        pairs = ((self.weight, others.weight), (self.mean, others.mean), (self.root, others.root))
        return Mixture(*(mine.index_copy(0, rows, theirs) for mine, theirs in pairs))

    def draw(self, choice: Tensor, normal: Tensor, chi2: Tensor) -> Tensor:
        """Points (row, point, free) from random numbers.

        Parameters
        ----------
        choice : Tensor
            (row, point): uniform from 0 to 1.
        normal : Tensor
            (row, point, free): standard normal.
        chi2 : Tensor
            (row, point): chi-square of ``DEGREES`` degrees of freedom.
        """
        edges = self.weight.cumsum(1)[:, :-1].contiguous()
        which = torch.searchsorted(edges, choice.contiguous())
        rows = torch.arange(len(which), device=which.device)[:, None]
        steps = (self.root[rows, which] @ normal[..., None])[..., 0]
        return self.mean[rows, which] + steps * (DEGREES / chi2).sqrt()[..., None]

    def log_density(self, points: Tensor) -> Tensor:
        """Logarithm (row, point) of the density at points (row, point, free), but for a constant of all."""
        offsets = (points[:, None] - self.mean[:, :, None]).transpose(2, 3)
        distance = (torch.linalg.solve_triangular(self.root, offsets, upper=False) ** 2).sum(2)
        size = torch.diagonal(self.root, dim1=2, dim2=3).log().sum(2)
        power = -0.5 * (DEGREES + points.shape[2]) * torch.log1p(distance / DEGREES)
        return torch.logsumexp(self.weight.log()[..., None] + power - size[..., None], 1)


def cholesky(matrix: Tensor) -> Tensor:
    """Cholesky factors of (..., free, free), with as little added to the diagonal as makes them possible."""
    diagonal = torch.diagonal(matrix, dim1=-2, dim2=-1).clamp_min(1e-300)
    scale = diagonal.sqrt()
    unit = matrix / scale[..., :, None] / scale[..., None, :]
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    added = torch.zeros_like(diagonal[..., :1, None])
    for _ in range(8):
        factor, info = torch.linalg.cholesky_ex(unit + added * identity)
        failed = (info != 0)[..., None, None]
        if not bool(failed.any()):
            break
        added = torch.where(failed, (10 * added).clamp_min(1e-9), added)
    return factor * scale[..., :, None]


def _expectation_maximisation(white: Tensor, components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, centres and Cholesky factors of Gaussians in whitened samples (row, sample, free)."""
    count, free = white.shape[1:]
    share = _slices(white, components)
    for _ in range(ITERATIONS if components > 1 else 1):
        number = share.sum(1).clamp_min(1e-9)
        weight = number / count
        centre = share.transpose(1, 2) @ white / number[..., None]
        offsets = white[:, None] - centre[:, :, None]
        spread = (
            (share.transpose(1, 2)[..., None] * offsets).transpose(2, 3) @ offsets / number[..., None, None]
        )
        pull = (free / (number + free))[..., None, None]
        pooled = (weight[..., None, None] * spread).sum(1, keepdim=True)
        factor = cholesky((1 - pull) * spread + pull * pooled)
        distance = (torch.linalg.solve_triangular(factor, offsets.transpose(2, 3), upper=False) ** 2).sum(2)
        size = torch.diagonal(factor, dim1=2, dim2=3).log().sum(2)
        share = torch.softmax(weight.log()[..., None] - 0.5 * distance - size[..., None], 1).transpose(1, 2)
    return weight, centre, factor


def _slices(white: Tensor, components: int) -> Tensor:
    """First shares (row, sample, component): equal slices along the direction of the heaviest tails."""
    size2 = (white**2).sum(2, keepdim=True)
    moment = (white * size2).transpose(1, 2) @ white
    direction = torch.linalg.eigh(moment).eigenvectors[..., -1]
    place = (white @ direction[..., None])[..., 0].argsort(1).argsort(1)
    label = (place * components // white.shape[1]).clamp_max(components - 1)
    return torch.nn.functional.one_hot(label, components).to(white)
