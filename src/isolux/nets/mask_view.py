"""Images as the mask network sees them: in units of the noise, stretched, at two resolutions, with what is known.

The light above the sky over the noise, both measured in the stamp, enters as asinh(light), and twice more smoothed by
Gaussians, over the noise that is then left: so faint wings are seen as well as peaks are. Masked pixels are zero, and
are said to be masked. Fluxes, zero points and pixel scales drop out; the PSF's area in pixels enters where it is known.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional

from isolux.batch import Batch
from isolux.nets.frame import DIMMEST, psf_area
from isolux.source import sky_level
from isolux.types import Images, PerGalaxy, Tensor

SMOOTHINGS = (1.5, 5.0)
"""Sigmas in pixels."""
INPUTS = 2 + len(SMOOTHINGS)
LEAST = 96
"""Side of the smallest images of the training."""
STRETCH = 3.0
"""What asinh is divided by."""


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """Images in units of their noise.

    Attributes
    ----------
    image, good : Tensor
        (image, y, x): zero where masked; one where good.
    width : Tensor
        (image,): pixels in the PSF's area, NaN where it is not known.
    """

    image: Images
    good: Images
    width: PerGalaxy

    @classmethod
    def of(cls, batch: Batch, width: PerGalaxy | None = None) -> View:
        """From a batch; the PSF's area can be given for it."""
        sky, noise = sky_level(batch)
        good = (~batch.mask).float()
        light = (batch.image.double() - sky[:, None, None]) * good
        unit = torch.maximum(noise, DIMMEST * torch.nan_to_num(light).abs().amax((1, 2))).clamp_min(1e-30)
        light = light / unit[:, None, None]
        light = torch.nan_to_num(light.float(), posinf=0.0, neginf=0.0)
        return cls(light, good, psf_area(batch) if width is None else width)

    def padded(self, multiple: int) -> View:
        """With bad pixels above and to the right, so that sides are no less than :data:`LEAST` and can be divided."""
        up, right = (max(LEAST - n, 0) for n in self.image.shape[1:])
        tall, wide = self.image.shape[1] + up, self.image.shape[2] + right
        room = (0, right + -wide % multiple, 0, up + -tall % multiple)
        if not any(room):
            return self
        return View(functional.pad(self.image, room), functional.pad(self.good, room), self.width)

    def inputs(self) -> Tensor:
        """(image, INPUTS, y, x)."""
        with torch.autocast(self.image.device.type, enabled=False):
            shown = [self.image, *(smoothed(self.image, self.good, sigma) for sigma in SMOOTHINGS)]
        return torch.stack([*(torch.asinh(light) / STRETCH for light in shown), self.good], 1)

    def constants(self) -> Tensor:
        """(image, 2): half the logarithm of the PSF's area, and whether it is known."""
        known = torch.isfinite(self.width)
        size = torch.where(known, 0.5 * torch.log(torch.where(known, self.width, 1.0).clamp_min(0.1)), 0.0)
        return torch.stack([size, known.to(size.dtype)], 1).float()


def smoothed(image: Images, good: Images, sigma: float) -> Images:
    """Images smoothed by a Gaussian, in units of the noise that is left: sum(K I) / sqrt(sum(K^2)) over good pixels."""
    half = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-half, half + 1, device=image.device) / sigma) ** 2)
    light = _separably(image, kernel)
    return light / _separably(good, kernel**2).clamp_min(1e-3).sqrt()


def _separably(image: Images, kernel: Tensor) -> Images:
    """Convolved along both axes, as products with banded matrices, which a CPU does fastest."""
    rows, columns = (_band(n, kernel) for n in image.shape[1:])
    return rows @ image @ columns


def _band(size: int, kernel: Tensor) -> Tensor:
    """(size, size): the kernel about the diagonal."""
    half = kernel.shape[0] // 2
    axis = torch.arange(size, device=kernel.device)
    offset = axis[:, None] - axis[None] + half
    return torch.where((offset >= 0) & (offset <= 2 * half), kernel[offset.clamp(0, 2 * half)], 0.0)
