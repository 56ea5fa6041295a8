"""Populations have the distributions that the page says, and counts their density."""

import numpy as np
import pytest

from isolux.mock import population
from isolux.mock.truth import half_light_radius


@pytest.fixture(scope="module")
def many():
    """Return twenty thousand galaxies."""
    return population.draw_galaxies(20_000, 16, 25, "mixed", np.random.default_rng(1))


def test_counts_follow_their_law(many):
    magnitude = many.magnitude
    for faint in (19.0, 21.0, 23.0):
        expected = population.galaxy_density(16, faint) / population.galaxy_density(16, 25)
        # Binomial, four sigma.
        found = (magnitude < faint).mean()
        assert abs(found - expected) < 4 * np.sqrt(expected / len(magnitude))
    assert magnitude.min() > 16
    assert magnitude.max() < 25
    step = population.galaxy_density(20.999, 21.0) / population.galaxy_density(21.0, 21.001)
    assert step == pytest.approx(1, rel=1e-2)


def test_sizes_and_indices_are_those_of_cosmos(many):
    late = ~many.double & (many.early == 0) & (np.abs(many.magnitude - 22) < 0.3)
    assert np.median(np.log10(many.radius[late])) == pytest.approx(-0.26, abs=0.04)
    assert np.median(many.index[late]) == pytest.approx(1.15, abs=0.08)
    early = ~many.double & (many.early == 1)
    assert early.sum() / (~many.double).sum() == pytest.approx(0.21, abs=0.02)
    assert many.index.max() <= 6
    assert many.ratio.min() >= 0.15


def test_bulges_are_brighter_in_brighter_and_redder_light(many):
    bright, faint = many.magnitude < 20.5, many.magnitude > 24
    two = many.double
    assert np.median(many.bulge_share[two & bright]) > np.median(many.bulge_share[two & faint]) + 0.05
    assert two[bright].mean() > two[faint].mean() + 0.1
    blue, red = (np.stack(many.select(np.flatnonzero(two)).component_magnitudes(w)) for w in (480.0, 900.0))
    bulge, disc = np.median(blue - red, axis=1)
    assert bulge > disc + 0.3


def test_stars_follow_their_law():
    drawn = population.star_magnitudes(20_000, 14, 24, np.random.default_rng(2))
    expected = population.star_density(14, 20) / population.star_density(14, 24)
    assert (drawn < 20).mean() == pytest.approx(expected, abs=0.02)


def test_half_light_radius_of_a_pure_disc_or_bulge_is_its_own(many):
    some = many.select(np.flatnonzero(many.double)[:2])
    pure = population.Galaxies(
        **{**{name: getattr(some, name) for name in vars(some)}, "bulge_share": np.array([1e-9, 1 - 1e-9])}
    )
    found = half_light_radius(pure, population.REFERENCE)
    assert found[0] == pytest.approx(pure.disc_scale[0] * 1.67834699, rel=1e-4)
    assert found[1] == pytest.approx(pure.bulge_radius[1], rel=1e-4)
