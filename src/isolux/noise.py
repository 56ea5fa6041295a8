"""Correlated noise: its correlation function, checked, measured and drawn.

Images that were drizzled or resampled have noise that neighbouring pixels share. With n = noise / sigma,

    rho(dy, dx) = mean of n(y, x) n(y + dy, x + dx),      rho(0, 0) = 1,      rho(-d) = rho(d),

is given as an image of odd size whose middle is no shift. It can be the correlation of some noise only if its
Fourier transform, the power at each frequency, is nowhere negative (Wiener and Khinchin). Noise is drawn by
filtering white noise with the root of the power on a torus so large that no two pixels of the stamp meet across
its edge (circulant embedding: Dietrich & Newsam 1997, SIAM J. Sci. Comput. 18, 1088), which makes its correlation
exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from isolux.errors import InputError
from isolux.types import Images, Tensor

NEGATIVE = 1e-6
"""Share of negative power that rounding may leave."""
UNEVEN = 1e-4
"""How far the middle may be from one, and the function from its point reflection: what text files round off."""
FINER = 4
"""Frequencies at which power is looked at, in units of the function's own number."""
PROJECTIONS = 100


def check_correlation(correlation: Any) -> np.ndarray:
    """A noise correlation function that can be used.

    Parameters
    ----------
    correlation : array
        (v, u), odd numbers both: correlation of pixels that are so far apart, no shift in the middle.

    Returns
    -------
    numpy.ndarray
        (v, u), float64, exactly symmetric and one in the middle.

    Raises
    ------
    InputError
        If it is not of odd size, finite, one in the middle, symmetric and positive definite.
    """
    fault = correlation_fault(correlation)
    if fault:
        raise InputError(fault)
    return _tidy(np.asarray(correlation, dtype=np.float64))


def correlation_fault(correlation: Any) -> str:
    """Why a correlation function cannot be used, in a sentence with the value and what is allowed; empty if it can."""
    rho = np.asarray(correlation, dtype=np.float64, order="C")
    return _fault(rho.tobytes(), rho.shape)


