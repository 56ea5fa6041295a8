"""The truth of simulated fields beside what was measured: the nearest true source within one width of the PSF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Column, QTable
from scipy.spatial import cKDTree

from isolux.errors import InputError
from isolux.io.tables import plain_column, read_table

COLUMNS = {
    "ra": "deg",
    "dec": "deg",
    "magnitude": "mag",
    "effective_radius": "arcsec",
    "sersic_index": "",
    "axis_ratio": "",
    "position_angle": "deg",
    "bulge_fraction": "",
}
"""Columns of the catalogue whose truth is kept, with their units."""
OTHER_NAMES = {
    "effective_radius": ("half_light_radius",),
    "axis_ratio": ("disc_axis_ratio",),
    "position_angle": ("disc_position_angle",),
}
"""What stands in where a source has no such number."""


def truth_columns(bands: Sequence[str]) -> dict[str, str]:
    """Names of the columns that truth adds, with their units."""
    further = {f"truth_magnitude_{band}": "mag" for band in bands} if len(bands) > 1 else {}
    return {f"truth_{name}": unit for name, unit in COLUMNS.items()} | further


def add_truth(
    table: QTable, path: str, bands: Sequence[str], place: tuple[np.ndarray, np.ndarray], fwhm: float
) -> None:
    """Put the truth of each source into the catalogue of a field; NaN for those that match none.

    Parameters
    ----------
    table : QTable
        The catalogue; it is changed.
    path : str
        The truth; empty for none.
    bands : sequence of str
        Names of the bands, the first one first.
    place : (numpy.ndarray, numpy.ndarray)
        x and y (source,) in pixels.
    fwhm : float
        Of the PSF in pixels: within it a source is looked for.
    """
    columns = truth_columns(bands)
    found = {name: np.full(len(table), np.nan) for name in columns}
    kind = np.full(len(table), "", dtype="U16")
    if path and len(table):
        truth = read_table(path)
        band = bands[0] if bands else ""
        x, y = (_named(truth, axis, band) for axis in "xy")
        if x is None or y is None:
            raise InputError(f"{path}: has no columns x and y of sources", tuple(truth.colnames)[:8])
        rows, true = matches(*place, x, y, fwhm)
        for name, values in _numbers(truth, bands).items():
            found[f"truth_{name}"][rows] = values[true]
        if "kind" in truth.colnames:
            kind[rows] = np.array(truth["kind"])[true]
    for name, values in found.items():
        said = name.removeprefix("truth_").replace("_", " ")
        table[name] = Column(values, unit=columns[name] or None, description=f"true {said}")
    table["truth_kind"] = Column(kind, description="what the true source is; empty where none is near")


def matches(
    x: np.ndarray, y: np.ndarray, true_x: np.ndarray, true_y: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of sources and of true sources that belong together: the nearest pairs first, each once.

    Parameters
    ----------
    x, y, true_x, true_y : numpy.ndarray
        (source,) and (true source,): places in one unit.
    reach : float
        The farthest distance of a pair.
    """
    here, there = np.stack([x, y], 1), np.stack([true_x, true_y], 1)
    known, real = np.flatnonzero(np.isfinite(here).all(1)), np.flatnonzero(np.isfinite(there).all(1))
    if not len(known) or not len(real) or not reach > 0:
        return np.zeros(0, int), np.zeros(0, int)
    pairs = cKDTree(here[known]).sparse_distance_matrix(cKDTree(there[real]), reach, output_type="ndarray")
    rows: list[int] = []
    true: list[int] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for pair in np.sort(pairs, order=("v", "i", "j")):
        row, other = int(known[pair["i"]]), int(real[pair["j"]])
        if row not in taken[0] and other not in taken[1]:
            taken[0].add(row)
            taken[1].add(other)
            rows.append(row)
            true.append(other)
    return np.array(rows, int), np.array(true, int)


def _numbers(truth: QTable, bands: Sequence[str]) -> Mapping[str, np.ndarray]:
    """True values (true source,) by the catalogue's names."""
    band = bands[0] if bands else ""
    found: dict[str, np.ndarray] = {}
    for name in COLUMNS:
        values = _named(truth, name, band)
        for other in OTHER_NAMES.get(name, ()):
            second = _named(truth, other, band)
            if second is not None:
                values = second if values is None else np.where(np.isfinite(values), values, second)
        if values is not None:
            found[name] = values
    bulge = _named(truth, "bulge_magnitude", band)
    if "bulge_fraction" not in found and bulge is not None and "magnitude" in found:
        found["bulge_fraction"] = 10 ** (-0.4 * (bulge - found["magnitude"]))
    for further in bands if len(bands) > 1 else ():
        values = _named(truth, "magnitude", further)
        if values is not None:
            found[f"magnitude_{further}"] = values
    return found


def _named(truth: QTable, name: str, band: str) -> Any:
    """Numbers of a column, that of the band first; None where there is none."""
    wanted = next((n for n in (f"{name}_{band}", name) if n in truth.colnames), None)
    if wanted is None:
        return None
    values = plain_column(truth, wanted)[0]
    return values.astype(np.float64) if values.dtype.kind in "fiu" else None
