"""Fitted against true values, where the truth is known: differences, and differences over their errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow

from isolux.errors import InputError
from isolux.io.catalogue import TEXT, Rows
from isolux.io.tables import read_table, to_arrow
from isolux.report.page.columns import ANGLES, RELATIVE, Column, short_name

TRUTH = "truth_"


@dataclasses.dataclass(frozen=True)
class Compared:
    """A column whose truth is known.

    Attributes
    ----------
    column, truth, error : str
        Names of the fitted value, its truth and its error.
    relative : bool
        Whether differences are given as parts of the truth.
    period : float
        Of an angle, after which it is the same; 0 for other columns.
    """

    column: str
    truth: str
    error: str
    relative: bool
    period: float

    def difference(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Fitted less true value, and its error (galaxy,), both in per cent of the truth if ``relative``."""
        value, truth, error = (number(rows, name) for name in (self.column, self.truth, self.error))
        away = value - truth
        if self.period:
            away = (away + self.period / 2) % self.period - self.period / 2
        if self.relative:
            with np.errstate(divide="ignore", invalid="ignore"):
                return 100 * away / truth, 100 * error / np.abs(truth)
        return away, error


def compared(columns: Sequence[Column]) -> list[Compared]:
    """The columns of which the truth and an error are there."""
    numbers = {column.name for column in columns if column.kind != "text"}
    found = []
    for column in columns:
        truth, error = TRUTH + column.name, f"{column.name}_err"
        if truth in numbers and error in numbers:
            short = short_name(column.name)
            period = 180.0 if short in ANGLES else 0.0
            found.append(Compared(column.name, truth, error, short in RELATIVE, period))
    return found


def number(rows: Rows, name: str) -> np.ndarray:
    """A column (galaxy,) as float64, NaN where it is empty."""
    column = rows[name].cast(pyarrow.float64()).combine_chunks()
    return np.asarray(column.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)


class TruthTable:
    """A table of true values, to be put beside the rows of a catalogue.

    Parameters
    ----------
    path : str or path
        A table in any format with ``id`` and columns under the catalogue's names, or with ``truth_`` before them.

    Raises
    ------
    InputError
        If it cannot be read, or names no column of the catalogue.
    """

    def __init__(self, path: str | Path, columns: Sequence[Column]) -> None:
        table = to_arrow(read_table(path, TEXT))
        if "id" not in table.column_names:
            raise InputError(f"{path}: a truth needs the column id, to know which galaxy is which")
        names = {column.name for column in columns if column.kind != "text"}
        self.fields = []
        self._values = []
        for field in table.schema:
            plain = field.name.removeprefix(TRUTH)
            if plain in names and plain != "id" and TRUTH + plain not in names:
                self.fields.append(pyarrow.field(TRUTH + plain, pyarrow.float64(), metadata=field.metadata))
                self._values.append(number(table, field.name))
        if not self.fields:
            raise InputError(f"{path}: none of its columns is in the catalogue, under the same name")
        self._rows = {str(name): k for k, name in enumerate(table["id"].to_pylist())}

    def beside(self, rows: Rows) -> Rows:
        """The rows with the true values added, NaN for galaxies that the table does not have."""
        place = np.array([self._rows.get(name, -1) for name in rows["id"].to_pylist()], dtype=np.int64)
        for field, values in zip(self.fields, self._values, strict=True):
            taken = np.append(values, np.nan)[place]
            rows = rows.append_column(field, pyarrow.array(taken))
        return rows
