"""AstroPhot: Levenberg-Marquardt in PyTorch, float64, one galaxy at a time (in batches it is slower)."""

import astrophot
import numpy as np
import torch
from common import Fits, Galaxies, arguments, run
from sersic import intensity, magnitude

torch.set_num_threads(1)
astrophot.config.set_logging_output(stdout=False)


def component(galaxy: Galaxies, target, name: str, start: dict[str, float], n: float):
    scale = galaxy.pixel_scale
    re = start["re"] * scale
    return astrophot.Model(
        name=name,
        model_type="sersic galaxy model",
        target=target,
        center=list(galaxy.start[0, :2] * scale),
        q=start["q"],
        PA=np.deg2rad(start["pa"]),
        n=n,
        Re=re,
        Ie=intensity(start["mag"], n, re, start["q"], galaxy.zero_point),
    )


def fit(galaxy: Galaxies) -> tuple:
    target = astrophot.TargetImage(
        data=galaxy.image[0],
        variance=galaxy.sigma[0] ** 2,
        pixelscale=galaxy.pixel_scale,
        crpix=(0, 0),
        crtan=(0.0, 0.0),
        psf=astrophot.PSFImage(data=galaxy.psf[0]),
    )
    others = galaxy.start[0, 2:]
    if galaxy.kind == "single":
        start = dict(zip(("mag", "re", "n", "q", "pa"), others, strict=True))
        parts = [component(galaxy, target, "galaxy", start, start["n"])]
        model = parts[0]
    else:
        bulge, disc = (dict(zip(("mag", "re", "q", "pa"), o, strict=True)) for o in (others[:4], others[4:]))
        parts = [component(galaxy, target, "bulge", bulge, 4.0), component(galaxy, target, "disc", disc, 1.0)]
        parts[1].center = parts[0].center
        for part in parts:
            part.n.to_static()
        model = astrophot.Model(name="both", model_type="group model", models=parts, target=target)
    model.initialize()
    return parts, astrophot.fit.LM(model, verbose=0).fit()


def read(galaxy: Galaxies, answer: tuple) -> Fits:
    parts, fitter = answer
    index, scale = galaxy.kind == "single", galaxy.pixel_scale
    row, error = (list(a / scale) for a in pair(parts[0].center))
    for part in parts:
        (q, q_error), (pa, pa_error), (n, n_error) = pair(part.q), pair(part.PA), pair(part.n)
        (re, re_error), (brightness, _) = pair(part.Re), pair(part.Ie)
        row += [
            magnitude(brightness, n, re, q, galaxy.zero_point),
            re / scale,
            *[n] * index,
            q,
            np.rad2deg(pa),
        ]
        error += [np.nan, re_error / scale, *[n_error] * index, q_error, np.rad2deg(pa_error)]
    chi2 = np.array([np.nanmin(fitter.loss_history) * galaxy.dof])
    converged = np.array(["success" in fitter.message])
    return Fits(np.array([row], float), np.array([error], float), chi2, converged)


def pair(parameter) -> tuple[np.ndarray, np.ndarray]:
    """Value and error."""
    value = parameter.value.detach().numpy()
    error = parameter.uncertainty
    return value, np.full(value.shape, np.nan) if error is None else error.detach().numpy()


run(arguments().parse_args(), ("astrophot", "torch", "numpy"), fit, read)
