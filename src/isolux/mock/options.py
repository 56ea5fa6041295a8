"""What is in a mock field and what is done to it: one frozen dataclass, filled by Python and the command line alike."""

from __future__ import annotations

import dataclasses
import math

from isolux.errors import InputError, unknown_name

MORPHOLOGIES = ("mixed", "sersic", "bulge+disc", "realistic")
ARRANGEMENTS = ("random", "grid", "pairs")
SMALLEST, LARGEST = 16, 32768
"""Sides of a field in pixels."""


@dataclasses.dataclass(frozen=True)
class FieldOptions:
    """What a mock field holds.

    Parameters
    ----------
    size : int or (int, int)
        Side, or rows and columns, in pixels of the first band; other bands see the same piece of sky.
    galaxies, stars : int, optional
        How many; as many as on the sky where left out.
    bright, faint : float, optional
        Magnitudes in the first band between which galaxies are; from 14 to the survey's depth where left out.
    morphology : {"mixed", "sersic", "bulge+disc", "realistic"}
        Single Sérsic profiles and bulges with discs in COSMOS's proportions, one kind alone, or "mixed" with bars,
        spiral arms, clumps and dust in the larger discs.
    arrangement : {"random", "grid", "pairs"}
        Sources anywhere; each in a cell of its own; or pairs of galaxies, each pair in a cell of its own.
    separation : float
        With "pairs": distance of the two in half-light radii of the first, which is the larger one.
    background, gradient : float
        Sky left in the image in units of its noise a pixel: the level, and the change from one corner to the other.
    bad_columns : int
        Columns without signal.
    cosmic_rays : float
        Hits a million pixels.
    bleed : bool
        Whether the charge of saturated stars runs along columns.
    noise_correlation : float, optional
        Width (FWHM, in pixels) of the kernel that the noise looks as if smoothed with; the survey's where left out.
    psf_variation : float
        How much the PSF varies over the field: about the relative change of its width from edge to edge.
    ra, dec : float
        Sky position of the field's middle in degrees.
    rotation : float
        Degrees by which north is turned from up, counter-clockwise.
    edge : float
        Surface brightness at which galaxies are cut off, in units of the sky's noise a pixel.

    Raises
    ------
    InputError
        If one of them cannot be.
    """

    size: int | tuple[int, int] = 1024
    galaxies: int | None = None
    stars: int | None = None
    bright: float | None = None
    faint: float | None = None
    morphology: str = "mixed"
    arrangement: str = "random"
    separation: float = 1.5
    background: float = 0.0
    gradient: float = 0.0
    bad_columns: int = 0
    cosmic_rays: float = 0.0
    bleed: bool = False
    noise_correlation: float | None = None
    psf_variation: float = 0.0
    ra: float = 150.1
    dec: float = 2.2
    rotation: float = 0.0
    edge: float = 0.005

    def __post_init__(self) -> None:
        for side in self.shape:
            if not SMALLEST <= side <= LARGEST:
                raise InputError("size of the field in pixels", self.size, f"{SMALLEST} to {LARGEST}")
        if self.morphology not in MORPHOLOGIES:
            raise unknown_name("morphology", self.morphology, MORPHOLOGIES)
        if self.arrangement not in ARRANGEMENTS:
            raise unknown_name("arrangement", self.arrangement, ARRANGEMENTS)
        for name, low, high in (
            ("galaxies", 0, 1_000_000),
            ("stars", 0, 1_000_000),
            ("bright", 5, 35),
            ("faint", 5, 35),
            ("separation", 0.05, 50),
            ("background", -1e6, 1e6),
            ("gradient", -1e6, 1e6),
            ("bad_columns", 0, self.shape[1] // 2),
            ("cosmic_rays", 0, 10_000),
            ("noise_correlation", 0, 5),
            ("psf_variation", 0, 0.5),
            ("ra", -360, 360),
            ("dec", -89, 89),
            ("rotation", -360, 360),
            ("edge", 1e-4, 1),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"{name} of a mock field", value, f"{low:g} to {high:g}")
        if self.bright is not None and self.faint is not None and not self.bright < self.faint:
            raise InputError("bright and faint limit", (self.bright, self.faint), "bright < faint")
        if self.arrangement == "pairs" and (self.galaxies or 0) % 2:
            raise InputError("galaxies of a field of pairs", self.galaxies, "an even number")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])
