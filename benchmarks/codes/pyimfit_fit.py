"""pyimfit: the Python interface of imfit (C++), Levenberg-Marquardt. Errors of magnitudes are not given."""

import numpy as np
import pyimfit
from common import Fits, Galaxies, arguments, run
from sersic import intensity, magnitude


def component(label: str, start: dict[str, float], n: list, zero_point: float) -> dict:
    """One Sérsic function with its starting values and bounds."""
    brightness = intensity(start["mag"], n[0], start["re"], start["q"], zero_point)
    parameters = {
        "PA": [start["pa"], -360, 360],
        "ell": [1 - start["q"], 0.0, 0.98],
        "n": n,
        "I_e": [brightness, 1e-4 * brightness, 1e4 * brightness],
        "r_e": [start["re"], 0.2, 150.0],
    }
    return {"name": "Sersic", "label": label, "parameters": parameters}


def fit(galaxy: Galaxies) -> dict:
    x, y, *others = galaxy.start[0]
    zero_point = galaxy.zero_point
    if galaxy.kind == "single":
        start = dict(zip(("mag", "re", "n", "q", "pa"), others, strict=True))
        functions = [component("galaxy", start, [start["n"], 0.2, 10.0], zero_point)]
    else:
        bulge, disc = (dict(zip(("mag", "re", "q", "pa"), o, strict=True)) for o in (others[:4], others[4:]))
        functions = [
            component("bulge", bulge, [4.0, "fixed"], zero_point),
            component("disc", disc, [1.0, "fixed"], zero_point),
        ]
    centre = {"X0": [x + 1, x - 9, x + 11], "Y0": [y + 1, y - 9, y + 11]}  # pixels from 1
    model = {"function_sets": [{**centre, "function_list": functions}]}
    fitter = pyimfit.Imfit(model, psf=galaxy.psf[0], maxThreads=1)
    return fitter.fit(galaxy.image[0], error=galaxy.sigma[0], error_type="sigma", solver="LM")


def read(galaxy: Galaxies, answer: dict) -> Fits:
    values, errors = np.asarray(answer["params"]), np.asarray(answer["paramErrs"])
    row, error = [values[0] - 1, values[1] - 1], [errors[0], errors[1]]
    for first in range(2, len(values), 5):
        pa, ell, n, brightness, re = values[first : first + 5]
        pa_error, ell_error, n_error, _, re_error = errors[first : first + 5]
        index = galaxy.kind == "single"
        row += [magnitude(brightness, n, re, 1 - ell, galaxy.zero_point), re, *[n] * index, 1 - ell, pa]
        error += [np.nan, re_error, *[n_error] * index, ell_error, pa_error]
    converged = np.array([bool(answer["fitConverged"])])
    return Fits(np.array([row]), np.array([error]), np.array([answer["fitStat"]]), converged)


run(arguments().parse_args(), ("pyimfit", "numpy"), fit, read)
