"""Stamps that are not as they should be, for both networks: nothing is raised, and no galaxy harms another."""

import dataclasses

import numpy as np
import pytest
import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.isophotes.quality import ProfileFlag
from isolux.nets import Card, Pix2Prof, Pix2ProfConfig, PolarNet, read_profiles
from isolux.nets.adapt import adapted, placed, resampled

CONFIG = Pix2ProfConfig(size=64, low=-3, high=50, window=5, most=40, spread=-1.0)  # never halts
OURS = Card("pix2prof", zero_point=22.5, pixel_scale=(0.4,), bands=("r",), ranges={"noise": (0.5, 2.0)})


@pytest.fixture(scope="module", params=["polar", "pix2prof"])
def reader(request):
    torch.manual_seed(2)
    if request.param == "pix2prof":
        return Pix2Prof(CONFIG).eval(), OURS
    network = PolarNet().eval()
    with torch.no_grad():
        network.heads.bias[9] = 3.0  # all rings are there
    return network, Card("polar")


def galaxy(shape=(64, 64), x=None, y=None, peak=80.0, noise=1.0, seed=0):
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    x, y = (shape[1] - 1) / 2 if x is None else x, (shape[0] - 1) / 2 if y is None else y
    light = peak * np.exp(-np.hypot(columns - x, (rows - y) / 0.7) / (0.1 * min(shape)))
    return light + noise * np.random.default_rng(seed).standard_normal(shape)


def rings(inner, outer):
    rows, columns = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(rows, columns)
    return (radius > inner) & (radius < outer)


def nothing(shape=(64, 64)):
    return np.random.default_rng(9).standard_normal(shape)


GOOD = [galaxy(seed=1), galaxy((60, 52), seed=2)]
BAD = {
    "no galaxy": (nothing(), None, ProfileFlag.NO_GALAXY),
    "two equal galaxies": (galaxy(x=20) + galaxy(x=43, noise=0), None, None),
    "at the edge": (galaxy(x=1.0, y=30), None, None),
    "in the corner": (galaxy(x=0, y=63), None, None),
    "masked annulus": (galaxy(), rings(6, 11), None),
    "masked outside": (galaxy(), rings(9, 99), None),
    "masked centre": (galaxy(), rings(-1, 4), None),
    "negative flux": (-galaxy(noise=-1.0), None, ProfileFlag.NO_GALAXY),
    "all masked": (galaxy(), rings(-1, 99), ProfileFlag.UNUSABLE),
    "all nan": (np.full((64, 64), np.nan), None, ProfileFlag.UNUSABLE),
    "some nan": (np.where(rings(8, 10), np.nan, galaxy()), None, None),
    "infinite": (np.where(rings(8, 10), np.inf, galaxy()), None, None),
    "huge numbers": (1e30 * galaxy(), None, None),
    "tiny numbers": (1e-30 * galaxy(), None, None),
    "constant": (np.full((64, 64), 3.0), None, ProfileFlag.NO_GALAXY),
    "zero": (np.zeros((64, 64)), None, ProfileFlag.NO_GALAXY),
    "without noise": (galaxy(noise=0), None, None),
    "20 x 20": (galaxy((20, 20)), None, None),
    "9 x 11": (galaxy((9, 11)), None, None),
    "1 x 1": (np.ones((1, 1)), None, None),
    "1 x 40": (nothing((1, 40)), None, None),
    "not square": (galaxy((30, 64)), None, None),
    "huge": (galaxy((800, 800)), None, None),
}


def batch_of(images, masks):
    return Batch.from_arrays(
        images, sigma=[np.ones_like(i) for i in images], mask=masks, zero_point=22.5, pixel_scale=0.4
    )


