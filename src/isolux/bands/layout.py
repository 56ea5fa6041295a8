"""The unknowns of a fit of several bands: how many numbers each parameter has, and what they are in each band.

A parameter of degree d has d + 1 unknowns, its values in d + 1 of the bands in which the galaxy is seen
(:mod:`isolux.bands.polynomial`). A galaxy that is seen in fewer has a polynomial of lower degree; the unknowns that
are left over stay where they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from isolux.bands.polynomial import chebyshev, lagrange, nodes, scaled
from isolux.errors import InputError, unknown_name
from isolux.parameters import Free, PlacedParameter
from isolux.scene import Scene
from isolux.types import Rows, Tensor


@dataclasses.dataclass(frozen=True)
class Layout:
    """How unknowns become the parameters of each band, in the solver's variables.

    Attributes
    ----------
    names : tuple of str
        (free,): parameters that the fit moves.
    degree : tuple of int
        (free,): of the polynomial in wavelength.
    places : ndarray
        (band,): wavelengths scaled to -1 ... 1.
    column, order : Tensor
        (unknown,): the free parameter that each unknown belongs to, and the how manieth of its nodes it is.
    node : Tensor
        (galaxy, unknown): band in which it is the parameter's value; -1 where it is not used.
    weights : Tensor
        (galaxy, band, free, unknown): the parameters of a band as sums of unknowns.
    known : Tensor
        (galaxy, band, free) of bool: whether the unknowns tell the value in the band.
    """

    names: tuple[str, ...]
    degree: tuple[int, ...]
    places: np.ndarray
    column: Rows
    order: Rows
    node: Rows
    weights: Tensor
    known: Tensor

    @property
    def bands(self) -> int:
        """Number of bands."""
        return len(self.places)

    @property
    def separate(self) -> Tensor:
        """(free,) of bool: whether the parameter has a value of its own in each band."""
        return torch.tensor(self.degree) == self.bands - 1

    @property
    def used(self) -> Tensor:
        """(galaxy, unknown) of bool."""
        return self.node >= 0

    def series(self, free: int) -> Tensor:
        """Chebyshev coefficients (galaxy, order, unknown) of a parameter; NaN for orders that are not known."""
        own = [int(k) for k in torch.nonzero(self.column == free)[:, 0]]
        found = torch.zeros(len(self.node), len(own), len(self.column), dtype=torch.float64)
        for pattern in self.node[:, own].unique(dim=0):
            rows = torch.nonzero((self.node[:, own] == pattern).all(1))[:, 0]
            chosen = [int(k) for k in pattern if k >= 0]
            matrix = torch.full((len(own), len(own)), torch.nan, dtype=torch.float64)
            if chosen:
                matrix[: len(chosen)] = 0.0
                matrix[: len(chosen), : len(chosen)] = torch.as_tensor(chebyshev(self.places, chosen))
            found[rows[:, None], :, torch.tensor(own)[None]] = matrix.T
        return found


def lay_out(
    scene: Scene,
    present: Tensor,
    wavelengths: Sequence[float] | None,
    degrees: Mapping[str, int],
) -> Layout:
    """The layout for galaxies seen in some bands, ``present`` (galaxy, band) of bool.

    Raises
    ------
    InputError
        For degrees of unknown or fixed parameters or out of range, and polynomials without wavelengths.
    """
    galaxies, bands = present.shape
    entries = [entry for entry in scene.parameters if isinstance(entry.setting, Free)]
    degree = _degrees(scene, entries, bands, degrees)
    if wavelengths is None and any(0 < d < bands - 1 for d in degree):
        raise InputError("a polynomial in wavelength needs wavelengths=")
    places = scaled(list(range(bands)) if wavelengths is None else wavelengths)
    column = torch.tensor([c for c, d in enumerate(degree) for _ in range(d + 1)])
    order = torch.tensor([j for d in degree for j in range(d + 1)])
    node = torch.full((galaxies, len(column)), -1)
    weights = torch.zeros(galaxies, bands, len(degree), len(column), dtype=torch.float64)
    known = torch.zeros(galaxies, bands, len(degree), dtype=torch.bool)
    for pattern in present.unique(dim=0):
        rows = (present == pattern).all(1)
        if not bool(pattern.any()):
            continue
        for c, d in enumerate(degree):
            first = int((column < c).sum())
            chosen = nodes(places, pattern.numpy(), d + 1)
            matrix = _weights(places, chosen, d, pattern)
            node[rows, first : first + len(chosen)] = torch.tensor(chosen)
            weights[rows, :, c, first : first + len(chosen)] = matrix
            known[rows, :, c] = pattern | (d + 1 <= int(pattern.sum()))
    names = tuple(entry.full_name for entry in entries)
    return Layout(names, tuple(degree), places, column, order, node, weights, known)


def _weights(places: np.ndarray, chosen: Sequence[int], degree: int, pattern: Tensor) -> Tensor:
    """(band, node): the polynomial; in bands where it is not known, the value at the nearest node."""
    found = lagrange(places, chosen)
    if len(chosen) <= degree:
        for band in torch.nonzero(~pattern)[:, 0].tolist():
            nearest = int(np.argmin(np.abs(places[list(chosen)] - places[band])))
            found[band] = np.eye(len(chosen))[nearest]
    return torch.as_tensor(found)


def by_band(entry: PlacedParameter) -> bool:
    """Whether a parameter has its own value in each band unless its degree is given: light, and the sky."""
    return entry.parameter.unit == "mag" or entry.parameter.scales_with_flux


def _degrees(
    scene: Scene, entries: Sequence[PlacedParameter], bands: int, degrees: Mapping[str, int]
) -> list[int]:
    """The degree of each free parameter."""
    chosen = {entry.full_name: bands - 1 if by_band(entry) else 0 for entry in entries}
    every = {entry.full_name for entry in scene.parameters}
    known = every | {name.split(".", 1)[1] for name in every}
    for name, degree in degrees.items():
        if name not in known:
            raise unknown_name("parameter in degrees", name, known)
        meant = [full for full in chosen if name in (full, full.split(".", 1)[1])]
        if not meant:
            raise InputError(f"degrees: {name} is not free")
        if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree < bands:
            raise InputError(
                f"degrees: {name}", degree, f"a whole number from 0 to {bands - 1}, one less than bands"
            )
        chosen.update(dict.fromkeys(meant, degree))
    for entry in entries:
        if entry.parameter.unit == "flux/pixel3" and chosen[entry.full_name] != bands - 1:
            raise InputError(
                f"degrees: {entry.full_name} has its own value in each band",
                chosen[entry.full_name],
                bands - 1,
            )
    return [chosen[entry.full_name] for entry in entries]
