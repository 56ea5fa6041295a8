"""``isolux train``, which hands its arguments on."""

from __future__ import annotations

import typer

from isolux.cli.base import INTERRUPTED, app
from isolux.cli.declare import takes
from isolux.cli.train_arguments import (
    MaskArguments,
    ProfileLesson,
    StartArguments,
    TableArguments,
    TrainArguments,
)

TRAIN_PROFILE_HELP = """\
Train a network that reads surface-brightness profiles off images.

[b]isolux train profile --network polar --preset sdss,hsc,euclid --minutes 20 --out weights/[/b]

Galaxies are drawn on the way, with bars, arms, clumps, neighbours, stars, sky and noise. Ended by [b]--minutes[/b], by
Ctrl-C or by force, it goes on from its last checkpoint in the folder when the same command is given again. The folder
gets the weights with their card, a log of losses and scores, and a figure of them. With [b]--table[/b] the sequences to
learn are a column of a Parquet file, beside a column of images: any array-to-sequence task.
"""

TRAIN_MASKS_HELP = """\
Train the network that says which pixels are the galaxy's, and which are something else's.

[b]isolux train masks --preset sdss,legacy,hsc,euclid --minutes 20 --out weights/[/b]

Scenes are put together on the way, of layers whose light is known exactly: close pairs, satellites, neighbours at the
edge, bright stars, cosmic rays. It goes on where it was ended, and writes what [b]isolux train profile[/b] does.
"""

TRAIN_STARTS_HELP = """\
Train the network that corrects the starting values of fits.

[b]isolux train starts --loss gaussian --minutes 20 --out weights/[/b]

It learns how far moments are off, of single Sérsic profiles and of bulges with discs, and how sure one can be. With
[b]--loss mse+chi2[/b] the images of its answers are compared with the galaxies', too. It goes on where it was ended,
and writes what [b]isolux train profile[/b] does.
"""

train_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Train networks; goes on where it was ended."
)
app.add_typer(train_app, name="train")


@train_app.callback()
def train() -> None:
    """Train networks; goes on where it was ended."""


@train_app.command(help=TRAIN_PROFILE_HELP)
@takes(lesson=ProfileLesson, table=TableArguments, how=TrainArguments)
def profile(*, lesson: ProfileLesson, table: TableArguments, how: TrainArguments) -> None:
    """Train a network that reads surface-brightness profiles off images."""
    from isolux.cli.train_profile import train_profile

    if not train_profile(lesson, table, how):
        raise typer.Exit(INTERRUPTED)


@train_app.command(help=TRAIN_MASKS_HELP)
@takes(lesson=MaskArguments, how=TrainArguments)
def masks(*, lesson: MaskArguments, how: TrainArguments) -> None:
    """Train the network that says which pixels are the galaxy's."""
    from isolux.cli.train_masks import train_masks

    if not train_masks(lesson, how):
        raise typer.Exit(INTERRUPTED)


@train_app.command(help=TRAIN_STARTS_HELP)
@takes(lesson=StartArguments, how=TrainArguments)
def starts(*, lesson: StartArguments, how: TrainArguments) -> None:
    """Train the network that corrects the starting values of fits."""
    from isolux.cli.train_starts import train_starts

    if not train_starts(lesson, how):
        raise typer.Exit(INTERRUPTED)
