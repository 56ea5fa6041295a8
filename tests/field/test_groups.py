"""Groups of neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isolux.field.groups import ellipse_radius, group_sources, links, sizes


def round_ones(x, y, radius):
    count = len(x)
    return (
        np.array(x, float),
        np.array(y, float),
        np.full(count, radius),
        np.full(count, radius),
        np.zeros(count),
    )


def test_radius_of_an_ellipse_in_a_direction():
    a, b, theta = np.array([4.0]), np.array([2.0]), np.array([30.0])
    assert ellipse_radius(a, b, theta, np.array([30.0])) == pytest.approx(4)
    assert ellipse_radius(a, b, theta, np.array([-150.0])) == pytest.approx(4)
    assert ellipse_radius(a, b, theta, np.array([120.0])) == pytest.approx(2)


def test_touching_sources_are_a_group_and_others_are_not():
    x, y, a, b, theta = round_ones([10, 13, 40], [10, 10, 10], 2.0)
    assert group_sources(x, y, a, b, theta, most=4) == [(0, 1), (2,)]
    assert group_sources(*round_ones([10, 14.1], [10, 10], 2.0), most=4) == [(0,), (1,)]


def test_thin_ellipses_touch_along_their_major_axes_only():
    side_by_side = np.array([10.0, 16.0]), np.array([10.0, 10.0])
    a, b = np.array([5.0, 5.0]), np.array([1.0, 1.0])
    assert len(links(*side_by_side, a, b, np.array([90.0, 90.0]))[0]) == 1  # 90 degrees: along x
    assert len(links(*side_by_side, a, b, np.array([0.0, 0.0]))[0]) == 0


def test_a_small_source_in_a_large_one_is_found():
    x, y = np.array([50.0, 75.0]), np.array([50.0, 50.0])
    a = np.array([30.0, 1.0])
    assert group_sources(x, y, a, a, np.zeros(2), most=4) == [(0, 1)]


def test_a_chain_is_cut_where_it_is_weakest():
    x, y, a, b, theta = round_ones([0, 2, 5.5, 7.5], [0, 0, 0, 0], 2.0)
    assert group_sources(x, y, a, b, theta, most=4) == [(0, 1, 2, 3)]
    assert group_sources(x, y, a, b, theta, most=3) == [(0, 1), (2, 3)]
    assert group_sources(x, y, a, b, theta, most=1) == [(0,), (1,), (2,), (3,)]


def test_nothing_and_one():
    assert group_sources(*round_ones([], [], 1.0), most=4) == []
    assert group_sources(*round_ones([3], [4], 1.0), most=4) == [(0,)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 5))
def test_each_source_is_in_one_group_that_is_not_too_large(seed, count, most):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 60, (2, count))
    a = rng.uniform(1, 8, count)
    b, theta = a * rng.uniform(0.1, 1, count), rng.uniform(-90, 90, count)
    groups = group_sources(x, y, a, b, theta, most)
    assert sorted(k for group in groups for k in group) == list(range(count))
    assert max(len(group) for group in groups) <= most
    number, size = sizes(groups, count)
    assert all(len(groups[n]) == s for n, s in zip(number, size, strict=True))
    # Sources in another order are the same groups.
    order = rng.permutation(count)
    again = group_sources(x[order], y[order], a[order], b[order], theta[order], most)
    assert {frozenset(order[list(group)].tolist()) for group in again} == {frozenset(g) for g in groups}
