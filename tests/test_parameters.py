"""Settings, ties and the map from free vectors to values."""

import numpy as np
import pytest
import torch

from isolux import Column, Exponential, Fixed, Free, InputError, Parameter, Scene, Sersic, Tied
from isolux.parameter_map import build_map

NUMBERS = {"x": 10.0, "y": 11.0, "magnitude": 18.0, "axis_ratio": 0.5, "position_angle": 20.0}


def scene(**bulge):
    settings = {**NUMBERS, "effective_radius": 2.0, "sersic_index": 3.0} | bulge
    return Scene(disc=Exponential(**NUMBERS, scale_radius=4.0), bulge=Sersic(**settings))


def parameter_map(model, galaxies=2):
    return build_map(model.parameters, model.values(galaxies), torch.ones(galaxies))


def column(parameters, name):
    return parameters.names.index(name)


def test_round_trip_of_linear_and_logarithmic_parameters():
    parameters = parameter_map(scene())
    rows = torch.arange(2)
    theta = parameters.to_theta(parameters.values)
    assert torch.allclose(parameters.expand(theta, rows), parameters.values, rtol=1e-14)
    radius = parameters.free.index(column(parameters, "bulge.effective_radius"))
    assert theta[0, radius] == np.log(2.0)


def test_kinds_and_counts():
    parameters = parameter_map(
        scene(x=Tied("disc.x"), sersic_index=Fixed(4.0), effective_radius=Tied("disc.scale_radius / 3"))
    )
    kinds = dict(zip(parameters.names, parameters.kinds(), strict=True))
    assert kinds["bulge.x"] == "tied"
    assert kinds["bulge.sersic_index"] == "fixed"
    assert kinds["bulge.effective_radius"] == "tied"
    assert kinds["disc.boxiness"] == "fixed"
    assert parameters.n_free == list(kinds.values()).count("free") == 10


def test_ties_of_ties_follow():
    model = scene(
        x=Tied("disc.x"),
        effective_radius=Tied("disc.scale_radius * 0.5"),
        axis_ratio=Tied("bulge.effective_radius / 4"),
    )
    parameters = parameter_map(model)
    theta = parameters.to_theta(parameters.values)
    theta[:, parameters.free.index(column(parameters, "disc.scale_radius"))] = np.log(3.0)
    theta[:, parameters.free.index(column(parameters, "disc.x"))] = 7.5
    values = parameters.expand(theta, torch.arange(2))
    assert torch.allclose(values[:, column(parameters, "bulge.effective_radius")], torch.tensor(1.5).double())
    assert torch.allclose(values[:, column(parameters, "bulge.axis_ratio")], torch.tensor(0.375).double())
    assert (values[:, column(parameters, "bulge.x")] == 7.5).all()


def test_jacobian_against_differences():
    model = scene(
        x=Tied("disc.x"),
        effective_radius=Tied("0.3 * disc.scale_radius ** 1.5 + exp(-disc.axis_ratio)"),
        y=Tied(lambda p: p["disc.y"] + 1),
    )
    parameters = parameter_map(model)
    rows = torch.arange(2)
    theta = parameters.to_theta(parameters.values)
    jacobian = parameters.jacobian(theta, rows)
    for k in range(parameters.n_free):
        step = torch.zeros_like(theta)
        step[:, k] = 1e-6
        difference = (parameters.expand(theta + step, rows) - parameters.expand(theta - step, rows)) / 2e-6
        assert torch.allclose(jacobian[:, :, k], difference, atol=1e-7)


def test_flux_like_parameters_are_fitted_in_units_of_the_noise():
    settings = {key: value for key, value in NUMBERS.items() if key != "magnitude"}
    model = Scene(g=Sersic(**settings, flux=3e-11, effective_radius=2.0))
    parameters = build_map(model.parameters, model.values(1), torch.tensor([1e-12]))
    theta = parameters.to_theta(parameters.values)
    assert theta[0, parameters.free.index(column(parameters, "g.flux"))] == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"x": Tied("disk.x")}, "did you mean 'disc.x'"),
        ({"x": Tied("disc.x +")}, "not an arithmetic expression"),
        ({"x": Tied("__import__('os')")}, "only"),
        ({"x": Tied("bulge.y"), "y": Tied("bulge.x")}, "circle"),
        ({"x": Tied("bulge.y + 1"), "y": Tied("bulge.x + 1")}, "circle"),
        ({"axis_ratio": Free(0.5, lower=0.9, upper=0.2)}, "lower bound must be below"),
        ({"effective_radius": Free(2.0, lower=0.0)}, "above 0"),
        ({"x": [1.0, 2.0, 3.0]}, "3 starting values for 2 galaxies"),
    ],
)
def test_faults_are_explained(settings, text):
    with pytest.raises(InputError, match=text):
        parameter_map(scene(**settings))


def test_declaration_is_checked():
    with pytest.raises(InputError, match="lower must be below upper"):
        Parameter("a", "", "b", lower=1.0, upper=1.0)
    with pytest.raises(InputError, match="needs lower > 0"):
        Parameter("a", "", "b", lower=0.0, log=True)


def test_columns_are_looked_up_by_name():
    from isolux.start import starting_values
    from stubs import mock_batch

    batch, _ = mock_batch(count=2)
    model = Scene(g=Sersic(effective_radius=Column("re"), x=Free(Column("xc"), lower=0)))
    values, estimated = starting_values(
        model, batch, {"re": [3.0, 4.0], "xc": [20.0, 21.0], "other": ["a", "b"]}
    )
    assert values[:, model.columns.index("g.effective_radius")].tolist() == [3.0, 4.0]
    assert not estimated[model.columns.index("g.x")]
    assert estimated[model.columns.index("g.y")]
    with pytest.raises(InputError, match="did you mean 're'"):
        starting_values(Scene(g=Sersic(effective_radius=Column("ree"))), batch, {"re": [3.0, 4.0]})
    with pytest.raises(InputError, match=r"did you mean 'g\.magnitude'"):
        starting_values(Scene(g=Sersic()), batch, {"g.magnitud": [3.0, 4.0]})
    with pytest.raises(InputError, match="3 values for 2 galaxies"):
        starting_values(Scene(g=Sersic()), batch, {"g.magnitude": [3.0, 4.0, 5.0]})
