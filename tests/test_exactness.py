"""Images and derivatives are exact: a small sample of what benchmarks/exactness.py draws, with its references.

The bounds are the library's promise: 1e-3 of the maximum for the largest error of an image, 1e-4 for the median,
1e-2 of its own maximum for the largest error of a derivative.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmark_parts import benchmark_parts

pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")

NAMES = ("brute", "cases", "ours", "points", "psfs", "slopes", "special", "truth")
LARGEST, MEDIAN, SLOPE = 1e-3, 1e-4, 1e-2


@pytest.fixture(scope="module")
def exact():
    """Return the parts of the benchmark."""
    with benchmark_parts(*(f"exact.{name}" for name in NAMES)) as parts:
        yield parts


def errors(image, truth, peak=None):
    difference = np.abs(image - truth) / (peak or truth.max())
    return difference.max(), np.median(difference)


PSFS = {
    "moffat": ("moffat", 3.3),
    "lopsided": ("lopsided", 2.5),
    "elliptical": ("elliptical", 6.0),
    "fine": ("elliptical moffat", 1.5, 2),
    "finest": ("moffat", 1.5, 4),
    "light": ("round", 3.3, 1, False),
    "fine light": ("lopsided", 1.5, 3, False),
}
GALAXIES = [
    ("sersic", 0.3, 10.0, 0.3, "moffat", 48),
    ("sersic", 0.33, 17.0, 0.063, "elliptical", 96),
    ("sersic", 0.4, 0.5, 0.8, "fine", 32),
    ("sersic", 0.5, 55.0, 0.3, "lopsided", 64),
    ("sersic", 0.8, 20.0, 0.07, "moffat", 64),
    ("sersic", 1.0, 0.3, 0.05, "light", 32),
    ("sersic", 1.0, 5.0, 0.05, "moffat", 64),
    ("sersic", 1.5, 29.0, 0.15, "fine light", 48),
    ("sersic", 2.0, 4.0, 0.6, "finest", 48),
    ("sersic", 2.5, 60.0, 0.05, "lopsided", 64),
    ("sersic", 2.5, 2.0, 1.0, "fine", 32),
    ("sersic", 4.0, 2.0, 0.2, "elliptical", 48),
    ("sersic", 4.0, 20.0, 0.6, "light", 64),
    ("sersic", 4.6, 1.5, 0.07, "moffat", 32),
    ("sersic", 6.2, 1.0, 0.05, "elliptical", 64),
    ("sersic", 6.2, 0.3, 1.0, "finest", 32),
    ("exponential", 1.0, 46.0, 0.06, "fine light", 64),
    ("exponential", 1.0, 3.0, 0.4, "lopsided", 48),
    ("gaussian", 0.5, 2.2, 0.05, "light", 48),
    ("gaussian", 0.5, 0.4, 0.9, "moffat", 32),
    ("moffat", 2.0, 3.0, 0.1, "moffat", 64),
    ("moffat", 4.0, 0.7, 0.6, "finest", 32),
]


@pytest.mark.parametrize(("kind", "index", "radius", "q", "psf", "size"), GALAXIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_image_is_galsims(exact, kind, index, radius, q, psf, size, dtype):
    case = galaxy_case(exact, kind, index, radius, q, psf, size)
    largest, median = errors(exact.ours.image(case, dtype), truth_of(exact, case))
    assert largest < LARGEST
    assert median < MEDIAN


QUICK = {
    "maxk_threshold": 1e-4,
    "kvalue_accuracy": 1e-6,
    "integration_relerr": 1e-6,
    "integration_abserr": 1e-8,
}
"""GalSim's accuracy here: within 3e-5 of the benchmark's."""
TRUTHS = {}


def truth_of(exact, case):
    """GalSim's images, drawn once."""
    if case not in TRUTHS:
        TRUTHS[case] = exact.truth.truth(case, QUICK, 2e-2)
    return TRUTHS[case]


def galaxy_case(exact, kind, index, radius, q, psf, size):
    angle, middle = 40.0 * index - 70.0 * q, (size - 1) / 2
    galaxy = exact.cases.Galaxy(kind, index, radius, q, angle, middle + 0.37, middle - 0.21)
    return exact.cases.Case("case-0", galaxy, exact.psfs.named(*PSFS[psf]), size)


@pytest.mark.parametrize(("x", "y"), [(63.3, 63.8), (2.7, 63.5), (-3.6, 20.3)])
def test_light_from_outside_the_stamp_does_not_wrap(exact, x, y):
    """n = 6, r_e = 60 pixels in a 128-pixel stamp, centred and off-centre, against an image cut from a larger one."""
    galaxy = exact.cases.Galaxy("sersic", 6.0, 60.0, 0.8, 30.0, x, y)
    case = exact.cases.Case("case-0", galaxy, exact.psfs.named("round", 3.3), 128)
    around = 64
    wide = replace(case, galaxy=replace(galaxy, x=x + around, y=y + around), size=128 + 2 * around)
    cut = slice(around, around + 128)
    small, large = exact.ours.image(case), exact.ours.image(wide)[cut, cut]
    assert np.abs(small - large).max() < 1e-6 * large.max()


