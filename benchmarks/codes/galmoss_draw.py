"""galmoss draws: as its fit does before the first step."""

import tempfile

import galmoss
import numpy as np
import torch
from astropy.io import fits
from drawing import Galaxy, run

torch.set_num_threads(1)


def draw(galaxy: Galaxy, psf: np.ndarray, size: int) -> np.ndarray:
    """Two of the same galaxy are drawn: galmoss's shapes need two."""
    parameter = galmoss.p
    with tempfile.TemporaryDirectory() as folder:
        blank, paths = np.zeros((size, size)), {}
        for kind, array in {"image": blank, "sigma": blank + 1, "psf": psf, "mask": blank}.items():
            paths[f"{kind}_path"] = [f"{folder}/{kind}{k}.fits" for k in range(2)]
            for path in paths[f"{kind}_path"]:
                fits.writeto(path, array.astype(np.float32))
        data = galmoss.DataSet(["a", "b"], **paths, img_block_path=folder, result_path=folder, device="cpu")
        two = np.ones(2)
        data.define_profiles(
            sersic=galmoss.lp.Sersic(
                cen_x=parameter((galaxy.x + 0.5) * two),
                cen_y=parameter((galaxy.y + 0.5) * two),
                pa=parameter(((galaxy.pa + 90) % 180 - 90) * two, angle=True),
                axis_r=parameter(galaxy.q * two),
                eff_r=parameter(galaxy.re * two, pix_scale=1.0),
                ser_n=parameter(galaxy.n * two, log=True),
                mag=parameter(0 * two, M0=0.0),
            )
        )
        return first_model(galmoss.Fitting(dataset=data, batch_size=2, iteration=1))


def first_model(fitting) -> np.ndarray:
    """The image that the first step of a fit compares with the data."""
    seen = []
    convolve = fitting.add_convolution

    def watch(images: torch.Tensor) -> torch.Tensor:
        seen.append(convolve(images))
        return seen[-1]

    fitting.add_convolution = watch
    fitting.fit()
    return seen[0][0].detach().numpy()


run(("galmoss", "torch", "numpy"), draw)
