"""The options of ``isolux fit`` and ``isolux check``, declared once.

An option that is not given is None: the run file's value holds then, or else that of the dataclass that it is for,
which is the one that the help names.
"""

# ruff: noqa: RUF009  (an option is a dataclasses.field)

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from isolux.cli.declare import given_of, number_or_text, option
from isolux.errors import unknown_name

FORMATS = ("fits", "parquet", "ecsv", "csv", "hdf5")


@dataclasses.dataclass(frozen=True)
class StampArguments:
    """Where the stamps are: fields of :class:`isolux.io.source.StampSource`."""

    panel: ClassVar[str] = "Stamps"
    image: str | None = option(
        "PATTERN", "Images. What [b]*[/b] stands for names the galaxy; [b]file.fits\\[SCI][/b] names an HDU."
    )
    table: str | None = option(
        "FILE",
        "Instead of patterns: a table (CSV, ECSV, FITS, Parquet, HDF5) with a row a galaxy and columns id, image, "
        "sigma, psf, mask, ...; paths in it are relative to it.",
    )
    id: str | None = option("COLUMN", "With --table: the column that names the galaxies. Default id.")
    sigma: str | None = option(
        "PATTERN", "Standard deviation of each pixel, in image units: files, or one number."
    )
    variance: str | None = option("PATTERN", "Instead of sigma: variance, in image units squared.")
    ivar: str | None = option("PATTERN", "Instead of sigma: inverse variance.")
    gain: str | None = option(
        "GAIN", "Instead of sigma: electrons per image unit (number, header keyword or column)."
    )
    sky_level: str | None = option(
        "LEVEL", "With --gain: sky that was subtracted, in image units a pixel. Default 0."
    )
    read_noise: str | None = option("NOISE", "With --gain: read noise in electrons. Default 0.")
    psf: str | None = option(
        "PATTERN", "PSFs, of odd size: images of a star. Files by pattern, or one file for all."
    )
    psf_oversampling: int | None = option("K", "PSF samples a pixel. Default 1.")
    psf_without_pixel: bool | None = option(
        None, "The PSF is without the pixel's response.", "--psf-without-pixel"
    )
    noise_correlation: str | None = option(
        "PATTERN",
        "Correlation functions of the noise, odd-sized with 1 in the middle: errors then hold for drizzled or "
        "resampled images. Usually one file for all.",
    )
    mask: str | None = option("PATTERN", "Masks: non-zero is bad unless --mask-bad says otherwise.")
    mask_bad: list[str] | None = option(
        "VALUE", "A value in masks that is bad, or the table's column of such values; may be repeated."
    )
    segmentation: str | None = option(
        "PATTERN", "Segmentation maps: bad are all labels but 0 and the one at the stamp's centre."
    )
    zero_point: str | None = option(
        "MAG", "AB magnitude of one image unit (number, header keyword or column). Default 0."
    )
    pixel_scale: str | None = option(
        "ARCSEC", "Arcsec a pixel (number, header keyword or column). Default: from the WCS."
    )

    def fields(self) -> dict[str, Any]:
        """What was given, by field of the source."""
        given = given_of(self)
        found: dict[str, Any] = {
            name: number_or_text(value) if isinstance(value, str) else value for name, value in given.items()
        }
        if "psf_without_pixel" in found:
            found["psf_includes_pixel"] = not found.pop("psf_without_pixel")
        if "sky_level" in found:
            found["sky"] = found.pop("sky_level")
        if "mask_bad" in found:
            values = [number_or_text(value) for value in found["mask_bad"]]
            found["mask_bad"] = values[0] if len(values) == 1 else values
        return found


@dataclasses.dataclass(frozen=True)
class ModelArguments:
    """The model: what :func:`isolux.cli.model.model_table` makes the run file's ``[model]`` of."""

    panel: ClassVar[str] = "Model (those with a value for each parameter may be repeated)"
    model: str | None = option(
        "MODEL",
        "Components joined by +: [b]sersic+sky[/b], [b]bulge+disc+sky[/b] (one centre, the bulge's index starts at "
        "4), or with names of your own, [b]core:sersic+halo:exponential[/b]. isolux profiles lists them.",
    )
    profile: list[str] | None = option(
        "FILE:CLASS",
        "A component of your own profile: [b]mybar.py:MyBar[/b], or [b]bar=mybar.py:MyBar[/b] to name it.",
    )
    set: list[str] | None = option(
        "NAME=VALUE",
        "Starting value, such as [b]bulge.sersic_index=4[/b], or a column of the table that has them; positions and "
        "sizes in pixels, angles in degrees from +y. Frees what would be held. Default: from the image.",
    )
    fix: list[str] | None = option(
        "NAME=VALUE", "Hold a parameter at a value, or at the numbers of a column."
    )
    tie: list[str] | None = option(
        "NAME=EXPR", "Compute a parameter from others: [b]disc.x=bulge.x[/b], [b]'bar.y=disc.y + 1'[/b]."
    )
    bound: list[str] | None = option(
        "NAME=LOW:HIGH", "Bounds: [b]disc.axis_ratio=0.1:1[/b]; an end may be left out."
    )


