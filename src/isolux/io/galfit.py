"""GALFIT's input and output files, read into Isolux's terms.

Positions become 0-based, ``devauc`` a Sérsic profile with n = 4, the surface brightness of ``king`` and ``ferrer``
an intensity per pixel,

    I = 10^(-0.4 (mu - zero point)) dx dy        (K: plate scale dx, dy)

What has no counterpart (Fourier modes, spirals, truncations, nuker, edgedisk) is kept as a note. GALFIT divides
by the header's EXPTIME; a zero point for counts per second has to be changed where that is not 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from isolux.errors import InputError
from isolux.io.galfit_constraints import constrained
from isolux.io.galfit_file import GalfitComponent, GalfitFile, GalfitParameter
from isolux.io.galfit_text import Items, is_empty, numbers, read_items, word

_PLACE = {"1x": "x", "1y": "y"}
_RADIAL = {**_PLACE, "3": "magnitude", "9": "axis_ratio", "10": "position_angle", "C0": "boxiness"}
_KING = {"3": "intensity", "4": "core_radius", "5": "truncation_radius", "6": "alpha"}
_FERRER = {"3": "intensity", "4": "outer_radius", "5": "truncation_sharpness", "6": "central_slope"}
OBJECTS: dict[str, tuple[str, dict[str, str]]] = {
    "sersic": ("Sersic", {**_RADIAL, "4": "effective_radius", "5": "sersic_index"}),
    "devauc": ("Sersic", {**_RADIAL, "4": "effective_radius"}),
    "expdisk": ("Exponential", {**_RADIAL, "4": "scale_radius"}),
    "gaussian": ("Gaussian", {**_RADIAL, "4": "fwhm"}),
    "moffat": ("Moffat", {**_RADIAL, "4": "fwhm", "5": "beta"}),
    "king": ("King", {**_RADIAL, **_KING}),
    "ferrer": ("Ferrer", {**_RADIAL, **_FERRER}),
    "psf": ("PointSource", {**_PLACE, "3": "magnitude"}),
    "sky": ("PlaneSky", {"1": "level", "2": "gradient_x", "3": "gradient_y"}),
}
"""GALFIT's object types: Isolux's profile, and its parameter for each item."""


def read_galfit(path: str | Path) -> GalfitFile:
    """Read a GALFIT input or output file, and its constraints file where that is to be found.

    Raises
    ------
    InputError
        If it is missing, is no GALFIT file, or an item is not the number that it should be.
    """
    path = Path(path).expanduser()
    control, objects = read_items(path)
    zero_point = numbers(path, control, "J", 1)[0]
    area = abs(math.prod(numbers(path, control, "K", 2)))
    names = _names([(word(items, "0") or "").lower() for items in objects])
    components = [_component(path, *pair, zero_point, area) for pair in zip(names, objects, strict=True)]
    constraints = path.parent / (word(control, "G") or "")
    notes: list[str] = []
    if constraints.is_file():
        components, notes = constrained(components, constraints)
    region = numbers(path, control, "H", 4)
    return GalfitFile(
        path=path,
        image=word(control, "A"),
        output=word(control, "B"),
        sigma=word(control, "C"),
        psf=word(control, "D"),
        mask=word(control, "F"),
        constraints=word(control, "G"),
        psf_oversampling=round(numbers(path, control, "E", 1)[0]) or 1,
        region=tuple(round(number) - 1 for number in region) if any(region) else None,
        zero_point=zero_point,
        pixel_scale=math.sqrt(area) or None,
        components=tuple(components),
        notes=tuple(notes),
    )


def _names(kinds: Sequence[str]) -> list[str]:
    counts = Counter(kinds)
    return [f"{k}_{kinds[: n + 1].count(k)}" if counts[k] > 1 else k for n, k in enumerate(kinds)]


def _component(path: Path, name: str, items: Items, zero_point: float, area: float) -> GalfitComponent:
    kind = (word(items, "0") or "").lower()
    profile, known = OBJECTS.get(kind, ("", {}))
    known = {item: short for item, short in known.items() if item.rstrip("xy") in items}
    parameters = {short: _parameter(path, items, item) for item, short in known.items()}
    if "boxiness" in parameters and parameters["boxiness"] == GalfitParameter(0.0, False):
        del parameters["boxiness"]
    if kind == "devauc":
        parameters["sersic_index"] = GalfitParameter(4.0, False)
    if "intensity" in parameters:
        if area == 0:
            raise InputError(f"{path}: {kind} needs the plate scale (item K) for its surface brightness")
        mu = parameters["intensity"]
        parameters["intensity"] = GalfitParameter(10 ** (-0.4 * (mu.value - zero_point)) * area, mu.free)
    flat = GalfitParameter(0.0, False)
    if kind == "sky" and all(p == flat for short, p in parameters.items() if short != "level"):
        profile, parameters = "FlatSky", {"level": parameters["level"]}
    used = {item.rstrip("xy") for item in known} | {"0", "1", "Z"}
    notes = tuple(
        f"{item}) {items[item][0]}" for item in items if item not in used and not is_empty(items, item)
    )
    return GalfitComponent(name, kind, profile, known, parameters, notes)


def _parameter(path: Path, items: Items, item: str) -> GalfitParameter:
    """A value and whether it is fitted (free where the file does not say); positions from 0."""
    row = item.rstrip("xy")
    axis = "xy".find(item[-1])
    if axis < 0:
        value, free = numbers(path, items, row, 2)
        return GalfitParameter(value, len(items[row][0].split()) < 2 or free != 0)
    found = numbers(path, items, row, 4)
    return GalfitParameter(found[axis] - 1, len(items[row][0].split()) < 4 or found[axis + 2] != 0)
