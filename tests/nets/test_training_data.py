"""Drawn galaxies and their labels: known ellipses, integrals, quarter turns, and the same numbers every time."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from isolux.errors import InputError
from isolux.nets.polar import ring_radii, stretched
from isolux.nets.profile_data import Lots, _turned, mixed
from isolux.nets.profile_draw import Universe, draw_lot
from isolux.nets.profile_labels import isophotal

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
    for turns in range(4):
        for flip in (False, True):
            turned, _, said = _turned(image, image > 1, mine, turns, flip)
            again = isophotal(turned[None], said["x"][None], said["y"][None])
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


def test_noise_is_one_where_there_is_nothing(lots):
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
