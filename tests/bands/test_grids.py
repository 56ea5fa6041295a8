"""Pixel grids, polynomials in wavelength, and what becomes of a polynomial at a bound."""

import numpy as np
import pytest
import torch

import isolux
from cameras import CAMERAS
from isolux.bands.grids import Grids, from_wcs
from isolux.bands.joint import JointMap
from isolux.bands.layout import lay_out
from isolux.bands.polynomial import chebyshev, lagrange, nodes, scaled


def grids(turn=0.0, scale=1.0, mirrored=False, shift=(0.0, 0.0)):
    angle = np.radians(turn)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    return Grids.of(torch.as_tensor(np.column_stack([matrix, shift]))[None])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0.0, 37.0, -120.0, 180.0])
def test_turn_scale_and_parity(turn, mirrored):
    found = grids(turn, 1.7, mirrored)
    assert float(found.scale) == pytest.approx(1.7)
    assert float(found.parity) == (-1 if mirrored else 1)
    assert (float(found.turn) - turn + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_turn_is_that_of_an_axis(mirrored):
    """The major axis at angle PA, (-sin PA, cos PA), goes to angle turn + parity PA."""
    found, pa = grids(31.0, 2.0, mirrored), np.radians(20.0)
    axis = found.matrix[0].numpy() @ np.array([-np.sin(pa), np.cos(pa)])
    angle = np.degrees(np.arctan2(-axis[0], axis[1]))
    expected = float(found.turn + found.parity * 20.0)
    assert (angle - expected + 90) % 180 - 90 == pytest.approx(0, abs=1e-9)


def test_there_and_back_is_nothing():
    there = grids(31.0, 2.0, True, (3.0, -4.0))
    back = there.inverse().after(there)
    assert torch.allclose(back.matrix, torch.eye(2).double()[None], atol=1e-12)
    assert torch.allclose(back.shift, torch.zeros(1, 2).double(), atol=1e-12)


def test_a_map_that_is_not_known_stays_unknown():
    unknown = Grids.of(torch.full((1, 2, 3), torch.nan).double())
    assert not unknown.known.any()
    assert not unknown.inverse().known.any()
    assert not unknown.sheared.any()
    assert unknown.or_identity(unknown.known).known.all()


def test_pixels_of_another_shape_are_noticed():
    stretched = Grids.of(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.05, 0.0]]]).double())
    assert stretched.sheared.all()
    assert not grids(20.0, 3.0).sheared.any()


@pytest.mark.parametrize("other", ["r", "i"])
def test_grids_from_two_wcs(other):
    one, two = CAMERAS["g"], CAMERAS[other]
    affine = from_wcs(one.wcs(), two.wcs(), np.array([21.5, 21.5]), 4.0)
    matrix = np.linalg.inv(two.jacobian) @ one.jacobian
    assert np.allclose(affine[:, :2], matrix, atol=1e-6)
    assert np.allclose(affine[:, 2], two.origin - matrix @ one.origin, atol=1e-5)


def test_grids_from_wcs_in_another_frame():
    """The same sky in galactic coordinates: another frame, the same pixels."""
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    one = CAMERAS["g"].wcs()
    centre = SkyCoord(150.0, 2.0, unit="deg").galactic
    other = WCS(naxis=2)
    other.wcs.ctype, other.wcs.crval = ["GLON-TAN", "GLAT-TAN"], [centre.l.deg, centre.b.deg]
    other.wcs.crpix, other.wcs.cdelt = [10.0, 20.0], [-0.5 / 3600, 0.5 / 3600]
    affine = from_wcs(one, other, CAMERAS["g"].origin, 4.0)
    assert Grids.of(torch.as_tensor(affine)[None]).scale.item() == pytest.approx(0.3 / 0.5, rel=1e-6)
    assert affine[:, :2] @ CAMERAS["g"].origin + affine[:, 2] == pytest.approx([9.0, 19.0], abs=1e-4)


PLACES = scaled([480.0, 620.0, 760.0, 910.0, 1250.0])
ALL = np.ones(5, dtype=bool)


def test_nodes_are_the_ends_then_far_apart():
    assert nodes(PLACES, ALL, 2) == [0, 4]
    assert nodes(PLACES, ALL, 3) == [0, 3, 4] or nodes(PLACES, ALL, 3) == [0, 2, 4]
    assert nodes(PLACES, ALL, 5) == [0, 1, 2, 3, 4]
    assert nodes(PLACES, np.array([False, True, True, False, True]), 2) == [1, 4]
    assert nodes(PLACES, np.array([False, True, False, False, True]), 4) == [1, 4], "as many as there are"


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_a_polynomial_through_its_nodes(degree):
    polynomial = np.polynomial.Polynomial(np.arange(1.0, degree + 2))
    chosen = nodes(PLACES, ALL, degree + 1)
    values = polynomial(PLACES)
    assert np.allclose(lagrange(PLACES, chosen) @ values[chosen], values)
    series = np.polynomial.Chebyshev(chebyshev(PLACES, chosen) @ values[chosen])
    assert np.allclose(series(PLACES), values)


def test_a_line_stays_between_its_ends():
    weights = lagrange(PLACES, [0, 4])
    assert (weights >= 0).all()
    assert np.allclose(weights.sum(1), 1)


def test_a_parabola_is_cut_at_its_bounds():
    """Four bands, degree 2: between nodes the polynomial may leave its bounds; there it stands, and does not move."""
    present = torch.ones(1, 4, dtype=torch.bool)
    scene = isolux.Scene(galaxy=isolux.Sersic())
    layout = lay_out(scene, present, [480.0, 620.0, 760.0, 910.0], {"axis_ratio": 2})
    free = layout.names.index("galaxy.axis_ratio")
    count = len(layout.names)
    low, high = torch.full((1, 4, count), -torch.inf).double(), torch.full((1, 4, count), torch.inf).double()
    low[..., free], high[..., free] = 0.05, 1.0
    turn = torch.eye(count).double().expand(1, 4, count, count)
    joint = JointMap.of(
        layout, low, high, turn, torch.zeros(1, 4, count).double(), torch.ones(count).double()
    )
    own = layout.column == free
    theta = torch.zeros(1, len(layout.column), dtype=torch.float64)
    theta[0, own] = torch.tensor([0.95, 0.95, 0.2]).double()
    inner = next(b for b in range(4) if b not in layout.node[0, own].tolist())
    galaxy = torch.tensor([0])
    assert float(joint.to_band(theta, galaxy, inner)[0, free]) == 1.0
    assert (joint.slopes(theta, galaxy, inner)[0, free] == 0).all()
    for band in set(range(4)) - {inner}:
        assert joint.slopes(theta, galaxy, band)[0, free, own].abs().sum() == 1
    theta[0, own] = torch.tensor([0.3, 0.4, 0.5]).double()
    assert float(joint.slopes(theta, galaxy, inner)[0, free, own].sum()) == pytest.approx(1.0)
    assert (joint.lower[0, own] == 0.05).all()
    assert (joint.upper[0, own] == 1.0).all()
