"""The mask network and what is read off it: any size, company, units, places, sources of fields, bad input."""

import dataclasses

import numpy as np
import pytest
import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.nets import Card
from isolux.nets.mask_fields import find_sources, heat_map
from isolux.nets.mask_read import find_masks, mask_network
from isolux.nets.mask_view import View, smoothed
from isolux.nets.masks import MaskNet, tops
from isolux.nets.unet import MULTIPLE

CARD = Card("masks", scores={"unlike": 20.0})


class Bright(MaskNet):
    """A source is a peak of the smoothed light, and its own is all light within 8 pixels of the place."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def down(self, inputs, constants):
        return [inputs[:, 1:2]]

    def heat(self, features):
        return 20 * features[0] - 16

    def about(self, inputs, features, at):
        rows, columns = (torch.arange(n) for n in inputs.shape[2:])
        dy, dx = rows[:, None] - at[..., 1, None, None], columns - at[..., 0, None, None]
        near = (dx**2 + dy**2 < 64).float()
        lit = (inputs[:, None, 1] > 0.7).float()
        logits = torch.stack([0.5 - lit, lit * near, lit * (1 - near)], 2)
        return logits, near * 8 - 4

    def unlike(self, features, good):
        return features[0].amax((1, 2, 3))


@pytest.fixture(scope="module")
def network():
    """Weights that say something else for every pixel."""
    torch.manual_seed(3)
    made = MaskNet()
    torch.nn.init.normal_(made.out.weight, std=1.0)
    for _ in range(3):  # some mean and scatter for the norms
        made(
            View(torch.randn(2, 64, 64) * 3, torch.ones(2, 64, 64), torch.tensor([4.0, torch.nan])),
            torch.rand(2, 1, 2),
        )
    return made.eval()


def sky(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spot(shape, x, y, peak=60.0, sigma=2.5):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-0.5 * ((rows - y) ** 2 + (columns - x) ** 2) / sigma**2)


def batch_of(images, **more):
    return Batch.from_arrays(images, sigma=np.ones_like(images), **more)


@pytest.mark.parametrize("shape", [(20, 20), (9, 11), (1, 40), (96, 96), (97, 130), (300, 270)])
def test_any_size_has_an_answer_for_each_pixel(network, shape):
    found = find_masks(batch_of(sky(2, *shape)), network, CARD)
    assert found.labels.shape == found.share.shape == found.bad.shape == (2, *shape)
    assert found.labels.dtype == torch.uint8
    assert int(found.labels.max()) <= 2
    assert bool(((found.share >= 0) & (found.share <= 1)).all())
    assert bool(torch.isfinite(found.score).all())
    assert torch.equal(found.bad, found.labels == 2)


def test_one_galaxy_cannot_touch_the_others(network):
    images = sky(5, 100, 100) + spot((100, 100), 50, 48)
    alone = find_masks(batch_of(images[1:2]), network, CARD)
    spoiled = images.copy()
    spoiled[0], spoiled[3, :50] = np.nan, 1e30
    company = find_masks(batch_of(spoiled), network, CARD)
    # The sums of a batch of another size are split otherwise: float32.
    torch.testing.assert_close(company.share[1], alone.share[0], rtol=0, atol=1e-4)
    assert float((company.labels[1] != alone.labels[0]).float().mean()) < 1e-3
    again = find_masks(batch_of(images), network, CARD)
    assert torch.equal(again.labels[[1, 2, 4]], company.labels[[1, 2, 4]])


def test_units_drop_out(network):
    images = sky(3, 96, 96).astype(np.float64) + spot((96, 96), 47, 50)
    plain = find_masks(batch_of(images), network, CARD)
    other = find_masks(batch_of(images * 3e-11 + 7e-10), network, CARD)
    assert float((plain.labels != other.labels).float().mean()) < 1e-3
    torch.testing.assert_close(plain.score, other.score, rtol=1e-3, atol=0)


def test_what_lies_under_a_mask_is_not_looked_at(network):
    images = sky(1, 96, 96)
    mask = np.zeros((1, 96, 96), bool)
    mask[0, 10:30, 60:80] = True
    other = images.copy()
    other[mask] = 1e9
    one, two = (find_masks(batch_of(i, mask=mask), network, CARD) for i in (images, other))
    assert torch.equal(one.share, two.share)
    assert bool(one.bad[0, 10:30, 60:80].all())


def test_the_heat_map_knows_nothing_of_the_place(network):
    view = View(torch.randn(1, 64, 64), torch.ones(1, 64, 64), torch.tensor([torch.nan]))
    places = torch.tensor([[[20.0, 30.0], [50.0, 10.0]]])
    with torch.inference_mode():
        both = network(view, places)
        apart = [network(view, places[:, k : k + 1]) for k in range(2)]
    assert torch.equal(apart[0].heat, apart[1].heat)
    assert not torch.allclose(both.logits[:, 0], both.logits[:, 1])
    for k in range(2):
        torch.testing.assert_close(both.logits[:, k], apart[k].logits[:, 0], rtol=1e-4, atol=1e-4)


def test_the_source_nearest_to_the_middle_is_meant():
    images = np.stack([sky(100, 100) + spot((100, 100), 53, 46) + spot((100, 100), 80, 20), sky(100, 100)])
    found = find_masks(batch_of(images), Bright().eval(), CARD)
    assert (float(found.x[0]), float(found.y[0])) == pytest.approx((53, 46), abs=1)
    assert found.found.tolist() == [True, False]
    assert found.labels[0, 46, 53] == 1
    assert found.labels[0, 20, 80] == 2
    assert bool(found.bad[0, 20, 80])
    assert found.message[0] == ""
    assert "no source" in found.message[1]
    assert (float(found.x[1]), float(found.y[1])) == (49.5, 49.5)


def test_a_place_can_be_given_for_some():
    images = np.stack([sky(100, 100) + spot((100, 100), 50, 50) + spot((100, 100), 80, 20)] * 3)
    at = torch.tensor([80.0, torch.nan, -500.0]), torch.tensor([20.0, torch.nan, 3.0])
    found = find_masks(batch_of(images), Bright().eval(), CARD, at)
    assert found.labels[:, 20, 80].tolist() == [1, 2, 2]
    assert found.labels[:, 50, 50].tolist() == [2, 1, 2]
    assert found.found.tolist() == [True, True, False]
    with pytest.raises(InputError, match="places"):
        find_masks(batch_of(images), Bright().eval(), CARD, (at[0][:2], at[1][:2]))


def test_equal_galaxies_are_said():
    shape = (100, 100)
    pair = spot(shape, 44, 50) + spot(shape, 56, 50)
    uneven = spot(shape, 44, 50) + spot(shape, 56, 50, peak=600.0)
    found = find_masks(batch_of(np.stack([pair, uneven]) + sky(2, *shape)), Bright().eval(), CARD)
    assert "as bright is as near to the middle, at x" in found.message[0]
    assert found.message[1] == ""
    # One of them is the galaxy, the other is something else.
    assert sorted(found.labels[0, 50, [44, 56]].tolist()) == [1, 2]


def test_stamps_of_which_nothing_can_be_said(network):
    images = sky(3, 40, 40)
    images[0] = np.nan
    mask = np.zeros((3, 40, 40), bool)
    mask[1] = True
    found = find_masks(batch_of(images, mask=mask), network, CARD)
    assert bool(found.bad[:2].all())
    assert found.found.tolist()[:2] == [False, False]
    assert bool(torch.isnan(found.score[:2]).all())
    assert all("masked" in text for text in found.message[:2])
    assert bool(torch.isfinite(found.score[2]))


def test_images_without_noise_are_finite(network):
    images = np.stack([np.zeros((50, 50)), spot((50, 50), 25, 25), np.full((50, 50), 7.0)])
    found = find_masks(batch_of(images), network, CARD)
    assert bool(torch.isfinite(found.score).all())


def test_stamps_unlike_the_training_are_said():
    images = np.stack([spot((60, 60), 30, 30, peak=1e6), spot((60, 60), 30, 30, peak=3.0)]) + sky(2, 60, 60)
    found = find_masks(batch_of(images), Bright().eval(), dataclasses.replace(CARD, scores={"unlike": 3.0}))
    assert float(found.score[0]) > 1 > float(found.score[1])
    assert "unlike" in found.message[0]
    assert found.message[1] == ""


def test_psfs_beyond_the_training_are_said(network):
    psf = spot((41, 41), 20, 20, sigma=6.0)
    card = dataclasses.replace(CARD, ranges={"psf_fwhm": (2.0, 5.0)})
    found = find_masks(batch_of(sky(1, 60, 60), psf=psf[None] / psf.sum()), network, card)
    assert "FWHM" in found.message[0]


def test_weights_of_another_network_are_refused(network):
    assert mask_network(network.state_dict(), CARD).training is False
    with pytest.raises(InputError, match="polar"):
        mask_network(network.state_dict(), Card("polar"))
    with pytest.raises(InputError, match="fit"):
        mask_network({"a": torch.zeros(1)}, CARD)


def test_smoothing_keeps_the_noise_and_ignores_bad_pixels():
    image = torch.from_numpy(sky(1, 200, 200))
    good = (torch.rand(1, 200, 200, generator=torch.Generator().manual_seed(0)) > 0.3).float()
    out = smoothed(image * good, good, 1.5)
    # About 40000 / (4 pi 1.5^2) independent values.
    assert float(out.std()) == pytest.approx(1.0, abs=0.08)
    assert float(out.mean()) == pytest.approx(0.0, abs=0.1)


def test_tops_are_the_peaks_in_order():
    chances = torch.full((20, 30), 0.01)
    chances[4, 7], chances[12, 25], chances[12, 24], chances[18, 2] = 0.6, 0.9, 0.8, 0.1
    found = tops(torch.logit(chances), 0.3).tolist()
    assert found == [[25.0, 12.0, pytest.approx(0.9)], [7.0, 4.0, pytest.approx(0.6)]]


def test_windows_agree_with_the_whole(network):
    torch.manual_seed(0)
    image = torch.randn(32 * MULTIPLE, 300)
    maps = heat_map(image, torch.ones_like(image), network)
    one = heat_map(image[:256], torch.ones(256, 300), network)
    # Where only the uppermost windows count, they are the same.
    torch.testing.assert_close(maps[:64], one[:64], rtol=0.02, atol=0.02)
    assert maps.shape == image.shape


def test_sources_of_a_field_are_found_once_each():
    shape = (400, 610)
    places = [(30, 40), (255, 200), (256, 300), (599, 390), (410, 10)]
    image = sum(spot(shape, x, y) for x, y in places) + sky(*shape)
    found = find_sources(image * 2.0, Bright().eval(), sigma=2.0)
    assert len(found.x) == len(places)
    for x, y in places:
        assert float(torch.hypot(found.x - x, found.y - y).min()) <= 1.5
    assert bool((found.chance.diff() <= 0).all())
    assert found.binning.tolist() == [1.0] * 5


def test_faint_sources_are_found_in_wider_pixels():
    shape = (256, 256)
    image = spot(shape, 100, 120, peak=0.7, sigma=12.0) + sky(*shape)
    found = find_sources(image, Bright().eval(), sigma=1.0)
    assert float(torch.hypot(found.x - 100, found.y - 120).min()) < 10
    assert float(found.binning.max()) > 1
    alone = find_sources(image, Bright().eval(), sigma=1.0, levels=1)
    assert len(alone.x) < len(found.x)


def test_fields_with_nothing_in_them():
    empty = find_sources(np.full((70, 80), np.nan), Bright().eval(), sigma=1.0)
    assert len(empty.x) == 0
    masked = find_sources(
        spot((70, 80), 30, 30), Bright().eval(), sigma=np.ones((70, 80)), mask=np.ones((70, 80))
    )
    assert len(masked.x) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": np.zeros(5)},
        {"sigma": np.ones((3, 3))},
        {"mask": np.zeros((2, 2))},
        {"chance": 1.0},
        {"levels": 0},
    ],
)
def test_fields_that_cannot_be(network, wrong):
    call = {"image": np.zeros((50, 60)), "sigma": 1.0, **wrong}
    with pytest.raises(InputError):
        find_sources(call.pop("image"), network, **call)
