"""Sources found and measured, on skies that GalSim draws."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from field.sky import GAIN, SIDE, field, sky
from isolux.errors import InputError
from isolux.field.detect import Detections, DetectOptions, detect
from isolux.field.image import FieldImage


@pytest.fixture(scope="module")
def seen():
    pixels, truth = sky()
    image = field(pixels)
    return image, truth, detect(image)


def partners(found: Detections, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distance and row of the detection nearest to each source."""
    return cKDTree(np.stack([found.x, found.y], 1)).query(truth[:, 1:3])


def test_finds_what_is_there_and_nothing_else(seen):
    _, truth, found = seen
    distance, _ = partners(found, truth)
    assert (distance < 1.5).all()
    assert len(found) <= len(truth) + 1


def test_positions_and_fluxes(seen):
    _, truth, found = seen
    distance, row = partners(found, truth)
    stars = truth[:, 0] == 1
    # Photon and sky noise of a star of flux 1000 move its centroid by about 0.05 pixels.
    assert np.median(distance[stars]) < 0.03
    ratio = found.flux[row] / truth[:, 3]
    # Kron apertures hold some 94 per cent; wings of neighbours put a little back.
    assert np.median(ratio[stars]) == pytest.approx(0.96, abs=0.03)
    assert np.median(ratio[~stars]) == pytest.approx(0.95, abs=0.04)
    np.testing.assert_allclose(found.snr, found.flux / found.flux_error)


def test_shapes(rng):
    y, x = np.mgrid[:101, :121]
    u, v = x - 60.0, y - 50.0
    angle = np.radians(30)  # counter-clockwise from +y
    along, across = -u * np.sin(angle) + v * np.cos(angle), u * np.cos(angle) + v * np.sin(angle)
    image = 200 * np.exp(-0.5 * ((along / 8) ** 2 + (across / 4) ** 2)) + rng.normal(0, 1, x.shape)
    found = detect(FieldImage.from_arrays(image))
    main = np.argmax(found.flux)
    assert (found.x[main], found.y[main]) == pytest.approx((60, 50), abs=0.1)
    assert found.theta[main] == pytest.approx(30, abs=2)
    assert found.b[main] / found.a[main] == pytest.approx(0.5, abs=0.04)
    assert found.flux[main] == pytest.approx(200 * 2 * np.pi * 32, rel=0.05)
    assert found.peak[main] == pytest.approx(200, rel=0.05)
    assert found.xmin[main] < 50 < 70 < found.xmax[main]
    assert found.segmentation[50, 60] == found.number[main]
    assert np.count_nonzero(found.segmentation == found.number[main]) == found.npix[main]


def test_half_light_radius_of_a_gaussian(rng):
    y, x = np.mgrid[:101, :101] - 50.0
    found = detect(FieldImage.from_arrays(1000 * np.exp(-(x**2 + y**2) / 50) + rng.normal(0, 1, x.shape)))
    # 1.177 sigma holds half of all; the aperture has all but some per cent of it.
    assert found.half_light_radius[0] == pytest.approx(1.177 * 5, rel=0.04)


def test_blends_are_told_apart(rng):
    y, x = np.mgrid[:80, :100]
    image = rng.normal(0, 1, x.shape)
    for column, peak in ((40, 300), (47, 60)):
        image += peak * np.exp(-((x - column) ** 2 + (y - 40) ** 2) / (2 * 1.4**2))
    found = detect(FieldImage.from_arrays(image), DetectOptions(fwhm=3.3))
    assert len(found) == 2
    assert sorted(found.x) == pytest.approx([40, 47], abs=0.5)
    assert found.blended.all()


def test_edges_and_missing_data(seen):
    pixels, truth = sky()
    cut = pixels.copy()
    star = truth[np.argmax(truth[:, 3] * truth[:, 0])]
    column, row = round(star[1]), round(star[2])
    cut[row - 10 : row + 11, column + 2 : column + 30] = np.nan
    found = detect(field(cut))
    near = np.hypot(found.x - column, found.y - row) < 4
    assert found.edge[near].all()
    assert near.any()
    shifted = detect(field(pixels[:, column:]))
    at_border = shifted.xmin == 0
    assert at_border.any()
    assert shifted.edge[at_border].all()
    assert np.mean(seen[2].edge) < 0.1


def test_a_saturated_star_is_one_source(rng):
    y, x = np.mgrid[:120, :120] - 60.0
    star = 1e5 / (1 + (x**2 + y**2) / 9) ** 2.5 + rng.normal(0, 1, x.shape)
    found = detect(FieldImage.from_arrays(np.minimum(star, 2e4), saturation=1.9e4))
    main = np.argmax(found.flux)
    assert found.saturated[main]
    assert (found.x[main], found.y[main]) == pytest.approx((60, 60), abs=0.3)
    assert found.flux[main] > 10 * np.delete(found.flux, main).sum()


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<i4", "f8"])
def test_any_kind_of_numbers(dtype):
    pixels, _ = sky()
    found = detect(field((1 * pixels).astype(dtype)))
    assert len(found) > 50