@lru_cache(maxsize=256)
def _fault(content: bytes, shape: tuple[int, ...]) -> str:
    """The fault of a function that many galaxies may share, looked for once."""
    what = "noise correlation"
    rho = np.frombuffer(content).reshape(shape)
    if rho.ndim != 2 or rho.shape[0] % 2 == 0 or rho.shape[1] % 2 == 0:
        return f"{what} has shape {rho.shape}; allowed: (rows, columns), both odd, no shift in the middle"
    if not np.isfinite(rho).all():
        return f"{what} has {int((~np.isfinite(rho)).sum())} values that are not finite"
    middle = rho[rho.shape[0] // 2, rho.shape[1] // 2]
    if abs(middle - 1) > UNEVEN:
        return f"{what} is {middle:.6g} in the middle; allowed: 1 (divide a covariance by its middle)"
    uneven = float(np.abs(rho - rho[::-1, ::-1]).max())
    if uneven > UNEVEN:
        return (
            f"{what} differs by {uneven:.2g} from its point reflection; allowed: rho(-dy, -dx) = rho(dy, dx)"
        )
    lowest, share = negative_power(rho)
    if share > NEGATIVE:
        return (
            f"{what} is not positive definite: {100 * share:.2g} % of its power is negative, at worst "
            f"{lowest:.2g} of the mean; allowed: none. isolux.noise.nearest_positive makes the nearest one that is"
        )
    return ""


def negative_power(correlation: np.ndarray) -> tuple[float, float]:
    """Lowest power over all frequencies in units of the mean, and the share of power that is negative."""
    power = spectrum(torch.tensor(correlation), [FINER * n for n in correlation.shape])
    return float(power.min()), float(-power.clamp_max(0).sum() / power.abs().sum())


def nearest_positive(correlation: Any) -> np.ndarray:
    """A positive definite correlation function near a given one.

    Negative power and what leaves the function's extent are cut by turns; the little negative power that is left
    is made good by white noise.

    Parameters
    ----------
    correlation : array
        (v, u), odd numbers both, positive in the middle.

    Returns
    -------
    numpy.ndarray
        (v, u), one in the middle, of non-negative power. Compare it with what was given before it is used.
    """
    rho = np.asarray(correlation, dtype=np.float64)
    if rho.ndim != 2 or not (rho.shape[0] % 2 and rho.shape[1] % 2) or not np.isfinite(rho).all():
        raise InputError("noise correlation", rho.shape, "(rows, columns), both odd, all finite")
    rows, columns = rho.shape
    size = [FINER * rows, FINER * columns]
    near = torch.as_tensor(_tidy(rho))
    for _ in range(PROJECTIONS):
        power = spectrum(near, size)
        if float(power.min()) >= 0:
            break
        kept = torch.fft.irfft2(power.clamp_min(0), s=size)
        near = torch.roll(kept, (rows // 2, columns // 2), (0, 1))[:rows, :columns]
        near = near / near[rows // 2, columns // 2]
    near[rows // 2, columns // 2] += max(0.0, -float(spectrum(near, size).min()))
    return _tidy(near.numpy())


def noise_correlation(images: Any, mask: Any = None, *, sigma: Any = None, reach: int = 10) -> np.ndarray:
    """Measure the correlation of noise in blank sky.

    Parameters
    ----------
    images : array or list of arrays
        (y, x) or several of them, of any sizes: sky without sources, or with the sources masked.
    mask : array or list of arrays, optional
        True or non-zero where a pixel is not blank sky.
    sigma : array or list of arrays, optional
        Standard deviation of each pixel, where it differs within an image.
    reach : int
        Shifts along rows and columns at most. A few more than over which the noise is correlated.

    Returns
    -------
    numpy.ndarray
        (2 reach + 1, 2 reach + 1). With N good pixels it is uncertain by about 1 / sqrt(N). The measured function
        is made positive definite by :func:`nearest_positive`, which changes it by less than that.

    Raises
    ------
    InputError
        If images and masks do not match, or fewer than ten pixels for each shift are good.
    """
    if reach < 1:
        raise InputError("reach of the noise correlation in pixels", reach, "1 or more")
    skies = _several(images)
    masks = [None] * len(skies) if mask is None else _several(mask)
    sigmas = [None] * len(skies) if sigma is None else _several(sigma)
    if not len(skies) == len(masks) == len(sigmas):
        raise InputError(f"{len(skies)} images but {len(masks)} masks and {len(sigmas)} sigmas")
    pairs = [_blank(*parts) for parts in zip(skies, masks, sigmas, strict=True)]
    count = sum(float(good.sum()) for _, good in pairs)
    shifts = (2 * reach + 1) ** 2 // 2 + 1
    if count < 10 * shifts:
        raise InputError(
            f"{count:.0f} pixels of blank sky for {shifts} shifts", reach, "a smaller reach, or more sky"
        )
    mean = sum(float(sky.sum()) for sky, _ in pairs) / count
    products, numbers = torch.zeros(2, 2 * reach + 1, 2 * reach + 1, dtype=torch.float64)
    for sky, good in pairs:
        products += _shifted_products((sky - mean) * good, reach)
        numbers += _shifted_products(good, reach)
    rho = products / numbers.clamp_min(1.0)
    return nearest_positive((rho / rho[reach, reach]).numpy())


def correlated_noise(
    correlation: Tensor, shape: tuple[int, int], count: int, generator: torch.Generator | None = None
) -> Images:
    """Noise of unit standard deviation with a given correlation.

    Parameters
    ----------
    correlation : Tensor
        (v, u), as :func:`check_correlation` gives it.
    shape : (int, int)
        Rows and columns.
    count : int
        Number of images.
    generator : torch.Generator, optional
        Of random numbers, on the CPU.

    Returns
    -------
    Tensor
        (count, y, x), in the precision and on the device of ``correlation``.
    """
    size = torus(correlation.shape[-2:], shape)
    white = torch.randn(count, *size, generator=generator, dtype=correlation.dtype).to(correlation.device)
    root = spectrum(correlation, size).clamp_min(0).sqrt()
    return torch.fft.irfft2(torch.fft.rfft2(white) * root, s=size)[:, : shape[0], : shape[1]]


def torus(kernel: Sequence[int], shape: Sequence[int]) -> list[int]:
    """Sides of a torus on which no two pixels of a stamp meet across the edge: stamp and reach, rounded up."""
    return [_fast(max(n + k // 2, k)) for k, n in zip(kernel, shape, strict=True)]


def wrapped(correlation: Tensor, size: Sequence[int]) -> Tensor:
    """Correlation functions (..., v, u) on a torus (..., y, x), no shift in the corner."""
    rows, columns = correlation.shape[-2:]
    full = correlation.new_zeros(*correlation.shape[:-2], *size)
    full[..., :rows, :columns] = correlation
    return torch.roll(full, (-(rows // 2), -(columns // 2)), (-2, -1))


def spectrum(correlation: Tensor, size: Sequence[int]) -> Tensor:
    """Power of correlation functions (..., v, u) at the frequencies of a torus, as by rfft2."""
    return torch.fft.rfft2(wrapped(correlation, size)).real


def _fast(side: int) -> int:
    """The next number whose only prime factors are 2, 3 and 5."""
    while True:
        rest = side
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return side
        side += 1


def _tidy(rho: np.ndarray) -> np.ndarray:
    even = (rho + rho[::-1, ::-1]) / 2
    return even / even[rho.shape[0] // 2, rho.shape[1] // 2]


def _several(arrays: Any) -> list[Any]:
    if isinstance(arrays, list | tuple):
        return list(arrays)
    return [arrays] if np.ndim(arrays) == 2 else list(arrays)


def _blank(image: Any, mask: Any, sigma: Any) -> tuple[Tensor, Tensor]:
    """Sky in units of sigma, and where it is good; both (y, x), zero where not."""
    sky = np.asarray(image, dtype=np.float64)
    if sky.ndim != 2:
        raise InputError("image of blank sky has shape", sky.shape, "(rows, columns)")
    with np.errstate(invalid="ignore", divide="ignore"):
        sky = sky if sigma is None else sky / np.asarray(sigma, dtype=np.float64)
    good = np.isfinite(sky)
    if mask is not None:
        if np.shape(mask) != sky.shape:
            raise InputError(f"the mask has shape {np.shape(mask)} but the image has {sky.shape}")
        good &= np.asarray(mask) == 0
    return torch.as_tensor(np.where(good, sky, 0.0)), torch.as_tensor(good).double()


def _shifted_products(image: Tensor, reach: int) -> Tensor:
    """Sums (2 reach + 1, 2 reach + 1) of the products of an image with itself, shifted."""
    size = [_fast(n + reach) for n in image.shape]
    power = torch.fft.rfft2(image, s=size).abs() ** 2
    products = torch.roll(torch.fft.irfft2(power, s=size), (reach, reach), (0, 1))
    return products[: 2 * reach + 1, : 2 * reach + 1]
