"""The parts against other people's code: exact apertures, turns, filters, connected pixels, the simplex."""

import math

import numpy as np
import pytest
import torch
from photutils.aperture import EllipticalAperture
from scipy import ndimage

from isolux.nonparametric.apertures import Ellipse, pixel_rings
from isolux.nonparametric.gini_m20 import gaussian, segment
from isolux.nonparametric.growth import growth_curve
from isolux.nonparametric.search import nelder_mead
from isolux.nonparametric.shells import shells
from isolux.nonparametric.turn import Turner

SIDE = 61


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def ellipse(q: float, angle: float, x: float = 30.3, y: float = 28.8) -> Ellipse:
    return Ellipse.of(one(x), one(y), one(q), one(math.radians(angle)))


def exact(q: float, angle: float, radius: float) -> EllipticalAperture:
    """Return photutils' aperture for the radius of the circle of the same area."""
    a, b = radius / math.sqrt(q), radius * math.sqrt(q)
    return EllipticalAperture((30.3, 28.8), a, b, theta=math.radians(angle + 90))


@pytest.mark.parametrize(("q", "angle"), [(1.0, 0.0), (0.6, 30.0), (0.3, -75.0), (0.5, 90.0)])
@pytest.mark.parametrize("radius", [6.0, 9.4, 14.0])
def test_shares_of_pixels_are_exact_where_edges_are_straight(q, angle, radius):
    over = pixel_rings(ellipse(q, angle), (SIDE, SIDE), torch.float32)
    share = over.inside(torch.tensor([[radius]])).view(SIDE, SIDE).numpy()
    aperture = exact(q, angle, radius)
    wanted = aperture.to_mask(method="exact").to_image((SIDE, SIDE))
    assert share.min() >= 0
    assert share.max() <= 1
    # An edge of curvature radius R is off a straight one by 1 / 8R across a pixel; at the tips R is b^2 / a.
    curved = radius * q**1.5
    assert np.abs(share - wanted).max() < 0.02 + 0.15 / curved
    assert share.sum() == pytest.approx(math.pi * radius**2, rel=2e-3)


@pytest.mark.parametrize(("q", "angle"), [(1.0, 0.0), (0.6, 30.0), (0.3, -75.0)])
def test_growth_curves_are_those_of_exact_apertures(q, angle):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.exp(-np.hypot(rows - 28.8, columns - 30.3) / 4)[None]
    about = ellipse(q, angle)
    planes = torch.tensor(image, dtype=torch.float32), torch.ones(1, SIDE, SIDE)
    over = pixel_rings(about, (SIDE, SIDE), torch.float32)
    growth = growth_curve(shells(about, over, *planes), one(math.inf), one(math.inf))
    # Between radii, half a pixel apart, the curve is cubic.
    for radius, tolerance in (
        (0.5, 2e-3),
        (1.0, 1e-3),
        (2.5, 1e-3),
        (4.0, 5e-4),
        (7.77, 5e-4),
        (12.25, 3e-4),
    ):
        wanted = exact(q, angle, radius).do_photometry(image[0], method="exact")[0][0]
        assert float(growth.at(one(radius)[:, None])) == pytest.approx(wanted, rel=tolerance), radius
    inverse = growth.radius_of(growth.at(torch.tensor([[3.21, 8.4]], dtype=torch.float64)))
    torch.testing.assert_close(inverse, torch.tensor([[3.21, 8.4]], dtype=torch.float64), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("x", "y"), [(6.3, 8.7), (0.0, 0.0), (16.0, 12.0), (8.0, 6.0), (-0.4, 12.4), (16.4, -0.4), (3.5, 2.25)]
)
def test_turns_are_bilinear_and_dark_outside(rng, x, y):
    images = rng.uniform(size=(3, 13, 17)).astype(np.float32)
    rows, columns = np.mgrid[:13, :17]
    places = [2 * y - rows, 2 * x - columns]
    wanted = ndimage.map_coordinates(np.pad(images[1], 30), [p + 30 for p in places], order=1)
    turner = Turner.of(torch.from_numpy(images))
    centre = [torch.full((3,), at, dtype=torch.float64) for at in (x, y)]
    np.testing.assert_allclose(turner.about(*centre)[1], wanted, atol=1e-6)
    some = turner.about(centre[0][:1], centre[1][:1], torch.tensor([1]))
    np.testing.assert_allclose(some[0], wanted, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.4, 1.7, 3.0])
def test_gaussian_filter(rng, sigma):
    image = rng.normal(size=(2, 40, 33)).astype(np.float32)
    found = gaussian(torch.from_numpy(image), torch.full((2,), sigma, dtype=torch.float64))
    wanted = [ndimage.gaussian_filter(plane.astype(float), sigma, mode="constant") for plane in image]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-6)


def test_segments_are_connected_pixels(rng):
    images = ndimage.gaussian_filter(rng.normal(size=(30, 40, 50)), (0, 1.2, 1.2)).astype(np.float32)
    rows, columns = np.mgrid[:40, :50]
    radius = np.hypot(rows - 20, columns - 25).astype(np.float32)
    threshold = np.quantile(images, rng.uniform(0.3, 0.8, 30))
    found = segment(
        torch.from_numpy(images),
        torch.tensor(threshold),
        torch.from_numpy(radius).flatten().expand(30, -1),
        torch.full((30,), 9.0, dtype=torch.float64),
    )
    for k, image in enumerate(images):
        labels, count = ndimage.label(image >= np.float32(threshold[k]), np.ones((3, 3)))
        brightest = np.argmax(np.where(radius <= 9, image, -np.inf))
        wanted = (labels == labels.flat[brightest]) & (labels.flat[brightest] > 0)
        assert np.array_equal(found.pixels[k], wanted), k
        assert bool(found.split[k]) == (count > 1)


def test_a_winding_segment_is_followed_to_its_end():
    maze = np.zeros((21, 21), np.float32)
    for turn in range(0, 21, 4):
        maze[turn] = 1
        maze[turn : turn + 4, 20 if turn % 8 == 0 else 0] = 1
    maze[0, 0] = 2
    radius = torch.arange(441, dtype=torch.float32)[None]
    found = segment(torch.from_numpy(maze)[None], one(0.5), radius, one(1e9))
    assert np.array_equal(found.pixels[0], maze > 0)


def test_the_simplex_finds_minima_row_by_row():
    aims = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]], dtype=torch.float64)

    def cost(places, rows):
        aim = aims if rows is None else aims[rows]
        return ((places - aim).abs() * torch.tensor([1.0, 3.0])).sum(1)  # a cone has no curvature to use

    found = nelder_mead(
        cost, torch.zeros(3, 2, dtype=torch.float64), torch.tensor([1.0, 2.0, 0.5]).double(), 60
    )
    torch.testing.assert_close(found, aims, rtol=0, atol=1e-3)