@pytest.mark.parametrize(
    ("kind", "shape", "psf"),
    [
        ("sersic", {"effective_radius": 2.8, "sersic_index": 0.6, "boxiness": -0.5}, ("lopsided", 2.5)),
        ("sersic", {"effective_radius": 5.0, "sersic_index": 4.0, "boxiness": 1.0}, ("round", 1.5, 2)),
        ("ferrer", {"outer_radius": 6.0, "truncation_sharpness": 0.5, "central_slope": 0.5}, ("round", 2.5)),
        ("king", {"core_radius": 1.0, "truncation_radius": 12.0, "alpha": 0.5}, ("lopsided", 3.3, 1, False)),
        ("bar", {"length": 3.0, "boxiness": 0.4}, ("round", 3.3, 1, False)),
        ("ring", {"radius": 8.0, "width": 1.5}, ("lopsided", 2.5)),
        ("own cusp", {"length": 3.0}, ("lopsided", 1.5, 3, False)),
        ("spline", {"outer": 10.0, "slope": 6.0}, ("lopsided", 2.5)),
    ],
)
def test_image_is_that_of_brute_force(exact, kind, shape, psf):
    values = {"x": 11.9, "y": 11.2, "axis_ratio": 0.4, "position_angle": 35.0, **shape}
    case = exact.special.Special("case-0", kind, values, exact.psfs.named(*psf), 24)
    image = exact.ours.draw(case.profile, case.psf, case.size, torch.float64)
    largest, median = errors(image, brute_force(exact, case))
    assert largest < LARGEST
    assert median < MEDIAN


def brute_force(exact, case):
    """At less than a standard deviation of the PSF from node to node the sum has settled to 1e-5."""
    spacing = 0.9 * min(part.sigma for part in case.psf.parts)
    return exact.brute.at_spacing(case.radial, case.psf, case.size, spacing)


@pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)
@pytest.mark.parametrize(("x", "y"), [(15.6, 16.3), (0.4, 31.8), (-2.7, 10.2)], ids=["in", "edge", "out"])
def test_point_source_is_the_psf(exact, psf, x, y):
    psf = exact.psfs.named(*psf)
    axis = np.arange(32)
    truth, centred = psf.pixel_averages(axis - x, axis - y), psf.pixel_averages(np.zeros(1), np.zeros(1))
    largest, median = errors(exact.ours.point(x, y, psf, 32), truth, centred.max())
    assert largest < LARGEST
    assert median < MEDIAN


@pytest.mark.parametrize(
    ("kind", "index", "radius", "q", "psf"),
    [
        ("sersic", 0.6, 3.0, 0.3, "moffat"),
        ("sersic", 1.5, 0.8, 0.5, "fine"),
        ("sersic", 3.5, 5.0, 0.08, "elliptical"),
        ("exponential", 1.0, 1.5, 0.1, "lopsided"),
        ("gaussian", 0.5, 1.0, 0.4, "light"),  # hardly resolved: the derivative by q is a tenth of the image
        ("moffat", 3.0, 2.0, 0.7, "moffat"),
    ],
)
def test_derivatives_of_galaxies(exact, kind, index, radius, q, psf):
    case = galaxy_case(exact, kind, index, radius, q, psf, 32)
    maps = exact.ours.slopes(exact.ours.component(case.galaxy), case.psf, case.size)
    for name, (value, at) in exact.slopes.parameters(
        case, lambda c: exact.truth.truth(c, QUICK, 2e-2)
    ).items():
        check_derivative(name, maps[name], at, value)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("sersic", {"effective_radius": 3.0, "sersic_index": 1.5, "boxiness": 0.4}),
        ("king", {"core_radius": 1.0, "truncation_radius": 8.0, "alpha": 1.0}),
        ("ferrer", {"outer_radius": 6.0, "truncation_sharpness": 2.0, "central_slope": 0.5}),
    ],
)
def test_derivatives_of_other_profiles(exact, kind, shape):
    values = {"x": 9.9, "y": 9.2, "axis_ratio": 0.5, "position_angle": 35.0, **shape}
    case = exact.special.Special("case-0", kind, values, exact.psfs.named("round", 3.3), 20)
    maps = exact.ours.slopes(case.profile, case.psf, case.size)
    for name, (value, at) in exact.slopes.parameters(case, lambda c: brute_force(exact, c)).items():
        check_derivative(name, maps[name], at, value)


def check_derivative(name, image, at, value):
    """Against a central difference, whose own error is of the order of the step squared."""
    step = {"position_angle": 1.0, "x": 0.03, "y": 0.03}.get(name, 0.02 * max(abs(value), 0.5))
    difference = (at(value + step) - at(value - step)) / (2 * step)
    error = np.abs(image - difference).max() / np.abs(difference).max()
    assert error < SLOPE, f"{name}: {error:.1e}"
