"""Sizes, magnitudes and shapes of images whose answers follow from integrals, symmetry or counting."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import gamma, gammainc

from isolux import Scene, Sersic
from isolux.nonparametric import ShapeFlag, Shapes, measure_shapes
from isolux.nonparametric.gini_m20 import gini, m20
from isolux.nonparametric.smoothness import box_mean
from isolux.profiles.sersic import sersic_b
from isolux.simulate import draw

SIDE, CENTRE = 201, (100.3, 99.6)
FAINT = 1e-9
"""Noise of images that have none, over their flux."""


class Integrals:
    """A round Sérsic galaxy of half-light radius one (Graham & Driver 2005)."""

    def __init__(self, n: float) -> None:
        self.n, self.b = n, float(sersic_b(torch.tensor(n, dtype=torch.float64)))

    def flux(self, r: float) -> float:
        return gammainc(2 * self.n, self.b * r ** (1 / self.n))

    def brightness(self, r: float) -> float:
        total = 2 * math.pi * self.n * gamma(2 * self.n) * math.exp(self.b) * self.b ** (-2 * self.n)
        return math.exp(-self.b * (r ** (1 / self.n) - 1)) / total

    @property
    def petrosian(self) -> float:
        return brentq(lambda r: self.brightness(r) - 0.2 * self.flux(r) / (math.pi * r * r), 0.5, 30)

    def radius_of(self, share: float, end: float) -> float:
        return brentq(lambda r: self.flux(r) - share * self.flux(end), 1e-6, end)

    def kron(self, end: float) -> float:
        x = self.b * end ** (1 / self.n)
        ratio = gamma(3 * self.n) / gamma(2 * self.n) * gammainc(3 * self.n, x) / gammainc(2 * self.n, x)
        return self.b**-self.n * ratio


def measured(n: float, size: float, q: float = 1.0, angle: float = 0.0, **options) -> Shapes:
    """Return the shapes of an image without noise or PSF."""
    galaxy = Sersic(
        x=CENTRE[0],
        y=CENTRE[1],
        flux=1.0,
        effective_radius=size,
        sersic_index=n,
        axis_ratio=q,
        position_angle=angle,
    )
    image = draw(Scene(galaxy=galaxy), (SIDE, SIDE))[0]
    return measure_shapes(image, None, FAINT, CENTRE[0] + 0.4, CENTRE[1] - 0.3, q, angle, **options)


# Half a per cent: light is taken to be even within a pixel, and the ring of the Petrosian radius is one pixel wide.
@pytest.mark.parametrize(("n", "size"), [(0.5, 12.0), (1.0, 12.0), (2.5, 12.0)])
def test_radii_of_sersic_galaxies_are_those_of_the_integrals(n, size):
    found, exact = measured(n, size), Integrals(n)
    end = 1.5 * exact.petrosian
    wanted = {
        "petrosian_radius_circular": exact.petrosian,
        "petrosian_radius": exact.petrosian,
        "kron_radius": exact.kron(2 * exact.petrosian),
        **{f"r{p}": exact.radius_of(p / 100, end) for p in (20, 50, 80, 90)},
    }
    for name, radius in wanted.items():
        cusp = n > 2 and name == "r20"  # 3.7 pixels
        assert float(found[name][0]) == pytest.approx(size * radius, rel=1e-2 if cusp else 5e-3), name
    fluxes = {
        "petrosian_flux_circular": exact.flux(2 * exact.petrosian),
        "petrosian_flux": exact.flux(2 * exact.petrosian),
        "kron_flux": exact.flux(2.5 * exact.kron(2 * exact.petrosian)),
    }
    for name, flux in fluxes.items():
        assert float(found[name][0]) == pytest.approx(flux, rel=1e-3), name


@pytest.mark.parametrize(("q", "angle"), [(0.3, 0.0), (0.5, 33.0), (0.8, -70.0), (0.2, 90.0)])
def test_ellipses_have_the_same_radii_along_their_major_axis(q, angle):
    found, exact = measured(1.0, 16.0, q, angle), Integrals(1.0)
    # The thinnest is 6 pixels wide at its half-light radius, where the average over pixels shows.
    assert float(found["petrosian_radius"][0]) == pytest.approx(16 * exact.petrosian, rel=1.2e-2)
    assert float(found["kron_radius"][0]) == pytest.approx(16 * exact.kron(2 * exact.petrosian), rel=1e-2)
    assert float(found["petrosian_flux"][0]) == pytest.approx(exact.flux(2 * exact.petrosian), rel=2e-3)


def test_second_moments_are_those_of_the_given_pixels():
    rows, columns = np.mgrid[:81, :81] - 40.0
    turn, q = math.radians(30), 0.4
    major, minor = (
        rows * math.cos(turn) - columns * math.sin(turn),
        columns * math.cos(turn) + rows * math.sin(turn),
    )
    image = np.exp(-np.hypot(major, minor / q) / 10)[None]
    found = measure_shapes(image, None, FAINT, 40.0, 40.0, 0.7, 0.0, segmentation=image > 0.1)
    assert float(found["ellipticity"][0]) == pytest.approx(1 - q, abs=0.005)
    assert float(found["position_angle"][0]) == pytest.approx(30, abs=0.3)


def test_a_de_vaucouleurs_galaxy_is_measured_as_far_as_it_is_seen():
    found, exact = measured(4.0, 9.0), Integrals(4.0)
    end = 1.5 * exact.petrosian
    assert float(found["petrosian_radius_circular"][0]) == pytest.approx(9 * exact.petrosian, rel=1e-2)
    # At r20 (1.8 pixels) the cusp is within a few pixels.
    for share, tolerance in ((20, 0.04), (50, 1e-2), (80, 5e-3)):
        wanted = 9 * exact.radius_of(share / 100, end)
        assert float(found[f"r{share}"][0]) == pytest.approx(wanted, rel=tolerance)


def test_units_and_zero_point():
    found = measured(1.0, 8.0, zero_point=25.0, pixel_scale=0.2)
    assert float(found["kron_magnitude"][0]) == pytest.approx(
        25 - 2.5 * math.log10(float(found["kron_flux"][0]))
    )
    table = found.table()
    assert table["r50"].unit == "arcsec"
    assert table["r50"][0].value == pytest.approx(0.2 * float(found["r50"][0]))
    assert table["x"].unit == "pix"
    assert table["petrosian_magnitude_err"].unit == "mag"
    assert {"gini", "m20", "asymmetry_err", "shape_flags", "shape_flags_text"} <= set(table.colnames)
    assert all(table[name].info.description for name in table.colnames)


def test_an_image_that_is_symmetric_about_its_middle_has_no_asymmetry(rng):
    half = rng.uniform(0, 1, (1, 61, 61))
    rows, columns = np.mgrid[:61, :61] - 30.0
    image = (half + half[:, ::-1, ::-1]) * np.exp(-np.hypot(rows, columns) / 6)
    found = measure_shapes(image, None, FAINT, 30.0, 30.0, 1.0, 0.0)
    # The centre is found to some thousandths of a pixel, and this image is rough at the scale of a pixel.
    assert abs(float(found["asymmetry"][0])) < 5e-3
    assert abs(float(found["x"][0]) - 30) < 3e-3
    assert abs(float(found["y"][0]) - 30) < 3e-3


def test_light_on_one_side_is_asymmetric():
    rows, columns = np.mgrid[:81, :81] - 40.0
    disc = np.exp(-np.hypot(rows, columns) / 6)
    knot = 0.3 * np.exp(-0.5 * ((rows - 8) ** 2 + (columns - 5) ** 2) / 1.5**2)
    found = measure_shapes(np.stack([disc, disc + knot]), None, FAINT, 40.0, 40.0, 1.0, 0.0)
    # The knot is on one side alone: it differs from what is opposite twice.
    share = knot.sum() / (disc + knot).sum()
    assert abs(float(found["asymmetry"][0])) < 1e-3
    assert float(found["asymmetry"][1]) == pytest.approx(2 * share, rel=0.1)
    assert float(found["smoothness"][1]) > float(found["smoothness"][0])
    assert float(found["m20"][1]) > float(found["m20"][0])


@pytest.mark.parametrize(
    ("values", "coefficient"),
    [([1, 1, 1, 1], 0.0), ([0, 0, 0, 5], 1.0), ([1, 2, 3, 4], 1 / 3), ([4, 1, 3, 2], 1 / 3), ([0, 1], 1.0)],
)
def test_gini_of_known_numbers(values, coefficient):
    number = torch.tensor([float(len(values))], dtype=torch.float64)
    row = torch.tensor([values], dtype=torch.float32)
    padded = torch.nn.functional.pad(row, (3, 4))
    assert float(gini(row, number)[0]) == pytest.approx(coefficient, abs=1e-6)
    assert float(gini(padded, number)[0]) == pytest.approx(coefficient, abs=1e-6)


def test_gini_is_the_mean_difference_of_pairs(rng):
    values = rng.exponential(1, 200)
    pairs = np.abs(values[:, None] - values).sum() / (2 * values.mean() * 200 * 199)
    found = gini(torch.tensor(values[None], dtype=torch.float32), torch.tensor([200.0], dtype=torch.float64))
    assert float(found[0]) == pytest.approx(pairs, rel=1e-5)


def test_m20_of_known_images():
    """Four pixels of 1 far out and one of 1 (a fifth of the light) in the centre, or one of 6 out there."""
    x, y = torch.tensor([[-3.0, 3, 0, 0, 0]]), torch.tensor([[0.0, 0, -3, 3, 0]])
    bright = torch.tensor([[1.0, 1, 1, 1, 1.5]])  # the centre alone is over a fifth: no moment
    assert math.isnan(float(m20(bright, x, y)[0]))
    pair = torch.tensor([[5.0, 5, 1, 1, 1]])  # the two brightest, sorted last, hold 10/13 of the light
    inner, whole = 90.0, 108.0
    assert float(m20(pair, x, y)[0]) == pytest.approx(math.log10(inner / whole), abs=1e-6)
    assert float(m20(3 * pair, x + 7, y - 2)[0]) == pytest.approx(math.log10(inner / whole), abs=1e-6)


def test_uniform_light_has_the_gini_and_m20_of_a_disc():
    """In a uniform disc pixels are equal; of equal pixels all count as the brightest."""
    rows, columns = np.mgrid[:65, :65] - 32.0
    image = np.where(np.hypot(rows, columns) < 14, 1.0, 0.0)
    found = measure_shapes(image[None], None, FAINT, 32.0, 32.0, 1.0, 0.0)
    assert float(found["gini"][0]) < 0.2
    assert float(found["m20"][0]) == pytest.approx(0.0, abs=0.02)
    assert float(found["r20"][0]) == pytest.approx(14 * math.sqrt(0.2), rel=0.01)
    assert float(found["kron_radius"][0]) == pytest.approx(14 * 2 / 3, rel=0.01)


@pytest.mark.parametrize("side", [2, 3, 4, 7, 16])
def test_box_means_are_those_of_scipy(rng, side):
    from scipy.ndimage import uniform_filter

    image = rng.normal(size=(2, 20, 17)).astype(np.float32)
    found = box_mean(torch.from_numpy(image), torch.full((2,), float(side), dtype=torch.float64))
    wanted = np.stack([uniform_filter(plane.astype(float), side) for plane in image])
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_mask_does_not_take_light_away():
    galaxy = Sersic(
        x=50, y=50, flux=100.0, effective_radius=8, sersic_index=1, axis_ratio=0.6, position_angle=20
    )
    image = draw(Scene(galaxy=galaxy), (101, 101))[0].numpy()
    mask = np.zeros((1, 101, 101), bool)
    mask[0, 60:66, 47:54] = True
    whole, holed = (measure_shapes(image, m, 1e-6, 50.0, 50.0, 0.6, 20.0) for m in (None, mask))
    # Within an ellipse the light of this galaxy is even but for the width of shells, half a pixel.
    for name, tolerance in (("kron_flux", 1e-3), ("petrosian_flux", 1e-3), ("petrosian_radius", 2e-3)):
        assert float(holed[name][0]) == pytest.approx(float(whole[name][0]), rel=tolerance)
    for name in ("gini", "m20", "asymmetry"):
        assert float(holed[name][0]) == pytest.approx(float(whole[name][0]), abs=0.05)
    assert ShapeFlag.TOO_MASKED not in holed.flags[0]
