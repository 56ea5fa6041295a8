"""Stamps to files: an image, sigma, mask and PSF a galaxy, as :func:`isolux.io.stamps.read_stamps` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from isolux.batch import Batch

Cards = Mapping[str, str | int | float]
"""Header cards: keyword -> value."""


def write_stamps(batch: Batch, folder: str | Path, cards: Mapping[str, Cards] | None = None) -> list[Path]:
    """Write the stamps of a batch as ``<id>_image.fits``, ``<id>_sigma.fits``, ``<id>_mask.fits``, ``<id>_psf.fits``.

    Parameters
    ----------
    batch : Batch
        Masked pixels are 1 in the mask.
    folder : str or path
        Made if needed; files that are there are replaced.
    cards : mapping, optional
        By id, what the images' headers should have, such as ``MAGZPT`` and a WCS.

    Returns
    -------
    list of Path
        The images.
    """
    folder = Path(folder)
    written = []
    for k, name in enumerate(batch.id):
        rows, columns = slice(batch.height[k]), slice(batch.width[k])
        planes: dict[str, Any] = {
            "sigma": batch.sigma[k, rows, columns].numpy(),
            "mask": batch.mask[k, rows, columns].numpy().astype(np.uint8),
        }
        if batch.psf is not None:
            planes["psf"] = batch.psf[k if len(batch.psf) > 1 else 0].numpy()
        for kind, pixels in planes.items():
            write_image(folder / f"{name}_{kind}.fits", pixels)
        header: Cards = {"OBJECT": name, **(cards or {}).get(name, {})}
        path = folder / f"{name}_image.fits"
        written.append(write_image(path, batch.image[k, rows, columns].numpy(), header))
    return written


def write_image(path: str | Path, pixels: np.ndarray, cards: Cards | None = None) -> Path:
    """Write one image (y, x) to a FITS file, which is replaced if it is there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels, fits.Header(dict(cards or {}))).writeto(path, overwrite=True)
    return path
