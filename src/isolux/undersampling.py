"""How far off images may be because the PSF's image has too few samples a width.

A PSF that is shifted, or convolved with a galaxy, is known from its samples only up to half a cycle a sample; what
it has beyond is folded back into its image, and how much that is can only be guessed. Near that limit its transform
T says how much there is to be guessed:

    E = rms of |T| where max(|kx|, |ky|) >= 0.45 cycles a sample > 0.3 > min(|kx|, |ky|).

Compact galaxies drawn with sampled PSFs of full widths from 1 to 2.5 samples, against GalSim, are off by at most E
of their peak, at the worst place in a pixel: E to E / 2 for obscured Airy patterns and for stars off their stamp's
centre, E / 2 to E / 10 or less for Gaussian, Kolmogorov and Moffat PSFs, the guess being made for these. Point
sources are off by twice as much. Noise in the PSF has the same power everywhere, so that of the corners of T, where
a PSF has least, is taken off, and a little more since it scatters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from isolux.types import Images, PerGalaxy

EDGE, MIDDLE, CORNER = 0.45, 0.3, 0.4
SCATTER = 1.3
"""How much of the power of the corners is taken off."""
WORTH_TELLING = 0.02
"""Errors of this share of a galaxy's peak are remarked on."""
STEPS = (3, 5, 10, 15, 20, 30)
"""Per cents that are told of."""


def sampling_error(psf: Images, oversampling: int = 1, includes_pixel: bool = True) -> PerGalaxy:
    """What the errors (galaxy,) of compact galaxies do not surpass, as shares of their peaks.

    Parameters
    ----------
    psf : Tensor
        (galaxy, v, u), each summing to one.
    oversampling : int
        Samples a pixel.
    includes_pixel : bool
        Whether the PSF holds the pixel's response.
    """
    power = torch.fft.rfft2(psf.double()).abs() ** 2
    tall, wide = psf.shape[1:]
    ky = torch.fft.fftfreq(tall, dtype=torch.float64, device=psf.device).abs()[:, None]
    kx = torch.fft.rfftfreq(wide, dtype=torch.float64, device=psf.device)[None, :]
    if not includes_pixel:
        power = power * (torch.sinc(ky * oversampling) * torch.sinc(kx * oversampling)) ** 2
    most, least = torch.maximum(ky, kx), torch.minimum(ky, kx)
    edge, corner = (most >= EDGE) & (least < MIDDLE), least >= CORNER
    if not bool(edge.any() & corner.any()):
        return power.new_zeros(len(psf))
    excess = power[:, edge].mean(1) - SCATTER * power[:, corner].mean(1)
    return excess.clamp_min(0.0).sqrt()


def undersampled(error: PerGalaxy) -> Sequence[bool]:
    """Which galaxies' errors (galaxy,) of :func:`sampling_error` are worth telling of."""
    return (error > WORTH_TELLING).tolist()


def sentence(error: PerGalaxy) -> str:
    """What to say of a batch's errors (galaxy,) of :func:`sampling_error`; empty where there is nothing.

    The error is rounded up to one of ``STEPS``, so that many batches of a survey say the same.
    """
    largest = float(error.max()) if len(error) else 0.0
    if not largest > WORTH_TELLING:
        return ""
    percent = next((step for step in STEPS if 100 * largest <= step), 50)
    return (
        f"the PSF is undersampled: images of compact galaxies may be off by up to {percent} % of their peak; "
        "give an image of it with more samples (psf_oversampling)"
    )
