"""A mock survey to try everything on: simulated stamps, a few of them spoiled, and how well a fit finds the truth."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import QTable

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.io.catalogue import write_catalogue
from isolux.io.write_stamps import Cards, write_image, write_stamps
from isolux.simulate import Observation, Truth, mock_stamps
from isolux.status import Status

MARK = "made-by-isolux-demo.txt"
"""A file that says that a folder is a demo's, which may be replaced."""
RELATIVE = ("effective_radius", "sersic_index")
"""Parameters whose differences are given as parts of the truth."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """What was simulated.

    Attributes
    ----------
    folder : Path
        Where the stamps are.
    truth : QTable
        A row a galaxy, in the columns and units of the catalogue.
    spoiled : dict of str to str
        Galaxy -> what was done to it.
    """

    folder: Path
    truth: QTable
    spoiled: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Fitted less true values of one parameter.

    Attributes
    ----------
    parameter, unit : str
        Which, and in which unit; per cent of the truth for sizes and indices.
    offset, scatter : float
        Median, and half the range of the middle 68 per cent.
    pull : float
        The same scatter in units of each galaxy's error: 1 if the errors are right.
    """

    parameter: str
    unit: str
    offset: float
    scatter: float
    pull: float


def make_survey(folder: Path, galaxies: int, seed: int) -> Survey:
    """Simulate single Sérsic galaxies, spoil three of them, and write ``stamps/`` and ``truth.csv``.

    Parameters
    ----------
    folder : Path
        A demo that is there is replaced.
    galaxies : int
        Four or more.
    seed : int
        Of the simulation.

    Raises
    ------
    InputError
        If the folder has anything but a demo in it.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).exists())):
        raise InputError(f"{folder}: is no folder of an earlier demo; give another one")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).write_text(
        "This folder was made by `isolux demo`, which replaces it when it runs again.\n"
    )
    view = Observation()
    batch, truth = mock_stamps(galaxies, seed=seed, observation=view)
    cards = {name: header_cards(k, view) for k, name in enumerate(batch.id)}
    write_stamps(batch, folder / "stamps", cards)
    table = truth_table(batch, truth, view)
    write_catalogue(table, folder / "truth.csv")
    return Survey(folder / "stamps", table, spoil(batch, folder / "stamps", cards))


def header_cards(number: int, view: Observation) -> Cards:
    """Header of a stamp: its zero point, and a WCS somewhere on the sky, north up and east left."""
    degrees = view.pixel_scale / 3600
    return {
        "MAGZPT": view.zero_point,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 150.0 + 0.05 * number,
        "CRVAL2": 2.2,
        "CRPIX1": (view.size + 1) / 2,
        "CRPIX2": (view.size + 1) / 2,
        "CDELT1": -degrees,
        "CDELT2": degrees,
        "CUNIT1": "deg",
        "CUNIT2": "deg",
    }


def truth_table(batch: Batch, truth: Truth, view: Observation) -> QTable:
    """The truth in the catalogue's columns and units."""
    table = QTable({"id": list(batch.id)})
    units = {
        "magnitude": u.mag,
        "effective_radius": u.arcsec,
        "position_angle": u.deg,
        "x": u.pix,
        "y": u.pix,
    }
    for full_name, values in truth.items():
        short = full_name.rpartition(".")[2]
        in_unit = values * view.pixel_scale if short == "effective_radius" else values
        table[full_name.replace(".", "_")] = in_unit * units[short] if short in units else in_unit
    return table


def spoil(batch: Batch, folder: Path, cards: dict[str, Cards]) -> dict[str, str]:
    """Damage three galaxies on purpose: NaN pixels, a mask over everything, a file cut off."""
    rows, columns = batch.shape
    damaged, masked, cut = (batch.id[k] for k in (1, len(batch) // 2, len(batch) - 1))
    pixels = batch.image[1].numpy().copy()
    pixels[rows // 2 + 4 : rows // 2 + 10, : columns // 2] = np.nan
    write_image(folder / f"{damaged}_image.fits", pixels, cards[damaged])
    write_image(folder / f"{masked}_mask.fits", np.ones((rows, columns), np.uint8))
    image = folder / f"{cut}_image.fits"
    image.write_bytes(image.read_bytes()[: 2880 * 3])
    return {damaged: "a stripe of NaN pixels", masked: "every pixel masked", cut: "its image file cut off"}


def compare(catalogue: QTable, truth: QTable) -> list[Comparison]:
    """How the fits that converged differ from the truth, a parameter at a time."""
    fitted = catalogue[np.asarray(catalogue["status"]) == int(Status.CONVERGED)]
    order = {name: k for k, name in enumerate(truth["id"])}
    true = truth[[order[str(name)] for name in fitted["id"]]]
    return [_comparison(name, fitted, true) for name in truth.colnames if name != "id"]


def _comparison(name: str, fitted: QTable, true: QTable) -> Comparison:
    unit = getattr(true[name], "unit", None)
    values, errors, expected = (
        np.asarray(column.to_value(unit) if unit is not None else column, dtype=np.float64)
        for column in (fitted[name], fitted[f"{name}_err"], true[name])
    )
    difference = values - expected
    if name.endswith("position_angle"):
        difference = (difference + 90) % 180 - 90
    pulls = difference / errors
    said = "" if unit is None else str(unit)
    if name.endswith(RELATIVE):
        difference, said = 100 * difference / expected, "%"
    return Comparison(name, said, float(np.median(difference)), half_width(difference), half_width(pulls))


def half_width(values: np.ndarray) -> float:
    """Half the range of the middle 68 per cent of the finite values; NaN where there is none."""
    good = values[np.isfinite(values)]
    if not good.size:
        return float("nan")
    low, high = np.percentile(good, (15.865, 84.135))
    return float(high - low) / 2
