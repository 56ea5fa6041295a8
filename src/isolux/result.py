"""What came out of a fit: one row a galaxy, whatever happened to it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from isolux.sky import on_sky
from isolux.status import Flag, Status, sentence
from isolux.types import PerGalaxy, Tensor, Values

if TYPE_CHECKING:
    from astropy.table import QTable


UNITS = {
    "pixel": "pix",
    "pix": "pix",
    "arcsec": "arcsec",
    "mag": "mag",
    "deg": "deg",
    "mag/arcsec2": "mag / arcsec2",
    "s": "s",
}
"""Units in the catalogue, as astropy spells them."""
UNITLESS = {
    "flux": ", in image units",
    "flux/pixel2": ", in image units per pixel",
    "flux/pixel3": ", in image units per pixel, per pixel",
}
"""What the description says where astropy has no unit."""
PERCENTILES = (15.865, 50.0, 84.135)
"""Of samples, in the catalogue: the median and one standard deviation of a normal distribution to either side."""
AT_ONCE = 1024
"""Galaxies whose percentiles are taken together."""
CatalogueColumn: TypeAlias = tuple[str, np.ndarray, str, str]
"""Name, values (galaxy,) or (galaxy, element), unit, meaning."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Name, unit and meaning of a column of values."""

    name: str
    unit: str
    meaning: str


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Fitted values, errors and status of a batch.

    Attributes
    ----------
    id : tuple of str
        One a galaxy.
    columns : tuple of Quantity
        What the columns of ``values`` are; full names such as ``disc.effective_radius``.
    kinds : tuple of str
        ``free``, ``fixed`` or ``tied``, one a column.
    values, errors : Tensor
        (galaxy, parameter): NaN where there is none.
    covariance : Tensor or None
        (galaxy, parameter, parameter); None for models of very many parameters.
    at_bound : Tensor
        (galaxy, parameter) of bool.
    derived : tuple of Quantity
        What the columns of ``derived_values`` are.
    derived_values, derived_errors : Tensor
        (galaxy, derived).
    chi2 : Tensor
        (galaxy,): sum of squared residuals over sigma on the good pixels.
    n_pixels, n_free : Tensor
        (galaxy,): good pixels and free parameters.
    status, flags : tuple
        One :class:`Status` and :class:`Flag` a galaxy.
    message : tuple of str
        The status as a sentence, with details of what was wrong.
    steps : Tensor
        (galaxy,): iterations of the solver.
    seconds : Tensor
        (galaxy,): time of the batch's fit, shared by its galaxies.
    zero_point, pixel_scale : Tensor
        (galaxy,): as in the batch.
    samples : Tensor or None
        (galaxy, sample, parameter): bootstrap replicates or samples of the posterior, where they were asked for.
    n_effective : Tensor or None
        (galaxy,): how many parameters would take up as much of independent noise as the free ones do; ``n_free``
        but where noise is correlated.
    rhat, effective_samples : Tensor or None
        (galaxy, parameter): of samples of the posterior: how well the chains agree, and how many independent
        samples they are worth; NaN for parameters that are not free.
    loss : Tensor or None
        (galaxy,): what the loss makes of the good pixels, where it is not chi-square.
    prior : Tensor or None
        (galaxy,): what priors add to that, the sum of their squared residuals, where there are any.
    wcs : tuple
        An astropy WCS or None a galaxy.
    """

    id: tuple[str, ...]
    columns: tuple[Quantity, ...]
    kinds: tuple[str, ...]
    values: Values
    errors: Values
    covariance: Tensor | None
    at_bound: Tensor
    derived: tuple[Quantity, ...]
    derived_values: Tensor
    derived_errors: Tensor
    chi2: PerGalaxy
    n_pixels: PerGalaxy
    n_free: PerGalaxy
    status: tuple[Status, ...]
    flags: tuple[Flag, ...]
    message: tuple[str, ...]
    steps: PerGalaxy
    seconds: PerGalaxy
    zero_point: PerGalaxy
    pixel_scale: PerGalaxy
    samples: Tensor | None = None
    wcs: tuple[Any, ...] = ()
    n_effective: PerGalaxy | None = None
    loss: PerGalaxy | None = None
    prior: PerGalaxy | None = None
    rhat: Values | None = None
    effective_samples: Values | None = None

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, name: str) -> PerGalaxy:
        """Values (galaxy,) of a parameter or derived quantity by its full name."""
        for columns, values in ((self.columns, self.values), (self.derived, self.derived_values)):
            names = [column.name for column in columns]
            if name in names:
                return values[:, names.index(name)]
        raise KeyError(name)

    def error(self, name: str) -> PerGalaxy:
        """Errors (galaxy,) of a parameter or derived quantity by its full name."""
        for columns, errors in ((self.columns, self.errors), (self.derived, self.derived_errors)):
            names = [column.name for column in columns]
            if name in names:
                return errors[:, names.index(name)]
        raise KeyError(name)

    @property
    def converged(self) -> Tensor:
        """(galaxy,) of bool."""
        return torch.tensor([status is Status.CONVERGED for status in self.status])

    @property
    def dof(self) -> PerGalaxy:
        """Degrees of freedom (galaxy,): good pixels less free parameters."""
        return self.n_pixels - self.n_free

    @property
    def reduced_chi2(self) -> PerGalaxy:
        """Chi-square over degrees of freedom (galaxy,)."""
        return self.chi2 / self.dof.clamp_min(1)

    @property
    def log_likelihood(self) -> PerGalaxy:
        """The chi-square log-likelihood (galaxy,), equation 17 of Chen et al. (2024).

        NaN where noise is correlated: chi-square then follows another distribution.
        """
        half = self.dof.clamp_min(1).double() / 2
        density = -half * math.log(2) - torch.lgamma(half) + (half - 1) * torch.log(self.chi2) - self.chi2 / 2
        return torch.where(self._penalised == self.n_free, density, torch.nan)

    @property
    def aic(self) -> PerGalaxy:
        """Akaike's criterion chi2 + 2 k (galaxy,), for Gaussian noise of known sigma.

        Where noise is correlated, k is ``n_effective`` (Takeuchi 1976; Varin & Vidoni 2005, Biometrika 92, 519).
        """
        return self._cost + 2 * self._penalised

    @property
    def bic(self) -> PerGalaxy:
        """Schwarz's criterion chi2 + k ln N (galaxy,), for Gaussian noise of known sigma; k as for ``aic``."""
        return self._cost + self._penalised * torch.log(self.n_pixels.double().clamp_min(1))

    @property
    def _cost(self) -> PerGalaxy:
        """Twice the negative logarithm of the likelihood but for a constant of the noise."""
        return self.chi2 if self.loss is None else self.loss

    @property
    def _penalised(self) -> PerGalaxy:
        return self.n_free if self.n_effective is None else self.n_effective

    def describe(self, galaxy: int) -> str:
        """The galaxy's status and flags as one line."""
        return sentence(self.status[galaxy], self.flags[galaxy])

    def table(self) -> QTable:
        """The catalogue: one row a galaxy, whatever happened to it.

        For every parameter ``<component>_<parameter>`` with ``_err`` and ``_mark`` (free, fixed, tied or at
        bound), the derived quantities, and what is known of the fit; where there are samples, also ``_p16``,
        ``_p50`` and ``_p84``, their percentiles. Sizes are in arcsec, positions in pixels
        from 0, angles in degrees; galaxies that were not fitted have NaN. Where there is a WCS, ``ra`` and
        ``dec`` (ICRS) of the first component and every ``<component>_pa_sky``, east of north.

        Returns
        -------
        astropy.table.QTable
            With units and descriptions.
        """
        from astropy.table import Column, QTable
        from astropy.units import Quantity as WithUnit

        table = QTable()
        for name, values, unit, meaning in _catalogue(self):
            table[name] = WithUnit(values, UNITS[unit]) if unit in UNITS else Column(values)
            table[name].info.description = meaning + UNITLESS.get(unit, "")
        return table

    def select(self, rows: Sequence[int]) -> Result:
        """The rows with these numbers, in this order."""
        chosen = list(rows)
        picked: dict[str, Any] = {}
        for field in dataclasses.fields(Result):
            value = getattr(self, field.name)
            if isinstance(value, torch.Tensor):
                picked[field.name] = value[chosen]
            elif field.name in ("id", "status", "flags", "message", "wcs"):
                picked[field.name] = tuple(value[k] for k in chosen) if value else ()
        return dataclasses.replace(self, **picked)

    @staticmethod
    def concatenate(parts: Sequence[Result]) -> Result:
        """The results of several batches of one model as one."""
        first = parts[0]
        merged: dict[str, Any] = {}
        for field in dataclasses.fields(Result):
            pieces = [getattr(part, field.name) for part in parts]
            if field.name in ("columns", "kinds", "derived"):
                merged[field.name] = getattr(first, field.name)
            elif isinstance(pieces[0], torch.Tensor):
                merged[field.name] = torch.cat(pieces) if all(p is not None for p in pieces) else None
            elif pieces[0] is None:
                merged[field.name] = None
            else:
                merged[field.name] = tuple(item for piece in pieces for item in piece)
        return Result(**merged)


