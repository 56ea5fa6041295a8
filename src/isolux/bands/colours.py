"""Magnitudes of components in all bands, and their differences: colours.

Magnitudes of a galaxy in two bands share the errors of its structure, which drop out of their difference:

    var(m_1 - m_2) = var(m_1) + var(m_2) - 2 cov(m_1, m_2)
"""

from __future__ import annotations

import dataclasses

import torch

from isolux.derived import derived_slopes
from isolux.errors import unknown_name
from isolux.scene import Scene
from isolux.types import PerGalaxy, Tensor, Values
from isolux.uncertainty import carried


@dataclasses.dataclass(frozen=True)
class Magnitudes:
    """Total AB magnitudes.

    Attributes
    ----------
    components, bands : tuple of str
        What the axes stand for; ``total`` is the light of all components where there are several.
    values : Tensor
        (galaxy, component, band).
    covariance : Tensor or None
        (galaxy, component, band, band); None where there is none.
    """

    components: tuple[str, ...]
    bands: tuple[str, ...]
    values: Tensor
    covariance: Tensor | None

    def colour(self, first: str, second: str, component: str) -> tuple[PerGalaxy, PerGalaxy]:
        """Magnitude in the first band less that in the second (galaxy,), and its error.

        Raises
        ------
        InputError
            For a band or component that does not exist.
        """
        for kind, name, known in (
            ("band", first, self.bands),
            ("band", second, self.bands),
            ("component with light", component, self.components),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        c, one, two = self.components.index(component), self.bands.index(first), self.bands.index(second)
        value = self.values[:, c, one] - self.values[:, c, two]
        if self.covariance is None:
            return value, torch.full_like(value, torch.nan)
        matrix = self.covariance[:, c]
        variance = matrix[:, one, one] + matrix[:, two, two] - 2 * matrix[:, one, two]
        return value, torch.sqrt(torch.where(variance >= 0, variance, torch.nan))

    def select(self, rows: list[int]) -> Magnitudes:
        """Those of some galaxies."""
        covariance = None if self.covariance is None else self.covariance[rows]
        return dataclasses.replace(self, values=self.values[rows], covariance=covariance)


def magnitudes_of(
    scene: Scene, values: Values, slopes: Tensor, zero_point: PerGalaxy, pixel_scale: PerGalaxy
) -> tuple[tuple[str, ...], Values, Tensor]:
    """Components, magnitudes (galaxy, component) in a band and their slopes (galaxy, component, unknown).

    ``slopes`` (galaxy, parameter, unknown) are those of the band's parameters.
    """
    quantities, derived, by_value = derived_slopes(scene, values, zero_point, pixel_scale)
    place = {quantity.name: k for k, quantity in enumerate(quantities)}
    parameters = {name: k for k, name in enumerate(scene.columns)}
    names, found, rows = [], [], []
    for component in (*scene.components, "total"):
        name = f"{component}.magnitude"
        if name in parameters:
            found.append(values[:, parameters[name]])
            rows.append(slopes[:, parameters[name]])
        elif name in place:
            found.append(derived[:, place[name]])
            rows.append((torch.nan_to_num(by_value[:, place[name], None]) @ torch.nan_to_num(slopes))[:, 0])
        else:
            continue
        names.append(component)
    empty = values[:, :0]
    return (
        tuple(names),
        torch.stack(found, 1) if found else empty,
        torch.stack(rows, 1) if rows else slopes[:, :0],
    )


def gather(
    bands: tuple[str, ...], parts: list[tuple[tuple[str, ...], Values, Tensor]], free: Tensor | None
) -> Magnitudes:
    """The magnitudes of all bands; ``free`` (galaxy, unknown, unknown) is the covariance of the unknowns."""
    values = torch.stack([part[1] for part in parts], 2)
    if free is None:
        return Magnitudes(parts[0][0], bands, values, None)
    slopes = torch.stack([part[2] for part in parts], 2)
    dark = torch.isnan(values)
    matrices = [carried(slopes[:, c], free) for c in range(values.shape[1])]
    shape = (*values.shape, values.shape[2])
    covariance = torch.stack(matrices, 1) if matrices else values.new_zeros(shape)
    return Magnitudes(
        parts[0][0], bands, values, torch.where(dark[..., None] | dark[..., None, :], torch.nan, covariance)
    )
