"""Drawing the sources of a field: each in a stamp just large enough, many stamps of a size at a time.

A stamp's half side is where the surface brightness of the galaxy, and that of the PSF's wings, has fallen to half of
``edge`` times the sky's noise; beyond, the source is cut off. Sides are rounded up to a few numbers, so that sources of
about one size are drawn together by :mod:`isolux.renderer`, always as many at a time, whoever they are. Sources too
large for that are drawn on the whole field. Light is added up in the order of the table.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch

from isolux.batch import Batch
from isolux.mock.features import BAR_INDEX, CLUMPS, PATTERN, pattern
from isolux.mock.light import HALF_LIGHT, reach
from isolux.mock.surveys import Band, significance
from isolux.mock.truth import Truth
from isolux.profiles import Exponential, PointSource, Profile, Sersic
from isolux.psf import Canvas, make_canvas
from isolux.psf_model import PsfModel
from isolux.scene import Scene
from isolux.status import Flag, Status
from isolux.types import Tensor

SIDES = (24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048)
POINTS = 2**19
"""Grid points that are drawn at the same time."""
MOST = 64
"""Stamps that are."""
FINENESS = (1, 3, 5, 9)
"""Grid points a pixel that arms and dust may be drawn with."""
POINTS_A_LENGTH = 20
"""Grid points a disc's scale length that they are drawn with: errors below 5e-4 of the peak."""
MARGIN = 3
"""Pixels that stamps reach beyond where they must."""

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


def stamp_sides(truth: Truth, band: Band, psf: PsfModel, level: float) -> np.ndarray:
    """Sides (source,) in pixels of stamps at whose edges sources are fainter than ``level``."""
    scale, half = band.pixel_scale, level / 2
    flux = {name: band.flux(truth[name]) for name in ("magnitude", "bulge_magnitude", "disc_magnitude")}
    radii = [_wing(psf, flux["magnitude"], half)]
    for which, radius, index, ratio in (
        ("magnitude", truth["effective_radius"], truth["sersic_index"], truth["axis_ratio"]),
        (
            "bulge_magnitude",
            truth["bulge_effective_radius"],
            truth["bulge_sersic_index"],
            truth["bulge_axis_ratio"],
        ),
        (
            "disc_magnitude",
            truth["disc_scale_radius"] * HALF_LIGHT,
            np.ones(len(radii[0])),
            truth["disc_axis_ratio"],
        ),
    ):
        known = np.isfinite(radius)
        far = np.zeros(len(known))
        far[known] = reach(flux[which][known], (radius / scale)[known], index[known], ratio[known], half)
        radii.append(far)
    needed = 2 * (np.max(radii, axis=0) + MARGIN) + 1
    place = np.searchsorted(SIDES, needed)
    return np.append(SIDES, 10**6)[place]


def _wing(psf: PsfModel, flux: np.ndarray, level: float) -> np.ndarray:
    """Radii in pixels beyond which the PSF times the flux is below a level."""
    image = psf.at(*psf.offset)[0] * psf.oversampling**2
    half = image.shape[0] // 2
    y, x = np.indices(image.shape) - half
    ring = np.minimum(np.hypot(y, x).astype(int), half)
    most = np.zeros(half + 1)
    np.maximum.at(most, ring.ravel(), image.ravel())
    outward = np.maximum.accumulate(most[::-1])
    return (half + 1 - np.searchsorted(outward, level / flux)) / psf.oversampling


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
    batch = _blank(len(rows), size, kernel, psf).to(device)
    light = scene.images(batch, scene.values(len(rows)).to(device))
    if kind == "realistic":
        light = light + _features(own, band, psf, kernel, size, fine)
    return light.cpu().numpy(), top, left


def components(own: Mapping[str, np.ndarray], band: Band, kind: str) -> dict[str, Profile]:
    """The smooth components of sources of one kind, in pixels of a stamp.

    Parameters
    ----------
    own : mapping
        Columns of the truth of these sources, with x and y in the stamp.
    band : Band
        Pixel scale and zero point.
    kind : {"star", "sersic", "bulge+disc", "realistic"}
        What they are.
    """
    place, scale = {"x": own["x"], "y": own["y"]}, band.pixel_scale
    if kind == "star":
        return {"star": PointSource(**place, flux=band.flux(own["magnitude"]))}
    if kind == "sersic":
        galaxy = Sersic(
            **place,
            flux=band.flux(own["magnitude"]),
            effective_radius=own["effective_radius"] / scale,
            sersic_index=own["sersic_index"],
            axis_ratio=own["axis_ratio"],
            position_angle=own["position_angle"],
        )
        return {"galaxy": galaxy}
    fluxes = disc_fluxes(own, band)
    parts: dict[str, Profile] = {
        "bulge": Sersic(
            **place,
            flux=band.flux(own["bulge_magnitude"]),
            effective_radius=own["bulge_effective_radius"] / scale,
            sersic_index=own["bulge_sersic_index"],
            axis_ratio=own["bulge_axis_ratio"],
            position_angle=own["bulge_position_angle"],
        ),
        "disc": Exponential(
            **place,
            flux=fluxes["plain"],
            scale_radius=own["disc_scale_radius"] / scale,
            axis_ratio=own["disc_axis_ratio"],
            position_angle=own["disc_position_angle"],
        ),
    }
    if kind == "realistic":
        there = own["bar_share"] > 0
        parts["bar"] = Sersic(
            **place,
            flux=fluxes["bar"],
            effective_radius=np.where(there, own["bar_radius"], 1.0) * own["disc_scale_radius"] / scale,
            sersic_index=np.full(len(there), BAR_INDEX),
            axis_ratio=np.where(there, own["bar_ratio"], 1.0),
            position_angle=own["bar_angle"],
        )
    return parts


