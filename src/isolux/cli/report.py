"""``isolux report``: a page that shows a run."""

from __future__ import annotations

from pathlib import Path

from isolux.cli import console
from isolux.errors import InputError
from isolux.report.page import write_report
from isolux.report.page.facts import size


def report_and_show(
    run: Path, out: Path | None, gallery: int, points: int, truth: Path | None, overwrite: bool
) -> None:
    """Write the page, and say where it is and what is in it.

    Raises
    ------
    InputError
        If there is nothing to show, or a page is there and is not to be replaced.
    """
    try:
        done = write_report(run, out, gallery=gallery, points=points, truth=truth, overwrite=overwrite)
    except OSError as error:
        raise InputError(f"{error.filename or run}: {error.strerror}") from None
    drawn = f"{done.points} drawn" if done.points < done.galaxies else "all drawn"
    rows = [
        ("galaxies", f"{done.galaxies}, {drawn}"),
        ("gallery", f"{done.gallery}, {done.pictures} of them with images"),
        ("page", f"{done.path}, {size(done.size)}; open it in a browser"),
    ]
    console.print_table("", rows)
