"""Isolux finds what imfit's tutorial prints for IC 3478, values and errors."""

import pytest

from isolux import Status

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def script(benchmarks):
    """Return benchmarks/imfit_ic3478.py."""
    return benchmarks("imfit_ic3478")


@pytest.fixture(params=[2, 3], ids=["mask", "mask-psf"])
def published(script, request):
    """Return the Sérsic fits; the script prints the exponential ones too."""
    return script.PUBLISHED[request.param]


def test_fit_of_the_tutorial(script, published, real_data):
    """Within a tenth of the errors: what is left is how the two average a cusp over pixels."""
    result = script.fit(real_data, published)
    assert result.status[0] is Status.CONVERGED
    for name, (value, error) in published.values.items():
        own, own_error = script.found(result, name)
        assert abs(own - value) < 0.13 * error, name
        assert own_error == pytest.approx(error, rel=0.01), name
    assert float(result.aic[0]) == pytest.approx(published.aic, abs=10)
