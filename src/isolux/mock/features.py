"""What breaks the parametric model: spiral arms, a dust lane, clumps and a bar in discs.

In the plane of the disc, at radius r and azimuth phi, with scale length h and t = r / h,

    I(r, phi) = I0 e^-t (1 + M) T,      M = A g cos(m (phi - ln(t) / tan(pitch)) - phase),
    T = exp(-tau g exp(-(z - z0)^2 / 2 w^2)),        g = s^2 / (1 + s^2),  s = 2 t

where z is the distance from the major axis on the sky: arms are a logarithmic spiral (Binney & Tremaine 2008, section
6.1), dust an absorbing screen beside the major axis of inclined discs, deeper in the blue as 1 / wavelength. g makes
both vanish at the centre, so that what differs from the plain disc has no cusp. Clumps are small Gaussians spread like
the disc and gathered on the arms. Arms leave the total as it is; what dust takes is integrated numerically, so that
magnitudes in the truth are those of the light that comes out.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from isolux.mock.population import REFERENCE, Galaxies
from isolux.types import Points, Tensor

CLUMPS = 12
"""Most clumps in a galaxy."""
RESOLVED = 2.0
"""Discs of at least so many pixels' scale length have features."""
MOST_BULGE = 0.7
BARRED, ARMED, DUSTY = 0.35, 0.7, 0.7
"""Shares of discs with a bar, with arms, and, of those seen nearly edge-on, with a dust lane."""
EDGE_ON = 0.45
"""Axis ratio below which a disc can have a dust lane."""
BAR_INDEX = 0.6
"""Sérsic index of bars: flat, with an edge."""


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of discs: arrays (galaxy,), zero where there are none; lengths in units of the scale length.

    Attributes
    ----------
    realistic : numpy.ndarray
        Whether there are any.
    arm_strength, arm_number, arm_pitch, arm_phase : numpy.ndarray
        A, m, pitch angle and phase in degrees.
    dust_depth, dust_offset, dust_width : numpy.ndarray
        tau at the reference wavelength, z0, w.
    bar_share, bar_radius, bar_ratio, bar_angle : numpy.ndarray
        Of the disc's light; half-light radius, axis ratio, position angle in degrees.
    clump_share, clump_size : numpy.ndarray
        Of the disc's light, in all clumps; standard deviation of each.
    clump_weight, clump_along, clump_across : numpy.ndarray
        (galaxy, clump): share of the clumps' light, and place along the major axis and across it on the sky.
    """

    realistic: np.ndarray
    arm_strength: np.ndarray
    arm_number: np.ndarray
    arm_pitch: np.ndarray
    arm_phase: np.ndarray
    dust_depth: np.ndarray
    dust_offset: np.ndarray
    dust_width: np.ndarray
    bar_share: np.ndarray
    bar_radius: np.ndarray
    bar_ratio: np.ndarray
    bar_angle: np.ndarray
    clump_share: np.ndarray
    clump_size: np.ndarray
    clump_weight: np.ndarray
    clump_along: np.ndarray
    clump_across: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """All of them by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def draw_features(galaxies: Galaxies, wanted: bool, pixel_scale: float, rng: np.random.Generator) -> Features:
    """Features of the galaxies whose discs are large enough to show them.

    Parameters
    ----------
    galaxies : Galaxies
        All of them.
    wanted : bool
        False for none at all.
    pixel_scale : float
        Arcsec.
    rng : numpy.random.Generator
        Numbers are drawn whether they are wanted or not.
    """
    count = len(galaxies)
    q = galaxies.disc_ratio
    fit = (
        galaxies.double & (galaxies.disc_scale > RESOLVED * pixel_scale) & (galaxies.bulge_share < MOST_BULGE)
    )
    fit &= wanted
    chance = rng.uniform(size=(3, count))
    barred = fit & (chance[0] < BARRED) & (q > EDGE_ON)
    armed = fit & (chance[1] < ARMED) & (q > 0.3)
    dusty = fit & (chance[2] < DUSTY) & (q < EDGE_ON)
    strength = np.where(armed, rng.uniform(0.3, 0.8, count), 0.0)
    number, pitch = rng.integers(2, 5, count), rng.uniform(10, 30, count)
    phase = rng.uniform(0, 360, count)
    clumps = rng.integers(3, CLUMPS + 1, count)
    weight = rng.exponential(size=(count, CLUMPS)) * (np.arange(CLUMPS) < clumps[:, None])
    t, phi = _clump_places(rng, count, strength, number, pitch, phase)
    side = rng.choice([-1.0, 1.0], count)
    return Features(
        realistic=fit,
        arm_strength=strength,
        arm_number=np.where(armed, number, 0).astype(float),
        arm_pitch=np.where(armed, pitch, 0.0),
        arm_phase=np.where(armed, phase, 0.0),
        dust_depth=np.where(dusty, rng.uniform(0.5, 2.0, count), 0.0),
        dust_offset=np.where(dusty, side * 0.3 * q, 0.0),
        dust_width=np.where(dusty, 0.12 + 0.1 * q, 0.0),
        bar_share=np.where(barred, rng.uniform(0.05, 0.2, count), 0.0),
        bar_radius=np.where(barred, rng.uniform(0.5, 0.9, count), 0.0),
        bar_ratio=np.where(barred, rng.uniform(0.25, 0.4, count), 0.0),
        bar_angle=np.where(barred, 90 - (90 - galaxies.angle - rng.uniform(0, 180, count)) % 180, 0.0),
        clump_share=np.where(fit, rng.uniform(0.03, 0.15, count), 0.0),
        clump_size=np.where(fit, rng.uniform(0.03, 0.1, count), 0.0),
        clump_weight=np.where(fit[:, None], weight / weight.sum(1, keepdims=True), 0.0),
        clump_along=np.where(fit[:, None], t * np.cos(phi), 0.0),
        clump_across=np.where(fit[:, None], t * np.sin(phi) * q[:, None], 0.0),
    )


