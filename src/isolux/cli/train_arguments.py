"""The options of ``isolux train``."""

# ruff: noqa: RUF009  (an option is a dataclasses.field)

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from isolux.cli.declare import given_of, option


@dataclasses.dataclass(frozen=True)
class ProfileLesson:
    """What is learned."""

    panel: ClassVar[str] = "Network and data"
    network: str | None = option("NAME", "polar, or pix2prof: the published one. Default polar.")
    preset: str | None = option("NAMES", "Surveys, with commas. Default sdss,hsc,euclid (pix2prof: sdss).")
    size: int | None = option("PIXELS", "Side of the stamps. Default 192 (pix2prof: 256).")
    labels: str | None = option("KIND", "true, or classical: what isophotes measure. Default true.")
    batch: int | None = option("N", "Galaxies a step. Default 64 (pix2prof: 16).")
    validation: int | None = option("N", "Galaxies of the fixed validation set. Default 256 (pix2prof: 64).")


@dataclasses.dataclass(frozen=True)
class MaskArguments:
    """What is learned by the mask network."""

    panel: ClassVar[str] = "Data"
    preset: str | None = option("NAMES", "Surveys, with commas. Default sdss,legacy,hsc,euclid.")
    size: int | None = option("PIXELS", "Side of the galaxies' images; that of stamps at most. Default 192.")
    batch: int | None = option("N", "Stamps a step. Default 16.")
    validation: int | None = option("N", "Stamps of the fixed validation set. Default 128.")


@dataclasses.dataclass(frozen=True)
class StartArguments:
    """What is learned by the network of starting values."""

    panel: ClassVar[str] = "Data and loss"
    preset: str | None = option("NAMES", "Surveys, with commas. Default sdss,legacy,hsc,euclid.")
    loss: str | None = option("KIND", "gaussian, mse or mse+chi2, through the renderer. Default gaussian.")
    size: int | None = option("PIXELS", "Side of the stamps. Default 192.")
    batch: int | None = option("N", "Galaxies a step. Default 64.")
    validation: int | None = option("N", "Galaxies of the fixed validation set. Default 512.")


@dataclasses.dataclass(frozen=True)
class TableArguments:
    """A table of examples instead of drawn ones, for pix2prof."""

    panel: ClassVar[str] = "Own examples"
    table: Path | None = option("FILE.parquet", "Examples; then nothing is drawn.")
    label: str | None = option("COLUMN", "Lists of numbers: what is to be said. Default label.")
    image: str | None = option("COLUMN", "Lists of rows of pixels. Default image.")
    group: str | None = option(
        "COLUMN", "Rows of a name go to the same set, as a galaxy's bands. Default id."
    )
    share: float | None = option("X", "Of the names, for validation. Default 0.05.")


@dataclasses.dataclass(frozen=True)
class TrainArguments:
    """How: fields of :class:`isolux.nets.train.TrainOptions`."""

    panel: ClassVar[str] = "Training"
    steps: int | None = option(
        "N", "Steps of the whole schedule. Default 20000 (pix2prof: 100000, starts: 12000)."
    )
    minutes: float | None = option("M", "Stop after so long, to go on another time. Default: no limit.")
    rate: float | None = option("RATE", "Largest learning rate. Default 0.002 (pix2prof: 0.0002).")
    seed: int | None = option("N", "Of galaxies, weights and dropout. Default 0.")
    validate_every: int | None = option("N", "Steps between validations. Default 500.")
    workers: int | None = option("N", "Processes that draw galaxies. Default: in this one.")
    out: Path | None = option("FOLDER", "For weights, checkpoint, log and figure. Default weights.")

    def options(self, defaults: dict[str, Any]) -> Any:
        """The :class:`isolux.nets.train.TrainOptions`."""
        from isolux.nets.train import TrainOptions

        given = {k: v for k, v in given_of(self).items() if k not in ("workers", "out")}
        return TrainOptions(**{**defaults, **given})