def _catalogue(result: Result) -> Iterator[CatalogueColumn]:
    """The columns of the catalogue in order."""
    yield "id", np.array(result.id, dtype=str), "", "name of the galaxy"
    sky = _sky_columns(result)
    yield from (column for column in sky if column[0] in ("ra", "dec"))
    for name, columns in _grouped(result.columns).items():
        yield from _values_and_errors(result, name, columns)
        yield from _percentiles(result, name, columns)
        yield f"{_flat(name)}_mark", _marks(result, columns), "", "free, fixed, tied or at bound"
        if name.endswith(".position_angle"):
            yield from (column for column in sky if column[0] == _flat(name.split(".")[0]) + "_pa_sky")
    for quantity in result.derived:
        yield from _values_and_errors(result, quantity.name, None)
    yield from _fit_columns(result)


def _fit_columns(result: Result) -> Iterator[CatalogueColumn]:
    """What is known of the fit as a whole."""
    numbers: dict[str, tuple[Tensor, str, str]] = {
        "chi2": (result.chi2, "", "sum of squared residuals over sigma"),
        "n_pixels": (result.n_pixels, "", "good pixels"),
        "n_free": (result.n_free, "", "free parameters"),
        "dof": (result.dof, "", "degrees of freedom"),
        "reduced_chi2": (result.reduced_chi2, "", "chi-square over degrees of freedom"),
        "log_likelihood": (result.log_likelihood, "", "logarithm of the chi-square density at chi2"),
        "aic": (result.aic, "", "Akaike's criterion"),
        "bic": (result.bic, "", "Schwarz's criterion"),
        "steps": (result.steps, "", "iterations of the solver"),
        "seconds": (result.seconds, "s", "time of the fit, shared among the galaxies of a batch"),
        "zero_point": (result.zero_point, "mag", "AB magnitude of one image unit"),
        "pixel_scale": (result.pixel_scale, "arcsec", "side of a pixel"),
    }
    if result.loss is not None:
        numbers["loss"] = (result.loss, "", "what the fit has minimised in place of chi2")
    if result.prior is not None:
        numbers["prior"] = (result.prior, "", "what priors add to that")
    if result.rhat is not None and result.effective_samples is not None:
        worst = (
            result.rhat.nan_to_num(-torch.inf).amax(1),
            result.effective_samples.nan_to_num(torch.inf).amin(1),
        )
        fewest = torch.where(torch.isfinite(worst[1]), worst[1], torch.nan)
        numbers["rhat"] = (
            torch.where(worst[0] > 0, worst[0], torch.nan),
            "",
            "largest R-hat of a parameter's samples",
        )
        numbers["effective_samples"] = (fewest, "", "least effective number of a parameter's samples")
    for name, (values, unit, meaning) in numbers.items():
        yield name, values.numpy(), unit, meaning
    codes = np.array([int(s) for s in result.status], dtype=np.int32)
    yield "status", codes, "", "why the fit ended; 0 converged"
    sentences = [m or s.message for m, s in zip(result.message, result.status, strict=True)]
    yield "message", np.array(sentences, dtype=str), "", "the status in words"
    yield "flags", np.array([int(f) for f in result.flags], dtype=np.int32), "", "sum of the remarks' codes"
    remarks = ["; ".join(flag.messages) for flag in result.flags]
    yield "flags_text", np.array(remarks, dtype=str), "", "the remarks in words"


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _grouped(columns: Sequence[Quantity]) -> dict[str, list[int]]:
    """Parameter -> its columns: several for a vector, whose columns end in ``[0]``, ``[1]``, ..."""
    groups: dict[str, list[int]] = {}
    for k, column in enumerate(columns):
        groups.setdefault(column.name.partition("[")[0], []).append(k)
    return groups


