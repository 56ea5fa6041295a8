"""One catalogue against another: every parameter its panel, outliers and missing values included."""

import numpy as np
import pytest

import isolux
from isolux.report import comparison_figure, save
from isolux.report.comparison import MOST_BARS
from isolux.report.pairs import pair_of


def panels(figure):
    """Return the axes of the panels, without the marginal histograms."""
    return [axes for axes in figure.axes if axes.get_xlabel()]


def table(rng, count):
    return {
        "magnitude": rng.uniform(15, 19, count),
        "position_angle": rng.uniform(-90, 90, count),
        "axis_ratio": rng.uniform(0.2, 1, count),
        "effective_radius": 10 ** rng.normal(0.7, 0.5, count),
        "sersic_index": rng.uniform(0.5, 6, count),
    }


@pytest.mark.parametrize("count", [20, 3000])
def test_five_panels(rng, tmp_path, count):
    truth = table(rng, count)
    fitted = {name: values * (1 + 0.02 * rng.standard_normal(count)) for name, values in truth.items()}
    fitted["magnitude"][3] = np.nan
    errors = {name: 0.02 * np.abs(values) for name, values in truth.items()}
    figure = comparison_figure(fitted, truth, list(truth), errors=errors, labels=("Isolux", "GALFIT"))
    axes = panels(figure)
    assert len(axes) == 5
    assert axes[0].get_xlabel() == "GALFIT m [mag]"
    assert axes[0].get_ylabel() == "Isolux m [mag]"
    assert all("R^2" in panel.texts[0].get_text() for panel in axes)
    assert bool(axes[0].containers) == (count <= MOST_BARS)
    assert axes[3].get_xscale() == "log"
    save(figure, tmp_path / "comparison.png")


def test_r_squared_about_the_one_to_one_line():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    assert pair_of("a", {"a": truth}, {"a": truth}, None).r_squared == 1
    assert pair_of("a", {"a": truth + 1}, {"a": truth}, None).r_squared == pytest.approx(1 - 4 / 5)
    assert np.isnan(pair_of("a", {"a": [1.0]}, {"a": [1.0]}, None).r_squared)


def test_position_angles_half_a_turn_apart_agree():
    pair = pair_of(
        "disc.position_angle", {"position_angle": [-89.0, 10.0]}, {"position_angle": [89.0, 190.0]}, None
    )
    np.testing.assert_allclose(pair.fitted, [91.0, 190.0])


def test_a_result_brings_its_errors_and_finds_plain_truth(tmp_path):
    from stubs import mock_batch

    batch, truth = mock_batch(count=3, size=32)
    result = isolux.fit(batch, isolux.Scene(galaxy=isolux.Sersic()))
    figure = comparison_figure(result, truth, ["galaxy.magnitude", "galaxy.sersic_index"])
    assert len(panels(figure)) == 2
    assert all(axes.containers for axes in panels(figure))
    save(figure, tmp_path / "result.pdf")


@pytest.mark.parametrize("values", [[np.nan, np.nan], [2.0, 2.0], [0.0, 0.0], [1e-12, 3e-12]])
def test_odd_columns(tmp_path, values):
    save(comparison_figure({"a": values}, {"a": values}, ["a"]), tmp_path / "odd.png")


def test_misuse_is_refused():
    with pytest.raises(isolux.InputError, match="did you mean 'magnitude'"):
        comparison_figure({"magnitude": [1.0]}, {"magnitude": [1.0]}, ["magnitud"])
    with pytest.raises(isolux.InputError, match="different lengths"):
        comparison_figure({"a": [1.0]}, {"a": [1.0, 2.0]}, ["a"])
    with pytest.raises(isolux.InputError, match="at least one"):
        comparison_figure({}, {}, [])
