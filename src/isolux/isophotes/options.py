"""How profiles are measured: one frozen dataclass, filled by Python and the command line alike."""

from __future__ import annotations

import dataclasses
import math

from isolux.errors import InputError, unknown_name
from isolux.types import PerGalaxy

GEOMETRIES = ("free", "fixed")
AVERAGES = ("mean", "median")
SKIES = ("measured", "given")
ENDINGS = ("error", "scatter")
PLACES = ("auto", "brightest", "middle")
STEP, STEP_PIXELS = 0.2, 2.0
"""Steps between semi-major axes in arcsec where none is given, and in pixels at most."""


def steps_of(step: float | None, scale: PerGalaxy) -> PerGalaxy:
    """Pixels (galaxy,) between semi-major axes, of a step in arcsec or the usual one, at pixel scales (galaxy,)."""
    return (STEP / scale).clamp_max(STEP_PIXELS) if step is None else step / scale


@dataclasses.dataclass(frozen=True)
class IsophoteOptions:
    """How isophotes are fitted and what is measured along them.

    Parameters
    ----------
    step : float, optional
        Arcsec between semi-major axes. Where left out, 0.2, or two pixels where these are less.
    ratio : float, optional
        Instead of equal steps: each semi-major axis over the one before, such as 1.1; the first is half a pixel.
    geometry : {"free", "fixed"}
        Ellipticity and angle that follow the radius, or one ellipse for the galaxy.
    axis_ratio, position_angle : float, optional
        With "fixed": the ellipse; degrees counter-clockwise from +y. Fitted where left out.
    smoothness : float
        How much ellipticity may change while the radius grows by a factor e: standard deviation of a random walk.
    annulus : float
        Width of the rings over their semi-major axis; never below a pixel.
    average : {"mean", "median"}
        Of the pixels of a ring; the mean is taken after clipping.
    clip : float
        Pixels farther from the middle of their ring than so many 68.3 % half-intervals are left out.
    find_neighbours : bool
        Whether what stands out of its ring is masked, beside the mask that was given.
    place : {"auto", "brightest", "middle"}
        Where the galaxy is: at the brightest place near the middle of the stamp, or always within a few pixels of the
        middle. With "auto" at the brightest place, unless the middle has a source of its own.
    sky : {"measured", "given"}
        Measured around the galaxy, or given as ``sky_level``.
    sky_level, sky_error : float
        With "given": image units a pixel.
    ending : {"error", "scatter"}
        What is noise where the profile ends: the error of each point, or, as Smith et al. (2021) have it, the standard
        deviation of the brightness within the window, which holds the galaxy's own decline.
    window, power : int and float
        The profile ends where the squared signal-to-noise of ``window`` steps falls below ``power``. With "error" it is
        their median, and the window is never longer than half the semi-major axis.
    faintest : float, optional
        Instead: the profile ends at this surface brightness, mag/arcsec^2.
    levels : tuple of float
        Surface brightnesses whose radii are measured, mag/arcsec^2; D25 is twice the radius of 25.
    detection : float
        Signal-to-noise of the light in some ellipse below which there is no galaxy.

    Raises
    ------
    InputError
        If one of them cannot be.
    """

    step: float | None = None
    ratio: float | None = None
    geometry: str = "free"
    axis_ratio: float | None = None
    position_angle: float | None = None
    smoothness: float = 0.12
    annulus: float = 0.1
    average: str = "mean"
    clip: float = 4.0
    find_neighbours: bool = True
    place: str = "auto"
    sky: str = "measured"
    sky_level: float = 0.0
    sky_error: float = 0.0
    ending: str = "error"
    window: int = 40
    power: float = 4.0
    faintest: float | None = None
    levels: tuple[float, ...] = (24.0, 25.0, 26.0)
    detection: float = 7.0

    def __post_init__(self) -> None:
        for name, choices in (
            ("geometry", GEOMETRIES),
            ("average", AVERAGES),
            ("sky", SKIES),
            ("place", PLACES),
            ("ending", ENDINGS),
        ):
            if getattr(self, name) not in choices:
                raise unknown_name(name, str(getattr(self, name)), choices)
        for name, low, high in (
            ("step", 1e-4, 1e4),
            ("ratio", 1.01, 2),
            ("axis_ratio", 0.05, 1),
            ("position_angle", -360, 360),
            ("smoothness", 1e-3, 10),
            ("annulus", 0, 1),
            ("clip", 2, 100),
            ("sky_error", 0, math.inf),
            ("window", 1, 10_000),
            ("power", 0, 1e6),
            ("faintest", 5, 45),
            ("detection", 0, 1000),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"{name} of isophotes", value, f"{low:g} to {high:g}")
        if not math.isfinite(self.sky_level):
            raise InputError("sky_level of isophotes", self.sky_level, "a number")
        if self.geometry != "fixed" and (self.axis_ratio, self.position_angle) != (None, None):
            raise InputError('axis_ratio and position_angle are for geometry = "fixed"')
        if not all(math.isfinite(level) for level in self.levels):
            raise InputError("levels of isophotes", self.levels, "mag/arcsec^2")
