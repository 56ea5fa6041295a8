"""What fits of several bands say of each source of a field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from isolux.bands import BandsResult
from isolux.field.band_view import View
from isolux.field.cutouts import Sheet
from isolux.field.image import FieldImage
from isolux.field.models import Model, prefix_of
from isolux.field.survey import Measured
from isolux.psf_model import PsfModel
from isolux.status import Flag, Status


@dataclasses.dataclass(frozen=True, eq=False)
class InBands:
    """The sources of a field in several bands.

    Attributes
    ----------
    bands : tuple of str
        The first is the one that sources were detected in.
    magnitude, magnitude_err : numpy.ndarray
        (source, band): total AB magnitudes; NaN where a band does not show the source.
    covariance : numpy.ndarray
        (source, band, band): of the magnitudes.
    structure : dict
        By the parameter's full name, (source, 2): values and errors in the first band's pixels.
    by_band : dict
        By the parameter's full name, (source, band): what varies with wavelength, in each band's own pixels.
    status : tuple of Status
        Why the fit of each source ended.
    flags : tuple of Flag
        Remarks.
    held : numpy.ndarray
        (source,) of bool: structure was not fitted.
    present : numpy.ndarray
        (source, band) of bool: which bands took part.
    fields, psf, sheets : dict
        By band.
    remarks : tuple of str
        What the user should know.
    """

    bands: tuple[str, ...]
    magnitude: np.ndarray
    magnitude_err: np.ndarray
    covariance: np.ndarray
    structure: dict[str, np.ndarray]
    by_band: dict[str, np.ndarray]
    status: tuple[Status, ...]
    flags: tuple[Flag, ...]
    held: np.ndarray
    present: np.ndarray
    fields: dict[str, FieldImage]
    psf: dict[str, PsfModel | None]
    sheets: dict[str, Sheet]
    remarks: tuple[str, ...]


class Book:
    """Collects what the fits say of each source."""

    def __init__(self, measured: Measured, first: str, others: tuple[str, ...]) -> None:
        count, self.bands = len(measured), (first, *others)
        shape = (count, len(self.bands))
        self.magnitude = np.full(shape, np.nan)
        self.covariance = np.full((*shape, len(self.bands)), np.nan)
        self.structure: dict[str, np.ndarray] = {}
        self.by_band: dict[str, np.ndarray] = {}
        self.status = [Status.FAILED] * count
        self.flags = [Flag(0)] * count
        self.held, self.present = np.zeros(count, bool), np.zeros(shape, bool)

    def take(
        self, groups: Sequence[tuple[int, ...]], models: Sequence[Model], held: bool, result: BandsResult
    ) -> None:
        """Take in the fits of some groups."""
        for k, model in enumerate(models):
            sources = [group[k] for group in groups]
            magnitude, covariance = total_magnitudes(result, prefix_of(models, k), model, self.bands)
            self.magnitude[sources], self.covariance[sources] = magnitude, covariance
            for row, source in enumerate(sources):
                self.status[source], self.flags[source] = result.status[row], result.flags[row]
                self.held[source] = held
                self.present[source] = result.present[row].numpy()
            self._take_structure(result, prefix_of(models, k), sources)

    def _take_structure(self, result: BandsResult, prefix: str, sources: list[int]) -> None:
        for column in next(iter(result.bands.values())).columns:
            component, short = column.name.split(".", 1)
            if not component.startswith(prefix) or short in ("magnitude", "level", "x", "y", "boxiness"):
                continue
            name = f"{component.removeprefix(prefix)}.{short}"
            joint = [c.name for c in result.joint.columns]
            if column.name in joint:
                pair = np.stack([result[column.name].numpy(), result.error(column.name).numpy()], 1)
                self.structure.setdefault(name, np.full((len(self.status), 2), np.nan))[sources] = pair
            else:
                each = np.stack([result.bands[band][column.name].numpy() for band in self.bands], 1)
                self.by_band.setdefault(name, np.full(self.magnitude.shape, np.nan))[sources] = each

    def closed(
        self,
        measured: Measured,
        views: Mapping[str, View],
        wavelengths: Mapping[str, float] | None,
        remarks: tuple[str, ...],
    ) -> InBands:
        """All that was collected."""
        first = self.bands[0]
        magnitude = np.where(self.present, self.magnitude, np.nan)
        variance = np.diagonal(self.covariance, axis1=1, axis2=2)
        return InBands(
            self.bands,
            magnitude,
            np.where(self.present, np.sqrt(np.where(variance >= 0, variance, np.nan)), np.nan),
            self.covariance,
            self.structure,
            self.by_band,
            tuple(self.status),
            tuple(self.flags),
            self.held,
            self.present,
            {first: measured.field} | {band: view.field for band, view in views.items()},
            {first: measured.psf} | {band: view.sheet.psf for band, view in views.items()},
            {first: measured.sheet} | {band: view.sheet for band, view in views.items()},
            remarks,
        )


def total_magnitudes(
    result: BandsResult, prefix: str, model: Model, bands: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Total magnitudes (galaxy, band) of one member, and their covariance (galaxy, band, band).

    The total's slope by a component's magnitude is the component's part of the light in that band.
    """
    names = [column.name for column in result.joint.columns]
    parts = [[names.index(f"{prefix}{c}.magnitude_{band}") for c in model.components] for band in bands]
    each = result.joint.values[:, parts].double()  # (galaxy, band, component)
    flux = 10 ** (-0.4 * (each - each.amin(2, keepdim=True)))
    total = each.amin(2) - 2.5 * torch.log10(flux.sum(2))
    share = torch.nan_to_num(flux / flux.sum(2, keepdim=True))
    if result.joint.covariance is None:
        return total.numpy(), np.full((*total.shape, len(bands)), np.nan)
    flat = [column for part in parts for column in part]
    matrix = torch.nan_to_num(result.joint.covariance[:, flat][:, :, flat].double())
    slope = torch.zeros(len(total), len(bands), len(flat), dtype=torch.float64)
    for b in range(len(bands)):
        width = len(model.components)
        slope[:, b, b * width : (b + 1) * width] = share[:, b]
    covariance = slope @ matrix @ slope.transpose(1, 2)
    missing = torch.isnan(torch.diagonal(result.joint.covariance, dim1=1, dim2=2)[:, flat])
    lost = missing.unflatten(1, (len(bands), -1)).any(2)
    covariance = torch.where(lost[:, :, None] | lost[:, None, :], torch.nan, covariance)
    return total.numpy(), covariance.numpy()
