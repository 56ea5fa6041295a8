"""What the headers of all fields say together: whether they share columns, which overlap, their order on the sky."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from isolux.errors import InputError
from isolux.io.field_glance import Glance, glance
from isolux.io.field_listing import FieldFiles
from isolux.io.field_source import FieldSource
from isolux.measure_field import plain_name
from isolux.survey.field_sky import LARGEST, Footprint, neighbours
from isolux.survey.sky_parts import healpix_cells

READERS = 16
SHOWN = 3
"""Fields that a message names of each kind."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The fields of a survey.

    Attributes
    ----------
    files : dict
        What belongs to each, by its name.
    faults : dict
        Why some cannot be measured.
    glances : dict
        What the headers say of the others.
    order : list of str
        All fields; those at known places in the order of the sky, the others behind them.
    bands : tuple of str
        Names of the bands where there are several.
    sky : bool
        Whether fields have a WCS.
    truth : bool
        Whether any has a truth.
    footprints : dict
        Where fields are.
    overlapping : dict
        Names of the fields that each may overlap.
    """

    files: dict[str, FieldFiles]
    faults: dict[str, str]
    glances: dict[str, Glance]
    order: list[str]
    bands: tuple[str, ...]
    sky: bool
    truth: bool
    footprints: dict[str, Footprint]
    overlapping: dict[str, list[str]]

    def pixels(self, name: str) -> int:
        """Of a field's image; 0 where it cannot be read."""
        return int(np.prod(self.glances[name].shape)) if name in self.glances else 0

    def place(self, name: str) -> str:
        """Where a field is, for people."""
        where = self.footprints.get(name)
        return name if where is None else f"{name} (ra {where.centre[0]:.4f}, dec {where.centre[1]:+.4f})"

    def around(self, name: str) -> list[Footprint]:
        """Where the field and those that it may overlap are; nothing where nobody knows."""
        if name not in self.footprints:
            return []
        return [self.footprints[one] for one in (name, *self.overlapping[name])]


def look_at(found: Sequence[FieldFiles], source: FieldSource) -> Plan:
    """Read the headers of all fields.

    Parameters
    ----------
    found : sequence of FieldFiles
        The fields.
    source : FieldSource
        Names of bands, where they are given.

    Raises
    ------
    InputError
        If fields would have different columns, or no field can be read.
    """
    with ThreadPoolExecutor(READERS) as pool:
        seen = list(pool.map(lambda field: _look(field, source), found))
    files = {field.name: field for field in found}
    faults = {field.name: what for field, what in zip(found, seen, strict=True) if isinstance(what, str)}
    known = {field.name: what for field, what in zip(found, seen, strict=True) if not isinstance(what, str)}
    if not known:
        raise InputError(f"no field can be read; the first one: {next(iter(faults.values()))}")
    bands = _one_of("in different bands", {name: _bands(name, looks) for name, looks in known.items()})
    first = {name: looks[0] for name, looks in known.items()}
    sky = _one_of(
        "with and without a celestial WCS",
        {name: ("with",) if one.outline is not None else ("without",) for name, one in first.items()},
    ) == ("with",)
    places = {
        name: Footprint.of(name, one.centre, one.outline)
        for name, one in first.items()
        if one.outline is not None
    }
    for name, where in places.items():
        if not 0 < where.half_diagonal < LARGEST:
            faults[name] = (
                f"field {name}: reaches {where.half_diagonal:.3g} degrees from its middle, {LARGEST:g} at most"
            )
    places = {name: where for name, where in places.items() if name not in faults}
    names = list(places)
    overlapping = {
        names[k]: [names[j] for j in near] for k, near in enumerate(neighbours(list(places.values())))
    }
    cells = healpix_cells(*np.array([where.centre for where in places.values()]).reshape(-1, 2).T).tolist()
    order = [name for _, name in sorted(zip(cells, names, strict=True))]
    return Plan(
        files,
        faults,
        first,
        [*order, *sorted(set(files) - set(order))],
        bands if len(bands) > 1 else (),
        sky,
        any("truth" in field.planes for field in found),
        places,
        overlapping,
    )


def _look(field: FieldFiles, source: FieldSource) -> list[Glance] | str:
    """The headers of a field's images, or what is wrong with them."""
    if field.fault:
        return field.fault
    try:
        looks = [glance(field.image, field.reading)]
        for k, path in enumerate(field.also):
            name = source.other_bands[k] if k < len(source.other_bands) else None
            looks.append(glance(path, {"band": name} if name else {}))
    except InputError as error:
        return f"field {field.name}: {error}"
    return looks


def _bands(name: str, looks: Sequence[Glance]) -> tuple[str, ...]:
    """Names of a field's bands.

    Raises
    ------
    InputError
        If there are several, and they are not known or not different.
    """
    names = tuple(plain_name(look.band) for look in looks)
    if len(names) > 1 and (not all(names) or len(set(names)) < len(names)):
        raise InputError(
            f"field {name}: bands of its images are not known, or not different; name them, as in band = ['r', 'g']",
            list(names),
        )
    return names


def _one_of(what: str, kinds: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The kind that all fields are of; those of which nothing is known are of any.

    Raises
    ------
    InputError
        If there is more than one.
    """
    by_kind: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, kind in kinds.items():
        if any(kind):
            by_kind[kind].append(name)
    if len(by_kind) > 1:
        told = []
        for kind, names in by_kind.items():
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            told.append(f"{' '.join(kind)}: {', '.join(names[:SHOWN])}{more}")
        raise InputError(
            f"fields {what} cannot share a catalogue ({'; '.join(told)}); run each kind by itself"
        )
    return next(iter(by_kind), ("",))
