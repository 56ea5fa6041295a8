"""Which source of a stamp is measured, and where profiles end by the paper's own rule."""

import numpy as np
import pytest
import torch

from isolux.isophotes import IsophoteOptions, ProfileFlag, measure_isophotes
from isolux.isophotes.cut import profile_length
from isophote_skies import batch_of, disc, noisy


def star(x, y, flux, size=64):
    """A round Gaussian of FWHM 3 pixels."""
    rows, columns = np.mgrid[:size, :size]
    return flux * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.27**2)) / (2 * np.pi * 1.27**2)


def place_of(image, **how):
    found = measure_isophotes(batch_of([noisy(image)]), IsophoteOptions(**how))
    return np.array([float(found.x[0]), float(found.y[0])]), found


def test_galaxy_in_the_middle_beside_a_brighter_star():
    """The star wins by its brightness; only the one in the middle of the stamp can be meant."""
    image = disc(x=31.7, y=31.2, scale=3, level=40) + star(46, 38, 2e4)
    auto, found = place_of(image)
    assert np.hypot(*(auto - (31.7, 31.2))) < 0.5
    assert ProfileFlag.COMPANION in found.flags[0]
    brightest, _ = place_of(image, place="brightest")
    assert np.hypot(*(brightest - (46, 38))) < 0.5
    middle, _ = place_of(image, place="middle")
    assert np.hypot(*(middle - (31.7, 31.2))) < 0.5


def test_galaxy_that_lies_off_the_middle_is_found():
    """Its own outskirts are in the middle: no other source, also with a knot there that is fainter than it is."""
    plain, _ = place_of(disc(x=42, y=36, scale=5, level=100))
    assert np.hypot(*(plain - (42, 36))) < 0.5
    knot, _ = place_of(disc(x=42, y=36, scale=5, level=100) + star(31, 31, 150))
    assert np.hypot(*(knot - (42, 36))) < 0.5


def test_masked_star_and_masked_middle_change_nothing():
    image = disc(x=42, y=36, scale=5, level=100)
    mask = np.zeros((64, 64))
    mask[28:36, 28:36] = 1
    found = measure_isophotes(batch_of([noisy(image)], mask=[mask]))
    assert abs(float(found.x[0]) - 42) < 0.5


def test_choice_of_one_changes_no_other():
    """Galaxies whose place is looked for again share a batch with others."""
    plain = noisy(disc())
    near_star = noisy(disc(scale=3, level=40) + star(46, 38, 2e4))
    alone = measure_isophotes(batch_of([plain, plain]))
    mixed = measure_isophotes(batch_of([plain, near_star]))
    assert torch.equal(alone.x[:1], mixed.x[:1])
    assert torch.equal(alone.intensity[0].nan_to_num(), mixed.intensity[0].nan_to_num())


def series(level, window=40, power=4.0):
    """Length by the paper's rule of brightness along one profile."""
    level = torch.as_tensor(level, dtype=torch.float64)[None]
    sma = torch.arange(level.shape[1], dtype=torch.float64)[None]
    one = torch.ones_like(level)
    options = IsophoteOptions(ending="scatter", window=window, power=power)
    length, cut = profile_length(sma, level, one, one, None, options)
    return int(length[0]), bool(cut[0])


def test_paper_rule_is_that_of_the_paper():
    """Mean over standard deviation of 40 points, squared, against a plain loop."""
    rng = np.random.default_rng(1)
    level = 100 * np.exp(-np.arange(400) / 60) + rng.standard_normal(400)
    good = [f for f in range(361) if level[f : f + 40].mean() > 2 * level[f : f + 40].std()]
    assert series(level) == (good[-1] + 20, False)


def test_paper_rule_takes_all_of_a_level_profile_and_nothing_of_noise():
    assert series(np.full(100, 5.0)) == (100, True)
    assert series(np.random.default_rng(2).standard_normal(400))[0] == 0


def test_galaxy_ended_by_the_paper_rule():
    large = measure_isophotes(
        batch_of([noisy(disc(128, 63, 63, scale=25, level=200), 0.1)], 0.1),
        IsophoteOptions(ending="scatter"),
    )
    assert int(large.length[0]) > 40
    small = measure_isophotes(
        batch_of([noisy(disc(scale=2))]), IsophoteOptions(ending="scatter", place="middle")
    )
    assert int(small.length[0]) == 0
    assert ProfileFlag.ENDED in small.flags[0]
    assert ProfileFlag.NO_GALAXY not in small.flags[0]


@pytest.mark.parametrize("wrong", [{"ending": "power"}, {"place": "brightness"}])
def test_choices_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=r"ending|place"):
        IsophoteOptions(**wrong)
