"""Drawing the sources of a field: each in a stamp just large enough, many stamps of a size at a time.

Sources are drawn together by their stamp's side (:mod:`isolux.mock.extent`) and kind, by :mod:`isolux.renderer`, always
as many at a time, whoever they are. Those too large for a stamp are drawn on the whole field. Light is added up in the
order of sides, kinds, and the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from isolux.batch import Batch
from isolux.mock.components import components
from isolux.mock.extent import SIDES, stamp_sides
from isolux.mock.relief import relief
from isolux.mock.surveys import Band, significance
from isolux.mock.truth import Truth
from isolux.psf_model import PsfModel
from isolux.scene import Scene
from isolux.status import Flag, Status
from isolux.types import Tensor

POINTS = 2**19
"""Grid points that are drawn at the same time."""
MOST = 64
"""Stamps that are."""
FINENESS = (1, 3, 5, 9)
"""Grid points a pixel that arms and dust may be drawn with."""
POINTS_A_LENGTH = 20
"""Grid points a disc's scale length that they are drawn with: errors below 5e-4 of the peak."""
Progress = Callable[[int, int], None]
"""Is told how many sources are drawn, and of how many."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The sources of a band without noise.

    Attributes
    ----------
    image : numpy.ndarray
        (y, x), float32: the sum of all, in image units.
    snr : numpy.ndarray
        (source,): matched-filter signal-to-noise over the pixels on the field, sqrt(sum m^2 / (sigma^2 + m / gain))
        where pixels share no noise.
    inside : numpy.ndarray
        (source,): share of each source's light that fell on the field.
    """

    image: np.ndarray
    snr: np.ndarray
    inside: np.ndarray


def draw_sources(
    truth: Truth,
    band: Band,
    psf: PsfModel,
    shape: tuple[int, int],
    *,
    sigma: float,
    gain: float,
    edge: float,
    correlation: float = 0.0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Drawn:
    """Draw all sources.

    Parameters
    ----------
    truth : dict
        Columns of the band, by :func:`isolux.mock.truth.of_band`.
    band : Band
        Pixel scale and zero point.
    psf : PsfModel
        Over the field.
    shape : (int, int)
        Rows and columns.
    sigma, gain : float
        The sky's noise a pixel, and electrons per image unit.
    edge : float
        Surface brightness at which sources are cut off over ``sigma``.
    correlation : float
        Of the noise, as in :class:`isolux.mock.Band`.
    device : torch.device or str
        Where to draw.
    progress : callable, optional
        Called after each lot with the number of sources drawn and of all.
    """
    count = len(truth["number"])
    image = np.zeros(shape, dtype=np.float64)
    snr, inside = np.zeros(count), np.zeros(count)
    sides = stamp_sides(truth, band, psf, edge * sigma)
    whole = sides > np.minimum(SIDES[-1], 2 * max(shape))
    sides = np.where(whole, 0, sides)
    done = 0
    kinds, fineness = _kinds(truth), _fineness(truth, band)
    for side, kind, fine in sorted(set(zip(sides.tolist(), kinds.tolist(), fineness.tolist(), strict=True))):
        rows = np.flatnonzero((sides == side) & (kinds == kind) & (fineness == fine))
        tall, wide = (side, side) if side else shape
        places = _places_at_once(tall, wide, psf, fine)
        for first in range(0, len(rows), places):
            some = rows[first : first + places]
            filled = np.resize(some, places) if side else some
            stamps, top, left = _stamps(
                truth, filled, band, psf, (tall, wide), kind, fine, bool(side), device
            )
            for row, stamp, y, x in zip(some, stamps, top, left, strict=False):
                part, cut = _overlap((tall, wide), (int(y), int(x)), shape)
                light = stamp[part].astype(np.float64)
                image[cut] += light
                noise = np.sqrt(sigma**2 + np.maximum(light, 0) / gain)
                snr[row] = significance(light / noise, correlation) if light.size else 0.0
                inside[row] = light.sum()
            done += len(some)
            if progress:
                progress(done, count)
    return Drawn(image.astype(np.float32), snr, inside / band.flux(truth["magnitude"]))


def _kinds(truth: Truth) -> np.ndarray:
    """What each source is drawn as."""
    return np.where(truth["realistic"], "realistic", truth["kind"])


def _fineness(truth: Truth, band: Band) -> np.ndarray:
    """Grid points a pixel that arms and dust of each source need; zero where there are none."""
    length = np.where(truth["realistic"], truth["disc_scale_radius"], np.inf) / band.pixel_scale
    place = np.searchsorted(FINENESS, POINTS_A_LENGTH / length)
    return np.where(truth["realistic"], np.take(FINENESS, place, mode="clip"), 0)


def _places_at_once(tall: int, wide: int, psf: PsfModel, fine: int) -> int:
    fine = max(fine, psf.oversampling)
    margin = psf.size[0] / psf.oversampling
    return int(np.clip(POINTS / ((tall + margin) * (wide + margin) * fine**2), 1, MOST))


def _overlap(
    stamp: tuple[int, int], corner: tuple[int, int], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a stamp that is on the field, and where it is there."""
    low = [max(0, -c) for c in corner]
    high = [max(a, min(s, n - c)) for a, s, c, n in zip(low, stamp, corner, shape, strict=True)]
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    cut = tuple(slice(a + c, b + c) for a, b, c in zip(low, high, corner, strict=True))
    return part, cut  # type: ignore[return-value]


def _stamps(
    truth: Truth,
    rows: np.ndarray,
    band: Band,
    psf: PsfModel,
    size: tuple[int, int],
    kind: str,
    fine: int,
    centred: bool,
    device: torch.device | str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stamps (row, y, x) of some sources, and the field's row and column of their first pixels."""
    x, y = truth["x"][rows], truth["y"][rows]
    left, top = (np.round(c).astype(int) - n // 2 for c, n in ((x, size[1]), (y, size[0])))
    if not centred:
        left, top = np.zeros_like(left), np.zeros_like(top)
    images = psf.at(x, y) if psf.degree else psf.at(*psf.offset)
    kernel = torch.as_tensor(images, dtype=torch.float32).to(device)
    own = {name: values[rows] for name, values in truth.items()} | {"x": x - left, "y": y - top}
    scene = Scene(**components(own, band, kind))
    batch = blank_batch(len(rows), size, kernel, psf).to(device)
    light = scene.images(batch, scene.values(len(rows)).to(device))
    if kind == "realistic":
        light = light + relief(own, band, psf, kernel, size, fine)
    return light.cpu().numpy(), top, left


def blank_batch(count: int, size: tuple[int, int], kernel: Tensor, psf: PsfModel) -> Batch:
    """A batch without data, of which the renderer takes size and PSF."""
    nothing, one = torch.zeros(count, *size), torch.ones(count, dtype=torch.float64)
    return Batch(
        id=tuple(str(k) for k in range(count)),
        image=nothing,
        sigma=nothing,
        mask=nothing,
        psf=kernel,
        zero_point=one,
        pixel_scale=one,
        gain=one,
        sky=one,
        read_noise=one,
        height=(size[0],) * count,
        width=(size[1],) * count,
        status=(Status.RUNNING,) * count,
        flags=(Flag(0),) * count,
        message=("",) * count,
        wcs=(None,) * count,
        psf_oversampling=psf.oversampling,
        psf_includes_pixel=psf.includes_pixel,
    )
