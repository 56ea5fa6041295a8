"""Stamps cut from a field."""

import numpy as np
import pytest

from isolux.field.cutouts import GROWN, Cutout, Drawn, Sheet, cut, grow, side_for
from isolux.field.image import FieldImage
from isolux.psf_model import PsfModel

SHAPE = (80, 100)


def sheet(segmentation=None, **field):
    data = np.arange(SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE) / 1000
    image = FieldImage.from_arrays(data, zero_point=25.0, **field)
    labels = np.zeros(SHAPE, np.int32) if segmentation is None else segmentation
    psf = PsfModel.constant(np.ones((3, 3)))
    flat = np.zeros(SHAPE, np.float32)
    return Sheet.of(image, flat, flat + 0.5, labels, psf, int(labels.max()))


def test_a_stamp_holds_what_its_members_need_and_is_centred():
    x, y, need = np.array([40.0, 60.0]), np.array([30.0, 34.0]), np.array([10.0, 5.0])
    one = cut([0], x, y, need, 512)
    assert (one.side, one.left, one.bottom) == (32, 25, 15)
    both = cut([0, 1], x, y, need, 512)
    assert both.side == 48
    for k in range(2):
        assert both.left <= x[k] - need[k]
        assert x[k] + need[k] <= both.left + both.side - 1
        assert both.bottom <= y[k] - need[k]
    assert cut([0], x, y, np.array([900.0, 5.0]), 64).side == 64
    assert side_for(33, 512) == 48
    assert side_for(5000, 512) == 512


def test_stamps_beyond_the_image_are_masked_there():
    made = sheet()
    batch = made.batch([Cutout((), -5, 60, 32)], ["a"], [])
    inside = ~batch.mask[0].numpy()
    assert inside.sum() == 20 * 27
    assert inside[:20, 5:].all()
    assert batch.image[0, 0, 5] == pytest.approx(made.image[60, 0])
    nothing = made.batch([Cutout((), 300, 300, 32)], ["b"], [])
    assert nothing.status[0].name == "MASKED_OUT"


def test_noise_has_the_light_s_own_where_the_gain_is_known():
    assert float(sheet().batch([Cutout((), 40, 40, 32)], ["a"], []).sigma[0, 9, 9]) == 0.5
    made = sheet(gain=4.0)
    expected = np.sqrt(0.25 + made.light[49, 49] / 4)
    assert float(made.batch([Cutout((), 40, 40, 32)], ["a"], []).sigma[0, 9, 9]) == pytest.approx(expected)
    given = sheet(gain=4.0, sigma=0.7, sigma_includes_sources=True)
    assert float(given.batch([Cutout((), 40, 40, 32)], ["a"], []).sigma[0, 9, 9]) == 0.5


def two_sources():
    labels = np.zeros(SHAPE, np.int32)
    labels[40:50, 40:50] = 1
    labels[40:50, 50:60] = 2
    return labels


def test_others_are_masked_but_never_the_source_s_own_pixels():
    made = sheet(two_sources())
    mask = made.batch([Cutout((0,), 30, 30, 32)], ["a"], [None, None]).mask[0].numpy()
    assert not mask[10:20, 10:20].any()
    assert mask[10:20, 20:30].all()
    assert mask[12, 30 : 30 + GROWN - 1].all()
    assert not mask[:7].any()
    both = made.batch([Cutout((0, 1), 30, 30, 32)], ["a"], [None, None]).mask[0].numpy()
    assert not both.any()


def test_grown_footprints_do_not_enter_others():
    labels = two_sources()
    grown = grow(labels)
    assert (grown[labels > 0] == labels[labels > 0]).all()
    assert (grown[45, 40 - GROWN : 40] == 1).all()
    assert grown[45, 39 - GROWN] == 0


def test_models_of_others_are_subtracted_and_one_s_own_is_not():
    made = sheet(two_sources())
    one = Drawn(35, 35, np.full((20, 20), 2.0, np.float32))
    two = Drawn(48, 35, np.full((20, 20), 0.01, np.float32))
    modelled = made.with_models([one, two])
    assert modelled.light[45, 45] == 2
    assert modelled.light[45, 50] == pytest.approx(2.01)
    batch = modelled.batch([Cutout((0,), 30, 30, 32)], ["a"], [one, two])
    assert float(batch.image[0, 15, 15]) == pytest.approx(made.image[45, 45])
    assert float(batch.image[0, 15, 20]) == pytest.approx(made.image[45, 50] - 0.01)
    assert not batch.mask[0].any()


def test_where_an_error_of_a_neighbour_s_model_would_matter_pixels_stay_masked():
    made = sheet(two_sources())
    bright = Drawn(52, 42, np.full((4, 4), 100.0, np.float32))
    modelled = made.with_models([None, bright])
    mask = modelled.batch([Cutout((0,), 30, 30, 32)], ["a"], [None, bright]).mask[0].numpy()
    expected = np.zeros((32, 32), bool)
    expected[12:16, 22:26] = True
    assert (mask == expected).all()


def test_a_neighbour_without_a_model_stays_masked():
    made = sheet(two_sources())
    one = Drawn(35, 35, np.full((20, 20), 2.0, np.float32))
    modelled = made.with_models([one, None])
    mask = modelled.batch([Cutout((0,), 30, 30, 32)], ["a"], [one, None]).mask[0].numpy()
    assert mask[10:20, 20:30].all()
    assert modelled.hides_others(Cutout((0,), 30, 30, 32))
    assert not modelled.hides_others(Cutout((1,), 30, 30, 32))
    assert not modelled.hides_others(Cutout((0,), 0, 0, 32))
    assert modelled.masked_share(Cutout((0,), 30, 30, 32), 0, mask) == 0
    assert modelled.masked_share(Cutout((0,), 30, 30, 32), 1, mask) == 1


def test_the_sky_is_measured_again_without_the_models():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:256, :256]
    galaxy = 30 * np.exp(-np.hypot(x - 128, y - 128) / 25).astype(np.float32)
    data = 7 + galaxy + rng.standard_normal(galaxy.shape).astype(np.float32)
    field = FieldImage.from_arrays(data)
    flat = np.ones_like(galaxy)
    first = Sheet.of(field, 7 + 0.2 * galaxy, flat, np.zeros(galaxy.shape, np.int32), None, 1)
    drawn = [Drawn(0, 0, galaxy)]
    again = first.with_models(drawn).with_sky()
    assert (
        np.abs(again.background - 7).max() < 0.2
    )  # the mesh's own noise is 0.02; a spline overshoots near the hole
    assert abs(float((again.image - galaxy).mean())) < 0.03


def test_light_of_others_in_a_footprint():
    made = sheet(two_sources())
    one = Drawn(35, 35, np.full((20, 20), 2.0, np.float32))  # columns 35 to 54: half of the second footprint
    two = Drawn(48, 35, np.full((20, 20), 0.01, np.float32))  # columns 48 to 67: a fifth of the first
    modelled = made.with_models([one, two])
    np.testing.assert_allclose(modelled.light_of_others([(0,), (1,)], [one, two]), [0.2, 100], rtol=1e-5)
    np.testing.assert_allclose(modelled.light_of_others([(0, 1)], [one, two]), [0, 0], atol=1e-4)
