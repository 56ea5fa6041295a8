"""One bad galaxy cannot touch its neighbours; company and order change nothing."""

import dataclasses

import pytest
import torch

import isolux
from isolux import FirstOrder, LevenbergMarquardt, Scene, Sersic, Status
from isolux.profiles import FlatSky
from stubs import mock_batch

SOLVERS = {
    "lm": LevenbergMarquardt(),
    "lm-narrow": LevenbergMarquardt(width=3),
    "adam": FirstOrder("Adam", learning_rate=0.3, iterations=60),
    "lbfgs": FirstOrder("LBFGS", learning_rate=1.0, iterations=4, options={"line_search_fn": "strong_wolfe"}),
}


@pytest.fixture(scope="module")
def batch():
    return mock_batch(count=7, sky=0.02)[0]


def scene():
    return Scene(galaxy=Sersic(), sky=FlatSky())


def run(batch, solver, **options):
    return isolux.fit(batch, scene(), solver=solver, **options)


def assert_same_bits(first, second, rows, other_rows=None):
    other_rows = rows if other_rows is None else other_rows
    for field in ("values", "errors", "chi2", "steps", "covariance", "derived_values"):
        one, two = getattr(first, field)[rows], getattr(second, field)[other_rows]
        assert torch.equal(torch.nan_to_num(one), torch.nan_to_num(two)), field
    assert [first.status[r] for r in rows] == [second.status[r] for r in other_rows]


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
def test_galaxy_of_nans_changes_no_other(batch, solver):
    image = batch.image.clone()
    image[2] = torch.nan
    spoiled = isolux.Batch.from_arrays(
        image, sigma=batch.sigma, psf=batch.psf[0], zero_point=22.5, pixel_scale=0.4
    )
    whole, broken = run(batch, solver), run(spoiled, solver)
    assert broken.status[2] is Status.MASKED_OUT
    assert torch.isnan(broken.values[2]).all()
    assert_same_bits(whole, broken, [0, 1, 3, 4, 5, 6])


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
def test_model_that_turns_nan_changes_no_other(batch, solver):
    """A galaxy that passes every check but whose chi-square overflows."""
    sigma = batch.sigma.clone()
    sigma[4] = 1e-38
    spoiled = dataclasses.replace(batch, sigma=sigma)
    whole, broken = run(batch, solver), run(spoiled, solver)
    assert broken.status[4] is Status.NOT_FINITE
    assert_same_bits(whole, broken, [0, 1, 2, 3, 5, 6])


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
def test_order_changes_nothing(batch, solver):
    order = [3, 6, 0, 5, 1, 4, 2]
    whole, shuffled = run(batch, solver), run(batch.select(order), solver)
    assert_same_bits(whole, shuffled, order, list(range(7)))


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
def test_alone_as_in_company(batch, solver):
    """Alone, matrix products take other code paths: equal to 2 % of an error, set by float32 near the minimum."""
    whole = run(batch, solver)
    for k in (0, 5):
        alone = run(batch.select([k]), solver)
        difference = (alone.values[0] - whole.values[k]).abs()
        assert (difference <= 0.02 * whole.errors[k].clamp_min(1e-6)).all()


def test_bootstrap_does_not_depend_on_company(batch):
    options = {"errors": "bootstrap", "replicates": 8}
    whole = run(batch.select([0, 1, 2]), LevenbergMarquardt(), **options)
    fewer = run(batch.select([2, 0]), LevenbergMarquardt(), **options)
    assert torch.allclose(whole.samples[2], fewer.samples[0], rtol=1e-4, atol=1e-3)
    assert torch.allclose(whole.samples[0], fewer.samples[1], rtol=1e-4, atol=1e-3)
