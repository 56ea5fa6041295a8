"""Small fields, made once."""

import pytest

from isolux import mock


@pytest.fixture(scope="session")
def small():
    """Return a crowded field like SDSS, smooth galaxies and stars, with a PSF that varies."""
    return mock.field("sdss", size=(180, 220), seed=2, galaxies=10, stars=4, faint=20.5, psf_variation=0.2)


@pytest.fixture(scope="session")
def several():
    """Return a field in three bands with different pixels."""
    survey = mock.SURVEYS["euclid"]
    return mock.field(
        survey, bands=["VIS", "J", "H"], size=120, seed=5, galaxies=6, stars=2, faint=22, rotation=30
    )
