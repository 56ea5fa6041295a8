"""Priors: residuals and their derivatives, what they do to a fit, and everything that can be wrong with them."""

import dataclasses

import numpy as np
import pytest
import torch

import isolux
from isolux import (
    Column,
    Exponential,
    Fixed,
    Flag,
    FlatSky,
    GaussianPrior,
    InputError,
    LogNormalPrior,
    Scene,
    Sersic,
    Status,
    Tied,
    UniformPrior,
)
from isolux.parameter_map import build_map
from isolux.priors import Priors, prior_from, priors_from
from stubs import mock_batch

NUMBERS = {"x": 10.0, "y": 11.0, "magnitude": 18.0, "axis_ratio": 0.5, "position_angle": 20.0}
SCENE = Scene(galaxy=Sersic(), sky=FlatSky())


def parameter_map(galaxies=3):
    bulge = {**NUMBERS, "x": Tied("disc.x"), "axis_ratio": Tied("0.5 * disc.axis_ratio")}
    scene = Scene(
        disc=Exponential(**NUMBERS, scale_radius=4.0),
        bulge=Sersic(**bulge, effective_radius=2.0, sersic_index=3.0),
    )
    return build_map(scene.parameters, scene.values(galaxies), torch.ones(galaxies))


def brighter(values):
    """Magnitudes by which the disc is brighter than the bulge."""
    return values["bulge.magnitude"] - values["disc.magnitude"]


EVERY = [
    GaussianPrior("bulge.sersic_index", 2.0, [0.5, 1.0, np.inf]),
    GaussianPrior("bulge.x", 9.0, 1.0),
    GaussianPrior("bulge.axis_ratio", 0.3, 0.1),
    LogNormalPrior("bulge.effective_radius", [1.0, 2.0, 3.0], 0.3),
    LogNormalPrior("bulge.effective_radius / disc.scale_radius", 0.3, 0.2),
    UniformPrior("bulge.axis_ratio", 0.3, 0.6, edge=0.1),
    UniformPrior(brighter, high=-0.2, edge=0.1),
]


def test_residuals_are_the_equations():
    priors = Priors.of(EVERY, parameter_map())
    found = priors.residuals(priors.parameters.complete(priors.parameters.values), torch.arange(3))
    expected = [2.0, 1.0, -0.5, np.log10(2.0) / 0.3, np.log10(0.5 / 0.3) / 0.2, -0.5, 2.0]
    assert np.allclose(found[0], expected)
    assert found[1, 0] == 1.0
    assert found[2, 0] == 0.0  # an infinite width is no prior


def test_derivatives_are_those_of_the_residuals():
    priors = Priors.of(EVERY, parameter_map())
    rows = torch.arange(3)
    theta = priors.parameters.to_theta(priors.parameters.values)

    def residuals(theta):
        return priors.residuals(priors.parameters.expand(theta, rows), rows)

    model = priors.linearise(theta, rows)
    jacobian = torch.func.jacfwd(residuals)(theta)[rows, :, rows]
    assert torch.allclose(model.hessian, jacobian.transpose(1, 2) @ jacobian)
    gradient = (jacobian.transpose(1, 2) @ residuals(theta)[..., None])[..., 0]
    assert torch.allclose(model.gradient, -gradient)
    assert torch.allclose(model.cost, priors.cost(priors.parameters.expand(theta, rows), rows))


def test_an_angle_is_compared_the_nearer_way_round():
    priors = Priors.of(
        [GaussianPrior("disc.position_angle", -80.0, 10.0)],
        parameter_map(),
        periods={"disc.position_angle": 180.0},
    )
    values = priors.parameters.values.clone()
    values[:, priors.parameters.names.index("disc.position_angle")] = 85.0
    assert torch.allclose(priors.residuals(values, torch.arange(3)), torch.tensor(-1.5).double())


