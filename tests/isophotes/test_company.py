"""One bad galaxy cannot touch its neighbours; order changes nothing, nor does company."""

import numpy as np
import pytest
import torch

from isolux.isophotes import measure_isophotes
from isophote_skies import batch_of, disc, noisy

FIELDS = (
    "x",
    "y",
    "intensity",
    "error",
    "shape",
    "growth",
    "growth_error",
    "harmonics",
    "values",
    "errors",
    "length",
)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(2)
    return np.stack(
        [
            noisy(
                disc(
                    x=31 + rng.normal(),
                    y=32 + rng.normal(),
                    q=rng.uniform(0.4, 0.9),
                    angle=30 * k,
                    level=60 + 20 * k,
                ),
                0.5,
                k,
            )
            for k in range(7)
        ]
    )


def same_bits(one, two, rows, others=None):
    others = rows if others is None else others
    for name in FIELDS:
        first, second = getattr(one, name)[rows], getattr(two, name)[others]
        assert torch.equal(torch.nan_to_num(first), torch.nan_to_num(second)), name
    assert [one.flags[r] for r in rows] == [two.flags[r] for r in others]


@pytest.mark.parametrize("spoil", [np.nan, 1e30, 0.0])
def test_bad_galaxy_changes_no_other(images, spoil):
    whole = measure_isophotes(batch_of(images))
    bad = images.copy()
    bad[2] = spoil
    broken = measure_isophotes(batch_of(bad))
    assert int(broken.length[2]) == 0
    same_bits(whole, broken, [0, 1, 3, 4, 5, 6])


def test_order_changes_nothing(images):
    order = [3, 6, 0, 5, 1, 4, 2]
    whole = measure_isophotes(batch_of(images, id=list("abcdefg")))
    shuffled = measure_isophotes(batch_of(images[order], id=[list("abcdefg")[k] for k in order]))
    same_bits(whole, shuffled, order, list(range(7)))


def test_alone_as_in_company(images):
    """Alone, matrix products and vectorised functions take other paths: equal to a hundredth of an error."""
    whole = measure_isophotes(batch_of(images))
    for k in (0, 5):
        alone = measure_isophotes(batch_of(images[k : k + 1]))
        assert int(alone.length[0]) == int(whole.length[k])
        off = (alone.intensity[0] - whole.intensity[k]).abs() / whole.error[k]
        assert off[whole.valid[k]].max() < 0.01


def test_padding_changes_little(images):
    """In a larger batch shape the stamp is padded; its grid of levels is another."""
    plain = measure_isophotes(batch_of(images[:1]))
    padded = measure_isophotes(batch_of([images[0], noisy(disc(80, 40, 40))]))
    count = min(int(plain.length[0]), int(padded.length[0])) - 5
    off = (plain.intensity[0, :count] - padded.intensity[0, :count]).abs() / plain.error[0, :count]
    assert off.median() < 0.2
