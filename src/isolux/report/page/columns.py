"""The columns of a catalogue as the page sees them, and which of them it is about."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow

from isolux.report.labels import SYMBOLS

Kind = Literal["number", "whole", "text"]
FEWEST, MOST = 1, 6
"""Parameters that the page is about."""
FIRST = (
    "magnitude",
    "effective_radius",
    "scale_radius",
    "sersic_index",
    "axis_ratio",
    "bulge_fraction",
    "fwhm",
    "position_angle",
    "flux",
    "level",
)
"""Parameters by short name, the most telling first."""
SKY = ("level", "gradient_x", "gradient_y")
DERIVED = ("surface_brightness", "mean_surface_brightness", "circularised_radius", "half_light_radius")
ANGLES = ("position_angle", "pa_sky")
RELATIVE = ("effective_radius", "scale_radius", "sersic_index", "fwhm", "flux")
"""Parameters whose differences from the truth are given in per cent."""
ALIASES = {
    "magnitude": "mag",
    "effective_radius": "re",
    "scale_radius": "rs",
    "sersic_index": "n",
    "axis_ratio": "q",
    "position_angle": "pa",
    "reduced_chi2": "chi2nu",
}
"""Short names that a filter may use."""
UNITS = {"mag / arcsec2": "mag/arcsec²", "mag arcsec-2": "mag/arcsec²", "deg": "°", "arcsec": "arcsec"}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column that the page can show.

    Attributes
    ----------
    name, unit, meaning : str
        As in the catalogue.
    kind : {"number", "whole", "text"}
        What its values are; yes and no are whole numbers.
    """

    name: str
    unit: str
    meaning: str
    kind: Kind


def columns_of(schema: pyarrow.Schema) -> list[Column]:
    """The columns of a catalogue that hold one value a galaxy."""
    found = []
    for field in schema:
        kind = "text" if field.name == "id" else _kind(field.type)
        if kind is not None:
            notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
            unit = notes.get("unit", "")
            found.append(Column(field.name, UNITS.get(unit, unit), notes.get("description", ""), kind))
    return found


def main_parameters(columns: Sequence[Column]) -> list[str]:
    """The parameters that distributions and correlations are drawn of.

    Those with an error; in the catalogue of a field, where many models stand beside each other, those of the best.
    """
    numbers = {column.name for column in columns if column.kind != "text"}
    fitted = [c.name for c in columns if c.name in numbers and f"{c.name}_err" in numbers]
    best = [name for name in FIRST if name in fitted]
    if len(best) >= 3:
        return best[:MOST]
    ranked = [(rank, name) for name in fitted if (rank := _rank(name)) is not None]
    if "total_magnitude" in fitted:
        parts = {name for _, name in ranked if short_name(name) == "magnitude"} - {"total_magnitude"}
        ranked = [(rank, name) for rank, name in ranked if name not in parts]
    if any(short_name(name) == "magnitude" for _, name in ranked):
        ranked = [(rank, name) for rank, name in ranked if short_name(name) not in ("flux", "level")]
    chosen = [name for _, name in sorted(ranked, key=lambda pair: pair[0])[:MOST]]
    return chosen or fitted[:MOST]


def magnitude_of(columns: Sequence[Column]) -> str | None:
    """The column of magnitudes that errors are drawn against."""
    names = [column.name for column in columns]
    choices = ["magnitude", "total_magnitude"]
    choices += [name for name in names if name.endswith("_magnitude") and not name.startswith("truth_")]
    return next((name for name in choices if name in names), None)


def model_of(columns: Sequence[Column]) -> str:
    """The components that were fitted, by the columns that tell free from fixed; empty in catalogues of fields."""
    marks = [c.name.removesuffix("_mark") for c in columns if c.name.endswith("_mark")]
    found: dict[str, None] = {}
    for name in marks:
        short = next((s for s in sorted(_shorts(), key=len, reverse=True) if name.endswith(f"_{s}")), None)
        if short is not None:
            found[name.removesuffix(f"_{short}")] = None
    return " + ".join(found)


def short_name(name: str) -> str:
    """``sersic_index`` of ``sersic_sersic_index``; the name itself where there is nothing to take off."""
    found = [short for short in _shorts() if name == short or name.endswith(f"_{short}")]
    return max(found, key=len, default=name)


def labels(columns: Sequence[Column]) -> dict[str, str]:
    """Names of columns in words: without their component where no other has the parameter."""
    owners: dict[str, set[str]] = {}
    for column in columns:
        plain = _plain(column.name)
        owners.setdefault(short_name(plain), set()).add(plain)
    out = {}
    for column in columns:
        plain = _plain(column.name)
        short = short_name(plain)
        words = column.name.replace(
            plain, short if len(owners[short]) == 1 and short not in SKY else plain, 1
        )
        out[column.name] = words.replace("_", " ").replace("sersic", "Sérsic")
    return out


def _plain(name: str) -> str:
    """The parameter that a column of truth, error or mark belongs to."""
    return re.sub(r"_(err|mark|p\d\d)$", "", name.removeprefix("truth_"))


def aliases(main: Sequence[str]) -> Mapping[str, str]:
    """Short names for filters: ``n`` or ``sersic_n`` for ``sersic_sersic_index``, unless two columns share one."""
    made: dict[str, list[str]] = {"chi2nu": ["reduced_chi2"]}
    for name in main:
        short = short_name(name)
        if short in ALIASES:
            owner = name.removesuffix(short).rstrip("_")
            for alias in {ALIASES[short], f"{owner}_{ALIASES[short]}".lstrip("_"), short}:
                made.setdefault(alias, []).append(name)
    return {alias: names[0] for alias, names in made.items() if len(names) == 1 and alias not in main}


def _kind(kind: pyarrow.DataType) -> Kind | None:
    types = pyarrow.types
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_integer(kind) or types.is_boolean(kind):
        return "whole"
    return "text" if types.is_string(kind) or types.is_large_string(kind) else None


def _rank(name: str) -> int | None:
    short = short_name(name)
    dull = name.startswith("truth_")
    return FIRST.index(short) if short in FIRST and not dull else None


def _shorts() -> set[str]:
    return {*FIRST, *SYMBOLS, "x", "y", "boxiness", "gradient_x", "gradient_y", *DERIVED}
