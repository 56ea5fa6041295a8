"""Image blocks: data, model and residual of a galaxy in one FITS file, in GALFIT's order and header style.

HDU 0 is empty, 1 the data, 2 the model, 3 the residual, the rest the components one by one, all with the WCS.
The model's header has the parameters twice: as GALFIT writes them (``1_XC = '65.43 +/- 0.02'``, pixels from 1,
``[fixed]``, ``{tied}``, ``*in trouble*``) for tools that know GALFIT, and in full precision as ``PARn``, ``VALn``,
``ERRn``, ``KINDn`` in Isolux's own terms (pixels from 0). Masked pixels of data and residual are NaN.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.io.block_header import describe
from isolux.io.cards import card, image_bytes, primary_bytes
from isolux.io.headers import quiet
from isolux.result import Result
from isolux.types import Images

PLANES = ("INPUT", "MODEL", "RESIDUAL")


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """What an image block holds.

    Attributes
    ----------
    data, model, residual : numpy.ndarray
        (y, x).
    components : dict of str to numpy.ndarray
        Image of each component.
    values, errors : dict of str to float
        By full parameter name, in Isolux's terms; NaN where there is none.
    header : astropy.io.fits.Header
        The model's.
    """

    data: np.ndarray
    model: np.ndarray
    residual: np.ndarray
    components: dict[str, np.ndarray]
    values: dict[str, float]
    errors: dict[str, float]
    header: fits.Header


def write_blocks(
    folder: str | Path, batch: Batch, result: Result, model: Images, components: Mapping[str, Images]
) -> list[Path]:
    """Write a block for every galaxy of a batch that was fitted.

    Parameters
    ----------
    folder : str or path
        Made if needed; the files are ``<id>.fits``.
    batch, result : Batch, Result
        The data and what was found.
    model : Tensor
        (galaxy, y, x).
    components : mapping
        Name -> (galaxy, y, x).

    Returns
    -------
    list of Path
    """
    written = []
    for k, status in enumerate(result.status):
        if not status.fitted:
            continue
        rows, columns = batch.height[k], batch.width[k]
        cut = (k, slice(rows), slice(columns))
        data = np.where(batch.mask[cut].cpu().numpy(), np.nan, batch.image[cut].cpu().numpy())
        images = {name: image[cut].cpu().numpy() for name, image in components.items()}
        path = block_path(folder, result.id[k])
        write_block(path, result, k, data, model[cut].cpu().numpy(), images)
        written.append(path)
    return written


def block_path(folder: str | Path, name: str) -> Path:
    """File of a galaxy's block; what cannot stand in a file name becomes ``_``."""
    return Path(folder).expanduser() / (re.sub(r"[^\w.+-]", "_", name) + ".fits")


def write_block(
    path: str | Path, result: Result, galaxy: int, data: Any, model: Any, components: Mapping[str, Any]
) -> None:
    """Write the block of one galaxy; the file appears whole or not at all.

    Parameters
    ----------
    path : str or path
        The file.
    result : Result
        The fit.
    galaxy : int
        Which row of it.
    data, model : array
        (y, x); masked pixels of the data are NaN.
    components : mapping
        Name -> (y, x).
    """
    path = Path(path)
    data, model = np.asarray(data, np.float32), np.asarray(model, np.float32)
    planes = dict(zip(PLANES, (data, model, data - model), strict=True))
    planes |= {name: np.asarray(image, np.float32) for name, image in components.items()}
    shared = _wcs_cards(result.wcs[galaxy] if result.wcs else None) + card("OBJECT", result.id[galaxy])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(primary_bytes())
        for name, image in planes.items():
            more = describe(result, galaxy, model.shape) if name == "MODEL" else ""
            file.write(image_bytes(card("EXTNAME", name) + shared + more, image))
    os.replace(temporary, path)


def _wcs_cards(wcs: Any) -> str:
    if wcs is None:
        return ""
    with quiet():
        return str(wcs.to_header(relax=True).tostring(endcard=False, padding=False))


def read_block(path: str | Path) -> Block:
    """Read a block back.

    Raises
    ------
    InputError
        If the file is not one.
    """
    try:
        opened = fits.open(path, memmap=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error}") from None
    with opened:
        if len(opened) < 4 or "PAR1" not in opened[2].header:
            raise InputError(f"{path}: not an image block of Isolux")
        images = [np.asarray(hdu.data) for hdu in opened[1:]]
        names = [str(hdu.header["EXTNAME"]) for hdu in opened[4:]]
        header = opened[2].header
    parameters = [str(header[key]) for key in header if re.fullmatch(r"PAR\d+", key)]
    numbers = range(1, len(parameters) + 1)
    values, errors = (
        {name: float(header.get(f"{kind}{k}", math.nan)) for k, name in zip(numbers, parameters, strict=True)}
        for kind in ("VAL", "ERR")
    )
    return Block(
        images[0], images[1], images[2], dict(zip(names, images[3:], strict=True)), values, errors, header
    )
