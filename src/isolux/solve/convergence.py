"""Have chains of samples come together? R-hat and the effective number of samples.

Both compare the scatter within chains with that between them, after each chain is cut in half and values are
replaced by the normal deviates of their ranks, so that heavy tails do no harm (Vehtari, Gelman, Simpson, Carpenter
& Buerkner 2021, Bayesian Analysis 16, 667). With W the mean variance within chains, V that of all samples and
r_t the autocorrelation at lag t,

    R-hat^2 = V / W,     N_eff = N / (1 + 2 sum of r_t),

the sum taken as long as pairs of neighbouring lags are positive and falling (Geyer 1992). R-hat is the larger of
that of the values and that of their distances from the median; N_eff the least of that of the values and those of
being in the lowest and in the highest twentieth, which are few where chains stick in the tails. Chains that have not
moved have R-hat infinite and N_eff zero.
"""

import torch

from isolux.types import Tensor

TAIL = 0.05


def rhat(samples: Tensor) -> Tensor:
    """R-hat (row, free) of samples (row, chain, draw, free); infinite where it has none."""
    halves = _halves(samples)
    middle = halves.flatten(1, 2).median(1).values[:, None, None]
    return torch.maximum(_rhat(_normal_scores(halves)), _rhat(_normal_scores((halves - middle).abs())))


def effective_samples(samples: Tensor) -> Tensor:
    """Effective number of samples (row, free) of samples (row, chain, draw, free)."""
    halves = _halves(samples)
    least = _effective(_normal_scores(halves))
    ordered = halves.flatten(1, 2).sort(1).values
    for place in (TAIL, 1 - TAIL):
        edge = ordered[:, round(place * (ordered.shape[1] - 1))][:, None, None]
        inside = halves <= edge if place < 0.5 else halves >= edge
        least = torch.minimum(least, _effective(inside.to(samples)))
    return least


def _effective(scores: Tensor) -> Tensor:
    _, chains, draws, _ = scores.shape
    within, total = _variances(scores)
    deviations = scores - scores.mean(2, keepdim=True)
    power = torch.fft.rfft(deviations, 2 * draws, dim=2).abs() ** 2
    autocovariance = torch.fft.irfft(power, 2 * draws, dim=2)[:, :, :draws].mean(1) / draws
    correlation = 1 - (within[:, None] - autocovariance) / total[:, None]
    correlation[:, 0] = 1.0
    pairs = correlation[:, 0 : draws - draws % 2 : 2] + correlation[:, 1::2]
    pairs = torch.where((pairs < 0).cumsum(1) > 0, 0.0, pairs).cummin(1).values
    count = chains * draws
    ceiling = count * torch.log10(torch.tensor(float(count)))
    found = (count / (2 * pairs.sum(1) - 1).clamp_min(1e-9)).clamp_max(ceiling)
    return torch.where((within > 0) & torch.isfinite(found), found, torch.zeros_like(found))


def _halves(samples: Tensor) -> Tensor:
    half = samples.shape[2] // 2
    return torch.cat([samples[:, :, :half], samples[:, :, samples.shape[2] - half :]], 1)


def _normal_scores(samples: Tensor) -> Tensor:
    """Normal deviates of the ranks among all samples of a row; samples that are equal share a rank."""
    flat = samples.flatten(1, 2).transpose(1, 2).contiguous()
    ordered = flat.sort(2).values
    low = torch.searchsorted(ordered, flat)
    high = torch.searchsorted(ordered, flat, right=True)
    rank = (low + high + 1) / 2
    scores = torch.special.ndtri((rank - 0.375) / (flat.shape[2] + 0.25))
    return scores.transpose(1, 2).unflatten(1, samples.shape[1:3]).to(samples)


def _variances(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Mean variance within chains, and the variance of all; each (row, free)."""
    draws = scores.shape[2]
    within = scores.var(2).mean(1)
    return within, (draws - 1) / draws * within + scores.mean(2).var(1)


def _rhat(scores: Tensor) -> Tensor:
    within, total = _variances(scores)
    return torch.where(within > 0, (total / within).sqrt(), torch.inf)
