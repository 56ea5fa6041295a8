"""What is drawn has the fluxes of the truth, and is what GalSim draws of it."""

import math

import galsim
import numpy as np
import pytest
import torch

from isolux import mock
from isolux.errors import MissingExtra
from isolux.mock import drawing, extent
from isolux.mock.features import CLUMPS, PATTERN, passed
from isolux.mock.galsim_twin import twin_image
from isolux.mock.light import enclosed, reach
from isolux.mock.truth import of_band


def alone(made, band, row, psf=None):
    """Return the image of one source of a field."""
    truth = {name: values[row : row + 1] for name, values in of_band(made.truth, band).items()}
    return drawing.draw_sources(
        truth,
        made.band(band),
        psf or made.psf[band],
        made.bands[band].shape,
        sigma=made.sigma[band],
        gain=made.gain[band],
        edge=made.options.edge,
    )


# Between Lanczos interpolation of the PSF at 3.4 samples a FWHM and its Fourier series: 7e-4 of a star's peak.
TWIN = 1e-3


@pytest.mark.parametrize(
    ("survey", "settings"),
    [
        ("sdss", {"psf_variation": 0.2, "faint": 20.5}),
        ("euclid", {"faint": 22.5}),
        ("sdss", {"morphology": "realistic", "bright": 17, "faint": 19}),
        ("euclid", {"bands": "H", "psf_variation": 0.1, "faint": 21}),
    ],
)
def test_sources_are_those_of_galsim(survey, settings):
    made = mock.field(survey, size=150, seed=3, galaxies=4, stars=1, arrangement="grid", **settings)
    band = next(iter(made.bands))
    for row in range(5):
        ours, theirs = alone(made, band, row).image, twin_image(made, band, [row])
        assert np.abs(ours - theirs).max() < TWIN * theirs.max(), made.truth["kind"][row]


def test_the_whole_field_is_the_sum_of_its_sources(small):
    parts = sum(alone(small, "r", row).image.astype(float) for row in range(14))
    brightest = small.noiseless["r"].max()
    # Sums of float32 in another order, and stamps drawn in other company.
    assert np.abs(small.noiseless["r"] - parts).max() < 1e-6 * brightest
    theirs = twin_image(small, "r")
    assert np.abs(small.noiseless["r"] - theirs).max() < TWIN * brightest


@pytest.mark.parametrize("kind", ["sersic", "bulge+disc", "realistic"])
def test_fluxes_are_those_of_the_truth(kind):
    settings = dict(size=600, seed=6, galaxies=5, stars=1, arrangement="grid", bright=16.5, faint=18)
    made = mock.field("sdss", morphology=kind, edge=1e-4, **settings)
    assert made.truth["realistic"].any() == (kind == "realistic")
    # Stamps are cut off at 1e-4 of the sky's noise a pixel, the field's edge cuts too.
    assert (made.truth["inside_r"] < 1.001).all()
    assert np.median(made.truth["inside_r"]) > 0.99
    total = made.band("r").flux(made.truth["magnitude_r"]) @ made.truth["inside_r"]
    assert made.noiseless["r"].sum() == pytest.approx(total, rel=1e-5)


def test_light_that_is_cut_off_is_fainter_than_said():
    made = mock.field("sdss", size=512, seed=4, galaxies=4, stars=0, arrangement="grid", faint=18, edge=0.05)
    band, truth = made.band("r"), of_band(made.truth, "r")
    sides = extent.stamp_sides(truth, band, made.psf["r"], 0.05 * made.sigma["r"])
    assert len(set(sides)) > 1
    whole = mock.field("sdss", truth=made.truth, size=512, edge=1e-4)
    lost = np.abs(whole.noiseless["r"] - made.noiseless["r"]).max()
    assert 0 < lost < 0.05 * made.sigma["r"]


def test_a_large_galaxy_with_index_six_is_drawn_on_the_whole_field():
    made = mock.field("sdss", size=300, seed=1, galaxies=1, stars=0, morphology="sersic", arrangement="grid")
    truth = of_band(made.truth, "r")
    x, y, angle, q = (truth[name][0] for name in ("x", "y", "position_angle", "axis_ratio"))
    large = {"sersic_index": 6.0, "effective_radius_r": 60 * 0.396, "magnitude_r": 14.0}
    image = mock.field(
        "sdss", truth=made.truth | {name: np.array([v]) for name, v in large.items()}, size=300
    ).noiseless["r"]
    dy, dx = np.mgrid[:300, :300] - np.array([y, x])[:, None, None]
    sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    radius = np.hypot(dy * cos - dx * sin, (dx * cos + dy * sin) / q)
    b = 2 * 6 - 1 / 3 + 4 / (405 * 6) + 46 / (25515 * 36)
    per_flux = b**12 / (2 * np.pi * 60**2 * q * 6 * np.exp(b) * math.factorial(11))
    light = 10 ** (0.4 * (22.5 - 14.0)) * per_flux * np.exp(-b * ((radius / 60) ** (1 / 6) - 1))
    far = np.hypot(dy, dx) > 40
    # There the PSF, beyond 40 pixels of which nothing is left, changes little: its second moment over r^2.
    assert np.abs(image / light - 1)[far].max() < 0.02
    assert np.median(np.abs(image / light - 1)[far]) < 0.003


