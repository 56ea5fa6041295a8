"""Losses: equations, derivatives, errors, and everything that can be wrong with them."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import distributions

import isolux
from isolux import (
    Cash,
    Fixed,
    Flag,
    FlatSky,
    GaussianPrior,
    Huber,
    InputError,
    Scene,
    Sersic,
    Status,
    StudentT,
)
from isolux.likelihood import ChiSquare
from isolux.loss import SQUARED, loss_from
from isolux.parameter_map import build_map
from isolux.priors import Priors
from isolux.renderer import Renderer
from isolux.simulate import moffat_psf
from isolux.spikes import without_spikes
from isolux.start import starting_values
from stubs import gaussian_psf, mock_batch, truths

SCENE = Scene(galaxy=Sersic(), sky=FlatSky())
ROBUST = [Huber(), Huber(0.7), StudentT(), StudentT(1.5)]


def counts_batch(light=3000.0, sky=0.5, size=32, count=4, seed=3, **given):
    """A batch of Poisson counts: galaxies of so many electrons on a sky of so many a pixel."""
    truth = truths(count, size, seed)
    truth["magnitude"] = np.full(count, 25.0 - 2.5 * np.log10(light))
    blank = isolux.Batch.from_arrays(
        np.zeros((count, size, size)),
        sigma=np.ones((count, size, size)),
        psf=gaussian_psf(),
        zero_point=25.0,
        dtype=torch.float64,
    )
    scene = Scene(galaxy=Sersic(**truth), sky=FlatSky(level=sky))
    expected = scene.images(blank, scene.values(count)).numpy()
    counts = np.random.default_rng(seed).poisson(np.clip(expected, 0, None)).astype(float)
    options = {"gain": 1.0, "zero_point": 25.0, "psf": gaussian_psf(), "dtype": torch.float64} | given
    return isolux.Batch.from_arrays(counts, **options), truth


def problem_of(batch, loss, priors=()):
    """The problem of a batch, and theta near its starting values."""
    values, _ = starting_values(SCENE, batch)
    parameters = build_map(SCENE.parameters, values, torch.ones(len(batch), dtype=torch.float64))
    bound = Priors.of(priors, parameters) if priors else None
    problem = ChiSquare.of(Renderer.of(SCENE.components, batch), parameters, batch, loss, bound)
    return problem, parameters.to_theta(values)


def on_one_row(loss, data, model):
    """Cost, residual and factor of pixels."""
    data, model = (torch.as_tensor(x, dtype=torch.float64)[None] for x in (data, model))
    cost, residual, factor = loss.weigh(data, model, torch.zeros(1, dtype=torch.int64))
    return cost[0], residual[0], torch.ones_like(cost[0]) if factor is None else factor[0]


@pytest.mark.parametrize("loss", [SQUARED, *ROBUST], ids=str)
def test_residuals_and_factors_are_those_of_the_cost(loss):
    model = torch.linspace(-30, 30, 201, dtype=torch.float64).requires_grad_()
    cost, residual, factor = on_one_row(loss, torch.zeros(201), model)
    (slope,) = torch.autograd.grad(cost.sum(), model)
    assert torch.allclose(-0.5 * slope, factor * residual)
    if loss != SQUARED:
        (bend,) = torch.autograd.grad((loss.share(model) * model).sum(), model)
        assert torch.allclose(bend, loss.slope(model))
    # The weighted squares lie above the cost wherever they start from, and touch it there.
    r = torch.linspace(-30, 30, 201, dtype=torch.float64)[:, None]
    weight = (factor**2)[None]
    above = cost[None] + weight * (r**2 - model.detach()[None] ** 2)
    assert (above - on_one_row(loss, torch.zeros(201), r[:, 0])[0][:, None] > -1e-9).all()


def test_costs_are_twice_the_negative_logarithm_of_densities():
    r = torch.linspace(-8, 8, 33, dtype=torch.float64)
    density = distributions.StudentT(torch.tensor(3.0).double()).log_prob
    student = -2 * (density(r) - density(torch.zeros(1).double()))
    assert torch.allclose(on_one_row(StudentT(3.0), r, 0 * r)[0], student)
    counts = torch.arange(60.0, dtype=torch.float64)
    saturated = distributions.Poisson(counts.clamp_min(1e-12)).log_prob(counts)
    batch, _ = counts_batch(count=1)
    loss = Cash().on(batch)
    for mean in (0.02, 0.3, 1.0, 7.0, 40.0):
        cash = -2 * (distributions.Poisson(torch.tensor(mean).double()).log_prob(counts) - saturated)
        assert torch.allclose(
            on_one_row(loss, counts, torch.full((60,), mean))[0], cash, rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cash_is_smooth_through_zero_and_sends_models_back_up(dtype):
    batch, _ = counts_batch(count=1, dtype=dtype)
    loss = Cash().on(batch)
    floor = float(loss.floor)
    for count in (0.0, 1.0, 5.0):
        model = torch.linspace(-20 * floor, 20 * floor, 4001, dtype=torch.float64).requires_grad_()
        cost, residual, factor = on_one_row(loss, torch.full((4001,), count), model)
        (slope,) = torch.autograd.grad(cost.sum(), model)
        assert torch.isfinite(cost).all()
        assert torch.allclose(-0.5 * slope, factor * residual, rtol=1e-4)
        step = (model[1] - model[0]).item()
        jump = (slope[1:] - slope[:-1]).abs().max() / slope.abs().max()
        assert jump < 2e-3 + 20 * step
        assert slope[0] < 0  # so far below zero every count wants more light
    empty = on_one_row(loss, torch.zeros(2), torch.tensor([0.0, 0.3]))[0]
    assert torch.allclose(empty, torch.tensor([0.0, 0.6]).double())


def test_a_hot_pixel_does_not_raise_what_cash_takes_for_zero():
    batch, _ = counts_batch(count=1, dtype=torch.float32)
    image = batch.image.clone()
    image[0, 3, 3] = 1e7
    hot = dataclasses.replace(batch, image=image)
    assert torch.equal(Cash().on(hot).floor, Cash().on(batch).floor)


def test_cash_keeps_its_digits_in_single_precision():
    batch, _ = counts_batch(count=1, sky=20000.0, light=1e5, dtype=torch.float32)
    loss, size = Cash(sky=20000.0).on(batch), 10000
    rng = np.random.default_rng(1)
    data = rng.poisson(20000.0, size).astype(float) - 20000
    exact = 2 * np.sum(0 - data + (data + 20000) * np.log1p(data / 20000))
    found = loss.weigh(torch.tensor(data[None]).float(), torch.zeros(1, size), torch.tensor([0]))[0]
    assert abs(found.double().sum().item() - exact) < 4e-3  # of 10000: digits of a float32


@pytest.mark.parametrize("loss", [SQUARED, *ROBUST, Cash()], ids=str)
def test_gradient_and_cost_of_a_problem_agree(loss):
    batch, _ = counts_batch(count=2)
    problem, theta = problem_of(batch, loss, [GaussianPrior("galaxy.sersic_index", 1.0, 0.1)])
    rows = torch.arange(2)
    moving = theta.clone().requires_grad_()
    cost = problem.cost(moving, rows)
    (gradient,) = torch.autograd.grad(cost.sum(), moving)
    model = problem.linearise(theta, rows)
    assert torch.allclose(model.cost, cost.detach(), rtol=1e-9)
    scale = gradient.abs().amax(1, keepdim=True)
    assert ((model.gradient + 0.5 * gradient).abs() / scale < 1e-2).all()  # as exact as derivative images are


def test_masked_pixels_cost_nothing_under_any_loss():
    batch, _ = counts_batch(count=2, sky=3.0)
    bad = torch.zeros_like(batch.mask)
    bad[:, 5:9, 3:7] = True
    dirty = batch.image.clone()
    dirty[bad] = 1e4
    masked = dataclasses.replace(batch, image=torch.where(bad, 0.0, batch.image), mask=bad)
    spoilt = dataclasses.replace(batch, image=dirty, mask=bad)
    for loss in (Huber(), StudentT(), Cash(sky=2.0)):
        one, two = (isolux.fit(b, SCENE, loss=loss) for b in (masked, spoilt))
        assert torch.equal(one.loss, two.loss) or isinstance(loss, Cash)
        assert torch.allclose(one.values, two.values, rtol=1e-4)


def test_spikes_are_cosmic_rays_and_no_stars():
    shape = (1, 41, 41)
    noise = torch.tensor(np.random.default_rng(1).standard_normal(shape))
    for fwhm in (1.6, 2.5, 5.0):
        image = 5e4 * torch.tensor(moffat_psf(fwhm, size=41))[None] + noise
        batch = isolux.Batch.from_arrays(image, sigma=torch.ones(shape))
        assert not without_spikes(batch).mask.any()
        image[0, 5, 5] += 20
        image[0, range(8, 15), range(28, 35)] += 300  # a track
        image[0, 30, 10:20] += 300
        struck = isolux.Batch.from_arrays(image, sigma=torch.ones(shape))
        assert without_spikes(struck).mask.sum() == 1 + 7 + 10


@pytest.mark.parametrize("loss", ["huber", "student-t"])
def test_starts_of_robust_fits_do_not_see_cosmic_rays(loss):
    batch, truth = mock_batch(count=4, size=48)
    image = batch.image.clone()
    image[:, 30:38, 31] += 3000 * batch.sigma[:, :8, 0]
    struck = dataclasses.replace(batch, image=image)
    found = isolux.fit(struck, SCENE, loss=loss)
    off = torch.log10(found["galaxy.effective_radius"] / torch.tensor(truth["effective_radius"]))
    assert off.abs().max() < 0.1


@pytest.mark.parametrize("loss", ["huber", "student-t"])
def test_outliers_do_not_move_a_robust_fit(loss):
    batch, _ = mock_batch(count=6, size=48)
    rng = np.random.default_rng(5)
    hit = torch.tensor(rng.random(batch.image.shape) < 0.01)
    rays = torch.tensor(rng.uniform(20, 300, batch.image.shape) * hit.numpy()).to(batch.image)
    struck = dataclasses.replace(batch, image=batch.image + rays * batch.sigma)
    clean = isolux.fit(batch, SCENE)
    robust, spoilt = (isolux.fit(struck, SCENE, loss=name) for name in (loss, "chi2"))
    for name in ("galaxy.magnitude", "galaxy.effective_radius", "galaxy.sersic_index"):
        off = (robust[name] - clean[name]).abs() / clean.error(name)
        assert off.max() < 2.5, name
    far = (spoilt["galaxy.magnitude"] - clean["galaxy.magnitude"]).abs() / clean.error("galaxy.magnitude")
    assert far.median() > 5
    squares = (struck.image - SCENE.images(struck, robust.values)) ** 2 / struck.sigma**2
    assert torch.allclose(robust.chi2, squares.double().sum((1, 2)), rtol=1e-4)
    assert (robust.loss < 0.2 * robust.chi2).all()


def test_a_galaxy_that_is_taken_for_outliers_is_flagged():
    batch, _ = mock_batch(count=4, size=48)
    y, x = np.mgrid[:48, :48] - 23.5
    arms = np.sin(2 * np.arctan2(y, x) + np.hypot(x, y)) * 40 * np.exp(-np.hypot(x, y) / 4)
    spiral = dataclasses.replace(batch, image=batch.image + torch.tensor(arms).float() * batch.sigma)
    for loss in ("huber", "student-t"):
        found = [isolux.fit(some, SCENE, loss=loss) for some in (batch, spiral)]
        flagged = [[Flag.OUTLYING in flags for flags in fit.flags] for fit in found]
        assert flagged == [[False] * 4, [True] * 4]
    assert not any(Flag.OUTLYING in flags for flags in isolux.fit(spiral, SCENE).flags)


@pytest.mark.parametrize(
    ("loss", "expected"), [(Huber(), 1.0526), (StudentT(4.0), 1.0801), (StudentT(1e6), 1.0)], ids=str
)
def test_dispersion_on_gaussian_noise_is_one_over_the_efficiency(loss, expected):
    r = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-r * r / 2) / math.sqrt(2 * math.pi) * 1e-4
    exact = ((loss.share(r) * r) ** 2 * density).sum() / (loss.slope(r) * density).sum() ** 2
    assert abs(exact - expected) < 1e-3
    residual = torch.tensor(np.random.default_rng(2).standard_normal((1, 400_000)))
    found = loss.dispersion(residual, torch.ones(1, 400_000, dtype=torch.bool), 8)
    assert abs(found.item() - exact) < 0.01  # 400,000 draws: 0.003


def test_dispersion_on_its_own_noise_is_one_over_the_information():
    residual = torch.tensor(np.random.default_rng(3).standard_t(4.0, (1, 400_000)))
    found = StudentT(4.0).dispersion(residual, torch.ones(1, 400_000, dtype=torch.bool), 8)
    assert abs(found.item() - (4 + 3) / (4 + 1)) < 0.02


def test_errors_of_a_robust_fit_follow_sigma_that_is_wrong_by_a_factor():
    batch, _ = mock_batch(count=3)
    low = dataclasses.replace(batch, sigma=batch.sigma / 2)
    scaled = isolux.fit(low, SCENE, scale_errors=True)
    robust = isolux.fit(low, SCENE, loss=StudentT(1e6))
    assert torch.allclose(robust.errors, scaled.errors, rtol=1e-2, equal_nan=True)
    assert torch.allclose(robust.values, scaled.values, rtol=1e-2)


def test_cash_agrees_with_chi_square_where_counts_are_many():
    batch, _ = counts_batch(light=3e7, sky=1e5)
    cash, square = (isolux.fit(batch, SCENE, loss=loss) for loss in ("cash", "chi2"))
    pull = (cash.values - square.values) / square.errors
    assert torch.nan_to_num(pull).abs().max() < 0.3  # sigma from the counts is off by one part in 300
    assert torch.allclose(cash.errors, square.errors, rtol=0.02, equal_nan=True)
    assert torch.allclose(cash.loss, square.chi2, rtol=0.02)
    assert cash.chi2.shape == square.chi2.shape


def test_counts_mean_the_same_in_any_unit_and_with_the_sky_taken_off():
    batch, truth = counts_batch(sky=0.5)
    counts = batch.image.numpy()
    shape = {name: value for name, value in truth.items()}
    scene = Scene(galaxy=Sersic(**shape), sky=FlatSky())
    plain = isolux.fit(batch, scene, loss="cash")
    options = {"psf": gaussian_psf(), "zero_point": 25.0 - 2.5 * math.log10(7.0), "dtype": torch.float64}
    rates = isolux.Batch.from_arrays(counts / 7.0, gain=7.0, **options)
    bare = Scene(galaxy=Sersic(**shape), sky=FlatSky(level=Fixed(0.0)))
    options["zero_point"] = 25.0
    taken = isolux.Batch.from_arrays(counts - 0.5, gain=1.0, sky=0.5, **options)
    fixed = Scene(galaxy=Sersic(**shape), sky=FlatSky(level=Fixed(0.5)))
    for one, two in (
        (plain, isolux.fit(rates, scene, loss="cash")),
        (isolux.fit(batch, fixed, loss="cash"), isolux.fit(taken, bare, loss="cash")),
        (isolux.fit(batch, fixed, loss="cash"), isolux.fit(taken, bare, loss=Cash(gain=1.0, sky=0.5))),
    ):
        assert torch.allclose(one["galaxy.effective_radius"], two["galaxy.effective_radius"], rtol=1e-3)
        assert torch.allclose(one.error("galaxy.magnitude"), two.error("galaxy.magnitude"), rtol=1e-3)
        assert torch.allclose(one.loss, two.loss, rtol=1e-4)


def test_cash_takes_what_read_noise_leaves_below_zero():
    batch, _ = counts_batch(count=1, read_noise=2.0)
    loss = Cash().on(batch)
    assert float(loss.floor) == 2.0
    for count in (-9.0, -4.5, -4.0, -3.0, 0.0, 7.0):
        model = torch.linspace(-6, 30, 3601, dtype=torch.float64).requires_grad_()
        cost, residual, factor = on_one_row(loss, torch.full((3601,), count), model)
        (slope,) = torch.autograd.grad(cost.sum(), model)
        assert torch.allclose(-0.5 * slope, factor * residual, atol=1e-9)
        assert ((cost[1:] - cost[:-1]).abs() < 0.4).all()
        right = model > -2.0
        assert torch.allclose(slope[right], 2 * (model - count)[right] / (model + 4)[right])


def test_read_noise_adds_its_variance():
    batch, _ = counts_batch(sky=2.0)
    quiet, noisy = (isolux.fit(batch, SCENE, loss=Cash(read_noise=r)) for r in (0.0, 4.0))
    ratio = noisy.error("sky.level") / quiet.error("sky.level")
    assert (ratio < math.sqrt((2 + 16) / 2)).all()  # where there is no galaxy
    assert (ratio > 2.2).all()


def test_empty_pixels_are_data():
    batch, _ = counts_batch(sky=0.05)
    assert (batch.image == 0).sum() > 1000
    assert not batch.mask.any()
    assert (batch.sigma > 0).all()
    found = isolux.fit(batch, SCENE, loss="cash")
    assert all(status is Status.CONVERGED for status in found.status)
    pull = (found["sky.level"] - 0.05) / found.error("sky.level")
    assert pull.abs().max() < 4


def test_a_model_without_sky_where_nothing_is():
    batch, truth = counts_batch(sky=0.0)
    found = isolux.fit(batch, Scene(galaxy=Sersic()), loss="cash")
    assert all(status is Status.CONVERGED for status in found.status)
    pull = (found["galaxy.magnitude"] - torch.tensor(truth["magnitude"])) / found.error("galaxy.magnitude")
    assert pull.abs().max() < 4


def test_galaxies_that_cash_cannot_fit_have_a_status():
    batch, _ = counts_batch(count=5, gain=[1.0, np.nan, 1.0, 0.0, 1.0])
    image = batch.image.clone()
    image[2, 3, 4] = -5.0
    broken = dataclasses.replace(batch, image=image)
    found = isolux.fit(broken, SCENE, loss="cash")
    assert [s.fitted for s in found.status] == [True, False, False, False, True]
    assert found.status[2] is Status.BAD_INPUT
    assert "1 good pixels have negative counts, down to -5 electrons" in found.message[2]
    alone = isolux.fit(batch.select([4]), SCENE, loss="cash")
    assert torch.allclose(found.values[4], alone.values[0], rtol=1e-6)


def test_one_galaxy_of_nans_changes_no_other_under_any_loss():
    batch, _ = mock_batch(count=4, size=32)
    image = batch.image.clone()
    image[2] = torch.nan
    broken = dataclasses.replace(batch, image=image)
    for loss in ("huber", "student-t"):
        one, two = (isolux.fit(b, SCENE, loss=loss) for b in (batch, broken))
        others = [0, 1, 3]
        assert torch.equal(one.values[others], two.values[others])
        assert torch.equal(one.errors[others], two.errors[others])


def test_catalogue_has_what_was_minimised():
    batch, _ = mock_batch(count=2, size=32)
    plain = isolux.fit(batch, SCENE).table()
    assert not {"loss", "prior"} & set(plain.colnames)
    priors = [GaussianPrior("galaxy.sersic_index", 2.0, 0.5)]
    result = isolux.fit(batch, SCENE, loss="student-t", priors=priors)
    table = result.table()
    assert np.allclose(table["loss"], result.loss)
    assert np.allclose(table["prior"], result.prior)
    assert np.allclose(table["bic"] - table["loss"], 8 * np.log(32 * 32))
    merged = isolux.Result.concatenate([result.select([0]), result.select([1])])
    assert torch.equal(merged.loss, result.loss)


@pytest.mark.parametrize(
    ("value", "loss"),
    [
        ("chi2", SQUARED),
        ("student-t", StudentT()),
        ("student-t:2.5", StudentT(2.5)),
        ({"name": "huber", "delta": 2}, Huber(2.0)),
        ("cash", Cash()),
        ("cash:4.7", Cash(gain=4.7)),
        (Huber(3.0), Huber(3.0)),
    ],
    ids=str,
)
def test_names_of_losses(value, loss):
    assert loss_from(value) == loss


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "studentt"}, "did you mean 'student-t'"),
        ({"loss": "student-t:few"}, "not a number"),
        ({"loss": "chi2:3"}, "unknown number of the loss chi2"),
        ({"loss": {"name": "huber", "nu": 3}}, "unknown number of the loss huber"),
        ({"loss": 3.0}, "a loss cannot be read"),
        ({"loss": "student-t:0"}, "StudentT: nu (got 0.0)"),
        ({"loss": "huber", "scale_errors": True}, "follow the residuals' scatter already"),
        ({"loss": "cash"}, "give the gain"),
    ],
    ids=str,
)
def test_losses_that_cannot_be_meant(options, said):
    batch, _ = mock_batch(count=2, size=24)
    with pytest.raises(InputError) as raised:
        isolux.fit(batch, SCENE, **options)
    assert said in str(raised.value)


@pytest.mark.parametrize("numbers", [{"gain": 0}, {"gain": -1}, {"sky": -1}, {"read_noise": math.nan}])
def test_numbers_that_cash_refuses(numbers):
    with pytest.raises(InputError):
        Cash(**numbers)


def test_correlated_noise_is_for_chi_square():
    batch, _ = mock_batch(count=2, size=24)
    kernel = torch.zeros(1, 3, 3)
    kernel[0, 1, 1] = 1.0
    with pytest.raises(InputError, match="only chi2 knows correlated noise"):
        isolux.fit(dataclasses.replace(batch, noise_correlation=kernel), SCENE, loss="huber")
