"""Surface-brightness profiles of a batch of galaxies, whatever measured them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isolux.isophotes.ellipses import axis_ratio, position_angle
from isolux.isophotes.quality import ProfileFlag
from isolux.result import UNITLESS, UNITS, Quantity
from isolux.sky import on_sky
from isolux.types import PerGalaxy, Points, Tensor

POGSON = 2.5 / math.log(10)
POINT_COLUMNS = (
    Quantity("sma", "arcsec", "semi-major axis"),
    Quantity("sma_pixels", "pixel", "semi-major axis"),
    Quantity("surface_brightness", "mag/arcsec2", "mean along the isophote; NaN where not positive"),
    Quantity(
        "surface_brightness_err",
        "mag/arcsec2",
        "one standard deviation of the mean, with the sky's and shape's",
    ),
    Quantity("intensity", "flux/pixel2", "mean along the isophote above the sky"),
    Quantity(
        "intensity_err", "flux/pixel2", "one standard deviation of the mean, with the sky's and shape's"
    ),
    Quantity("intensity_low", "flux/pixel2", "16th percentile along the isophote"),
    Quantity("intensity_high", "flux/pixel2", "84th percentile along the isophote"),
    Quantity("ellipticity", "", "1 - b / a"),
    Quantity("ellipticity_err", "", "one standard deviation"),
    Quantity("position_angle", "deg", "major axis, counter-clockwise from +y"),
    Quantity("position_angle_err", "deg", "one standard deviation"),
    Quantity("a3", "", "sin 3 phi of the light over the gradient and semi-major axis"),
    Quantity("b3", "", "cos 3 phi of the same"),
    Quantity("a4", "", "sin 4 phi of the same"),
    Quantity("b4", "", "cos 4 phi of the same: positive discy, negative boxy"),
    Quantity("b4_err", "", "one standard deviation, also of a3, b3 and a4"),
    Quantity("growth", "flux", "flux inside the isophote"),
    Quantity("growth_err", "flux", "one standard deviation, with the sky's"),
    Quantity("n_pixels", "", "good pixels that the brightness is the mean of"),
    Quantity("good_share", "", "share of the ring that is not masked"),
    Quantity("quality", "", "sum of the remarks' codes; 0 is good"),
)
"""Columns of the long table, a row a radius."""
WITHOUT_ERRORS = ("last_sma", "signal_to_noise")
"""Numbers of a whole galaxy that have no error."""


@dataclasses.dataclass(frozen=True, eq=False)
class Isophotes:
    """Profiles of a batch: points (galaxy, radius), of which the first ``length`` of each galaxy hold.

    Attributes
    ----------
    id : tuple of str
        One a galaxy.
    method : str
        What measured them.
    x, y : Tensor
        (galaxy,): centre in pixels.
    sma : Tensor
        (galaxy, radius): semi-major axes in pixels.
    intensity, error, low, high : Tensor
        (galaxy, radius): brightness above the sky, image units a pixel; its error; 16th and 84th percentile along
        the isophote.
    shape, shape_error : Tensor
        (galaxy, radius, 2) and (galaxy, radius): e cos 2 PA and e sin 2 PA, and the error of each.
    harmonics, harmonics_error : Tensor
        (galaxy, radius, 4) and (galaxy, radius): a3, b3, a4, b4.
    growth, growth_error : Tensor
        (galaxy, radius): flux inside.
    pixels, good : Tensor
        (galaxy, radius): number of good pixels of a ring, and the share of it that they are.
    quality : Tensor
        (galaxy, radius), integer: sums of :class:`Quality`.
    length : Tensor
        (galaxy,), integer: points of each profile; 0 where there is no galaxy.
    columns : tuple of Quantity
        What the columns of ``values`` are.
    values, errors : Tensor
        (galaxy, column): numbers of the whole galaxy, lengths in pixels.
    flags : tuple of ProfileFlag
        One a galaxy.
    message : tuple of str
        What is wrong with it; empty where nothing is.
    zero_point, pixel_scale : Tensor
        (galaxy,): AB magnitude of one image unit; arcsec a pixel.
    wcs : tuple
        An astropy WCS or None a galaxy.
    unsaid : tuple of str
        Columns that the method has nothing to say of, which the tables leave out.
    """

    id: tuple[str, ...]
    method: str
    x: PerGalaxy
    y: PerGalaxy
    sma: Points
    intensity: Points
    error: Points
    low: Points
    high: Points
    shape: Tensor
    shape_error: Points
    harmonics: Tensor
    harmonics_error: Points
    growth: Points
    growth_error: Points
    pixels: Points
    good: Points
    quality: Tensor
    length: PerGalaxy
    columns: tuple[Quantity, ...]
    values: Tensor
    errors: Tensor
    flags: tuple[ProfileFlag, ...]
    message: tuple[str, ...]
    zero_point: PerGalaxy
    pixel_scale: PerGalaxy
    wcs: tuple[Any, ...]
    unsaid: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, name: str) -> PerGalaxy:
        """Values (galaxy,) of a column of the whole galaxy."""
        return self.values[:, self._place(name)]

    def error_of(self, name: str) -> PerGalaxy:
        """Errors (galaxy,) of a column of the whole galaxy."""
        return self.errors[:, self._place(name)]

    @property
    def valid(self) -> Tensor:
        """(galaxy, radius) of bool: the points of the profiles."""
        return torch.arange(self.sma.shape[1], device=self.sma.device) < self.length[:, None]

    @property
    def ellipticity(self) -> Points:
        """(galaxy, radius): 1 - b / a."""
        return 1 - axis_ratio(self.shape)

    @property
    def position_angle(self) -> Points:
        """(galaxy, radius): degrees counter-clockwise from +y."""
        return position_angle(self.shape)

    @property
    def position_angle_error(self) -> Points:
        """(galaxy, radius): degrees; 90 at most, where the isophote is round."""
        return torch.rad2deg(self.shape_error / (2 * self.ellipticity).clamp_min(1e-6)).clamp_max(90.0)

    @property
    def surface_brightness(self) -> Points:
        """(galaxy, radius): mag/arcsec^2; NaN where the brightness is not positive."""
        positive = torch.where(self.intensity > 0, self.intensity, torch.nan)
        area = (self.pixel_scale**2)[:, None]
        return self.zero_point[:, None] - 2.5 * torch.log10(positive / area)

    @property
    def surface_brightness_error(self) -> Points:
        """(galaxy, radius): mag/arcsec^2; NaN where the brightness is not positive."""
        return POGSON * self.error / torch.where(self.intensity > 0, self.intensity, torch.nan)

    def table(self) -> Any:
        """All points of all profiles, a row a radius; galaxies of an empty profile have none.

        Returns
        -------
        astropy.table.QTable
            Columns ``id`` and :data:`POINT_COLUMNS`, with units and descriptions, and ``pa_sky`` where there is a
            WCS.
        """
        from astropy.table import QTable

        kept = self.valid.cpu().numpy()
        table = QTable(meta={"isolux_method": self.method})
        table["id"] = np.repeat(np.array(self.id, dtype=str), kept.sum(1))
        table["id"].info.description = "name of the galaxy"
        found = self._points()
        for column in (c for c in POINT_COLUMNS if c.name not in self.unsaid):
            values = found[column.name]
            table[column.name] = _with_unit(_numpy(values)[kept], column)
            table[column.name].info.description = column.meaning + UNITLESS.get(column.unit, "")
        if "pa_sky" not in self.unsaid and any(wcs is not None for wcs in self.wcs):
            column = Quantity("pa_sky", "deg", "major axis, east of north")
            table["pa_sky"] = _with_unit(self._on_sky()[kept], column)
            table["pa_sky"].info.description = column.meaning
        return table

    def summary(self) -> Any:
        """A row a galaxy: centre, sky, total magnitude, radii; also of those without a profile.

        Returns
        -------
        astropy.table.QTable
            Lengths in arcsec, with units and descriptions; errors in columns that end in ``_err``.
        """
        from astropy.table import QTable

        table = QTable(meta={"isolux_method": self.method})
        table["id"] = np.array(self.id, dtype=str)
        table["id"].info.description = "name of the galaxy"
        for k, column in enumerate(self.columns):
            length = column.unit == "pixel" and column.name not in ("x", "y")
            own = dataclasses.replace(column, unit="arcsec") if length else column
            scale = self.pixel_scale.double() if length else 1.0
            for ending, source in (("", self.values), ("_err", self.errors)):
                numbers = _numpy(source[:, k] * scale)
                if (ending and column.name in WITHOUT_ERRORS) or column.name + ending in self.unsaid:
                    continue
                table[column.name + ending] = _with_unit(numbers, own)
                said = "one standard deviation: " if ending else ""
                table[column.name + ending].info.description = said + own.meaning + UNITLESS.get(own.unit, "")
        table["n_radii"] = _numpy(self.length).astype(np.int32)
        table["n_radii"].info.description = "points of the profile"
        table["profile_flags"] = np.array([int(flag) for flag in self.flags], dtype=np.int32)
        table["profile_flags"].info.description = "sum of the remarks' codes"
        words = [
            "; ".join([*([m] if m else []), *f.messages])
            for m, f in zip(self.message, self.flags, strict=True)
        ]
        table["profile_flags_text"] = np.array(words, dtype=str)
        table["profile_flags_text"].info.description = "the remarks in words"
        return table

    def select(self, rows: Sequence[int]) -> Isophotes:
        """The galaxies with these numbers, in this order."""
        chosen = list(rows)

        def pick(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value[chosen]
            return tuple(value[k] for k in chosen)

        fixed = ("method", "columns", "unsaid")
        fields = [f.name for f in dataclasses.fields(self) if f.name not in fixed]
        return dataclasses.replace(self, **{name: pick(getattr(self, name)) for name in fields})

    @staticmethod
    def concatenate(parts: Sequence[Isophotes]) -> Isophotes:
        """Several batches as one; profiles of fewer radii are filled up with NaN."""
        longest = max(part.sma.shape[1] for part in parts)
        joined: dict[str, Any] = {}
        for field in dataclasses.fields(Isophotes):
            values = [getattr(part, field.name) for part in parts]
            if field.name in ("method", "columns", "unsaid"):
                joined[field.name] = values[0]
            elif isinstance(values[0], Tensor):
                ragged = values[0].ndim > 1 and field.name not in ("values", "errors")
                joined[field.name] = torch.cat([_grown(v, longest) if ragged else v for v in values])
            else:
                joined[field.name] = tuple(item for value in values for item in value)
        return Isophotes(**joined)

    def _points(self) -> dict[str, Any]:
        middle = self.intensity
        return {
            "sma": self.sma * self.pixel_scale[:, None],
            "sma_pixels": self.sma,
            "surface_brightness": self.surface_brightness,
            "surface_brightness_err": self.surface_brightness_error,
            "intensity": middle,
            "intensity_err": self.error,
            "intensity_low": self.low,
            "intensity_high": self.high,
            "ellipticity": self.ellipticity,
            "ellipticity_err": self.shape_error,
            "position_angle": self.position_angle,
            "position_angle_err": self.position_angle_error,
            "a3": self.harmonics[..., 0],
            "b3": self.harmonics[..., 1],
            "a4": self.harmonics[..., 2],
            "b4": self.harmonics[..., 3],
            "b4_err": self.harmonics_error,
            "growth": self.growth,
            "growth_err": self.growth_error,
            "n_pixels": self.pixels,
            "good_share": self.good,
            "quality": self.quality,
        }

    def _on_sky(self) -> np.ndarray:
        angle = _numpy(self.position_angle)
        found = np.full(angle.shape, np.nan)
        x, y = _numpy(self.x), _numpy(self.y)
        for k, wcs in enumerate(self.wcs):
            if wcs is not None and self.length[k]:
                here = np.full(angle.shape[1], x[k]), np.full(angle.shape[1], y[k])
                found[k] = on_sky(wcs, *here, angle[k])[2]
        return found

    def _place(self, name: str) -> int:
        for k, column in enumerate(self.columns):
            if column.name == name:
                return k
        raise KeyError(name)


def _grown(values: Tensor, longest: int) -> Tensor:
    missing = longest - values.shape[1]
    if not missing:
        return values
    fill = torch.nan if values.is_floating_point() else 0
    return torch.cat([values, values.new_full((len(values), missing, *values.shape[2:]), fill)], 1)


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _with_unit(numbers: np.ndarray, column: Quantity) -> Any:
    from astropy.table import Column
    from astropy.units import Quantity as WithUnit

    return WithUnit(numbers, UNITS[column.unit]) if column.unit in UNITS else Column(numbers)
