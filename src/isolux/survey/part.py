"""What a survey is made of: an :class:`Input` that is cut into parts, and what measuring a part gives.

The process that leads a run asks the input for its parts once, and keeps them on disk. A worker is sent no more than
the number of a part; it reads the part's listing there, measures it, and writes its rows.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from isolux.io.catalogue import Rows
from isolux.io.portraits import Portrait


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A piece of a survey that is measured, written and tried again as a whole.

    Attributes
    ----------
    listing : Rows
        A row for each galaxy (of an input of fields: for the one field) with all that a worker needs to find it: files,
        numbers, starting values, columns to carry over. It has a column ``id``, unique in the survey.
    pixels : int
        Of all its stamps together.
    place : str
        Where it is, for people: a HEALPix cell, a file's name.
    number : int
        Its place in the survey, from 0; given when the plan is written.
    """

    listing: Rows
    pixels: int
    place: str = ""
    number: int = -1

    def __len__(self) -> int:
        return len(self.listing)

    def rows(self, first: int, last: int) -> Part:
        """A piece of the part."""
        listing = self.listing.slice(first, last - first)
        share = self.pixels * len(listing) // max(len(self), 1)
        return dataclasses.replace(self, listing=listing, pixels=share)


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What has come of a part.

    Attributes
    ----------
    rows : Rows
        Its part of the catalogue, with the columns ``id``, ``status`` and ``flags``.
    seconds : float
        Time of measuring alone, without reading and writing.
    portraits : sequence of Portrait
        Of the galaxies that were asked for.
    remarks : tuple of str
        What the user should know of the part as a whole.
    """

    rows: Rows
    seconds: float
    portraits: Sequence[Portrait] = ()
    remarks: tuple[str, ...] = ()


class Input(ABC):
    """Where the galaxies of a survey come from, and how a part of them is measured.

    It holds configuration alone and is sent to every worker, so it must be small and picklable.
    """

    kind: ClassVar[str]
    """Its name in messages and in the manifest: ``stamps``, ``catalogue``, ``fields``, ``mocks``."""
    divisible: ClassVar[bool] = True
    """Whether a part can be measured in pieces (:meth:`Part.rows`) with the same result but for rounding."""

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """All that decides over the result, as plain values (numbers, text, lists, mappings) for the manifest."""

    @abstractmethod
    def plan(self, galaxies: int, pixels: int) -> Iterator[Part]:
        """The parts, of at most so many galaxies and, where there is more than one galaxy, pixels; always the same.

        Raises
        ------
        InputError
            If the input cannot be used as a whole. What is wrong with one galaxy goes into its listing.
        """

    @abstractmethod
    def files(self, part: Part) -> Sequence[str]:
        """Paths of the files that the part is read from, without HDUs; those that were missing at planning left out."""

    @abstractmethod
    def measure(self, part: Part, portraits: frozenset[str]) -> Measured:
        """Measure a part, in a worker.

        Parameters
        ----------
        part : Part
            With its listing.
        portraits : frozenset of str
            Names of those galaxies of which portraits are wanted.
        """

    def try_out(self, part: Part) -> None:  # noqa: B027
        """Do a little of a part before a run begins, so that a mistake in the configuration raises at once.

        Raises
        ------
        InputError
            If no part could be measured like this.
        """

    @abstractmethod
    def lost(self, part: Part, reason: str) -> Rows:
        """The row of the one galaxy of a part that cannot be measured because it ends the process that tries."""
