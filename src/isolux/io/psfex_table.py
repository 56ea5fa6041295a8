"""Files of PSFEx: a PSF as images for the monomials of a polynomial in position, sampled every ``PSF_SAMP`` pixels.

Between its samples PSFEx interpolates with a Lanczos function (Bertin 2011, ASP Conf. Ser. 442, 435; in its source
``vignet_resample``), five samples wide in version 3.21. The same is done here, once, onto a grid that is a whole
number of times finer than the image's pixels. Positions are 1-based in the files.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from isolux.errors import InputError
from isolux.io.headers import card_value, quiet
from isolux.psf_model import PsfModel, terms

WIDTH = 5
"""Samples on each side that the interpolation looks at."""
PLACES = (("X", "Y"), ("X_IMAGE", "Y_IMAGE"), ("XWIN_IMAGE", "YWIN_IMAGE"), ("XPSF_IMAGE", "YPSF_IMAGE"))
"""Names of the position's coordinates."""


def is_psfex(hdu: Any) -> bool:
    """Whether an HDU is PSFEx's table."""
    return isinstance(hdu, fits.BinTableHDU) and "PSF_MASK" in hdu.columns.names and "PSF_SAMP" in hdu.header


def read_psfex(path: str | Path, *, oversampling: int | None = None, hdu: int | None = None) -> PsfModel:
    """Read a PSFEx file.

    Parameters
    ----------
    path : str or path
        The file.
    oversampling : int, optional
        Samples a pixel; where left out as many as it takes for those of the file.
    hdu : int, optional
        Which table, where there is one for each detector; the first where left out.

    Returns
    -------
    PsfModel

    Raises
    ------
    InputError
        If the file is missing or no PSFEx file, the PSF depends on anything but the position, coefficients are not
        finite (with their number), or the PSF has no flux.
    """
    with quiet():
        try:
            with fits.open(path, memmap=False) as hdus:
                tables = [k for k, one in enumerate(hdus) if is_psfex(one)]
                wanted = hdu if hdu is not None else (tables[0] if tables else None)
                if wanted not in tables:
                    raise InputError(f"{path}: no PSFEx table", hdu, f"HDUs {tables}" if tables else None)
                header, mask = (
                    hdus[wanted].header,
                    np.array(hdus[wanted].data["PSF_MASK"][0], dtype=np.float64),
                )
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: cannot be read as a PSFEx file, {error}") from None
    basis = mask if mask.ndim == 3 else mask[None]
    degree, offset, scale = _polynomial(header, str(path))
    if basis.ndim != 3 or len(basis) != terms(degree):
        raise InputError(
            f"{path}: images of a PSF of degree {degree}", basis.shape, f"({terms(degree)}, v, u)"
        )
    bad = int(np.count_nonzero(~np.isfinite(basis)))
    if bad:
        raise InputError(f"{path}: {bad} of {basis.size} coefficients of the PSF are not finite")
    step = float(card_value(header, "PSF_SAMP", 1.0))
    if not step > 0 or not math.isfinite(step):
        raise InputError(f"{path}: PSF_SAMP", step, "above 0")
    fine = oversampling or max(1, math.ceil(1 / step - 0.05))
    if fine < 1:
        raise InputError("oversampling of the PSF", oversampling, "1, 2, 3, ...")
    stars = int(card_value(header, "ACCEPTED", 0) or 0)
    return PsfModel(resampled(basis, 1 / (fine * step)), degree, offset, scale, fine, True, stars, str(path))


def _polynomial(header: fits.Header, path: str) -> tuple[int, tuple[float, float], tuple[float, float]]:
    """Degree, and origin (0-based) and scale of the position."""
    axes = int(card_value(header, "POLNAXIS", 0) or 0)
    degree = int(card_value(header, "POLDEG1", 0) or 0)
    if axes == 0 or degree == 0:
        return 0, (0.0, 0.0), (1.0, 1.0)
    names = tuple(str(card_value(header, f"POLNAME{k}", "")).strip().upper() for k in range(1, axes + 1))
    groups = int(card_value(header, "POLNGRP", 1) or 1)
    if names not in PLACES or groups != 1:
        raise InputError(
            f"{path}: the PSF varies with {', '.join(names)} in {groups} groups", None, "X_IMAGE, Y_IMAGE"
        )
    zero = [float(card_value(header, f"POLZERO{k}", 0.0)) for k in (1, 2)]
    scale = [float(card_value(header, f"POLSCAL{k}", 1.0)) for k in (1, 2)]
    return degree, (zero[0] - 1, zero[1] - 1), (scale[0], scale[1])


def resampled(basis: np.ndarray, step: float) -> np.ndarray:
    """Images (term, v, u), at every ``step`` samples from the middle, with odd sides."""
    matrices = []
    for count in basis.shape[1:]:
        middle = count // 2
        reach = math.floor(min(middle, count - 1 - middle) / step + 1e-9)
        places = np.arange(-reach, reach + 1) * step
        distance = places[:, None] - (np.arange(count) - middle)
        kernel = np.where(np.abs(distance) < WIDTH, np.sinc(distance) * np.sinc(distance / WIDTH), 0)
        matrices.append(kernel)
    return np.einsum("yv,kvu,xu->kyx", matrices[0], basis, matrices[1])
