"""Numbers are written with the digits that their errors warrant."""

import pytest

from isolux.report.labels import number, plain_name, symbol, with_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (3.14159, 0.0273, "3.142 ± 0.027"),
        (17.0, float("nan"), "17"),
        (-26.953, 0.70, "−26.95 ± 0.70"),
        (1234.5, 12.0, "1234 ± 12"),
        (0.0, 0.5, "0.00 ± 0.50"),
        (2.5e-12, 1e-13, r"(2.50 ± 0.10) $\times 10^{-12}$"),
        (4e8, 1e6, r"(4.000 ± 0.010) $\times 10^{8}$"),
        (float("nan"), 1.0, "–"),
        (1.5, 1e-12, r"1.5 ± $10^{-12}$"),
    ],
)
def test_value_with_error(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (-2.5, "−2.5"), (1e-9, "$10^{-9}$"), (-2e12, r"$-2\times 10^{12}$")]
)
def test_short_numbers(value, text):
    assert number(value) == text


def test_names():
    assert symbol("disc.effective_radius") == "$r_e$"
    assert symbol("bar.half_length") == "half length"
    assert plain_name("_inner_disc") == "inner disc"
