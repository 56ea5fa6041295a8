"""galmoss: DiffGrad in PyTorch, 1000 iterations, two galaxies at a time.

Its errors are left out: they cost more than the fit.
"""

import tempfile
from pathlib import Path

import galmoss
import numpy as np
import torch
from astropy.io import fits
from astropy.table import Table
from common import Fits, Galaxies, arguments, run

torch.set_num_threads(1)
ITERATIONS, BATCH = 1000, 2
MAPS = ("image", "sigma", "psf", "mask")


def fit(galaxies: Galaxies) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        arrays = (galaxies.image, galaxies.sigma, galaxies.psf, np.zeros(galaxies.image.shape))
        names = [f"{k:03d}" for k in range(len(galaxies))]
        paths = {}
        for kind, stack in zip(MAPS, arrays, strict=True):
            paths[f"{kind}_path"] = [f"{folder}/{kind}_{name}.fits" for name in names]
            for path, array in zip(paths[f"{kind}_path"], stack, strict=True):
                fits.writeto(path, array.astype(np.float32))
        data = galmoss.DataSet(names, **paths, img_block_path=folder, result_path=folder, device="cpu")
        data.define_profiles(**profiles(galaxies))
        galmoss.Fitting(dataset=data, batch_size=len(galaxies), iteration=ITERATIONS).fit()
        return Table.read(Path(folder) / "result.fits")


def profiles(galaxies: Galaxies) -> dict:
    parameter, start = galmoss.p, galaxies.start.T
    centre = {"cen_x": parameter(start[0] + 0.5), "cen_y": parameter(start[1] + 0.5)}

    def sersic(mag, re, n, q, pa):
        return galmoss.lp.Sersic(
            **centre,
            pa=parameter((pa + 90) % 180 - 90, angle=True),
            axis_r=parameter(q),
            eff_r=parameter(re * galaxies.pixel_scale, pix_scale=galaxies.pixel_scale),
            ser_n=n,
            mag=parameter(mag, M0=galaxies.zero_point),
        )

    if galaxies.kind == "single":
        mag, re, n, q, pa = start[2:]
        return {"sersic": sersic(mag, re, parameter(n, log=True), q, pa)}
    fixed = [parameter(np.full(len(galaxies), n), log=True, fit=False) for n in (4.0, 1.0)]
    (mag_b, re_b, *shape_b), (mag_d, re_d, *shape_d) = start[2:6], start[6:]
    return {"bulge": sersic(mag_b, re_b, fixed[0], *shape_b), "disc": sersic(mag_d, re_d, fixed[1], *shape_d)}


def read(galaxies: Galaxies, table: Table) -> Fits:
    def column(name: str) -> np.ndarray:
        return np.array(table[f"{name}_(varaible)"], float).ravel()  # galmoss spells it so

    single = galaxies.kind == "single"
    parts = ("sersic",) if single else ("bulge", "disc")
    columns = [column(f"{parts[0]}_{name}") - 0.5 for name in ("cen_x", "cen_y")]
    for part in parts:
        index = [column(f"{part}_ser_n")] if single else []
        columns += [column(f"{part}_mag"), column(f"{part}_eff_r") / galaxies.pixel_scale, *index]
        columns += [column(f"{part}_axis_r"), column(f"{part}_pa")]
    values = np.column_stack(columns)
    chi2 = np.array(table["chi_mu"], float) * galaxies.dof
    return Fits(values, np.full(values.shape, np.nan), chi2, np.isfinite(values).all(1))


run(arguments().parse_args(), ("galmoss", "torch", "numpy"), fit, read, batch=BATCH)
