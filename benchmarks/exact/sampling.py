"""How fine the image of a PSF must be: errors of Isolux by the width of the PSF and the oversampling of its image."""

from dataclasses import replace

import numpy as np
import tables
import torch

from exact import ours, truth
from exact.cases import COMPARED_SIZE, PLACES, SWEPT, Case
from exact.psfs import named

WIDTHS, FINER = (1.0, 1.5, 2.0, 2.5, 3.3, 6.0), (1, 2, 3, 4)


def table() -> str:
    """Largest error of a galaxy and of a point source, the worst of three places."""
    lines = []
    for fwhm in WIDTHS:
        cells = []
        for k in FINER:
            pair = [max(error(fwhm, k, place) for place in PLACES) for error in (of_galaxy, of_point)]
            cells.append(" / ".join(f"{v:.0e}" for v in pair))
        lines.append([f"{fwhm:g}", *cells])
    return tables.markdown(["FWHM, pixels", *(f"oversampling {k}" for k in FINER)], lines)


def of_galaxy(fwhm: float, oversampling: int, place: tuple[float, float]) -> float:
    psf = named("moffat", fwhm, oversampling)
    case = Case("", replace(SWEPT, x=place[0], y=place[1]), psf, COMPARED_SIZE)
    return largest(ours.image(case, torch.float32), truth.truth(case))


def of_point(fwhm: float, oversampling: int, place: tuple[float, float]) -> float:
    psf, axis = named("moffat", fwhm, oversampling), np.arange(COMPARED_SIZE)
    true = psf.pixel_averages(axis - place[0], axis - place[1])
    return largest(ours.point(*place, psf, COMPARED_SIZE, torch.float32), true)


def largest(image: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(image - true).max() / true.max())
