"""Figures from image blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isolux.cli import console
from isolux.errors import InputError
from isolux.report import figure_from_block, save
from isolux.report.figures import file_stems
from isolux.report.style import checked_formats


def plot_blocks(places: Sequence[Path], folder: Path, formats: Sequence[str]) -> bool:
    """Draw every block; say of each that cannot be drawn why, and whether there was none such.

    Raises
    ------
    InputError
        For an unknown format, a missing file, or a folder without FITS files.
    """
    suffixes = checked_formats(formats)
    files = [file for place in places for file in blocks_at(place)]
    good = 0
    with console.Meter("figures") as meter:
        clock = console.time.perf_counter()
        for number, (file, stem) in enumerate(
            zip(files, file_stems(f.stem for f in files), strict=True), start=1
        ):
            try:
                figure = figure_from_block(file)
                for suffix in suffixes:
                    save(figure, folder / f"{stem}.{suffix}")
                good += 1
            except InputError as error:
                console.fail(str(error))
            meter.show(number, len(files), console.time.perf_counter() - clock, number - good)
    console.OUT.print(f"{good} of {len(files)} blocks are drawn in {folder}", soft_wrap=True, markup=False)
    return good == len(files)


def blocks_at(place: Path) -> list[Path]:
    """The block that a path names, or those in a folder."""
    if not place.is_dir():
        if not place.exists():
            raise InputError(f"{place}: no such file")
        return [place]
    found = sorted(place.glob("*.fits"))
    if not found:
        raise InputError(f"{place}: no FITS files in this folder")
    return found
