"""Maps of a field as FITS files on the grid of its image, with its WCS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from isolux.field.image import FieldImage
from isolux.io.safe_files import put_whole


def write_map(path: str | Path, pixels: np.ndarray, field: FieldImage, what: str) -> Path:
    """Write a map of a field.

    Parameters
    ----------
    path : str or path
        The file; what is there is replaced.
    pixels : numpy.ndarray
        (y, x).
    field : FieldImage
        Its WCS, zero point and band go into the header.
    what : str
        What the map shows, for the header.

    Returns
    -------
    Path
        The file.
    """
    header = fits.Header()
    if field.wcs is not None:
        header.update(field.wcs.to_header(relax=True))
    header["MAGZERO"] = (field.zero_point, "AB magnitude of one image unit")
    header["CONTENT"] = (what[:60], "what the pixels are")
    if field.band:
        header["FILTER"] = field.band[:60]
    target = Path(path)
    if pixels.dtype.kind == "i":
        packed = fits.CompImageHDU(pixels, header, compression_type="RICE_1")
        hdus = fits.HDUList([fits.PrimaryHDU(), packed])
    else:
        hdus = fits.HDUList([fits.PrimaryHDU(pixels.astype(np.float32), header)])
    with put_whole(target) as temporary:
        hdus.writeto(temporary)
    return target
