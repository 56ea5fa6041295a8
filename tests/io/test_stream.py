import threading

import numpy as np
import pytest
import torch

from isolux.errors import InputError
from isolux.io.source import StampSource
from isolux.io.stream import iter_batches, plan_batches, read_ahead, size_class
from isolux.status import Status


@pytest.fixture
def mixed(sample, rng):
    """Return the sample with stamps of very different sizes."""
    for name, shape in {"d": (300, 320), "e": (310, 310), "f": (900, 60), "g": (20, 24)}.items():
        sample.write(name, "image", rng.normal(size=shape).astype(np.float32))
    return StampSource(image=f"{sample.folder}/*_image.fits", sigma=0.1, pixel_scale=1.0)


def test_every_galaxy_comes_once_with_little_padding(mixed):
    batches = list(iter_batches(mixed, 3))
    assert sorted(name for batch in batches for name in batch.id) == list("abcdefg")
    shapes = {name: batch.shape for batch in batches for name in batch.id}
    assert shapes["a"] == (20, 24)
    assert shapes["d"] == shapes["e"] == (310, 320)
    assert shapes["f"] == (900, 60)
    assert max(len(batch) for batch in batches) <= 3


def test_batches_hold_the_pixels_of_the_files(mixed, sample):
    for batch in iter_batches(mixed, 2, ahead=0):
        for k, name in enumerate(batch.id):
            pixels = batch.image[k, : batch.height[k], : batch.width[k]]
            assert torch.equal(pixels, torch.as_tensor(sample.read(name, "image").astype(np.float32)))


def test_pixels_of_a_batch_are_bounded(mixed):
    assert all(len(batch) == 1 for batch in iter_batches(mixed, 10, max_pixels=400))
    with pytest.raises(InputError, match="batch_size"):
        next(iter_batches(mixed, 0))


def test_unreadable_galaxies_keep_their_rows(mixed, sample):
    sample.path("b", "image").write_bytes(b"nothing")
    rows = {
        name: status
        for batch in iter_batches(mixed)
        for name, status in zip(batch.id, batch.status, strict=True)
    }
    assert rows.pop("b") is Status.BAD_INPUT
    assert set(rows.values()) == {Status.RUNNING}


def test_size_classes_bound_the_padding():
    for side in range(8, 2000):
        other = next(s for s in range(side, 0, -1) if size_class(s) != size_class(side)) + 1
        assert (side / other) ** 2 < 1.2


def test_few_small_stamps_share_a_batch(sample, rng):
    for k, side in enumerate(range(16, 32)):
        sample.write(f"s{k}", "image", rng.normal(size=(side, side)).astype(np.float32))
    source = StampSource(image=f"{sample.folder}/*_image.fits", sigma=0.1, pixel_scale=1.0)
    assert len(list(iter_batches(source, 64))) == 1


def test_no_galaxies_no_batches():
    assert plan_batches([], lambda size: 4) == []


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "isolux-ahead"]


def test_reading_ahead_keeps_the_order():
    assert list(read_ahead(iter(range(100)), 3)) == list(range(100))
    assert not readers()


def test_reading_ahead_passes_exceptions_on():
    def items():
        yield 1
        raise OSError("disk gone")

    stream = read_ahead(items(), 2)
    assert next(stream) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(stream)
    assert not readers()


def test_reader_ends_when_the_consumer_stops():
    made = []

    def items():
        for k in range(1000):
            made.append(k)
            yield k

    stream = read_ahead(items(), 2)
    assert next(stream) == 0
    assert readers()
    stream.close()
    assert not readers()
    assert len(made) <= 5
