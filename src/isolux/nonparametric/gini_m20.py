r"""How unequally the light is shared among a galaxy's pixels, and how far out the brightest of them are.

The pixels are those connected to the brightest one at which the image, smoothed by a Gaussian of a fifth of the
elliptical Petrosian radius, is at least as bright as it is on the mean at that radius. With n of them, sorted by
brightness (Lotz et al. 2004, equations 6 to 9; Rodriguez-Gomez et al. 2019, section 4.2),

    G = sum (2 i - n - 1) |I_i| / [(n - 1) sum |I_i|]
    M20 = log10( sum of M_i over the brightest that hold 20 % of the light / sum of all M_i),   M_i = I_i r_i^2

with r_i the distance from the centre of light. Masked pixels have the mean brightness of their ellipse.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from isolux.types import Images, PerGalaxy, Points, Tensor

SMOOTHING = 0.2
"""Petrosian radii."""
TRUNCATE = 4.0
"""Standard deviations at which the Gaussian ends."""
LOOKS = 4
"""Steps of growing a segment between looks whether it still grows."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """Pixels (galaxy, y, x) of bool that are above a threshold and connected, and whether there were others."""

    pixels: Tensor
    split: Tensor


def gaussian(image: Images, sigma: PerGalaxy) -> Images:
    """The image under a Gaussian of ``sigma`` (galaxy,) pixels, with zeros around it."""
    rows, columns = (_gaussian(n, sigma, image.dtype) for n in image.shape[1:])
    return rows @ image @ columns


def _gaussian(length: int, sigma: PerGalaxy, dtype: torch.dtype) -> Tensor:
    """Weights (galaxy, to, from) along one axis: sampled at pixels, cut off, of sum one without edges."""
    reach = torch.arange(length, device=sigma.device)
    ends = torch.floor(TRUNCATE * sigma + 0.5)[:, None]
    bell = torch.exp(-0.5 * (reach / sigma[:, None]) ** 2) * (reach <= ends)
    bell = (bell / (2 * bell.sum(1, keepdim=True) - 1)).to(dtype)
    return bell.index_select(1, (reach[:, None] - reach).abs().flatten()).unflatten(1, (length, length))


def segment(image: Images, threshold: PerGalaxy, radius: Points, near: PerGalaxy) -> Segment:
    """The pixels of at least ``threshold`` (galaxy,) that touch, by sides or corners, a chain to the brightest.

    Parameters
    ----------
    image : Tensor
        (galaxy, y, x).
    threshold : Tensor
        (galaxy,).
    radius : Tensor
        (galaxy, point): distance of each pixel from the centre.
    near : Tensor
        (galaxy,): radius within which the brightest pixel is looked for.
    """
    above = image >= threshold.to(image.dtype)[:, None, None]
    candidates = image.flatten(1).masked_fill(radius > near[:, None], -torch.inf)
    brightest = candidates.argmax(1, keepdim=True)
    # All pixels nearer than the first faint one are connected: growth begins with them if the brightest is there.
    first = radius.masked_fill(above.flatten(1), torch.inf).amin(1, keepdim=True)
    begun = (radius < first) & (radius.gather(1, brightest) < first)
    begun.scatter_(1, brightest, True)
    framed = torch.nn.functional.pad(begun.view_as(above) & above, (1, 1, 1, 1))
    inside = framed[:, 1:-1, 1:-1]
    while True:
        before = inside.clone()
        for _ in range(LOOKS):
            across = framed[:, :, :-2] | framed[:, :, 1:-1] | framed[:, :, 2:]
            inside.copy_((across[:, :-2] | across[:, 1:-1] | across[:, 2:]) & above)
        if torch.equal(before, inside):
            break
    return Segment(before, (before != above).flatten(1).any(1))


def gini(values: Tensor, number: PerGalaxy) -> PerGalaxy:
    """Gini's coefficient (galaxy,) of the ``number`` largest of values (galaxy, point), which are not negative.

    The others must be zero. NaN for fewer than two, or where there is no light.
    """
    ordered = sorted_values(values).double()
    place = torch.arange(1, values.shape[1] + 1, device=values.device) - (values.shape[1] - number[:, None])
    weighted = ((2 * place - number[:, None] - 1) * ordered).sum(1)
    total = ordered.sum(1)
    value = weighted / ((number - 1) * total)
    return torch.where((number > 1) & (total > 0), value, torch.nan)


def m20(values: Points, x: Points, y: Points) -> PerGalaxy:
    """M20 (galaxy,) of an image that is zero outside the galaxy; x and y (galaxy, point) count from anywhere."""
    total = values.sum(1).double()
    lit = total > 0
    over = torch.where(lit, total, 1.0)[:, None]
    dx, dy = (at - ((values * at).sum(1, keepdim=True).double() / over).to(at.dtype) for at in (x, y))
    moment = values * (dx * dx + dy * dy)
    ordered = sorted_values(values)
    enough = ordered.double().cumsum(1) >= 0.8 * total[:, None]
    first = enough.to(torch.uint8).argmax(1, keepdim=True)
    bright = values >= ordered.gather(1, first)
    inner, whole = (bright * moment).sum(1).double(), moment.sum(1).double()
    valid = lit & enough.any(1) & (inner > 0) & (whole > 0)
    return torch.log10(torch.where(valid, inner, torch.nan) / whole)


def sorted_values(values: Tensor) -> Tensor:
    """Values (galaxy, point) in rising order; NumPy sorts many times faster where it can."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(1)[0]


def moments_ellipse(image: Points, x: Points, y: Points) -> tuple[PerGalaxy, PerGalaxy]:
    """Ellipticity 1 - b / a and angle from +y in degrees of second moments of an image (galaxy, point) about zero."""
    xx, yy, xy, total = ((image * w).sum(1).double() for w in (x * x, y * y, x * y, torch.ones_like(x)))
    xx, yy, xy = (moment / torch.where(total > 0, total, torch.nan) for moment in (xx, yy, xy))
    mean, half = 0.5 * (xx + yy), torch.hypot(0.5 * (xx - yy), xy)
    ratio = torch.sqrt(((mean - half) / (mean + half)).clamp_min(0))
    angle = 0.5 * torch.rad2deg(torch.atan2(2 * xy, xx - yy)) - 90
    valid = (total > 0) & (mean > half)
    return (
        torch.where(valid, value, torch.nan)
        for value in (1 - ratio, torch.where(angle > -90, angle, angle + 180))
    )  # type: ignore[return-value]
