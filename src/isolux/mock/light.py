"""How light is spread in Sérsic profiles: what is enclosed, and where it falls below a brightness.

Inside r is P(2n, b (r / r_e)^(1/n)) of the light, with P the regularised lower incomplete gamma function, and
I(r) = I_e exp(-b [(r / r_e)^(1/n) - 1]) (Graham & Driver 2005, PASA 22, 118).
"""

from __future__ import annotations

import numpy as np
import torch

from isolux.profiles.sersic import sersic_b


def _b(index: np.ndarray) -> np.ndarray:
    return np.asarray(sersic_b(torch.as_tensor(np.array(index, dtype=np.float64))))


def enclosed(radius: np.ndarray, index: np.ndarray | float) -> np.ndarray:
    """Share of the light within radii in units of the half-light radius."""
    n = np.full(np.shape(radius), index, dtype=np.float64)
    reached = _b(n) * np.asarray(radius) ** (1 / n)
    return np.asarray(torch.special.gammainc(torch.as_tensor(2 * n), torch.as_tensor(reached)))


def reach(
    flux: np.ndarray, radius: np.ndarray, index: np.ndarray, ratio: np.ndarray, level: float
) -> np.ndarray:
    """Semi-major radii at which profiles fall below a surface brightness; zero where they are fainter everywhere."""
    n = np.asarray(index, dtype=np.float64)
    b = _b(n)
    log_area = np.log(2 * np.pi * n * ratio * radius**2) + b - 2 * n * np.log(b)
    log_area = log_area + np.asarray(torch.lgamma(torch.as_tensor(2 * n)))
    with np.errstate(divide="ignore"):
        steps = 1 + (np.log(flux) - log_area - np.log(level)) / b
    return np.asarray(radius * np.maximum(steps, 0.0) ** n)
