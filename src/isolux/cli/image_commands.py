"""The commands of ``isolux`` for survey images, each of which hands its arguments on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isolux.cli.base import INTERRUPTED, app
from isolux.cli.declare import takes
from isolux.cli.field_arguments import (
    BandArguments,
    FolderArguments,
    ImageArguments,
    PsfArguments,
    SourceArguments,
)
from isolux.cli.helps import (
    MEASURE_HELP,
    SIMULATE_HELP,
)
from isolux.cli.simulate_arguments import DetectorArguments, SkyArguments


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
