"""Forced photometry: the light of galaxies in an image, with centres and shapes known from another.

With all else held, the model is linear in fluxes and sky, so that normal equations give the best fit at once and its
errors are exact. Fluxes may come out negative, as they must for the mean of many faint ones to be right; magnitudes of
those are NaN.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isolux.bands.carry import carry, carrying, is_position
from isolux.bands.grids import Grids, from_wcs
from isolux.bands.layout import by_band
from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.fit import fit, problems_of
from isolux.information import lots
from isolux.loss import SQUARED
from isolux.parameters import Fixed, Free, PlacedParameter, Tied
from isolux.profiles.base import Profile
from isolux.result import Result
from isolux.scene import Scene
from isolux.status import Flag
from isolux.types import Tensor

LEAST = 1e-8
"""Information on a flux, in units of a pixel's noise, below which the image does not show the galaxy at all."""
REACH = 5.0
"""Pixels around a galaxy's centre over which two grids are compared."""


def forced(
    batch: Batch,
    scene: Scene,
    shapes: Result | Mapping[str, Any],
    *,
    geometry: Any = None,
    **options: Any,
) -> Result:
    """Measure the light of galaxies whose centres and shapes are known.

    Parameters
    ----------
    batch : Batch
        The images to be measured.
    scene : Scene
        The model that the shapes belong to; its free fluxes and sky are fitted, magnitudes as fluxes.
    shapes : Result or mapping
        A fit of the same galaxies, by id, in another image (:attr:`BandsResult.bands` holds some); its centres, sizes
        and angles are carried to the batch's pixels. Or arrays (galaxy,) by full parameter name, in the batch's own
        pixels and order.
    geometry : array, optional
        (2, 3) or (galaxy, 2, 3): from the pixels of the shapes to the batch's, x' = M (x, y) + t, M and t side by
        side. From both WCSs where left out; without any, pixels of the same scale are taken to be the same.
    **options
        Of :func:`isolux.fit`, such as ``errors``.

    Returns
    -------
    Result
        One row a galaxy. Errors are those of fluxes and sky alone, for shapes taken as exact. A galaxy without a
        shape has status ``BAD_START``; one that lies outside its stamp is flagged ``OFF_CENTRE``, and its flux NaN
        where no light of it can reach the stamp.

    Raises
    ------
    InputError
        If nothing is left to fit, no galaxy has a shape, a name is unknown, or nothing says how the pixels lie.
    """
    held = with_shapes_held(scene)
    if not any(isinstance(entry.setting, Free) for entry in held.parameters):
        raise InputError("nothing to fit: no flux and no sky of the scene is free")
    known = _carried(batch, held, shapes, geometry) if isinstance(shapes, Result) else _given(held, shapes)
    return _without_unseen(fit(batch, held, start=_solved(batch, held, known), **options))


def _without_unseen(result: Result) -> Result:
    """The result with NaN for fluxes and skies that the image says nothing of, and what follows from them."""
    free = torch.tensor([kind == "free" for kind in result.kinds])
    unseen = torch.tensor([Flag.NO_COVARIANCE in flags for flags in result.flags])[:, None]
    dark = unseen & free & torch.isnan(result.errors)
    return dataclasses.replace(
        result,
        values=torch.where(dark, torch.nan, result.values),
        derived_values=torch.where(dark.any(1)[:, None], torch.nan, result.derived_values),
    )


def with_shapes_held(scene: Scene) -> Scene:
    """The scene with all that is free in it fixed, but fluxes and the sky; free magnitudes become fluxes."""
    ties = [entry.setting.to for entry in scene.parameters if isinstance(entry.setting, Tied)]
    linear = not any(callable(tie) or "magnitude" in tie for tie in ties)
    return Scene(**{name: _held(profile, linear) for name, profile in scene.components.items()})


def _held(profile: Profile, linear: bool) -> Profile:
    settings: dict[str, Any] = {}
    for short, (parameter, setting) in profile.settings.items():
        entry = PlacedParameter(short, parameter, setting)
        if isinstance(setting, Free) and short == "magnitude" and linear:
            settings["flux"] = Free()
        elif isinstance(setting, Free) and not by_band(entry):
            settings[short] = Fixed(None)
        elif not (parameter.fixed and isinstance(setting, Fixed) and setting.value == parameter.default):
            settings[short] = setting
    return profile.with_settings(**settings)


def _needed(scene: Scene) -> list[str]:
    """Full names of the parameters whose values only the shapes tell."""
    return [
        entry.full_name
        for entry in scene.parameters
        if isinstance(entry.setting, Fixed) and entry.setting.value is None
    ]