@dataclasses.dataclass(frozen=True)
class FitArguments:
    """How to fit: fields of :class:`isolux.options.RunOptions`."""

    panel: ClassVar[str] = "Fit"
    solver: str | None = option(
        "NAME",
        "[b]lm[/b] (Levenberg-Marquardt) or an optimiser of torch.optim, such as [b]Adam[/b]. Default lm.",
    )
    steps: int | None = option("N", "Steps of a galaxy at most. Default 100, or 2000 for torch.optim.")
    tolerance: float | None = option(
        "DCHI2", "Change of chi-square below which a fit has converged. Default 0.01."
    )
    learning_rate: float | None = option(
        "RATE", "For torch.optim: step in typical changes of the parameters. Default 0.1."
    )
    loss: str | None = option(
        "NAME",
        "What a pixel costs: [b]chi2[/b]; [b]student-t[/b] or [b]huber[/b] for outliers that no mask has, with a "
        "number after a colon as in [b]student-t:4[/b]; [b]cash[/b] for few counts, with --gain. Default chi2.",
    )
    prior: list[str] | None = option(
        "NAME=KIND",
        "What is known before of a parameter, or of an expression of several: "
        "[b]disc.sersic_index=gaussian:1:0.2[/b], [b]disc.effective_radius=log-normal:8:0.15[/b] (width in dex), "
        "[b]'bulge.effective_radius/disc.effective_radius=uniform:0:1'[/b]; numbers may be columns of the table. "
        "May be repeated; replaces the run file's prior on the same.",
    )
    starts: int | None = option("N", "Starts of a galaxy, the best of which is kept. Default 1.")
    errors: str | None = option("KIND", "covariance, bootstrap, posterior or none. Default covariance.")
    scale_errors: bool | None = option(
        None, "Multiply covariances by the reduced chi-square.", "--scale-errors"
    )
    replicates: int | None = option("N", "Of the bootstrap, for each galaxy. Default 100.")
    draws: int | None = option("N", "Samples of the posterior that are kept, for each galaxy. Default 500.")
    seed: int | None = option("N", "Of bootstrap, posterior samples and further starts. Default 0.")
    device: str | None = option("NAME", "cpu, cuda, cuda:1, or auto: a GPU where there is one. Default auto.")
    dtype: str | None = option("TYPE", "Precision of the images: float32 or float64. Default float32.")
    batch_size: int | None = option("N", "Galaxies of a batch at most. Default: from the free memory.")
    workers: int | None = option(
        "N", "Processes that fit at the same time. Default: one a core for large samples."
    )
    threads: int | None = option("N", "CPU threads of each process. Default 1.")

    def fields(self) -> dict[str, Any]:
        """What was given, by field of the options; the solver's parts apart."""
        own = ("solver", "prior", "steps", "tolerance", "learning_rate", "draws")
        return {name: value for name, value in given_of(self).items() if name not in own}


@dataclasses.dataclass(frozen=True)
class OutputArguments:
    """What is written: fields of :class:`isolux.options.RunOptions`."""

    panel: ClassVar[str] = "Output"
    out: Path | None = option("FOLDER", "Folder for all output. Default run.")
    format: str | None = option("KIND", "Of the catalogue: fits, parquet, ecsv, csv or hdf5. Default fits.")
    blocks: bool | None = option(
        None,
        "Write data, model, residual and components of each galaxy to blocks/. Default: yes.",
        "--blocks/--no-blocks",
    )
    figures: int | None = option("N", "Draw the first N galaxies to figures/. Default 0.")
    resume: bool | None = option(None, "Go on with the run that is in the folder.", "--resume")
    overwrite: bool | None = option(None, "Replace the catalogue that is there.", "--overwrite")

    def fields(self) -> dict[str, Any]:
        """What was given, by field of the options.

        Raises
        ------
        InputError
            For an unknown format.
        """
        given = given_of(self)
        if "out" in given:
            given["folder"] = given.pop("out")
        if "format" in given:
            kind = given.pop("format")
            if kind not in FORMATS:
                raise unknown_name("format of the catalogue", kind, FORMATS)
            given["catalogue"] = f"catalogue.{kind}"
        return given
