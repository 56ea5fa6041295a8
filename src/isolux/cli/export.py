"""``isolux export``: a catalogue in another format or in the columns of a survey."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

from isolux.cli import console
from isolux.errors import FitWarning


def export_and_show(source: Path, out: Path | None, **wanted: Any) -> None:
    """Write a catalogue, showing how far it is, and say where it is and what is missing from it.

    Raises
    ------
    InputError
        If something cannot be used.
    MissingExtra
        If HATS is asked for and hats-import is not installed.
    """
    from isolux.export import export

    began = time.perf_counter()
    with console.Meter("rows") as meter, warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # they are among the remarks
        done = export(
            source,
            out,
            **wanted,
            progress=lambda rows, total: meter.show(rows, total, time.perf_counter() - began, 0),
        )
    for remark in done.remarks:
        console.note(f"Note: {remark.rstrip('.')}.")
    seconds = console.duration(time.perf_counter() - began)
    console.OUT.print(f"{done.rows} rows in {done.path} ({seconds})", soft_wrap=True, markup=False)
