"""The sampler on densities with known answers; its diagnostics; independence of rows."""

import dataclasses
import math

import pytest
import torch

from isolux import InputError
from isolux.solve import Sampler
from isolux.solve.convergence import effective_samples, rhat
from isolux.solve.mixture import DEGREES, Mixture, cholesky

FREE = 4


@dataclasses.dataclass
class Known:
    """A density given by its logarithm of points (point, free); counts evaluations."""

    function: object
    calls: int = 0
    places: int = 1

    def log_density(self, points, rows):
        self.calls += len(points)
        return self.function(points, rows)


def normal(points, rows):
    """Standard deviations 1, 2, 4, 8 and correlations of 0.9."""
    return -0.5 * torch.einsum("pi,ij,pj->p", points, PRECISION, points)


WIDTHS = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
COVARIANCE = WIDTHS[:, None] * WIDTHS * (0.9 + 0.1 * torch.eye(FREE, dtype=torch.float64))
PRECISION = torch.linalg.inv(COVARIANCE)


def bent(points, rows):
    """A banana: the second unknown follows half the square of the first."""
    straight = points.clone()
    straight[:, 1] = points[:, 1] - points[:, 0] ** 2 / 2
    return -0.5 * (straight**2).sum(1)


def logistic(points, rows):
    """What a flat prior between bounds is in logits: standard deviation pi / sqrt 3."""
    return (torch.nn.functional.logsigmoid(points) + torch.nn.functional.logsigmoid(-points)).sum(1)


def heavy(points, rows):
    """Student's t with 6 degrees of freedom: variance 6 / 4."""
    return -0.5 * (6 + FREE) * torch.log1p((points**2).sum(1) / 6)


def two(points, rows):
    """Two peaks, of which the second has a third of the weight."""
    centre = torch.tensor([3.0, 0, 0, 0], dtype=torch.float64)
    first, second = (-0.5 * ((points + side * centre) ** 2).sum(1) for side in (1, -1))
    return torch.logaddexp(first, second - math.log(2))


def start(rows, width=1.0):
    mean = torch.zeros(rows, FREE, dtype=torch.float64)
    return mean, width**2 * torch.eye(FREE, dtype=torch.float64).expand(rows, FREE, FREE).clone()


# First step, and mean and variance of the first two unknowns.
ANSWERS = {
    "normal": (normal, 2.0, [0, 0], [1, 4]),
    "normal, start too narrow": (normal, 0.7, [0, 0], [1, 4]),
    "bent": (bent, 1.0, [0, 0.5], [1, 1.5]),
    "logistic": (logistic, 1.0, [0, 0], [math.pi**2 / 3] * 2),
    "heavy tails": (heavy, 1.0, [0, 0], [1.5, 1.5]),
    "two peaks": (two, 3.0, [-1, 0], [9.0, 1.0]),
}


@pytest.mark.parametrize(("density", "width", "mean", "variance"), ANSWERS.values(), ids=ANSWERS)
def test_samples_have_the_known_moments(density, width, mean, variance):
    found = Sampler().sample(Known(density), *start(6, width), range(6))
    assert found.good.all()
    points = found.points[..., :2].flatten(0, 1)
    # 6 rows of 400 effective samples: 0.02 of a standard deviation; bent ones come out narrow by 0.03
    width = torch.tensor(variance, dtype=torch.float64).sqrt()
    assert ((points.mean(0) - torch.tensor(mean)).abs() < 0.08 * width).all()
    assert ((points.std(0) / width - 1).abs() < 0.1).all()


def test_independent_proposals_are_cheap_where_the_start_is_right():
    density = Known(normal)
    found = Sampler().sample(
        density, torch.zeros(4, FREE, dtype=torch.float64), COVARIANCE.expand(4, -1, -1), range(4)
    )
    # five places of six are independent proposals, most of which are taken
    assert (found.effective.amin(1) / found.evaluations > 0.3).all()
    assert (found.accepted > 0.7).all()
    assert density.calls == found.evaluations.sum() + 4 * Sampler().chains  # the first places of the chains