def test_volume_is_that_of_the_change_to_logarithms():
    given = [
        GaussianPrior("bulge.sersic_index", 2.0, 1.0),
        LogNormalPrior("bulge.effective_radius", 2.0, 0.3),
        UniformPrior("disc.scale_radius", 1.0, 9.0),
        LogNormalPrior("disc.axis_ratio", 0.5, 0.1),
    ]
    priors = Priors.of(given, parameter_map())
    found = priors.log_volume(priors.parameters.complete(priors.parameters.values))
    expected = np.log(3.0) + np.log(4.0) - (0 if priors.parameters.log[4] else np.log(0.5))
    assert torch.allclose(found, torch.tensor(expected).double())


def test_a_narrow_prior_holds_a_parameter_and_a_wide_one_nothing():
    batch, _ = mock_batch(count=4)
    free = isolux.fit(batch, SCENE)
    narrow = isolux.fit(batch, SCENE, priors=[GaussianPrior("galaxy.sersic_index", 2.0, 1e-4)])
    held = isolux.fit(batch, Scene(galaxy=Sersic(sersic_index=Fixed(2.0)), sky=FlatSky()))
    wide = isolux.fit(batch, SCENE, priors=[GaussianPrior("galaxy.sersic_index", 2.0, 1e4)])
    for name in ("galaxy.effective_radius", "galaxy.magnitude"):
        assert torch.allclose(narrow[name], held[name], rtol=1e-3)
        assert torch.allclose(narrow.error(name), held.error(name), rtol=1e-2)
        assert torch.allclose(wide[name], free[name], rtol=1e-4)
        assert torch.allclose(wide.error(name), free.error(name), rtol=1e-3)
    assert torch.allclose(narrow.error("galaxy.sersic_index"), torch.tensor(1e-4).double(), rtol=1e-2)
    assert wide.prior.max() < 1e-3
    assert free.prior is None


def test_posterior_of_a_linear_parameter_is_the_weighted_mean():
    batch, _ = mock_batch(count=3)
    mean = torch.tensor([0.1, -0.1, 0.05], dtype=torch.float64)
    free = isolux.fit(batch, SCENE)
    values = {c.name: Fixed(free[c.name].numpy()) for c in free.columns}
    shape = {name.split(".")[1]: value for name, value in values.items() if name.startswith("galaxy.")}
    scene = Scene(galaxy=Sersic(**shape), sky=FlatSky())
    alone = isolux.fit(batch, scene)
    width = alone.error("sky.level")[0].item()
    both = isolux.fit(
        batch, scene, priors=[GaussianPrior("sky.level", Column("expected"), width)], start={"expected": mean}
    )
    weights = [1 / alone.error("sky.level") ** 2, torch.full((3,), width**-2)]
    expected = (alone["sky.level"] * weights[0] + mean * weights[1]) / (weights[0] + weights[1])
    assert torch.allclose(both["sky.level"], expected, atol=1e-3 * width)
    assert torch.allclose(both.error("sky.level"), (weights[0] + weights[1]) ** -0.5, rtol=1e-3)
    assert torch.allclose(both.prior, ((both["sky.level"] - mean) / width) ** 2, rtol=1e-3)


def test_uniform_prior_on_a_parameter_is_its_bounds():
    batch, _ = mock_batch(count=4)
    found = isolux.fit(batch, SCENE, priors=[UniformPrior("galaxy.sersic_index", 1.5, 2.0)])
    bounded = Scene(galaxy=Sersic(sersic_index=isolux.Free(lower=1.5, upper=2.0)), sky=FlatSky())
    expected = isolux.fit(batch, bounded)
    assert torch.allclose(found.values, expected.values)
    assert [Flag.AT_BOUND in f for f in found.flags] == [Flag.AT_BOUND in f for f in expected.flags]
    assert any(Flag.AT_BOUND in f for f in found.flags)


def test_uniform_prior_on_an_angle_takes_starts_round_the_circle():
    batch, truth = mock_batch(count=4)
    around = truth["position_angle"] + 180.0
    prior = UniformPrior("galaxy.position_angle", around - 30, around + 30)
    found = isolux.fit(batch, SCENE, priors=[prior])
    free = isolux.fit(batch, SCENE)
    assert all(status is Status.CONVERGED for status in found.status)
    assert torch.allclose(found["galaxy.position_angle"], free["galaxy.position_angle"], atol=0.1)


