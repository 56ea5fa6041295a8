"""What came out of a fit of several bands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isolux.bands.colours import Magnitudes
from isolux.bands.series import Series
from isolux.result import Result
from isolux.status import Flag, Status
from isolux.types import PerGalaxy, Rows, Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class BandsResult:
    """Fitted values, errors and status of galaxies in several bands, a row a galaxy.

    Attributes
    ----------
    joint : Result
        All bands together. What they share stands once, under its own name (``disc.effective_radius``), all else
        under that of the band too (``disc.magnitude_g``); centres, sizes and angles are in the reference band's
        pixels. Its covariance is that of all these columns, its chi-square the sum of the bands'.
    bands : dict of Result
        Each band by itself, in its own pixels, as :func:`isolux.fit` would give it: values, errors, chi-square.
        NaN where a band is missing, but for what the others tell.
    magnitudes : Magnitudes
        Of components and their sum in all bands, with covariances between bands.
    series : dict of Series
        Polynomials in wavelength, by full name.
    wavelengths : dict or None
        As they were given.
    reference : str
        Band in whose pixels the structure is.
    frame : Tensor
        (galaxy,): number of the band whose pixels were used: another where the reference could not be.
    present : Tensor
        (galaxy, band) of bool: which bands took part.
    """

    joint: Result
    bands: dict[str, Result]
    magnitudes: Magnitudes
    series: dict[str, Series]
    wavelengths: dict[str, float] | None
    reference: str
    frame: Rows
    present: Tensor

    def __len__(self) -> int:
        return len(self.joint)

    def __getitem__(self, name: str) -> PerGalaxy:
        """Values (galaxy,) of a column of the joint result."""
        return self.joint[name]

    def error(self, name: str) -> PerGalaxy:
        """Errors (galaxy,) of a column of the joint result."""
        return self.joint.error(name)

    @property
    def id(self) -> tuple[str, ...]:
        """One a galaxy."""
        return self.joint.id

    @property
    def status(self) -> tuple[Status, ...]:
        """One a galaxy."""
        return self.joint.status

    @property
    def flags(self) -> tuple[Flag, ...]:
        """One a galaxy."""
        return self.joint.flags

    @property
    def converged(self) -> Tensor:
        """(galaxy,) of bool."""
        return self.joint.converged

    def colour(self, first: str, second: str, component: str | None = None) -> tuple[PerGalaxy, PerGalaxy]:
        """Magnitude in one band less that in another, and its error, each (galaxy,).

        Parameters
        ----------
        first, second : str
            Bands.
        component : str, optional
            Of the scene, or ``total``; by default the only one with light, or the total of several.

        Raises
        ------
        InputError
            For a band or component that does not exist.
        """
        return self.magnitudes.colour(first, second, component or self.magnitudes.components[-1])

    def table(self) -> Any:
        """The catalogue: one row a galaxy, whatever happened to it.

        The columns of :meth:`isolux.Result.table`, ``<component>_<parameter>`` where the bands share a value and
        ``<component>_<parameter>_<band>`` where they do not; ``<component>_colour_<band>_<band>`` of neighbouring
        bands; Chebyshev coefficients ``_cheb`` of polynomials; and of each band ``chi2_<band>``,
        ``n_pixels_<band>``, ``zero_point_<band>``, ``pixel_scale_<band>`` and ``flags_<band>``.

        Returns
        -------
        astropy.table.QTable
            With units and descriptions.
        """
        from astropy.table import Column

        table = self.joint.table()
        for name in ("zero_point", "pixel_scale"):
            table.remove_column(name)
        home = self.bands[self.reference].table()
        if "ra" not in table.colnames and "ra" in home.colnames:
            table.add_columns([home["ra"], home["dec"]], indexes=[1, 1])
        for name, values, meaning in self._series_columns():
            table[name] = Column(values, description=meaning)
        for band, result in self.bands.items():
            single = result.table()
            for name in ("chi2", "n_pixels", "zero_point", "pixel_scale", "flags"):
                table[f"{name}_{band}"] = single[name]
                table[f"{name}_{band}"].info.description = f"{single[name].info.description}, band {band}"
        names = list(self.bands)
        seen = [
            " ".join(n for n, there in zip(names, row, strict=True) if there) for row in self.present.tolist()
        ]
        table["bands"] = Column(np.array(seen, dtype=str), description="bands that took part")
        frames = np.array([names[k] for k in self.frame.tolist()], dtype=str)
        table["frame"] = Column(frames, description="band in whose pixels positions and angles are")
        return table

    def _series_columns(self) -> list[tuple[str, np.ndarray, str]]:
        """Coefficients and errors of polynomials, lengths in arcsec."""
        units = {column.name.partition("_" + self.reference)[0]: column.unit for column in self.joint.columns}
        found = []
        for name, series in self.series.items():
            values, errors = series.coefficients.clone(), series.errors.clone()
            of = "natural logarithm of the value" if series.log else "value"
            if units.get(name) == "pixel":
                scale = self.joint.pixel_scale
                of += " in arcsec"
                if series.log:
                    values[:, 0] += torch.log(scale)
                else:
                    values, errors = values * scale[:, None], errors * scale[:, None]
            flat = name.replace(".", "_")
            found.append(
                (f"{flat}_cheb", values.numpy(), f"Chebyshev coefficients in wavelength of the {of}")
            )
            found.append((f"{flat}_cheb_err", errors.numpy(), "one standard deviation of them"))
        return found

    def select(self, rows: Sequence[int]) -> BandsResult:
        """The rows with these numbers, in this order."""
        chosen = list(rows)
        return dataclasses.replace(
            self,
            joint=self.joint.select(chosen),
            bands={name: result.select(chosen) for name, result in self.bands.items()},
            magnitudes=self.magnitudes.select(chosen),
            series={name: series.select(chosen) for name, series in self.series.items()},
            frame=self.frame[chosen],
            present=self.present[chosen],
        )

    @staticmethod
    def concatenate(parts: Sequence[BandsResult]) -> BandsResult:
        """The results of several batches of one model in the same bands as one."""
        first = parts[0]

        def joined(tensors: Sequence[Tensor | None]) -> Tensor | None:
            known = [tensor for tensor in tensors if tensor is not None]
            return torch.cat(known) if len(known) == len(tensors) else None

        covariance = joined([part.magnitudes.covariance for part in parts])
        return dataclasses.replace(
            first,
            joint=Result.concatenate([part.joint for part in parts]),
            bands={name: Result.concatenate([part.bands[name] for part in parts]) for name in first.bands},
            magnitudes=dataclasses.replace(
                first.magnitudes,
                values=torch.cat([part.magnitudes.values for part in parts]),
                covariance=covariance,
            ),
            series={
                name: Series(
                    series.log,
                    torch.cat([part.series[name].coefficients for part in parts]),
                    torch.cat([part.series[name].errors for part in parts]),
                )
                for name, series in first.series.items()
            },
            frame=torch.cat([part.frame for part in parts]),
            present=torch.cat([part.present for part in parts]),
        )
