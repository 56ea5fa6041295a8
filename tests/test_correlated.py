"""Errors where pixels share noise: known answers, coverage, and everything that may be odd about the input."""

import dataclasses

import numpy as np
import pytest
import torch

import isolux
from isolux import Batch, FlatSky, Free, InputError, Scene, Sersic, Status
from isolux.correlated import excess
from isolux.likelihood import ChiSquare
from isolux.noise import correlated_noise
from isolux.parameter_map import build_map
from isolux.renderer import Renderer
from isolux.simulate import Observation, mock_stamps
from stubs import drizzled, gaussian_psf, mock_batch

VIEW = Observation(
    size=32, psf_size=15, psf_fwhm=(1.4, 1.5), pixel_scale=0.6, sky_sigma=(0.01, 0.01), gain=1e4
)
MODEL = Scene(sersic=Sersic(), sky=FlatSky())


def with_noise(batch, correlation):
    """The batch with a correlation function for all, or with one each."""
    rho = np.asarray(correlation)
    return dataclasses.replace(batch, noise_correlation=torch.as_tensor(rho[None] if rho.ndim == 2 else rho))


@pytest.fixture(scope="module")
def batch():
    batch, _ = mock_batch(count=5, size=24, sky=0.02, dtype=torch.float64)
    batch.mask[1, 3:9, 10:20] = True
    return batch


def problem_of(batch, scene, values):
    parameters = build_map(scene.parameters, values, torch.ones(len(batch), dtype=torch.float64))
    return ChiSquare.of(Renderer.of(scene.components, batch), parameters, batch)


