"""The commands of ``isolux``, each of which hands its arguments on."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from isolux.cli.arguments import FitArguments, ModelArguments, OutputArguments, StampArguments
from isolux.cli.declare import takes
from isolux.cli.field_arguments import (
    BandArguments,
    FolderArguments,
    ImageArguments,
    PsfArguments,
    SourceArguments,
)
from isolux.cli.simulate_arguments import DetectorArguments, SkyArguments

INTERRUPTED = 130
FIT_HELP = """\
Fit a model to every galaxy and write a catalogue, image blocks and figures.

[b]isolux fit --image 'stamps/*_image.fits' --sigma 'stamps/*_sigma.fits' \\
    --psf 'stamps/*_psf.fits' --zero-point 22.5 --pixel-scale 0.396 \\
    --model sersic+sky --out run/[/b]

Quote patterns, so that the shell leaves them alone.
Exit codes: 0 all galaxies have a fit; 1 some have none, and their rows say why;
2 the call or its input cannot be used; 130 interrupted, what was done is kept.
"""
CHECK_HELP = """\
Look at everything before a long run, and list all that is wrong at once.

[b]isolux check run.toml[/b]

It takes what isolux fit takes, reads every stamp, takes one step of every fit, and writes nothing.
Exit codes: 0 nothing is wrong; 1 something is.
"""
MEASURE_HELP = """\
Find every source of a survey image, fit each with its neighbours, and write a catalogue.

[b]isolux measure image.fits[/b]

No option is needed: zero point, gain, weights and WCS come from the file, the PSF from its stars. A folder beside the
image gets the catalogue, the models and what they leave of the image, the segmentation, regions for DS9 and a figure.
Exit codes: 0 the field is measured (the catalogue says what became of each source); 2 the call or its input cannot be
used; 130 interrupted.
"""
SIMULATE_HELP = """\
Simulate a field of galaxies and stars as a survey sees it, with its truth.

[b]isolux simulate euclid --size 2048 --seed 1 --morphology realistic --out mock[/b]

Surveys: sdss, legacy, hsc, lsst, euclid, hst. It writes, for each band, an image, a weight map, the PSF and a map of
defects, and one table with every parameter of every source.
Exit codes: 0 it is written; 2 the call cannot be used; 130 interrupted.
"""
SURVEY_HELP = """\
Measure a survey of any size, part by part, on this machine or on a cluster. Whatever ends it, nothing is lost.

[b]isolux survey run.toml[/b]

Its run file says where the galaxies are (stamps, a folder, a Parquet or HATS catalogue, field images, mocks), the
model, the cluster and the folder; [b]isolux init --survey[/b] writes one that explains everything. The same command
goes on with a run that was ended, after comparing configuration and input.
Exit codes: 0 all parts are done; 1 some were given up, their reasons are shown; 2 the call or its input cannot be used;
3 the run has stopped (disk full, scheduler gone) and can be resumed; 130 interrupted, likewise.
"""
EXPORT_HELP = """\
Write a catalogue in another format or in the columns of a survey.

[b]isolux export run --format hats --out galaxies[/b]
[b]isolux export run/catalogue.parquet --columns legacy --band r --out catalogue.fits[/b]

Formats: parquet, fits, votable, ecsv, csv, and hats, which LSDB reads. Columns: isolux, legacy (DESI Legacy Surveys),
rubin (Data Preview 1), euclid (Q1). Of a survey run that is not complete, what is there is written, and what is missing
is said.
Exit codes: 0 it is written; 2 the call or its input cannot be used.
"""
PLOT_HELP = """\
Draw data, model, residual and radial profile from image blocks.

[b]isolux plot run/blocks --out figures --format png,pdf[/b]

Exit codes: 0 all are drawn; 1 some files are no image blocks; 2 the call cannot be used.
"""
REPORT_HELP = """\
Make a page of a run: how the fits ended, charts, and a gallery of galaxies with their models.

