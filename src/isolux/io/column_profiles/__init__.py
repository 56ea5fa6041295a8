"""Catalogues in the columns of surveys: the DESI Legacy Imaging Surveys, Rubin and Euclid."""

from __future__ import annotations

from types import ModuleType
from typing import Literal, get_args

import numpy as np
import pyarrow

from isolux.errors import unknown_name
from isolux.io.catalogue import Rows
from isolux.io.column_profiles import euclid, legacy, rubin
from isolux.io.column_profiles.light import Light
from isolux.io.column_profiles.reading import light_of

Profile = Literal["isolux", "legacy", "rubin", "euclid"]
PROFILES: dict[str, ModuleType] = {"legacy": legacy, "rubin": rubin, "euclid": euclid}
"""Each with ``columns`` (of light), ``back`` (to Isolux's columns) and ``PLACE``, the columns of the position."""
OURS = {
    "id": "name of the galaxy in Isolux's catalogue",
    "status": "why the fit ended, in Isolux's codes; 0 converged",
    "flags": "sum of Isolux's remarks",
}
"""Columns of Isolux that every profile keeps, so that rows can be found in its catalogue."""


def check_profile(name: str) -> None:
    """See that a profile of columns is known.

    Raises
    ------
    InputError
        If it is not; the nearest is named.
    """
    if name not in get_args(Profile):
        raise unknown_name("columns", name, get_args(Profile))


def place_of(profile: str) -> tuple[str, str]:
    """The columns of right ascension and declination."""
    return PROFILES[profile].PLACE if profile in PROFILES else ("ra", "dec")


def convert(light: Light, profile: str, first: int = 0) -> Rows:
    """Rows in the columns of a survey.

    Parameters
    ----------
    light : Light
        The galaxies, as :func:`light_of` reads them from rows of Isolux.
    profile : str
        ``legacy``, ``rubin`` or ``euclid``.
    first : int
        Number of the first row in the whole catalogue.
    """
    arrays: list[pyarrow.Array] = []
    fields: list[pyarrow.Field] = []
    for name, values, unit, meaning in PROFILES[profile].columns(light, first):
        _add(arrays, fields, name, values, {"unit": unit, "description": meaning})
    kept = {"id": light.id, "status": light.status.astype(np.int32), "flags": light.flags.astype(np.int32)}
    for name, meaning in OURS.items():
        _add(arrays, fields, name, kept[name], {"description": meaning})
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def _add(
    arrays: list[pyarrow.Array],
    fields: list[pyarrow.Field],
    name: str,
    values: np.ndarray,
    notes: dict[str, str],
) -> None:
    array = (
        pyarrow.array(values.tolist(), pyarrow.string())
        if values.dtype.kind == "U"
        else pyarrow.array(values)
    )
    arrays.append(array)
    fields.append(
        pyarrow.field(name, array.type, metadata={key: text for key, text in notes.items() if text})
    )


__all__ = ["PROFILES", "Light", "Profile", "check_profile", "convert", "light_of", "place_of"]
