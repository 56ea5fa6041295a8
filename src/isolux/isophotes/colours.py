"""Profiles of several bands along the isophotes of one of them, and the colours between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.isophotes.carry import carried
from isolux.isophotes.measure import measure_isophotes
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.profiles import Isophotes
from isolux.types import Points


@dataclasses.dataclass(frozen=True, eq=False)
class Colours:
    """Profiles by band, at the same semi-major axes in arcsec.

    Attributes
    ----------
    bands : dict of str to Isophotes
        The band that gave the isophotes first.
    """

    bands: dict[str, Isophotes]

    @property
    def reference(self) -> Isophotes:
        """The band that gave the isophotes."""
        return next(iter(self.bands.values()))

    def colour(self, one: str, two: str) -> tuple[Points, Points]:
        """Magnitudes (galaxy, radius) of ``one`` less ``two``, and their errors; NaN beyond the profile of either."""
        for name in (one, two):
            if name not in self.bands:
                raise unknown_name("band", name, self.bands)
        a, b = self.bands[one], self.bands[two]
        valid = a.valid & b.valid
        colour = torch.where(valid, a.surface_brightness - b.surface_brightness, torch.nan)
        error = torch.hypot(a.surface_brightness_error, b.surface_brightness_error)
        return colour, torch.where(torch.isfinite(colour), error, torch.nan)

    def table(self) -> Any:
        """A row a radius of the first band's profiles: brightness of each band, and each colour against the first.

        Returns
        -------
        astropy.table.QTable
            Columns ``id``, ``sma``, ``<band>``, ``<band>_err`` and ``<first>_<band>`` with ``_err``.
        """
        from astropy import units as u

        first = self.reference
        kept = first.valid.cpu().numpy()
        whole = first.table()
        table = whole["id", "sma", "sma_pixels"]
        unit = u.mag / u.arcsec**2

        def add(name: str, values: Points, unit: Any, meaning: str) -> None:
            table[name] = values.cpu().numpy()[kept] * unit
            table[name].info.description = meaning

        names = list(self.bands)
        for name, profile in self.bands.items():
            there = profile.valid
            for ending, values in (
                ("", profile.surface_brightness),
                ("_err", profile.surface_brightness_error),
            ):
                said = f"{'error of the ' if ending else ''}surface brightness in {name}"
                add(name + ending, torch.where(there, values, torch.nan), unit, said)
        for name in names[1:]:
            colour, error = self.colour(names[0], name)
            add(f"{names[0]}_{name}", colour, u.mag, f"{names[0]} - {name}")
            add(f"{names[0]}_{name}_err", error, u.mag, "one standard deviation")
        return table


def colour_profiles(
    batches: Mapping[str, Batch], options: IsophoteOptions | None = None, reference: str | None = None
) -> Colours:
    """Profiles of all bands along the isophotes of one.

    Parameters
    ----------
    batches : mapping of str to Batch
        The same galaxies in the same order in each band; on one grid of pixels, or with a WCS each.
    options : IsophoteOptions, optional
        How to measure.
    reference : str, optional
        The band that gives the isophotes; the first where left out.

    Raises
    ------
    InputError
        If there is no band, the reference is none of them, or the galaxies are not the same.
    """
    if not batches:
        raise InputError("colour profiles need at least one band")
    name = reference or next(iter(batches))
    if name not in batches:
        raise unknown_name("band", name, batches)
    first = measure_isophotes(batches[name], options)
    found = {name: first}
    for other, batch in batches.items():
        if other != name:
            found[other] = forced(first, batch, options)
    return Colours(found)


def forced(first: Isophotes, batch: Batch, options: IsophoteOptions | None = None) -> Isophotes:
    """Profiles of a band along the isophotes of another, at its semi-major axes in arcsec."""
    ellipses = carried(first, batch)
    scale = first.pixel_scale / torch.where(batch.usable, batch.pixel_scale.double(), first.pixel_scale)
    found = measure_isophotes(batch, options, ellipses=ellipses, sma=first.sma * scale[:, None])
    assert np.shape(found.sma) == np.shape(first.sma)
    return found
