"""``isolux profile``, which hands its arguments on."""

from __future__ import annotations

from typing import Annotated

import typer

from isolux.cli.base import INTERRUPTED, app
from isolux.cli.declare import takes
from isolux.cli.profile_arguments import (
    IsophoteArguments,
    NetworkArguments,
    PlaneArguments,
    ProfileBands,
    ProfileOutput,
)

PROFILE_HELP = """\
Measure surface-brightness profiles, and write tables and figures.

[b]isolux profile 'stamps/*_image.fits' --sigma 'stamps/*_sigma.fits' \\
    --mask 'stamps/*_mask.fits' --zero-point 22.5 --pixel-scale 0.396 --out profiles[/b]

Nothing is to be clicked: centre, sky, neighbours, the shape of the isophotes, their extension into the outskirts and
the end of the profile are found. Images in other bands ([b]--band r='stamps/*_r.fits'[/b]) are measured along the same
isophotes, for colours.
[b]--method polar[/b] and [b]--method pix2prof[/b] let a network read the profile off the image.
A run that was ended early goes on where it was when the same command is given again.
Exit codes: 0 all galaxies have a profile; 1 some have none, and their rows say why; 2 the call or its input cannot be
used; 130 interrupted.
"""


@app.command(help=PROFILE_HELP)
@takes(
    planes=PlaneArguments,
    bands=ProfileBands,
    how=IsophoteArguments,
    networks=NetworkArguments,
    output=ProfileOutput,
)
def profile(
    images: Annotated[
        list[str],
        typer.Argument(help="Images, or a pattern whose [b]*[/b] names the galaxy.", metavar="IMAGE..."),
    ],
    *,
    method: Annotated[str, typer.Option(help="isophotes, polar or pix2prof.", metavar="NAME")] = "isophotes",
    planes: PlaneArguments,
    bands: ProfileBands,
    how: IsophoteArguments,
    networks: NetworkArguments,
    output: ProfileOutput,
) -> None:
    """Measure surface-brightness profiles, and write tables and figures."""
    from isolux.cli.profile import profile_and_show

    try:
        complete = profile_and_show(images, method, planes, bands, how, networks, output)
    except KeyboardInterrupt:
        typer.echo("Interrupted: what was done is kept, and the same command goes on from there.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not complete:
        raise typer.Exit(1)
