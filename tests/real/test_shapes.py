"""Non-parametric shapes of real galaxies beside statmorph's, measured by benchmarks/shapes.py."""

import pytest

pytestmark = pytest.mark.real
GALAXIES = (
    ("gama-kids", "G265940"),
    ("sdss-galmoss", "J100247.00+042559.8"),
    ("gama-sdss", "G266662"),
    ("hsc-pysersic", "gal2"),
)
"""In the last a sixth of the pixels is masked: zero for statmorph, filled with the light of their ellipse here."""
# Half-pixel shells and another path of the search for the centre (radii, C, A); sky terms from sigma in place of one
# box of sky, whose noise is correlated in these images (A, S); masks (Gini, M20 and fluxes of the last).
TOLERANCES = {
    "petrosian_radius_circular": 0.01,
    "petrosian_radius": 0.02,
    "petrosian_flux": 0.003,
    "r20": 0.01,
    "r50": 0.005,
    "r80": 0.01,
    "concentration": 0.03,
    "asymmetry": 0.03,
    "smoothness": 0.015,
    "gini": 0.01,
    "m20": 0.03,
}


@pytest.fixture(scope="module")
def measured(stamps, benchmarks):
    shapes = benchmarks("shapes")
    galaxies = {}
    for sample, name in GALAXIES:
        stamp = stamps[sample, name]
        galaxies[sample, name] = shapes.prepared(name, stamp.image, stamp.mask, None, stamp.sigma)
        shapes.run_both([galaxies[sample, name]])
    return galaxies


@pytest.mark.parametrize("galaxy", GALAXIES)
def test_real_galaxies_are_as_statmorph_measures_them(measured, benchmarks, galaxy):
    for name, tolerance in TOLERANCES.items():
        found = benchmarks("shapes").difference(name, measured[galaxy])
        assert abs(found) < tolerance, f"{name}: {found}"
