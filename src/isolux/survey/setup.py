"""What a survey run is: its input, its folder and its options together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from isolux.survey.options import ClusterOptions, SurveyOptions
from isolux.survey.part import Input


@dataclasses.dataclass(frozen=True, eq=False)
class SurveyRun:
    """What a run is.

    Attributes
    ----------
    input : Input
        Where the galaxies come from, and how they are measured.
    folder : Path
        Where everything is written.
    survey : SurveyOptions
        How it is cut into parts, and what is done with parts that fail.
    cluster : ClusterOptions
        Where the work is done.
    exports : sequence of str
        Formats of catalogues that are made when all parts are done: ``hats``, ``parquet``, ``fits``, ``votable``.
    columns : str
        Column names of these: ``isolux``, ``legacy``, ``rubin`` or ``euclid``.
    name : str
        For people.
    """

    input: Input
    folder: Path
    survey: SurveyOptions = dataclasses.field(default_factory=SurveyOptions)
    cluster: ClusterOptions = dataclasses.field(default_factory=ClusterOptions)
    exports: Sequence[str] = ()
    columns: str = "isolux"
    name: str = ""
