"""Weights in files: in one or several, whole or not accepted, those that come with Isolux, and what a card may say."""

import json

import pytest
import torch

from isolux.errors import InputError
from isolux.io import weights
from isolux.io.shards import checksum, read_file, write_file
from isolux.io.weights import read_network, read_weights, ship, shipped, write_weights
from isolux.nets import Card, PolarNet
from isolux.nets.card import RANGES
from isolux.nets.profile_draw import BRIGHTNESS, Universe, training_ranges, with_ranges

PARTS = [f"polar-0000{k}-of-00003.safetensors" for k in (1, 2, 3)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return PolarNet().eval()


@pytest.fixture
def folder(network, tmp_path):
    """Weights of some 800 kB in three files."""
    write_weights(tmp_path / "polar.safetensors", network.state_dict(), Card("polar"), largest=300_000)
    return tmp_path


def same(one, other):
    return all(torch.equal(one[name].half(), other[name].half()) for name in {*one, *other})


@pytest.mark.parametrize("name", ["polar.safetensors", *PARTS])
def test_any_of_the_files_stands_for_all(folder, network, name):
    assert {p.name for p in folder.iterdir()} == {*PARTS, "polar.json"}
    assert max(p.stat().st_size for p in folder.iterdir()) < 330_000
    tensors, card = read_weights(folder / name)
    assert same(tensors, network.state_dict())
    assert card == Card("polar")
    assert Card.of_dict(json.loads((folder / "polar.json").read_text())) == card


def test_files_of_an_earlier_writing_do_not_stay(folder, network):
    for largest, count in ((10**9, 1), (450_000, 2), (300_000, 3)):
        write_weights(folder / "polar.safetensors", network.state_dict(), Card("polar"), largest=largest)
        assert len(list(folder.glob("*.safetensors"))) == count
        assert same(read_weights(folder / "polar.safetensors")[0], network.state_dict())


def test_a_missing_file_is_named(folder):
    (folder / PARTS[1]).unlink()
    for name in ("polar.safetensors", PARTS[0], PARTS[1]):
        with pytest.raises(InputError, match=f"{PARTS[1]}: missing: these weights are in 3 files"):
            read_weights(folder / name)


@pytest.mark.parametrize("left", [0, 40, 20_000])
def test_a_file_that_was_cut_off_is_not_read(folder, left):
    path = folder / PARTS[2]
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match=f"{PARTS[2]}: not a safetensors file"):
        read_weights(path)


def test_a_changed_number_is_found(folder):
    path = folder / PARTS[0]
    whole = bytearray(path.read_bytes())
    whole[-7] ^= 4
    path.write_bytes(whole)
    with pytest.raises(InputError, match="damaged"):
        read_weights(path)


def test_files_of_two_trainings_do_not_mix(folder, tmp_path):
    torch.manual_seed(4)
    other = tmp_path / "other"
    write_weights(other / "polar.safetensors", PolarNet().state_dict(), Card("polar"), largest=300_000)
    (other / PARTS[0]).replace(folder / PARTS[0])
    with pytest.raises(InputError, match="other weights"):
        read_weights(folder / "polar.safetensors")


def test_two_sets_of_files_are_not_guessed_between(folder):
    (folder / PARTS[0]).with_name("polar-00001-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"in \[2, 3\] files: remove one"):
        read_weights(folder / "polar.safetensors")


def test_weights_without_a_checksum_are_read(folder, network, tmp_path):
    tensors = {name: t.half() for name, t in network.state_dict().items()}
    write_file(tmp_path / "old.safetensors", tensors, {"isolux_card": json.dumps({"network": "polar"})})
    assert same(read_weights(tmp_path / "old.safetensors")[0], tensors)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing.safetensors", "no such file"),
        ("far/away/nothing.safetensors", "no such file"),
        (".", "no such file"),
        ("polar.json", "not a safetensors file"),
    ],
)
def test_what_is_no_weights(folder, path, said):
    with pytest.raises(InputError, match=said):
        read_weights(folder / path)


def test_names_of_networks_are_those_that_are_shipped(folder, network, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "SHIPPED", folder)
    assert shipped() == {"polar": folder / "polar.safetensors"}
    found, card = read_network("polar")
    assert same(found.state_dict(), network.state_dict())
    assert card.network == "polar"
    with pytest.raises(
        InputError, match="weights 'polr': those that come with Isolux are: polar; or give a file"
    ):
        read_network("polr")
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "none")
    with pytest.raises(InputError, match="are: none"):
        read_network("polar")


def test_what_is_shipped_can_be_read():
    for name, path in shipped().items():
        assert read_weights(name)[1].network == name
        files = list(path.parent.glob(f"{name}*.safetensors"))
        assert all(p.stat().st_size < 16 << 20 for p in files)


def test_shipping_adds_the_ranges(folder, tmp_path):
    tensors, header = read_file(folder / PARTS[0])
    assert len(tensors) > 1
    assert len(header) == 2
    data = {"presets": ["euclid"], "size": 96, "seed": 0, "labels": "true", "lot": 64, "batch": 24}
    network = PolarNet()
    old = write_weights(tmp_path / "new.safetensors", network.state_dict(), Card("polar", data=data))
    path = ship(old, tmp_path / "shipped")
    assert path.name == "polar.safetensors"
    assert read_weights(path)[1].ranges == training_ranges(Universe(("euclid",), 96))


def test_ranges_are_those_of_the_survey():
    found = training_ranges(Universe(("sdss",), 96), units=True)
    assert set(found) == set(RANGES)
    low, high = found["psf_fwhm"]
    # A Moffat profile of 0.8 to 1.3 times 1.32 arcsec on pixels of 0.396; its wings and the pixel add up to a half.
    assert 0.8 * 1.32 / 0.396 < low < high < 1.3 * 1.32 / 0.396 * 1.5
    assert found["radius"][1] == pytest.approx(19.2)
    assert found["brightness"] == BRIGHTNESS
    # 22.70 mag at five sigma: 0.832 nanomaggies over some 8 sigma of a pixel.
    assert 0.01 < found["noise"][0] < found["noise"][1] < 0.05
    assert "noise" not in training_ranges(Universe(("sdss",), 96))


def test_cards_of_tables_have_no_ranges():
    card = Card("pix2prof", data={"table": "x.parquet"})
    assert with_ranges(card) is card


@pytest.mark.parametrize(
    "ranges", [{"size": (1, 2)}, {"radius": (2, 1)}, {"radius": (1,)}, {"radius": (float("nan"), 1)}]
)
def test_ranges_that_cannot_be(ranges):
    with pytest.raises(InputError):
        Card("polar", ranges=ranges)


def test_cards_come_back_from_text():
    card = Card("polar", ranges={"radius": (1.0, 2.5)}, limits=("a",), pixel_scale=(0.2,))
    assert Card.of_dict(json.loads(json.dumps(card.as_dict()))) == card


def test_checksums_see_names_types_and_shapes():
    values = torch.arange(6.0)
    sums = {
        checksum(t) for t in ({"a": values}, {"b": values}, {"a": values.view(2, 3)}, {"a": values.int()})
    }
    assert len(sums) == 4
    assert checksum({"a": values, "b": values}) == checksum({"b": values, "a": values.clone()})