def test_uniform_prior_on_a_function_is_a_steep_wall():
    batch, _ = mock_batch(count=4)
    prior = UniformPrior("galaxy.effective_radius * galaxy.axis_ratio", 0.0, 2.0)
    found = isolux.fit(batch, SCENE, priors=[prior])
    size = found["galaxy.effective_radius"] * found["galaxy.axis_ratio"]
    assert all(status is Status.CONVERGED for status in found.status)
    assert (size < 2.0 + 0.1).all()
    assert (size > 1.9).any()


def test_what_contradicts_its_prior_is_flagged():
    batch, truth = mock_batch(count=6)
    found = isolux.fit(batch, SCENE, priors=[GaussianPrior("galaxy.sersic_index", 2.0, 0.1)])
    expected = (found["galaxy.sersic_index"] - 2.0).abs() > 0.4
    assert [Flag.PRIOR_CONFLICT in flags for flags in found.flags] == expected.tolist()
    assert 0 < expected.sum() < 6
    wall = isolux.fit(batch, SCENE, priors=[UniformPrior("1 * galaxy.sersic_index", high=2.0)])
    inside = torch.tensor(truth["sersic_index"]) < 1.8
    assert [Flag.AT_BOUND in flags for flags in wall.flags] == (~inside).tolist()
    assert not any(Flag.PRIOR_CONFLICT in flags for flags in wall.flags)


def test_uniform_priors_of_single_galaxies_can_be_wrong_too():
    batch, _ = mock_batch(count=3, size=32)
    prior = UniformPrior("galaxy.sersic_index", [1.0, 3.0, 1.0], [4.0, 2.0, 4.0])
    found = isolux.fit(batch, SCENE, priors=[prior], errors="bootstrap", replicates=10)
    assert [status is Status.BAD_PRIOR for status in found.status] == [False, True, False]


def test_bootstrap_draws_priors_too():
    batch, _ = mock_batch(count=2)
    priors = [GaussianPrior("galaxy.sersic_index", 2.0, 1e-3)]
    found = isolux.fit(batch, SCENE, priors=priors, errors="bootstrap", replicates=60)
    error = found.error("galaxy.sersic_index")
    assert torch.allclose(error, torch.tensor(1e-3).double(), rtol=0.35)  # 60 draws: 9 % each
    again = isolux.fit(batch.select([1]), SCENE, priors=priors, errors="bootstrap", replicates=60)
    assert torch.allclose(again.error("galaxy.sersic_index"), error[1:], rtol=1e-3)


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (GaussianPrior("galaxy.sersic_indx", 2, 1), "did you mean 'galaxy.sersic_index'"),
        (GaussianPrior(lambda values: values["galaxy.n"], 2, 1), "unknown parameter in a prior 'galaxy.n'"),
        (GaussianPrior("galaxy.x +", 2, 1), "is not an arithmetic expression"),
        (GaussianPrior(lambda values: np.zeros((5, 5)), 2, 1), "the function failed"),
        (GaussianPrior("galaxy.sersic_index", 2, 0), "width (got 0); allowed: above 0"),
        (GaussianPrior("galaxy.sersic_index", 2, -1), "width (got -1)"),
        (GaussianPrior("galaxy.sersic_index", np.nan, 1), "mean (got nan)"),
        (GaussianPrior("galaxy.sersic_index", 20, 1), "within the parameter's bounds, 0.2 to 10"),
        (GaussianPrior("galaxy.sersic_index", "2 pixels", 1), "a number, an array or a Column"),
        (GaussianPrior("galaxy.sersic_index", [1, 2], 1), "mean has shape (2,) for 3 galaxies"),
        (GaussianPrior("galaxy.sersic_index", Column("n"), 1), "unknown column"),
        (GaussianPrior("galaxy.boxiness", 0, 1), "which is fixed"),
        (GaussianPrior("2 * galaxy.boxiness", 0, 1), "depends on no free parameter"),
        (LogNormalPrior("galaxy.effective_radius", 0, 0.1), "median (got 0)"),
        (LogNormalPrior("galaxy.effective_radius", 3, 0), "dex (got 0)"),
        (UniformPrior("galaxy.sersic_index", 3, 2), "low below high"),
        (UniformPrior("galaxy.sersic_index", 2, 2), "low below high"),
        (UniformPrior("galaxy.sersic_index"), "one of them at least finite"),
        (UniformPrior("galaxy.sersic_index", 50, 60), "a range that meets the parameter's bounds, 0.2 to 10"),
        (UniformPrior("galaxy.x + galaxy.y", 0, 1, edge=0), "edge (got 0)"),
        ("galaxy.sersic_index", "GaussianPrior, LogNormalPrior or UniformPrior"),
    ],
)
def test_priors_that_cannot_be_meant(prior, said):
    batch, _ = mock_batch(count=3, size=24)
    with pytest.raises(InputError) as raised:
        isolux.fit(batch, SCENE, priors=[prior])
    assert said in str(raised.value)


