"""The demo: simulated, spoiled, fitted, compared and drawn."""

import shlex

import numpy as np
import pytest
from astropy.table import QTable

from isolux.cli import demo as shown
from isolux.demo import Comparison, compare, half_width
from isolux.io.catalogue import read_catalogue


def test_demo(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shown, "FIGURES", 1)
    text = run("demo", "--galaxies", 5, "--threads", 1)
    assert "Three are spoiled on purpose" in text
    assert "3 converged" in text
    assert "sersic.effective_radius" in text
    table = read_catalogue("demo/run/catalogue.fits")
    assert np.count_nonzero(table["status"] == 0) == 3
    assert len(read_catalogue("demo/run/catalogue.csv")) == 5
    for file in ("comparison.png", "truth.csv", "run/figures/mock_000.png", "run/blocks/mock_000.fits"):
        assert (tmp_path / "demo" / file).stat().st_size > 100
    for command in shown.next_commands(tmp_path / "demo")[:1]:
        words = shlex.split(command.replace("\\\n", " "))
        assert "3 converged" in run(*words[1:], "--steps", 40, "--threads", 1, "--no-blocks", code=1)


def test_only_a_demo_is_replaced(tmp_path, run):
    (tmp_path / "thesis.tex").touch()
    assert "is no folder of an earlier demo" in run("demo", "--out", tmp_path, code=2)
    assert (tmp_path / "thesis.tex").exists()


def test_differences_are_in_the_right_units():
    truth = QTable(
        {"id": ["a", "b", "c"], "g_sersic_index": [1.0, 2.0, 4.0], "g_position_angle": [89.0, 0.0, 0.0]}
    )
    fitted = QTable(
        {
            "id": ["b", "a", "c"],
            "status": [0, 0, 9],
            "g_sersic_index": [2.2, 1.1, np.nan],
            "g_sersic_index_err": [0.1, 0.1, np.nan],
            "g_position_angle": [2.0, -89.0, np.nan],
            "g_position_angle_err": [1.0, 1.0, np.nan],
        }
    )
    index, angle = compare(fitted, truth)
    assert index.offset == pytest.approx(10.0)
    assert index.unit == "%"
    assert index.scatter == pytest.approx(0.0, abs=1e-9)
    assert angle == Comparison("g_position_angle", "", 2.0, 0.0, 0.0)


def test_half_width_is_the_width_of_a_gaussian(rng):
    assert half_width(rng.normal(0, 3, 100_000)) == pytest.approx(3, rel=0.02)
    assert np.isnan(half_width(np.array([np.nan])))
