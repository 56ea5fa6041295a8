"""Magnitudes of Sérsic profiles for codes that take surface brightnesses."""

import numpy as np
from scipy.special import gamma, gammaincinv


def sersic_flux(n: float, re: float, q: float) -> float:
    """Total flux of a Sérsic profile whose surface brightness at ``re`` is one."""
    b = gammaincinv(2 * n, 0.5)
    return 2 * np.pi * re**2 * q * n * np.exp(b) * b ** (-2 * n) * gamma(2 * n)


def intensity(magnitude: float, n: float, re: float, q: float, zero_point: float) -> float:
    """Surface brightness at ``re``, flux per unit area, of a Sérsic profile of this magnitude."""
    return 10 ** (-0.4 * (magnitude - zero_point)) / sersic_flux(n, re, q)


def magnitude(brightness: float, n: float, re: float, q: float, zero_point: float) -> float:
    """Total magnitude of a Sérsic profile of this surface brightness at ``re``."""
    return zero_point - 2.5 * np.log10(brightness * sersic_flux(n, re, q))