def _values_and_errors(result: Result, name: str, columns: list[int] | None) -> Iterator[CatalogueColumn]:
    """A parameter, or a derived quantity where ``columns`` is None, with its error; lengths in arcsec."""
    if columns is None:
        quantity = next(q for q in result.derived if q.name == name)
        values, errors = result[name][:, None], result.error(name)[:, None]
    else:
        quantity = result.columns[columns[0]]
        values, errors = result.values[:, columns], result.errors[:, columns]
    unit, (values, errors) = _in_arcsec(result, name, quantity.unit, values, errors)
    if values.shape[1] == 1:
        values, errors = values[:, 0], errors[:, 0]
    yield _flat(name), values.numpy(), unit, quantity.meaning
    yield f"{_flat(name)}_err", errors.numpy(), unit, f"one standard deviation: {quantity.meaning}"


def _percentiles(result: Result, name: str, columns: list[int]) -> Iterator[CatalogueColumn]:
    """Percentiles of the samples of a parameter that is not fixed."""
    if result.samples is None or result.kinds[columns[0]] == "fixed":
        return
    quantity = result.columns[columns[0]]
    for percentile in PERCENTILES:
        parts = result.samples[:, :, columns].split(AT_ONCE)  # torch sorts no more than 16 million numbers
        values = torch.cat([torch.nanquantile(part, percentile / 100, dim=1) for part in parts])
        unit, (values,) = _in_arcsec(result, name, quantity.unit, values)
        shown = values[:, 0] if values.shape[1] == 1 else values
        yield (
            f"{_flat(name)}_p{percentile:.0f}",
            shown.numpy(),
            unit,
            f"percentile of samples: {quantity.meaning}",
        )


