"""The commands of ``isolux`` for samples of stamps, each of which hands its arguments on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isolux.cli.arguments import FitArguments, ModelArguments, OutputArguments, StampArguments
from isolux.cli.base import INTERRUPTED, app
from isolux.cli.declare import takes
from isolux.cli.helps import (
    CHECK_HELP,
    FIT_HELP,
    PLOT_HELP,
)

RunFile = Annotated[
    Path | None,
    typer.Argument(help="A run file, as isolux init writes it; options win over it.", metavar="[RUN.TOML]"),
]


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
