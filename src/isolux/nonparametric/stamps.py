"""What is measured: checked, in units of the noise of a sky pixel, with what cannot be used marked as such."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch

from isolux.errors import InputError
from isolux.types import Images, PerGalaxy, Rows, Tensor

LEAST = 12
"""Rows and columns that a stamp must have."""
THINNEST = 0.05
LARGEST = 1e15
"""Pixels of more than so many times the noise are not believed."""


@dataclasses.dataclass(frozen=True)
class Stamps:
    """Galaxies to be measured.

    Attributes
    ----------
    image : Tensor
        (galaxy, y, x), float32, over the noise of a sky pixel; zero where masked.
    good : Tensor
        (galaxy, y, x), float32: one where a pixel is good, else zero.
    own : Tensor or None
        (galaxy, y, x) of bool: the galaxy's own pixels, where they are known.
    noise : Tensor
        (galaxy,): of a sky pixel, in image units.
    gain : Tensor
        (galaxy,): electrons per noise of a sky pixel; infinite if not known.
    x, y, axis_ratio, angle : Tensor
        (galaxy,): centre in pixels and ellipse, the angle of its major axis from +y in radians.
    psf_fwhm, max_radius : Tensor
        (galaxy,), pixels: NaN where there is none, infinite.
    valid : Tensor
        (galaxy,) of bool: the others are blank images.
    """

    image: Images
    good: Images
    own: Tensor | None
    noise: PerGalaxy
    gain: PerGalaxy
    x: PerGalaxy
    y: PerGalaxy
    axis_ratio: PerGalaxy
    angle: PerGalaxy
    psf_fwhm: PerGalaxy
    max_radius: PerGalaxy
    valid: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def part(self, rows: Rows) -> Stamps:
        """Some of the galaxies, by their numbers."""
        parts: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            whole = getattr(self, field.name)
            parts[field.name] = None if whole is None else whole[rows]
        return Stamps(**parts)


def as_stamps(
    image: Any, mask: Any, own: Any, numbers: dict[str, Any]
) -> tuple[Stamps, dict[str, PerGalaxy]]:
    """Check what the caller gave; what is wrong with one galaxy makes it not valid. And the numbers as columns.

    Raises
    ------
    InputError
        If shapes do not fit together, or stamps are smaller than 12 pixels.
    """
    pixels = _tensor(image)
    if pixels.ndim != 3 or min(pixels.shape[1:]) < LEAST:
        raise InputError(
            "shape of the images", tuple(pixels.shape), f"(galaxy, y, x), y and x of {LEAST} or more"
        )
    bad = torch.zeros_like(pixels, dtype=torch.bool) if mask is None else _like(pixels, mask, "the mask")
    segment = None if own is None else _like(pixels, own, "the segmentation")
    columns = {name: _column(name, value, pixels) for name, value in numbers.items()}
    sigma, x, y, q = (columns[name] for name in ("sigma_sky", "x", "y", "axis_ratio"))
    over = torch.where(torch.isfinite(sigma) & (sigma > 0), sigma, torch.nan)
    scaled = pixels / over[:, None, None]
    good = ~bad & torch.isfinite(scaled) & (scaled.abs() < LARGEST)
    tall, wide = pixels.shape[1:]
    valid = good.flatten(1).any(1) & (q > 0) & (q <= 1) & torch.isfinite(columns["position_angle"])
    valid &= (x >= -0.5) & (x <= wide - 0.5) & (y >= -0.5) & (y <= tall - 0.5)
    good &= valid[:, None, None]
    gain, limit = columns["gain"] * over, columns["max_radius"]
    stamps = Stamps(
        image=torch.where(good, scaled, 0.0).float(),
        good=good.float(),
        own=segment,
        noise=over,
        gain=torch.where(gain > 0, gain, torch.inf),
        x=torch.where(valid, x, 0.5 * wide).clamp(0, wide - 1),
        y=torch.where(valid, y, 0.5 * tall).clamp(0, tall - 1),
        axis_ratio=torch.where(valid, q, 1.0).clamp_min(THINNEST),
        angle=torch.where(valid, columns["position_angle"] * (math.pi / 180), 0.0),
        psf_fwhm=columns["psf_fwhm"],
        max_radius=torch.where(limit > 0, limit, torch.inf),
        valid=valid,
    )
    return stamps, columns


def _tensor(values: Any) -> Tensor:
    if not isinstance(values, torch.Tensor):
        array = np.asarray(np.ma.filled(values, np.nan) if np.ma.isMaskedArray(values) else values)
        values = torch.from_numpy(np.array(array, dtype=np.float64))
    return values.detach().double()


def _like(image: Tensor, values: Any, name: str) -> Tensor:
    """A map of bool of the images' shape: where ``values`` is not zero."""
    found = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values) != 0)
    if found.shape != image.shape:
        raise InputError(f"shape of {name}", tuple(found.shape), f"{tuple(image.shape)}, as the images")
    return (found != 0).to(image.device)


def _column(name: str, value: Any, image: Tensor) -> PerGalaxy:
    """A number a galaxy (galaxy,), from one for each or one for all; None is NaN."""
    found = _tensor(np.nan if value is None else value).to(image.device)
    if found.ndim > 1 or (found.ndim == 1 and len(found) != len(image)):
        raise InputError(f"shape of {name}", tuple(found.shape), f"one number, or {len(image)}, one a galaxy")
    return found.expand(len(image)).clone()
