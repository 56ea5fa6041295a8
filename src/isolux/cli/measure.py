"""``isolux measure``: a survey image on the screen."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from isolux.cli import console
from isolux.cli.field_arguments import (
    BandArguments,
    FolderArguments,
    ImageArguments,
    PsfArguments,
    SourceArguments,
)
from isolux.status import FLAG_MESSAGES, Flag, Status


class Steps:
    """Shows what is being done: a bar on a terminal, a line a step elsewhere."""

    def __init__(self) -> None:
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console.ERR,
            transient=True,
        )
        self.task = self.bar.add_task("reading", total=None, state="")
        self.what, self.began, self.spoken = "", time.monotonic(), time.monotonic()

    def __enter__(self) -> Steps:
        if console.ERR.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if console.ERR.is_terminal:
            self.bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take in how far the run is."""
        state = f"{done}/{total}" if total > 1 else ""
        if console.ERR.is_terminal:
            self.bar.update(self.task, description=what, completed=done, total=total or None, state=state)
            return
        new, late = what != self.what, time.monotonic() - self.spoken >= console.EVERY
        if new or late:
            self.what, self.spoken = what, time.monotonic()
            console.note(f"{time.monotonic() - self.began:6.1f} s  {what} {state if late else ''}".rstrip())


def measure_and_show(
    image: Path,
    reading: ImageArguments,
    psf: PsfArguments,
    sources: SourceArguments,
    bands: BandArguments,
    output: FolderArguments,
) -> None:
    """Measure a field, showing how far it is, and say what was found and where it is.

    Raises
    ------
    InputError
        If something cannot be used.
    """
    from isolux.field.options import FieldOptions
    from isolux.measure_field import measure_field

    options = FieldOptions(**sources.fields())
    with Steps() as steps:
        run = measure_field(
            str(image),
            **psf.fields(),
            **bands.fields(),
            **reading.fields(),
            positions=sources.positions,
            out=output.out,
            catalogue_name=f"catalogue.{output.format or 'fits'}",
            overwrite=bool(output.overwrite),
            options=options,
            progress=steps,
        )
    for remark in run.remarks:
        console.note(f"Note: {remark.rstrip('.')}.")
    if not output.no_figure:
        run.files["figure"] = _figure(run)
    _summary(run)


def _figure(run: Any) -> Path:
    from isolux.report import save
    from isolux.report.field import field_figure

    measured = run.measured
    figure = field_figure(
        measured.sheet.image,
        measured.model,
        measured.sheet.sky_sigma,
        measured.field.mask,
        run.table,
        f"{Path(measured.field.source).name}: {len(run.table)} sources",
    )
    return Path(save(figure, run.catalogue.parent / "field.png"))


def _summary(run: Any) -> None:
    table, measured = run.table, run.measured
    if len(table) == 0:
        console.OUT.print("No source was found.")
    else:
        models = Counter(str(name) for name in table["model"])
        rows = [(f"{number}", name or "no fit") for name, number in models.most_common()]
        console.print_table(f"{len(table)} sources", rows, right=[0])
        counts = Counter(flag.name for value in table["flags"] for flag in Flag if flag in Flag(int(value)))
        console.OUT.print()
        texts = {str(f.name): FLAG_MESSAGES[f] for f in Flag}
        console.print_table("Remarks on them", console.count_rows(counts, texts), right=[0])  # type: ignore[arg-type]
        failed = [Status(int(s)) for s in table["status"] if not Status(int(s)).fitted]
        if failed:
            console.OUT.print()
            reasons = Counter(status.message for status in failed)
            console.print_table(
                "Without a fit", [(f"{n}", text) for text, n in reasons.most_common()], right=[0]
            )
    rows = []
    if measured.psf is not None:
        width = measured.psf.fwhm
        stars = f" from {measured.psf.stars} stars" if measured.psf.stars else ""
        rows.append(
            ("PSF", f"FWHM {width:.2f} pixels, {width * measured.field.pixel_scale:.2f} arcsec{stars}")
        )
    if len(table):
        chi2 = np.asarray(table["reduced_chi2"], float)
        if np.isfinite(chi2).any():
            rows.append(("median reduced chi-square", f"{np.nanmedian(chi2):.3f}"))
    took = sum(measured.seconds.values())
    longest = max(measured.seconds, key=lambda step: measured.seconds[step])
    rows.append(("time", f"{console.duration(took)}, most of it for {longest}"))
    rows.append(("catalogue", f"{run.catalogue}, {len(table.colnames)} columns"))
    rows += [(name, str(path)) for name, path in run.files.items()]
    console.OUT.print()
    console.print_table("", rows)
