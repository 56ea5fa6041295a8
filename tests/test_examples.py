"""Every example runs as its first lines say, and its main result is right."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from astropy.table import QTable

FOLDER = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_example_says_how_it_is_run(name):
    assert f"\npython examples/{name}.py OUT\n" in load(name).__doc__


@pytest.mark.parametrize("name", [name for name in NAMES if name != "appendix_c"])
def test_example_runs(name, tmp_path, capsys):
    load(name).main(tmp_path)
    (catalogue,) = tmp_path.glob("*.fits")
    assert (QTable.read(catalogue)["status"] == 0).all()
    assert capsys.readouterr().out


def test_appendix_c_finds_its_truth(tmp_path, capsys):
    load("appendix_c").main(tmp_path)
    assert (tmp_path / "appendix_c.png").stat().st_size > 20_000
    lines = [line for line in capsys.readouterr().out.splitlines() if "+-" in line]
    value, error, true = np.array([[float(line.split()[k]) for k in (1, 3, 5)] for line in lines]).T
    assert len(lines) == 32
    assert np.abs((value - true) / error).max() < 4


def test_bulge_fractions_are_right(tmp_path, capsys):
    load("bulge_disc").main(tmp_path)
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    found, error, true = np.array([[float(w[k].strip(",;")) for k in (3, 5, 7)] for w in words]).T
    assert np.abs((found - true) / error).max() < 4
    assert np.abs(found - true).max() < 0.1
