r"""Moments of a source under round Gaussian weights exp(-(u^2 + v^2) / 2 s^2), and the ellipse that they tell of.

A round Gaussian is the product of one in x and one in y, so that the moments of an image for all widths s at once
are two matrix products. A weight of variance s^2 turns the covariance C of a Gaussian source into

    M = (C^-1 + s^-2)^-1,

from which C follows; the weight that suits a source is the narrowest that is wider than the source under it.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.geometry import wrap_angle
from isolux.types import Images, PerGalaxy, Tensor

FARTHEST = 3.0
"""Pixels that a centre may be away from where the weights were centred."""
PLAIN_RATIO = 0.7
"""Axis ratio of what cannot be measured."""
THINNEST, ROUNDEST = 0.15, 0.95


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """What a source looks like under the weight that suits it; each (galaxy,).

    Attributes
    ----------
    x, y : Tensor
        Centre in pixels.
    axis_ratio : Tensor
        Of a Gaussian source, before the PSF.
    position_angle : Tensor
        Degrees from +y.
    elongation : Tensor
        Difference of the second moments along the major and the minor axis, over s^2.
    width, blur : Tensor
        The weight's s in pixels, and the variance that the PSF adds to it.
    """

    x: PerGalaxy
    y: PerGalaxy
    axis_ratio: PerGalaxy
    position_angle: PerGalaxy
    elongation: PerGalaxy
    width: PerGalaxy
    blur: PerGalaxy


def moments(image: Images, x: Tensor, y: Tensor, width: Tensor, highest: int = 2) -> Tensor:
    """Sums (galaxy, width, i, j) of image * v^i * u^j under Gaussians of widths (galaxy, width) around (x, y).

    u and v are the offsets in pixels along x and y; i and j go up to ``highest``.
    """

    def weights(length: int, centre: Tensor) -> Tensor:
        offset = torch.arange(length, device=image.device) - centre[:, None]
        ratio = (offset[:, None] / width[..., None]).to(image.dtype).clamp(-12, 12)
        powers = [torch.exp(-0.5 * ratio * ratio)]
        for _ in range(highest):
            powers.append(powers[-1] * offset[:, None].to(image.dtype))
        return torch.stack(powers, 2)

    tall, wide = image.shape[1:]
    rows, columns = weights(tall, y), weights(wide, x)
    summed = (rows.flatten(1, 2) @ image).unflatten(1, rows.shape[1:3])
    return (summed @ columns.transpose(2, 3)).double()


def area_in_stamp(x: Tensor, y: Tensor, size: Tensor, width: Tensor) -> Tensor:
    """Integral (galaxy, width) of Gaussians around (x, y) over stamps of ``size`` (galaxy, 2) columns and rows."""
    product = 2 * math.pi * width**2
    for centre, length in ((x, size[:, 0]), (y, size[:, 1])):
        low, high = ((end - 0.5 - centre)[:, None] / (math.sqrt(2) * width) for end in (0.0, length))
        product = product * 0.5 * (torch.erf(high) - torch.erf(low))
    return product


def ellipse_of(found: Tensor, x: Tensor, y: Tensor, width: Tensor, blur: Tensor) -> Ellipse:
    """The ellipse behind the moments (galaxy, width, i, j) of a source under weights around (x, y)."""
    flux = found[..., 0, 0]
    share = found / torch.where(flux > 0, flux, 1.0)[..., None, None]
    dx, dy = share[..., 0, 1], share[..., 1, 0]
    xx, yy, xy = share[..., 0, 2] - dx * dx, share[..., 2, 0] - dy * dy, share[..., 1, 1] - dx * dy
    suits = (flux > 0) & (xx > 0) & (yy > 0) & (xx * yy > xy * xy) & (xx + yy < width**2)
    last = width.shape[1] - 1 - torch.flip(suits, (1,)).to(torch.int64).argmax(1, keepdim=True)
    dx, dy, xx, yy, xy, s, p = (t.gather(1, last)[:, 0] for t in (dx, dy, xx, yy, xy, width, blur))
    elongation = torch.hypot(xx - yy, 2 * xy) / s**2
    inverse = 1 / (xx * yy - xy * xy)
    a, b, c = yy * inverse - s**-2, -xy * inverse, xx * inverse - s**-2
    determinant = a * c - b * b
    valid = suits.any(1) & (a > 0) & (determinant > 0)
    xx, yy, xy = (torch.where(valid, n / determinant, 0.0) for n in (c, a, -b))
    x, y = (
        at + torch.where(valid, d + (own * d + xy * other) / s**2, 0.0).clamp(-FARTHEST, FARTHEST)
        for at, d, own, other in ((x, dx, xx, dy), (y, dy, yy, dx))
    )
    mean, half = 0.5 * (xx + yy) - p, torch.hypot(0.5 * (xx - yy), xy)
    ratio = torch.sqrt(torch.where(mean > half, (mean - half) / (mean + half), 0.0))
    angle = wrap_angle(0.5 * torch.rad2deg(torch.atan2(2 * xy, xx - yy)) - 90.0, 180.0)
    return Ellipse(
        x,
        y,
        torch.where(valid, ratio.clamp(THINNEST, ROUNDEST), PLAIN_RATIO),
        torch.where(valid, angle, 0.0),
        torch.where(valid, elongation, torch.nan),
        s,
        p,
    )
