"""The light of a radial profile before the PSF: maps on the grid and the transform of its core."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch

from isolux import core
from isolux.geometry import (
    Ellipse,
    Offsets,
    chain,
    grid_offsets,
    locate,
    moment_factors,
    moments,
    superellipse_area,
    superellipse_area_slope,
)
from isolux.profiles.base import RadialProfile
from isolux.psf import Canvas
from isolux.types import Tensor

LN10_04 = 0.4 * math.log(10)
SHAPES = ("axis_ratio", "position_angle")


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A component as maps at unit intensity: first its light, then what its derivatives are made of.

    Attributes
    ----------
    maps : Tensor
        (row, map, y, x): the maps on the canvas.
    mix : dict
        Parameter -> {number of the map: coefficient (row,), float64}.
    intensity : Tensor
        (row,), float64: what the light is multiplied by.
    """

    maps: Tensor
    mix: dict[str, dict[int, Tensor]]
    intensity: Tensor


def draw(
    profile: RadialProfile,
    named: Mapping[str, Tensor],
    wanted: set[str],
    zero_point: Tensor,
    canvas: Canvas,
    dtype: torch.dtype,
) -> Sheet:
    """The sheet of a component.

    Parameters
    ----------
    profile : RadialProfile
        The component.
    named : mapping
        Its parameters (row, 1), float64.
    wanted : set of str
        The parameters to be differentiated by.
    zero_point : Tensor
        (row, 1).
    canvas : Canvas
        Where to draw.
    dtype : torch.dtype
        Precision of the maps.
    """
    low = {name: value.to(dtype) for name, value in named.items()}
    boxiness = low["boxiness"] if profile.has_boxiness else None
    ellipse = Ellipse(low["x"], low["y"], low["axis_ratio"], low["position_angle"], boxiness)
    shape = {parameter.name: low[parameter.name] for parameter in profile.parameters}
    y_axis, x_axis = canvas.axes()
    offsets = locate(ellipse, *grid_offsets(ellipse, x_axis, y_axis))
    turned = [name for name in (*SHAPES, "boxiness") if name in wanted]
    shaped = [name for name in shape if name in wanted]
    scale = core.window_scale(ellipse, canvas.spacing)
    brightness = _elliptical if boxiness is None else _boxy
    maps, centre = brightness(profile, ellipse, offsets, shape, shaped, turned, scale, canvas.spacing)
    intensity, by_name = intensities(profile, named, wanted, zero_point)
    mix = _mix(ellipse, intensity, by_name, shaped, turned)
    maps = core.add_core(canvas, maps.unflatten(2, canvas.size), centre, ellipse, scale)
    return Sheet(maps, mix, intensity[:, 0])


def _elliptical(
    profile: RadialProfile,
    ellipse: Ellipse,
    offsets: Offsets,
    shape: Mapping[str, Tensor],
    shaped: Sequence[str],
    turned: Sequence[str],
    scale: Tensor,
    spacing: float,
) -> tuple[Tensor, core.Core]:
    """Maps (row, map, point) and core: the light, derivatives by ``shaped``, moments for ``turned``."""
    points = offsets.radius.shape[1]
    radius = torch.cat([offsets.radius, core.radii(scale).expand(len(offsets.radius), -1)], 1)
    outside = core.window_complement(offsets.square, scale)
    factors = moment_factors(ellipse)
    wanted = [factors[name][0] for name in turned]
    if not (shaped or wanted):
        f = profile.brightness(radius, **shape)
        sheet = (f[:, :points] * outside)[:, None]
        return sheet, core.RoundCore.of(ellipse, scale, f[:, None, points:], None, ())
    f, by_radius, by_shape = profile.slopes(radius, shape, set(shaped))
    plain = [f, *(by_shape[name] for name in shaped)]
    maps = f.new_empty(len(f), len(plain) + len(wanted), points)
    for k, m in enumerate(plain):
        torch.mul(m[:, :points], outside, out=maps[:, k])
    if wanted:
        outside *= by_radius[:, :points]
        outside /= offsets.radius
        moments(offsets, outside, wanted, maps[:, len(plain) :])
    inside = torch.stack([m[:, points:] for m in plain], 1)
    moment = (by_radius * radius)[:, points:] if wanted else None
    return maps, core.RoundCore.of(ellipse, scale, inside, moment, tuple(wanted))


def _boxy(
    profile: RadialProfile,
    ellipse: Ellipse,
    offsets: Offsets,
    shape: Mapping[str, Tensor],
    shaped: Sequence[str],
    turned: Sequence[str],
    scale: Tensor,
    spacing: float,
) -> tuple[Tensor, core.Core]:
    """The same for a generalised ellipse, with derivatives by ``turned`` themselves."""
    nodes = core.nodes_around(ellipse, scale, spacing)
    places = (offsets, locate(ellipse, nodes.major, nodes.minor))
    drawn = []
    for place in places:
        if not (shaped or turned):
            drawn.append(profile.brightness(place.radius, **shape)[:, None])
            continue
        f, by_radius, by_shape = profile.slopes(place.radius, shape, set(shaped))
        by_ellipse = chain(ellipse, place, by_radius, set(turned))
        maps = [f, *(by_shape[name] for name in shaped), *(by_ellipse[name] for name in turned)]
        drawn.append(torch.stack(maps, 1))
    outside = core.window_complement(offsets.square, scale)
    return drawn[0] * outside[:, None], nodes.core(ellipse, drawn[1])


def _mix(
    ellipse: Ellipse,
    intensity: Tensor,
    by_name: Mapping[str, Tensor],
    shaped: Sequence[str],
    turned: Sequence[str],
) -> dict[str, dict[int, Tensor]]:
    """How the derivatives are made of the maps."""
    mix: dict[str, dict[int, Tensor]] = {name: {0: slope[:, 0]} for name, slope in by_name.items()}
    factors = moment_factors(ellipse) if ellipse.boxiness is None else {}
    for k, name in enumerate((*shaped, *turned)):
        factor = factors[name][1].double() if name in factors else 1.0
        mix.setdefault(name, {})[1 + k] = (intensity * factor)[:, 0]
    return mix


def intensities(
    profile: RadialProfile, named: Mapping[str, Tensor], wanted: set[str], zero_point: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Factor (row, 1) that turns f(r) into surface brightness, and its derivatives by parameter name."""
    amplitude = named[profile.amplitude]
    if profile.amplitude == "intensity":
        return amplitude, {"intensity": torch.ones_like(amplitude)} if "intensity" in wanted else {}
    shape = {parameter.name: named[parameter.name] for parameter in profile.parameters}
    logarithm, by_log = profile.log_total(shape, wanted & set(shape))
    q = named["axis_ratio"]
    per_flux = torch.exp(-logarithm) / q
    if "axis_ratio" in wanted:
        by_log = {**by_log, "axis_ratio": 1 / q}
    if profile.has_boxiness:
        per_flux = per_flux / superellipse_area(named["boxiness"])
        if "boxiness" in wanted:
            by_log = {**by_log, "boxiness": superellipse_area_slope(named["boxiness"])}
    flux = amplitude
    if profile.amplitude == "magnitude":
        flux = 10 ** (-0.4 * (amplitude - zero_point))
    intensity = flux * per_flux
    slopes = {name: -intensity * slope for name, slope in by_log.items()}
    if profile.amplitude in wanted:
        slopes[profile.amplitude] = -LN10_04 * intensity if profile.amplitude == "magnitude" else per_flux
    return intensity, slopes