def _clump_places(
    rng: np.random.Generator,
    count: int,
    strength: np.ndarray,
    number: np.ndarray,
    pitch: np.ndarray,
    phase: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Radii and azimuths (galaxy, clump) in the discs: like exp(-t), where there are arms near them."""
    t = np.clip(rng.gamma(2.0, 0.7, (count, CLUMPS)), 0.3, 3.5)
    loose = rng.uniform(0, 2 * math.pi, (count, CLUMPS))
    arm = rng.integers(0, 4, (count, CLUMPS)) % number[:, None]
    crest = (2 * math.pi * arm + np.radians(phase)[:, None]) / number[:, None]
    crest = crest + np.log(t) / np.tan(np.radians(pitch))[:, None]
    near = rng.normal(0, 0.2, (count, CLUMPS))
    return t, np.where(strength[:, None] > 0, crest + near, loose)


def pattern(
    along: Points, across: Points, ratio: Tensor, scale: Tensor, named: dict[str, Tensor], wavelength: float
) -> Points:
    """What the disc with arms and dust is, over the plain disc, less one, times e^-t: (galaxy, point).

    Parameters
    ----------
    along, across : Tensor
        (galaxy, point): distances along the major axis and across it on the sky, any unit.
    ratio, scale : Tensor
        (galaxy, 1): axis ratio and scale length of the disc, in that unit.
    named : dict
        (galaxy, 1): features by name, as in :class:`Features`.
    wavelength : float
        Nanometres.
    """
    u, v = along / scale, across / (scale * ratio)
    t = torch.sqrt(u * u + v * v).clamp_min(1e-6)
    fade = 4 * t * t / (1 + 4 * t * t)
    pitch, phase = torch.deg2rad(named["arm_pitch"]), torch.deg2rad(named["arm_phase"])
    winding = torch.where(pitch > 0, 1 / torch.tan(pitch.clamp_min(1e-3)), torch.zeros_like(pitch))
    azimuth = named["arm_number"] * (torch.atan2(v, u) - torch.log(t) * winding) - phase
    arms = named["arm_strength"] * fade * torch.cos(azimuth)
    width = named["dust_width"].clamp_min(1e-3)
    lane = torch.exp(-0.5 * ((across / scale - named["dust_offset"]) / width) ** 2)
    depth = named["dust_depth"] * (REFERENCE / wavelength)
    through = torch.exp(-depth * fade * lane)
    return torch.exp(-t) * ((1 + arms) * through - 1)


RINGS, SPOKES = 96, 128


def passed(features: dict[str, np.ndarray], ratio: np.ndarray, wavelength: float) -> np.ndarray:
    """Share (galaxy,) of the plain disc's light that dust lets through in a band, by quadrature over the disc."""
    nodes, weights = np.polynomial.legendre.leggauss(RINGS)
    t = torch.as_tensor(7.5 * (nodes + 1))
    rings = torch.as_tensor(7.5 * weights) * t / (1 - 16 * math.exp(-15.0)) / SPOKES
    phi = torch.arange(SPOKES, dtype=torch.float64) * (2 * math.pi / SPOKES)
    u, v = (t[:, None] * torch.cos(phi)).reshape(1, -1), (t[:, None] * torch.sin(phi)).reshape(1, -1)
    share = np.ones(len(ratio))
    for row in np.flatnonzero(features["dust_depth"] > 0):
        named = {name: torch.tensor([[float(features[name][row])]]).double() for name in PATTERN}
        q = torch.tensor([[float(ratio[row])]]).double()
        less = pattern(u, v * q, q, torch.ones_like(q), named, wavelength)
        share[row] += float((less.reshape(RINGS, SPOKES).sum(1) * rings).sum())
    return share


PATTERN = (
    "arm_strength",
    "arm_number",
    "arm_pitch",
    "arm_phase",
    "dust_depth",
    "dust_offset",
    "dust_width",
)
"""The features that :func:`pattern` takes."""
