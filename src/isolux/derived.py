"""Quantities that follow from the parameters, with errors carried over by the covariance.

For every component with light: total flux and magnitude; where it has an effective radius also the
circularised radius r_e sqrt(q) and the mean surface brightness inside r_e,

    <mu>_e = m + 2.5 log10(2 pi q r_e^2 / r_box)   (r_e in arcsec);

for scenes of several: total magnitude and each component's fraction of the light (for a bulge, B/T).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from isolux.geometry import circularised, superellipse_area
from isolux.profiles.base import PointProfile, RadialProfile
from isolux.result import Quantity
from isolux.scene import Scene
from isolux.types import PerGalaxy, Tensor, Values

LARGEST = 128
"""Most parameters for which errors are carried over."""


def derived_quantities(
    scene: Scene, values: Values, covariance: Tensor | None, zero_point: PerGalaxy, pixel_scale: PerGalaxy
) -> tuple[tuple[Quantity, ...], Tensor, Tensor]:
    """Names, values (galaxy, derived) and errors (galaxy, derived) of the derived quantities."""
    if covariance is None or values.shape[1] > LARGEST:
        quantities, derived = _computed(scene, values, zero_point, pixel_scale)
        return quantities, derived, torch.full_like(derived, torch.nan)
    quantities, derived, slopes = derived_slopes(scene, values, zero_point, pixel_scale)
    known = torch.nan_to_num(covariance)
    missing = torch.isnan(torch.diagonal(covariance, dim1=1, dim2=2))
    needs_missing = ((slopes != 0) & missing[:, None]).any(2)
    variance = torch.einsum("gdp,gpq,gdq->gd", torch.nan_to_num(slopes), known, torch.nan_to_num(slopes))
    errors = torch.sqrt(variance.clamp_min(0.0))
    return quantities, derived, torch.where(needs_missing | (variance < 0), torch.nan, errors)


def derived_slopes(
    scene: Scene, values: Values, zero_point: PerGalaxy, pixel_scale: PerGalaxy
) -> tuple[tuple[Quantity, ...], Tensor, Tensor]:
    """Names and values (galaxy, derived) of the derived quantities, and their slopes (galaxy, derived, parameter)."""
    with torch.enable_grad():
        leaf = values.detach().requires_grad_()
        quantities, derived = _computed(scene, leaf, zero_point, pixel_scale)
        if not quantities:
            return quantities, derived, values[:, None, :][:, :0]
        sums = derived.sum(0)
        slopes = [torch.autograd.grad(one, leaf, retain_graph=True)[0] for one in sums]
    return quantities, derived.detach(), torch.stack(slopes, 1)


def _computed(
    scene: Scene, values: Values, zero_point: PerGalaxy, pixel_scale: PerGalaxy
) -> tuple[tuple[Quantity, ...], Tensor]:
    """Names and values (galaxy, derived)."""
    quantities: list[Quantity] = []
    columns: list[Tensor] = []

    def add(name: str, unit: str, meaning: str, value: Tensor) -> None:
        quantities.append(Quantity(name, unit, meaning))
        columns.append(value)

    _collect(scene, values, zero_point, pixel_scale, add)
    return tuple(quantities), torch.stack(columns, 1) if columns else values[:, :0]


def _collect(
    scene: Scene,
    values: Values,
    zero_point: PerGalaxy,
    pixel_scale: PerGalaxy,
    add: Callable[[str, str, str, Tensor], None],
) -> None:
    fluxes: dict[str, Tensor] = {}
    start = 0
    for name, profile in scene.components.items():
        named: dict[str, Tensor] = {}
        for short, (parameter, _) in profile.settings.items():
            named[short] = values[:, start : start + parameter.size]
            start += parameter.size
        if not isinstance(profile, RadialProfile | PointProfile):
            continue
        flux = component_flux(profile, named, zero_point)
        fluxes[name] = flux
        magnitude = zero_point - 2.5 * torch.log10(flux.clamp_min(1e-300))
        if profile.amplitude != "flux":
            add(f"{name}.flux", "flux", "total flux", flux)
        if profile.amplitude != "magnitude":
            add(f"{name}.magnitude", "mag", "total magnitude", torch.where(flux > 0, magnitude, torch.nan))
        if "effective_radius" in named:
            radius, q = named["effective_radius"][:, 0], named["axis_ratio"][:, 0]
            add(
                f"{name}.circularised_radius",
                "pixel",
                "half-light radius of the circle of equal area",
                circularised(radius, q),
            )
            area = 2 * math.pi * q * (radius * pixel_scale) ** 2
            if "boxiness" in named:
                area = area * superellipse_area(named["boxiness"][:, 0])
            add(
                f"{name}.mean_surface_brightness",
                "mag/arcsec2",
                "mean surface brightness inside the effective radius",
                magnitude + 2.5 * torch.log10(area),
            )
    if len(fluxes) > 1:
        total = torch.stack(list(fluxes.values())).sum(0)
        add(
            "total.magnitude",
            "mag",
            "magnitude of all components",
            zero_point - 2.5 * torch.log10(total.clamp_min(1e-300)),
        )
        for name, flux in fluxes.items():
            add(f"{name}.fraction", "", "fraction of the light of all components", flux / total)


def component_flux(
    profile: RadialProfile | PointProfile, named: dict[str, Tensor], zero_point: PerGalaxy
) -> PerGalaxy:
    """Total flux (galaxy,) of a component."""
    amplitude = named[profile.amplitude][:, 0]
    if profile.amplitude == "magnitude":
        return 10 ** (-0.4 * (amplitude - zero_point))
    if profile.amplitude == "flux" or isinstance(profile, PointProfile):
        return amplitude
    shape = {parameter.name: named[parameter.name] for parameter in profile.parameters}
    total = profile.total(**shape)[:, 0] * named["axis_ratio"][:, 0]
    return amplitude * total * superellipse_area(named["boxiness"][:, 0])