def test_numbers_drawn_at_a_time_do_not_matter(small, monkeypatch):
    monkeypatch.setattr(drawing, "MOST", 3)
    again = mock.field("sdss", seed=2, options=small.options)
    difference = np.abs(again.noiseless["r"] - small.noiseless["r"]).max()
    # float32, 24 bits.
    assert difference < 1e-6 * small.noiseless["r"].max()


def test_a_matched_filter_finds_the_signal_to_noise(rng):
    made = mock.field("sdss", size=64, seed=1, galaxies=0, stars=1, arrangement="grid")
    assert made.truth["kind"][0] == "star"
    truth = made.truth | {"magnitude_r": np.array([made.band("r").depth])}
    faint = mock.field("sdss", truth=truth, size=64)
    # The depth is defined by it for a star in the middle of a pixel, without its own photons' noise.
    assert faint.truth["snr_r"][0] == pytest.approx(5.0, rel=0.05)


def test_depth_holds_with_correlated_noise(rng):
    band = mock.SURVEYS["hst"].bands[0]
    made = mock.field("hst", size=256, seed=1, galaxies=0, stars=0)
    psf = made.psf["F814W"].at(0, 0)[0]
    noise = [mock.field("hst", size=256, seed=s, galaxies=0, stars=0).bands["F814W"].data for s in range(4)]
    half = psf.shape[0] // 2
    fluxes = [
        (image[y - half : y + half + 1, x - half : x + half + 1] * psf).sum() / (psf**2).sum()
        for image in noise
        for y in range(half, 256 - half, 20)
        for x in range(half, 256 - half, 20)
    ]
    # 256 filters that share little noise: 6 %.
    assert np.std(fluxes) == pytest.approx(band.flux(band.depth) / 5, rel=0.2)


def test_dust_takes_what_is_said():
    features = {name: np.zeros(2) for name in PATTERN}
    features["dust_depth"], features["dust_width"] = np.array([0.0, 100.0]), np.array([0.1, 1e3])
    through = passed(features, np.array([0.3, 0.3]), 814.0)
    assert through[0] == 1
    # An opaque screen lets through only the middle, where it has a hole: g = s^2 / (1 + s^2).
    assert 0 < through[1] < 0.02


def test_reach_and_enclosed_light_are_those_of_sersic():
    assert enclosed(np.array([1.0]), 4.0)[0] == pytest.approx(0.5, abs=1e-6)
    flux, radius = np.array([1.0]), np.array([3.0])
    far = reach(flux, radius, np.array([1.0]), np.array([0.5]), 1e-6)[0]
    h = 3.0 / 1.6783469900166605
    assert np.exp(-far / h) / (2 * np.pi * h**2 * 0.5) == pytest.approx(1e-6, rel=1e-5)
    assert reach(flux, radius, np.array([1.0]), np.array([0.5]), 10.0)[0] == 0


def test_the_twin_says_which_extra_is_missing(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "galsim", None)
    with pytest.raises(MissingExtra, match=r"isolux\[check\]"):
        twin_image(small, "r")


def test_clumps_are_on_the_disc():
    options = dict(size=200, galaxies=4, stars=0, morphology="realistic", bright=20.5, faint=22)
    made = mock.field("hst", seed=8, **options)
    one = made.truth["realistic"]
    assert one.any()
    assert made.truth["clump_weight"].shape == (4, CLUMPS)
    assert np.allclose(made.truth["clump_weight"][one].sum(1), 1)
    q = made.truth["disc_axis_ratio"][one, None]
    assert np.hypot(made.truth["clump_along"][one], made.truth["clump_across"][one] / q).max() <= 3.5


def test_psf_of_galsim_moffat_and_airy():
    made = mock.psfs.psf_model(mock.Moffat(1.2, 3.0), 0.4, (50, 50), 3, 0.0, np.random.default_rng(0))
    theirs = galsim.Convolve(galsim.Moffat(beta=3.0, fwhm=3.0), galsim.Pixel(1.0))
    side = made.size[0]
    image = theirs.drawImage(nx=side, ny=side, scale=1 / 3, method="no_pixel").array
    assert np.abs(made.at(0, 0)[0] - image / image.sum()).max() < 1e-3 * (image / image.sum()).max()
    pupil = mock.Telescope(1.2, 700.0, 700.0, obscuration=0.33, jitter=0.04)
    ours = mock.psfs.psf_model(pupil, 0.1, (50, 50), 3, 0.0, np.random.default_rng(0)).at(0, 0)[0]
    airy = galsim.Airy(lam=700, diam=1.2, obscuration=0.33, scale_unit=galsim.arcsec)
    soft = galsim.Convolve(airy, galsim.Gaussian(sigma=0.04), galsim.Pixel(0.1))
    side = ours.shape[0]
    image = soft.drawImage(nx=side, ny=side, scale=0.1 / 3, method="no_pixel").array.astype(float)
    # GalSim's image is not normalised to the stamp.
    assert np.abs(ours / ours.max() - image / image.max()).max() < 1e-3


def test_psf_varies_smoothly():
    made = mock.psfs.psf_model(mock.Moffat(1.2), 0.4, (300, 300), 1, 0.3, np.random.default_rng(3))
    corners = made.at([0, 299, 0, 299, 150], [0, 0, 299, 299, 150])
    peaks = corners.max((1, 2))
    assert peaks.max() > 1.05 * peaks.min()
    assert torch.allclose(torch.as_tensor(corners.sum((1, 2))), torch.ones(5).double())
    # The polynomial goes through PSFs of other widths with this error at most.
    assert corners.min() > -2e-4 * peaks.max()
