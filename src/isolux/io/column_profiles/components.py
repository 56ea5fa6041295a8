"""The light of stamps' catalogues, whose columns begin with the names of a model's components."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from isolux.errors import InputError, unknown_name
from isolux.io.column_profiles.light import Columns, Light, listed
from isolux.profiles.exponential import HALF_LIGHT

DEVAUCOULEURS = 4.0
Naming: TypeAlias = Callable[[str], str]
"""The column of a component's parameter."""


@dataclasses.dataclass(frozen=True, eq=False)
class Component:
    """The shape of one component. Pairs as in :class:`Light`."""

    kind: np.ndarray
    radius: np.ndarray
    index: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    pa_sky: np.ndarray
    shared: np.ndarray
    x: np.ndarray
    y: np.ndarray
    brightness: np.ndarray
    radius_bound: np.ndarray
    index_bound: np.ndarray


def of_stamps(columns: Columns, band: str | None, component: str | None) -> Light:
    """Light of the components of a model.

    Raises
    ------
    InputError
        If there is no component with a shape that surveys' columns describe, or none of that name.
    """
    names = components_of(columns)
    if not names:
        raise InputError(
            "no component with light: no column <name>_magnitude; the catalogue has",
            columns.rows.column_names[:8],
        )
    if component is not None:
        if component not in names:
            raise unknown_name("component", component, names)
        names = [component]
    bands = columns.bands(f"{names[0]}_magnitude", band)
    end = next(iter(bands.values()))
    shapes = {name: found for name in names if (found := _shape(columns, name, end)) is not None}
    if not shapes:
        raise InputError(
            "columns of a survey need a component with a half-light radius (Sersic, Exponential, Gaussian), or a"
            " point; without one are",
            listed(names),
        )
    whole = names[0] if len(names) == 1 else "total"
    return _light(columns, bands, whole, list(shapes.values()), len(names) > 1)


def components_of(columns: Columns) -> list[str]:
    """Names of the components with light, in the order of the columns."""
    found = []
    for column in columns.rows.column_names:
        name, _, end = column.partition("_magnitude")
        plain = end == "" or columns.has(f"{column}_err")
        if (
            plain
            and not name.startswith("truth_")
            and (columns.has(f"{name}_x") or columns.has(f"{name}_x{end}"))
        ):
            found.append(name)
    return list(dict.fromkeys(found))


def _shape(columns: Columns, name: str, end: str) -> Component | None:
    """The shape of a component in the first band; None where it has no half-light radius."""

    def at(short: str) -> str:
        return f"{name}_{short}" if columns.has(f"{name}_{short}") else f"{name}_{short}{end}"

    size = _half_light(columns, at)
    zero, off = np.zeros(len(columns)), np.zeros(len(columns), bool)
    x, y, magnitude = columns.pair(at("x")), columns.pair(at("y")), columns.numbers(at("magnitude"))
    if not columns.has(at("axis_ratio")):
        nothing, round_ = np.stack([zero, zero], 1), np.stack([zero + 1, zero], 1)
        unknown = np.full_like(nothing, np.nan)
        kind = np.full(len(columns), "PSF")
        return Component(kind, nothing, unknown, round_, unknown, unknown, zero, x, y, magnitude, off, off)
    if size is None:
        return None
    radius, index = size
    axis_ratio, angle, sky = (columns.pair(at(short)) for short in ("axis_ratio", "position_angle", "pa_sky"))
    sky[:, 1] = angle[:, 1]
    return Component(
        kind=_kinds(columns, at, index),
        radius=radius,
        index=index,
        axis_ratio=axis_ratio,
        angle=angle,
        pa_sky=sky,
        shared=_shared(radius, axis_ratio, columns.pair(at("circularised_radius"))),
        x=x,
        y=y,
        brightness=magnitude,
        radius_bound=_bound(columns, at, ("effective_radius", "scale_radius", "fwhm")),
        index_bound=_bound(columns, at, ("sersic_index",)),
    )