@pytest.mark.parametrize("side", [7, 61], ids=["small function", "larger than the stamp"])
@pytest.mark.parametrize("shared", [True, False], ids=["one for all", "one each"])
def test_the_middle_matrix_is_the_sum_over_all_pairs_of_pixels(batch, side, shared):
    rho = np.pad(drizzled(), (side - 7) // 2)
    if side > 7:
        rho += 0.05 * np.exp(-0.01 * (np.mgrid[-30:31, -30:31] ** 2).sum(0))
    kinds = np.stack(
        [np.where(rho == 1, 1, rho * share) for share in ([1] if shared else [1, 0.8, 0, 0.3, 0.5])]
    )
    result = isolux.fit(batch, Scene(galaxy=Sersic(), sky=FlatSky()))
    scene = Scene(galaxy=Sersic(), sky=FlatSky())
    problem = problem_of(batch, scene, result.values)
    galaxies = torch.tensor([3, 1])
    theta = problem.parameters.to_theta(result.values, None)[galaxies]
    found = excess(problem, galaxies, theta, torch.as_tensor(kinds))
    table, turn, _ = dataclasses.replace(problem, owner=galaxies).tangent(theta, torch.arange(2))
    slopes = (turn.transpose(1, 2) @ table[:, 1:].double()).numpy()
    y, x = np.divmod(np.arange(24 * 24), 24)
    dy, dx = y[:, None] - y + side // 2, x[:, None] - x + side // 2
    near = (dy >= 0) & (dy < side) & (dx >= 0) & (dx < side)
    for k, galaxy in enumerate(galaxies.tolist()):
        one = kinds[0 if shared else galaxy]
        matrix = np.where(near, one[dy.clip(0, side - 1), dx.clip(0, side - 1)], 0.0) - np.eye(24 * 24)
        expected = slopes[k] @ matrix @ slopes[k].T
        size = np.sqrt(np.outer(*[np.diag(slopes[k] @ slopes[k].T)] * 2))
        assert np.abs((found[k].numpy() - expected) / size).max() < 1e-10


def test_error_of_a_mean_is_the_known_one():
    """A sky level is a mean: its variance is sigma^2 / N^2 times the sum of rho over all pairs of pixels."""
    shape, sigma = (20, 13), 0.3
    blank = np.zeros((1, *shape))
    batch = Batch.from_arrays(
        blank, sigma=blank + sigma, psf=gaussian_psf(5), noise_correlation=drizzled(), dtype=torch.float64
    )
    error = isolux.fit(batch, Scene(sky=FlatSky())).error("sky.level")
    pairs = np.outer(*(n - np.abs(np.arange(-3, 4)) for n in shape))
    assert error.item() == pytest.approx(sigma / (20 * 13) * np.sqrt((pairs * drizzled()).sum()), rel=1e-6)


def test_no_correlation_changes_nothing(batch):
    scene = Scene(galaxy=Sersic(), sky=FlatSky())
    plain = isolux.fit(batch, scene)
    same = isolux.fit(with_noise(batch, np.pad([[1.0]], 4)), scene)
    assert torch.equal(plain.values, same.values)
    assert torch.allclose(plain.errors, same.errors, rtol=1e-5, equal_nan=True)
    assert torch.allclose(same.n_effective, torch.full((5,), 8.0, dtype=torch.float64), atol=1e-4)


@pytest.fixture(scope="module")
def mocks():
    return mock_stamps(120, seed=5, observation=VIEW, noise_correlation=drizzled(2))


def test_errors_hold_on_mocks_with_correlated_noise(mocks):
    batch, truth = mocks
    result = isolux.fit(batch, MODEL)
    pulls = [(result[name] - torch.as_tensor(true)) / result.error(name) for name, true in truth.items()]
    pulls = torch.stack([p for name, p in zip(truth, pulls, strict=True) if "angle" not in name], 1)
    high, low = (torch.nanquantile(pulls, q, dim=0) for q in (0.84134, 0.15866))
    # 120 galaxies: a width is uncertain by 0.09, and these pulls are not exactly normal
    assert (((high - low) / 2 - 1).abs() < 0.25).all()
    few = dataclasses.replace(batch.select(range(10)), noise_correlation=None)
    ratio = result.errors[:10] / isolux.fit(few, MODEL).errors
    assert (ratio[:, [0, 2, 3, 4, 8]] > 1.5).all()


def test_bootstrap_draws_noise_and_agrees_with_the_covariance(mocks):
    few = mocks[0].select([1, 5, 9])
    curvature = isolux.fit(few, MODEL)
    drawn = isolux.fit(few, MODEL, errors="bootstrap", replicates=60, seed=4)
    ratio = (drawn.errors / curvature.errors)[:, [0, 1, 2, 3, 8]]
    # 60 draws: 9 %; without the correlation the ratio would be 2
    assert ((ratio - 1).abs() < 0.3).all()
    alone = isolux.fit(few.select([1]), MODEL, errors="bootstrap", replicates=3, seed=4)
    company = isolux.fit(few, MODEL, errors="bootstrap", replicates=3, seed=4)
    assert torch.allclose(alone.samples[0], company.samples[1], rtol=1e-3)


def test_a_parameter_at_its_bound_has_no_error_and_the_others_have_theirs(mocks):
    narrow = Scene(sersic=Sersic(sersic_index=Free(0.3, lower=0.2, upper=0.31)), sky=FlatSky())
    result = isolux.fit(mocks[0].select(range(4)), narrow)
    assert torch.isnan(result.error("sersic.sersic_index")).all()
    assert torch.isfinite(result.error("sersic.magnitude")).all()
    assert (torch.linalg.eigvalsh(result.covariance[0][:4, :4]) > 0).all()


def test_criteria_count_the_noise_that_parameters_take_up(mocks):
    result = isolux.fit(mocks[0].select(range(3)), MODEL)
    assert (result.n_effective > 1.5 * result.n_free).all()
    assert torch.equal(result.aic, result.chi2 + 2 * result.n_effective)
    assert torch.isnan(result.log_likelihood).all()
    plain = isolux.fit(dataclasses.replace(mocks[0].select([0]), noise_correlation=None), MODEL)
    assert plain.n_effective.tolist() == [8]
    assert torch.isfinite(plain.log_likelihood).all()


def test_batches_keep_their_functions(batch):
    rho = np.stack([np.where(drizzled() == 1, 1, share * drizzled()) for share in (1, 0.5, 0.2, 0.1, 0)])
    lists = {"sigma": batch.sigma, "psf": batch.psf, "zero_point": 22.5}
    each = Batch.from_arrays(batch.image, **lists, noise_correlation=list(rho))
    assert torch.equal(each.select([3, 1]).noise_correlation, torch.as_tensor(rho[[3, 1]]).float())
    assert each.to(dtype=torch.float64).noise_correlation.dtype == torch.float64
    assert len(next(each.split(2)).noise_correlation) == 2
    same = Batch.from_arrays(batch.image, **lists, noise_correlation=[rho[0]] * 5)
    assert same.noise_correlation.shape == (1, 7, 7)
    mixed = Batch.from_arrays(batch.image, **lists, noise_correlation=[None, np.eye(1), rho[0], None, None])
    assert torch.equal(mixed.noise_correlation[0], torch.as_tensor(np.pad([[1.0]], 3)).float())
    assert Batch.from_arrays(batch.image, **lists).noise_correlation is None


def test_a_function_for_all_that_cannot_be_one_is_an_error(batch):
    for wrong, message in ((drizzled()[1:], "both odd"), (2 * drizzled(), "in the middle"), (0.3, "shape")):
        with pytest.raises(InputError, match=message):
            Batch.from_arrays(batch.image, sigma=batch.sigma, noise_correlation=wrong)
    with pytest.raises(InputError, match="5 images but 4 values of noise_correlation"):
        Batch.from_arrays(batch.image, sigma=batch.sigma, noise_correlation=np.stack([drizzled()] * 4))
    with pytest.raises(InputError, match="in the middle"):
        mock_stamps(1, noise_correlation=2 * drizzled())


def test_a_function_of_one_galaxy_that_cannot_be_one_is_its_own_fault(batch):
    rho = [drizzled()] * 5
    lists = {"sigma": batch.sigma, "psf": batch.psf, "zero_point": 22.5}
    scene = Scene(galaxy=Sersic(), sky=FlatSky())
    good = isolux.fit(Batch.from_arrays(batch.image, **lists, noise_correlation=rho), scene)
    rho[2] = np.where(drizzled() < 0.5, -drizzled(), drizzled())
    bad = isolux.fit(Batch.from_arrays(batch.image, **lists, noise_correlation=rho), scene)
    assert bad.status[2] is Status.BAD_INPUT
    assert "galaxy 2: noise correlation is not positive definite" in bad.message[2]
    others = [0, 1, 3, 4]
    assert torch.equal(good.values[others], bad.values[others])
    assert torch.equal(good.errors[others].nan_to_num(), bad.errors[others].nan_to_num())


def test_masks_count(batch):
    """Masked pixels add no noise: the errors are those of a stamp that ends there."""
    noise = correlated_noise(
        torch.as_tensor(drizzled()), (24, 30), 1, torch.Generator().manual_seed(0)
    ).numpy()
    whole = {"sigma": np.ones((1, 24, 30)), "psf": gaussian_psf(5), "noise_correlation": drizzled()}
    mask = np.zeros((1, 24, 30))
    mask[..., 24:] = 1
    cut = {**whole, "sigma": whole["sigma"][..., :24]}
    scene = Scene(sky=FlatSky())
    masked = isolux.fit(Batch.from_arrays(noise, mask=mask, **whole), scene)
    short = isolux.fit(Batch.from_arrays(noise[..., :24], **cut), scene)
    assert masked.error("sky.level").item() == pytest.approx(short.error("sky.level").item(), rel=1e-5)
