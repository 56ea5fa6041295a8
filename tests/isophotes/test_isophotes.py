"""Profiles of images whose isophotes are known, and of images that have none."""

import math

import galsim
import numpy as np
import pytest
import torch

import isolux
from isolux.isophotes import IsophoteOptions, ProfileFlag, Quality, measure_isophotes
from isolux.isophotes.ellipses import Ellipses, nodes, position_angle, shape_of
from isolux.isophotes.light import Core, Light
from isophote_skies import SCALE, ZERO, batch_of, disc, noisy


@pytest.fixture(scope="module")
def clean():
    """A disc with hardly any noise."""
    return measure_isophotes(batch_of([noisy(disc(), 0.001)], 0.001))


def test_centre_shape_and_brightness_of_a_disc(clean):
    """To a percent: what is left are interpolation in the cusp and the regularisation of shapes."""
    assert abs(float(clean.x[0]) - 31.7) < 0.01
    assert abs(float(clean.y[0]) - 31.2) < 0.01
    sma = clean.sma[0].numpy()
    used = (sma > 3) & (sma < 24)
    assert np.abs(clean.ellipticity[0].numpy()[used] - 0.4).max() < 0.01
    assert np.abs(clean.position_angle[0].numpy()[used] - 30).max() < 1.0
    truth = 100 * np.exp(-sma[used] / 5)
    off = np.abs(clean.intensity[0].numpy()[used] - truth)
    # The sky is the error in the outskirts: the disc fills the stamp.
    assert (off < 0.005 * truth + 2 * clean.error[0].numpy()[used]).all()
    assert int(clean.length[0]) > 60


def test_growth_magnitude_and_radii_of_a_disc(clean):
    total = 2 * math.pi * 25 * 0.6 * 100
    sma = clean.sma[0].numpy()
    used = (sma > 3) & (sma < 28)
    x = sma[used] / 5
    expected = total * (1 - (1 + x) * np.exp(-x))
    assert np.abs(clean.growth[0].numpy()[used] / expected - 1).max() < 0.01
    assert abs(float(clean["r50"][0]) / (1.6783 * 5) - 1) < 0.02
    assert abs(float(clean["total_magnitude"][0]) - (ZERO - 2.5 * math.log10(total))) < 0.02
    level = 100 * math.exp(-10 / 5) / SCALE**2
    wanted = ZERO - 2.5 * math.log10(level)
    again = measure_isophotes(batch_of([noisy(disc(), 0.001)], 0.001), IsophoteOptions(levels=(wanted,)))
    assert abs(float(again.values[0, [c.name for c in again.columns].index("d25") - 1]) - 10) < 0.1


def test_isophotes_that_twist_and_flatten():
    sma = nodes((96, 96))
    turn = torch.log(sma / 0.7)
    shape = shape_of(0.85 - 0.1 * turn, 10 + 12 * turn)
    image = noisy(disc(96, 47.3, 47.9, scale=9.0, level=400.0, shape=shape), 0.05)
    found = measure_isophotes(batch_of([image], 0.05))
    truth = Ellipses(found.x, found.y, shape[None]).shape_at(found.sma)
    used = (found.sma[0] > 4) & (found.sma[0] < 40)
    assert (found.shape - truth)[0][used].norm(dim=1).max() < 0.03
    off = torch.remainder(found.position_angle - position_angle(truth) + 90, 180) - 90
    assert off[0][used].abs().max() < 3