@pytest.fixture(scope="module")
def alone(reader):
    return read_profiles(batch_of(GOOD, [np.zeros_like(i, dtype=bool) for i in GOOD]), *reader)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_stamp_has_its_remark_and_harms_no_other(reader, alone, kind):
    image, mask, flag = BAD[kind]
    no = np.zeros_like(image, dtype=bool)
    masks = [np.zeros_like(i, dtype=bool) for i in GOOD]
    found = read_profiles(
        batch_of([GOOD[0], image, GOOD[1]], [masks[0], no if mask is None else mask, masks[1]]), *reader
    )
    assert found.length.tolist()[::2] == alone.length.tolist()
    assert bool((alone.length > 5).all())
    for own, other in ((0, 0), (1, 2)):
        count = int(alone.length[own])
        # Sums of a matrix product are split by the number of its rows: float32.
        torch.testing.assert_close(
            found.intensity[other, :count], alone.intensity[own, :count], rtol=1e-4, atol=0
        )
    if flag is not None:
        assert flag in found.flags[1]
        assert int(found.length[1]) == 0
        assert bool(torch.isnan(found.values[1]).all())
    elif flag is None and int(found.length[1]):
        assert bool(torch.isfinite(found.intensity[1, : int(found.length[1])]).all())
    else:
        assert ProfileFlag.NO_GALAXY in found.flags[1]
    assert len(found.table()) == int(found.length.sum())
    assert len(found.summary()) == 3


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_pixel_scale_that_cannot_be_harms_no_other(reader, scale):
    images = [galaxy(seed=k) for k in range(2)]
    batch = batch_of(images, [np.zeros((64, 64), bool)] * 2)
    odd = dataclasses.replace(batch, pixel_scale=torch.tensor([0.4, scale], dtype=torch.float64))
    one, other = (read_profiles(b, *reader) for b in (batch, odd))
    assert int(one.length[0]) == int(other.length[0])
    torch.testing.assert_close(
        one.intensity[0, : int(one.length[0])], other.intensity[0, : int(one.length[0])], rtol=1e-4, atol=0
    )


def test_a_flux_unit_is_converted_exactly(reader):
    batch = batch_of([galaxy(seed=k) for k in range(2)], None)
    factor = 10 ** (0.4 * (27.0 - 22.5))
    other = dataclasses.replace(
        batch, image=batch.image * factor, sigma=batch.sigma * factor, zero_point=batch.zero_point + 4.5
    )
    one, two = (read_profiles(b, *reader) for b in (batch, other))
    assert one.length.tolist() == two.length.tolist()
    both = one.valid
    torch.testing.assert_close(one.surface_brightness[both], two.surface_brightness[both], rtol=0, atol=2e-3)


PIX = Pix2Prof(CONFIG).eval()


def test_other_pixels_are_resampled_and_said():
    batch = batch_of([galaxy(seed=1)], None)
    fine = dataclasses.replace(batch, pixel_scale=batch.pixel_scale / 2)
    same, found = read_profiles(batch, PIX, OURS), read_profiles(fine, PIX, OURS)
    assert ProfileFlag.RESAMPLED not in same.flags[0]
    assert same.message[0] == ""
    assert ProfileFlag.RESAMPLED in found.flags[0]
    assert "pixels of 0.2 made 0.4 arcsec" in found.message[0]
    nearly = dataclasses.replace(batch, pixel_scale=batch.pixel_scale * 1.01)
    assert ProfileFlag.RESAMPLED not in read_profiles(nearly, PIX, OURS).flags[0]


def test_noise_sky_and_place_unlike_the_training_are_said():
    def said(image):
        return read_profiles(batch_of([image], None), PIX, OURS).message[0]

    assert said(galaxy(seed=1)) == ""
    assert said(galaxy(noise=5.0, peak=400)) == "noise of a pixel 4.76, in training 0.5 to 2"
    assert "sky 11 times the noise, in training 0" in said(galaxy(seed=1) + 10)
    assert "pixels off the middle" in said(galaxy(seed=1, shape=(128, 128), x=50.0, y=64))
    assert "of the pixels not between -3 and 50" in said(galaxy(seed=1) + 100)


def test_resampling_keeps_flux_and_place():
    rng = np.random.default_rng(4)
    image = torch.as_tensor(rng.uniform(size=(30, 41)))
    good = torch.ones(30, 41, dtype=torch.bool)
    for ratio in (0.37, 1.0, 1.7, 3.0):
        out = resampled(image, good, ratio, 128)
        # Beyond the stamp's edge a pixel that is half covered counts as whole.
        inner = resampled(
            torch.nn.functional.pad(image, (40, 40, 40, 40)),
            torch.ones(110, 121, dtype=torch.bool),
            ratio,
            128,
        )
        if ratio >= 1:
            assert float(inner.sum()) == pytest.approx(float(image.sum()), rel=1e-12)
        assert out.shape == (128, 128)
    plane = torch.arange(41.0, dtype=torch.float64).expand(30, -1)
    out = resampled(plane, good, 2.0, 8)
    # Around the middle of 41 columns, at 20; a new pixel has the flux of four.
    assert torch.allclose(out[4] / 4, 20 + 2 * (torch.arange(8) - 3.5).double())
    assert torch.allclose(resampled(plane, good, 1.0, 21)[3], plane[0, 10:31])


