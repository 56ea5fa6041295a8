"""PSFs from files: an image of a star, a PSFEx file, or images of stars at several positions.

psf = read_psf("psf.fits", oversampling=2)
psf = read_psf("night1.psf")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from isolux.errors import InputError
from isolux.io.fits import read_image
from isolux.io.headers import IMAGES, quiet
from isolux.io.patterns import split_hdu
from isolux.io.psfex_table import PLACES, is_psfex, read_psfex
from isolux.io.write_psfex import write_psfex
from isolux.psf_model import PsfModel, monomials, terms

__all__ = ["read_psf", "write_psfex"]

OFF_CENTRE = 0.5
"""Samples by which an odd-sized PSF may be off its middle before it is moved there."""
STARS_A_TERM = 2
"""Images a monomial, at least, for a polynomial through images at positions."""
HIGHEST = 3
"""Its degree at most."""


def read_psf(
    path: str | Path,
    *,
    oversampling: int | None = None,
    includes_pixel: bool = True,
    hdu: int | str | None = None,
    positions: Any = None,
) -> PsfModel:
    """Read a PSF.

    Parameters
    ----------
    path : str or path
        A FITS file with an image, PSFEx's table, or a cube of images; or a ``.npy`` file with an image or cube.
    oversampling : int, optional
        Samples a pixel: of an image those that it has, 1 where left out; a PSFEx file is sampled so.
    includes_pixel : bool
        Whether an image has the pixel's response in it, as that of a star has; PSFEx's always have.
    hdu : int or str, optional
        Number or name of the HDU.
    positions : array, optional
        (image, 2): where in the field each image of a cube is from, 0-based pixels; where left out, a table in the
        same file with columns x and y (0-based) or X_IMAGE and Y_IMAGE (1-based).

    Returns
    -------
    PsfModel
        Images of even size are given an odd one, with the centre in the middle; ``remarks`` says so.

    Raises
    ------
    InputError
        If the file is missing or holds no PSF, values are not finite (with their number), the sum is not positive,
        or a cube has no positions.
    """
    if oversampling is not None and oversampling < 1:
        raise InputError("oversampling of the PSF", oversampling, "1, 2, 3, ...")
    text, named = split_hdu(path)
    wanted = named if hdu is None else hdu
    fine = oversampling or 1
    if Path(text).suffix == ".npy":
        return _from_array(_npy(Path(text)), positions, str(path), fine, includes_pixel)
    with quiet():
        try:
            with fits.open(text, memmap=False) as hdus:
                psfex = any(is_psfex(one) for one in hdus)
                cube = next(
                    (one.data for one in hdus if isinstance(one, IMAGES) and len(one.shape) == 3), None
                )
                cube = None if cube is None else np.array(cube, dtype=np.float64)
                places = _places(hdus)
        except FileNotFoundError:
            raise InputError(f"{text}: no such file") from None
        except Exception as error:
            raise InputError(f"{text}: cannot be read, {error}") from None
    if psfex:
        number = int(wanted) if wanted is not None and str(wanted).isdecimal() else None
        return read_psfex(text, oversampling=oversampling, hdu=number)
    if cube is not None and len(cube) > 1 and wanted is None:
        where = places if positions is None else positions
        return _from_array(cube, where, str(path), fine, includes_pixel)
    return _from_array(read_image(text, wanted).pixels, None, str(path), fine, includes_pixel)


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read, {error}") from None


def _places(hdus: fits.HDUList) -> np.ndarray | None:
    """Positions (image, 2), 0-based, from the first table that has them."""
    for hdu in hdus:
        if not isinstance(hdu, fits.BinTableHDU):
            continue
        columns = {name.upper(): name for name in hdu.columns.names}
        for across, down in PLACES:
            if across in columns and down in columns:
                places = np.stack([hdu.data[columns[across]], hdu.data[columns[down]]], axis=1).astype(
                    np.float64
                )
                return places - (0 if across == "X" else 1)
    return None


def _from_array(pixels: np.ndarray, positions: Any, source: str, fine: int, includes_pixel: bool) -> PsfModel:
    images = np.asarray(pixels, dtype=np.float64)
    images = images[None] if images.ndim == 2 else images
    if images.ndim != 3 or not images.size:
        raise InputError(
            f"{source}: shape of the PSF", np.shape(pixels), "(v, u), or (image, v, u) with positions"
        )
    bad = int(np.count_nonzero(~np.isfinite(images)))
    if bad:
        raise InputError(f"{source}: {bad} of {images.size} values of the PSF are not finite")
    sums = images.sum(axis=(1, 2))
    if not (sums > 0).all():
        raise InputError(f"{source}: sum of the PSF", float(sums.min()), "above 0")
    tidy, remarks = _centred(images / sums[:, None, None], source)
    options: dict[str, Any] = {
        "oversampling": fine,
        "includes_pixel": includes_pixel,
        "source": source,
        "remarks": remarks,
    }
    if len(tidy) == 1:
        return PsfModel(tidy, **options)
    places = None if positions is None else np.asarray(positions, dtype=np.float64)
    if places is None or places.shape != (len(tidy), 2) or not np.isfinite(places).all():
        found = None if places is None else places.shape
        raise InputError(f"{source}: positions of {len(tidy)} PSF images", found, f"({len(tidy)}, 2), finite")
    return _polynomial(tidy, places, options)


def _centred(images: np.ndarray, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Images with odd sides and their centres in the middle, and a remark where they were moved."""
    tall, wide = images.shape[1:]
    odd = np.pad(images, ((0, 0), (0, 1 - tall % 2), (0, 1 - wide % 2)))
    middle = odd.mean(axis=0)
    v, u = _peak_centre(middle)
    off = v - middle.shape[0] // 2, u - middle.shape[1] // 2
    even = tall % 2 == 0 or wide % 2 == 0
    if not even and max(map(abs, off)) < OFF_CENTRE:
        return odd, ()
    moved = np.stack([_moved(image, -off[0], -off[1]) for image in odd])
    why = f"has an even size ({tall} x {wide})" if even else "is not centred"
    return moved, (
        f"{source}: the PSF {why}; it is moved by ({-off[1]:.2f}, {-off[0]:.2f}) samples to the middle",
    )


