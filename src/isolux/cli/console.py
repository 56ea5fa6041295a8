"""What a run shows: a bar or lines while it goes on, tables at its end, one sentence where it cannot be."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

OUT = Console(highlight=False)
"""Results."""
ERR = Console(stderr=True, highlight=False)
"""Progress and errors."""
EVERY = 10.0
"""Seconds between lines where there is no terminal."""


def fail(message: str) -> None:
    """One sentence in red."""
    ERR.print(Text.assemble(("Error: ", "bold red"), (message, "red")), soft_wrap=True)


def note(message: str) -> None:
    """A line of what is going on."""
    ERR.print(message, soft_wrap=not ERR.is_terminal, markup=False)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds; tenths where it is short."""
    return f"{seconds:.1f} s" if seconds < 60 else str(datetime.timedelta(seconds=round(seconds)))


def print_table(
    title: str, rows: Sequence[Sequence[str]], head: Sequence[str] = (), right: Sequence[int] = ()
) -> None:
    """Print a table in the house's style; its text is not read as markup.

    Parameters
    ----------
    title : str
        A line above it; none where it is empty.
    rows : sequence
        The cells of each row.
    head : sequence of str
        Names of the columns; none where left out.
    right : sequence of int
        Numbers of the columns that hold figures.
    """
    made = Table(box=None, pad_edge=False, show_header=bool(head), header_style="dim")
    for number in range(len(rows[0]) if rows else len(head)):
        justify: Literal["right", "left"] = "right" if number in right else "left"
        made.add_column(head[number] if head else "", justify=justify, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    if title:
        OUT.print(Text(title, style="bold"), soft_wrap=True)
    OUT.print(made)


class Meter:
    """Shows how far a run is, with its rate, its failures and the time left; use it in a ``with`` statement.

    On a terminal it is a bar, elsewhere a line every ten seconds.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.spoken = 0.0
        columns = (TextColumn(label), BarColumn(bar_width=24), TextColumn("{task.fields[state]}"))
        self.bar = Progress(*columns, console=ERR, transient=True)
        self.task = self.bar.add_task("", total=None, state="begins")

    def __enter__(self) -> Meter:
        self.spoken = time.monotonic()
        if ERR.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if ERR.is_terminal:
            self.bar.stop()

    def show(self, done: int, total: int, seconds: float, failed: int, here: int | None = None) -> None:
        """Take in how far the run is; ``here`` of what is done was done in these seconds, all where left out."""
        rate = (done if here is None else here) / seconds if seconds > 0 else 0.0
        left = f", {duration((total - done) / rate)} left" if rate and done < total else ""
        lost = f", {failed} failed" if failed else ""
        words = f"{done}/{total} ({done / max(total, 1):.0%}), {rate:.3g}/s{left}"
        if ERR.is_terminal:
            self.bar.update(self.task, completed=done, total=total, state=f"{words}[red]{lost}[/red]")
        elif time.monotonic() - self.spoken >= EVERY:
            self.spoken = time.monotonic()
            note(f"{self.label} {words}{lost}")


def count_rows(counts: Mapping[str, int], messages: Mapping[str, str]) -> list[tuple[str, str]]:
    """Rows of a table of counts, most frequent first, with what each code means."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return [(f"{number}", messages[name]) for name, number in ordered if number]
