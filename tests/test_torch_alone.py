"""Fitting needs PyTorch and NumPy only: on a machine with a GPU nothing else need be installed."""

import subprocess
import sys

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder

OTHERS = {"astropy", "pyarrow", "scipy", "matplotlib", "typer", "rich", "galsim", "h5py", "pandas", "hypothesis"}


class OnlyTorch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in OTHERS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, OnlyTorch())
import numpy as np
import isolux
import isolux.simulate

y, x = np.mgrid[:24, :24] - 11.5
image = 50 * np.exp(-np.hypot(x, y / 0.7) / 3) + np.random.default_rng(0).normal(0, 0.5, x.shape)
psf = np.exp(-(x[:23, :23] + 0.5) ** 2 / 4 - (y[:23, :23] + 0.5) ** 2 / 4)
batch = isolux.Batch.from_arrays(image[None], sigma=np.full((1, 24, 24), 0.5), psf=psf)
scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
for errors in ("covariance", "bootstrap"):
    result = isolux.fit(batch, scene, errors=errors, replicates=4)
    assert result.converged.all(), result.message
print("fitted")
"""


def test_a_batch_is_fitted_without_any_other_library():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "fitted"
