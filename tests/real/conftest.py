"""The samples of benchmarks/real_samples.py, loaded once; everything here needs the real images."""

import sys
from pathlib import Path

import pytest

from isolux import Stamp
from isolux.io.listing import list_stamps
from isolux.io.stamps import load_stamps

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(scope="session")
def benchmarks():
    """Import a script of benchmarks/ by its name."""
    sys.path.insert(0, BENCHMARKS)
    yield lambda name: __import__(name)
    sys.path.remove(BENCHMARKS)


@pytest.fixture(scope="session")
def stamps(real_data, benchmarks, tmp_path_factory) -> dict[tuple[str, str], Stamp]:
    """Return every stamp by sample and name."""
    found = {}
    for sample, source in benchmarks("real_samples").SAMPLES.items():
        work = tmp_path_factory.mktemp(sample)
        found |= {(sample, s.id): s for s in load_stamps(list_stamps(source(real_data, work)))}
    return found
