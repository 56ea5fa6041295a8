"""Which columns of a table a model needs."""

from __future__ import annotations

from isolux.options import RunOptions
from isolux.parameters import Column, Free, Tied
from isolux.scene import Scene


def model_columns(scene: Scene, options: RunOptions) -> list[str]:
    """Columns that parameters and priors name, and parameters' own names: a column named so holds its starts."""
    settings = [parameter.setting for parameter in scene.parameters]
    given = [s.start if isinstance(s, Free) else s.value for s in settings if not isinstance(s, Tied)]
    for prior in options.priors:
        given += prior.given.values()
    named = [value.name for value in given if isinstance(value, Column)]
    return list(dict.fromkeys([*named, *(parameter.full_name for parameter in scene.parameters)]))
