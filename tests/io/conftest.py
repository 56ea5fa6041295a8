"""Folders with the stamps of a few galaxies."""

import numpy as np
import pytest
import torch
from astropy.io import fits

from isolux.result import Quantity, Result
from isolux.status import Flag, Status


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


@pytest.fixture
def result():
    """Return a result of three galaxies, the second of which could not be fitted."""
    nan = torch.nan
    columns = [
        ("disc.x", "pixel", "free"),
        ("disc.y", "pixel", "free"),
        ("disc.magnitude", "mag", "free"),
        ("disc.effective_radius", "pixel", "free"),
        ("disc.sersic_index", "", "fixed"),
        ("disc.axis_ratio", "", "free"),
        ("disc.position_angle", "deg", "tied"),
        ("ring.values[0]", "flux/pixel2", "free"),
        ("ring.values[1]", "flux/pixel2", "free"),
    ]
    row = torch.tensor([64.43, 63.21, 17.5, 10.0, 1.0, 0.5, 30.0, 1e-12, 2e-12], dtype=torch.float64)
    values = torch.stack([row, row * nan, row + 0.1])
    at_bound = torch.zeros(values.shape, dtype=torch.bool)
    at_bound[2, 5] = True
    errors = 0.01 * values
    errors[:, 4] = 0.0
    errors[2, 5] = nan
    return Result(
        id=("a", "b", "c"),
        columns=tuple(Quantity(name, unit, f"meaning of {name}") for name, unit, _ in columns),
        kinds=tuple(kind for _, _, kind in columns),
        values=values,
        errors=errors,
        covariance=None,
        at_bound=at_bound,
        derived=(Quantity("disc.circularised_radius", "pixel", "half-light radius of the circle"),),
        derived_values=values[:, 3:4] * 0.5**0.5,
        derived_errors=errors[:, 3:4],
        chi2=torch.tensor([100.0, nan, 120.0], dtype=torch.float64),
        n_pixels=torch.tensor([110, 0, 110]),
        n_free=torch.tensor([7, 7, 7]),
        status=(Status.CONVERGED, Status.BAD_INPUT, Status.STEP_LIMIT),
        flags=(Flag(0), Flag(0), Flag.AT_BOUND | Flag.NO_PSF),
        message=("", "b.fits: no such file", ""),
        steps=torch.tensor([7, 0, 100]),
        seconds=torch.tensor([0.1, 0.0, 0.1], dtype=torch.float64),
        zero_point=torch.full((3,), 22.5, dtype=torch.float64),
        pixel_scale=torch.full((3,), 0.4, dtype=torch.float64),
        wcs=(None, None, None),
    )
