"""What every survey's catalogue says of a galaxy, read from the columns of one of Isolux's.

Catalogues of stamps have the components of one model; those of fields the model that was chosen for each source. Of a
model with several components the light is all light, and the shape that of the component with most of it, galaxy by
galaxy; or both are those of one component that the caller names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from isolux.errors import InputError, unknown_name
from isolux.io.catalogue import Rows
from isolux.io.rows import numbers_of, text_of

NANOJANSKY = 31.4
"""AB magnitude of one nanojansky."""
SLOPE = 0.4 * np.log(10.0)
"""Relative change of a flux a magnitude."""


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """Galaxies as surveys describe them. Pairs are arrays (galaxy, 2) of a value and its standard deviation.

    Attributes
    ----------
    id, kind : numpy.ndarray
        (galaxy,) of text: its name; ``PSF``, ``REX``, ``EXP``, ``DEV``, ``SER``, ``COMP`` or nothing.
    ra, dec, pixel_scale : numpy.ndarray
        (galaxy,): degrees; arcsec.
    x, y : numpy.ndarray
        Pairs: pixels from 0.
    flux : mapping
        By band, pairs: nanojansky.
    radius, index, axis_ratio, angle, pa_sky : numpy.ndarray
        Pairs: half-light semi-major axis in arcsec; Sérsic index; b/a; degrees from +y; degrees east of north.
    shared : numpy.ndarray
        (galaxy,): covariance of the logarithms of radius and axis ratio; 0 where it is not known.
    chi2 : mapping
        By band, (galaxy,): chi-square over degrees of freedom.
    steps, status, flags : numpy.ndarray
        (galaxy,).
    radius_bound, index_bound, sky_fitted : numpy.ndarray
        (galaxy,) of bool: ended at a bound; a sky level was fitted.
    primary : numpy.ndarray or None
        (galaxy,) of bool.
    """

    id: np.ndarray
    kind: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    pixel_scale: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: Mapping[str, np.ndarray]
    radius: np.ndarray
    index: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    pa_sky: np.ndarray
    shared: np.ndarray
    chi2: Mapping[str, np.ndarray]
    steps: np.ndarray
    status: np.ndarray
    flags: np.ndarray
    radius_bound: np.ndarray
    index_bound: np.ndarray
    sky_fitted: np.ndarray
    primary: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.id)


class Columns:
    """The columns of rows as arrays."""

    def __init__(self, rows: Rows, pixel_scale: float | None) -> None:
        self.rows = rows
        self.names = set(rows.column_names)
        self.given_scale = pixel_scale

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, *names: str) -> bool:
        """Whether all are there."""
        return self.names.issuperset(names)

    def numbers(self, name: str, fill: float = np.nan) -> np.ndarray:
        """A column (galaxy,); ``fill`` where there is none."""
        if name not in self.names:
            return np.full(len(self), fill)
        return np.asarray(numbers_of(self.rows, name), dtype=np.float64)

    def text(self, name: str) -> np.ndarray:
        """A column (galaxy,) of text; empty where there is none."""
        return np.array(text_of(self.rows, name) if name in self.names else [""] * len(self), dtype=str)

    def pair(self, name: str, times: float = 1.0) -> np.ndarray:
        """A column with its error, (galaxy, 2); what was held fixed has no error."""
        values, errors = self.numbers(name), self.numbers(f"{name}_err")
        errors = np.where(self.text(f"{name}_mark") == "fixed", 0.0, errors)
        return times * np.stack([values, errors], 1)

    def integers(self, name: str) -> np.ndarray:
        """A column (galaxy,) of whole numbers; 0 where there is none."""
        return self.numbers(name, 0.0).astype(np.int64)

    def flux(self, name: str) -> np.ndarray:
        """Pairs in nanojansky of a column of magnitudes."""
        magnitude, error = self.pair(name).T
        value = 10 ** (0.4 * (NANOJANSKY - magnitude))
        return np.stack([value, value * SLOPE * error], 1)

    def bands(self, stem: str, band: str | None) -> dict[str, str]:
        """Band -> ending of its columns; that of a single band is empty.

        Raises
        ------
        InputError
            If the catalogue does not say its band and the caller does not either.
        """
        several = sorted(n.removeprefix(f"{stem}_") for n in self.names if n.startswith(f"{stem}_"))
        several = [name for name in several if name != "err" and f"{stem}_{name}_err" in self.names]
        ordered = [n.removeprefix(f"{stem}_") for n in self.rows.column_names]
        found = {name: f"_{name}" for name in ordered if name in several}
        if found and band is None:
            return found
        if found:
            if band not in found:
                raise unknown_name("band", band or "", found)
            return {str(band): f"_{band}"}
        if band is None:
            raise InputError(
                "the catalogue does not say its band, which the columns' names need: give band='r'"
            )
        return {band: ""}

    def common(self) -> dict[str, np.ndarray | None]:
        """What catalogues of all kinds say in the same columns."""
        scale = self.numbers(
            next((n for n in self.rows.column_names if n.startswith("pixel_scale")), "pixel_scale")
        )
        if self.given_scale is not None:
            scale = np.where(np.isfinite(scale), scale, self.given_scale)
        primary = self.numbers("primary", 0.0) > 0 if "primary" in self.names else None
        return {
            "id": self.text("id"),
            "ra": self.numbers("ra"),
            "dec": self.numbers("dec"),
            "pixel_scale": scale,
            "steps": self.integers("steps"),
            "status": self.integers("status"),
            "flags": self.integers("flags"),
            "primary": primary,
        }


def listed(names: Sequence[str]) -> str:
    """Names for a message."""
    return ", ".join(names) if names else "none"
