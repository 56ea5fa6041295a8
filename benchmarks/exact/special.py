"""Profiles that GalSim cannot draw, with their brightness written down once more, for the reference by brute force."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from exact import brute
from exact.brute import Radial
from exact.cases import Case
from exact.psfs import Psf, named
from isolux import Ferrer, King, Parameter, RadialProfile, Sersic, Spline
from isolux.profiles.base import Profile
from isolux.profiles.truncation import EDGE

PSFS = tuple(
    named(shape, fwhm, oversampling, pixel)
    for pixel in (True, False)
    for fwhm, oversampling in ((1.5, 2), (1.5, 4), (2.5, 1), (3.3, 1), (3.3, 1), (6.0, 1))
    for shape in ("round", "lopsided")
)
KNOTS, INNER = 8, 0.5


class Bar(RadialProfile):
    """A user's profile with a steep end."""

    parameters = (Parameter("length", "pixel", "half length", lower=0.1, upper=500, log=True),)

    def brightness(self, r, length):
        return torch.exp(-((r / length) ** 4))


class Ring(RadialProfile):
    """A user's profile that is brightest away from the centre."""

    parameters = (
        Parameter("radius", "pixel", "of the ring", lower=0.1, upper=500, log=True),
        Parameter("width", "pixel", "of the ring", lower=0.1, upper=500, log=True),
    )

    def brightness(self, r, radius, width):
        return torch.exp(-0.5 * ((r - radius) / width) ** 2)


class Cusp(RadialProfile):
    """A user's profile that grows without limit towards the centre."""

    parameters = (Parameter("length", "pixel", "scale", lower=0.1, upper=500, log=True),)

    def brightness(self, r, length):
        return torch.exp(-r / length) * (r / length) ** -0.5


def power_to_zero(w: np.ndarray, a: float) -> np.ndarray:
    """w^a, with the straight end that Isolux's truncated profiles declare."""
    above = np.maximum(w, EDGE)
    return above**a * (np.maximum(w, 0) / above)


def sersic(radius: float, index: float) -> Callable[[np.ndarray], np.ndarray]:
    low, high = 1e-9, 2 * index + 1
    two_n = torch.tensor(2 * index, dtype=torch.float64)
    for _ in range(80):
        b = 0.5 * (low + high)
        less = torch.special.gammainc(two_n, torch.tensor(b, dtype=torch.float64)) < 0.5
        low, high = (b, high) if less else (low, b)
    return lambda r: np.exp(-b * (r / radius) ** (1 / index))


