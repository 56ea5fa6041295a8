"""The references of the exactness benchmark, where the answer is known in closed form."""

import math

import numpy as np
import pytest

from benchmark_parts import benchmark_parts

pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")

NAMES = ("brute", "cases", "points", "psfs", "report", "score", "slopes", "store", "truth")
SIGMA, FWHM, SIZE, PLACE = 1.7, 3.3, 24, (11.8, 11.1)


@pytest.fixture(scope="module")
def exact():
    """Return the parts of the benchmark."""
    with benchmark_parts(*(f"exact.{name}" for name in NAMES)) as parts:
        yield parts


def of_gaussian(sigma, centre):
    """Shares of a Gaussian's light in the pixels along an axis."""
    edges = (np.arange(SIZE + 1) - 0.5 - centre) / (sigma * math.sqrt(2))
    return np.diff([0.5 * math.erf(edge) for edge in edges])


def known_image(exact):
    """A round Gaussian galaxy with a Gaussian PSF: variances add."""
    both = math.hypot(SIGMA, exact.psfs.named("gaussian", FWHM).parts[0].sigma)
    return np.outer(of_gaussian(both, PLACE[1]), of_gaussian(both, PLACE[0]))


def gaussian_case(exact, **psf):
    radius = SIGMA * math.sqrt(2 * math.log(2))
    galaxy = exact.cases.Galaxy("gaussian", 0.5, radius, 1.0, 20.0, *PLACE)
    return exact.cases.Case("case-0", galaxy, exact.psfs.named("gaussian", FWHM, **psf), SIZE)


def test_brute_force_is_right_for_gaussians(exact):
    galaxy = exact.brute.Radial(lambda r: np.exp(-0.5 * (r / SIGMA) ** 2), *PLACE, 1.0, 20.0, scale=SIGMA)
    image = exact.brute.image(galaxy, exact.psfs.named("gaussian", FWHM), SIZE)
    known = known_image(exact)
    assert np.abs(image - known).max() < 1e-8 * known.max()


@pytest.mark.parametrize(("boxiness", "area"), [(-1.0, 2.0), (None, math.pi), (0.0, math.pi)])
def test_brute_force_has_the_flux_of_a_diamond_and_a_disc(exact, boxiness, area):
    """A brightness of one inside r = 5: 25 q times the area of the unit circle, or of |x| + |y| < 1."""
    galaxy = exact.brute.Radial(lambda r: (r < 5.0) * 1.0, *PLACE, 0.6, 20.0, boxiness, (5.0,), 5.0)
    assert exact.brute.flux(galaxy) == pytest.approx(25 * 0.6 * area, rel=1e-6)


def test_galsim_is_right_for_gaussians(exact):
    known = known_image(exact)
    assert np.abs(exact.truth.truth(gaussian_case(exact)) - known).max() < 2e-6 * known.max()


@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("includes_pixel", [True, False])
def test_band_limited_psf_is_right_where_its_samples_suffice(exact, oversampling, includes_pixel):
    """At the image's own scale a Gaussian of 3.3 pixels has 3e-5 of its light beyond the limit."""
    case = gaussian_case(exact, oversampling=oversampling, includes_pixel=includes_pixel)
    known = known_image(exact)
    assert np.abs(exact.truth.ideal(case) - known).max() < 1e-4 * known.max()


def test_band_limited_point_is_the_psf_at_its_samples(exact):
    psf = exact.psfs.named("lopsided", 2.5)
    image = exact.truth.ideal_point(11.0, 12.0, psf, SIZE)
    half = len(psf.image()) // 2
    inside = psf.image()[half - 12 : half - 12 + SIZE, half - 11 : half - 11 + SIZE]
    np.testing.assert_allclose(image, inside, atol=1e-9)


@pytest.mark.parametrize("limit", [np.inf, 0.8])
def test_difference_finds_derivatives(exact, limit):
    slope, accuracy = exact.slopes.difference(lambda v: np.array([np.sin(v), v]), 0.8, 0.05, limit)
    np.testing.assert_allclose(slope, [np.cos(0.8), 1.0], rtol=1e-3 if limit == 0.8 else 1e-6)
    assert accuracy < 1e-2


def test_kept_references_are_made_once(exact, tmp_path):
    made = []

    def make():
        made.append(1)
        return {"value": np.arange(3)}

    for _ in range(2):
        np.testing.assert_array_equal(exact.store.kept(tmp_path, "kind", (1, "a"), make)["value"], [0, 1, 2])
    exact.store.kept(tmp_path, "kind", (2, "a"), make)
    assert len(made) == 2


def test_outcomes_are_counted_and_the_worst_is_first(exact):
    def outcome(name, largest, median=0.0, limit=0.0):
        return exact.score.Outcome(name, "words", largest, median, (limit, 0.0))

    some = [outcome("a-0", 2e-3), outcome("a-1", 1e-4, 1e-3), outcome("a-2", 9e-4)]
    some += [outcome("b-0", 3e-3, limit=2e-3), outcome("b-1", np.nan)]
    assert [o.over for o in some] == [True, True, False, True, True]
    table = exact.report.worst(some, 3).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:5]] == ["b-1", "a-1", "b-0"]
    assert table[-1] == "and 1 more"
    assert "| b | 2 | 2 (1 by the PSF's samples)" in exact.report.by_family(some)
