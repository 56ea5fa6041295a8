"""What is drawn: galaxies with a PSF and a size of stamp, in named families.

The corners are extremes of every parameter at once. The other families are Latin hypercubes: along each
parameter the cases are evenly spread, and everything else is random, from a fixed seed.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from exact.psfs import Psf, named

INDEX, RADIUS, RATIO = (0.3, 6.2), (0.3, 60.0), (0.05, 1.0)
SIZES = (32, 48, 64, 64, 96, 128, 256, 512)
SHAPES = ("round", "elliptical", "lopsided", "moffat", "elliptical moffat")
SAMPLINGS = ((1.5, 2), (1.5, 3), (1.5, 4), (2.5, 1), (2.5, 2), (3.3, 1), (3.3, 1), (6.0, 1), (6.0, 1))
"""Width of the PSF and oversampling of its image."""
PSFS = tuple(
    named(shape, fwhm, oversampling, pixel)
    for pixel in (True, False)
    for fwhm, oversampling in SAMPLINGS
    for shape in SHAPES
)


@dataclass(frozen=True)
class Galaxy:
    """A component of unit flux; sizes in pixels along the major axis, the angle ccw from +y, x and y from 0.

    ``index`` is the Sérsic index, or beta of a Moffat. ``radius`` holds half of the light, but half of the full
    width at half maximum of a Moffat.
    """

    kind: str
    index: float
    radius: float
    q: float
    angle: float
    x: float
    y: float


@dataclass(frozen=True)
class Case:
    """One image."""

    name: str
    galaxy: Galaxy
    psf: Psf
    size: int

    @property
    def family(self) -> str:
        return self.name.split("-")[0]

    @property
    def words(self) -> str:
        """What it is, for a list of the worst."""
        g = self.galaxy
        index = {"sersic": f"n {g.index:.3g}, ", "moffat": f"beta {g.index:.3g}, "}.get(g.kind, "")
        place = f"at {g.x:.2f}, {g.y:.2f} of {self.size}"
        return f"{g.kind} {index}re {g.radius:.3g}, q {g.q:.3g}, pa {g.angle:.0f}, {place}; {self.psf.given}"


def families() -> dict[str, list[Case]]:
    """All images that GalSim can draw, by family."""
    hypercube = {
        "grid": (160, {}),
        "thin": (40, {"q": (0.05, 0.12)}),
        "small": (40, {"radius": (0.3, 1.5)}),
        "cusp": (40, {"index": (3.5, 6.2)}),
        "flat": (30, {"index": (0.3, 0.7)}),
        "large": (30, {"radius": (20.0, 60.0)}),
        "exponential": (20, {"kind": "exponential"}),
        "gaussian": (20, {"kind": "gaussian"}),
        "moffat": (20, {"kind": "moffat", "index": (1.5, 6.0), "radius": (0.3, 15.0)}),
    }
    found = {name: sample(name, seed, *settings) for seed, (name, settings) in enumerate(hypercube.items())}
    return {"corners": corners(), **found, "edges": edges()}


COMPARED_PSFS = tuple(
    named(shape, fwhm) for fwhm in (2.5, 3.3, 6.0) for shape in ("round", "elliptical", "lopsided", "moffat")
)
COMPARED_SIZE = 128
PLACES = ((63.3, 63.8), (64.12, 63.94), (63.5, 64.25))
SWEEPS = {
    "index": (0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.2),
    "radius": (0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 60.0),
    "q": (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0),
}
SWEPT = Galaxy("sersic", 2.5, 5.0, 0.6, 35.0, 0.0, 0.0)
"""The galaxy of which one parameter is changed at a time."""
NAMED = (
    (0.5, 1.0, 0.6),
    (0.5, 5.0, 0.6),
    (1.0, 2.0, 0.6),
    (1.0, 8.0, 0.2),
    (1.0, 15.0, 0.6),
    (1.0, 20.0, 0.07),
    (2.5, 5.0, 0.6),
    (4.0, 2.0, 0.6),
    (4.0, 5.0, 0.6),
    (4.0, 10.0, 0.3),
    (4.0, 15.0, 0.6),
    (6.0, 1.0, 0.6),
    (6.0, 5.0, 0.2),
    (6.0, 15.0, 0.6),
)
"""Sérsic index, radius and axis ratio of the galaxies of the table in the documentation."""


def compared() -> dict[str, list[Case]]:
    """What every code draws: single Sérsic galaxies with PSFs at the image's own scale."""
    ordinary = {"index": (0.5, 6.0), "radius": (1.0, 12.0), "q": (0.2, 1.0)}
    sets = {"ordinary": sample("ordinary", 50, 72, ordinary), "extreme": sample("extreme", 51, 72, {})}
    found = {}
    for name, cases in sets.items():
        found[name] = []
        for k, case in enumerate(cases):
            shift = (COMPARED_SIZE - case.size) / 2
            galaxy = replace(case.galaxy, x=case.galaxy.x + shift, y=case.galaxy.y + shift)
            psf = COMPARED_PSFS[k % len(COMPARED_PSFS)]
            found[name].append(Case(case.name, galaxy, psf, COMPARED_SIZE))
    moffat = named("moffat", 3.3)
    for field, values in SWEEPS.items():
        galaxies = [replace(SWEPT, **{field: v}) for v in values]
        found[f"sweep {field}"] = at_places(f"sweep {field}", galaxies, moffat)
    galaxies = [replace(SWEPT, index=n, radius=radius, q=q) for n, radius, q in NAMED]
    return found | {"named": at_places("named", galaxies, moffat)}


