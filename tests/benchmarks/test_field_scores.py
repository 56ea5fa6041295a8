"""The scores of catalogues of fields, on numbers whose scores are known."""

import math
import shutil
import sys

import numpy as np
import pytest

from benchmark_parts import benchmark_parts

pytest.importorskip("galsim", reason="GalSim, which draws the fields, is in the extra 'check'")


@pytest.fixture(scope="module")
def field():
    with benchmark_parts("field_scores", "field_mocks", "field_runs", "field_sextractor") as parts:
        yield parts


@pytest.fixture(scope="module")
def scores(field):
    return field.field_scores


def test_the_brightest_chooses_first_and_none_twice(scores):
    x, y = np.array([0.0, 1.0, 50.0]), np.zeros(3)
    found = scores.match(x, y, np.array([20.0, 18.0, 15.0]), np.array([0.9, 3.0]), np.zeros(2), 3.0)
    assert found.tolist() == [1, 0, -1]


def test_each_takes_the_nearest_in_its_own_radius(scores):
    x, y = np.zeros(2), np.array([0.0, 10.0])
    found = scores.match(
        x, y, np.array([20.0, 21.0]), np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0, 13.0]), [4, 2]
    )
    assert found.tolist() == [1, -1]


def test_no_detection_matches_nothing(scores):
    one = np.ones(1)
    assert scores.match(one, one, one, np.zeros(0), np.zeros(0), 3.0).tolist() == [-1]
    assert scores.match(one, one, one, np.array([np.nan]), one, 3.0).tolist() == [-1]


def test_errors_have_the_challenges_units(scores):
    found, true = np.array([3.0, np.nan]), np.array([2.0, 2.0])
    assert scores.errors("re", found, true)[0] == 0.5
    assert scores.errors("n", found, true)[0] == pytest.approx(math.log10(1.5))
    assert scores.errors("q", found, true)[0] == 1
    assert scores.errors("magnitude", found, true)[0] == 1
    assert all(np.isnan(scores.errors(name, found, true)[1]) for name in ("re", "n", "q"))
    assert np.isnan(scores.errors("n", np.array([0.0]), np.ones(1))[0])


@pytest.mark.parametrize("name", ["re", "n", "q", "magnitude"])
def test_small_steps_have_the_scale_of_errors(scores, name):
    true, step = np.array([0.7, 3.0]), 1e-6
    slope = scores.errors(name, true + step, true) / step
    np.testing.assert_allclose(slope, scores.scale(name, true), rtol=1e-5)


def test_a_bin_of_known_errors(scores):
    """101 errors from -1 to 1 about 0.1: |e - B| is uniform, so that its 68 % quantile is 0.68."""
    error = np.append(np.linspace(-0.9, 1.1, 101), np.nan)
    found = scores.score_bin(error)
    assert found.count == 101
    assert found.bias == pytest.approx(0.1)
    assert found.dispersion == pytest.approx(0.68, abs=0.01)
    assert found.outliers == pytest.approx(np.mean(np.abs(error[:-1]) > 0.5))


def test_an_empty_bin_has_no_score(scores):
    found = scores.score_bin(np.array([np.nan]))
    assert found.count == 0
    assert math.isnan(found.dispersion)


def test_the_brighter_edge_is_in_the_bin(scores):
    inside = scores.in_bins(np.array([20.0, 20.5, 21.0, 22.0]), [20, 21, 22])
    assert [row.tolist() for row in inside] == [[True, True, False, False], [False, False, True, False]]


def test_weights_follow_numbers_and_signal(scores):
    """Twice the number, twice the weight; at 17.5 and 24.5 mag the cubic is near the table it is fitted to."""
    weight = scores.weights([100, 200], [17, 18, 19])
    assert weight.sum() == pytest.approx(1)
    assert scores.weights([100, 100], [17, 18, 19])[1] * 2 / scores.weights([100, 100], [17, 18, 19])[0] == (
        pytest.approx(weight[1] / weight[0])
    )
    ratio = np.interp([17.5, 24.5], scores.CHALLENGE_MAGNITUDES, scores.CHALLENGE_SNR)
    two = scores.weights([1, 0, 0, 0, 0, 0, 0, 1], np.arange(17.0, 26.0))
    assert two[0] / two[-1] == pytest.approx(ratio[0] / ratio[1], rel=0.02)
    np.testing.assert_allclose(
        scores.weights([1, 1], [13.5, 14.5, 15.5], 3.5), scores.weights([1, 1], [17, 18, 19])
    )


def test_the_global_score_of_equal_bins(scores):
    """Whatever the weights, the mean of equal costs is the cost; completeness is added."""
    one = scores.Bin(10, -0.1, 0.2, 0.05)
    empty = scores.Bin(0, math.nan, math.nan, math.nan)
    assert scores.global_score([one, one, empty], 0.9, [18, 19, 20, 21]) == pytest.approx(0.1 + 0.35)


def test_the_dispersion_expected_of_normal_errors(scores):
    """The 68 % quantile of |z| is 0.994; of two widths it lies between."""
    assert scores.expected_dispersion(np.full(50, 0.3)) == pytest.approx(0.994 * 0.3, rel=0.02)
    assert 0.3 < scores.expected_dispersion(np.array([0.1, 0.9, np.nan])) < 0.6
    assert math.isnan(scores.expected_dispersion(np.array([np.nan])))