def galsim_galaxies(count, size=64, seed=3):
    """Noiseless Sérsic galaxies seen through a PSF by GalSim, sampled four times finer as well, and their centres."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        flux, re, n, q = (
            10 ** rng.uniform(3.3, 4.3),
            rng.uniform(3, 6),
            rng.uniform(0.8, 2.5),
            rng.uniform(0.4, 0.95),
        )
        light = galsim.Sersic(n=n, half_light_radius=re, flux=flux).shear(
            q=q, beta=rng.uniform(0, 180) * galsim.degrees
        )
        seen = galsim.Convolve(light, galsim.Moffat(beta=3, fwhm=3.2))
        centre = (size - 1) / 2 + rng.uniform(-1, 1, 2)
        image = seen.drawImage(
            nx=size, ny=size, scale=1.0, offset=tuple(centre - (size - 1) / 2), dtype=float
        ).array
        made.append((image, centre))
    return made


def test_errors_cover_the_truth_of_galaxies_drawn_by_galsim():
    """Pull width of many noisy images of the same light against the profile of the light itself.

    The truth is the mean along the true light's own isophotes, from images whose noise is a 300th. The tolerance is
    that of 40 galaxies, whose radii are not independent.
    """
    made = galsim_galaxies(40)
    sigma = 0.5
    truth = measure_isophotes(
        batch_of([noisy(image, sigma / 300, 50 + k) for k, (image, _) in enumerate(made)], sigma / 300),
        IsophoteOptions(step=0.4, find_neighbours=False, smoothness=1.0),
    )
    mask = np.zeros((40, 64, 64))
    mask[::2, 28:40, 38:46] = 1
    found = measure_isophotes(
        batch_of([noisy(image, sigma, k) for k, (image, _) in enumerate(made)], sigma, mask=mask),
        IsophoteOptions(step=0.4),
    )
    both = found.valid & truth.valid & (truth.intensity > 0.1)
    pull = ((found.intensity - truth.intensity) / found.error)[both].numpy()
    low, middle, high = np.percentile(pull, (15.9, 50, 84.1))
    assert 0.8 < (high - low) / 2 < 1.2
    assert abs(middle) < 0.35


def test_splines_of_the_core_follow_a_seen_galaxy():
    """As the module says: 0.4 % of the peak at most, for a star of FWHM 3.2 pixels half way between pixels."""
    star = galsim.Convolve(galsim.Moffat(beta=3, fwhm=3.2), galsim.Pixel(1.0))
    drawn = [
        star.drawImage(nx=33, ny=33, scale=1.0, method="no_pixel", offset=(dx, 0), dtype=float).array * 1e4
        for dx in (0.0, 0.5)
    ]
    image = torch.as_tensor(drawn[0], dtype=torch.float32)[None]
    one = torch.ones_like(image)
    light = Light.of(image, one, one)
    middle = torch.tensor([16.0], dtype=torch.float64)
    place = torch.tensor([[[15.5]]], dtype=torch.float64)
    value, _ = Core.of(light, middle, middle).sample(place, middle[:, None, None])
    assert abs(float(value) - drawn[1][16, 16]) < 4e-3 * drawn[0].max()


def test_fluxes_of_any_size_are_alike():
    image = noisy(disc())
    plain = measure_isophotes(batch_of([image]))
    tiny = measure_isophotes(batch_of([image * 1e-12], 0.5e-12))
    assert torch.equal(plain.length, tiny.length)
    assert torch.allclose(plain.intensity * 1e-12, tiny.intensity, rtol=1e-3, atol=1e-16)
    assert torch.allclose(plain.shape, tiny.shape, atol=1e-3)


def test_turned_image_has_turned_isophotes():
    image = noisy(disc(x=31.5, y=31.5, angle=20))
    found = measure_isophotes(batch_of([image, np.rot90(image).copy()]))
    used = (found.sma[0] > 3) & (found.sma[0] < 20)
    off = torch.remainder(found.position_angle[1] - found.position_angle[0], 180)[used]
    # Rows count upwards, so that rot90 of the array turns the picture clockwise.
    assert (off - 90).abs().max() < 1.0
    assert torch.allclose(found.intensity[0][used], found.intensity[1][used], rtol=0.01)


def test_sky_comes_with_an_honest_error():
    rng = np.random.default_rng(8)
    images = [disc(scale=4.0) + 7.0 + 0.5 * rng.standard_normal((64, 64)) for _ in range(40)]
    found = measure_isophotes(batch_of(images))
    pull = ((found["sky"] - 7.0) / found.error_of("sky")).numpy()
    assert 0.6 < pull.std() < 1.5
    assert abs(np.median(pull)) < 0.8


def test_given_sky_is_taken():
    image = noisy(disc()) + 3.0
    found = measure_isophotes(batch_of([image]), IsophoteOptions(sky="given", sky_level=3.0, sky_error=0.01))
    assert abs(float(found["sky"][0]) - 3.0) < 1e-6
    assert abs(float(found.error_of("sky")[0]) - 0.01) < 1e-6


def test_fixed_and_given_ellipses():
    image = noisy(disc(q=0.6, angle=30))
    fixed = measure_isophotes(batch_of([image]), IsophoteOptions(geometry="fixed"))
    assert float(fixed.ellipticity[0].max() - fixed.ellipticity[0].min()) < 0.01
    assert abs(float(fixed.ellipticity[0, 20]) - 0.4) < 0.03
    given = measure_isophotes(
        batch_of([image]), IsophoteOptions(geometry="fixed", axis_ratio=0.8, position_angle=-50.0)
    )
    assert torch.allclose(given.ellipticity, torch.tensor(0.2, dtype=torch.float64))
    assert torch.allclose(given.position_angle, torch.tensor(-50.0, dtype=torch.float64))


def test_radii_average_and_end():
    batch = batch_of([noisy(disc())])
    ratio = measure_isophotes(batch, IsophoteOptions(ratio=1.2))
    assert torch.allclose(ratio.sma[0, 2:] / ratio.sma[0, 1:-1], torch.tensor(1.2, dtype=torch.float64))
    faint = measure_isophotes(batch, IsophoteOptions(faintest=22.0))
    last = faint.surface_brightness[0, int(faint.length[0]) - 1]
    assert 21.7 < float(last) < 22.05
    mean, median = (measure_isophotes(batch, IsophoteOptions(average=a)) for a in ("mean", "median"))
    near = (mean.sma[0] > 2) & (mean.sma[0] < 15)
    assert torch.allclose(mean.intensity[0][near], median.intensity[0][near], rtol=0.05)
    assert not torch.equal(mean.intensity[0][near], median.intensity[0][near])


def test_masked_star_leaves_no_hole_in_the_growth():
    image = noisy(disc(), 0.05)
    mask = np.zeros((64, 64))
    mask[38:46, 30:38] = 1
    spoiled = np.where(mask > 0, 1e4, image)
    plain, masked = measure_isophotes(
        batch_of([image, spoiled], 0.05, mask=[np.zeros((64, 64)), mask])
    ).growth
    used = torch.isfinite(plain) & (plain > 100)
    assert (masked[used] / plain[used] - 1).abs().max() < 0.01


def test_neighbour_without_a_mask_is_found():
    image = disc()
    star = 200 * np.exp(-0.5 * ((np.arange(64) - 48) ** 2 + (np.arange(64)[:, None] - 40) ** 2) / 6.0)
    alone = measure_isophotes(batch_of([noisy(image)]))
    cases = {"masked": IsophoteOptions(), "neither": IsophoteOptions(find_neighbours=False, clip=100.0)}
    found = {
        name: measure_isophotes(batch_of([noisy(image + star)]), options) for name, options in cases.items()
    }
    off = {
        name: abs(float(f["total_magnitude"][0] - alone["total_magnitude"][0])) for name, f in found.items()
    }
    assert off["masked"] < 0.03
    assert off["neither"] > 0.1


def test_galaxy_in_the_middle_beside_something_brighter():
    star = 600 * np.exp(-0.5 * ((np.arange(64) - 50) ** 2 + (np.arange(64)[:, None] - 44) ** 2) / 4.0)
    batch = batch_of([noisy(disc() + star)])
    found = measure_isophotes(batch, IsophoteOptions(place="middle"))
    assert abs(float(found.x[0]) - 31.7) < 0.3
    assert abs(float(found.ellipticity[0, 20]) - 0.4) < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_empty_sky_has_an_empty_profile(dtype):
    rng = np.random.default_rng(4)
    batch = batch_of(rng.standard_normal((60, 64, 64)), 1.0, dtype=dtype)
    found = measure_isophotes(batch)
    assert int(found.length.sum()) == 0
    assert all(ProfileFlag.NO_GALAXY in flags for flags in found.flags)
    assert len(found.table()) == 0
    assert len(found.summary()) == 60
    assert np.isnan(found.summary()["total_magnitude"]).all()


def test_images_that_hold_no_galaxy():
    zero = np.zeros((64, 64))
    images = [zero, zero + 5, -disc(), np.full((64, 64), np.nan)]
    found = measure_isophotes(batch_of([noisy(images[0]) * 0, images[1], noisy(images[2]), images[3]]))
    assert found.length.tolist() == [0, 0, 0, 0]
    assert ProfileFlag.UNUSABLE in found.flags[3]
    assert found.message[3]
    assert torch.isfinite(found["sky"][:3]).all()


def test_two_equal_galaxies_are_told():
    pair = disc(x=24, y=32, q=0.8, scale=4) + disc(x=42, y=32, q=0.8, scale=4)
    found = measure_isophotes(batch_of([noisy(pair)]))
    assert int(found.length[0]) > 0
    assert ProfileFlag.COMPANION in found.flags[0]


def test_galaxy_at_the_edge_ends_there():
    found = measure_isophotes(
        batch_of([noisy(disc(x=6, y=31, scale=8, level=300))]), IsophoteOptions(place="brightest")
    )
    if int(found.length[0]):
        edge = (found.quality[0] & int(Quality.EDGE)) > 0
        assert bool(edge[: int(found.length[0])].any())


def test_fully_masked_rings_are_bridged():
    image = noisy(disc(q=0.999, x=31.5, y=31.5), 0.05)
    radius = np.hypot(*(np.mgrid[:64, :64] - 31.5))
    mask = (radius > 10) & (radius < 13)
    found = measure_isophotes(batch_of([image], 0.05, mask=[mask]))
    inside = (found.sma[0] > 11) & (found.sma[0] < 12)
    assert bool(((found.quality[0][inside] & int(Quality.REPLACED)) > 0).all())
    expected = 100 * torch.exp(-found.sma[0][inside] / 5)
    assert (found.intensity[0][inside] / expected - 1).abs().max() < 0.1
    assert int(found.length[0]) > 60


def test_masked_centre_is_told():
    mask = np.zeros((64, 64))
    mask[30:33, 30:34] = 1
    found = measure_isophotes(batch_of([noisy(disc())], mask=[mask]))
    assert ProfileFlag.CENTRE_MASKED in found.flags[0]


def test_small_and_oblong_stamps():
    for size in ((12, 12), (13, 40)):
        found = measure_isophotes(batch_of([noisy(disc(64, scale=2)[: size[0], : size[1]])]))
        assert len(found) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 0},
        {"ratio": 1.0},
        {"geometry": "round"},
        {"axis_ratio": 0.5},
        {"geometry": "fixed", "axis_ratio": 0.0},
        {"average": "mode"},
        {"sky": "none"},
        {"sky_level": math.nan},
        {"clip": 0},
        {"power": -1},
        {"levels": (math.inf,)},
        {"place": "left"},
    ],
)
def test_options_that_cannot_be(wrong):
    with pytest.raises(isolux.InputError):
        IsophoteOptions(**wrong)


def test_too_many_radii_are_refused():
    with pytest.raises(isolux.InputError, match="radii"):
        measure_isophotes(batch_of([disc()]), IsophoteOptions(step=1e-3))
