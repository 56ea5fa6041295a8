"""Mock fields: reproducible, with the noise, sky and defects that were asked for, and a truth that fits."""

import dataclasses

import numpy as np
import pytest

from isolux import mock
from isolux.errors import InputError
from isolux.mock import FieldOptions
from isolux.mock.columns import meaning
from isolux.mock.detector import BAD_COLUMN, COSMIC_RAY, SATURATED, smoothed_correlation
from isolux.mock.galsim_twin import twin_image
from isolux.noise import noise_correlation


def same(one, other):
    """Whether two fields are bit by bit the same."""
    images = all(np.array_equal(one.bands[b].data, other.bands[b].data) for b in one.bands)
    kinds = {name: values.dtype.kind for name, values in one.truth.items()}
    return images and all(
        np.array_equal(values, other.truth[name], equal_nan=kinds[name] == "f")
        for name, values in one.truth.items()
    )


def test_the_same_seed_gives_the_same_field(small):
    assert same(small, mock.field("sdss", seed=2, options=small.options))
    assert not np.array_equal(
        small.bands["r"].data, mock.field("sdss", seed=3, options=small.options).bands["r"].data
    )


def test_what_is_on_the_sky_does_not_depend_on_the_detector(small):
    other = dataclasses.replace(
        small.options, background=3.0, bad_columns=5, cosmic_rays=100, psf_variation=0
    )
    again = mock.field("sdss", seed=2, options=other)
    assert np.array_equal(small.truth["magnitude_r"], again.truth["magnitude_r"])
    assert np.array_equal(small.truth["x_r"], again.truth["x_r"])


