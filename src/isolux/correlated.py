"""Errors under correlated noise.

A least-squares fit that weights pixels by 1 / sigma alone finds its minimum at

    theta - truth = H^-1 A^T n,      A = d(model / sigma)/dtheta,      H = A^T A,

to first order in the noise n = (data - model) / sigma. If pixels share noise, the mean of n n^T is not the unit
matrix but R, whose elements are rho at the two pixels' distance, and the covariance of theta is

    C = H^-1 (A^T R A) H^-1 = H^-1 + H^-1 (A^T (R - 1) A) H^-1

(Huber 1967; White 1982; for independence likelihoods Chandler & Bate 2007, Biometrika 94, 167). A masked pixel has
A = 0. Where there are priors, H holds their information too, and the second form is what is used. The matrix in
the middle costs one Fourier transform of each map on a torus where the stamp does not meet itself:
A^T R A = sum over frequencies of conj(FFT A) P FFT A, with P the noise's power.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import torch

from isolux.likelihood import ChiSquare
from isolux.noise import correlated_noise, spectrum, torus
from isolux.types import Images, Rows, Tensor, Theta

AT_ONCE = 4


def excess(problem: ChiSquare, galaxies: Rows, theta: Theta, correlation: Images) -> Tensor:
    """What correlated noise adds to the scatter of the scores: A^T (R - 1) A, (row, free, free).

    Parameters
    ----------
    problem : ChiSquare
        The batch's problem, whose maps are weighted by 1 / sigma.
    galaxies : Tensor
        (row,): which galaxies are meant.
    theta : Tensor
        (row, free): their best fits.
    correlation : Tensor
        (galaxy or 1, v, u): noise correlation functions, one in the middle.
    """
    own = dataclasses.replace(problem, owner=galaxies)
    tall, wide = problem.weight.shape[1:]
    correlation = _within(correlation, tall, wide)
    size = torus(correlation.shape[1:], (tall, wide))
    found = []
    for part in torch.arange(len(theta), device=theta.device).split(AT_ONCE):
        table, turn, _ = own.tangent(theta[part], part)
        maps = table[:, 1:].unflatten(2, (tall, wide))
        chosen = correlation[galaxies[part]] if len(correlation) > 1 else correlation
        middle = _weighted_products(maps, spectrum(chosen, size).to(maps.dtype) - 1, size)
        found.append(turn.transpose(1, 2) @ middle @ turn)
    return torch.cat(found)


def corrected(covariance: Tensor, excess: Tensor) -> Tensor:
    """Covariance (row, free, free) of unknowns under correlated noise, from that of independent pixels."""
    known = torch.nan_to_num(covariance)
    return covariance + known @ excess @ known


@dataclasses.dataclass(frozen=True)
class Redrawn:
    """Weighted images of a parametric bootstrap: best-fit models with correlated noise, looked up by row.

    Attributes
    ----------
    models : Tensor
        (fit, y, x): best-fit models over sigma, zero where masked.
    noise : Tensor
        (fit * replicate, y, x): noise over sigma, zero where masked.
    """

    models: Images
    noise: Images

    @classmethod
    def of(
        cls,
        problem: ChiSquare,
        theta: Theta,
        galaxies: Rows,
        correlation: Images,
        names: Sequence[str],
        replicates: int,
        seed: int,
    ) -> Redrawn:
        """Draw for the galaxies of these names; what one gets depends on the seed and its name alone."""
        parameters, weight = problem.parameters, problem.weight[galaxies]
        values = parameters.expand(theta, galaxies) / parameters.scale[galaxies]
        models = problem.renderer.model(values, galaxies) * weight
        noise = []
        for galaxy, name in zip(galaxies.tolist(), names, strict=True):
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
            rho = correlation[galaxy if len(correlation) > 1 else 0]
            drawn = correlated_noise(rho, (weight.shape[1], weight.shape[2]), replicates, generator)
            noise.append(drawn.to(weight.dtype))
        shown = (weight > 0).repeat_interleave(replicates, 0)
        return cls(models, torch.cat(noise) * shown)

    def __call__(self, rows: Rows) -> Images:
        """Images (row, y, x) of some replicates."""
        return self.models[rows // (len(self.noise) // len(self.models))] + self.noise[rows]


def _within(correlation: Images, tall: int, wide: int) -> Images:
    """The functions without shifts that no two pixels of a stamp have."""
    rows, columns = correlation.shape[1:]
    top, left = max(0, rows // 2 - (tall - 1)), max(0, columns // 2 - (wide - 1))
    return correlation[:, top : rows - top, left : columns - left]


def _weighted_products(maps: Tensor, power: Tensor, size: Sequence[int]) -> Tensor:
    """Sums (row, map, map) over frequencies of products of maps, weighted by power (row or 1, y, x); float64."""
    transformed = torch.fft.rfft2(maps, s=list(size))
    half = torch.full((size[1] // 2 + 1,), 2.0, dtype=power.dtype, device=power.device)
    half[0] = 1.0
    if size[1] % 2 == 0:
        half[-1] = 1.0
    weighted = torch.view_as_real(transformed * (power * half)[:, None]).flatten(2)
    plain = torch.view_as_real(transformed).flatten(2)
    return torch.bmm(weighted, plain.transpose(1, 2)).double() / (size[0] * size[1])