def test_sextractors_conventions_become_ours(field):
    """Pixels from 0 and angles from +y; what was not fitted is NaN."""
    raw = {
        name: np.array([value, value]) for name, value in (("X_IMAGE", 5.0), ("Y_IMAGE", 6.0), ("FLAGS", 0))
    }
    raw |= {
        name: np.array([21.0, 21.0]) for name in ("MAG_AUTO", "MAGERR_MODEL", "CHI2_MODEL", "SPREAD_MODEL")
    }
    raw |= {
        "MAG_MODEL": np.array([20.0, 99.0]),
        "XMODEL_IMAGE": np.array([5.5, 0.0]),
        "YMODEL_IMAGE": np.full(2, 6.0),
    }
    raw |= {
        f"SPHEROID_{n}_IMAGE": np.full(2, v) for n, v in (("REFF", 4.0), ("ASPECT", 0.5), ("THETA", 100.0))
    }
    raw |= {f"SPHEROID_{n}ERR_IMAGE": np.full(2, 0.1) for n in ("REFF", "ASPECT", "THETA")}
    raw |= {"SPHEROID_SERSICN": np.full(2, 2.0), "SPHEROID_SERSICNERR": np.full(2, 0.2)}
    found = field.field_sextractor.common(raw, 0.5, "sersic")
    assert (found["x"][0], found["fx"][0], found["re"][0], found["re_err"][0]) == (4, 4.5, 2, 0.05)
    assert found["pa"][0] == pytest.approx(10)
    assert np.isnan([found[name][1] for name in ("magnitude", "re", "n", "q", "pa")]).all()


def test_the_filter_is_as_wide_as_stars(field):
    lines = field.field_sextractor.kernel(3.0).splitlines()
    values = np.array([[float(word) for word in line.split()] for line in lines[1:]])
    assert lines[0] == "CONV NORM"
    assert values.shape == (7, 7)
    middle = values.shape[0] // 2
    assert values[middle, middle] == 1
    assert values[middle, middle + 1] == pytest.approx(2 ** -(4 / 9), abs=1e-5)


def test_rows_of_what_was_not_found_are_empty(field):
    cost = field.field_runs.Cost(1, 1, 1)
    found = field.field_runs.Found(
        "code", {"x": np.array([1.0, 2.0]), "model": np.array(["a", "b"])}, cost, {}
    )
    rows = found.rows(np.array([1, -1]))
    assert rows["x"][0] == 2
    assert np.isnan(rows["x"][1])
    assert rows["model"].tolist() == ["b", ""]


def test_costs_count_children(field, monkeypatch):
    """A child that works and holds memory is in the sums."""
    script = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        "'import time; b = bytearray(200_000_000); t = time.process_time()\\n"
        "while time.process_time() - t < 0.3: pass'], check=True)"
    )
    monkeypatch.setattr(field.field_runs, "EVERY", 0.05)
    cost = field.field_runs.timed([sys.executable, "-c", script])
    assert cost.cpu > 0.3
    assert cost.memory > 190


def test_a_command_that_fails_says_why(field):
    with pytest.raises(RuntimeError, match="not today"):
        field.field_runs.timed([sys.executable, "-c", "raise SystemExit('not today')"])


@pytest.mark.skipif(shutil.which("source-extractor") is None, reason="SExtractor is not installed")
def test_sextractor_measures_what_galsim_drew(field, tmp_path):
    """A bright galaxy by itself: sizes along the major axis, angles from +y, whole magnitudes."""
    mocks, name = field.field_mocks, "r"

    def bright(made):
        values = {
            f"magnitude_{name}": 16.5,
            f"effective_radius_{name}": 3.0,
            f"half_light_radius_{name}": 3.0,
        }
        values |= {
            "sersic_index": 1.0,
            "axis_ratio": 0.4,
            "position_angle": 30.0,
            f"x_{name}": 80.3,
            f"y_{name}": 79.6,
        }
        return made.truth | {key: np.full(1, value) for key, value in values.items()}

    settings = {"size": 160, "galaxies": 1, "stars": 0, "morphology": "sersic"}
    mock = mocks.kept(tmp_path, "sdss", seed=1, reuse=False, change=bright, **settings)
    found = field.field_runs.sextractor(mock, "sersic", "given", False, "SExtractor")
    best = np.argmin(found.columns["auto"])
    row = {key: values[best] for key, values in found.columns.items()}
    assert np.hypot(row["fx"] - 80.3, row["fy"] - 79.6) < 0.1
    assert row["magnitude"] == pytest.approx(16.5, abs=0.05)
    assert row["re"] == pytest.approx(3.0, rel=0.04)
    assert (row["q"], row["n"]) == (pytest.approx(0.4, abs=0.02), pytest.approx(1.0, rel=0.06))
    assert row["pa"] == pytest.approx(30, abs=1)
    again = mocks.kept(tmp_path, "sdss", seed=9, reuse=True, **settings)
    assert np.array_equal(again.image.data, mock.image.data)