def test_the_unit_of_flux_does_not_matter(seen):
    image, _, found = seen
    faint = FieldImage.from_arrays(image.data * 1e-12, gain=GAIN * 1e12)
    other = detect(faint)
    assert len(other) == len(found)
    np.testing.assert_allclose(other.flux * 1e12, found.flux, rtol=1e-3)
    np.testing.assert_allclose(other.flux_error * 1e12, found.flux_error, rtol=1e-3)


def test_noise_that_pixels_share_gives_no_more_false_sources():
    from scipy import ndimage

    rng = np.random.default_rng(2)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, (512, 512)), 1.0)
    found = detect(FieldImage.from_arrays(noise), DetectOptions(threshold=4.5, fwhm=3.0))
    assert len(found) <= 3
    assert "noise of the filtered image" in " ".join(found.remarks)


def test_a_weight_map_of_its_own(seen):
    sigma = np.where(np.arange(SIDE)[None, :] < SIDE // 2, 1.0, 1e4) + np.zeros((SIDE, 1))
    found = detect(field(seen[0].data, sigma=sigma))
    assert np.count_nonzero(found.x < SIDE / 2) > 20
    assert (found.x < SIDE / 2).all()


@pytest.mark.parametrize(
    "pixels",
    [
        np.ones((64, 64)),
        np.zeros((1, 1)),
        np.random.default_rng(0).normal(size=(100, 80)),
        np.where(np.eye(90), 3.0, np.nan),
    ],
)
def test_without_any_source(pixels):
    image = FieldImage.from_arrays(pixels)
    found = detect(image)
    assert len(found) <= 1
    assert found.segmentation.shape == image.shape
    forced = Detections.at(image, [0.0, 500.0], [0.0, 3.0])
    np.testing.assert_array_equal(forced.outside, [False, True])


def test_options_are_checked():
    for wrong in (
        {"threshold": 0},
        {"min_area": 0},
        {"fwhm": -1.0},
        {"deblend_contrast": 2.0},
        {"deblend_levels": 0},
    ):
        with pytest.raises(InputError):
            DetectOptions(**wrong)


def test_tells_of_its_progress(seen):
    steps = []
    detect(seen[0], progress=steps.append)
    assert steps[0] == "sky"
    assert len(steps) >= 4


class TestForced:
    def test_of_what_was_detected_is_the_same(self, seen):
        image, _, found = seen
        forced = Detections.at(
            image, found.x, found.y, background=found.background, segmentation=found.segmentation
        )
        clear = ~found.blended & ~found.edge
        np.testing.assert_allclose(forced.flux[clear], found.flux[clear], rtol=0.03)
        np.testing.assert_allclose(forced.flux_error[clear], found.flux_error[clear], rtol=0.1)
        np.testing.assert_array_equal(forced.npix, found.npix)
        np.testing.assert_array_equal(forced.xmin, found.xmin)
        assert not forced.outside.any()

    def test_positions_are_kept_and_those_outside_flagged(self, seen):
        x, y = np.array([10.0, -3.0, 20.0, np.nan, SIDE + 4.0]), np.array([12.0, 4.0, 1e6, 5.0, 3.0])
        forced = Detections.at(seen[0], x, y)
        np.testing.assert_array_equal(forced.x, x)
        np.testing.assert_array_equal(forced.outside, [False, True, True, True, True])
        assert np.isfinite(forced.flux[0])
        assert np.isnan(forced.flux[1:]).all()

    def test_empty_places_have_no_flux_within_the_error(self, seen):
        image, truth, found = seen
        rng = np.random.default_rng(1)
        x, y = rng.uniform(10, SIDE - 10, (2, 400))
        empty = cKDTree(truth[:, 1:3]).query(np.stack([x, y], 1))[0] > 15
        forced = Detections.at(
            image, x[empty], y[empty], background=found.background, segmentation=found.segmentation
        )
        pulls = forced.flux / forced.flux_error
        assert abs(np.median(pulls)) < 1
        assert 0.5 < np.std(pulls) < 2

    def test_two_positions_in_one_footprint_share_it(self, seen):
        image, truth, found = seen
        row = np.argmax(truth[:, 3])
        x, y = truth[row, 1], truth[row, 2]
        forced = Detections.at(
            image, [x - 1, x + 1], [y, y], background=found.background, segmentation=found.segmentation
        )
        assert forced.blended.all()
        labels = forced.segmentation
        assert labels[round(y), round(x - 2)] == 1
        assert labels[round(y), round(x + 2)] == 2
        assert set(np.unique(labels)) - {0, 1, 2} == set(range(3, 3 + len(found))) - {
            3 + found.segmentation[round(y), round(x)] - 1
        }

    def test_bad_input(self, seen):
        with pytest.raises(InputError, match="shapes of x and y"):
            Detections.at(seen[0], [1.0, 2.0], [3.0])
        with pytest.raises(InputError, match="segmentation"):
            Detections.at(
                seen[0], [1.0], [3.0], background=seen[2].background, segmentation=np.zeros((3, 3), np.int32)
            )
