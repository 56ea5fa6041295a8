"""petrofit draws: astropy's Sersic2D, 10 x 10 samples a pixel in a box of 20 pixels around the centre."""

import warnings

import numpy as np
import petrofit
from astropy.modeling import models
from drawing import Galaxy, run
from sersic import intensity

warnings.simplefilter("ignore")


def draw(galaxy: Galaxy, psf: np.ndarray, size: int) -> np.ndarray:
    model = models.Sersic2D(
        amplitude=intensity(0.0, galaxy.n, galaxy.re, galaxy.q, 0.0),
        r_eff=galaxy.re,
        n=galaxy.n,
        x_0=galaxy.x,
        y_0=galaxy.y,
        ellip=1 - galaxy.q,
        theta=np.deg2rad(galaxy.pa + 90),
    )
    y, x = np.mgrid[:size, :size]
    return petrofit.PSFConvolvedModel2D(model, psf, ("x_0", "y_0", 20, 10))(x, y)


run(("petrofit", "astropy", "numpy"), draw)
