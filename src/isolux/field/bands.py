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

from isolux.bands import BandsResult, fit_bands
from isolux.batch import Batch
from isolux.crowd import Crowd
from isolux.errors import InputError
from isolux.field import starts
from isolux.field.band_book import Book, InBands
from isolux.field.band_view import View
from isolux.field.cutouts import Cutout, cut, psf_radius
from isolux.field.fitting import do, draw_member
from isolux.field.image import FieldImage
from isolux.field.models import MODELS, Model, prefix_of, scene_of
from isolux.field.survey import Measured
from isolux.parameters import Column, Fixed, Free
from isolux.psf_model import PsfModel
from isolux.scene import Scene

FREE_SIGNAL = 15.0
"""Signal-to-noise in the first band below which structure is held."""
REACH = 5.0
"""Pixels over which two grids are compared."""
BATCH_PIXELS = 1 << 20
Progress = Callable[[str, int, int], object]


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
        views[band] = View.of(measured, band, field, (psf or {}).get(band))
        remarks += views[band].remarks
    if not any(view.inside.any() for view in views.values()) and len(measured):
        raise InputError("no source of the first band is on the images of the others", list(others))
    wavelengths = {first: measured.field.wavelength} | {b: f.wavelength for b, f in others.items()}
    known = wavelengths if all(math.isfinite(w) for w in wavelengths.values()) else None
    if degrees and known is None:
        raise InputError("wavelengths of all bands are needed for polynomials", wavelengths)
    book = Book(measured, first, tuple(others))
    with Crowd(do, measured.options.workers or cores) as crowd:
        for round_ in range(2):
            done = 0
            jobs = _jobs(measured, first, views, degrees, known, math.inf if hold else FREE_SIGNAL)
            for job, (result, images) in crowd.map(jobs):
                book.take(job.groups, job.models, job.held, result)
                for band, view in views.items():
                    view.keep(job.groups, result, images[band], band)
                done += sum(len(group) for group in job.groups)
                tell(f"fitting {1 + len(others)} bands, round {round_ + 1} of 2", done, len(measured))
            for view in views.values():
                view.subtract()
    return book.closed(measured, views, known, tuple(remarks))


def _jobs(
    measured: Measured,
    first: str,
    views: Mapping[str, View],
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
    views: Mapping[str, View],
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
