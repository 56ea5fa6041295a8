"""Profiles against closed forms, each other, and integrals to thirty digits."""

import math

import mpmath
import pytest
import torch

from isolux.profiles import (
    Exponential,
    Ferrer,
    FlatSky,
    Gaussian,
    King,
    Moffat,
    PlaneSky,
    PointSource,
    Sersic,
)
from isolux.profiles.sersic import sersic_b

R = torch.logspace(-3, 2.5, 60, dtype=torch.float64)[None]


def column(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def same(first, second, rtol=1e-12):
    torch.testing.assert_close(first, second, rtol=rtol, atol=0)


def test_sersic_b_halves_the_light():
    n = torch.logspace(math.log10(0.2), 1, 40, dtype=torch.float64)
    half = torch.special.gammainc(2 * n, sersic_b(n))
    torch.testing.assert_close(half, torch.full_like(n, 0.5), rtol=1e-8, atol=0)


def test_sersic_of_index_one_is_the_exponential():
    scale = column(2.0, 30.0)
    radius, one = 1.6783469900166605 * scale, torch.ones_like(scale)
    sersic = Sersic().brightness(R, radius, one) / math.exp(1.6783469900166605)
    torch.testing.assert_close(sersic, Exponential().brightness(R, scale), rtol=1e-8, atol=1e-300)
    total = Sersic().total(radius, one) / math.exp(1.6783469900166605)
    same(total, Exponential().total(scale), rtol=1e-8)


def test_sersic_of_index_half_is_the_gaussian():
    fwhm = column(2.0, 30.0)
    half = torch.full_like(fwhm, 0.5)
    sersic = Sersic().brightness(R, fwhm / 2, half) / 2
    torch.testing.assert_close(sersic, Gaussian().brightness(R, fwhm), rtol=1e-5, atol=1e-300)
    same(Sersic().total(fwhm / 2, half) / 2, Gaussian().total(fwhm), rtol=1e-8)


def test_width_is_full_at_half_maximum():
    fwhm = column(0.5, 8.0)
    same(Gaussian().brightness(fwhm / 2, fwhm), column(0.5, 0.5))
    same(Moffat().brightness(fwhm / 2, fwhm, column(1.5, 4.0)), column(0.5, 0.5))


def test_gaussian_has_the_width_of_sigma():
    sigma = column(3.0)
    fwhm = 2.3548200450309493 * sigma
    same(Gaussian().brightness(R[:, :40], fwhm), torch.exp(-0.5 * (R[:, :40] / sigma) ** 2))
    same(Gaussian().total(fwhm), 2 * math.pi * sigma**2)


def test_moffat_as_equations_13_to_15():
    fwhm, n = column(3.0, 5.0), column(2.5, 4.765)
    core = fwhm / (2 * torch.sqrt(2 ** (1 / n) - 1))
    same(Moffat().brightness(R, fwhm, n), (1 + (R / core) ** 2) ** -n)
    same(Moffat().total(fwhm, n), math.pi * core**2 / (n - 1))


def test_moffat_with_large_beta_is_the_gaussian():
    moffat = Moffat().brightness(R, column(5.0), column(100.0))
    torch.testing.assert_close(moffat, Gaussian().brightness(R, column(5.0)), rtol=0, atol=0.01)


def test_ferrer_as_equations_9_and_10():
    outer, a, b = column(50.0, 50.0, 50.0), column(0.5, 2.0, 6.0), column(0.0, 1.5, -3.0)
    x = (R / outer).clamp_max(1)
    torch.testing.assert_close(
        Ferrer().brightness(R, outer, a, b), (1 - x ** (2 - b)) ** a, rtol=1e-9, atol=1e-14
    )
    for k in range(3):
        ak, bk = a[k].item(), b[k].item()
        expected = math.pi * 50**2 * ak * mpmath.beta(ak, 1 + 2 / (2 - bk))
        assert Ferrer().total(outer, a, b)[k].item() == pytest.approx(float(expected), rel=1e-12)


def test_straight_edge_of_ferrer_is_too_thin_to_matter():
    outer, a, b = column(50.0), column(0.5), column(0.0)
    r = torch.linspace(49.99, 50, 2001, dtype=torch.float64)[None]
    change = Ferrer().brightness(r, outer, a, b) - torch.sqrt((1 - (r / outer) ** 2).clamp_min(0))
    assert change.abs().max() < 1e-3
    assert (change.abs() > 1e-9).sum() * 0.01 / 2000 < 1e-3  # pixels


@pytest.mark.parametrize("profile", [Ferrer, King])
def test_nothing_beyond_the_edge_and_no_nan_there(profile):
    numbers = {Ferrer: (20.0, 0.5, 0.0), King: (2.0, 20.0, 0.5)}[profile]
    shape = {p.name: column(n) for p, n in zip(profile.parameters, numbers, strict=True)}
    r = torch.tensor([[19.0, 20.0, math.nextafter(20, 21), 21.0, 1e5]], dtype=torch.float64)
    f, by_radius, maps = profile().slopes(r, shape, set(shape))
    assert (f > 0).tolist() == [[True, False, False, False, False]]
    for slope in (by_radius, *maps.values()):
        assert torch.isfinite(slope).all()
        assert (slope[:, 2:] == 0).all()


def test_king_as_equation_11():
    core, end, alpha = column(3.0, 3.0), column(60.0, 60.0), column(2.0, 0.7)
    edge = (1 + (end / core) ** 2) ** (-1 / alpha)
    inner = (1 + (R.clamp_max(60.0) / core) ** 2) ** (-1 / alpha)
    expected = ((inner - edge) / (1 - edge)) ** alpha
    torch.testing.assert_close(King().brightness(R, core, end, alpha), expected, rtol=1e-9, atol=1e-14)


def test_total_of_king_with_alpha_two():
    core, c = column(3.0, 3.0, 3.0), column(0.1, 10.0, 1e4)
    square = 1 + c**2
    root = torch.sqrt(square)
    light = torch.log(square) - 4 * (root - 1) / root + c**2 / square
    expected = math.pi * core**2 * light / (1 - 1 / root) ** 2
    total = King().total(core, c * core, torch.full_like(c, 2.0))
    same(total[1:], expected[1:], rtol=1e-12)
    same(total, expected, rtol=1e-6)  # at c = 0.1 the closed form cancels


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.0, 3.3, 10.0])
@pytest.mark.parametrize("c", [0.01, 3.0, 1e5])
def test_total_of_king_to_eight_digits(alpha, c):
    with mpmath.workdps(30):
        end = mpmath.log(1 + mpmath.mpf(c) ** 2) / alpha
        norm = 1 - mpmath.exp(-end)
        marks = [0, end / 100, end / 10, end]
        expected = mpmath.pi * alpha * mpmath.quad(lambda z: ((1 - mpmath.exp(-z)) / norm) ** alpha, marks)
    total = King().total(column(1.0), column(c), column(alpha)).item()
    assert total == pytest.approx(float(expected), rel=1e-8)


def test_sky_is_a_plane():
    x, y = torch.meshgrid(torch.arange(-2.0, 3), torch.arange(-1.0, 2), indexing="xy")
    x, y = x.reshape(1, -1), y.reshape(1, -1)
    level, gradient_x, gradient_y = (torch.tensor([[v], [2 * v]]) for v in (10.0, 0.5, -0.25))
    sky = PlaneSky().brightness(x, y, level, gradient_x, gradient_y)
    same(sky[0], 10 + 0.5 * x[0] - 0.25 * y[0])
    same(sky.mean(1), FlatSky().brightness(x, y, level).mean(1))
    assert not PlaneSky.convolved
    assert PlaneSky.from_centre


def test_point_source_has_a_place_and_an_amplitude():
    assert list(PointSource().settings) == ["x", "y", "magnitude"]
    assert list(PointSource(flux=3.0).settings) == ["x", "y", "flux"]
