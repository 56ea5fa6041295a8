"""The sources of a field in further bands: the chosen models fitted to all bands at the same time.

    where each source is in the other bands      through the WCSs
    sky, noise and PSF of each band              as for a single one
    a fit of each group in all bands, twice      neighbours masked, then subtracted with the models of the first fit

Structure is the same in all bands, or a polynomial in wavelength; each band has magnitudes and a sky of its own
(:mod:`isolux.bands`). Sources too faint to say anything of structure keep that of the first band.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from isolux.bands import BandsResult, fit_bands
from isolux.bands.grids import from_wcs
from isolux.batch import Batch
from isolux.crowd import Crowd
from isolux.errors import InputError
from isolux.field import starts
from isolux.field.cutouts import Cutout, Drawn, Sheet, cut, psf_radius
from isolux.field.detect import Detections, DetectOptions, detect
from isolux.field.fitting import do, draw_member
from isolux.field.image import FieldImage
from isolux.field.models import MODELS, Model, prefix_of, scene_of
from isolux.field.stars import psf_from_stars
from isolux.field.survey import Measured
from isolux.field.wings import with_wings
from isolux.parameters import Column, Fixed, Free
from isolux.psf_model import PsfModel
from isolux.scene import Scene
from isolux.status import Flag, Status

FREE_SIGNAL = 15.0
"""Signal-to-noise in the first band below which structure is held."""
REACH = 5.0
"""Pixels over which two grids are compared."""
BATCH_PIXELS = 1 << 20
Progress = Callable[[str, int, int], object]


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


@dataclasses.dataclass(frozen=True, eq=False)
class BandsJob:
    """Groups of one kind in all bands.

    Attributes
    ----------
    groups : tuple of tuple of int
        The sources of each.
    models : tuple of Model
        Of their members.
    side : int
        Of their stamps in the first band.
    batches : dict
        By band.
    start : mapping
        (group,) by name.
    geometry : dict
        (group, 2, 3) by band.
    held : bool
        Whether structure is held.
    degrees, wavelengths : mapping or None
        Of :func:`isolux.bands.fit_bands`.
    """

    groups: tuple[tuple[int, ...], ...]
    models: tuple[Model, ...]
    side: int
    batches: dict[str, Batch]
    start: Mapping[str, np.ndarray]
    geometry: dict[str, np.ndarray]
    held: bool
    degrees: Mapping[str, int] | None
    wavelengths: Mapping[str, float] | None

    def answer(self) -> tuple[BandsResult, dict[str, list[np.ndarray]]]:
        """The fits, and by band the model images (group, y, x) of each member."""
        scene = scene_of(self.models, self.side)
        fitted = _held(scene) if self.held else scene
        result = fit_bands(
            self.batches,
            fitted,
            geometry=self.geometry,
            start=self.start,
            degrees=None if self.held or not self.degrees else _known(self.degrees, fitted),
            wavelengths=self.wavelengths,
        )
        images = {
            band: [
                draw_member(batch, scene, result.bands[band], self.models, k) for k in range(len(self.models))
            ]
            for band, batch in self.batches.items()
        }
        return result, images


def _known(degrees: Mapping[str, int], scene: Scene) -> dict[str, int]:
    """Degrees of what a scene has: another model has other parameters."""
    names = {short for profile in scene.components.values() for short in profile.settings}
    sizes = {"effective_radius": "scale_radius", "scale_radius": "effective_radius"}
    return {n: d for name, d in degrees.items() for n in {name, sizes.get(name, name)} if n in names}


def _held(scene: Scene) -> Scene:
    """The scene with everything fixed, at columns of the starting values, but light and sky."""
    components = {}
    for name, profile in scene.components.items():
        settings: dict[str, Any] = {}
        for short, (parameter, setting) in profile.settings.items():
            is_light = short == "magnitude" or name == "sky"
            if isinstance(setting, Free) and not is_light:
                settings[short] = Fixed(Column(f"{name}.{parameter.name}"))
            elif short != "boxiness":
                settings[short] = setting
        components[name] = type(profile)(**settings)
    return Scene(**components)


def measure_bands(
    measured: Measured,
    others: Mapping[str, FieldImage],
    *,
    psf: Mapping[str, PsfModel | None] | None = None,
    degrees: Mapping[str, int] | None = None,
    hold: bool = False,
    cores: int = 1,
    progress: Progress | None = None,
) -> InBands:
    """Fit the sources of a field in further bands, with the models that were chosen.

    Parameters
    ----------
    measured : Measured
        The sources in the first band.
    others : mapping of str to FieldImage
        The other bands; their grids may differ.
    psf : mapping, optional
        Of other bands; measured from stars where left out.
    degrees : mapping, optional
        Of polynomials in wavelength by the parameter's name; structure is the same in all bands where left out.
    hold : bool
        Keep the structure of the first band for all sources: forced photometry.
    cores : int
        Processes where the field's options do not say.
    progress : callable, optional
        Told how far it is.

    Returns
    -------
    InBands

    Raises
    ------
    InputError
        If nothing says how a band's pixels lie on the first one's, a band's name is taken, or no source is in any
        other band.
    """
    tell = progress or (lambda what, done, total: None)
    first = measured.field.band or "1"
    if first in others:
        raise InputError("name of a band is that of the first one", first)
    views, remarks = {}, []
    for band, field in others.items():
        tell(f"sky and PSF of {band}", 0, 1)
        views[band] = _View.of(measured, band, field, (psf or {}).get(band))
        remarks += views[band].remarks
    if not any(view.inside.any() for view in views.values()) and len(measured):
        raise InputError("no source of the first band is on the images of the others", list(others))
    wavelengths = {first: measured.field.wavelength} | {b: f.wavelength for b, f in others.items()}
    known = wavelengths if all(math.isfinite(w) for w in wavelengths.values()) else None
    if degrees and known is None:
        raise InputError("wavelengths of all bands are needed for polynomials", wavelengths)
    book = _Book(measured, first, tuple(others))
    with Crowd(do, measured.options.workers or cores) as crowd:
        for round_ in range(2):
            done = 0
            jobs = _jobs(measured, first, views, degrees, known, math.inf if hold else FREE_SIGNAL)
            for job, (result, images) in crowd.map(jobs):
                book.take(job, result)
                for band, view in views.items():
                    view.keep(job, result, images[band], band)
                done += sum(len(group) for group in job.groups)
                tell(f"fitting {1 + len(others)} bands, round {round_ + 1} of 2", done, len(measured))
            for view in views.values():
                view.subtract()
    return book.closed(measured, views, known, tuple(remarks))


class _View:
    """A further band."""

    def __init__(
        self,
        field: FieldImage,
        x: np.ndarray,
        y: np.ndarray,
        maps: np.ndarray,
        sheet: Sheet,
        remarks: list[str],
    ) -> None:
        self.field, self.x, self.y, self.maps, self.sheet, self.remarks = field, x, y, maps, sheet, remarks
        self.drawn: list[Drawn | None] = [None] * len(x)
        self.cutouts: dict[tuple[int, ...], Cutout] = {}
        rows, columns = field.shape
        self.inside = (x > -0.5) & (x < columns - 0.5) & (y > -0.5) & (y < rows - 0.5)
        self.scale = np.sqrt(np.abs(np.linalg.det(maps[:, :, :2]))) if len(maps) else np.ones(0)

    @classmethod
    def of(cls, measured: Measured, band: str, field: FieldImage, psf: PsfModel | None) -> _View:
        """Where the sources are in a band, its sky, its noise and its PSF."""
        maps = grids_between(measured.field, field, measured.detections.x, measured.detections.y, band)
        place = np.stack([measured.detections.x, measured.detections.y, np.ones(len(maps))], 1)
        x, y = np.einsum("sij,sj->si", maps, place).T if len(maps) else np.zeros((2, 0))
        own = detect(field, DetectOptions(threshold=measured.options.threshold))
        remarks = [f"{band}: {remark}" for remark in own.remarks]
        if psf is None:
            psf = with_wings(psf_from_stars(field, own))
            remarks += [f"{band}: {remark}" for remark in psf.remarks]
        found = Detections.at(field, x, y, background=own.background, segmentation=own.segmentation)
        sigma = own.background.rms if field.sigma is None else field.sigma
        sheet = Sheet.of(field, own.background.level, sigma, found.segmentation, psf, len(found))
        return cls(field, x, y, maps, sheet, remarks)

    def cutout(self, members: Sequence[int], need: np.ndarray, largest: int) -> Cutout:
        """The stamp of a group."""
        own = cut(members, np.nan_to_num(self.x), np.nan_to_num(self.y), need * self.scale, largest)
        self.cutouts[tuple(members)] = own
        return own

    def keep(self, job: BandsJob, result: BandsResult, images: Sequence[np.ndarray], band: str) -> None:
        """Take in the models of a job."""
        present = result.present[:, list(result.bands).index(band)].tolist()
        for row, group in enumerate(job.groups):
            own = self.cutouts[group]
            for k, source in enumerate(group):
                good = present[row] and result.bands[band].status[row].fitted
                self.drawn[source] = Drawn(own.left, own.bottom, images[k][row]) if good else None

    def subtract(self) -> None:
        """Put the models of all sources on the sheet."""
        self.sheet = self.sheet.with_models(self.drawn)


def grids_between(one: FieldImage, two: FieldImage, x: np.ndarray, y: np.ndarray, band: str) -> np.ndarray:
    """How the pixels of two images lie around some places: (source, 2, 3), x' = M (x, y) + t, M and t side by side.

    Raises
    ------
    InputError
        If nothing says so: no WCS, and images of different shapes.
    """
    if one.wcs is None or two.wcs is None:
        if one.shape != two.shape:
            raise InputError(
                f"band {band}: without a WCS in both images they must have one grid",
                two.shape,
                f"{one.shape}",
            )
        return np.broadcast_to(np.eye(2, 3), (len(x), 2, 3)).copy()
    if one.shape == two.shape and one.wcs.wcs.compare(two.wcs.wcs, tolerance=1e-12):
        return np.broadcast_to(np.eye(2, 3), (len(x), 2, 3)).copy()
    places = np.stack([x, y], 1)
    return np.array([from_wcs(one.wcs, two.wcs, place, REACH) for place in places]).reshape(-1, 2, 3)


def _jobs(
    measured: Measured,
    first: str,
    views: Mapping[str, _View],
    degrees: Mapping[str, int] | None,
    wavelengths: Mapping[str, float] | None,
    least: float,
) -> Iterator[BandsJob]:
    """Groups of one kind: the same models, sides of stamps and reach of the PSFs, structure free or held."""
    kinds: dict[Any, list[tuple[tuple[int, ...], list[Cutout]]]] = defaultdict(list)
    x, y = measured.detections.x, measured.detections.y
    largest = measured.options.largest
    for group in measured.groups:
        members = [k for k in group if measured.chosen[k] is not None]
        if not members:
            continue
        members.sort(key=lambda k: (list(MODELS).index(measured.chosen[k] or ""), k))
        cutouts = [cut(members, x, y, measured.need, largest)]
        cutouts += [view.cutout(members, measured.need, largest) for view in views.values()]
        signal = max(float(np.nan_to_num(measured.detections.snr[k])) for k in members)
        weakest = min(float(np.nan_to_num(measured.detections.snr[k])) for k in members)
        radii = tuple(psf_radius(s.psf, signal) for s in (measured.sheet, *(v.sheet for v in views.values())))
        names = tuple(measured.chosen[k] or "" for k in members)
        key = (tuple(c.side for c in cutouts), radii, names, weakest < least)
        kinds[key].append((tuple(members), cutouts))
    for (sides, radii, names, held), found in sorted(kinds.items(), key=lambda kind: kind[0], reverse=True):
        size = max(1, BATCH_PIXELS // sum(side**2 for side in sides))
        models = tuple(MODELS[name] for name in names)
        for begin in range(0, len(found), size):
            some = found[begin : begin + size]
            groups = tuple(group for group, _ in some)
            yield _job(
                measured,
                first,
                views,
                groups,
                models,
                [c for _, c in some],
                radii,
                held,
                degrees,
                wavelengths,
            )


def _job(
    measured: Measured,
    first: str,
    views: Mapping[str, _View],
    groups: tuple[tuple[int, ...], ...],
    models: tuple[Model, ...],
    cutouts: Sequence[Sequence[Cutout]],
    radii: Sequence[int],
    held: bool,
    degrees: Mapping[str, int] | None,
    wavelengths: Mapping[str, float] | None,
) -> BandsJob:
    ids = ["+".join(str(measured.detections.number[k]) for k in group) for group in groups]
    home = [dataclasses.replace(row[0], members=group) for row, group in zip(cutouts, groups, strict=True)]
    batches = {first: measured.sheet.batch(home, ids, measured.drawn, radius=radii[0])}
    geometry = {}
    for place, (band, view) in enumerate(views.items(), start=1):
        own = [
            dataclasses.replace(row[place], members=group) for row, group in zip(cutouts, groups, strict=True)
        ]
        batches[band] = view.sheet.batch(own, ids, view.drawn, radius=radii[place])
        geometry[band] = np.array(
            [_on_stamps(view.maps[group[0]], h, c) for h, c, group in zip(home, own, groups, strict=True)]
        )
    given = []
    for cutout, group in zip(home, groups, strict=True):
        values: dict[str, float] = {}
        for k, source in enumerate(group):
            fitted = measured.fits[source][models[k].name]
            values |= starts.again(fitted, cutout, prefix_of(models, k))
        given.append(values)
    start = {name: np.array([values[name] for values in given]) for name in given[0]}
    return BandsJob(groups, models, home[0].side, batches, start, geometry, held, degrees, wavelengths)


def _on_stamps(grid: np.ndarray, home: Cutout, own: Cutout) -> np.ndarray:
    """A map between fields as one between stamps."""
    moved = grid.copy()
    moved[:, 2] += grid[:, :2] @ np.array([home.left, home.bottom]) - np.array([own.left, own.bottom])
    return moved


class _Book:
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

    def take(self, job: BandsJob, result: BandsResult) -> None:
        """Take in the fits of a job."""
        for k, model in enumerate(job.models):
            sources = [group[k] for group in job.groups]
            magnitude, covariance = total_magnitudes(result, prefix_of(job.models, k), model, self.bands)
            self.magnitude[sources], self.covariance[sources] = magnitude, covariance
            for row, source in enumerate(sources):
                self.status[source], self.flags[source] = result.status[row], result.flags[row]
                self.held[source] = job.held
                self.present[source] = result.present[row].numpy()
            self._take_structure(result, prefix_of(job.models, k), sources)

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
        views: Mapping[str, _View],
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
