"""The command line itself, to which :mod:`isolux.cli.app` adds the commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

INTERRUPTED = 130
"""Exit code of a command that the user has stopped."""


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
