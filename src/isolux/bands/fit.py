"""Fit a scene to several bands at once: starting values -> one joint problem -> errors -> a result for each band."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import torch

from isolux.bands.assemble import assemble
from isolux.bands.carry import check_pairs
from isolux.bands.frames import find_frames
from isolux.bands.layout import Layout, lay_out
from isolux.bands.problem import JointFit, pose
from isolux.bands.result import BandsResult
from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.parameter_map import MOST_LINEARISED
from isolux.parameters import Free
from isolux.retry import retry
from isolux.scene import Scene
from isolux.solve import LevenbergMarquardt, Solution
from isolux.types import Rows
from isolux.uncertainty import Solver

NAME = re.compile(r"[\w+-]+")
SUFFIXES = ("err", "mark", "p16", "p50", "p84", "cheb", "sky")
"""What columns of tables end in for other reasons."""
BandErrors: TypeAlias = Literal["covariance", "none"]


def fit_bands(
    batches: Mapping[str, Batch],
    scene: Scene,
    *,
    wavelengths: Mapping[str, float] | None = None,
    degrees: Mapping[str, int] | None = None,
    reference: str | None = None,
    geometry: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    solver: Solver | None = None,
    errors: BandErrors = "covariance",
) -> BandsResult:
    """Fit every galaxy in all bands at the same time.

    Magnitudes (fluxes) and the sky have a value of their own in each band; all else is the same in all bands, or a
    polynomial in wavelength of the degree that ``degrees`` says.

    Parameters
    ----------
    batches : mapping of str to Batch
        The same galaxies, by id and in the same order, in two or more bands. Pixel scales, orientations, stamp sizes,
        zero points and PSFs may differ.
    scene : Scene
        The model. Numbers and bounds in it are in the reference band's pixels; ties hold within each band.
    wavelengths : mapping of str to float, optional
        Of each band, in any unit; needed for polynomials, that is degrees other than 0 and bands - 1.
    degrees : mapping of str to int, optional
        Degree of the polynomial by full name (``disc.effective_radius``) or, for all components, by the parameter's
        own (``effective_radius``). 0 is the same in all bands, bands - 1 a value of its own in each.
    reference : str, optional
        Band in whose pixels positions, sizes and angles are given and counted; the first if left out.
    geometry : mapping, optional
        For each band but the reference (2, 3) or (galaxy, 2, 3): how its pixels follow from the reference band's,
        x' = M (x, y) + t, M and t side by side; NaN for galaxies that the band does not show. From the stamps' WCSs
        where left out.
    start : mapping or table, optional
        Starting values as for :func:`isolux.fit`, in the reference band's pixels; a name ending in a band's
        (``disc.magnitude_g``) is for that band alone, in its own pixels.
    solver : LevenbergMarquardt or FirstOrder, optional
        Levenberg-Marquardt with its defaults if left out.
    errors : {"covariance", "none"}
        From J^T W J of all bands at the best fit, or not at all.

    Returns
    -------
    BandsResult
        One row a galaxy, in the batches' order, whatever happened to it. A band that cannot be used for a galaxy
        is left out of its fit, and the galaxy flagged ``BAND_MISSING``.

    Raises
    ------
    InputError
        If the bands do not hold the same galaxies, a name is unknown, a degree or an option is out of range, or
        nothing says how the bands' pixels lie.
    """
    clock = time.perf_counter()
    reference = _check(batches, wavelengths, reference, errors)
    least = _unknowns(scene)
    frames = find_frames(batches, reference, geometry, least)
    check_pairs(scene, frames.grids)
    lengths = None if wavelengths is None else [float(wavelengths[name]) for name in batches]
    layout = lay_out(scene, frames.present, lengths, degrees or {})
    if len(layout.column) > MOST_LINEARISED:
        raise InputError("too many unknowns in all bands", len(layout.column), f"{MOST_LINEARISED} at most")
    fit = pose(batches, scene, frames, layout, start)
    rows = torch.tensor(fit.fate.fittable, dtype=torch.int64, device=fit.problem.owner.device)
    solution = _solve(fit, rows, solver or LevenbergMarquardt())
    return assemble(
        fit,
        rows,
        solution,
        wanted=errors != "none",
        wavelengths=wavelengths,
        reference=reference,
        clock=clock,
    )


def _check(
    batches: Mapping[str, Batch],
    wavelengths: Mapping[str, float] | None,
    reference: str | None,
    errors: BandErrors,
) -> str:
    """Refuse what cannot be meant; the reference band."""
    if len(batches) < 2:
        raise InputError("fit_bands needs two bands or more; for one there is fit", list(batches))
    first = next(iter(batches))
    for name, batch in batches.items():
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in SUFFIXES:
            raise InputError(
                "name of a band", name, "letters, digits, + and -; not one of " + ", ".join(SUFFIXES)
            )
        if not isinstance(batch, Batch):
            raise InputError(f"band {name!r} is not a Batch", type(batch).__name__)
        if batch.id != batches[first].id:
            odd = sorted(set(batch.id) ^ set(batches[first].id))
            what = (
                f"galaxies of one band alone: {', '.join(odd[:5])}"
                if odd
                else "another order of the galaxies"
            )
            raise InputError(
                f"bands {first!r} and {name!r} must hold the same galaxies in the same order; {what}"
            )
        if batch.image.device != batches[first].image.device:
            raise InputError(f"bands {first!r} and {name!r} are on different devices")
    if reference is not None and reference not in batches:
        raise unknown_name("reference band", reference, batches)
    if errors not in get_args(BandErrors):
        raise InputError("errors", errors, ", ".join(get_args(BandErrors)))
    if wavelengths is not None:
        _check_wavelengths(batches, wavelengths)
    return reference or first


def _check_wavelengths(batches: Mapping[str, Batch], wavelengths: Mapping[str, float]) -> None:
    for name in wavelengths:
        if name not in batches:
            raise unknown_name("band in wavelengths", name, batches)
    for name in batches:
        if name not in wavelengths:
            raise InputError(f"wavelengths: none for band {name!r}", sorted(wavelengths))
        if not 0 < float(wavelengths[name]) < float("inf"):
            raise InputError(f"wavelength of band {name!r}", wavelengths[name], "a finite number above 0")
    if len({float(wavelengths[name]) for name in batches}) < len(batches):
        raise InputError("two bands have the same wavelength", dict(wavelengths))


def _unknowns(scene: Scene) -> int:
    """Free parameters of a scene; refuses those that cannot be fitted here."""
    free = [entry for entry in scene.parameters if isinstance(entry.setting, Free)]
    if not free:
        raise InputError("nothing to fit: every parameter of the scene is fixed or tied")
    for entry in free:
        if entry.parameter.size > 1:
            raise InputError(f"{entry.full_name} is a vector: fit_bands needs scalar parameters")
    return len(free)


def _solve(fit: JointFit, rows: Rows, solver: Solver) -> Solution:
    """Solve for the galaxies in ``rows``."""
    theta = fit.begin[rows]
    if len(rows) == 0:
        empty = theta.new_zeros(0)
        return Solution(theta, empty, None, empty.long(), empty.long())
    problem = dataclasses.replace(fit.problem, owner=rows)
    return retry(problem, solver.solve(problem, theta), solver, _shapes(fit.layout))


def _shapes(layout: Layout) -> list[tuple[int, int]]:
    """Places among the unknowns of the axis ratio and the angle of each component, node by node."""
    unknowns = zip(layout.column.tolist(), layout.order.tolist(), strict=True)
    place = {(layout.names[column], order): k for k, (column, order) in enumerate(unknowns)}
    pairs = []
    for (name, order), k in place.items():
        if name.endswith(".axis_ratio"):
            angle = name.removesuffix("axis_ratio") + "position_angle"
            nearest = [place[angle, j] for j in range(order + 1) if (angle, j) in place]
            pairs += [(k, nearest[-1])] if nearest else []
    return pairs
