"""A component's parameters on another grid: values' = L values + k, for every parameter of a scene."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from isolux.bands.grids import Grids
from isolux.errors import InputError
from isolux.parameter_map import ParameterMap
from isolux.parameters import Free, Parameter
from isolux.scene import Scene
from isolux.types import PerGalaxy, Tensor, Values


def is_position(name: str, parameter: Parameter) -> bool:
    """Whether a parameter is a coordinate of a centre."""
    return parameter.unit == "pixel" and name.rpartition(".")[2] in ("x", "y")


def is_structure(parameter: Parameter) -> bool:
    """Whether a parameter's number depends on the grid that it is measured on."""
    return parameter.unit in ("pixel", "deg")


def carrying(scene: Scene, grids: Grids, flux: PerGalaxy, shared: Sequence[str]) -> tuple[Tensor, Tensor]:
    """L (galaxy, parameter, parameter) and k (galaxy, parameter) of a change of grids.

    Parameters
    ----------
    scene : Scene
        Whose parameters.
    grids : Grids
        From the first grid to the second.
    flux : Tensor
        (galaxy,): the second image's units in one of the first.
    shared : sequence of str
        Flux-like parameters whose values are carried; others stay as they are.
    """
    columns = scene.columns
    declared = [entry for entry in scene.parameters for _ in range(entry.parameter.size)]
    galaxies, count = len(flux), len(columns)
    linear = torch.eye(count, dtype=torch.float64).repeat(galaxies, 1, 1)
    constant = torch.zeros(galaxies, count, dtype=torch.float64)
    place = {name: k for k, name in enumerate(columns)}
    for k, entry in enumerate(declared):
        name, parameter = entry.full_name, entry.parameter
        if is_position(name, parameter):
            axis = "xy".index(name[-1])
            constant[:, k] = grids.shift[:, axis]
            linear[:, k, k] = grids.matrix[:, axis, axis]
            partner = place.get(name[:-1] + "yx"[axis])
            if partner is not None:
                linear[:, k, partner] = grids.matrix[:, axis, 1 - axis]
        elif parameter.unit == "pixel":
            linear[:, k, k] = grids.scale
        elif parameter.unit == "deg":
            linear[:, k, k] = grids.parity
            constant[:, k] = grids.turn
        elif parameter.scales_with_flux and name in shared:
            power = {"flux": 0, "flux/pixel2": -2, "flux/pixel3": -3}[parameter.unit]
            linear[:, k, k] = flux * grids.scale**power
    return linear, constant


def check_pairs(scene: Scene, grids: Sequence[Grids]) -> None:
    """Refuse centres of which one coordinate alone is free where grids are turned."""
    if not any(bool(grid.turned.any()) for grid in grids):
        return
    settings = {entry.full_name: type(entry.setting) for entry in scene.parameters}
    for name, kind in settings.items():
        partner = name[:-1] + "y"
        if name.endswith(".x") and partner in settings and (kind is Free) != (settings[partner] is Free):
            raise InputError(f"{name} and {partner}: where pixel grids are turned, both are free or neither")


def in_solver(
    first: ParameterMap, second: ParameterMap, linear: Tensor, constant: Tensor
) -> tuple[Tensor, Tensor]:
    """The same change (galaxy, free, free), (galaxy, free) for the numbers that the solver moves."""
    free = list(first.free)
    log = torch.tensor([first.log[column] for column in free])
    block, shift = linear[:, free][:, :, free], constant[:, free]
    one, two = (parameters.scale.cpu()[:, free] for parameters in (first, second))
    turn = block * one[:, None, :] / two[:, :, None]
    stretch = torch.diagonal(block, dim1=1, dim2=2)
    turn = torch.where(log[:, None] | log[None, :], torch.eye(len(free)).to(turn), turn)
    return turn, torch.where(log, torch.log(torch.where(log, stretch, 1.0)), shift / two)


def carry(values: Values, linear: Tensor, constant: Tensor) -> Values:
    """Values (galaxy, parameter) on the second grid; NaN stays in its own column."""
    missing = torch.isnan(values)
    found = (linear @ torch.nan_to_num(values)[..., None])[..., 0] + constant
    return torch.where(missing, torch.nan, found)


def back(linear: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse change."""
    inverse = torch.linalg.inv(linear)
    return inverse, -(inverse @ constant[..., None])[..., 0]
