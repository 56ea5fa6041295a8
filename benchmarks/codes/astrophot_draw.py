"""AstroPhot draws, in float64 and with its own choice of sampling."""

import astrophot
import numpy as np
import torch
from drawing import Galaxy, run
from sersic import intensity

torch.set_num_threads(1)
astrophot.config.set_logging_output(stdout=False)


def draw(galaxy: Galaxy, psf: np.ndarray, size: int) -> np.ndarray:
    target = astrophot.TargetImage(
        data=np.zeros((size, size)),
        variance=np.ones((size, size)),
        pixelscale=1.0,
        crpix=(0, 0),
        crtan=(0.0, 0.0),
        psf=astrophot.PSFImage(data=psf),
    )
    model = astrophot.Model(
        name="galaxy",
        model_type="sersic galaxy model",
        target=target,
        center=[galaxy.x, galaxy.y],
        q=galaxy.q,
        PA=np.deg2rad(galaxy.pa),
        n=galaxy.n,
        Re=galaxy.re,
        Ie=intensity(0.0, galaxy.n, galaxy.re, galaxy.q, 0.0),
    )
    model.initialize()
    return model().data.detach().numpy()


run(("astrophot", "torch", "numpy"), draw)
