"""Galaxies and stars as they are on the sky: magnitudes, kinds, sizes, shapes and colours from joint distributions.

Number counts of galaxies are 46 x 10^(0.31 (i - 25)) an arcmin2 brighter than i (LSST Science Book 2009, section
3.7.2), and steeper, 10^(0.44 i), brighter than 21, as those of COSMOS are. The other numbers are fits to two lists that
GalSim's makers derived from COSMOS, HST/ACS F814W (Mandelbaum et al. 2012, MNRAS 420, 1518): Sérsic parameters of 276
galaxies, and magnitudes with bulge fractions of 54,252 (GREAT3, Mandelbaum et al. 2014, ApJS 212, 5).

    late types, 79 %    log n = 0.05 +- 0.18,  log r = -0.26 - 0.130 (i - 22) +- 0.18,  q = 0.55 +- 0.22
    early types, 21 %   log n = 0.50 +- 0.12,  log r = -0.38 - 0.110 (i - 22) +- 0.24,  q = 0.62 +- 0.20
    bulge and disc      share of all: 0.85 - 0.07 (i - 18);  B/T about 0.53 - 0.05 (i - 18), Beta-distributed

r is the semi-major half-light radius in arcsec. Sizes change with wavelength as lambda^-0.19 (late) and lambda^-0.31
(early): Kelvin et al. 2012, MNRAS 421, 1007. Colours are a curved law in log(wavelength) with scatter, redder for early
types and bulges (those of 87 GAMA galaxies at z = 0.3), bluer for late ones and discs; they are typical, not fitted.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from isolux.profiles.exponential import HALF_LIGHT

ARCMIN2 = 3600.0
REFERENCE = 814.0
"""Wavelength in nanometres in which the distributions are given."""
KNEE = 21.0
"""Magnitude at which the counts' slope changes."""
SLOPES = (0.44, 0.31)
LATE, EARLY = 0, 1
SPREAD = {
    LATE: (0.05, 0.18, -0.26, -0.130, 0.18, 0.55, 0.22),
    EARLY: (0.50, 0.12, -0.38, -0.110, 0.24, 0.62, 0.20),
}
"""log n and its scatter; log r at 22 mag, its slope and scatter; axis ratio and its scatter."""
GROWTH = {LATE: -0.19, EARLY: -0.31}
EARLY_SHARE = 0.21
COLOUR = {LATE: (4.0, 4.0, 1.3), EARLY: (8.0, 12.0, 1.0)}
"""Slope and curvature of magnitudes in log(reference / wavelength), and the slope's scatter."""
STAR_COLOUR = (4.5, 2.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Galaxies:
    """Galaxies without positions: arrays (galaxy,); sizes in arcsec, angles in degrees.

    Attributes
    ----------
    magnitude : numpy.ndarray
        At the reference wavelength.
    early : numpy.ndarray
        1 for early types.
    double : numpy.ndarray
        Whether it is a bulge with a disc.
    radius, index, ratio, angle : numpy.ndarray
        Of the single Sérsic profile; the semi-major half-light radius.
    bulge_share : numpy.ndarray
        Of the light at the reference wavelength.
    bulge_radius, bulge_ratio, bulge_angle, disc_scale, disc_ratio : numpy.ndarray
        Of bulge and disc; the disc lies at ``angle``.
    colour, bulge_colour : numpy.ndarray
        Slopes of magnitudes, of the galaxy or its disc, and of its bulge.
    """

    magnitude: np.ndarray
    early: np.ndarray
    double: np.ndarray
    radius: np.ndarray
    index: np.ndarray
    ratio: np.ndarray
    angle: np.ndarray
    bulge_share: np.ndarray
    bulge_radius: np.ndarray
    bulge_ratio: np.ndarray
    bulge_angle: np.ndarray
    disc_scale: np.ndarray
    disc_ratio: np.ndarray
    colour: np.ndarray
    bulge_colour: np.ndarray

    def __len__(self) -> int:
        return len(self.magnitude)

    def select(self, index: np.ndarray) -> Galaxies:
        """Some of them."""
        return Galaxies(**{f.name: getattr(self, f.name)[index] for f in dataclasses.fields(self)})

    @classmethod
    def join(cls, parts: list[Galaxies]) -> Galaxies:
        """Several lots as one."""
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def component_magnitudes(self, wavelength: float) -> tuple[np.ndarray, np.ndarray]:
        """Magnitudes of bulges (infinite where there is none) and of discs or single profiles, in a band."""
        with np.errstate(divide="ignore"):
            bulge = self.magnitude - 2.5 * np.log10(self.bulge_share)
            rest = self.magnitude - 2.5 * np.log10(1 - self.bulge_share)
        bulge = bulge + shift(wavelength, self.bulge_colour, COLOUR[EARLY][1])
        curve = np.where(self.early == 1, COLOUR[EARLY][1], COLOUR[LATE][1])
        return bulge, rest + shift(wavelength, self.colour, np.where(self.double, COLOUR[LATE][1], curve))

    def total_magnitude(self, wavelength: float) -> np.ndarray:
        """Magnitudes in a band."""
        bulge, rest = self.component_magnitudes(wavelength)
        return -2.5 * np.log10(10 ** (-0.4 * bulge) + 10 ** (-0.4 * rest))

    def radius_at(self, wavelength: float) -> np.ndarray:
        """Half-light radii of the single profiles in a band."""
        power = np.where(self.early == 1, GROWTH[EARLY], GROWTH[LATE])
        return self.radius * (wavelength / REFERENCE) ** power


def shift(wavelength: float, slope: np.ndarray, curvature: np.ndarray | float) -> np.ndarray:
    """Magnitude in a band less that at the reference wavelength."""
    step = math.log10(REFERENCE / wavelength)
    return slope * step + np.asarray(curvature) * step**2


def galaxy_density(bright: float, faint: float) -> float:
    """Galaxies an arcmin2 between two magnitudes at the reference wavelength."""
    return _cumulative(faint) - _cumulative(bright)


def star_density(bright: float, faint: float) -> float:
    """Stars an arcmin2: 1000 x 10^(0.12 (i - 20)) a magnitude and square degree, about as at a Galactic pole.

    Compare Bahcall & Soneira 1981, ApJS 47, 357: some 2,500 brighter than V = 20 a square degree.
    """
    rise = 0.12
    share = (10 ** (rise * (faint - 20)) - 10 ** (rise * (bright - 20))) / (rise * math.log(10))
    return 1000 * max(share, 0.0) / ARCMIN2


def star_magnitudes(count: int, bright: float, faint: float, rng: np.random.Generator) -> np.ndarray:
    """Magnitudes of stars at the reference wavelength."""
    low, high = (10 ** (0.12 * limit) for limit in (bright, faint))
    return np.asarray(np.log10(rng.uniform(low, high, count)) / 0.12)


def draw_galaxies(
    count: int, bright: float, faint: float, morphology: str, rng: np.random.Generator
) -> Galaxies:
    """Galaxies between two magnitudes at the reference wavelength, of some morphology (:mod:`isolux.mock.options`)."""
    magnitude = _magnitudes(count, bright, faint, rng)
    early = (rng.uniform(size=count) < EARLY_SHARE).astype(np.int64)
    two = rng.uniform(size=count) < np.clip(0.85 - 0.07 * (magnitude - 18), 0.4, 0.85)
    double = {"sersic": np.zeros(count, bool), "bulge+disc": np.ones(count, bool)}.get(morphology, two)
    single = np.where(early == 1, *(_single(kind, magnitude, rng) for kind in (EARLY, LATE)))
    radius, index, ratio = single
    angle = rng.uniform(-90, 90, count)
    share = np.where(double, _bulge_share(magnitude, rng), 0.0)
    disc_radius = _log_radius(LATE, magnitude, rng)
    part = 10 ** rng.normal(-0.5, 0.2, count)
    disc_ratio = _disc_ratio(count, rng)
    colours = [rng.normal(*pair, count) for pair in ((COLOUR[k][0], COLOUR[k][2]) for k in (LATE, EARLY))]
    return Galaxies(
        magnitude=magnitude,
        early=np.where(double, LATE, early),
        double=double,
        radius=radius,
        index=index,
        ratio=ratio,
        angle=angle,
        bulge_share=share,
        bulge_radius=disc_radius * np.clip(part, 0.08, 0.9),
        bulge_ratio=_cut_normal(0.75, 0.13, 0.35, 1.0, count, rng),
        bulge_angle=_turned(angle + rng.normal(0, 15, count)),
        disc_scale=disc_radius / HALF_LIGHT,
        disc_ratio=disc_ratio,
        colour=np.where((early == 1) & ~double, colours[1], colours[0]),
        bulge_colour=colours[1],
    )


def _magnitudes(count: int, bright: float, faint: float, rng: np.random.Generator) -> np.ndarray:
    """By the inverse of the counts."""
    number = rng.uniform(_cumulative(bright), _cumulative(faint), count)
    knee = _cumulative(KNEE)
    low, high = SLOPES
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = KNEE + np.log10(number / knee) / low
        shallow = 25 + np.log10((number - knee) / 46 + 10 ** (high * (KNEE - 25))) / high
    return np.where(number < knee, steep, shallow)


def _cumulative(magnitude: float) -> float:
    """Galaxies an arcmin2 brighter than a magnitude; the density is continuous at the knee."""
    low, high = SLOPES
    knee = 46 * 10 ** (high * (KNEE - 25)) * high / low
    if magnitude < KNEE:
        return knee * 10 ** (low * (magnitude - KNEE))
    return knee + 46 * (10 ** (high * (magnitude - 25)) - 10 ** (high * (KNEE - 25)))


def _single(kind: int, magnitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Radius, index and axis ratio (3, galaxy) of single profiles."""
    log_n, by_n, *_, q, by_q = SPREAD[kind]
    bounds = (0.5, 2.5) if kind == LATE else (2.0, 6.0)
    count = len(magnitude)
    index = 10 ** _cut_normal(log_n, by_n, math.log10(bounds[0]), math.log10(bounds[1]), count, rng)
    return np.stack([_log_radius(kind, magnitude, rng), index, _cut_normal(q, by_q, 0.15, 1.0, count, rng)])


def _log_radius(kind: int, magnitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, _, middle, slope, scatter, _, _ = SPREAD[kind]
    wander = np.clip(rng.normal(0, scatter, len(magnitude)), -3 * scatter, 3 * scatter)
    return 10 ** (middle + slope * (magnitude - 22) + wander)


def _bulge_share(magnitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mean = np.clip(0.53 - 0.05 * (magnitude - 18), 0.2, 0.6)
    return np.clip(rng.beta(3.2 * mean, 3.2 * (1 - mean)), 0.03, 0.95)


def _disc_ratio(count: int, rng: np.random.Generator) -> np.ndarray:
    """Discs 0.22 +- 0.05 thick, seen from anywhere."""
    thick = _cut_normal(0.22, 0.05, 0.1, 0.4, count, rng)
    cosine = rng.uniform(0, 1, count)
    return np.sqrt(cosine**2 * (1 - thick**2) + thick**2)


def _cut_normal(
    mean: float, scatter: float, low: float, high: float, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Normal numbers, drawn again where beyond the bounds."""
    values = rng.normal(mean, scatter, count)
    while (out := (values < low) | (values > high)).any():
        values[out] = rng.normal(mean, scatter, int(out.sum()))
    return values


def _turned(angle: np.ndarray) -> np.ndarray:
    """Angles in (-90, 90]."""
    return 90 - (90 - angle) % 180
