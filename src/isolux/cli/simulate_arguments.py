"""The options of ``isolux simulate``, declared once."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from isolux.cli.declare import option


@dataclasses.dataclass(frozen=True)
class SkyArguments:
    """What is on the sky: fields of :class:`isolux.mock.FieldOptions`."""

    panel: ClassVar[str] = "Sky"
    size: str | None = option("N", "Side in pixels of the first band, or rows,columns. Default 1024.")
    galaxies: int | None = option("N", "How many galaxies. Default: as many as on the sky.")
    stars: int | None = option("N", "How many stars. Default: as many as at a Galactic pole.")
    bright: float | None = option("MAG", "Brightest galaxies, in the first band. Default 14.")
    faint: float | None = option("MAG", "Faintest sources. Default: where a star has a signal-to-noise of 5.")
    morphology: str | None = option(
        "KIND",
        "sersic, bulge+disc, mixed (both, as in COSMOS), or realistic (mixed with bars, arms, clumps and dust). "
        "Default mixed.",
    )
    arrangement: str | None = option(
        "KIND", "random, grid (each source in its own cell), or pairs. Default random."
    )
    separation: float | None = option("R", "With pairs: distance in half-light radii. Default 1.5.")
    ra: float | None = option("DEG", "Right ascension of the middle. Default 150.1.")
    dec: float | None = option("DEG", "Declination of the middle. Default 2.2.")
    rotation: float | None = option("DEG", "North from up, counter-clockwise. Default 0.")


@dataclasses.dataclass(frozen=True)
class DetectorArguments:
    """What telescope and detector do: further fields of the same."""

    panel: ClassVar[str] = "Telescope and detector"
    psf_variation: float | None = option(
        "V", "Relative change of the PSF's width over the field, 0 to 0.5. Default 0."
    )
    background: float | None = option("LEVEL", "Sky left in the image, in units of its noise. Default 0.")
    gradient: float | None = option("CHANGE", "Its change over the field, in units of its noise. Default 0.")
    noise_correlation: float | None = option(
        "FWHM", "Pixels over which noise is smoothed, 0 to 5. Default: the survey's."
    )
    bad_columns: int | None = option("N", "Columns without signal. Default 0.")
    cosmic_rays: float | None = option("N", "Hits a million pixels. Default 0.")
    bleed: bool | None = option(None, "Let saturated stars bleed along columns.", "--bleed")
    edge: float | None = option(
        "LEVEL", "Surface brightness at which sources are cut off, in units of the noise. Default 0.005."
    )
