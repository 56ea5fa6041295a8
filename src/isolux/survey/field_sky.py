"""Fields that overlap: which of them a source belongs to.

A source that is measured in several fields has a row of each. One of them is the primary one: that of the field whose
middle is nearest, in units of the field's half-diagonal, among the fields whose outline holds the position. What a
worker needs for that, the outlines of the field and of those that it overlaps, is written down at planning.

Outlines are followed on the plane that touches the sphere in a field's middle, where great circles are straight.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

DIGITS = 8
"""Of coordinates in degrees: a few hundredths of a milliarcsecond."""
LARGEST = 80.0
"""Degrees from its middle that a field may reach."""


@dataclasses.dataclass(frozen=True, eq=False)
class Footprint:
    """Where a field is.

    Attributes
    ----------
    field : str
        Its name.
    centre : (float, float)
        Right ascension and declination of its middle in degrees.
    outline : sequence of (float, float)
        The same of places around it.
    """

    field: str
    centre: tuple[float, float]
    outline: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, field: str, centre: Any, outline: Any) -> Footprint:
        """A footprint with rounded coordinates, the same for everyone who reads it."""
        ra, dec = (round(float(value), DIGITS) for value in centre)
        around = [(round(float(a), DIGITS), round(float(d), DIGITS)) for a, d in outline]
        return cls(field, (ra, dec), around)

    @property
    def half_diagonal(self) -> float:
        """Degrees from the middle to the farthest place of the outline."""
        return float(separations(self.centre, np.array(self.outline)).max())

    def holds(self, places: np.ndarray) -> np.ndarray:
        """Which of the places (source, 2), in degrees, are inside the outline."""
        inside = separations(self.centre, places) < LARGEST
        corners = tangent(self.centre, np.array(self.outline))
        x, y = tangent(self.centre, np.where(inside[:, None], places, np.array(self.centre))).T
        odd = np.zeros(len(places), bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            between = (y0 > y) != (y1 > y)
            with np.errstate(divide="ignore", invalid="ignore"):
                odd ^= between & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return odd & inside

    def distance(self, places: np.ndarray) -> np.ndarray:
        """Distance of places (source, 2) from the middle, in half-diagonals."""
        return separations(self.centre, places) / self.half_diagonal


def neighbours(footprints: Sequence[Footprint]) -> list[list[int]]:
    """For each field the numbers of the others that it may overlap."""
    if not footprints:
        return []
    points = vectors(np.array([f.centre for f in footprints]))
    reach = np.radians([f.half_diagonal for f in footprints])
    tree = cKDTree(points)
    found: list[list[int]] = []
    for k in range(len(footprints)):
        chord = 2 * math.sin(min(reach[k] + reach.max(), math.pi) / 2)
        near = [j for j in sorted(tree.query_ball_point(points[k], chord * 1.000001)) if j != k]
        apart = 2 * np.arcsin(np.clip(np.linalg.norm(points[near] - points[k], axis=1) / 2, 0, 1))
        found.append([j for j, angle in zip(near, apart, strict=True) if angle < reach[k] + reach[j]])
    return found


def primary(field: str, around: Sequence[Footprint], ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Which sources (source,) of a field have their primary row there.

    Parameters
    ----------
    field : str
        The field.
    around : sequence of Footprint
        It and the fields that it may overlap. Without any every source is primary.
    ra, dec : numpy.ndarray
        (source,): degrees.

    Returns
    -------
    numpy.ndarray
        (source,) of bool. Also true outside all outlines and where the position is not finite.
    """
    places = np.stack([ra, dec], 1).astype(float)
    known = np.isfinite(places).all(1)
    chosen = np.ones(len(places), bool)
    if not known.any() or len(around) < 2:
        return chosen
    order = sorted(around, key=lambda one: one.field)
    far = np.stack([np.where(one.holds(places[known]), one.distance(places[known]), np.inf) for one in order])
    own = [one.field for one in order].index(field)
    chosen[known] = (np.argmin(far, axis=0) == own) | ~np.isfinite(far).any(0)
    return chosen


def to_text(footprints: Sequence[Footprint]) -> str:
    """Footprints as JSON."""
    return json.dumps([[f.field, f.centre, f.outline] for f in footprints])


def from_text(text: str) -> list[Footprint]:
    """The reverse of :func:`to_text`."""
    read = [(name, tuple(centre), [tuple(p) for p in outline]) for name, centre, outline in json.loads(text)]
    return [Footprint(*one) for one in read]


def vectors(places: np.ndarray) -> np.ndarray:
    """Unit vectors (place, 3) of places (place, 2) in degrees."""
    ra, dec = np.radians(np.asarray(places, float)).T
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)


def separations(centre: tuple[float, float], places: np.ndarray) -> np.ndarray:
    """Angles (place,) in degrees between places (place, 2) and one place, exact also where they are small."""
    chord = np.linalg.norm(vectors(places) - vectors(np.array([centre])), axis=1)
    return np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1)))


def tangent(centre: tuple[float, float], places: np.ndarray) -> np.ndarray:
    """Gnomonic coordinates (place, 2) of places less than 90 degrees from the centre."""
    ra, dec = np.radians(np.asarray(places, float)).T
    ra0, dec0 = np.radians(centre)
    turn = ra - ra0
    depth = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(turn)
    east = np.cos(dec) * np.sin(turn)
    north = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(turn)
    return np.stack([east, north], 1) / depth[:, None]
