"""Isolux: all galaxies as one batch, float32, with covariance.

The median of three runs counts, since one batch gives one time. ``--start own``: starting values from the
images, for users who have none. ``--sky no``: without the sky level, which the other codes do not fit either.
"""

import numpy as np
import torch
from common import Fits, Galaxies, arguments, run

import isolux

torch.set_num_threads(1)
ONE = ("magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
FIXED_INDEX = ("magnitude", "effective_radius", "axis_ratio", "position_angle")
COLUMNS = {
    "single": ["galaxy.x", "galaxy.y"] + [f"galaxy.{name}" for name in ONE],
    "double": ["bulge.x", "bulge.y"]
    + [f"{part}.{name}" for part in ("bulge", "disc") for name in FIXED_INDEX],
}


def scene(kind: str, sky: bool) -> isolux.Scene:
    level = {"sky": isolux.FlatSky()} if sky else {}
    if kind == "single":
        return isolux.Scene(galaxy=isolux.Sersic(), **level)
    bulge = isolux.Sersic(sersic_index=isolux.Fixed(4.0))
    centre = {"x": isolux.Tied("bulge.x"), "y": isolux.Tied("bulge.y")}
    return isolux.Scene(bulge=bulge, disc=isolux.Sersic(sersic_index=isolux.Fixed(1.0), **centre), **level)


def fit(galaxies: Galaxies) -> isolux.Result:
    batch = isolux.Batch.from_arrays(
        galaxies.image,
        sigma=galaxies.sigma,
        psf=galaxies.psf,
        zero_point=galaxies.zero_point,
        pixel_scale=galaxies.pixel_scale,
    )
    given = dict(zip(COLUMNS[galaxies.kind], galaxies.start.T, strict=True))
    start = given if options.start == "given" else None
    return isolux.fit(batch, scene(galaxies.kind, options.sky == "yes"), start=start)


def read(galaxies: Galaxies, result: isolux.Result) -> Fits:
    columns = COLUMNS[galaxies.kind]
    values, errors = (
        np.column_stack([get(name).double().numpy() for name in columns])
        for get in (result.__getitem__, result.error)
    )
    return Fits(values, errors, result.chi2.double().numpy(), result.converged.numpy())


parser = arguments()
parser.add_argument("--start", choices=("given", "own"), default="given")
parser.add_argument("--sky", choices=("yes", "no"), default="yes")
options = parser.parse_args()
run(options, ("isolux", "torch", "numpy"), fit, read, batch=None, repeats=3)
