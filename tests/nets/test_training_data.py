"""Drawn galaxies and their labels: known ellipses, integrals, quarter turns, and the same numbers every time."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from isolux.errors import InputError
from isolux.nets import profile_data
from isolux.nets.pix2prof import Pix2ProfConfig
from isolux.nets.pix2prof_lesson import sequences
from isolux.nets.polar import ring_radii, stretched
from isolux.nets.profile_data import Lots, _turned, mixed
from isolux.nets.profile_draw import TRUTH, Universe, draw_lot
from isolux.nets.profile_labels import Labels, _ellipses, isophotal, on_window

UNIVERSE = Universe(("sdss",), size=64, lot=6, seed=5)


@pytest.fixture(scope="module")
def lots():
    return [draw_lot((UNIVERSE, number)) for number in range(4)]


def disc(e, angle, size=96, x=47.0, y=48.5, scale=8.0, peak=300.0):
    rows, columns = torch.meshgrid(torch.arange(size) - y, torch.arange(size) - x, indexing="ij")
    up, left, theta = rows, -columns, math.radians(angle)
    along = up * math.cos(theta) + left * math.sin(theta)
    across = left * math.cos(theta) - up * math.sin(theta)
    return peak * torch.exp(-torch.sqrt(along**2 + (across / (1 - e)) ** 2) / scale)


@pytest.mark.parametrize(("e", "angle"), [(0.0, 0.0), (0.3, 25.0), (0.6, -70.0)])
def test_labels_of_a_disc_are_its_formula(e, angle):
    labels = isophotal(disc(e, angle)[None], torch.tensor([47.0]), torch.tensor([48.5]))
    radii = ring_radii()
    rings = (radii > 6) & (radii < 40)
    want = e * torch.tensor([math.cos(2 * math.radians(angle)), math.sin(2 * math.radians(angle))])
    # Isophotes are counted in whole pixels.
    assert float((labels.shape[0, rings] - want).abs().max()) < 0.03
    formula = math.log(300) - radii / 8
    assert float((labels.brightness[0] - formula)[rings].abs().max()) < 0.05
    total = 2 * math.pi * 64 * (1 - e) * 300
    inside = total * (1 - (1 + radii / 8) * torch.exp(-radii / 8))
    assert float((labels.growth[0] - torch.log(inside))[rings].abs().max()) < 0.03


def test_stretched_circle_is_the_ellipse():
    angle = torch.linspace(0, 2 * math.pi, 13)
    shape = torch.tensor([0.4 * math.cos(1.0), 0.4 * math.sin(1.0)])  # position angle 0.5
    up, left = stretched(shape, torch.cos(angle), torch.sin(angle))
    along = up * math.cos(0.5) + left * math.sin(0.5)
    across = left * math.cos(0.5) - up * math.sin(0.5)
    torch.testing.assert_close(along**2 + (across / 0.6) ** 2, torch.ones(13))


def test_turned_images_have_turned_labels():
    x, y = torch.tensor([47.0]), torch.tensor([48.5])
    image = disc(0.5, 20.0)
    labels = isophotal(image[None], x, y)
    mine = {f.name: getattr(labels, f.name)[0] for f in dataclasses.fields(labels)}
    truth = torch.arange(float(len(TRUTH)))
    truth[4:6] = labels.shape[0, 30]
    for turns in range(4):
        for flip in (False, True):
            drawn, said, places, known = _turned(
                {"image": image}, mine, torch.stack([x, y], 1), truth, turns, flip
            )
            again = isophotal(drawn["image"][None], said["x"][None], said["y"][None])
            torch.testing.assert_close(places[0], torch.stack([said["x"], said["y"]]))
            torch.testing.assert_close(known[4:6], said["shape"][30])
            torch.testing.assert_close(known[:4], truth[:4])
            torch.testing.assert_close(again.shape[0], said["shape"], rtol=0, atol=0.01)
            torch.testing.assert_close(again.brightness[0], said["brightness"], rtol=0, atol=0.01)


def test_lots_are_the_same_every_time(lots):
    again = draw_lot((UNIVERSE, 2))
    assert torch.equal(again.layer, lots[2].layer)
    assert torch.equal(again.labels.brightness, lots[2].labels.brightness)
    assert not torch.equal(lots[1].layer, lots[2].layer)


def test_batches_are_the_same_whoever_draws_them(lots):
    with Lots(UNIVERSE) as here:
        first = mixed(here.of(0), UNIVERSE, 0, 5)
        here.of(7)
    again = mixed(lots, UNIVERSE, 0, 5)
    assert torch.equal(first.batch.image, again.batch.image)
    assert torch.equal(first.labels.shape, again.labels.shape)
    assert not torch.equal(mixed(lots, UNIVERSE, 1, 5).batch.image, again.batch.image)


def test_labels_are_finite_and_the_layers_hold_their_light(lots):
    for lot in lots:
        assert bool(torch.isfinite(lot.layer).all())
        for field in dataclasses.fields(lot.labels):
            assert bool(torch.isfinite(getattr(lot.labels, field.name).float()).all())
        pixels = np.log(lot.layer.sum((1, 2)).numpy())
        last = lot.labels.growth[torch.arange(6), lot.labels.known.sum(1) - 1].numpy()
        # The ellipses do not cover the corners of the stamp, and clumps are no ellipses.
        assert np.abs(last - pixels).max() < 0.3


def test_noise_is_one_where_there_is_nothing(lots, monkeypatch):
    monkeypatch.setattr(profile_data, "SMOOTHED", 0.0)
    monkeypatch.setattr(profile_data, "SMALLER", 0.0)
    images = torch.stack([mixed(lots, UNIVERSE, k, 8).batch.image for k in range(6)]).flatten(0, 1)
    step = (images[:, :6, 1:] - images[:, :6, :-1]).flatten()
    spread = float(step[step != 0].abs().median()) / 0.6745 / 2**0.5
    assert 0.95 < spread < 1.1  # of some 12,000 pairs of pixels, a few on neighbours


def test_classical_labels_are_near_the_truth():
    universe = dataclasses.replace(UNIVERSE, size=96, labels="classical", lot=8)
    own = [draw_lot((universe, k)) for k in range(2)]
    truth = mixed(own, dataclasses.replace(universe, labels="true"), 0, 8)
    found = mixed(own, universe, 0, 8)
    both = truth.labels.there(truth.present) & found.labels.known & truth.labels.known
    miss = (truth.labels.brightness - found.labels.brightness)[both].abs()
    assert float(miss.median()) < 0.15


@pytest.mark.parametrize(
    "wrong", [{"presets": ()}, {"presets": ("sds",)}, {"size": 20}, {"labels": "some"}, {"lot": 1}]
)
def test_universes_that_cannot_be(wrong):
    with pytest.raises(InputError):
        Universe(**wrong)


def seen(lots, number, **settings):
    """Some stamps of the lots, with settings of the module changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_data, "SPOILT", 0.0, raising=False)
        for name, value in settings.items():
            patch.setattr(profile_data, name, value)
        rng = np.random.default_rng(1)
        return [profile_data._one(lots[k % len(lots)], rng) for k in range(number)]


