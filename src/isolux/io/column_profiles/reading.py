"""Rows of Isolux's catalogues as light: those of stamps by their components, those of fields by the best model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.io.column_profiles.components import of_stamps
from isolux.io.column_profiles.light import Columns, Light

FIELD = ("model", "magnitude", "effective_radius", "axis_ratio", "x", "y")
"""Columns by which the catalogue of a field is known."""
TYPES = {
    "point": "PSF",
    "exponential": "EXP",
    "sersic": "SER",
    "bulge+disc": "COMP",
    "sersic+point": "COMP",
    "": "",
}
"""Legacy Surveys' names of the models of fields."""


def light_of(
    rows: Rows, *, band: str | None = None, component: str | None = None, pixel_scale: float | None = None
) -> Light:
    """What rows of a catalogue say of their galaxies.

    Parameters
    ----------
    rows : Rows
        Of stamps or of a field.
    band : str, optional
        Name of the band, for a catalogue of one, which does not say it.
    component : str, optional
        The component that is meant, of a model with several.
    pixel_scale : float, optional
        Arcsec, for catalogues that do not say it: those of fields.

    Raises
    ------
    InputError
        If the rows hold no light that a survey's columns could describe, or it is not clear of which band.
    """
    columns = Columns(rows, pixel_scale)
    if columns.has(*FIELD):
        if component is not None:
            raise InputError("component: catalogues of fields have one model a source, and no", component)
        return _of_field(columns, columns.bands("magnitude", band))
    return of_stamps(columns, band, component)


def _of_field(columns: Columns, bands: Mapping[str, str]) -> Light:
    """The best model of each source."""
    chosen = columns.text("model")
    sky = columns.pair("pa_sky")
    angle = columns.pair("position_angle")
    sky[:, 1] = angle[:, 1]
    known = columns.common()
    return Light(
        **known,  # type: ignore[arg-type]
        kind=np.array([TYPES.get(name, "") for name in chosen], dtype=str),
        x=columns.pair("x"),
        y=columns.pair("y"),
        flux={band: columns.flux(f"magnitude{end}") for band, end in bands.items()},
        radius=columns.pair("effective_radius"),
        index=columns.pair("sersic_index"),
        axis_ratio=columns.pair("axis_ratio"),
        angle=angle,
        pa_sky=sky,
        shared=np.zeros(len(columns)),
        chi2={band: columns.numbers("reduced_chi2") for band in bands},
        radius_bound=np.zeros(len(columns), bool),
        index_bound=np.zeros(len(columns), bool),
        sky_fitted=np.ones(len(columns), bool),
    )
