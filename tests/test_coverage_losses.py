"""Do the intervals hold the truth under other losses, and with priors? 120 galaxies each, fitted and counted.

The same as benchmarks/coverage_losses.py in small, on stamps that Isolux draws itself. For N normal pulls the standard
deviations of the median, of the half-width of the central 68.27 % and of the share inside a level p are
1.253 / sqrt(N), 0.962 / sqrt(N) and sqrt(p (1 - p) / N); every bound below is four of them. Pulls are those of sizes'
and indices' logarithms.
"""

import math

import numpy as np
import pytest
import torch

import isolux
from isolux import Batch, FlatSky, GaussianPrior, LogNormalPrior, Scene, Sersic
from stubs import gaussian_psf

COUNT, SIZE = 120, 36
NAMES = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
SCENE = Scene(galaxy=Sersic(), sky=FlatSky())


def expected_of(magnitude, sky, rng):
    """Truth and noise-free images (galaxy, y, x); indices low enough for a small stamp."""
    low = (17, 17, 0, 2.0, 0.7, 0.3, -80)
    high = (18, 18, 0, 4.0, 2.0, 0.8, 80)
    truth = dict(zip(NAMES, rng.uniform(low, high, (COUNT, 7)).T, strict=True))
    truth["magnitude"] = rng.uniform(*magnitude, COUNT)
    options = {"psf": gaussian_psf(15), "zero_point": 25.0, "dtype": torch.float64}
    blank = Batch.from_arrays(
        np.zeros((COUNT, SIZE, SIZE)), sigma=1.0 + np.zeros((COUNT, SIZE, SIZE)), **options
    )
    scene = Scene(galaxy=Sersic(**truth), sky=FlatSky(level=sky))
    images = scene.images(blank, scene.values(COUNT)).numpy()
    truth = {f"galaxy.{name}": values for name, values in truth.items()} | {"sky.level": np.full(COUNT, sky)}
    return truth, np.clip(images, 0, None), options | {"dtype": torch.float32}


def noisy(noise, rng):
    """A batch at a signal-to-noise of about 100, with noise over sigma (galaxy, y, x) made of random numbers."""
    truth, images, options = expected_of((17.0, 18.0), 0.0, rng)
    sigma = np.full_like(images, 0.6)
    return truth, Batch.from_arrays(images + sigma * noise(images.shape), sigma=sigma, **options)


def check(result, truth, names=None):
    """Compare median, half-width and coverage of the pulls with what normal ones have."""
    assert result.converged.all()
    for name in names or truth:
        value, error, true = (
            np.asarray(x, dtype=float) for x in (result[name], result.error(name), truth[name])
        )
        off = value - true
        if name.endswith("angle"):
            off = (off + 90) % 180 - 90
        pull = np.log(value / true) / (error / value) if name.endswith(("radius", "index")) else off / error
        low, middle, high = np.percentile(pull, [15.865, 50, 84.135])
        assert abs(middle) < 4 * 1.253 / math.sqrt(COUNT), name
        assert abs((high - low) / 2 - 1) < 4 * 0.962 / math.sqrt(COUNT), name
        for level, reach in ((0.6827, 1.0), (0.95, 1.96)):
            assert abs(np.mean(np.abs(pull) < reach) - level) < 4 * math.sqrt(level * (1 - level) / COUNT), (
                name
            )


@pytest.mark.parametrize("loss", ["huber", "student-t"])
def test_gaussian_noise(loss):
    rng = np.random.default_rng(1)
    truth, batch = noisy(rng.standard_normal, rng)
    check(isolux.fit(batch, SCENE, loss=loss), truth)


@pytest.mark.parametrize("loss", ["huber", "student-t"])
def test_noise_with_long_tails(loss):
    rng = np.random.default_rng(2)
    truth, batch = noisy(lambda shape: rng.standard_t(3.0, shape), rng)
    check(isolux.fit(batch, SCENE, loss=loss), truth)
    plain = isolux.fit(batch, SCENE)
    pull = (plain["galaxy.magnitude"] - torch.tensor(truth["galaxy.magnitude"])) / plain.error(
        "galaxy.magnitude"
    )
    assert (
        pull.abs() < 1
    ).double().mean() < 0.58  # the variance of such noise is three times that of its core


def test_outliers_on_one_side():
    rng = np.random.default_rng(3)

    def rays(shape):
        hit = rng.random(shape) < 0.01
        return rng.standard_normal(shape) + hit * rng.uniform(20, 200, shape)

    truth, batch = noisy(rays, rng)
    check(isolux.fit(batch, SCENE, loss="student-t"), truth)


def test_counts():
    rng = np.random.default_rng(4)
    truth, images, options = expected_of((14.5, 16.0), 0.3, rng)
    counts = rng.poisson(images).astype(float)
    assert np.mean(counts == 0) > 0.4
    result = isolux.fit(Batch.from_arrays(counts, gain=1.0, **options), SCENE, loss="cash")
    check(result, truth)
    guess = Batch.from_arrays(counts, sigma=np.sqrt(np.maximum(counts, 1)), **options)
    plain = isolux.fit(guess, SCENE)
    pull = (plain["galaxy.magnitude"] - torch.tensor(truth["galaxy.magnitude"])) / plain.error(
        "galaxy.magnitude"
    )
    assert pull.median() > 1  # too faint


def test_counts_with_read_noise():
    rng = np.random.default_rng(6)
    truth, images, options = expected_of((14.5, 16.0), 0.3, rng)
    counts = rng.poisson(images) + 1.5 * rng.standard_normal(images.shape)
    assert (counts + 1.5**2 < 0).any()
    batch = Batch.from_arrays(counts, gain=1.0, read_noise=1.5, **options)
    check(isolux.fit(batch, SCENE, loss="cash"), truth)


def test_priors_from_which_the_truth_is_drawn():
    rng = np.random.default_rng(5)
    truth, images, options = expected_of((19.6, 20.0), 0.0, rng)
    sigma = np.full_like(images, 0.6)
    batch = Batch.from_arrays(images + sigma * rng.standard_normal(images.shape), sigma=sigma, **options)
    n, radius, q = (truth[f"galaxy.{name}"] for name in ("sersic_index", "effective_radius", "axis_ratio"))
    off = rng.standard_normal((3, COUNT))
    priors = [
        LogNormalPrior("galaxy.sersic_index", n * 10 ** (0.1 * off[0]), 0.1),
        LogNormalPrior("galaxy.effective_radius", radius * 10 ** (0.08 * off[1]), 0.08),
        GaussianPrior("galaxy.axis_ratio", np.clip(q + 0.08 * off[2], 0.05, 1), 0.08),
    ]
    result = isolux.fit(batch, SCENE, priors=priors)
    names = [f"galaxy.{name}" for name in ("magnitude", "effective_radius", "sersic_index", "axis_ratio")]
    check(result, truth, [*names, "sky.level"])
    alone = isolux.fit(batch, SCENE, errors="none")
    off = [np.log(np.asarray(fit["galaxy.sersic_index"]) / n) for fit in (result, alone)]
    assert off[0].std() < 0.6 * off[1].std()
