"""The makers of the benchmarks' tables, on invented answers."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "tables.py"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("benchmark_tables", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


TRUTH = {
    "single": np.tile([63.0, 64.0, 17.0, 8.0, 2.0, 0.5, 10.0], (1000, 1)),
    "double": np.tile([63.0, 64.0, 17.0, 3.0, 0.8, 10.0, 16.0, 12.0, 0.5, 10.0], (1000, 1)),
}


def answers(tables, rng, kind, title="code", count=1000):
    """Answers that scatter by exactly the errors that they claim."""
    truth = TRUTH[kind][:count]
    errors = np.full(truth.shape, 0.01)
    values = truth + errors * rng.normal(size=truth.shape)
    chi2 = np.full(count, 16377.0)
    good, cpu = np.ones(count, bool), np.full(count, 0.02)
    return tables.Answers(
        title, values, errors, chi2, good, cpu, 300.0, ("Python 3.11", title), "today", "", (0.2, 0.2)
    )


@pytest.mark.parametrize("kind", ["single", "double"])
def test_right_errors_give_pulls_of_width_one(tables, rng, kind):
    pulls = tables.pulls(kind, answers(tables, rng, kind), TRUTH[kind])
    widths = [tables.half_width(column) for column in pulls.T]
    np.testing.assert_allclose(widths, 1, atol=0.12)


@pytest.mark.parametrize("kind", ["single", "double"])
def test_every_table_has_a_row_a_code_with_all_columns(tables, rng, kind):
    rows = [answers(tables, rng, kind, "A"), answers(tables, rng, kind, "B", count=5)]
    for make in (tables.speed, tables.accuracy, tables.pull_table):
        lines = make(kind, rows, TRUTH[kind]).splitlines()
        assert len(lines) == 4
        assert len({line.count("|") for line in lines}) == 1
        assert "nan" not in "".join(lines)


def test_bad_fits_are_counted(tables, rng):
    row = answers(tables, rng, "single", "A", count=100)
    row.values[0] = np.nan
    row.values[1, 2] += 0.4
    row.values[2, 3] *= 10**0.2
    row.chi2[3] += tables.MISSED + 1
    row.converged[4] = False
    best = answers(tables, rng, "single", "B", count=100)
    line = tables.speed("single", [row, best], TRUTH["single"][:100]).splitlines()[2]
    assert [cell.strip() for cell in line.split("|")[7:10]] == ["1.0 %", "3.0 %", "1.0 %"]


def test_angles_are_compared_within_half_a_turn(tables):
    truth = TRUTH["single"][:1]
    turned = truth.copy()
    turned[0, -1] += 181
    assert tables.differences("single", turned, truth)[0, -1] == pytest.approx(1)


def test_a_section_is_replaced_and_the_others_stay(tables, tmp_path):
    path = tmp_path / "RESULTS.md"
    for section, text in (("a", "one"), ("b", "two"), ("a", "three")):
        tables.put(path, section, text)
    text = path.read_text()
    assert "one" not in text
    assert text.index("three") < text.index("two")
    assert text.count("<!--") == 4
