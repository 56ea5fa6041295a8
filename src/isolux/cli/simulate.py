"""``isolux simulate`` on the screen: a bar while sources are drawn, then what the field holds and its files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from isolux.cli import console
from isolux.cli.declare import given_of
from isolux.cli.simulate_arguments import DetectorArguments, SkyArguments
from isolux.errors import InputError
from isolux.io.write_field import write_field
from isolux.mock import FieldOptions, MockField, field
from isolux.mock.presets import survey_named


def simulate_and_show(
    survey: str,
    bands: str | None,
    seed: int,
    folder: Path,
    groups: tuple[SkyArguments, DetectorArguments],
    **writing: Any,
) -> None:
    """Simulate, write, and say what there is.

    Raises
    ------
    InputError
        For what cannot be.
    """
    given: dict[str, Any] = {}
    for group in groups:
        given |= given_of(group)
    if "size" in given:
        given["size"] = _size(given["size"])
    options = FieldOptions(**given)
    names = None if bands is None else [name.strip() for name in bands.split(",")]
    chosen = [band.name for band in survey_named(survey).chosen(names)]
    began = time.monotonic()
    with console.Meter("sources") as meter:

        def progress(band: str, done: int, of: int) -> None:
            past = chosen.index(band)
            meter.show(past * of + done, len(chosen) * of, time.monotonic() - began, 0)

        mock = field(survey, seed=seed, bands=names, options=options, progress=progress)
    files = write_field(mock, folder, **writing)
    show_field(mock)
    console.OUT.print()
    console.print_table(f"Files, in {folder}", [(kind, path.name) for kind, path in files.items()])
    first = files[chosen[0]]
    console.OUT.print(
        f"\n[bold]Try next[/bold]\n  isolux measure {first} --psf {files[f'{chosen[0]} psfex']}",
        soft_wrap=True,
    )


def show_field(mock: MockField) -> None:
    """Print what is in a field."""
    galaxies = mock.truth["kind"] != "star"
    title = (
        f"{mock.survey.name}: {galaxies.sum()} galaxies, {(~galaxies).sum()} stars; scale and FWHM in arcsec"
    )
    head = ["band", "pixels", "scale", "zero point", "noise", "FWHM", "S/N > 10", "saturated"]
    rows = []
    for name, image in mock.bands.items():
        bright = int(((mock.truth[f"snr_{name}"] > 10) & galaxies).sum())
        cells = (
            name,
            f"{image.shape[0]} x {image.shape[1]}",
            f"{image.pixel_scale:g}",
            f"{image.zero_point:g}",
            f"{mock.sigma[name]:.4g}",
            f"{mock.psf[name].fwhm * image.pixel_scale:.3g}",
            f"{bright}",
            f"{int(np.count_nonzero(mock.truth[f'saturated_{name}']))}",
        )
        rows.append(cells)
    console.print_table(title, rows, head=head, right=[2, 3, 4, 5, 6, 7])


def _size(text: str) -> int | tuple[int, int]:
    try:
        sides = [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise InputError("size", text, "one number, or rows,columns")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])
