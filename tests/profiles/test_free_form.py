"""Profiles with as many parameters as one likes: pixel grids and radial splines."""

import math

import numpy as np
import pytest
import torch

import isolux
from isolux.errors import InputError
from isolux.profiles import Exponential, PixelGrid, Spline


def test_grid_passes_through_its_knots():
    grid = PixelGrid((3, 4), box=(2.0, 1.0, 8.0, 9.0))
    values = torch.rand(2, 12, dtype=torch.float64)
    y, x = torch.meshgrid(torch.linspace(1, 9, 3).double(), torch.linspace(2, 8, 4).double(), indexing="ij")
    torch.testing.assert_close(grid.brightness(x.reshape(1, -1), y.reshape(1, -1), values), values)


def test_grid_is_linear_between_knots_and_dark_far_away():
    grid = PixelGrid((2, 2))
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    x, y = torch.tensor([[0.5, 0.25, -0.5, 1.5, 3.0]]), torch.tensor([[0.5, 0.0, 0.0, 1.0, 0.0]])
    torch.testing.assert_close(grid.brightness(x, y, values), torch.tensor([[2.5, 1.25, 0.5, 2.0, 0.0]]))


def test_nearest_takes_the_nearest_knot():
    grid = PixelGrid((2, 2), interpolation="nearest")
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    x, y = torch.tensor([[0.4, 0.6, 1.4, 1.6, -0.6]]), torch.tensor([[0.4, 0.4, 1.4, 0.0, 0.0]])
    torch.testing.assert_close(grid.brightness(x, y, values), torch.tensor([[1.0, 2.0, 4.0, 0.0, 0.0]]))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_flux_of_a_grid_is_the_sum_of_its_knots(interpolation):
    grid = PixelGrid((5, 7), box=(0.0, 0.0, 12.0, 8.0), interpolation=interpolation)
    values = torch.rand(1, 35, dtype=torch.float64)
    fine = torch.arange(-2, 14, 0.125, dtype=torch.float64) + 0.0625
    y, x = torch.meshgrid(fine, fine, indexing="ij")
    flux = grid.brightness(x.reshape(1, -1), y.reshape(1, -1), values).sum() * 0.125**2
    torch.testing.assert_close(flux, values.sum() * 2 * 2)


def test_thousands_of_knots_are_fitted_by_their_gradient():
    grid = PixelGrid((40, 40))
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    x, y = columns.reshape(1, -1), rows.reshape(1, -1)
    truth = torch.rand(3, 1600)
    values = torch.zeros(3, 1600, requires_grad=True)
    (((grid.brightness(x, y, values) - truth) ** 2).sum() / 2).backward()
    torch.testing.assert_close(values.grad, -truth)


def test_instance_declares_its_size():
    assert PixelGrid((5, 6)).settings["values"][0].size == 30
    assert Spline(knots=7).settings["log_ratio"][0].size == 6


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PixelGrid((1, 5)),
        lambda: PixelGrid((5, 5), box=(3.0, 0.0, 3.0, 9.0)),
        lambda: PixelGrid((5, 5), interpolation="cubic"),
        lambda: Spline(knots=1),
        lambda: Spline(inner=5.0, outer=1.0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()


def test_spline_passes_through_its_knots():
    spline = Spline(knots=6, inner=1.0, outer=50.0)
    y = torch.tensor([[-0.5, -1.0, -2.5, -4.0, -7.0]], dtype=torch.float64)
    f = spline.brightness(torch.as_tensor(spline.radii)[None], y)
    torch.testing.assert_close(torch.log(f[:, 1:]), y)
    assert spline.brightness(torch.tensor([[0.3]]).double(), y).item() == 1


def test_spline_continues_as_a_power_law():
    spline = Spline(knots=3, inner=1.0, outer=100.0)
    far = torch.tensor([[100.0, 1000.0]], dtype=torch.float64)
    steep = torch.log(spline.brightness(far, torch.tensor([[-4.0, -16.0]], dtype=torch.float64)))
    assert (steep[0, 1] - steep[0, 0]).item() == pytest.approx(-12.0)
    flat = torch.log(spline.brightness(far, torch.tensor([[-1.0, -2.0]], dtype=torch.float64)))
    assert (flat[0, 1] - flat[0, 0]).item() == pytest.approx(-3 * math.log(10))


def test_spline_follows_an_exponential_disc():
    spline = Spline(knots=16, inner=0.2, outer=80.0)
    y = torch.as_tensor(-(spline.radii[1:] - spline.radii[0]) / 10.0)[None]
    r = torch.as_tensor(np.geomspace(0.3, 60, 200))[None]
    torch.testing.assert_close(spline.brightness(r, y), torch.exp(-(r - 0.2) / 10), rtol=0.1, atol=0.01)
    assert spline.total(y).item() == pytest.approx(2 * math.pi * 100, rel=0.05)


@pytest.fixture(scope="module")
def disc():
    """One noisy exponential disc."""
    sigma = torch.ones(1, 25, 25)
    blank = isolux.Batch.from_arrays(torch.zeros(1, 25, 25), sigma=sigma)
    numbers = {"x": 12.2, "y": 11.7, "magnitude": -9.0, "axis_ratio": 0.7, "position_angle": 30.0}
    truth = isolux.Scene(disc=Exponential(scale_radius=3.0, **numbers))
    noise = torch.randn(1, 25, 25, generator=torch.Generator().manual_seed(5))
    return isolux.Batch.from_arrays(truth.images(blank, truth.values(1)) + noise, sigma=sigma)


def test_grid_fits_a_galaxy(disc):
    solver = isolux.FirstOrder("LBFGS", learning_rate=1.0, iterations=12)
    scene = isolux.Scene(light=PixelGrid((13, 13), box=(0, 0, 24, 24)))
    result = isolux.fit(disc, scene, solver=solver, errors="none")
    assert result.reduced_chi2.item() < 2.5  # one knot every second pixel cannot follow the cusp
    assert result.n_free.item() == 169


def test_spline_fits_a_galaxy(disc):
    scene = isolux.Scene(galaxy=Spline(knots=6, inner=0.7, outer=25.0))
    result = isolux.fit(disc, scene, solver=isolux.FirstOrder(iterations=250), errors="none")
    assert result.reduced_chi2.item() < 1.3
    assert result["galaxy.magnitude"].item() == pytest.approx(-9.0, abs=0.1)


def test_derivative_matrix_of_a_vector_is_refused(disc):
    with pytest.raises(InputError, match="use FirstOrder for vectors"):
        isolux.fit(disc, isolux.Scene(galaxy=Spline()), solver=isolux.LevenbergMarquardt())
