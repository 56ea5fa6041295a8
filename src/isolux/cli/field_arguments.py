"""The options of ``isolux measure``, declared once."""

# ruff: noqa: RUF009  (an option is a dataclasses.field)

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from isolux.cli.declare import given_of, number_or_text, option


@dataclasses.dataclass(frozen=True)
class ImageArguments:
    """What the image is."""

    panel: ClassVar[str] = "Image"
    weight: str | None = option(
        "FILE", "Noise of the pixels. Default: an HDU of the image's file, else it is measured."
    )
    weight_type: str | None = option(
        "KIND",
        "What that file holds: ivar, variance, sigma, relative. Default: found from names and the noise.",
    )
    mask: str | None = option("FILE", "Bad pixels: non-zero is bad.")
    hdu: str | None = option("HDU", "Number or EXTNAME of the image. Default: the first image.")
    zero_point: str | None = option("MAG", "AB magnitude of one image unit. Default: from the header.")
    gain: str | None = option("GAIN", "Electrons per image unit. Default: from the header.")
    saturation: str | None = option("LEVEL", "Pixels from here on are saturated. Default: from the header.")
    pixel_scale: str | None = option("ARCSEC", "Arcsec a pixel. Default: from the WCS.")
    band: str | None = option("NAME", "Name of the band. Default: from the header.")

    def fields(self) -> dict[str, Any]:
        """What was given, for the reader."""
        numbers = ("hdu", "zero_point", "gain", "saturation", "pixel_scale")
        given = given_of(self)
        return {n: number_or_text(v) if n in numbers else v for n, v in given.items()}


@dataclasses.dataclass(frozen=True)
class PsfArguments:
    """The PSF."""

    panel: ClassVar[str] = "PSF"
    psf: str | None = option(
        "FILE", "An image of a star, or a PSFEx model. Default: measured from the stars in the image."
    )
    psf_oversampling: int | None = option("K", "Samples a pixel of an image. Default 1.")
    psf_without_pixel: bool | None = option(
        None, "The image is without the pixel's response.", "--psf-without-pixel"
    )

    def fields(self) -> dict[str, Any]:
        """What was given, for :func:`isolux.measure_field`."""
        given = given_of(self)
        if "psf_without_pixel" in given:
            given["psf_includes_pixel"] = not given.pop("psf_without_pixel")
        return given


@dataclasses.dataclass(frozen=True)
class SourceArguments:
    """Which sources, and what they are fitted with."""

    panel: ClassVar[str] = "Sources"
    models: str | None = option(
        "NAMES",
        "Models with commas: point, exponential, sersic, bulge+disc, sersic+point. Each source is fitted with all of "
        "them, and the one with the least BIC is chosen. Default: all.",
    )
    positions: str | None = option(
        "FILE",
        "Measure these in place of what is detected: a table with columns ra and dec, or x and y (from 0).",
    )
    threshold: float | None = option(
        "SIGMAS", "Detection threshold, in units of the smoothed image's noise. Default 4."
    )
    most: int | None = option("N", "Sources that are fitted at the same time at most. Default 4.")
    no_shapes: bool | None = option(
        None, "Leave out what needs no model: Petrosian radii, asymmetry, ...", "--no-shapes"
    )
    workers: int | None = option("N", "Processes. Default: one a core.")
    device: str | None = option("NAME", "Where fits are done: cpu, cuda, cuda:1. Default cpu.")
    priors: str | None = option(
        "KIND",
        "population, weak priors that keep faint galaxies from running away, or none. Default population.",
    )

    def fields(self) -> dict[str, Any]:
        """What was given, for :class:`isolux.field.options.FieldOptions`."""
        given = given_of(self)
        given.pop("positions", None)
        if "models" in given:
            given["models"] = tuple(name for name in given["models"].split(",") if name.strip())
        if given.pop("no_shapes", None):
            given["shapes"] = False
        return given


@dataclasses.dataclass(frozen=True)
class BandArguments:
    """Further bands."""

    panel: ClassVar[str] = "Further bands"
    also: list[str] | None = option(
        "IMAGE",
        "The same sky in another band, of any pixel scale; may be repeated. Sources are then fitted to all bands at "
        "the same time, with magnitudes of each.",
    )
    degree: list[str] | None = option(
        "NAME=N",
        "Let a parameter vary with wavelength, as a polynomial of a degree: effective_radius=1. May be repeated.",
    )

    hold_structure: bool | None = option(
        None,
        "Keep the structure of the first band: only light is measured in the others.",
        "--hold-structure",
    )

    def fields(self) -> dict[str, Any]:
        """What was given, for :func:`isolux.measure_field`."""
        found: dict[str, Any] = {"hold": True} if self.hold_structure else {}
        if self.also:
            found["also"] = tuple(self.also)
        if self.degree:
            found["degrees"] = dict(_degree(text) for text in self.degree)
        return found


def _degree(text: str) -> tuple[str, int]:
    from isolux.errors import InputError

    name, _, number = text.partition("=")
    if not name or not number.isdigit():
        raise InputError("degree", text, "NAME=N, such as effective_radius=1")
    return name, int(number)


@dataclasses.dataclass(frozen=True)
class FolderArguments:
    """What is written."""

    panel: ClassVar[str] = "Output"
    out: Path | None = option(
        "FOLDER", "Where everything is written. Default: <image>_sources beside the image."
    )
    format: str | None = option("NAME", "Of the catalogue: fits, parquet, ecsv, csv, hdf5. Default fits.")
    no_figure: bool | None = option(None, "Draw no figure.", "--no-figure")
    overwrite: bool | None = option(None, "Replace the catalogue that is there.", "--overwrite")
