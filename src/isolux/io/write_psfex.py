"""PSFs that vary over a field to files as PSFEx writes them (Bertin 2011, ASP Conf. Ser. 442, 435)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from isolux.psf_model import PsfModel


def write_psfex(psf: PsfModel, path: str | Path) -> Path:
    """Write a PSF to a ``.psf`` file, which is replaced if it is there.

    Positions in the file count from 1, as PSFEx's do; its samples are float32.
    """
    path = Path(path)
    rows, columns = psf.size
    cards: dict[str, str | int | float] = {
        "LOADED": psf.stars,
        "ACCEPTED": psf.stars,
        "CHI2": 1.0,
        "POLNAXIS": 2,
        "POLGRP1": 1,
        "POLNAME1": "X_IMAGE",
        "POLZERO1": psf.offset[0] + 1,
        "POLSCAL1": psf.scale[0],
        "POLGRP2": 1,
        "POLNAME2": "Y_IMAGE",
        "POLZERO2": psf.offset[1] + 1,
        "POLSCAL2": psf.scale[1],
        "POLNGRP": 1,
        "POLDEG1": psf.degree,
        "PSF_FWHM": psf.fwhm,
        "PSF_SAMP": 1 / psf.oversampling,
        "PSFNAXIS": 3,
        "PSFAXIS1": columns,
        "PSFAXIS2": rows,
        "PSFAXIS3": len(psf.basis),
    }
    basis = (psf.basis / psf.basis[0].sum()).astype(np.float32)
    column = fits.Column(
        "PSF_MASK", f"{basis.size}E", dim=f"({columns},{rows},{len(basis)})", array=basis[None]
    )
    table = fits.BinTableHDU.from_columns([column], name="PSF_DATA")
    table.header.update(cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path
