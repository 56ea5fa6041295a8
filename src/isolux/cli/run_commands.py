"""The commands of ``isolux`` for surveys and what comes of them, each of which hands its arguments on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isolux.cli.base import app
from isolux.cli.helps import (
    EXPORT_HELP,
    REPORT_HELP,
    SURVEY_HELP,
)


@app.command(help=SURVEY_HELP)
def survey(
    run_file: Annotated[Path, typer.Argument(help="The run file.", metavar="RUN.TOML")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for everything.", metavar="FOLDER", show_default=False)
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with the run in the folder, or refuse to. Default: go on if there is one.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove the run that is there.")] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A Dask scheduler that is running.", metavar="ADDRESS", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes.", metavar="N", min=1, show_default=False)
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Of each worker, such as 4GiB.", metavar="SIZE", show_default=False)
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report in the end.")] = True,
) -> None:
    """Measure a survey of any size, part by part, on this machine or on a cluster."""
    from isolux.cli.survey import Ended, survey_and_show

    given = {"folder": out, "scheduler": scheduler, "workers": workers, "memory": memory}
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        done = survey_and_show(run_file, resume, overwrite, report, changes)
    except Ended as reason:
        typer.echo(str(reason), err=True)
        raise typer.Exit(reason.code) from None
    if done.quarantined:
        raise typer.Exit(1)


@app.command(help=EXPORT_HELP)
def export(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run (isolux survey, fit or measure), or a catalogue.", metavar="RUN|CATALOGUE"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file, or the folder for HATS. Default: beside the rows.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="parquet, fits, votable, ecsv, csv or hats. Default: by the name's ending.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[str, typer.Option(help="isolux, legacy, rubin or euclid.", metavar="NAME")] = "isolux",
    band: Annotated[
        str | None,
        typer.Option(
            help="Name of the band in a survey's columns, where the catalogue has one.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    component: Annotated[
        str | None,
        typer.Option(
            help="Only this component of the model, in a survey's columns.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    pixel_scale: Annotated[
        float | None,
        typer.Option(
            help="Arcsec, where the catalogue does not say it.", metavar="ARCSEC", show_default=False
        ),
    ] = None,
    truth: Annotated[bool, typer.Option("--truth", help="The truth of simulated galaxies instead.")] = False,
    primary: Annotated[
        bool, typer.Option("--primary", help="Only sources that are primary in their field.")
    ] = False,
    margin: Annotated[
        float, typer.Option(help="Round each cell of a HATS catalogue, in arcsec; 0: none.", metavar="ARCSEC")
    ] = 5.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a catalogue in another format or in the columns of a survey."""
    from isolux.cli.export import export_and_show

    export_and_show(
        source,
        out,
        format=format,
        columns=columns,
        band=band,
        component=component,
        pixel_scale=pixel_scale,
        truth=truth,
        primary_only=primary,
        margin=margin,
        overwrite=overwrite,
    )


@app.command(help=REPORT_HELP)
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a catalogue.", metavar="RUN")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page. Default: report.html in the folder.", metavar="FILE", show_default=False
        ),
    ] = None,
    gallery: Annotated[int, typer.Option(help="Galaxies shown one by one, at most.", metavar="N")] = 400,
    points: Annotated[
        int, typer.Option(help="Galaxies drawn as points, at most; numbers are over all.", metavar="N")
    ] = 20_000,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Table with id and true values in the catalogue's columns.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a page that is there.")] = False,
) -> None:
    """Make a page of a run: how the fits ended, charts, and a gallery of galaxies with their models."""
    from isolux.cli.report import report_and_show

    report_and_show(run, out, gallery, points, truth, overwrite)