def share_inside(part, ring, low, high):
    """Share of an ellipse inside a square, with an axis ratio and an angle instead of a matrix."""
    eta = part["shape"][ring].numpy().astype(float)
    ratio, angle = 1 - np.hypot(*eta), 0.5 * np.arctan2(eta[1], eta[0])
    # Even steps in the circle that is stretched, from its own axis, as the labels have them.
    circle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    along, across = np.cos(circle), ratio * np.sin(circle)
    radius = float(ring_radii()[ring])
    y = float(part["y"]) + radius * (along * np.cos(angle) - across * np.sin(angle))
    x = float(part["x"]) - radius * (along * np.sin(angle) + across * np.cos(angle))
    return np.mean((x >= low) & (x <= high) & (y >= low) & (y <= high))


def test_stamps_are_cut_to_many_sizes_and_labels_end_with_half_of_the_ring(lots):
    parts = seen(lots, 40, SMALLER=1.0, EMPTY=0.0, NEIGHBOURS=0.0, STARS=0.0)
    sides, known = [], 0
    for part in parts:
        good = ~part["mask"]
        rows, columns = torch.nonzero(good).T
        low, high = int(rows.min()), int(rows.max())
        assert (low, high) == (int(columns.min()), int(columns.max()))
        assert low == 0
        assert part["cut"] * 2 == 63 - high
        assert int(good.sum()) == (high - low + 1) ** 2
        sides.append(high - low + 1)
        for ring in range(0, 64, 3):
            share = share_inside(part, ring, low, high)
            if abs(share - 0.5) > 0.03:  # the labels count 64 points
                assert bool(part["known"][ring]) == (share > 0.5), (ring, share)
                known += int(part["known"][ring])
    assert min(sides) >= 64 - 2 * round(64 * 5 / 16)
    assert max(sides) <= 64 - 2 * round(64 / 16)
    assert len(set(sides)) > 8
    assert 0 < known < 40 * 22