def _peak_centre(image: np.ndarray) -> tuple[float, float]:
    """Centre (v, u) of an image under a Gaussian as wide as its core, which starts at the peak."""
    width = max(1.0, 2 / 2.3548 * np.sqrt(np.count_nonzero(image > image.max() / 2) / np.pi))
    v, u = map(float, np.unravel_index(np.argmax(image), image.shape))
    rows, columns = np.indices(image.shape)
    for _ in range(100):
        weight = image * np.exp(-((rows - v) ** 2 + (columns - u) ** 2) / (2 * width**2))
        total = weight.sum()
        dv, du = (weight * (rows - v)).sum() / total, (weight * (columns - u)).sum() / total
        v, u = v + 2 * dv, u + 2 * du
        if abs(dv) + abs(du) < 1e-8:
            break
    return v, u


def _moved(image: np.ndarray, down: float, across: float) -> np.ndarray:
    """An image moved by so many samples: whole ones by themselves, the rest by its Fourier series; of sum one."""
    whole = round(down), round(across)
    rolled = np.roll(image, whole, axis=(0, 1))
    # What comes in at the other side is empty sky.
    for axis, steps in enumerate(whole):
        edge = np.moveaxis(rolled, axis, 0)
        edge[: max(steps, 0)] = 0
        edge[len(edge) + min(steps, 0) :] = 0
    phase = np.exp(-2j * np.pi * (down - whole[0]) * np.fft.fftfreq(image.shape[0]))[:, None]
    phase = phase * np.exp(-2j * np.pi * (across - whole[1]) * np.fft.fftfreq(image.shape[1]))
    moved = np.fft.ifft2(np.fft.fft2(rolled) * phase).real
    return moved / moved.sum()


def _polynomial(images: np.ndarray, places: np.ndarray, options: dict[str, Any]) -> PsfModel:
    """A polynomial in position through the images, by least squares."""
    low, high = places.min(axis=0), places.max(axis=0)
    offset, scale = (low + high) / 2, np.maximum((high - low) / 2, 1.0)
    degree = max(k for k in range(HIGHEST + 1) if k == 0 or len(images) >= STARS_A_TERM * terms(k))
    while True:
        x, y = ((places - offset) / scale).T
        powers = monomials(x, y, degree)
        if degree == 0 or np.linalg.matrix_rank(powers) == powers.shape[1]:
            break
        degree -= 1
    basis = np.linalg.lstsq(powers, images.reshape(len(images), -1), rcond=None)[0]
    basis = basis.reshape(-1, *images.shape[1:])
    left = np.abs(np.tensordot(powers, basis, axes=1) - images).max() / images.max()
    note = f"polynomial of degree {degree} through {len(images)} PSF images, off by {left:.2g} of the peak at most"
    options["remarks"] = (*options["remarks"], note)
    return PsfModel(basis, degree, tuple(offset), tuple(scale), stars=len(images), **options)
