"""Memory of one fit: `isolux_footprint.py GALAXIES SIDE PSF COMPONENTS OWN`, called by footprint.py.

Prints the bytes at the peak less those before the batch was made, and what Isolux says that it takes at most. OWN is
1 for a PSF a galaxy, 0 for one of all. Few steps are taken: memory does not depend on their number.
"""

import dataclasses
import sys

import numpy as np
import torch
from common import peak_mb

import isolux
from isolux.footprint import Footprint

GALAXIES, SIDE, PSF, COMPONENTS, OWN = map(int, sys.argv[1:])
FEW = isolux.LevenbergMarquardt(max_steps=3)


def main() -> None:
    torch.set_num_threads(1)
    scene = isolux.Scene(**{f"g{k}": isolux.Sersic() for k in range(COMPONENTS)}, sky=isolux.FlatSky())
    isolux.fit(batch(2, 16, 9), scene, solver=FEW)
    before = peak_mb()
    isolux.fit(batch(GALAXIES, SIDE, PSF), scene, solver=FEW)
    footprint = Footprint((SIDE, SIDE), (PSF, PSF), COMPONENTS + 1, own_psf=bool(OWN))
    print(peak_mb() - before, footprint.fit(GALAXIES) / 1e6)


def batch(galaxies: int, side: int, psf: int) -> isolux.Batch:
    """Copies of one galaxy, made without the images in double precision that a batch from arrays passes through."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    v, u = np.mgrid[:psf, :psf] - psf // 2
    image = 100 * np.exp(-np.hypot(x, y / 0.7) / (side / 12))
    one = isolux.Batch.from_arrays(
        image[None], sigma=np.ones((1, side, side)), psf=np.exp(-(u**2 + v**2) / 4)
    )
    same = one.select([0] * galaxies)
    own = one.psf.repeat(galaxies, 1, 1) if OWN else one.psf
    return dataclasses.replace(same, id=tuple(map(str, range(galaxies))), psf=own)


main()
