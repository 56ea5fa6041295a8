"""Folders with the stamps of a few galaxies."""

import numpy as np
import pytest
from astropy.io import fits


def gaussian_psf(side: int = 9) -> np.ndarray:
    v, u = np.mgrid[:side, :side] - side // 2
    psf = np.exp(-(u**2 + v**2) / 4.0)
    return psf / psf.sum()


class Sample:
    """A folder of stamps; each array can be changed before it is written again."""

    def __init__(self, folder, rng, names=("a", "b", "c"), shape=(20, 24)):
        self.folder, self.names, self.shape = folder, names, shape
        for name in names:
            self.write(name, "image", rng.normal(1.0, 0.1, shape).astype(np.float32))
            self.write(name, "sigma", np.full(shape, 0.1, np.float32))
            self.write(name, "mask", np.zeros(shape, np.int16))
            self.write(name, "psf", gaussian_psf().astype(np.float32))

    def path(self, name, kind):
        return self.folder / f"{name}_{kind}.fits"

    def write(self, name, kind, array, **cards):
        header = fits.Header(cards)
        fits.writeto(self.path(name, kind), array, header, overwrite=True)

    def read(self, name, kind):
        return fits.getdata(self.path(name, kind))

    @property
    def patterns(self):
        return {kind: f"{self.folder}/*_{kind}.fits" for kind in ("image", "sigma", "mask", "psf")}


@pytest.fixture
def sample(tmp_path, rng):
    """Return three galaxies, a, b and c, of 20 rows and 24 columns."""
    return Sample(tmp_path, rng)