def ferrer(outer: float, a: float, b: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda r: power_to_zero(1 - np.minimum(r / outer, 1) ** (2 - b), a)


def king(core: float, end: float, alpha: float) -> Callable[[np.ndarray], np.ndarray]:
    low = (1 + (end / core) ** 2) ** (-1 / alpha)

    def brightness(r: np.ndarray) -> np.ndarray:
        x = 1 + (np.minimum(r, end) / core) ** 2
        return power_to_zero((1 - low * x ** (1 / alpha)) / (1 - low), alpha) / x

    return brightness


def spline(outer: float, slope: float) -> Callable[[np.ndarray], np.ndarray]:
    """Cubic in ln r through an exponential's logarithms at the knots, with a wave on it."""
    knots = spline_radii(outer)
    y, step = spline_logs(outer, slope), math.log(outer / INNER) / (KNOTS - 1)
    m = np.zeros(KNOTS)
    m[1:-1] = (y[2:] - y[:-2]) / 2
    m[-1] = min(y[-1] - y[-2], -3 * step)

    def brightness(r: np.ndarray) -> np.ndarray:
        u = np.log(r / knots[0]) / step
        k = np.clip(np.floor(u).astype(int), 0, KNOTS - 2)
        v = np.clip(u - k, 0, 1)
        h00, h10 = 2 * v**3 - 3 * v**2 + 1, v**3 - 2 * v**2 + v
        h01, h11 = 3 * v**2 - 2 * v**3, v**3 - v**2
        inside = h00 * y[k] + h10 * m[k] + h01 * y[k + 1] + h11 * m[k + 1]
        return np.exp(inside + m[-1] * np.maximum(u - (KNOTS - 1), 0))

    return brightness


def spline_radii(outer: float) -> np.ndarray:
    return np.geomspace(INNER, outer, KNOTS)


def spline_logs(outer: float, slope: float) -> np.ndarray:
    r = spline_radii(outer)
    y = -slope * r / outer + 0.3 * np.sin(np.arange(KNOTS))
    return y - y[0]


@dataclass(frozen=True)
class Kind:
    """A profile: how Isolux is asked for it, its brightness, where it is not smooth, and a scale."""

    make: Callable[..., Profile]
    names: tuple[str, ...]
    brightness: Callable[..., Callable[[np.ndarray], np.ndarray]]
    breaks: Callable[..., tuple[float, ...]] = lambda *shape: ()
    ranges: tuple[tuple[float, float], ...] = ()


KINDS = {
    "sersic": Kind(Sersic, ("effective_radius", "sersic_index"), sersic, ranges=((0.5, 15.0), (0.5, 5.0))),
    "ferrer": Kind(
        Ferrer,
        ("outer_radius", "truncation_sharpness", "central_slope"),
        ferrer,
        lambda outer, a, b: (outer,),
        ((1.5, 22.0), (0.5, 4.0), (-2.0, 1.5)),
    ),
    "king": Kind(
        King,
        ("core_radius", "truncation_radius", "alpha"),
        king,
        lambda core, end, alpha: (end,),
        ((0.5, 5.0), (6.0, 25.0), (0.5, 5.0)),
    ),
    "bar": Kind(Bar, ("length",), lambda s: lambda r: np.exp(-((r / s) ** 4)), ranges=((0.7, 12.0),)),
    "ring": Kind(
        Ring,
        ("radius", "width"),
        lambda s, w: lambda r: np.exp(-0.5 * ((r - s) / w) ** 2),
        ranges=((3.0, 15.0), (0.7, 3.0)),
    ),
    "own cusp": Kind(
        Cusp, ("length",), lambda s: lambda r: np.exp(-r / s) * (r / s) ** -0.5, ranges=((0.5, 12.0),)
    ),
    "spline": Kind(
        lambda outer, slope, **common: Spline(
            knots=KNOTS,
            inner=INNER,
            outer=outer,
            log_ratio=torch.from_numpy(spline_logs(outer, slope)[1:])[None],
            **common,
        ),
        ("outer", "slope"),
        spline,
        lambda outer, slope: tuple(spline_radii(outer)),
        ((8.0, 25.0), (4.0, 10.0)),
    ),
}


@dataclass(frozen=True)
class Special:
    """One image of a profile that GalSim cannot draw."""

    name: str
    kind: str
    values: Mapping[str, float]
    psf: Psf
    size: int

    @property
    def family(self) -> str:
        return self.name.split("-")[0]

    @property
    def words(self) -> str:
        values = ", ".join(f"{name} {value:.3g}" for name, value in self.values.items())
        return f"{self.kind} {values} of {self.size}; {self.psf.given}"

    @property
    def profile(self) -> Profile:
        """Isolux's."""
        kind, common = KINDS[self.kind], ("x", "y", "axis_ratio", "position_angle", "boxiness")
        shape = {name: self.values[name] for name in kind.names}
        return kind.make(
            flux=1.0, **shape, **{name: self.values[name] for name in common if name in self.values}
        )

    @property
    def radial(self) -> Radial:
        """The reference's."""
        kind, v = KINDS[self.kind], self.values
        shape = tuple(v[name] for name in kind.names)
        sizes = [v[n] for n in kind.names if n in ("effective_radius", "length", "radius", "core_radius")]
        return Radial(
            kind.brightness(*shape),
            v["x"],
            v["y"],
            v["axis_ratio"],
            v["position_angle"],
            v.get("boxiness"),
            kind.breaks(*shape),
            max([*sizes, *kind.breaks(*shape)]),
        )


def specials(count: int = 10) -> dict[str, list[Special]]:
    """Cases of each profile, the Sérsic ones with boxiness, some of the others too."""
    found = {}
    for seed, (kind, what) in enumerate(KINDS.items()):
        number = 4 * count if kind == "sersic" else 2 * count
        rng = np.random.default_rng(500 + seed)
        family = "boxy" if kind == "sersic" else kind
        found[family] = [special(f"{family}-{k:03d}", kind, what, rng, k) for k in range(number)]
    return found


def special(name: str, kind: str, what: Kind, rng: np.random.Generator, k: int) -> Special:
    size = int(rng.choice([32, 48, 64]))
    x, y = (size - 1) / 2 + rng.uniform(-0.5, 0.5, 2)
    values = {"x": float(x), "y": float(y)}
    for parameter, (low, high) in zip(what.names, what.ranges, strict=True):
        u = rng.uniform()
        values[parameter] = low + u * (high - low) if low <= 0 else low * (high / low) ** u
    if kind in ("ferrer", "king") and k % 3 == 0:
        values[what.names[-1 if kind == "king" else 1]] = 0.5
    values["axis_ratio"] = float(rng.uniform(0.12, 1.0))
    values["position_angle"] = float(rng.uniform(-90, 90))
    if kind == "sersic" or k % 4 == 3:
        values["boxiness"] = (-0.5, 1.0, 0.0, 0.4, -0.25)[k % 5]
    return Special(name, kind, values, PSFS[(5 * k + 3) % len(PSFS)], size)


def brute_sersic(case: Case) -> np.ndarray:
    """A Sérsic galaxy by brute force."""
    g = case.galaxy
    radial = Radial(sersic(g.radius, g.index), g.x, g.y, g.q, g.angle, scale=g.radius)
    return brute.image(radial, case.psf, case.size)
