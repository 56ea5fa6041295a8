"""Polynomials in wavelength, given by their values in some of the bands.

A parameter of degree d has d + 1 unknowns: its values in d + 1 bands, the nodes. In every other band it is

    u(band) = sum_j u_j L_j(w),     L_j(w) = prod_{i != j} (w - w_i) / (w_j - w_i)        (Lagrange)

so that degree 0 is one number for all bands, degree bands - 1 is one of its own for each, and the bounds of the
unknowns are those of the parameter itself. Nodes are taken far apart: the ends of the range, then whichever band has
the largest product of distances to those that are taken (Leja 1957). What is reported of the same polynomial is its
Chebyshev series, as in GalfitM (Haeussler et al. 2013, MNRAS 430, 330), over wavelengths scaled to -1 ... 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def scaled(wavelengths: Sequence[float]) -> np.ndarray:
    """Wavelengths as numbers from -1 to 1."""
    w = np.asarray(wavelengths, dtype=float)
    low, high = w.min(), w.max()
    return (2 * w - high - low) / (high - low) if high > low else np.zeros_like(w)


def nodes(places: np.ndarray, usable: np.ndarray, count: int) -> list[int]:
    """Numbers of ``count`` usable bands, or as many as there are, in ascending order.

    Parameters
    ----------
    places : ndarray
        (band,): scaled wavelengths.
    usable : ndarray
        (band,) of bool.
    count : int
        One more than the degree.
    """
    left = [int(k) for k in np.flatnonzero(usable)]
    if len(left) <= count:
        return left
    first = min(left, key=lambda k: abs(places[k])) if count == 1 else min(left, key=lambda k: places[k])
    taken = [first]
    while len(taken) < count:
        spread = {k: np.prod([abs(places[k] - places[t]) for t in taken]) for k in left if k not in taken}
        taken.append(max(spread, key=lambda k: spread[k]))
    return sorted(taken)


def lagrange(places: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """L_j in every band (band, node); exactly zero and one at the nodes."""
    found = np.ones((len(places), len(chosen)))
    for j, node in enumerate(chosen):
        for other in chosen:
            if other != node:
                found[:, j] *= (places - places[other]) / (places[node] - places[other])
    found[list(chosen)] = np.eye(len(chosen))
    return found


def chebyshev(places: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Coefficients (order, node) of the series in Chebyshev polynomials, of the values at the nodes."""
    return np.linalg.inv(np.polynomial.chebyshev.chebvander(places[list(chosen)], len(chosen) - 1))
