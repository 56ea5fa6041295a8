"""What all tests share: the same random numbers every time, one thread a process, the folder of real data."""

import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

# One thread: results do not depend on how a sum is split, and parallel test processes do not fight for cores.
torch.set_num_threads(1)

# The same examples in every run, however slow the machine is.
hypothesis.settings.register_profile("isolux", derandomize=True, deadline=None)
hypothesis.settings.load_profile("isolux")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Start every test from the same global seed, whatever ran before it."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - for libraries that still draw from the global state


@pytest.fixture
def rng() -> np.random.Generator:
    """Return NumPy's generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real survey images, or skip the test."""
    value = os.environ.get("ISOLUX_REAL_DATA")
    if not value:
        pytest.skip("ISOLUX_REAL_DATA is not set: it names the folder of real survey images")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"ISOLUX_REAL_DATA names {value}, which is no folder")
    return folder
