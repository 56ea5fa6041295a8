"""Where the galaxies of a page come from: a survey's run, or the folder of ``isolux fit`` or ``isolux measure``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow

from isolux.io.catalogue import Rows
from isolux.io.run_folder import Quarantined, Receipt
from isolux.report.view import GalaxyView

Pieces = Callable[[Sequence[str] | None], Iterator[Rows]]
Views = Callable[[Rows], Iterator[tuple[str, GalaxyView]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Origin:
    """Where galaxies come from.

    Attributes
    ----------
    name : str
        Of the run, for people.
    what : str
        ``survey``, ``fit`` or ``field``.
    schema : pyarrow.Schema
        Of the catalogue.
    pieces : callable
        Yields the catalogue, or some of its columns, a piece at a time, as often as it is called.
    pictured : callable
        Names of the galaxies that have images; None where every one may have.
    views : callable
        Takes rows, yields the names and views of those that have images.
    about : mapping
        Configuration and versions, for the end of the page.
    receipts : callable
        Yields the receipts of a survey's parts.
    quarantined : sequence of Quarantined
        Parts that were given up.
    events : sequence of mapping
        What has happened to a survey's run.
    planned : int or None
        Galaxies that the run was to have, where that is known.
    """

    name: str
    what: str
    schema: pyarrow.Schema
    pieces: Pieces
    views: Views
    pictured: Callable[[], frozenset[str] | None] = lambda: None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    receipts: Callable[[], Iterator[Receipt]] = lambda: iter(())
    quarantined: Sequence[Quarantined] = ()
    events: Sequence[dict[str, Any]] = ()
    planned: int | None = None
