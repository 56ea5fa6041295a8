"""Derivative images by finite differences of the references.

A central difference of fourth order, at three steps of which each is a third of the one before; of the two
neighbours that agree best the finer counts, and how well they agree is the accuracy of the reference.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from exact import brute, truth
from exact.cases import Case, Galaxy
from exact.ours import HALF_LIGHT_OF_EXPONENTIAL
from exact.psfs import named
from exact.special import Special, specials

STEP = 0.06
"""First step, as a share of the value."""
ABSOLUTE = {"x": 0.06, "y": 0.06, "position_angle": 3.0, "boxiness": 0.06, "central_slope": 0.06}
"""First steps of what may be zero."""
SCALES = (1, 1 / 3, 1 / 9)
FIELDS = {
    "x": "x",
    "y": "y",
    "axis_ratio": "q",
    "position_angle": "angle",
    "effective_radius": "radius",
    "sersic_index": "index",
}
OTHER_FIELDS = {"scale_radius": "radius", "fwhm": "radius", "beta": "index"}
UNITS = {"scale_radius": HALF_LIGHT_OF_EXPONENTIAL, "fwhm": 0.5}
"""Field of a :class:`Galaxy` a unit of Isolux's parameter, where it is not 1."""
OWN = {
    "sersic": ("effective_radius", "sersic_index"),
    "exponential": ("scale_radius",),
    "gaussian": ("fwhm",),
    "moffat": ("fwhm", "beta"),
}


@dataclass(frozen=True)
class Slopes:
    """The derivatives of an image."""

    name: str
    of: Case | Special

    @property
    def family(self) -> str:
        return self.name.split("-")[0]

    @property
    def words(self) -> str:
        return self.of.words


def references(item: Slopes) -> dict[str, np.ndarray]:
    """Derivative images by the names of Isolux's parameters; the accuracy of each under its name and a colon."""
    found = {"flux": draw(item.of)}
    for name, (value, at) in parameters(item.of, draw).items():
        step = ABSOLUTE.get(name, STEP * value)
        limit = 1.0 if name == "axis_ratio" else np.inf
        found[name], found[f"{name}:"] = difference(at, value, step, limit)
    return found


def draw(of: Case | Special) -> np.ndarray:
    """The reference of an image."""
    return truth.truth(of) if isinstance(of, Case) else brute.image(of.radial, of.psf, of.size)


def parameters(
    of: Case | Special, draw: Callable[..., np.ndarray]
) -> dict[str, tuple[float, Callable[[float], np.ndarray]]]:
    """Value of each of Isolux's parameters, and the image as its function."""
    if isinstance(of, Special):
        return {
            name: (value, lambda v, n=name: draw(dataclasses.replace(of, values=of.values | {n: v})))
            for name, value in of.values.items()
        }
    found = {}
    for name in ("x", "y", "axis_ratio", "position_angle", *OWN[of.galaxy.kind]):
        field, unit = (FIELDS | OTHER_FIELDS)[name], UNITS.get(name, 1.0)

        def at(value: float, field: str = field, unit: float = unit) -> np.ndarray:
            galaxy = dataclasses.replace(of.galaxy, **{field: unit * value})
            return draw(dataclasses.replace(of, galaxy=galaxy))

        found[name] = (getattr(of.galaxy, field) / unit, at)
    return found


def difference(
    at: Callable[[float], np.ndarray], value: float, step: float, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative, and its accuracy as a share of its maximum; steps do not go beyond ``limit``."""
    step = min(step, (limit - value) / 2) if limit - value > 1e-4 else step
    slopes = []
    for scale in SCALES:
        h = scale * step
        if value + 2 * h > limit + 1e-9:
            slopes.append((3 * at(value) - 4 * at(value - h) + at(value - 2 * h)) / (2 * h))
        else:
            near, far = at(value + h) - at(value - h), at(value + 2 * h) - at(value - 2 * h)
            slopes.append((8 * near - far) / (12 * h))
    changes = [np.abs(b - a).max() / np.abs(b).max() for a, b in itertools.pairwise(slopes)]
    best = int(np.argmin(changes))
    return slopes[best + 1], np.array(changes[best])


def errors(maps: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Largest error of each derivative as a share of its maximum."""
    found = {}
    for name, true in reference.items():
        if name.endswith(":"):
            continue
        found[name] = float(np.abs(maps[name] - true).max() / np.abs(true).max())
    return found


def slopes(galaxies: int = 36, others: int = 3) -> dict[str, list[Slopes]]:
    """Galaxies that GalSim draws, and some of each special profile."""
    rng = np.random.default_rng(900)
    kinds = ("sersic", "sersic", "sersic", "exponential", "gaussian", "moffat")
    psfs = [named(*what) for what in (("elliptical moffat", 3.3), ("lopsided", 2.5), ("moffat", 6.0))]
    psfs += [named("elliptical", 1.5, 2), named("round", 3.3, 1, False)]
    found = []
    for k in range(galaxies):
        kind = kinds[k % len(kinds)]
        index = np.exp(rng.uniform(np.log(0.4), np.log(5.4))) if kind == "sersic" else rng.uniform(1.8, 5)
        radius, q = np.exp(rng.uniform(np.log(0.4), np.log(20.0))), np.exp(rng.uniform(np.log(0.07), 0))
        place = 23.5 + rng.uniform(-0.5, 0.5, 2)
        galaxy = Galaxy(kind, *(float(v) for v in (index, radius, q, rng.uniform(-90, 90), *place)))
        found.append(Slopes(f"slopes-{k:03d}", Case("", galaxy, psfs[k % len(psfs)], 48)))
    special = []
    for kind, some in specials().items():
        for case in some[3 : 3 + 4 * others : 4] if kind != "spline" else []:
            values = {"boxiness": 0.0} | dict(case.values)
            special.append(Slopes(f"slopes2-{len(special):03d}", dataclasses.replace(case, values=values)))
    return {"slopes": found, "slopes2": special}
