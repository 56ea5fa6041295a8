"""Fluxes and radii of a galaxy from its light in circles and in ellipses."""

from __future__ import annotations

import torch

from isolux.nonparametric import concentration as shares
from isolux.nonparametric import petrosian
from isolux.nonparametric.sheet import Sheet
from isolux.nonparametric.view import View
from isolux.types import PerGalaxy


def write_light(circle: View, ellipse: View, sheet: Sheet) -> None:
    """Fluxes and radii."""
    values, errors = sheet.values, sheet.errors
    for ending, view in (("", ellipse), ("_circular", circle)):
        end, loose = view.reach(petrosian.EXTENT), petrosian.EXTENT * view.petrosian_error
        _flux(view, end, loose, f"petrosian_flux{ending}", sheet)
        values[f"petrosian_radius{ending}"] = view.petrosian / view.stretch
        errors[f"petrosian_radius{ending}"] = view.petrosian_error / view.stretch
    growth, end = ellipse.growth, ellipse.reach(petrosian.EXTENT)
    limit, loose = (
        torch.where(torch.isfinite(end), end, growth.last),
        petrosian.EXTENT * ellipse.petrosian_error,
    )
    radius, error = petrosian.kron_radius(growth, limit, loose)
    times = petrosian.KRON_EXTENT
    _flux(ellipse, (times * radius).minimum(growth.last), times * error, "kron_flux", sheet)
    values["kron_radius"], errors["kron_radius"] = radius / ellipse.stretch, error / ellipse.stretch
    loose = shares.TOTAL * circle.petrosian_error
    radii, covariance = shares.light_radii(circle.growth, circle.reach(shares.TOTAL), loose)
    for k, name in enumerate(("r20", "r50", "r80", "r90")):
        values[name], errors[name] = radii[:, k], torch.sqrt(covariance[:, k, k].clamp_min(0))
    values["concentration"], errors["concentration"] = shares.concentration(radii, covariance)


def _flux(view: View, end: PerGalaxy, loose: PerGalaxy, name: str, sheet: Sheet) -> None:
    """The flux within a radius (galaxy,), NaN where that is; with the noise within and the error of the radius."""
    radius = end.nan_to_num(1.0)[:, None]
    sheet.values[name] = torch.where(torch.isfinite(end), view.growth.at(radius)[:, 0], torch.nan)
    moved = view.growth.slope(radius)[:, 0] * loose.nan_to_num(0.0)
    sheet.errors[name] = torch.sqrt(view.growth.noise(radius)[:, 0] + moved**2)
