"""petrofit: astropy's models and fitters, with 10 x 10 samples a pixel in the core.

Errors of magnitudes are not given.
"""

import warnings

import numpy as np
import petrofit
from astropy.modeling import fitting, models
from common import Fits, Galaxies, arguments, run
from sersic import intensity, magnitude

warnings.simplefilter("ignore")


def component(galaxy: Galaxies, start: dict[str, float], n: float) -> models.Sersic2D:
    x, y = galaxy.start[0, :2]
    bounds = petrofit.get_default_sersic_bounds({"x_0": (x - 10, x + 10), "y_0": (y - 10, y + 10)})
    return models.Sersic2D(
        amplitude=intensity(start["mag"], n, start["re"], start["q"], galaxy.zero_point),
        r_eff=start["re"],
        n=n,
        x_0=x,
        y_0=y,
        ellip=1 - start["q"],
        theta=np.deg2rad(start["pa"] + 90),
        bounds=bounds,
        fixed={"n": galaxy.kind == "double"},
    )


def build(galaxy: Galaxies) -> petrofit.PSFConvolvedModel2D:
    others = galaxy.start[0, 2:]
    if galaxy.kind == "single":
        start = dict(zip(("mag", "re", "n", "q", "pa"), others, strict=True))
        core = ("x_0", "y_0", 20, 10)
        model = petrofit.PSFConvolvedModel2D(component(galaxy, start, start["n"]), galaxy.psf[0], core)
    else:
        bulge, disc = (dict(zip(("mag", "re", "q", "pa"), o, strict=True)) for o in (others[:4], others[4:]))
        core = ("x_0_0", "y_0_0", 20, 10)
        both = component(galaxy, bulge, 4.0) + component(galaxy, disc, 1.0)
        model = petrofit.PSFConvolvedModel2D(both, galaxy.psf[0], core)
        model.tied["x_0_1"] = lambda m: m.x_0_0
        model.tied["y_0_1"] = lambda m: m.y_0_0
    model.fixed["psf_pa"] = True
    return model


def fit(galaxy: Galaxies) -> petrofit.PSFConvolvedModel2D:
    model, _ = petrofit.fit_model(
        galaxy.image[0],
        build(galaxy),
        weights=1 / galaxy.sigma[0],
        fitter=fitting.TRFLSQFitter,
        calc_uncertainties=True,
        maxiter=10000,
        epsilon=1.4901161193847656e-08,  # this and the next as in petrofit's own documentation
        acc=1e-9,
    )
    return model


def read(galaxy: Galaxies, model: petrofit.PSFConvolvedModel2D) -> Fits:
    suffixes = ("",) if galaxy.kind == "single" else ("_0", "_1")
    row, error = ([get(name + suffixes[0]) for name in ("x_0", "y_0")] for get in getters(model))
    for suffix in suffixes:
        brightness, re, n, ell, theta = (
            float(getattr(model, name + suffix).value)
            for name in ("amplitude", "r_eff", "n", "ellip", "theta")
        )
        re_error, n_error, ell_error, theta_error = (
            getters(model)[1](name + suffix) for name in ("r_eff", "n", "ellip", "theta")
        )
        index = galaxy.kind == "single"
        total = magnitude(brightness, n, re, 1 - ell, galaxy.zero_point)
        row += [total, re, *[n] * index, 1 - ell, np.rad2deg(theta) - 90]
        error += [np.nan, re_error, *[n_error] * index, ell_error, np.rad2deg(theta_error)]
    y, x = np.mgrid[: galaxy.image.shape[1], : galaxy.image.shape[2]]
    chi2 = (((galaxy.image[0] - model(x, y)) / galaxy.sigma[0]) ** 2).sum()
    return Fits(np.array([row]), np.array([error]), np.array([chi2]), np.isfinite([chi2]))


def getters(model: petrofit.PSFConvolvedModel2D) -> tuple:
    """Value and error of a parameter by its name."""
    deviations = model.stds.stds if model.stds is not None else {}
    names = getattr(model.stds, "param_names", [])
    errors = dict(zip(names, np.atleast_1d(deviations), strict=False))
    return lambda name: float(getattr(model, name).value), lambda name: errors.get(name, np.nan)


run(arguments().parse_args(), ("petrofit", "astropy", "numpy"), fit, read)
