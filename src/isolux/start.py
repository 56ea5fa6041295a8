"""Starting values: from a table, from the scene, else from the image (:mod:`isolux.guess`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.guess import Guesses
from isolux.parameters import Column, Fixed, Free, Tied, given_number
from isolux.scene import Scene
from isolux.types import PerGalaxy, Tensor, Values


@dataclasses.dataclass(frozen=True, eq=False)
class Starts:
    """Starting values of a scene on a batch that were made before the fit, for :func:`isolux.fit.fit`.

    Attributes
    ----------
    columns : tuple of str
        The scene's.
    values : Tensor
        (galaxy, parameter): starting and fixed values.
    estimated : tuple of bool
        Which columns come from the images: these are moved inside their bounds, others have to be there.
    table : mapping, optional
        What was given, where priors may find columns.
    spread : Tensor, optional
        (galaxy, parameter): standard deviations of the estimates, of parameters that are fitted as logarithms those
        of the natural logarithm; NaN where nothing is known of them.
    learned : Tensor, optional
        (galaxy,) of bool: where the estimates are a network's; elsewhere they are those of moments.
    """

    columns: tuple[str, ...]
    values: Values
    estimated: tuple[bool, ...]
    table: Mapping[str, Any] | None = None
    spread: Tensor | None = None
    learned: PerGalaxy | None = None

    @classmethod
    def by_moments(cls, scene: Scene, batch: Batch, table: Mapping[str, Any] | None = None) -> Starts:
        """Those of :func:`starting_values`."""
        return cls(scene.columns, *starting_values(scene, batch, table), table)

    def check(self, scene: Scene, batch: Batch) -> None:
        """Compare with what is to be fitted.

        Raises
        ------
        InputError
            If they are those of another scene or of another number of galaxies.
        """
        if self.columns != scene.columns:
            raise InputError("starting values of another scene: their columns are", ", ".join(self.columns))
        if self.values.shape != (len(batch), len(self.columns)):
            raise InputError("starting values of another batch: galaxies", len(self.values), len(batch))


def starting_values(
    scene: Scene, batch: Batch, table: Mapping[str, Any] | None = None
) -> tuple[Values, tuple[bool, ...]]:
    """Starting and fixed values (galaxy, parameter), and which columns were estimated from the image.

    A value is taken from the table, else from the scene, else from the image.

    Parameters
    ----------
    scene : Scene
        Says what is given.
    batch : Batch
        The images.
    table : mapping, optional
        Arrays (galaxy,) by full parameter name, and the columns that :class:`Column` settings name. Entries
        for parameters override the scene's starting values.

    Raises
    ------
    InputError
        For columns or parameters that do not exist, and arrays of the wrong length.
    """
    table = dict(table or {})
    _check_columns(scene, table)
    given = {p.full_name: _given(p.full_name, p.setting, table, batch) for p in scene.parameters}
    guesses = Guesses(scene, batch, given)
    pieces, estimated = [], []
    for entry in scene.parameters:
        value = given[entry.full_name]
        size = entry.parameter.size
        estimated += [value is None] * size
        if value is None:
            value = guesses.value(entry.full_name)
        if value.ndim == 1:
            value = value[:, None].expand(-1, size)
        pieces.append(value.cpu())
    return torch.cat(pieces, 1).to(batch.image.device), tuple(estimated)


def _given(name: str, setting: Free | Fixed | Tied, table: Mapping[str, Any], batch: Batch) -> Tensor | None:
    """The value from table or scene; None where it is to be estimated, NaN where a tie gives it."""
    if isinstance(setting, Tied):
        return torch.full((len(batch),), torch.nan, dtype=torch.float64)
    raw = setting.start if isinstance(setting, Free) else setting.value
    column = raw.name if isinstance(raw, Column) else name
    if column in table:
        value = torch.as_tensor(table[column], dtype=torch.float64)
        value = value.expand(len(batch)) if value.ndim == 0 else value
        if len(value) != len(batch):
            raise InputError(f"column {column!r} has {len(value)} values for {len(batch)} galaxies")
        return value
    return given_number(setting, len(batch))


def _check_columns(scene: Scene, table: Mapping[str, Any]) -> None:
    names = {p.full_name for p in scene.parameters}
    wanted = set()
    for entry in scene.parameters:
        raw = getattr(entry.setting, "start", None) if isinstance(entry.setting, Free) else None
        raw = entry.setting.value if isinstance(entry.setting, Fixed) else raw
        if isinstance(raw, Column):
            wanted.add(raw.name)
            if raw.name not in table:
                raise unknown_name("column", raw.name, table)
    for key in table:
        if "." in key and key not in names | wanted:
            raise unknown_name("parameter in the table of starting values", key, names)
