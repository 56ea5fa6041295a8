"""Mock stamps hold what their truth says: flux, noise and PSF, and a fit finds the truth again."""

import galsim
import numpy as np
import pytest
import torch

import isolux
from isolux.profiles import Exponential, FlatSky
from isolux.simulate import Observation, draw, mock_scene, mock_stamps, moffat_psf

SMALL = Observation(size=48, psf_size=25)


def model_images(batch, truth):
    scene = mock_scene(truth)
    return scene.images(batch, scene.values(len(batch)))


@pytest.mark.parametrize("model", ["sersic", "bulge+disc"])
def test_noise_is_what_sigma_says(model):
    batch, truth = mock_stamps(8, model, seed=1, observation=SMALL, dtype=torch.float64)
    pulls = (batch.image - model_images(batch, truth)) / batch.sigma
    assert abs(float(pulls.mean())) < 4 / pulls.numel() ** 0.5
    assert abs(float(pulls.std()) - 1) < 4 / (2 * pulls.numel()) ** 0.5


def test_flux_in_a_large_stamp_is_that_of_the_magnitude():
    view = Observation(size=256, sky_sigma=(1e-4, 1e-4), gain=1e7, psf_size=25)
    batch, truth = mock_stamps(4, "bulge+disc", seed=2, observation=view, dtype=torch.float64)
    flux = sum(10 ** (-0.4 * (truth[f"{name}.magnitude"] - 22.5)) for name in ("bulge", "disc"))
    found = batch.image.sum((1, 2)).numpy() / flux
    assert (found < 1.001).all()
    assert (found > 0.95).all()


def test_the_same_seed_gives_the_same_stamps():
    one, again, other = (mock_stamps(2, seed=seed, observation=SMALL)[0] for seed in (3, 3, 4))
    assert torch.equal(one.image, again.image)
    assert not torch.equal(one.image, other.image)


def test_a_sky_is_left_in_the_images():
    view = Observation(size=48, psf_size=25, sky_level=3.0)
    batch, truth = mock_stamps(2, seed=3, observation=view)
    plain, _ = mock_stamps(2, seed=3, observation=SMALL)
    assert (truth["sky.level"] == 3.0).all()
    assert torch.allclose(batch.image, plain.image + 3.0, atol=1e-5)
    assert torch.equal(batch.sigma, plain.sigma)


@pytest.mark.parametrize(("fwhm", "beta"), [(3.3, 3.5), (2.0, 2.5)])
def test_psf_is_that_of_galsim(fwhm, beta):
    ours = moffat_psf(fwhm, beta, 41)
    theirs = galsim.Moffat(beta=beta, fwhm=fwhm).drawImage(nx=41, ny=41, scale=1.0).array
    assert np.abs(ours - theirs / theirs.sum()).max() < 1e-3 * ours.max()


def test_stamps_are_those_of_galsim():
    view = Observation(size=64, psf_fwhm=(1.3, 1.3), sky_sigma=(1e-3, 1e-3), psf_size=63)
    batch, truth = mock_stamps(4, seed=6, observation=view, dtype=torch.float64)
    ours = model_images(batch, truth).numpy()
    moffat = galsim.Moffat(beta=3.5, fwhm=1.3 / 0.396)
    for k in range(4):
        x, y, magnitude, radius, n, q, angle = (
            values[k] for name, values in truth.items() if "sersic." in name
        )
        round_radius = radius * q**0.5
        galaxy = galsim.Sersic(n=n, half_light_radius=round_radius, flux=10 ** (-0.4 * (magnitude - 22.5)))
        galaxy = galaxy.shear(q=q, beta=(90 + angle) * galsim.degrees).shift(x - 31.5, y - 31.5)
        theirs = galsim.Convolve(galaxy, moffat).drawImage(nx=64, ny=64, scale=1.0).array
        assert np.abs(ours[k] - theirs).max() < 5e-3 * theirs.max()


def test_a_fit_finds_the_truth():
    batch, truth = mock_stamps(6, seed=5, observation=Observation(size=96, psf_size=25))
    result = isolux.fit(batch, isolux.Scene(sersic=isolux.Sersic(), sky=FlatSky()))
    assert result.converged.all()
    for name, true in truth.items():
        pulls = (result[name].numpy() - true) / result.error(name).numpy()
        assert np.abs(pulls).max() < 4.5, name


def test_a_fit_finds_bulge_and_disc():
    batch, truth = mock_stamps(3, "bulge+disc", seed=5, observation=Observation(size=96, psf_size=25))
    disc = Exponential(x=isolux.Tied("bulge.x"), y=isolux.Tied("bulge.y"))
    scene = isolux.Scene(bulge=isolux.Sersic(sersic_index=isolux.Fixed(4)), disc=disc, sky=FlatSky())
    result = isolux.fit(batch, scene)
    assert result.converged.all()
    for name in ("disc.scale_radius", "bulge.magnitude", "disc.magnitude", "disc.axis_ratio"):
        pulls = (result[name].numpy() - truth[name]) / result.error(name).numpy()
        assert np.abs(pulls).max() < 4.5, name


def test_a_scene_is_drawn_in_one_call():
    truth = mock_stamps(2, "bulge+disc", seed=1, observation=SMALL)[1]
    total, parts = draw(
        mock_scene(truth), (48, 40), psf=moffat_psf(3.0, size=15), zero_point=22.5, galaxies=2
    )
    assert list(parts) == ["bulge", "disc", "sky"]
    assert total.shape == (2, 48, 40)
    assert torch.equal(total, sum(parts.values()))
    with pytest.raises(isolux.InputError, match=r"disc\.magnitude has no value"):
        draw(isolux.Scene(disc=Exponential(x=1, y=1)), (8, 8))


def test_what_cannot_be_is_refused():
    with pytest.raises(isolux.InputError, match="number of mock galaxies"):
        mock_stamps(0)
    with pytest.raises(isolux.InputError, match="did you mean 'sersic'"):
        mock_stamps(1, "sersik")


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 4},
        {"psf_size": 40},
        {"psf_beta": 1.0},
        {"gain": 0.0},
        {"pixel_scale": -1.0},
        {"sky_sigma": (0.0, 1.0)},
        {"psf_fwhm": (2.0, 1.0)},
    ],
)
def test_impossible_observations_are_refused(wrong):
    with pytest.raises(isolux.InputError, match=next(iter(wrong))):
        Observation(**wrong)