def test_masked_pixels_do_not_darken_what_is_resampled():
    image, good = torch.ones(40, 40), torch.ones(40, 40, dtype=torch.bool)
    good[17:22, 17:19] = False
    image[~good] = 1e9
    out = resampled(image, good, 4.0, 10)
    assert set(out.flatten().round(decimals=6).tolist()) == {16.0}
    good[8:24, 8:24] = False
    assert float(resampled(image, good, 4.0, 10).min()) == 0.0


@pytest.mark.parametrize("shape", [(9, 12), (64, 64), (65, 63), (100, 30)])
def test_stamps_are_placed_middle_on_middle(shape):
    image = torch.zeros(shape)
    image[(shape[0] - 1) // 2, (shape[1] - 1) // 2] = 1.0
    out = placed(image, 64)
    row, column = np.unravel_index(int(out.argmax()), (64, 64))
    assert float(out.sum()) == 1.0
    assert abs(row - 31) <= 1
    assert abs(column - 31) <= 1


def test_padding_of_a_batch_does_not_move_stamps():
    own = batch_of([galaxy((40, 30))], None)
    among = batch_of([galaxy((40, 30)), galaxy((64, 64))], None)
    assert torch.equal(adapted(own, OURS, 64)[0], adapted(among, OURS, 64)[0])


def test_steps_of_pix2prof_are_straight_between_its_own():
    batch = batch_of([galaxy(seed=1)], None)
    own, fine = read_profiles(batch, PIX, OURS), read_profiles(batch, PIX, OURS, step=0.1)
    count = int(own.length[0])
    assert int(fine.length[0]) == 2 * count - 1
    half = own.surface_brightness[0, :count]
    torch.testing.assert_close(fine.surface_brightness[0, : 2 * count : 2][:count], half, rtol=0, atol=1e-9)
    between = 0.5 * (half[1:] + half[:-1])
    torch.testing.assert_close(fine.surface_brightness[0, 1 : 2 * count - 1 : 2], between, rtol=0, atol=1e-9)


def test_tables_leave_out_what_is_not_said(reader):
    network, card = reader
    found = read_profiles(batch_of([galaxy(seed=1)], None), network, card, levels=(24.0,))
    radii, galaxies = found.table(), found.summary()
    assert all(
        bool(np.isfinite(np.asarray(radii[name], float)).any()) for name in radii.colnames if name != "id"
    )
    numbers = [
        name for name in galaxies.colnames if name not in ("id", "profile_flags_text", "radius_24", "d25")
    ]
    assert [name for name in numbers if not np.isfinite(float(np.asarray(galaxies[name])[0]))] == []
    assert ("ellipticity" in radii.colnames) == (card.network == "polar")
    assert "a4" not in radii.colnames
    assert {"radius_24", "d25"} <= set(galaxies.colnames)
    back = type(found).concatenate([found.select([0]), found])
    assert back.unsaid == found.unsaid


def test_radii_of_isophotes_are_where_the_profile_has_them():
    network = PolarNet().eval()
    with torch.no_grad():
        network.heads.bias[9] = 3.0
    found = read_profiles(batch_of([galaxy(seed=1)], None), network, Card("polar"), levels=(19.0, 0.0))
    level, radius = found.surface_brightness[0].numpy(), found.sma[0].numpy()
    count = int(found.length[0])
    want = np.interp(19.0, level[:count], radius[:count])
    assert float(found["radius_19"][0]) == pytest.approx(want, rel=0.02)
    assert np.isnan(float(found["radius_0"][0]))


def test_units_must_be_known():
    batch = batch_of([galaxy()], None)
    unknown = dataclasses.replace(
        batch, zero_point=0 * batch.zero_point, pixel_scale=1 + 0 * batch.pixel_scale
    )
    with pytest.raises(InputError, match="has neither, give its zero point and pixel scale"):
        read_profiles(unknown, PIX, OURS)
