"""Weak priors on galaxies of a field."""

import numpy as np
import pytest

from isolux import FlatSky, Scene
from isolux.field.models import MODELS, scene_of
from isolux.field.population import (
    LEAST_GALAXIES,
    NARROWEST,
    SIZE_WIDTH,
    SKY,
    SKY_WIDTH,
    STEEPEST,
    WIDER,
    learn_sizes,
    population_columns,
    population_priors,
)
from isolux.parameters import Column


def galaxies(count=200, scatter=0.2, slope=-0.12, seed=1):
    rng = np.random.default_rng(seed)
    magnitude = rng.uniform(17, 21, count)
    return magnitude, 10 ** (0.6 + slope * (magnitude - 19) + scatter * rng.standard_normal(count))


def test_the_relation_of_sizes_is_learned():
    magnitude, radius = galaxies()
    found = learn_sizes(magnitude, radius)
    # 200 galaxies: 0.02 for the middle, 0.012 for the slope, and both a quarter more for absolute deviations
    assert np.log10(found.radius(19.0)) == pytest.approx(0.6, abs=0.07)
    assert found.slope == pytest.approx(-0.12, abs=0.05)
    assert found.dex == pytest.approx(max(WIDER * 0.2, NARROWEST), rel=0.2)


def test_outliers_and_what_is_not_finite_do_not_matter():
    magnitude, radius = galaxies()
    plain = learn_sizes(magnitude, radius)
    spoiled = learn_sizes(np.r_[magnitude, [18.0] * 10, np.nan], np.r_[radius, [500.0] * 10, 3.0])
    assert spoiled.radius(22.0) == pytest.approx(plain.radius(22.0), rel=0.1)


def test_few_galaxies_teach_nothing_and_none_a_cliff():
    assert learn_sizes(*galaxies(LEAST_GALAXIES - 1)) is None
    steep = learn_sizes(*galaxies(slope=-2.0))
    assert steep.slope == -STEEPEST
    assert learn_sizes(*galaxies(scatter=1e-4)).dex == NARROWEST


@pytest.mark.parametrize(
    "names", [(name,) for name in MODELS] + [("sersic", "point"), ("bulge+disc", "exponential")]
)
def test_priors_are_on_parameters_that_the_scene_has_with_numbers_that_there_are(names):
    models = [MODELS[name] for name in names]
    priors = population_priors(models)
    scene = scene_of(models, 64)
    columns = population_columns(models, [3.0, 2.0][: len(models)], 0.5, 10.0, 25.0)
    assert isinstance(scene, Scene)
    assert isinstance(scene.components["sky"], FlatSky)
    for prior in priors:
        assert prior.on in scene.columns
        for number in prior.given.values():
            if isinstance(number, Column):
                assert columns[number.name] > 0
    assert columns[SKY_WIDTH] == SKY * 0.5


def test_the_sky_of_bright_sources_is_free_and_sizes_stay_in_the_stamp():
    models = [MODELS["sersic"]]
    bright = population_columns(models, [300.0], 0.5, 300.0, 25.0, 0.3)
    assert bright[SKY_WIDTH] == pytest.approx(0.5 * SKY * 100)
    assert bright["size"] == 25.0
    assert bright[SIZE_WIDTH] == 0.3