def at_places(name: str, galaxies: list[Galaxy], psf: Psf) -> list[Case]:
    """Each galaxy at three places within a pixel, one after the other."""
    placed = [replace(galaxy, x=x, y=y) for galaxy in galaxies for x, y in PLACES]
    return [Case(f"{name}-{k:03d}", galaxy, psf, COMPARED_SIZE) for k, galaxy in enumerate(placed)]


def corners() -> list[Case]:
    """Extremes and common values of index, radius and axis ratio, PSFs and places in turn."""
    rng, cases = np.random.default_rng(100), []
    for n in (0.3, 0.5, 1.0, 2.5, 4.0, 6.2):
        for radius in (0.3, 1.0, 5.0, 60.0):
            for q in (0.05, 0.2, 1.0):
                psf = PSFS[(7 * len(cases)) % len(PSFS)]
                size = 64 if radius < 60 else 128
                x, y = (size - 1) / 2 + rng.uniform(-0.5, 0.5, 2)
                galaxy = Galaxy("sersic", n, radius, q, rng.uniform(-90, 90), x, y)
                cases.append(Case(f"corners-{len(cases):03d}", galaxy, psf, size))
    return cases


def sample(family: str, seed: int, count: int, ranges: dict) -> list[Case]:
    """A Latin hypercube; index, radius and axis ratio are spread in their logarithms."""
    rng = np.random.default_rng(seed)
    columns = [(rng.permutation(count) + rng.uniform(size=count)) / count for _ in range(8)]

    def log_spread(k: int, limits: tuple[float, float]) -> np.ndarray:
        low, high = (math.log(end) for end in limits)
        return np.exp(low + (high - low) * columns[k])

    index = log_spread(0, ranges.get("index", INDEX))
    radius = log_spread(1, ranges.get("radius", RADIUS))
    q = log_spread(2, ranges.get("q", RATIO))
    cases = []
    for k in range(count):
        psf = PSFS[int(columns[6][k] * len(PSFS))]
        size = SIZES[int(columns[7][k] * len(SIZES))]
        x, y = ((size - 1) / 2 + columns[c][k] - 0.5 for c in (3, 4))
        kind = ranges.get("kind", "sersic")
        shape = (float(index[k]), float(radius[k]), float(q[k]), float(180 * columns[5][k] - 90))
        cases.append(Case(f"{family}-{k:03d}", Galaxy(kind, *shape, float(x), float(y)), psf, size))
    return cases


def edges() -> list[Case]:
    """Galaxies whose light is cut by the stamp: it must not come in again on the other side."""
    psf = named("moffat", 3.3)
    centre = Galaxy("sersic", 6.0, 60.0, 1.0, 30.0, 63.3, 63.8)
    places = [(63.3, 63.8), (12.2, 100.4), (2.7, 63.5), (-3.6, 20.3), (130.2, 131.4), (-25.5, 64.0)]
    galaxies = [replace(centre, x=x, y=y) for x, y in places]
    galaxies += [replace(g, q=0.15, index=index) for g in galaxies[:4] for index in (1.0, 4.0)]
    galaxies += [replace(g, radius=2.0, index=2.5, q=0.6) for g in galaxies[2:5]]
    kinds = (psf, named("lopsided", 2.5), named("elliptical", 1.5, 2))
    return [
        Case(f"edges-{k:03d}", galaxy, kinds[k % len(kinds)] if k else psf, 128)
        for k, galaxy in enumerate(galaxies)
    ]


def quick(all_cases: dict[str, list[Case]]) -> dict[str, list[Case]]:
    """Some of each family, on stamps that are drawn quickly."""
    fast = {}
    for family, cases in all_cases.items():
        small = [case for case in cases if case.size <= 128 and case.galaxy.radius * case.galaxy.index < 200]
        fast[family] = small[:: max(1, len(small) // 12)]
    return fast
