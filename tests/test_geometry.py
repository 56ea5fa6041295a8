"""The convention of pixels and angles, and the chain rule that every radial profile shares."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isolux.geometry import (
    Ellipse,
    axis_offsets,
    chain,
    circularised,
    locate,
    moment_factors,
    moments,
    pixel_offsets,
    superellipse_area,
    wrap_angle,
)

NAMES = ["axis_ratio", "position_angle", "boxiness"]


def number(value):
    return torch.tensor([[value]], dtype=torch.float64)


def ellipse(x=0.0, y=0.0, axis_ratio=0.5, position_angle=0.0, boxiness=None):
    shape = None if boxiness is None else number(boxiness)
    return Ellipse(number(x), number(y), number(axis_ratio), number(position_angle), shape)


def radius(shape, x, y):
    return locate(shape, *axis_offsets(shape, x, y)).radius


@pytest.mark.parametrize(
    ("angle", "tip"),
    [(0, (0, 1)), (90, (-1, 0)), (45, (-1, 1)), (-90, (1, 0)), (180, (0, -1)), (-45, (1, 1))],
)
def test_angle_zero_is_up_and_ninety_is_left(angle, tip):
    dx, dy = (10 * t / math.hypot(*tip) for t in tip)
    shape = ellipse(x=3, y=7, position_angle=angle)
    major, minor = axis_offsets(shape, number(3 + dx), number(7 + dy))
    assert major.item() == pytest.approx(10)
    assert minor.item() == pytest.approx(0, abs=1e-12)
    assert locate(shape, major, minor).radius.item() == pytest.approx(10)
    across = radius(shape, number(3 + dy), number(7 - dx)).item()
    assert across == pytest.approx(20)


def test_offsets_there_and_back():
    shape = ellipse(x=3.2, y=-1.5, position_angle=33.0)
    x, y = torch.rand(2, 1, 50, dtype=torch.float64) * 40 - 20
    dx, dy = pixel_offsets(shape, *axis_offsets(shape, x, y))
    torch.testing.assert_close(dx, x - 3.2)
    torch.testing.assert_close(dy, y + 1.5)


def test_boxiness_zero_is_an_ellipse():
    x, y = torch.rand(2, 1, 50, dtype=torch.float64) * 40 - 20
    plain = ellipse(position_angle=20.0)
    boxy = dataclasses.replace(plain, boxiness=number(0.0))
    torch.testing.assert_close(radius(boxy, x, y), radius(plain, x, y))


def test_positive_boxiness_reaches_into_the_corners():
    corner, tip = number(5.0), number(0.0)
    round_, boxy, discy = (
        radius(ellipse(axis_ratio=1.0, boxiness=b), corner, corner).item() for b in (0, 1, -0.5)
    )
    assert boxy < round_ < discy
    for b in (0, 1, -0.5):
        assert radius(ellipse(axis_ratio=1.0, boxiness=b), tip, corner).item() == pytest.approx(5, rel=1e-6)


def slope_by(name, shape, offsets, slope):
    """Derivative of a function of radius with this slope, by a parameter of the shape."""
    if shape.boxiness is not None:
        return chain(shape, offsets, slope, {name})[name]
    moment, factor = moment_factors(shape)[name]
    maps = torch.empty(len(slope), 1, slope.shape[1], dtype=slope.dtype)
    moments(offsets, slope / offsets.radius, [moment], maps)
    return maps[:, 0] * factor


@pytest.mark.parametrize(
    ("boxiness", "name"),
    [*((None, name) for name in NAMES[:2]), *((b, name) for b in (0.0, 0.5, -0.5) for name in NAMES)],
)
def test_slopes_of_shape_against_finite_differences(boxiness, name):
    shape = ellipse(x=0.3, y=-0.7, axis_ratio=0.6, position_angle=25.0, boxiness=boxiness)
    x, y = torch.rand(2, 1, 40, dtype=torch.float64) * 30 - 15
    offsets = locate(shape, *axis_offsets(shape, x, y))
    slope = -torch.exp(-offsets.radius / 8) / 8
    step = 1e-5
    light = [
        torch.exp(-radius(dataclasses.replace(shape, **{name: getattr(shape, name) + h}), x, y) / 8)
        for h in (step, -step)
    ]
    expected = (light[0] - light[1]) / (2 * step)
    # Roundoff of the difference: 1e-16 / step.
    torch.testing.assert_close(slope_by(name, shape, offsets, slope), expected, rtol=1e-7, atol=1e-10)


def test_chain_gives_what_is_wanted_and_is_finite_at_the_centre():
    shape = ellipse(boxiness=0.5)
    offsets = locate(shape, number(0.0), number(0.0))
    maps = chain(shape, offsets, number(-1.0), set(NAMES))
    assert sorted(maps) == sorted(NAMES)
    assert all(torch.isfinite(m).all() for m in maps.values())
    assert chain(shape, offsets, number(-1.0), {"boxiness"}).keys() == {"boxiness"}


@pytest.mark.parametrize("boxiness", [-0.9, -0.5, 0.0, 0.5, 2.0])
def test_area_of_the_superellipse_by_counting(boxiness):
    cells = 2000
    centres = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    power = boxiness + 2
    inside = (1 - centres**power) ** (1 / power)  # height of the curve in one quadrant
    area = 4 * inside.mean().item()
    assert math.pi * superellipse_area(number(boxiness)).item() == pytest.approx(area, rel=1e-4)


def test_area_of_square_circle_and_diamond():
    ratios = superellipse_area(torch.tensor([-1.0, 0.0, 200.0], dtype=torch.float64))
    torch.testing.assert_close(
        ratios, torch.tensor([2 / math.pi, 1.0, 4 / math.pi]).double(), rtol=1e-4, atol=0
    )


def test_flux_of_a_boxy_galaxy():
    shape = ellipse(axis_ratio=0.6, position_angle=30.0, boxiness=0.7)
    grid = torch.arange(-60, 60, 0.25, dtype=torch.float64)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    flux = torch.exp(-radius(shape, x.reshape(1, -1), y.reshape(1, -1)) / 4).sum().item() * 0.25**2
    expected = 2 * math.pi * 16 * 0.6 * superellipse_area(number(0.7)).item()
    assert flux == pytest.approx(expected, rel=1e-3)


@given(st.floats(-1e4, 1e4))
def test_wrapped_angle_is_the_same_direction(angle):
    wrapped = wrap_angle(torch.tensor(angle, dtype=torch.float64), 180.0).item()
    assert -90 < wrapped <= 90
    turns = (angle - wrapped) / 180
    assert turns == pytest.approx(round(turns), abs=1e-9)


def test_wrap_keeps_the_upper_end():
    angles = torch.tensor([90.0, -90.0, 91.0, 270.0, 0.0])
    torch.testing.assert_close(wrap_angle(angles, 180.0), torch.tensor([90.0, 90.0, -89.0, 90.0, 0.0]))


def test_circularised_radius_keeps_the_area():
    assert circularised(torch.tensor(10.0), torch.tensor(0.25)).item() == 5.0
