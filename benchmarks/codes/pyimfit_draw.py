"""pyimfit draws: imfit's Sérsic function, which it samples finely near the centre, convolved with the PSF."""

import numpy as np
import pyimfit
from drawing import Galaxy, run
from sersic import intensity


def draw(galaxy: Galaxy, psf: np.ndarray, size: int) -> np.ndarray:
    parameters = {
        "PA": galaxy.pa,
        "ell": 1 - galaxy.q,
        "n": galaxy.n,
        "I_e": intensity(0.0, galaxy.n, galaxy.re, galaxy.q, 0.0),
        "r_e": galaxy.re,
    }
    functions = [{"name": "Sersic", "label": "galaxy", "parameters": parameters}]
    centre = {"X0": galaxy.x + 1, "Y0": galaxy.y + 1}  # pixels from 1
    model = {"function_sets": [{**centre, "function_list": functions}]}
    return pyimfit.Imfit(model, psf=psf, maxThreads=1).getModelImage(shape=(size, size))


run(("pyimfit", "numpy"), draw)