def _half_light(columns: Columns, at: Naming) -> tuple[np.ndarray, np.ndarray] | None:
    """Pairs of the half-light semi-major axis and of the Sérsic index of a component; None if it has none.

    An exponential is n = 1 with r = 1.678 h, a Gaussian n = 1/2 with r = FWHM / 2.
    """
    held = np.zeros(len(columns))
    if columns.has(at("effective_radius"), at("sersic_index")):
        return columns.pair(at("effective_radius")), columns.pair(at("sersic_index"))
    if columns.has(at("scale_radius")):
        return columns.pair(at("scale_radius"), HALF_LIGHT), np.stack([held + 1.0, held], 1)
    if columns.has(at("fwhm")) and not columns.has(at("beta")):
        return columns.pair(at("fwhm"), 0.5), np.stack([held + 0.5, held], 1)
    return None


def _kinds(columns: Columns, at: Naming, index: np.ndarray) -> np.ndarray:
    """Legacy Surveys' names: an index that is held at 1 or 4 has one, as has a round exponential."""
    held = columns.text(at("sersic_index_mark")) == "fixed"
    held |= not columns.has(at("sersic_index"))
    kind = np.full(len(columns), "SER")
    kind[held & (index[:, 0] == 1)] = "EXP"
    kind[held & (index[:, 0] == DEVAUCOULEURS)] = "DEV"
    round_ = (columns.text(at("axis_ratio_mark")) == "fixed") & (columns.numbers(at("axis_ratio")) == 1)
    kind[(kind == "EXP") & round_] = "REX"
    return kind


def _bound(columns: Columns, at: Naming, names: Sequence[str]) -> np.ndarray:
    return np.any([columns.text(at(f"{name}_mark")) == "at bound" for name in names], axis=0)


def _shared(radius: np.ndarray, axis_ratio: np.ndarray, circularised: np.ndarray) -> np.ndarray:
    """Covariance of ln r and ln q by the error of r√q: var ln r√q = var ln r + var ln q / 4 + cov; 0 if not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r, q, c = (pair[:, 1] / pair[:, 0] for pair in (radius, axis_ratio, circularised))
        found = c**2 - r**2 - q**2 / 4
        largest = r * q
    return np.nan_to_num(np.clip(found, -largest, largest), nan=0.0)


def _light(
    columns: Columns, bands: Mapping[str, str], whole: str, shapes: Sequence[Component], composite: bool
) -> Light:
    """The light of all components, and the shape of the one that is brightest in each galaxy."""
    magnitudes = np.stack([shape.brightness for shape in shapes])
    best = np.argmin(np.where(np.isfinite(magnitudes), magnitudes, np.inf), axis=0)
    rows = np.arange(len(columns))

    def pick(name: str) -> np.ndarray:
        return np.stack([getattr(shape, name) for shape in shapes])[best, rows]

    fitted = np.isfinite(columns.numbers("chi2"))
    kind = np.where(fitted, "COMP" if composite else pick("kind"), "")
    levels = [n for n in columns.rows.column_names if n.endswith("_level_mark")]
    sky = np.any([np.zeros(len(columns), bool), *(columns.text(n) != "fixed" for n in levels)], axis=0)
    chi2 = {band: _reduced(columns, band) for band in bands}
    names = (
        "radius",
        "index",
        "axis_ratio",
        "angle",
        "pa_sky",
        "shared",
        "x",
        "y",
        "radius_bound",
        "index_bound",
    )
    return Light(
        **columns.common(),  # type: ignore[arg-type]
        **{name: pick(name) for name in names},
        kind=kind.astype(str),
        flux={band: columns.flux(f"{whole}_magnitude{end}") for band, end in bands.items()},
        chi2=chi2,
        sky_fitted=sky,
    )


def _reduced(columns: Columns, band: str) -> np.ndarray:
    """Chi-square over degrees of freedom; of a band over its pixels, where there are several."""
    if not columns.has(f"chi2_{band}", f"n_pixels_{band}"):
        return columns.numbers("reduced_chi2")
    with np.errstate(invalid="ignore", divide="ignore"):
        return columns.numbers(f"chi2_{band}") / columns.numbers(f"n_pixels_{band}")
