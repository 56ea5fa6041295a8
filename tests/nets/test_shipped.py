"""The weights that come with Isolux: on galaxies that GalSim draws, on empty sky, and as files."""

import json

import galsim
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from isolux import Batch
from isolux.io.weights import SHIPPED, read_network, shipped
from isolux.nets import read_profiles

SCALE, ZERO, SIDE, SIGMA, COUNT = 0.396, 22.5, 96, 0.025, 24


@pytest.fixture(scope="module")
def drawn():
    """Stamps in SDSS's units, without noise and with it, and the PSF."""
    rng = np.random.default_rng(12)
    psf = galsim.Moffat(beta=3, fwhm=1.3)
    clean = []
    for _ in range(COUNT):
        flux = 10 ** (-0.4 * (rng.uniform(15.5, 18.5) - ZERO))
        galaxy = galsim.Sersic(
            n=round(rng.uniform(0.8, 4), 1), half_light_radius=rng.uniform(1.5, 4), flux=flux
        )
        galaxy = galaxy.shear(q=rng.uniform(0.4, 1), beta=rng.uniform(0, 180) * galsim.degrees)
        seen = galsim.Convolve(galaxy, psf).drawImage(nx=SIDE, ny=SIDE, scale=SCALE)
        clean.append(seen.array.astype(float))
    clean = np.stack(clean)
    image = clean + SIGMA * rng.normal(size=clean.shape)
    kernel = psf.drawImage(nx=31, ny=31, scale=SCALE).array
    return clean, batch_of(image, np.broadcast_to(kernel / kernel.sum(), (COUNT, 31, 31)))


def batch_of(image, psf=None):
    many = np.ones(len(image))
    return Batch.from_arrays(
        image, sigma=np.full(image.shape, SIGMA), psf=psf, zero_point=ZERO * many, pixel_scale=SCALE * many
    )


def mean_along(image, found, k):
    """Mean of an image along the ellipses that a profile has."""
    sma = found.sma[k].numpy()[:, None]
    e, angle = found.ellipticity[k].numpy()[:, None], np.radians(found.position_angle[k].numpy())[:, None]
    psi = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    along, across = sma * np.cos(psi), sma * (1 - e) * np.sin(psi)
    y = float(found.y[k]) + along * np.cos(angle) - across * np.sin(angle)
    x = float(found.x[k]) - along * np.sin(angle) - across * np.cos(angle)
    return map_coordinates(image, [y, x], order=3, mode="nearest").mean(1)


def test_polar_reads_galsim(drawn):
    clean, batch = drawn
    sma = (0.8 * 1.08 ** torch.arange(60, dtype=torch.float64)).expand(COUNT, -1)
    found = read_profiles(batch, *read_network("polar"), sma=sma)
    assert bool((found.length > 15).all())
    off, inside, away = [], [], []
    for k in range(COUNT):
        kept = slice(0, int(found.length[k]))
        truth = np.maximum(mean_along(clean[k], found, k)[kept], 1e-9)
        low, middle, high = (t[k].numpy()[kept] for t in (found.low, found.intensity, found.high))
        off.append(1.0857 * np.median(np.abs(np.log(middle / truth))))
        inside.append((low <= truth) & (truth <= high))
        away.append(np.hypot(float(found.x[k]) - 47.5, float(found.y[k]) - 47.5))
    assert np.median(off) < 0.03  # 0.014 on the mocks of the benchmark
    assert 0.5 < np.concatenate(inside).mean() < 0.95  # should be 0.68; these few galaxies are all alone
    assert np.median(away) < 0.3


def test_polar_knows_flux_and_shape(drawn):
    clean, batch = drawn
    found = read_profiles(batch, *read_network("polar"), step=0.4)
    flux = clean.sum((1, 2))
    table = found.summary()
    off = np.asarray(table["total_magnitude"].value) - (ZERO - 2.5 * np.log10(flux))
    assert np.median(np.abs(off)) < 0.05
    moved = batch_of(
        np.rot90(batch.image.numpy(), axes=(1, 2)).copy(), np.rot90(batch.psf.numpy(), axes=(1, 2)).copy()
    )
    turned = read_profiles(moved, *read_network("polar"), step=0.4)
    # A quarter turn turns the answer and nothing else, but for the sample of pixels that the sky is taken from.
    torch.testing.assert_close(turned.ellipticity[:, 5], found.ellipticity[:, 5], rtol=0, atol=0.05)


def test_pix2prof_reads_galsim(drawn):
    """The published network after a small schedule knows how bright galaxies are within half a magnitude."""
    clean, batch = drawn
    found = read_profiles(batch, *read_network("pix2prof"), step=0.4)
    shape = read_profiles(batch, *read_network("polar"), step=0.4)
    off = []
    for k in range(COUNT):
        kept = slice(0, int(min(found.length[k], shape.length[k])))
        truth = mean_along(clean[k], shape, k)[kept]
        off.append(
            1.0857 * np.median(np.abs(np.log(found.intensity[k].numpy()[kept] / np.maximum(truth, 1e-9))))
        )
    assert np.median(off) < 0.7
    first = -2.5 * np.log10(found.intensity[:, 0].numpy())
    true = np.array([-2.5 * np.log10(mean_along(clean[k], shape, k)[0]) for k in range(COUNT)])
    assert np.corrcoef(first, true)[0, 1] > 0.9


@pytest.mark.parametrize("name", ["polar", "pix2prof"])
def test_empty_sky_has_no_profile(name):
    image = SIGMA * np.random.default_rng(3).normal(size=(20, SIDE, SIDE))
    assert int((read_profiles(batch_of(image), *read_network(name)).length > 0).sum()) == 0


@pytest.mark.parametrize("name", ["polar", "pix2prof"])
def test_the_files_are_small_and_have_their_card(name):
    assert name in shipped()
    card = read_network(name)[1]
    beside = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))
    assert beside["training"] == card.training
    assert {"steps", "seed", "hardware", "torch", "date"} <= set(card.training)
    assert card.scores
    assert card.limits
    assert card.data["presets"]
    files = [
        path for path in SHIPPED.iterdir() if path.name.startswith(name) and path.suffix == ".safetensors"
    ]
    assert files
    assert all(path.stat().st_size < 16 << 20 for path in files)