@pytest.mark.parametrize("correlation", [0.0, 1.5])
def test_noise_is_what_sigma_and_gain_say(correlation):
    made = mock.field("sdss", size=256, seed=4, galaxies=4, stars=0, faint=18, noise_correlation=correlation)
    image, light = made.bands["r"], made.noiseless["r"]
    pulls = (image.data - light) / np.sqrt(made.sigma["r"] ** 2 + light / made.gain["r"])
    # 65,536 pixels, several of which share noise: 1 % and 3 %.
    assert np.std(pulls) == pytest.approx(1, abs=0.01 if correlation == 0 else 0.03)
    assert abs(pulls.mean()) < 0.05
    assert (image.sigma == np.float32(made.sigma["r"])).all()
    assert not image.sigma_includes_sources
    wanted = smoothed_correlation(correlation) if correlation else np.ones((1, 1))
    half = min(3, wanted.shape[0] // 2)
    found = noise_correlation(pulls, reach=3)[3 - half : 4 + half, 3 - half : 4 + half]
    middle = wanted.shape[0] // 2
    part = wanted[middle - half : middle + half + 1, middle - half : middle + half + 1]
    assert np.abs(found - part).max() < 0.05


def test_background_has_level_and_gradient():
    made = mock.field("sdss", size=128, seed=4, galaxies=0, stars=0, background=50, gradient=20)
    sky = made.background["r"] / made.sigma["r"]
    assert sky.mean() == pytest.approx(50, abs=1)
    corners = sky[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.ptp(corners) == pytest.approx(20, rel=0.15)
    assert np.abs((made.bands["r"].data - made.background["r"]).mean()) < 0.05 * made.sigma["r"]


def test_bad_columns_cosmic_rays_and_saturation_are_flagged():
    options = dict(size=256, seed=4, galaxies=3, stars=0, bad_columns=3, cosmic_rays=500)
    made = mock.field("sdss", **options)
    defects, image = made.defects["r"], made.bands["r"]
    columns = np.flatnonzero((defects & BAD_COLUMN).all(0))
    assert len(columns) == 3
    assert image.mask[:, columns].all()
    hit = (defects & COSMIC_RAY > 0) & (defects & BAD_COLUMN == 0)
    assert 10 < hit.sum() < 1000
    assert (image.data - made.noiseless["r"])[hit].min() > 5 * made.sigma["r"]
    assert not (defects & SATURATED).any()


@pytest.mark.parametrize("bleed", [False, True])
def test_a_bright_star_saturates_and_bleeds(bleed):
    star = mock.field("sdss", size=128, seed=1, galaxies=0, stars=1, arrangement="grid")
    truth = star.truth | {"magnitude_r": np.array([9.0])}
    made = mock.field("sdss", size=128, truth=truth, bleed=bleed)
    full = made.bands["r"].saturated
    assert made.truth["saturated_r"][0]
    assert full.sum() > 20
    assert (made.defects["r"][full] & SATURATED).all()
    tall, wide = np.ptp(np.nonzero(full), axis=1)
    assert (tall > 2 * wide) == bleed
    assert made.bands["r"].data[~full].max() < made.full["r"]


def test_bands_show_the_same_sky(several):
    truth = several.truth
    for name, image in several.bands.items():
        assert image.band == name
        x, y = image.wcs.all_world2pix(truth["ra"], truth["dec"], 0)
        assert np.allclose(x, truth[f"x_{name}"], atol=1e-6)
        assert np.allclose(y, truth[f"y_{name}"], atol=1e-6)
    assert several.bands["VIS"].shape == (120, 120)
    assert several.bands["H"].shape == (40, 40)
    assert several.bands["H"].pixel_scale == pytest.approx(3 * several.bands["VIS"].pixel_scale)
    single = truth["kind"] == "sersic"
    assert (truth["effective_radius_H"] < truth["effective_radius_VIS"])[single].all()
    galaxies = truth["kind"] != "star"
    colours = (truth["magnitude_VIS"] - truth["magnitude_H"])[galaxies]
    assert (colours > 0).all()
    assert np.ptp(colours) > 0.1


def test_wcs_turns_north_as_it_is_told():
    made = mock.field("sdss", size=100, seed=1, galaxies=0, stars=0, rotation=30, ra=10, dec=60)
    wcs = made.bands["r"].wcs
    ra, dec = wcs.all_pix2world(
        [49.5, 49.5 - 10 * np.sin(np.pi / 6)], [49.5, 49.5 + 10 * np.cos(np.pi / 6)], 0
    )
    assert (ra[0], dec[0]) == pytest.approx((10, 60))
    assert ra[1] == pytest.approx(10, abs=1e-6)
    assert dec[1] - dec[0] == pytest.approx(10 * 0.396 / 3600, rel=1e-6)


def test_pairs_are_as_far_apart_as_they_are_told():
    made = mock.field("euclid", size=800, seed=3, galaxies=12, stars=3, arrangement="pairs", separation=1.5)
    truth = made.truth
    partner = truth["partner"]
    assert (partner[partner[:12] - 1] == truth["number"][:12]).all()
    assert (partner[12:] == 0).all()
    other = partner[:12] - 1
    apart = np.hypot(*(truth[f"{axis}_VIS"][:12] - truth[f"{axis}_VIS"][other] for axis in "xy")) * 0.1
    size = np.maximum(truth["half_light_radius_VIS"][:12], truth["half_light_radius_VIS"][other])
    # Sizes are taken at 814 nm.
    assert np.allclose(apart / size, 1.5, rtol=0.1)
    assert (truth["neighbour"][:12] == partner[:12]).mean() > 0.8


def test_grid_keeps_sources_apart():
    made = mock.field("sdss", size=(200, 400), seed=3, galaxies=15, stars=5, arrangement="grid")
    assert made.truth["neighbour_distance"].min() / 0.396 > 0.3 * np.sqrt(200 * 400 / 20)
    assert made.truth["neighbour"].min() >= 1


def test_an_empty_field_is_a_field():
    made = mock.field("sdss", size=32, galaxies=0, stars=0)
    assert len(made.truth["number"]) == 0
    assert made.bands["r"].shape == (32, 32)


def test_another_drawing_gets_the_same_sky_and_noise(small):
    assert same(small, small.observed("r", small.noiseless["r"]))
    twin = small.observed("r", twin_image(small, "r"))
    assert np.abs(twin.bands["r"].data - small.bands["r"].data).max() < 20 * small.sigma["r"]
    assert twin.bands["r"].wcs is not None
    with pytest.raises(InputError, match="shape of the light"):
        small.observed("r", np.zeros((3, 3)))
    with pytest.raises(InputError, match="band of the mock field"):
        small.observed("q", small.noiseless["r"])


def test_every_column_has_a_meaning(several):
    for name in several.truth:
        assert meaning(name, several.bands)[1], name


def test_a_survey_of_ones_own():
    band = mock.Band("L", 600.0, 0.5, 25.0, 23.0, mock.Moffat(1.5), 21.0, 12.0)
    made = mock.field(mock.Survey("mine", (band,)), size=64, galaxies=3, stars=1)
    assert set(made.bands) == {"L"}
    assert made.bands["L"].zero_point == 25.0


@pytest.mark.parametrize("name", mock.SURVEYS)
def test_presets_are_consistent(name):
    survey = mock.SURVEYS[name]
    for band in survey.bands:
        made = mock.field(survey, bands=band.name, size=32, galaxies=0, stars=0)
        fwhm = made.psf[band.name].fwhm * band.pixel_scale
        assert 0.05 < fwhm < 2
        assert made.full[band.name] > 100 * made.sigma[band.name]
        assert made.gain[band.name] > 1
        assert band.saturation < band.depth - 3


def test_gain_of_hst_is_its_exposure_time():
    made = mock.field("hst", size=32, galaxies=0, stars=0)
    # Counts a second: the noise that follows from depth and sky is that of the photons of 2028 s within a fifth.
    assert made.gain["F814W"] == pytest.approx(2028, rel=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"survey": "sdds"}, "did you mean 'sdss'"),
        ({"bands": "q"}, "band of sdss"),
        ({"bands": ["r", "r"]}, "each once"),
        ({"bands": []}, "one or more"),
        ({"seed": -1}, "seed"),
        ({"size": 8}, "16 to 32768"),
        ({"size": (64, 100_000)}, "16 to 32768"),
        ({"galxies": 3}, "did you mean 'galaxies'"),
        ({"galaxies": -1}, "0 to"),
        ({"stars": -1}, "0 to"),
        ({"morphology": "spirals"}, "unknown morphology"),
        ({"arrangement": "rows"}, "unknown arrangement"),
        ({"arrangement": "pairs", "galaxies": 3}, "even number"),
        ({"separation": 0}, "0.05 to 50"),
        ({"bright": 20, "faint": 19}, "bright < faint"),
        ({"bright": 24}, "bright < faint"),
        ({"faint": float("nan")}, "5 to 35"),
        ({"gradient": float("inf")}, "gradient"),
        ({"bad_columns": 40}, "0 to 32"),
        ({"cosmic_rays": -1}, "0 to"),
        ({"noise_correlation": 9}, "0 to 5"),
        ({"psf_variation": 0.7}, "0 to 0.5"),
        ({"dec": 90}, "-89 to 89"),
        ({"edge": 0}, "0.0001 to 1"),
    ],
)
def test_bad_input_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        mock.field(**{"survey": "sdss", "size": 64, **settings})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mock.Moffat(0.0), "FWHM"),
        (lambda: mock.Moffat(1.0, 1.0), "above 1"),
        (lambda: mock.Telescope(0.0, 500, 600), "diameter"),
        (lambda: mock.Telescope(1.0, 700, 600), "wavelengths"),
        (lambda: mock.Telescope(1.0, 500, 600, obscuration=1.0), "obscuration"),
        (lambda: mock.Band("r", 600, 0.0, 25, 23, mock.Moffat(1.0), 21, 12), "pixel_scale"),
        (lambda: mock.psfs.psf_model(mock.Moffat(1.0), 0.4, (9, 9), 2, 0.0, None), "1, 3, 5"),
        (lambda: mock.truth.of_band({"x_r": np.zeros(1)}, "g"), "no band 'g'"),
        (lambda: FieldOptions(size=4), "16 to"),
    ],
)
def test_bad_parts_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
