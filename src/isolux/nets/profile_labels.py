"""The true isophotal profile of galaxies drawn without noise.

Of a galaxy's own light, convolved with the PSF: the pixels above a brightness are the inside of an isophote, and the
ellipse of the same second moments is its shape (an ellipse of semi-axes a, b has moments a^2 / 4 and b^2 / 4). With
the shapes of all isophotes, smoothed a little, the brightness at a semi-major axis is the mean along the ellipse there.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from isolux.nets.polar import ring_radii, stretched
from isolux.nets.profile import LEAST, log_growth
from isolux.types import Images, PerGalaxy, Points, Tensor

POINTS = 64
"""Points of an ellipse."""
LEAST_PIXELS = 12
"""Pixels of the smallest isophote whose shape is taken, and of the smallest ring that is looked at by itself: faint
galaxies have no pixel that is seen by itself, though the galaxy is."""
POWER = 4.0
"""Squared signal-to-noise of a ring at which a profile ends, the paper's."""
RING = 0.1
"""Width of that ring over its semi-major axis; a pixel at least, and :data:`LEAST_PIXELS` in all."""
WINDOW, FINE = 40, 4
"""Side in pixels of the window about the middle of which a finer image is made, and points a pixel there."""
NEAR = 6.0, 9.0
"""Semi-major axes in pixels up to which the finer image counts alone, and from which on it does not count."""
KERNEL = (0.06, 0.24, 0.4, 0.24, 0.06)


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """What a network is to say, at :func:`isolux.nets.polar.ring_radii`.

    Attributes
    ----------
    brightness, growth : Tensor
        (galaxy, ring): y and g of :mod:`isolux.nets.profile`.
    shape : Tensor
        (galaxy, ring, 2).
    known : Tensor
        (galaxy, ring): whether half of the ring was on the image.
    x, y : Tensor
        (galaxy,): centre.
    """

    brightness: Points
    growth: Points
    shape: Tensor
    known: Tensor
    x: PerGalaxy
    y: PerGalaxy

    def there(self, present: Tensor) -> Tensor:
        """(galaxy, ring) of bool: the rings of the profile, none where no galaxy is present (galaxy,)."""
        radii = ring_radii(self.shape.device)
        around = 2 * math.pi * radii * torch.sqrt(1 - torch.linalg.vector_norm(self.shape, dim=-1))
        number = (around * (RING * radii).clamp_min(1.0)).clamp_min(LEAST_PIXELS)
        power = torch.exp(2 * self.brightness) * number
        return ((power >= POWER) & present[:, None]).long().cumprod(1).bool()

    def select(self, row: int) -> Labels:
        """Of one galaxy."""
        return Labels(*(getattr(self, f.name)[row : row + 1] for f in dataclasses.fields(self)))


def on_window(labels: Labels, size: int, width: int) -> Points:
    """Whether half of each ring (galaxy, ring) is on a stamp that lost ``width`` pixels at each side."""
    return _within(_ellipses(labels.shape, labels.x, labels.y), width, size - 1 - width).mean(2) >= 0.5


def _ellipses(shape: Tensor, x: PerGalaxy, y: PerGalaxy) -> Tensor:
    """Points (galaxy, ring, point, 2) of the rings, as x and y."""
    up, left = _circle()
    radii = ring_radii()
    up, left = stretched(shape[:, :, None], radii[:, None] * up, radii[:, None] * left)
    return torch.stack([x[:, None, None] - left, y[:, None, None] + up], -1)


def _within(points: Tensor, low: float, high: float | Tensor) -> Tensor:
    return ((points >= low) & (points <= high)).all(-1).float()


def isophotal(image: Images, x: PerGalaxy, y: PerGalaxy) -> Labels:
    """Labels of noise-free images (galaxy, y, x) of one galaxy each, in units of the noise."""
    fine = _finer(image)
    shape = isophote_shapes(image, fine)
    points = _ellipses(shape, x, y)
    on = _within(points, 0, torch.tensor([image.shape[2] - 1, image.shape[1] - 1]))
    known = on.mean(2) >= 0.5
    corner = torch.tensor([_corner(image.shape[2]), _corner(image.shape[1])])
    near = torch.log(_mean(fine, (points - corner + 0.5) * FINE - 0.5, torch.ones_like(on)))
    far = torch.log(_mean(image.float(), points, on))
    brightness = far + _nearness()[:, 0] * (near - far)
    return Labels(brightness, log_growth(brightness, shape), shape, known, x, y)


