"""GalSim draws, we draw or fit: images, recovered parameters and the widths of pulls."""

from functools import cache

import numpy as np
import pytest
import torch

import isolux
from isolux import Batch, FlatSky, Scene, Sersic

galsim = pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")

GSPARAMS = galsim.GSParams(folding_threshold=5e-4, maxk_threshold=2e-4, maximum_fft_size=32768)
SIZE = 64


@cache
def psf(fwhm, beta=3.0, size=101):
    """A Moffat PSF as GalSim's object and as the image of a star, large enough to hold 0.9995 of the light."""
    profile = galsim.Moffat(beta=beta, fwhm=fwhm, gsparams=GSPARAMS)
    image = profile.drawImage(nx=size, ny=size, scale=1.0, dtype=float).array
    return profile, image


def galsim_sersic(n, radius, q, angle, x, y, size=SIZE):
    profile = galsim.Sersic(n=n, half_light_radius=radius * np.sqrt(q), flux=1.0, gsparams=GSPARAMS)
    middle = (size - 1) / 2
    return profile.shear(q=q, beta=(angle + 90) * galsim.degrees).shift(x - middle, y - middle)


def galsim_image(profile, kernel, size=SIZE):
    convolved = galsim.Convolve(profile, kernel, gsparams=GSPARAMS)
    return convolved.drawImage(nx=size, ny=size, scale=1.0, dtype=float).array


def our_image(profile, kernel, size=SIZE, dtype=torch.float64):
    blank = np.zeros((1, size, size))
    batch = Batch.from_arrays(blank, sigma=blank + 1, psf=kernel, dtype=dtype)
    scene = Scene(galaxy=profile)
    return scene.images(batch, scene.values(1))[0].numpy() * kernel.sum()


def test_single_precision_image():
    """float32 against float64: 4e-6 of the maximum, some thirty roundings, of the core's tables among them."""
    _, kernel = psf(3.3)
    galaxy = Sersic(
        x=31.3, y=31.8, flux=1.0, effective_radius=6, sersic_index=4, axis_ratio=0.5, position_angle=20
    )
    double, single = our_image(galaxy, kernel), our_image(galaxy, kernel, dtype=torch.float32)
    assert np.abs(double - single).max() < 4e-6 * double.max()


PARAMETERS = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")


@cache
def mocks(count=60, noise=0.02):
    """GalSim galaxies of signal-to-noise about 60 to 600 with sky noise and their truth."""
    rng = np.random.default_rng(5)
    profile, kernel = psf(3.3, size=41)
    truth = np.stack(
        [
            31.5 + rng.uniform(-1, 1, count),
            31.5 + rng.uniform(-1, 1, count),
            rng.uniform(16.0, 18.5, count),
            10 ** rng.uniform(0.5, 0.95, count),
            10 ** rng.uniform(-0.3, 0.7, count),
            rng.uniform(0.3, 0.9, count),
            rng.uniform(-90, 90, count),
        ],
        1,
    )
    images = []
    for x, y, magnitude, radius, n, q, angle in truth:
        flux = 10 ** (-0.4 * (magnitude - 22.5))
        images.append(galsim_image(galsim_sersic(n, radius, q, angle, x, y).withFlux(flux), profile))
    clean = np.stack(images)
    data = clean + noise * rng.standard_normal(clean.shape) + 0.05
    batch = Batch.from_arrays(
        data, sigma=np.full_like(data, noise), psf=kernel, zero_point=22.5, pixel_scale=0.4
    )
    return batch, truth


@cache
def fitted():
    return isolux.fit(mocks()[0], Scene(galaxy=Sersic(), sky=FlatSky()))


def differences():
    """Fitted minus true values (galaxy, parameter) and errors; angles wrapped."""
    result, truth = fitted(), mocks()[1]
    found = torch.stack([result[f"galaxy.{name}"] for name in PARAMETERS], 1).numpy()
    errors = torch.stack([result.error(f"galaxy.{name}") for name in PARAMETERS], 1).numpy()
    difference = found - truth
    difference[:, 6] = (difference[:, 6] + 90) % 180 - 90
    return difference, errors


def test_all_mocks_converge_from_automatic_starts():
    result = fitted()
    assert bool(result.converged.all())
    assert float((result.reduced_chi2 - 1).abs().max()) < 0.06  # 5 sigma of a chi-square of 4088


def test_mocks_are_recovered_within_their_errors():
    difference, errors = differences()
    assert np.abs(difference / errors).max() < 5.0


def test_pulls_have_width_one():
    """60 galaxies of 7 parameters: the pooled width has an error of 4 %, the mean of 5 %."""
    difference, errors = differences()
    pulls = difference / errors
    assert abs(pulls.std() - 1) < 0.12
    assert np.abs(pulls.mean(0)).max() < 0.45  # 3.5 sigma for one of seven parameters
    assert 0.61 < (np.abs(pulls) < 1).mean() < 0.75


def test_sky_is_recovered():
    result = fitted()
    pulls = (result["sky.level"] - 0.05) / result.error("sky.level")
    assert abs(float(pulls.mean())) < 0.45
    assert abs(float(pulls.std()) - 1) < 0.3
