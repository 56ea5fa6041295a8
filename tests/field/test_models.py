"""Scenes of several sources, and what a group's fit says of each member."""

import numpy as np
import pytest
import torch

from isolux import Batch, Flag, fit
from isolux.errors import InputError
from isolux.field.models import MODELS, member, model_named, scene_of
from isolux.simulate import draw, moffat_psf
from isolux.status import Status

SIDE = 64
PSF = moffat_psf(3.0, size=25)


def stamps(models, starts, noise=0.02, seed=1):
    scene = scene_of(models, SIDE)
    values = torch.tensor([[starts.get(name, 0.0) for name in scene.columns]])
    given = {name: float(v) for name, v in zip(scene.columns, values[0], strict=True)}
    for component, profile in scene.components.items():
        for short, (parameter, _) in profile.settings.items():
            if f"{component}.{short}" not in starts and parameter.default is not None:
                given[f"{component}.{short}"] = parameter.default
    truth = {}
    for component, profile in scene.components.items():
        named = {short: given[f"{component}.{short}"] for short in profile.settings}
        truth[component] = type(profile)(**{n: v for n, v in named.items() if n != "boxiness"})
    from isolux import Scene

    image, _ = draw(Scene(**truth), (SIDE, SIDE), psf=PSF, zero_point=25.0)
    rng = np.random.default_rng(seed)
    pixels = image.numpy() + noise * rng.standard_normal(image.shape)
    return Batch.from_arrays(
        pixels, sigma=np.full_like(pixels, noise), psf=PSF, zero_point=25.0, dtype=torch.float64
    )


PAIR = {
    "s0_sersic.x": 24.0,
    "s0_sersic.y": 30.0,
    "s0_sersic.magnitude": 19.5,
    "s0_sersic.effective_radius": 5.0,
    "s0_sersic.sersic_index": 1.8,
    "s0_sersic.axis_ratio": 0.6,
    "s0_sersic.position_angle": 40.0,
    "s1_exponential.x": 37.0,
    "s1_exponential.y": 33.0,
    "s1_exponential.magnitude": 20.0,
    "s1_exponential.scale_radius": 2.5,
    "s1_exponential.axis_ratio": 0.8,
    "s1_exponential.position_angle": -20.0,
}


def test_every_model_has_a_scene_with_one_centre_and_a_sky():
    for model in MODELS.values():
        scene = scene_of([model], SIDE)
        assert set(scene.components) == {*model.components, "sky"}
        assert (len(model.components) > 1) == model.composite
        free = [p.full_name for p in scene.parameters if type(p.setting).__name__ == "Free"]
        assert [name for name in free if name.endswith(".x")] == [f"{model.centre}.x"]
        assert model.light in model.components


def test_components_of_members_have_names_of_their_own():
    scene = scene_of([MODELS["bulge+disc"], MODELS["point"]], SIDE)
    assert set(scene.components) == {"s0_disc", "s0_bulge", "s1_point", "sky"}
    settings = {p.full_name: p.setting for p in scene.parameters}
    assert settings["s0_bulge.x"].to == "s0_disc.x"


def test_members_of_a_pair_have_their_own_numbers_errors_and_flags():
    models = [MODELS["sersic"], MODELS["exponential"]]
    batch = stamps(models, PAIR)
    start = {name: np.array([value * 1.02]) for name, value in PAIR.items()}
    result = fit(batch, scene_of(models, SIDE), start=start)
    assert result.status[0] is Status.CONVERGED
    one, two = (member(result, batch, models, k) for k in range(2))
    for part, prefix, name in ((one, "s0_", "sersic"), (two, "s1_", "exponential")):
        assert [q.name for q in part.columns] == list(scene_of([models[prefix == "s1_"]], SIDE).columns)
        for short in ("x", "magnitude", "axis_ratio"):
            own, group = f"{name}.{short}", f"{prefix}{name}.{short}"
            assert float(part[own][0]) == float(result[group][0])
            assert float(part.error(own)[0]) == float(result.error(group)[0])
            # 4 sigma: one in 16,000 draws of the noise would fail
            assert abs(float(part[own][0]) - PAIR[group]) < 4 * float(part.error(own)[0])
    names = [q.name for q in result.columns]
    at = [names.index("s0_sersic.magnitude"), names.index("s0_sersic.sersic_index")]
    own = [[q.name for q in one.columns].index(n) for n in ("sersic.magnitude", "sersic.sersic_index")]
    assert float(one.covariance[0, own[0], own[1]]) == float(result.covariance[0, at[0], at[1]])
    assert float(one["sersic.flux"][0]) == pytest.approx(
        10 ** (-0.4 * (float(one["sersic.magnitude"][0]) - 25))
    )
    assert "total.magnitude" not in [q.name for q in one.derived]


def test_flags_of_one_member_are_not_those_of_the_other():
    models = [MODELS["sersic"], MODELS["exponential"]]
    faint = PAIR | {"s1_exponential.magnitude": 25.5}
    batch = stamps(models, faint)
    result = fit(batch, scene_of(models, SIDE), start={name: np.array([v]) for name, v in faint.items()})
    one, two = (member(result, batch, models, k) for k in range(2))
    assert Flag.LOW_SIGNAL in result.flags[0]
    assert Flag.LOW_SIGNAL in two.flags[0]
    assert Flag.LOW_SIGNAL not in one.flags[0]


def test_a_single_source_is_its_own_group():
    models = [MODELS["sersic"]]
    alone = {name.removeprefix("s0_"): value for name, value in PAIR.items() if name.startswith("s0_")}
    batch = stamps(models, alone)
    result = fit(batch, scene_of(models, SIDE))
    assert member(result, batch, models, 0) is result


def test_an_unknown_model_is_an_error_with_the_nearest_name():
    assert model_named("Sérsic").name == "sersic"
    assert model_named("bulge+disk").name == "bulge+disc"
    with pytest.raises(InputError, match="did you mean 'exponential'"):
        model_named("exponentail")
    with pytest.raises(InputError, match="at least one"):
        scene_of([], SIDE)