def test_a_row_gets_the_same_alone_and_in_company():
    def apart(points, rows):
        return torch.where(rows == 1, torch.nan, normal(points, rows))

    alone = Sampler().sample(Known(normal), *start(1), [7])
    company = Sampler().sample(Known(apart), *start(3), [3, 5, 7])
    assert torch.equal(alone.points[0], company.points[2])
    assert torch.isnan(company.points[1]).all()
    assert company.good.tolist() == [True, False, True]
    assert company.evaluations[1] <= 2 * 32 * 8  # it is given up soon


def test_a_row_that_does_not_mix_is_known():
    def apart(points, rows):
        centre = torch.full((FREE,), 12.0, dtype=torch.float64)
        return torch.logaddexp(*(-0.5 * ((points + side * centre) ** 2).sum(1) for side in (-1, 1)))

    mean, covariance = start(2, 12.0)
    found = Sampler(evaluations=2000).sample(Known(apart), mean, covariance, [0, 1])
    assert not found.good.any()
    assert (found.rhat.amax(1) > 1.03).all()
    assert torch.isfinite(found.points).all()
    assert (found.evaluations <= 2000).all()


def test_no_rows():
    found = Sampler().sample(Known(normal), *start(0), [])
    assert found.points.shape == (0, 500, FREE)


def test_options_are_checked():
    for wrong in ({"draws": 1}, {"effective": 0}, {"rhat": 0.9}, {"chains": 1}, {"evaluations": 10}):
        with pytest.raises(InputError, match=f"Sampler: {next(iter(wrong))}"):
            Sampler(**wrong)


def chains(correlation, shape=(1, 8, 4000, 1), seed=0):
    """Autoregressive chains of unit variance."""
    white = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    out = white.clone()
    for k in range(1, shape[2]):
        out[:, :, k] = correlation * out[:, :, k - 1] + math.sqrt(1 - correlation**2) * white[:, :, k]
    return out


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_effective_number_of_autoregressive_chains(correlation):
    """N (1 - r) / (1 + r)."""
    samples = chains(correlation)
    expected = 32_000 * (1 - correlation) / (1 + correlation)
    assert effective_samples(samples).item() == pytest.approx(expected, rel=0.1)
    assert rhat(samples).item() < 1.01


def test_rhat_tells_chains_apart():
    samples = chains(0.0, (3, 4, 500, 1))
    samples[1, 0] += 1.0  # another place
    samples[2, 0] *= 3.0  # another width, which the values' own R-hat does not see
    found = rhat(samples)[:, 0]
    assert found[0] < 1.01
    assert (found[1:] > 1.03).all()


def test_chains_that_do_not_move_have_no_samples():
    still = torch.zeros(1, 4, 100, 2, dtype=torch.float64)
    assert torch.isinf(rhat(still)).all()
    assert (effective_samples(still) == 0).all()


def test_mixture_draws_what_its_density_says():
    samples = torch.randn(2, 2000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    samples[..., 1] += samples[..., 0] ** 2
    mixture = Mixture.best(samples, Mixture.single(samples.mean(1), torch.eye(2).double().expand(2, 2, 2)))
    assert (mixture.weight > 0).sum(1).min() > 1  # a bent cloud needs more than one component
    generator = torch.Generator().manual_seed(2)
    choice = torch.rand(2, 40_000, generator=generator, dtype=torch.float64)
    normals = torch.randn(2, 40_000, 2, generator=generator, dtype=torch.float64)
    chi2 = (torch.randn(2, 40_000, DEGREES, generator=generator, dtype=torch.float64) ** 2).sum(2)
    drawn = mixture.draw(choice, normals, chi2)
    # weights q0 / q of points drawn from q have the mean one, for a density q0 known but for q's own constant
    constant = math.lgamma(DEGREES / 2 + 1) - math.lgamma(DEGREES / 2) - math.log(DEGREES * math.pi)
    other = -0.5 * (drawn - 0.5).square().sum(2) - math.log(2 * math.pi)
    weights = (other - mixture.log_density(drawn) - constant).exp()
    assert weights.mean(1).tolist() == pytest.approx([1, 1], abs=5 * weights.std(1).max().item() / 200)


def test_cholesky_mends_what_is_just_not_positive():
    flat = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[4.0, 0.0], [0.0, 9.0]]], dtype=torch.float64)
    factor = cholesky(flat)
    assert torch.allclose(factor @ factor.transpose(1, 2), flat, atol=1e-6)
