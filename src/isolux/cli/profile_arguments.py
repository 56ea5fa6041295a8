"""The options of ``isolux profile``, declared once."""

# ruff: noqa: RUF009  (an option is a dataclasses.field)

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from isolux.cli.declare import given_of, number_or_text, option


@dataclasses.dataclass(frozen=True)
class PlaneArguments:
    """What belongs to the images: fields of :class:`isolux.io.source.StampSource`."""

    panel: ClassVar[str] = "Images"
    sigma: str | None = option(
        "PATTERN", "Standard deviation of each pixel: files, or one number. Default: from the sky's pixels."
    )
    variance: str | None = option("PATTERN", "Instead of sigma: variance.")
    ivar: str | None = option("PATTERN", "Instead of sigma: inverse variance.")
    gain: str | None = option("GAIN", "Instead of sigma: electrons per image unit.")
    mask: str | None = option("PATTERN", "Masks: non-zero is bad unless --mask-bad says otherwise.")
    mask_bad: list[str] | None = option("VALUE", "A value in masks that is bad; may be repeated.")
    segmentation: str | None = option(
        "PATTERN", "Segmentation maps: bad are all labels but 0 and the one at the centre."
    )
    psf: str | None = option("PATTERN", "PSF of each stamp, at its pixels; polar looks at how wide it is.")
    zero_point: str | None = option("MAG", "AB magnitude of one image unit (number or keyword). Default 0.")
    pixel_scale: str | None = option(
        "ARCSEC", "Arcsec a pixel (number or keyword). Default: from the WCS, or 1."
    )

    def fields(self) -> dict[str, Any]:
        """What was given, by field of the source."""
        found: dict[str, Any] = {
            name: number_or_text(value) if isinstance(value, str) else value
            for name, value in given_of(self).items()
        }
        if "mask_bad" in found:
            values = [number_or_text(value) for value in found["mask_bad"]]
            found["mask_bad"] = values[0] if len(values) == 1 else values
        return found


@dataclasses.dataclass(frozen=True)
class ProfileBands:
    """Images in other bands."""

    panel: ClassVar[str] = "Other bands, measured along the same isophotes"
    band: list[str] | None = option(
        "NAME=PATTERN",
        "Images of the same galaxies in another band; may be repeated. Adds colours to the tables.",
    )
    band_zero_point: list[str] | None = option("NAME=MAG", "Its zero point. Default: that of the first band.")
    band_sigma: list[str] | None = option("NAME=PATTERN", "Its sigma. Default: from the sky's pixels.")
    band_name: str | None = option("NAME", "Name of the first band. Default: first.")


@dataclasses.dataclass(frozen=True)
class IsophoteArguments:
    """How to measure: fields of :class:`isolux.isophotes.IsophoteOptions`."""

    panel: ClassVar[str] = "Isophotes"
    step: float | None = option(
        "ARCSEC", "Between semi-major axes. Default 0.2, or two pixels where these are less."
    )
    ratio: float | None = option("R", "Instead: each semi-major axis over the one before, such as 1.1.")
    geometry: str | None = option("KIND", "free, or fixed: one ellipse for a galaxy. Default free.")
    axis_ratio: float | None = option("Q", "Of the fixed ellipse. Default: fitted.")
    position_angle: float | None = option("DEG", "Of the fixed ellipse, from +y. Default: fitted.")
    smoothness: float | None = option("S", "How freely the shape changes with radius. Default 0.12.")
    annulus: float | None = option("W", "Width of rings over their semi-major axis. Default 0.1.")
    average: str | None = option("KIND", "Along isophotes: mean (clipped) or median. Default mean.")
    clip: float | None = option("K", "Clipping in 68.3 % half-intervals. Default 4.")
    keep_neighbours: bool | None = option(None, "Mask no pixels but those of the masks.", "--keep-neighbours")
    place: str | None = option(
        "PLACE",
        "Where the galaxy is: brightest (near the middle), middle (of the stamp), or auto: brightest unless the "
        "middle has a source of its own. Default auto.",
    )
    sky_level: float | None = option("LEVEL", "Sky in image units a pixel. Default: measured.")
    sky_error: float | None = option("ERROR", "Of that level. Default 0.")
    ending: str | None = option(
        "KIND", "Noise where the profile ends: error, or scatter within the window. Default error."
    )
    window: int | None = option("N", "Steps that are looked at for where the profile ends. Default 40.")
    power: float | None = option("P", "Squared signal-to-noise at which the profile ends. Default 4.")
    faintest: float | None = option("MU", "Instead: surface brightness at which the profile ends.")
    levels: list[float] | None = option("MU", "An isophote whose radius is wanted; may be repeated.")

    def options(self) -> Any:
        """The :class:`isolux.isophotes.IsophoteOptions`, with defaults for what was not given."""
        from isolux.isophotes.options import IsophoteOptions

        given = given_of(self)
        if given.pop("keep_neighbours", False):
            given["find_neighbours"] = False
        if "sky_level" in given:
            given["sky"] = "given"
        if "levels" in given:
            given["levels"] = tuple(given["levels"])
        fixed = {"axis_ratio", "position_angle"} & set(given)
        if fixed and "geometry" not in given:
            given["geometry"] = "fixed"
        return IsophoteOptions(**given)


@dataclasses.dataclass(frozen=True)
class NetworkArguments:
    """What reads the images where no isophotes are fitted."""

    panel: ClassVar[str] = "Networks (of the options above they take --step and --levels)"
    weights: Path | None = option(
        "FILE", "Your own weights, from isolux train profile. Default: those that come with Isolux."
    )


@dataclasses.dataclass(frozen=True)
class ProfileOutput:
    """What is written."""

    panel: ClassVar[str] = "Output"
    out: Path | None = option("FOLDER", "Folder for tables and figures. Default profiles.")
    format: str | None = option("KIND", "Of the tables: fits, parquet, ecsv, csv or hdf5. Default fits.")
    figures: int | None = option("N", "Draw the first N galaxies. Default 100.")
    figure_format: str | None = option("NAMES", "png, pdf, svg, or several with commas. Default png.")
    overwrite: bool | None = option(
        None, "Replace tables, and an unfinished run, that are there.", "--overwrite"
    )