[b]isolux report run[/b]

It takes the folder of isolux survey, fit or measure, or a catalogue, and writes one HTML file, which needs no network.
Exit codes: 0 it is written; 2 there is nothing to show, or the call cannot be used.
"""
RunFile = Annotated[
    Path | None,
    typer.Argument(help="A run file, as isolux init writes it; options win over it.", metavar="[RUN.TOML]"),
]


class Commands(TyperGroup):
    """Turns what cannot be used into one sentence and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from isolux.errors import InputError, MissingExtra

        try:
            return super().invoke(ctx)
        except (InputError, MissingExtra) as error:
            message = str(error)
        except OSError as error:
            if error.filename is None:
                raise
            message = f"{error.filename}: {error.strerror}"
        from isolux.cli.console import fail

        fail(message)
        raise typer.Exit(2)


app = typer.Typer(
    cls=Commands,
    name="isolux",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The first thing to try: [b]isolux demo[/b]",
)


def main() -> None:
    """Run the command line."""
    # Threads that spin while they wait for each other make fits many times slower where other programs run too.
    # OpenMP reads this when PyTorch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isolux {version('isolux')}")
        raise typer.Exit


@app.callback()
def isolux(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Fit two-dimensional light profiles to images of galaxies, many at a time."""


@app.command(help=FIT_HELP)
@takes(stamps=StampArguments, model=ModelArguments, fitting=FitArguments, output=OutputArguments)
def fit(
    run_file: RunFile = None,
    *,
    stamps: StampArguments,
    model: ModelArguments,
    fitting: FitArguments,
    output: OutputArguments,
) -> None:
    """Fit a model to every galaxy and write a catalogue, image blocks and figures."""
    from isolux.cli.build import Arguments
    from isolux.cli.run import Interrupted, failures, fit_and_show, show_summary

    run = Arguments(run_file, stamps, model, fitting, output).run()
    try:
        done, tally = fit_and_show(run)
    except Interrupted as reason:
        typer.echo(str(reason), err=True)
        raise typer.Exit(INTERRUPTED) from None
    show_summary(done, tally)
    if failures(done.progress):
        raise typer.Exit(1)


@app.command(help=MEASURE_HELP)
@takes(
    reading=ImageArguments,
    psf=PsfArguments,
    sources=SourceArguments,
    bands=BandArguments,
    output=FolderArguments,
)
def measure(
    image: Annotated[
        Path, typer.Argument(help="The image; [b]file.fits\\[SCI][/b] names an HDU.", metavar="IMAGE")
    ],
    *,
    reading: ImageArguments,
    psf: PsfArguments,
    sources: SourceArguments,
    bands: BandArguments,
    output: FolderArguments,
) -> None:
    """Find every source of a survey image, fit each with its neighbours, and write a catalogue."""
    from isolux.cli.measure import measure_and_show

    try:
        measure_and_show(image, reading, psf, sources, bands, output)
    except KeyboardInterrupt:
        typer.echo("Interrupted: nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command(help=SIMULATE_HELP)
@takes(sky=SkyArguments, detector=DetectorArguments)
def simulate(
    survey: Annotated[str, typer.Argument(help="Whose images they are like.", metavar="SURVEY")],
    *,
    bands: Annotated[
        str | None,
        typer.Option(
            help="Of the survey, with commas. Default: its first.", metavar="NAMES", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same field.", metavar="N")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the files.", metavar="FOLDER")] = Path("mock"),
    truth: Annotated[
        str, typer.Option(help="Format of the truth: fits, parquet, ecsv.", metavar="FORMAT")
    ] = "fits",
    noiseless: Annotated[
        bool, typer.Option("--noiseless", help="Write the sources without noise, too.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    sky: SkyArguments,
    detector: DetectorArguments,
) -> None:
    """Simulate a field of galaxies and stars as a survey sees it, with its truth."""
    from isolux.cli.simulate import simulate_and_show

    writing = {"truth": truth, "noiseless": noiseless, "overwrite": overwrite}
    try:
        simulate_and_show(survey, bands, seed, out, (sky, detector), **writing)
    except KeyboardInterrupt:
        typer.echo("Interrupted: nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command(help=CHECK_HELP)
@takes(stamps=StampArguments, model=ModelArguments, fitting=FitArguments, output=OutputArguments)
def check(
    run_file: RunFile = None,
    *,
    stamps: StampArguments,
    model: ModelArguments,
    fitting: FitArguments,
    output: OutputArguments,
) -> None:
    """Look at everything before a long run, and list all that is wrong at once."""
    from isolux.cli.build import Arguments
    from isolux.cli.check import check_and_show

    if not check_and_show(Arguments(run_file, stamps, model, fitting, output)):
        raise typer.Exit(1)


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


@app.command()
def init(
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")] = Path("run.toml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    survey: Annotated[bool, typer.Option("--survey", help="For [b]isolux survey[/b].")] = False,
) -> None:
    """Write a run file that explains every option, to edit and give to [b]isolux fit[/b] or [b]isolux survey[/b]."""
    from isolux.cli.template import write_template

    write_template(out, overwrite, survey)
    steps = [f"isolux survey {out}"] if survey else [f"isolux check {out}", f"isolux fit {out}"]
    typer.echo(f"{out} is written. Edit it, then:\n  " + "\n  ".join(steps))


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


@app.command(help=PLOT_HELP)
def plot(
    blocks: Annotated[
        list[Path],
        typer.Argument(help="Image blocks, or folders of them, such as run/blocks.", metavar="BLOCK..."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the figures.", metavar="FOLDER")] = Path("figures"),
    format: Annotated[
        str, typer.Option(help="png, pdf, svg, or several with commas.", metavar="NAMES")
    ] = "png",
) -> None:
    """Draw data, model, residual and radial profile from image blocks."""
    from isolux.cli.plot import plot_blocks

    if not plot_blocks(blocks, out, [name.strip() for name in format.split(",")]):
        raise typer.Exit(1)


@app.command(help=REPORT_HELP)
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a catalogue.", metavar="RUN")],
    out: Annotated[
        Path | None,
        typer.Option(help="The page. Default: report.html in the folder.", metavar="FILE", show_default=False),
    ] = None,
    gallery: Annotated[int, typer.Option(help="Galaxies shown one by one, at most.", metavar="N")] = 400,
    points: Annotated[
        int, typer.Option(help="Galaxies drawn as points, at most; numbers are over all.", metavar="N")
    ] = 20_000,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Table with id and true values in the catalogue's columns.", metavar="FILE", show_default=False
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a page that is there.")] = False,
) -> None:
    """Make a page of a run: how the fits ended, charts, and a gallery of galaxies with their models."""
    from isolux.cli.report import report_and_show

    report_and_show(run, out, gallery, points, truth, overwrite)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for everything; replaced if it is a demo's.", metavar="FOLDER")
    ] = Path("demo"),
    galaxies: Annotated[int, typer.Option(help="Number of galaxies.", metavar="N", min=4)] = 24,
    seed: Annotated[int, typer.Option(help="Of the simulation.", metavar="N")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", metavar="N", min=1, show_default=False)
    ] = None,
) -> None:
    """Simulate a few galaxies, fit them, and compare the fits with the truth."""
    from isolux.cli.demo import run_demo
    from isolux.cli.run import Interrupted

    try:
        run_demo(out, galaxies, seed, threads)
    except Interrupted as reason:
        typer.echo(str(reason), err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def profiles(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Only these; mybar.py:MyBar for one of yours.", metavar="NAME..."),
    ] = None,
) -> None:
    """List the profiles that a model can have, with parameters, units and bounds."""
    from isolux.cli.profiles import show_profiles

    show_profiles(names or [])
