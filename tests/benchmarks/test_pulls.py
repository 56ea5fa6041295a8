"""The statistics of pulls, on numbers whose pulls are known."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def pulls():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("pulls")
    for name in ("pulls", "tables"):
        sys.modules.pop(name, None)


def test_a_pull_is_in_units_of_the_error(pulls):
    found = pulls.pull("galaxy.x", np.array([1.0, 3.0]), np.array([0.5, np.nan]), np.array([2.0, 2.0]))
    assert found[0] == -2
    assert np.isnan(found[1])


def test_angles_differ_by_less_than_half_a_period(pulls):
    found = pulls.pull("galaxy.position_angle", np.array([89.0]), np.array([1.0]), np.array([-89.0]))
    assert found[0] == pytest.approx(-2)


def test_sizes_are_compared_by_their_logarithms(pulls):
    fitted, error, truth = np.array([2.0]), np.array([0.2]), np.array([1.0])
    assert pulls.pull("galaxy.effective_radius", fitted, error, truth)[0] == pytest.approx(np.log(2) / 0.1)
    linear = pulls.pull("galaxy.effective_radius", fitted, error, truth, log=False)
    assert linear[0] == pytest.approx(5)


def test_uncertainties_are_those_of_repeated_samples(pulls):
    """The scatter of each statistic over 2000 samples of 400 normal deviates, known to 1.6 %."""
    samples = np.random.default_rng(1).normal(size=(2000, 400))
    found = [pulls.summarise(sample) for sample in samples]
    for name in ("median", "half_width"):
        values, claimed = zip(*(getattr(summary, name) for summary in found), strict=True)
        assert np.std(values) == pytest.approx(claimed[0], rel=0.08)
    for level in pulls.LEVELS:
        values, claimed = zip(*(summary.coverage[level] for summary in found), strict=True)
        assert np.mean(values) == pytest.approx(level, abs=0.002)
        assert np.std(values) == pytest.approx(claimed[0], rel=0.08)


def test_no_error_is_not_covered(pulls):
    found = pulls.summarise(np.concatenate([np.zeros(50), np.full(50, np.nan)]))
    assert (found.count, found.lacking) == (50, 50)
    assert found.coverage[pulls.LEVELS[0]][0] == 0.5
    assert not found.holds


def test_what_holds(pulls):
    normal = np.random.default_rng(2).normal(size=20000)
    assert pulls.summarise(normal).holds
    assert not pulls.summarise(1.1 * normal).holds
    assert not pulls.summarise(normal + 0.1).holds


def test_samples_give_the_rank_of_the_truth(pulls):
    """Fits scatter about the truth as their samples scatter about the fits, across the wrap of an angle too."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(-90, 90, 4000)
    fitted = truth + rng.normal(size=4000)
    samples = fitted[:, None] + rng.normal(size=(4000, 300))
    fitted, samples = ((a + 90) % 180 - 90 for a in (fitted, samples))
    samples[:, 0] = np.nan
    found = pulls.summarise(pulls.pull_of_samples("galaxy.position_angle", fitted, samples, truth))
    assert abs(found.median[0]) < 4 * found.median[1]
    assert abs(found.half_width[0] - 1) < 4 * found.half_width[1]


def test_no_samples_no_pull(pulls):
    found = pulls.pull_of_samples("galaxy.x", np.zeros(1), np.full((1, 5), np.nan), np.zeros(1))
    assert np.isnan(found[0])


def test_the_table_marks_what_is_outside(pulls):
    normal = np.random.default_rng(4).normal(size=20000)
    text = pulls.table([("right", {"a.x": normal}), ("wrong", {"a.x": 2 * normal})], {"a.x": "x", "a.y": "y"})
    right, _, wrong, _ = text.splitlines()[2:]
    assert "**" not in right
    assert "**" in wrong