def test_what_is_wrong_with_one_galaxys_prior_is_its_status():
    batch, _ = mock_batch(count=6, size=32)
    table = {"n": [2.0, 2.0, np.nan, 2.0, 50.0, 2.0], "dn": [0.5, 0.0, 0.5, 0.5, 0.5, -1.0]}
    prior = GaussianPrior("galaxy.sersic_index", Column("n"), Column("dn"))
    found = isolux.fit(batch, SCENE, priors=[prior], start=table)
    good = isolux.fit(batch, SCENE, priors=[GaussianPrior("galaxy.sersic_index", 2.0, 0.5)])
    bad = [1, 2, 4, 5]
    assert [k for k, status in enumerate(found.status) if status is Status.BAD_PRIOR] == bad
    assert "width (got 0); allowed: above 0" in found.message[1]
    assert "mean (got 50)" in found.message[4]
    for k in (0, 3):
        assert torch.equal(found.values[k], good.values[k])
        assert torch.equal(found.errors[k], good.errors[k])
    assert torch.isnan(found.values[bad]).all()


def test_a_prior_that_is_not_finite_at_the_start_is_a_status():
    batch, _ = mock_batch(count=3, size=32)
    start = {"galaxy.x": [15.0, 17.0, 15.0]}
    prior = GaussianPrior("log(16 - galaxy.x)", 0.0, 5.0)
    found = isolux.fit(batch, SCENE, priors=[prior], start=start)
    assert [status is Status.BAD_PRIOR for status in found.status] == [False, True, False]
    assert "not finite" in found.message[1]


def test_priors_are_read_from_text_and_tables():
    text = prior_from("galaxy.sersic_index=gaussian:2:0.5")
    table = prior_from({"on": "galaxy.sersic_index", "kind": "gaussian", "mean": 2.0, "width": 0.5})
    assert dataclasses.astuple(text) == dataclasses.astuple(table)
    wall = prior_from("bulge.flux / disc.flux = uniform::1")
    assert (wall.on, wall.low, wall.high) == ("bulge.flux / disc.flux", -np.inf, 1.0)
    assert prior_from("galaxy.x=log-normal:m:0.1").median == Column("m")
    assert prior_from(wall) is wall
    assert priors_from([wall]) == (wall,)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("galaxy.x=gauss:1:2", "a prior cannot be read"),
        ("galaxy.x", "a prior cannot be read"),
        ("galaxy.x=gaussian:1", "a prior cannot be read"),
        ("galaxy.x=gaussian::1", "needs mean"),
        ({"on": "galaxy.x", "kind": "gausian", "mean": 1}, "did you mean 'gaussian'"),
        ({"on": "galaxy.x", "kind": "gaussian", "means": 1}, "did you mean 'mean'"),
        ({"on": "galaxy.x", "kind": "gaussian", "mean": 1}, "needs width"),
        ({"kind": "gaussian", "mean": 1}, "what it is on"),
        (3, "a prior cannot be read"),
    ],
)
def test_priors_that_cannot_be_read(value, said):
    with pytest.raises(InputError) as raised:
        prior_from(value)
    assert said in str(raised.value)