def _given(scene: Scene, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's numbers."""
    names = [entry.full_name for entry in scene.parameters]
    given = {name: shapes[name] for name in getattr(shapes, "colnames", None) or shapes}
    for name in _needed(scene):
        if name not in given:
            raise unknown_name("shape: there is no column", name, given)
    return {name: value for name, value in given.items() if name in names}


def _carried(batch: Batch, scene: Scene, shapes: Result, geometry: Any) -> dict[str, Tensor]:
    """The shapes in the batch's pixels and order; NaN for galaxies without one."""
    place = {name: k for k, name in enumerate(shapes.id)}
    rows = torch.tensor([place.get(name, -1) for name in batch.id])
    if not bool((rows >= 0).any()):
        raise InputError("no galaxy of the batch has a shape; ids", batch.id[:3], shapes.id[:3])
    known = [quantity.name for quantity in shapes.columns]
    values = torch.full((len(batch), len(scene.columns)), torch.nan, dtype=torch.float64)
    for name in _needed(scene):
        if name not in known:
            raise unknown_name("shape: there is no column", name, known)
    held = [
        entry.full_name
        for entry in scene.parameters
        if isinstance(entry.setting, Fixed) and not by_band(entry) and entry.full_name in known
    ]
    for name in held:
        found = shapes.values[rows, known.index(name)].double()
        values[:, scene.columns.index(name)] = torch.where(rows >= 0, found, torch.nan)
    grids = _grids(batch, scene, shapes, rows, values, geometry)
    linear, constant = carrying(scene, grids.or_identity(grids.known), torch.ones(len(batch)), ())
    carried = torch.where(grids.known[:, None], carry(values, linear, constant), torch.nan)
    return {name: carried[:, scene.columns.index(name)] for name in held}


def _grids(batch: Batch, scene: Scene, shapes: Result, rows: Tensor, values: Tensor, geometry: Any) -> Grids:
    """From the pixels of the shapes to the batch's."""
    galaxies = len(batch)
    if geometry is not None:
        affine = torch.as_tensor(geometry, dtype=torch.float64)
        if affine.shape not in ((2, 3), (1, 2, 3), (galaxies, 2, 3)):
            raise InputError("geometry: its shape", tuple(affine.shape), f"(2, 3) or ({galaxies}, 2, 3)")
        return Grids.of(affine.expand(galaxies, 2, 3))
    centre = [
        scene.columns.index(entry.full_name)
        for entry in scene.parameters
        if is_position(entry.full_name, entry.parameter) and isinstance(entry.setting, Fixed)
    ][:2]
    found = np.full((galaxies, 2, 3), np.nan)
    without = 0
    for k, row in enumerate(rows.tolist()):
        one = shapes.wcs[row] if row >= 0 and shapes.wcs else None
        two = batch.wcs[k]
        if one is not None and two is not None:
            middle = values[k, centre].numpy()
            if np.isfinite(middle).all():
                found[k] = from_wcs(one, two, middle, REACH)
        elif row >= 0 and one is None and two is None and _same_scale(batch, shapes, k, row):
            found[k] = [[1, 0, 0], [0, 1, 0]]
        elif row >= 0:
            without += 1
    if without == int((rows >= 0).sum()):
        raise InputError("pixels of other scales need a WCS in both images, or geometry=")
    return Grids.of(torch.as_tensor(found))


def _same_scale(batch: Batch, shapes: Result, k: int, row: int) -> bool:
    return float(batch.pixel_scale[k]) == float(shapes.pixel_scale[row])


def _solved(batch: Batch, scene: Scene, known: Mapping[str, Any]) -> dict[str, Any]:
    """All values, fluxes and sky from the normal equations; where those have no answer, estimates from the image."""
    problem, _ = problems_of(batch, scene, known, SQUARED, ())
    parameters = problem.parameters
    if not all(
        entry.parameter.scales_with_flux for entry in scene.parameters if isinstance(entry.setting, Free)
    ):
        return dict(known)
    theta = parameters.to_theta(parameters.values).nan_to_num(0.0)
    parts = lots(len(theta), problem.lot, theta.device)
    found = [problem.linearise(theta[part], part) for part in parts]
    hessian = torch.cat([part.hessian for part in found])[: len(theta)]
    gradient = torch.cat([part.gradient for part in found])[: len(theta)]
    scale = torch.diagonal(hessian, dim1=1, dim2=2).clamp_min(1e-300).rsqrt()
    unit = hessian * scale[:, :, None] * scale[:, None, :]
    right = (gradient * scale).nan_to_num(0.0)
    step, fault = torch.linalg.solve_ex(unit.nan_to_num(0.0), right[..., None])
    moved = theta + step[..., 0] * scale
    seen = (torch.diagonal(hessian, dim1=1, dim2=2) > LEAST).all(1)
    good = (fault == 0) & seen & torch.isfinite(moved).all(1)
    lower, upper = parameters.bounds()
    moved = torch.where(good[:, None], torch.clamp(moved, lower, upper), theta)
    values = parameters.expand(moved, torch.arange(len(theta), device=theta.device))
    names = [parameters.names[column] for column in parameters.free]
    found_values = {name: values[:, parameters.names.index(name)].cpu() for name in names}
    return {**known, **found_values}