def _in_arcsec(result: Result, name: str, unit: str, *arrays: Tensor) -> tuple[str, tuple[Tensor, ...]]:
    """Lengths (galaxy, column) in arcsec, all else as it is."""
    if unit != "pixel" or name.rpartition(".")[2] in ("x", "y"):
        return unit, arrays
    return "arcsec", tuple(a * result.pixel_scale[:, None].to(a) for a in arrays)


def _marks(result: Result, columns: list[int]) -> np.ndarray:
    at_bound = result.at_bound[:, columns].any(1).tolist()
    return np.array(["at bound" if stuck else result.kinds[columns[0]] for stuck in at_bound], dtype=str)


def _sky_columns(result: Result) -> list[CatalogueColumn]:
    """``ra`` and ``dec`` of the first component and each position angle on the sky; nothing without a WCS."""
    names = [q.name for q in result.columns]
    placed = [n.removesuffix(".x") for n in names if n.endswith(".x") and n[:-1] + "y" in names]
    if not placed or not any(wcs is not None for wcs in result.wcs):
        return []
    columns: list[CatalogueColumn] = []
    for component in placed:
        x, y = (result[f"{component}.{axis}"].double().numpy() for axis in "xy")
        tilted = f"{component}.position_angle" in names
        angle = result[f"{component}.position_angle"].double().numpy() if tilted else np.zeros_like(x)
        pairs = zip(result.wcs, np.stack([x, y, angle], 1), strict=True)
        sky = np.array([_on_sky(wcs, *row) for wcs, row in pairs])
        if component == placed[0]:
            columns.append(("ra", sky[:, 0], "deg", f"right ascension of {component}, ICRS"))
            columns.append(("dec", sky[:, 1], "deg", f"declination of {component}, ICRS"))
        if tilted:
            columns.append((f"{component}_pa_sky", sky[:, 2], "deg", "major axis, east of north"))
    return columns


def _on_sky(wcs: Any, x: float, y: float, angle: float) -> tuple[float, float, float]:
    """Right ascension, declination and position angle of one galaxy; NaN without a WCS or a place."""
    if wcs is None or not np.isfinite([x, y, angle]).all():
        return math.nan, math.nan, math.nan
    ra, dec, pa = on_sky(wcs, np.array([x]), np.array([y]), np.array([angle]))
    return float(ra[0]), float(dec[0]), float(pa[0])
