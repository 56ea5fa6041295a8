"""The published network: shapes, batches of any size, scaling, halting, and how profiles are scored."""

import pytest
import torch

from isolux.errors import InputError
from isolux.nets.pix2prof import Pix2Prof, Pix2ProfConfig, augmented, scaled, whole_profile_error
from isolux.nets.pix2prof_lesson import split_by_galaxy, table_sequences
from isolux.nets.resnet import ResNet18

SMALL = Pix2ProfConfig(size=64, low=0.0, high=10.0, most=130)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Pix2Prof(SMALL).eval()


def test_encoder_is_resnet_18():
    # He et al. 2016 with one channel and without the classifier: 11,689,512 - 513,000 - 2 x 64 x 49.
    assert sum(p.numel() for p in ResNet18().parameters()) == 11_170_240
    assert ResNet18().eval()(torch.zeros(2, 96, 70)).shape == (2, 512)


def test_decoder_is_three_gated_units_of_the_latent_size(network):
    assert (network.decoder.num_layers, network.decoder.hidden_size) == (3, 512)
    assert network.decoder.dropout == network.drop.p == 0.2


def test_feeding_the_truth_and_feeding_itself_agree(network):
    images = torch.rand(2, 64, 64)
    own = network(images, steps=20)
    assert own.shape == (2, 20)
    torch.testing.assert_close(network(images, own), own, rtol=0, atol=1e-4)  # float32 sums in another order


def test_profiles_do_not_depend_on_the_batch(network):
    images = torch.rand(5, 64, 64, generator=torch.Generator().manual_seed(3))
    together, ends = network.read(images)
    for row in (0, 4):
        alone, end = network.read(images[row : row + 1])
        torch.testing.assert_close(alone[0], together[row, : alone.shape[1]], rtol=0, atol=2e-4)
        assert int(end[0]) == int(ends[row])


def test_halts_after_a_hundred_equal_values(network, monkeypatch):
    given = torch.cat([torch.linspace(0, 5, 21), torch.full((200,), 5.0)])
    said = iter(given)
    monkeypatch.setattr(network, "_say", lambda out: torch.full((1, 1, 1), float(next(said))))
    values, length = network.read(torch.zeros(1, 64, 64))
    # Values from number 20 on are equal; one that is 0.05 off ten of a hundred would be above the 0.01.
    assert values.shape[1] == int(length[0]) + 100
    assert 19 <= int(length[0]) <= 20


def test_ends_at_the_most_steps(network, monkeypatch):
    said = iter(torch.arange(1000.0))
    monkeypatch.setattr(network, "_say", lambda out: torch.full((1, 1, 1), float(next(said))))
    values, length = network.read(torch.zeros(1, 64, 64))
    assert values.shape[1] == int(length[0]) == SMALL.most


def test_scaling_clips_and_crops():
    image = torch.full((1, 80, 50), 5.0)
    image[0, 40, 25] = 1e6
    out = scaled(image, SMALL)
    assert out.shape == (1, 64, 64)
    assert float(out.max()) == pytest.approx(0.5)
    assert float(out[0, :, 0].max()) == 0.0  # padded


def test_wobble_moves_by_whole_pixels():
    image = torch.zeros(1, 64, 64)
    image[0, 30:34, 30:38] = 4.0
    moved = scaled(image, SMALL, torch.tensor([[2, -3]]))
    assert torch.equal(moved[0, 28:32, 33:41], torch.full((4, 8), 0.4))
    out = augmented(image.expand(8, -1, -1), SMALL, 4, torch.Generator().manual_seed(0))
    assert torch.allclose(out.sum((1, 2)), torch.full((8,), 32 * 0.4))


def test_a_wrong_end_is_an_error():
    truth = torch.tensor([[20.0, 21, 22, 23, 24, 24]])
    said = torch.tensor([[20.0, 21, 22]])
    whole = whole_profile_error(said, torch.tensor([2]), truth, torch.tensor([5]))
    assert float(whole) == 1.0  # deviations 0, 0, 1, 2, 3


def test_bands_of_a_galaxy_stay_together():
    names = [f"g{k}" for k in range(300) for _ in range(3)]
    held = split_by_galaxy(names, 0.2, seed=4)
    assert all(len({held[3 * k + j] for j in range(3)}) == 1 for k in range(300))
    assert 0.1 < sum(held) / len(held) < 0.3
    assert split_by_galaxy(names[:6], 0.2, seed=4) == held[:6]


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 8},
        {"low": 3.0, "high": 3.0},
        {"dropout": 1.0},
        {"percentile": 0.0},
        {"window": 1},
        {"most": 50},
    ],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError):
        Pix2ProfConfig(**wrong)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ([], []),
        ([torch.zeros(4, 4)], [[]]),
        ([torch.zeros(4, 4)], [[1.0, float("nan")]]),
        ([torch.zeros(4, 4), torch.zeros(5, 4)], [[1.0], [1.0]]),
        ([torch.zeros(4, 4)], [[1.0], [2.0]]),
    ],
)
def test_examples_that_cannot_be(images, labels):
    with pytest.raises(InputError):
        table_sequences(images, labels)


def test_sequences_are_held_at_their_last_value():
    found = table_sequences([torch.zeros(4, 4)] * 2, [[1.0, 2.0], [3.0]])
    assert found.values.shape == (2, 102)
    assert found.length.tolist() == [2, 1]
    assert set(found.values[0, 2:].tolist()) == {2.0}
    assert set(found.values[1].tolist()) == {3.0}