def disc_fluxes(own: Mapping[str, np.ndarray], band: Band) -> dict[str, np.ndarray]:
    """Image units in the plain disc before dust, in the bar and in the clumps of each galaxy.

    The disc's magnitude is that of what comes out: D [(1 - bar - clumps) passed + bar + clumps], D before dust.
    """
    smooth = 1 - own["bar_share"] - own["clump_share"]
    before = band.flux(own["disc_magnitude"]) / (1 - smooth * (1 - own["dust_passes"]))
    return {
        "plain": before * smooth,
        "bar": before * own["bar_share"],
        "clumps": before * own["clump_share"],
    }


def _blank(count: int, size: tuple[int, int], kernel: Tensor, psf: PsfModel) -> Batch:
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


def _features(
    own: Mapping[str, np.ndarray], band: Band, psf: PsfModel, kernel: Tensor, size: tuple[int, int], fine: int
) -> Tensor:
    """Stamps (row, y, x) of arms, dust and clumps: what a realistic galaxy has over its smooth components."""
    canvas = make_canvas(
        kernel, *size, kernel, oversampling=psf.oversampling, includes_pixel=psf.includes_pixel
    )
    spectra = _pattern_spectra(own, band, canvas, fine) + _clump_spectra(own, band, canvas)
    rows = torch.arange(len(own["x"]), device=kernel.device)
    return canvas.to_stamp(spectra * canvas.psf_of(rows)[:, 0])


def _column(values: np.ndarray, canvas: Canvas) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)[:, None].to(canvas.transform.device)


def _pattern_spectra(own: Mapping[str, np.ndarray], band: Band, canvas: Canvas, fine: int) -> Tensor:
    times = math.ceil(fine / canvas.oversampling)
    finer = canvas.finer(times)
    x, y = finer.points()
    dx, dy = x - _column(own["x"], canvas), y - _column(own["y"], canvas)
    angle = torch.deg2rad(_column(own["disc_position_angle"], canvas))
    along, across = (
        dy * torch.cos(angle) - dx * torch.sin(angle),
        -dx * torch.cos(angle) - dy * torch.sin(angle),
    )
    scale, ratio = (_column(own[name], canvas) for name in ("disc_scale_radius", "disc_axis_ratio"))
    scale = scale / band.pixel_scale
    named = {name: _column(own[name], canvas) for name in PATTERN}
    middle = _column(disc_fluxes(own, band)["plain"], canvas) / (2 * math.pi * scale**2 * ratio)
    light = middle * pattern(along, across, ratio, scale, named, band.wavelength)
    return canvas.coarser(torch.fft.rfft2(light.unflatten(1, finer.size)), times)


def _clump_spectra(own: Mapping[str, np.ndarray], band: Band, canvas: Canvas) -> Tensor:
    scale = own["disc_scale_radius"] / band.pixel_scale
    x, y = clump_places(own, scale[:, None])
    ky, kx = canvas.frequencies()
    size = _column(own["clump_size"] * scale, canvas)[..., None]
    soft = torch.exp(-0.5 * size**2 * (ky**2 + kx**2)) * canvas.oversampling**2
    flux = disc_fluxes(own, band)["clumps"][:, None] * own["clump_weight"]
    waves = sum(
        canvas.phase(_column(x[:, k], canvas), _column(y[:, k], canvas))
        * _column(flux[:, k], canvas)[..., None]
        for k in range(CLUMPS)
    )
    return waves * soft


def clump_places(own: Mapping[str, np.ndarray], scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel positions (row, clump) of clumps, for scale lengths (row, 1) in pixels."""
    angle = np.radians(own["disc_position_angle"])[:, None]
    a, b = own["clump_along"] * scale, own["clump_across"] * scale
    dx, dy = -a * np.sin(angle) - b * np.cos(angle), a * np.cos(angle) - b * np.sin(angle)
    return own["x"][:, None] + dx, own["y"][:, None] + dy