def test_half_of_the_stamps_are_cut(lots):
    cut = [bool(part["mask"][-1].all()) for part in seen(lots, 200, NEIGHBOURS=0.0, STARS=0.0)]
    assert 70 < sum(cut) < 130  # four standard deviations


@pytest.mark.parametrize("width", [0, 5, 20])
def test_circles_are_on_a_window_up_to_the_radius_of_the_formula(width):
    """Of a circle of radius r about the middle of a square of half side h, 1 - (4 / pi) arccos(h / r) is inside."""
    size, rings = 96, len(ring_radii())
    middle = torch.full((1,), (size - 1) / 2)
    nothing = torch.zeros(1, rings)
    round_one = Labels(nothing, nothing, torch.zeros(1, rings, 2), nothing.bool(), middle, middle)
    on = on_window(round_one, size, width)[0]
    last = ((size - 1) / 2 - width) / math.cos(math.pi / 8)
    clear = (ring_radii() / last - 1).abs() > 0.02
    assert torch.equal(on[clear], (ring_radii() < last)[clear])
    assert 0 < int(on.sum()) < rings


def test_a_galaxy_is_selected_with_all_its_labels(lots):
    labels = lots[0].labels
    for row in (0, 5):
        one = labels.select(row)
        for field in dataclasses.fields(Labels):
            own, whole = getattr(one, field.name), getattr(labels, field.name)
            assert own.shape == (1, *whole.shape[1:])
            assert torch.equal(own[0], whole[row])


def correlation(images, across, along):
    """Mean product of pixels so far apart."""
    tall, wide = images.shape[1:]
    return float((images[:, along:, across:] * images[:, : tall - along, : wide - across]).mean())


@pytest.mark.parametrize("sigma", [0.3, 0.6, 0.9])
def test_correlated_noise_has_variance_one_and_the_gaussians_correlation(monkeypatch, sigma):
    monkeypatch.setattr(profile_data, "SMOOTHED", 1.0)
    monkeypatch.setattr(profile_data, "SMOOTHING", (sigma, sigma))
    rng = np.random.default_rng(3)
    images = torch.stack([profile_data._noise(64, rng) for _ in range(60)])
    axis = np.arange(-3, 4)
    kernel = np.exp(-0.5 * (axis / sigma) ** 2)
    next_one = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    # 245,760 pixels, some ten of them a patch of noise: the variance is known to 0.01.
    assert abs(correlation(images, 0, 0) - 1) < 0.04
    for across, along, want in ((1, 0, next_one), (0, 1, next_one), (1, 1, next_one**2), (8, 0, 0.0)):
        assert abs(correlation(images, across, along) - want) < 0.04, (across, along)


def test_a_third_of_the_noise_is_correlated():
    rng = np.random.default_rng(4)
    near = [correlation(profile_data._noise(48, rng)[None], 1, 0) for _ in range(200)]
    # Of white noise the correlation is 0 to 0.02; the narrowest Gaussian's is as small.
    assert 40 < sum(c > 0.08 for c in near) < 95
    assert sum(abs(c) < 0.08 for c in near) > 100


def test_empty_stamps_hold_noise_and_sky_alone(lots):
    parts = seen(lots, 60, EMPTY=1.0, NEIGHBOURS=0.0, STARS=0.0, SMALLER=0.0)
    assert not any(part["present"] for part in parts)
    images = torch.stack([part["image"] for part in parts])
    assert abs(float(images.mean())) < 0.05  # the sky's 0.1 over 60 stamps
    assert abs(float(images.var()) - 1.02) < 0.05
    assert float(images.abs().max()) < 6.5


def test_empty_stamps_have_no_rings_and_the_share_is_a_tenth(lots):
    made = mixed(lots, UNIVERSE, 2, 300)
    assert 10 < int((~made.present).sum()) < 50  # four standard deviations
    there = made.labels.there(made.present)
    assert not bool(there[~made.present].any())
    assert bool(there[made.present].any(1).float().mean() > 0.8)


