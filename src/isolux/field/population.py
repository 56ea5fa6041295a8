"""What is known of galaxies before they are fitted: weak priors that keep faint ones from running away.

Where the signal is low a Sérsic galaxy, its index and the sky can be traded for one another without end: the best fit
is then often a cusp with wings as wide as the stamp, a magnitude too bright. So by default

    log10 n           Gaussian about log10 1.5, 0.35 wide
    log10 r_e         Gaussian about the sizes of the field's own brighter galaxies, continued to fainter ones as
                      log10 r_e = a + b m, 1.3 times as wide as they scatter about it; where there are too few of
                      them, about the size that was detected (the PSF taken off), 0.4 wide
    q                 Gaussian about 0.65, 0.3 wide; of bulges about 0.75, 0.2 wide
    the sky           Gaussian about the measured background, 0.02 of the noise a pixel wide

are further residuals. They weigh as much as an error of those widths would; from a signal-to-noise of 50 on they are
nothing beside the data, and the sky is then free. The widths are those of surveys' galaxies (COSMOS: Sargent et al.
2007, ApJS 172, 434; SDSS: Simard et al. 2011, ApJS 196, 11), a little widened, and near those that SourceXtractor++
had in the Euclid Morphology Challenge (Bretonnière et al. 2023, A&A 671, A102).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from isolux.field.models import Model, prefix_of
from isolux.parameters import Column
from isolux.priors import GaussianPrior, LogNormalPrior, Prior
from isolux.profiles.exponential import HALF_LIGHT

INDEX = (1.5, 0.35)
SIZE_DEX = 0.4
RATIO = (0.65, 0.3)
BULGE_RATIO = (0.75, 0.2)
BULGE, BULGE_DEX = 0.4, 0.5
"""Half-light radius of a bulge over that of its galaxy."""
SKY, BRIGHT = 0.02, 30.0
"""Error of the measured background in units of the noise a pixel; signal-to-noise above which it grows with its
square, since large bright galaxies spoil the mesh."""
SKY_WIDTH, SIZE_WIDTH = "sky_width", "size_width"
LEAST_GALAXIES = 20
"""Bright galaxies that it takes to learn how sizes go with magnitudes."""
WIDER, NARROWEST = 1.3, 0.25
"""The prior's width over the scatter of bright galaxies; its least, in dex."""
STEEPEST = 0.3
"""Largest change of log10 r_e a magnitude that is believed."""
SHAPED = ("exponential", "sersic", "disc", "host")


def population_priors(models: Sequence[Model]) -> tuple[Prior, ...]:
    """Priors on the scene of a group; their numbers are columns that :func:`population_columns` gives."""
    priors: list[Prior] = [GaussianPrior("sky.level", 0.0, Column(SKY_WIDTH))]
    for k, model in enumerate(models):
        prefix = prefix_of(models, k)
        for name in model.components:
            full = prefix + name
            if name in SHAPED:
                priors.append(GaussianPrior(f"{full}.axis_ratio", *RATIO))
            if name in ("sersic", "host"):
                priors.append(LogNormalPrior(f"{full}.sersic_index", *INDEX))
                priors.append(
                    LogNormalPrior(f"{full}.effective_radius", Column(f"{prefix}size"), Column(SIZE_WIDTH))
                )
            elif name in ("exponential", "disc"):
                priors.append(
                    LogNormalPrior(f"{full}.scale_radius", Column(f"{prefix}scale"), Column(SIZE_WIDTH))
                )
            elif name == "bulge":
                priors.append(GaussianPrior(f"{full}.axis_ratio", *BULGE_RATIO))
                priors.append(LogNormalPrior(f"{full}.effective_radius", Column(f"{prefix}bulge"), BULGE_DEX))
    return tuple(priors)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How half-light radii go with magnitudes.

    Attributes
    ----------
    log_radius, slope, magnitude : float
        log10 of pixels at a magnitude, and its change a magnitude.
    dex : float
        Width of the prior.
    """

    log_radius: float
    slope: float
    magnitude: float
    dex: float

    def radius(self, magnitude: float) -> float:
        """The middle of the prior in pixels."""
        return float(10 ** (self.log_radius + self.slope * (magnitude - self.magnitude)))


def learn_sizes(magnitude: np.ndarray, radius: np.ndarray) -> Sizes | None:
    """The relation of bright galaxies: a straight line by least absolute deviations; None where there are too few.

    Parameters
    ----------
    magnitude, radius : numpy.ndarray
        (galaxy,): of galaxies that are measured well; pixels.
    """
    good = np.isfinite(magnitude) & np.isfinite(radius) & (radius > 0)
    if good.sum() < LEAST_GALAXIES:
        return None
    x, y = magnitude[good], np.log10(radius[good])
    middle = float(np.median(x))
    design = np.stack([np.ones_like(x), x - middle], 1)
    weight = np.ones_like(x)
    for _ in range(20):
        line = np.linalg.lstsq(design * weight[:, None], y * weight, rcond=None)[0]
        off = np.abs(y - design @ line)
        weight = 1 / np.sqrt(np.maximum(off, 0.02))
    slope = float(np.clip(line[1], -STEEPEST, STEEPEST))
    scatter = float(np.percentile(np.abs(y - line[0] - slope * (x - middle)), 68))
    return Sizes(float(line[0]), slope, middle, max(WIDER * scatter, NARROWEST))


def population_columns(
    models: Sequence[Model],
    sizes: Sequence[float],
    noise: float,
    signal: float,
    largest: float,
    dex: float = SIZE_DEX,
) -> Mapping[str, float]:
    """The numbers of a group's priors.

    Parameters
    ----------
    models : sequence of Model
        One a member.
    sizes : sequence of float
        Half-light radius of each in pixels along the major axis, as expected.
    noise : float
        Standard deviation of a pixel of sky.
    signal : float
        Signal-to-noise of the brightest.
    largest : float
        No size may be larger, in pixels.
    dex : float
        How far from it they may be.
    """
    columns = {SKY_WIDTH: SKY * noise * max(1.0, signal / BRIGHT) ** 2, SIZE_WIDTH: dex}
    for k, size in enumerate(sizes):
        prefix = prefix_of(models, k)
        radius = min(max(size, 0.1), largest)
        columns |= {
            f"{prefix}size": radius,
            f"{prefix}scale": radius / HALF_LIGHT,
            f"{prefix}bulge": BULGE * radius,
        }
    return columns
