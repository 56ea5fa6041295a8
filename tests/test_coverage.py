"""Do the intervals hold the truth? GalSim draws three hundred galaxies, we fit them and count.

The same as benchmarks/coverage.py in small. A pull is (fitted - true) / error, for sizes and indices in their
logarithms. For N normal pulls the standard deviations of the median, of the half-width of the central 68.27 % and
of the share inside a level p are 1.253 / sqrt(N), 0.962 / sqrt(N) and sqrt(p (1 - p) / N); every bound below is
four of them, so that with right errors one of all 32 numbers fails for one seed in 500, and errors that are wrong
by a quarter fail.
"""

import math

import numpy as np
import pytest

import isolux
from isolux import Batch, FlatSky, Scene, Sersic

galsim = pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")

COUNT, SIZE, SKY = 300, 48, 1000.0
GSPARAMS = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=2e-4)
NAMES = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")


def drawn(rng, psf):
    """Truth and noise-free image of one galaxy of unit flux; indices low enough for a small stamp."""
    x, y = rng.uniform(23, 24, 2)
    re, n = math.exp(rng.uniform(math.log(2), math.log(5))), math.exp(rng.uniform(math.log(0.7), math.log(2)))
    q, angle = rng.uniform(0.25, 0.8), rng.uniform(-90, 90)
    galaxy = galsim.Sersic(n=n, half_light_radius=re * math.sqrt(q), gsparams=GSPARAMS)
    galaxy = galaxy.shear(q=q, beta=(angle + 90) * galsim.degrees).shift(x - 23.5, y - 23.5)
    image = galsim.Convolve(galaxy, psf, gsparams=GSPARAMS).drawImage(nx=SIZE, ny=SIZE, scale=1, dtype=float)
    return (x, y, 0.0, re, n, q, angle), image.array


@pytest.fixture(scope="module")
def fitted():
    """Result and truth of galaxies with Poisson noise at a signal-to-noise of 100 to 300, sky fitted."""
    rng = np.random.default_rng(7)
    psf = galsim.Moffat(beta=3, fwhm=3.0, trunc=20, gsparams=GSPARAMS)
    pairs = [drawn(rng, psf) for _ in range(COUNT)]
    truth = dict(zip((f"galaxy.{name}" for name in NAMES), np.array([t for t, _ in pairs]).T, strict=True))
    models = np.clip([image for _, image in pairs], 0, None)
    signal = np.exp(rng.uniform(math.log(100), math.log(300), COUNT))
    electrons = signal * np.sqrt(SKY / (models**2).sum((1, 2)))
    truth["galaxy.magnitude"] = -2.5 * np.log10(electrons)
    truth["sky.level"] = rng.uniform(-30, 30, COUNT)
    expected = models * electrons[:, None, None] + SKY
    image = rng.poisson(expected) - SKY + truth["sky.level"][:, None, None]
    star = psf.drawImage(nx=43, ny=43, scale=1, dtype=float).array
    batch = Batch.from_arrays(image, sigma=np.sqrt(expected), psf=star)
    return isolux.fit(batch, Scene(galaxy=Sersic(), sky=FlatSky())), truth


def pulls(result, name, truth):
    value, error = (numbers.double().numpy() for numbers in (result[name], result.error(name)))
    if name.endswith(("radius", "index")):
        return np.log(value / truth) / (error / value)
    off = value - truth
    if name.endswith("angle"):
        off = (off + 90) % 180 - 90
    return off / error


def test_all_are_fitted(fitted):
    result, _ = fitted
    assert result.converged.all()
    assert not any(isolux.Flag.AT_BOUND in flags for flags in result.flags)


@pytest.mark.parametrize("name", [*(f"galaxy.{name}" for name in NAMES), "sky.level"])
def test_pulls_and_coverage(fitted, name):
    result, truth = fitted
    pull = pulls(result, name, truth[name])
    low, middle, high = np.percentile(pull, [15.865, 50, 84.135])
    assert abs(middle) < 4 * 1.253 / math.sqrt(COUNT)
    assert abs((high - low) / 2 - 1) < 4 * 0.962 / math.sqrt(COUNT)
    for level, reach in ((0.6827, 1.0), (0.95, 1.96)):
        inside = np.mean(np.abs(pull) < reach)
        assert abs(inside - level) < 4 * math.sqrt(level * (1 - level) / COUNT)


def test_reduced_chi_square_is_one(fitted):
    """Its mean over all galaxies scatters by sqrt(2 / pixels) = 0.0017; four of them."""
    result, _ = fitted
    assert abs(float(result.reduced_chi2.mean()) - 1) < 4 * math.sqrt(2 / (COUNT * SIZE**2))
