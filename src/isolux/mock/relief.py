"""What a galaxy with arms, dust and clumps has over its smooth components, drawn more finely than the pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from isolux.mock.components import disc_fluxes
from isolux.mock.features import CLUMPS, PATTERN, pattern
from isolux.mock.surveys import Band
from isolux.psf import Canvas, make_canvas
from isolux.psf_model import PsfModel
from isolux.types import Tensor


def relief(
    own: Mapping[str, np.ndarray], band: Band, psf: PsfModel, kernel: Tensor, size: tuple[int, int], fine: int
) -> Tensor:
    """Stamps (row, y, x) of arms, dust and clumps, drawn with ``fine`` points a pixel."""
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