def _mean(image: Images, points: Tensor, on: Tensor) -> Points:
    """Mean brightness (galaxy, ring) at the points (galaxy, ring, point, 2) that count."""
    size = torch.tensor([image.shape[2], image.shape[1]])
    sampled = functional.grid_sample(
        image[:, None],
        ((2 * points + 1) / size - 1).float(),
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )[:, 0]
    return ((sampled * on).sum(2) / on.sum(2).clamp_min(1)).clamp_min(math.exp(LEAST))


def _corner(side: int) -> int:
    """First row or column of the window about the middle."""
    return (side - WINDOW) // 2


def _finer(image: Images) -> Images:
    """The window about the middle (galaxy, v, u) with :data:`FINE` points a pixel, on its cubic spline."""
    rows, columns = (_corner(n) for n in image.shape[1:])
    window = image[:, rows : rows + WINDOW, columns : columns + WINDOW].double()
    matrix = torch.from_numpy(_spline_matrix())
    return (matrix @ window @ matrix.T).clamp_min(0).float()


@lru_cache(maxsize=1)
def _spline_matrix() -> np.ndarray:
    """(FINE WINDOW, WINDOW): from pixels to points on their natural cubic B-spline (Unser 1999, IEEE SPM 16, 22)."""

    def basis(t: np.ndarray) -> np.ndarray:
        t = np.abs(t)
        return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0.0))

    pixels = np.arange(WINDOW)
    knots = np.arange(-1, WINDOW + 1)
    values = basis(pixels[:, None] - knots)
    ends = np.zeros((2, len(knots)))  # no second derivative at both ends
    ends[0, :3] = ends[1, -3:] = 1, -2, 1
    coefficients = np.linalg.solve(np.concatenate([values, ends]), np.eye(WINDOW + 2)[:, :WINDOW])
    points = (np.arange(FINE * WINDOW) + 0.5) / FINE - 0.5
    return basis(points[:, None] - knots) @ coefficients


def _nearness() -> Tensor:
    """(ring, 1): one near the centre, where the finer image is looked at, zero far from it."""
    radii = ring_radii().clamp_min(1e-3)
    return ((torch.log(NEAR[1] / radii)) / math.log(NEAR[1] / NEAR[0])).clamp(0, 1)[:, None]


def isophote_shapes(image: Images, fine: Images) -> Tensor:
    """Shapes (galaxy, ring, 2) of the isophotes; beyond the last one on the image its shape is held.

    Parameters
    ----------
    image, fine : Tensor
        (galaxy, y, x) the images, and their middle in finer pixels, for small isophotes.
    """
    radii = ring_radii().numpy()
    far, near = (
        np.stack([_shapes_of(one, radii * times) for one in some.double().numpy()])
        for some, times in ((image, 1), (fine, FINE))
    )
    found = far + _nearness().double().numpy() * (near - far)
    padded = functional.pad(torch.from_numpy(found).transpose(1, 2), (2, 2), mode="replicate")
    kernel = torch.tensor(KERNEL, dtype=torch.float64).expand(2, 1, -1)
    return functional.conv1d(padded, kernel, groups=2).transpose(1, 2).float()


def _shapes_of(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(ring, 2) of one galaxy (y, x)."""
    tall, wide = image.shape
    edge = max(image[0].max(), image[-1].max(), image[:, 0].max(), image[:, -1].max())
    flat = image.ravel()
    inside = np.flatnonzero(flat > edge)
    order = inside[np.argsort(-flat[inside], kind="stable")]
    if len(order) < LEAST_PIXELS:
        return np.zeros((len(radii), 2))
    row, column = (order // wide - (tall - 1) / 2), (order % wide - (wide - 1) / 2)
    ranks = np.unique(np.geomspace(LEAST_PIXELS, len(order), 60).astype(int)) - 1
    sums = [np.cumsum(term)[ranks] / (ranks + 1) for term in (row, column, row**2, column**2, row * column)]
    up, left = sums[2] - sums[0] ** 2, sums[3] - sums[1] ** 2
    cross = -(sums[4] - sums[0] * sums[1])
    half, mean = np.hypot((up - left) / 2, cross), (up + left) / 2
    ratio = np.sqrt(np.clip((mean - half) / (mean + half), 0.01, 1))
    angle = np.arctan2(2 * cross, up - left)
    sma = np.maximum.accumulate(np.sqrt((ranks + 1) / (np.pi * ratio)))
    size = 1 - ratio
    log_sma, log_radii = np.log(sma), np.log(np.maximum(radii, 1e-3))
    return np.stack(
        [np.interp(log_radii, log_sma, size * part) for part in (np.cos(angle), np.sin(angle))], 1
    )


def _circle() -> tuple[Tensor, Tensor]:
    angle = (torch.arange(POINTS) + 0.5) * (2 * math.pi / POINTS)
    return torch.cos(angle), torch.sin(angle)