def test_light_keeps_off_the_middle_of_empty_stamps(lots, monkeypatch):
    moves = []
    monkeypatch.setattr(profile_data, "_add", lambda light, stamp, move: moves.append(move))
    rng = np.random.default_rng(0)
    least = {}
    for alone in (True, False):
        moves.clear()
        for _ in range(300):
            profile_data._company(lots[0], rng, alone)
        away = np.hypot(*np.array(moves).T)
        assert 300 < len(away) < 660  # 1.6 a stamp
        assert away.max() < 0.7 * 64 + 0.8
        least[alone] = away.min()
    assert least[True] > 0.15 * 64 - 0.8
    assert 7.2 < least[False] < 0.15 * 64


def test_added_stamps_lie_where_they_are_moved_to():
    stamp = torch.zeros(5, 5)
    stamp[2, 2] = 1.0
    for move, place in (((0, 0), (10, 10)), ((3, -4), (13, 6)), ((-10, 10), (0, 20)), ((11, 0), None)):
        light = torch.zeros(21, 21)
        profile_data._add(light, stamp, move)
        found = torch.nonzero(light).tolist()
        assert found == ([] if place is None else [list(place)])
    light = torch.zeros(21, 21)
    profile_data._add(light, stamp, (40, 0))
    assert not bool(light.any())


def test_classical_labels_of_an_empty_stamp_say_that_nothing_is_there(lots):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NEIGHBOURS", "STARS", "SMOOTHED"):
            patch.setattr(profile_data, name, 0.0)
        patch.setattr(profile_data, "EMPTY", 1.0)
        made = mixed(lots, dataclasses.replace(UNIVERSE, labels="classical"), 0, 6)
    assert not bool(made.present.any())


def test_a_faint_galaxy_without_a_bright_pixel_has_a_profile():
    faint = isophotal(disc(0.3, 20.0, peak=1.2)[None], torch.tensor([47.0]), torch.tensor([48.5]))
    length = int(faint.there(torch.tensor([True])).sum())
    assert length > 20
    level, radius = float(faint.brightness[0, length]), float(ring_radii()[length])
    pixels = 2 * math.pi * radius * math.sqrt(0.7) * 0.1 * radius
    assert 3 < math.exp(2 * level) * pixels < 4  # the ring after the last one, which has 4 or more


def test_images_of_sequences_have_the_galaxy_in_the_middle(lots, monkeypatch):
    monkeypatch.setattr(profile_data, "SMALLER", 1.0)
    made = mixed(lots, UNIVERSE, 3, 12)
    found = sequences(made, Pix2ProfConfig(size=64))
    inside = [k for k in range(12) if bool(made.present[k]) and int(made.labels.there(made.present)[k].sum())]
    assert len(found.image) == len(inside) > 6
    for image, k in zip(found.image, inside, strict=True):
        cut = made.cut[k]
        kept = image[cut : 64 - cut, cut : 64 - cut]
        assert float((image != 0).sum()) == float((kept != 0).sum()) > 0


@pytest.mark.parametrize("number", range(6))
def test_spoilt_stamps_have_a_ring_a_disc_or_rows_masked(number):
    rng = np.random.default_rng(number)
    masks = [profile_data._spoilt(64, rng) for _ in range(60)]
    share = np.array([float(mask.float().mean()) for mask in masks])
    assert all(mask.shape == (64, 64) for mask in masks)
    assert 0.02 < np.median(share) < 0.25
    assert share.max() < 0.7
    middle = np.array([bool(mask[31, 31]) for mask in masks])
    assert 0 < middle.sum() < 30  # most leave the centre


def test_small_isophotes_are_those_of_the_spline():
    lot = draw_lot((dataclasses.replace(UNIVERSE, lot=8, size=96), 0))
    points = _ellipses(lot.labels.shape, lot.labels.x, lot.labels.y).numpy()
    inner = (ring_radii() < 6).numpy()
    for image, own, said in zip(
        lot.layer.double().numpy(), points, lot.labels.brightness.numpy(), strict=True
    ):
        truth = map_coordinates(image, [own[..., 1], own[..., 0]], order=3, mode="nearest").mean(1)
        miss = np.log(truth[inner]) - said[inner]
        assert np.abs(miss).max() < 0.01  # whole pixels, which were looked at before, are off by 0.03
        assert np.median(np.abs(miss)) < 0.003
