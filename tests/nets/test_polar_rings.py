"""Readings in image pixels: small images as the network says it, large ones looked at twice."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from isolux.batch import Batch
from isolux.nets import PolarNet
from isolux.nets.frame import Frame
from isolux.nets.polar import ring_radii
from isolux.nets.rings import HANDOVER, Rings, _merged, at, read_rings

NOISE = 0.05


@pytest.fixture(scope="module")
def network():
    """A new one: its brightness is the mean along its rings, and its profiles do not end."""
    made = PolarNet().eval()
    with torch.no_grad():
        made.heads.bias[9] = 3.0
    return made


def stamp(tall, wide, x, y, scale=4.0, peak=200.0, seed=0):
    rows, columns = np.mgrid[:tall, :wide]
    light = peak * np.exp(-np.hypot(rows - y, columns - x) / scale)
    return light + np.random.default_rng(seed).normal(size=light.shape) * NOISE


def batch_of(*images, mask=None):
    return Batch.from_arrays(
        list(images), sigma=[np.full_like(i, NOISE) for i in images], mask=None if mask is None else [mask]
    )


def mean_radius(found):
    """Of the ellipses: moments of a round galaxy have some ellipticity, which a new network keeps."""
    return found.radii * (1 - 0.5 * torch.linalg.vector_norm(found.shape[0], dim=-1))


def read(network, batch):
    frame = Frame.of(batch)
    with torch.inference_mode():
        return read_rings(batch, network, frame), frame


def test_small_images_are_read_as_the_network_says(network):
    batch = batch_of(stamp(64, 80, 40.2, 30.7))
    found, frame = read(network, batch)
    with torch.inference_mode():
        said = network(Frame.of(batch))[-1]
    assert torch.equal(found.radii, ring_radii().double())
    assert torch.equal(found.x, said.x.double())
    unit = torch.log(frame.unit)[:, None, None]
    torch.testing.assert_close(found.brightness, said.brightness.double() + unit)
    torch.testing.assert_close(found.growth, said.growth.double() + unit)


@pytest.mark.parametrize(("tall", "wide", "x", "y"), [(520, 520, 261.3, 258.0), (300, 120, 61.0, 148.4)])
def test_the_middle_of_large_images_is_not_blurred(network, tall, wide, x, y):
    found, frame = read(network, batch_of(stamp(tall, wide, x, y)))
    assert frame.binning == math.ceil(max(tall, wide) / 256)
    assert abs(float(found.x[0]) - x) < 0.5
    assert abs(float(found.y[0]) - y) < 0.5
    inner = (found.radii > 1) & (found.radii < 16)
    radii = mean_radius(found)
    miss = found.brightness[0, inner, 1] - (math.log(200) - radii[inner] / 4)
    # Pixels are linear between their centres; the binned image alone misses 0.1 from 1 to 2 pixels.
    assert float(miss.abs().max()) < 0.03
    inside = 2 * math.pi * 16 * 200 * (1 - (1 + radii / 4) * torch.exp(-radii / 4))
    rings = (found.radii > 4) & (found.radii < 60)
    assert float((found.growth[0, rings, 1] - torch.log(inside[rings])).abs().max()) < 0.06


def test_outer_rings_are_those_of_the_binned_image(network):
    batch = batch_of(stamp(600, 600, 299.0, 301.0, scale=40.0))
    found, frame = read(network, batch)
    with torch.inference_mode():
        said = network(frame)[-1]
    outer = found.radii >= HANDOVER[1]
    rings = ring_radii().double() * frame.binning
    torch.testing.assert_close(found.radii[outer], rings[rings >= HANDOVER[1]])
    want = said.brightness.double()[:, rings >= HANDOVER[1]] + torch.log(frame.unit)[:, None, None]
    torch.testing.assert_close(found.brightness[:, outer], want)
    assert bool((found.radii.diff() > 0).all())
    some = (found.radii > 8) & (found.radii < 150)  # also between the two
    formula = math.log(200) - mean_radius(found) / 40
    assert float((found.brightness[0, :, 1] - formula)[some].abs().max()) < 0.03


def test_galaxies_near_the_edge_of_large_images_have_a_window(network):
    corner = stamp(600, 500, 215.0, 310.0)[260:, 165:]  # 340 x 335, the galaxy at x = 50, y = 50
    found, frame = read(network, batch_of(corner))
    assert frame.binning == 2
    for name in ("brightness", "growth", "shape", "there", "x", "y"):
        assert bool(torch.isfinite(getattr(found, name)).all()), name


def test_bad_pixels_of_large_images_are_not_looked_at(network):
    image = stamp(300, 300, 150.0, 149.0)
    mask = np.zeros(image.shape, bool)
    mask[120:140, 150:170] = True
    hidden = image.copy()
    hidden[mask] = 1e5
    one, other = (read(network, batch_of(i, mask=mask))[0] for i in (image, hidden))
    assert torch.equal(one.brightness, other.brightness)


def test_large_images_in_company_are_as_alone(network):
    images = [stamp(300, 300, 149.0 + k, 151.0 - k, scale=3.0 + k, seed=k) for k in range(3)]
    together = read(network, batch_of(*images))[0]
    for k, image in enumerate(images):
        alone = read(network, batch_of(image))[0]
        # Sums of a matrix product are split by the number of its rows: float32.
        torch.testing.assert_close(alone.brightness[0], together.brightness[k], rtol=0, atol=2e-4)
        torch.testing.assert_close(alone.x[0], together.x[k], rtol=0, atol=1e-3)


def test_a_bad_large_image_touches_no_other(network):
    images = [stamp(300, 300, 149.0, 151.0, seed=k) for k in range(2)]
    good = read(network, batch_of(*images))[0]
    images[0] = np.full_like(images[0], np.nan)
    bad = read(network, batch_of(*images))[0]
    assert torch.equal(good.brightness[1], bad.brightness[1])


def rings_of(radii, brightness, there):
    """Of two galaxies."""
    count = len(radii)
    one = torch.full((2, count), brightness, dtype=torch.float64)
    three = one[..., None].expand(-1, -1, 3)
    place = torch.full((2,), brightness, dtype=torch.float64)
    return Rings(radii, three, three, one[..., None].expand(-1, -1, 2), one, there, place, place)


def test_where_the_window_shows_nothing_the_binned_image_decides():
    radii = ring_radii().double()
    nothing = torch.full((2, 64), -1.0, dtype=torch.float64)
    some = nothing.clone()
    some[:, :30] = 1.0
    near = rings_of(radii, 5.0, torch.stack([nothing[0], some[0]]))
    found = _merged(rings_of(radii * 2, 3.0, some), near)
    assert float(found.brightness[0].max()) == 3.0  # the first galaxy: the binned image alone
    assert float(found.brightness[1, 0, 1]) == 5.0
    assert float(found.brightness[1, -1, 1]) == 3.0
    assert found.x.tolist() == [3.0, 5.0]
    between = (found.radii > HANDOVER[0]) & (found.radii < HANDOVER[1])
    falling = found.brightness[1, between, 1]
    assert bool((falling.diff() < 0).all())
    assert bool(((falling > 3) & (falling < 5)).all())


def test_lengths_and_ends():
    radii = ring_radii().double()
    there = torch.full((2, 64), -1.0, dtype=torch.float64)
    there[1, :10] = 1.0
    there[1, 12:] = 1.0  # beyond the end
    found = rings_of(radii, 0.0, there)
    assert found.length.tolist() == [0, 10]
    assert found.end[0] < 0
    assert float(found.end[1]) == float(radii[9]) + 0.25


def test_values_between_rings_are_straight_in_the_logarithm():
    radii = ring_radii().double()
    values = torch.log(radii + 0.25)[None, :, None]
    sma = torch.tensor([[0.0, 0.3, 7.7, 100.0, 500.0]], dtype=torch.float64)
    found = at(radii, values, sma)[0, :, 0]
    torch.testing.assert_close(found[:4], torch.log(sma[0, :4] + 0.25))
    assert float(found[4]) == float(values[0, -1, 0])  # held beyond the last ring
    same = dataclasses.replace(rings_of(radii, 2.0, torch.ones(2, 64).double())).at(sma.expand(2, -1))
    assert torch.equal(same.radii, sma.expand(2, -1))
    assert float(same.shape_log_error.mean()) == 2.0
