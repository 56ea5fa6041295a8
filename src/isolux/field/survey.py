"""The way of a field: sky -> sources -> PSF -> groups -> fits -> the best model of each. Read this first.

:func:`measure_sources` takes an image in memory and gives every source with all its fits; nothing here touches a file
(:mod:`isolux.measure_field`) or a table (:mod:`isolux.field.catalogue`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isolux.crowd import Crowd
from isolux.field.choose import choose
from isolux.field.cutouts import Drawn, Sheet, cut
from isolux.field.detect import Detections, DetectOptions, detect
from isolux.field.expected import Expected
from isolux.field.fitting import Fitted, Fitter, do, give_up
from isolux.field.groups import group_sources
from isolux.field.image import FieldImage
from isolux.field.models import Model, scene_of
from isolux.field.options import FieldOptions
from isolux.field.population import population_priors
from isolux.field.rounds import Progress, Rounds
from isolux.field.shapes import measure_all
from isolux.field.stars import psf_from_stars, star_likeness
from isolux.field.wings import with_wings
from isolux.nonparametric import Shapes
from isolux.priors import Prior
from isolux.psf_model import PsfModel

APART = 0.7
"""Sources are linked where ellipses touch that are so large, in Kron apertures."""


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A field with its sources and their fits.

    Attributes
    ----------
    field : FieldImage
        The image.
    detections : Detections
        What was detected, one row a source.
    psf : PsfModel or None
        With which it was fitted.
    star : numpy.ndarray
        (source,): likeness to a star.
    groups : list of tuple of int
        Which sources were fitted at the same time.
    fits : list of dict
        For each source its fits by the model's name.
    chosen : list of str or None
        Name of the best model of each.
    shapes : Shapes or None
        What was measured without a model.
    sheet : Sheet
        What stamps were cut from, with the models of all sources.
    drawn : list of Drawn or None
        The model image of each source.
    need : numpy.ndarray
        (source,): pixels from each source's centre to the edges of its stamp.
    options : FieldOptions
        How it was done.
    seconds : dict
        Time that each step took.
    remarks : list of str
        What the user should know.
    """

    field: FieldImage
    detections: Detections
    psf: PsfModel | None
    star: np.ndarray
    groups: list[tuple[int, ...]]
    fits: list[dict[str, Fitted]]
    chosen: list[str | None]
    shapes: Shapes | None
    sheet: Sheet
    drawn: list[Drawn | None]
    need: np.ndarray
    options: FieldOptions
    seconds: dict[str, float]
    remarks: list[str]

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def model(self) -> np.ndarray:
        """(y, x): the models of all sources."""
        return self.sheet.light

    @property
    def residual(self) -> np.ndarray:
        """(y, x): the image without background and models; zero where bad."""
        return np.where(self.field.mask, np.float32(0), self.sheet.image - self.sheet.light)


def measure_sources(
    field: FieldImage,
    *,
    psf: PsfModel | None = None,
    options: FieldOptions | None = None,
    positions: tuple[Any, Any] | None = None,
    cores: int = 1,
    progress: Progress | None = None,
) -> Measured:
    """Detect the sources of a field, or take given positions, and fit each with its neighbours.

    Parameters
    ----------
    field : FieldImage
        The image.
    psf : PsfModel, optional
        Measured from the field's stars where left out.
    options : FieldOptions, optional
        How.
    positions : (array, array), optional
        x and y (source,) in pixels of the sources to measure in place of what is detected.
    cores : int
        Processes where the options do not say.
    progress : callable, optional
        Told how far it is.

    Returns
    -------
    Measured
        Also where nothing is detected: then without sources.

    Raises
    ------
    InputError
        If the image has nothing that can be measured.
    """
    options = options or FieldOptions()
    clock, tell = _Clock(), progress or (lambda what, done, total: None)
    tell("detecting", 0, 1)
    found = detect(field, DetectOptions(threshold=options.threshold))
    if positions is not None:
        found = Detections.at(field, *positions, background=found.background, segmentation=found.segmentation)
    clock.stop("detection")
    remarks: list[str] = []
    if psf is None and len(found) > 0:
        tell("measuring the PSF", 0, 1)
        psf = with_wings(psf_from_stars(field, found))
        remarks += list(psf.remarks)
        clock.stop("PSF")
    half_width, blur = (1.0, 1.0) if psf is None else (0.5 * psf.fwhm, psf.half_light_radius)
    star = star_likeness(found, 2 * half_width) if len(found) else np.zeros(0)
    expected = Expected(field, found, half_width, blur)
    touch = APART * expected.reach
    groups = group_sources(found.x, found.y, touch, touch * expected.ratio, found.theta, options.most)
    sigma = found.background.rms if field.sigma is None else field.sigma
    sheet = Sheet.of(field, found.background.level, sigma, found.segmentation, psf, len(found))
    clock.stop("groups")
    with Crowd(do, options.workers or cores, give_up) as crowd:
        rounds = Rounds(found, star, groups, expected, options, _fitter(crowd, found, options), tell)
        baseline = rounds.baseline(sheet)
        clock.stop("first fits")
        drawn = [rounds.believable(k, f) for k, f in enumerate(baseline)]
        sheet = rounds.again(sheet.with_models(drawn), baseline, drawn).with_sky()
        expected.learn(baseline)
        need = np.array([expected.need_of(k, f) for k, f in enumerate(baseline)])
        fits = rounds.every_model(sheet, need, baseline, drawn)
        clock.stop("all models")
        chosen = [choose(candidates, expected.limits(k)) for k, candidates in enumerate(fits)]
        drawn = _best(fits, chosen, drawn)
        sheet = sheet.with_models(drawn)
        rounds.together(sheet, need, fits, chosen, drawn)
        clock.stop("groups at once")
        drawn = _best(fits, chosen, drawn)
        sheet = sheet.with_models(drawn)
        shapes = None
        if options.shapes and len(found):
            cutouts = [cut([k], found.x, found.y, need, options.largest) for k in range(len(found))]
            shapes = measure_all(crowd, sheet, cutouts, drawn, found, expected, tell)
        clock.stop("shapes")
    return Measured(
        field,
        found,
        psf,
        star,
        groups,
        fits,
        chosen,
        shapes,
        sheet,
        drawn,
        need,
        options,
        clock.seconds,
        remarks,
    )


def _fitter(crowd: Crowd[Any, Any], found: Detections, options: FieldOptions) -> Fitter:
    """What does the fits."""
    ids = [str(number) for number in found.number]
    priors = population_priors if options.priors == "population" else _given(options.priors)
    signal = np.nan_to_num(found.snr, nan=1.0)
    return Fitter(crowd, ids, signal, {"errors": options.errors}, priors, options.device, lambda count: None)


def _given(priors: str | Sequence[Prior]) -> Callable[[Sequence[Model]], Sequence[Prior]]:
    """A user's priors for single sources: those on parameters that a model has."""
    chosen = () if isinstance(priors, str) else tuple(priors)

    def of(models: Sequence[Model]) -> Sequence[Prior]:
        names = scene_of(models, 64).columns
        return [p for p in chosen if isinstance(p.on, str) and p.on in names]

    return of


def _best(
    fits: Sequence[Mapping[str, Fitted]], chosen: Sequence[str | None], old: Sequence[Drawn | None]
) -> list[Drawn | None]:
    """The model images of the chosen models; what there was before where there is none."""
    return [
        before if name is None else found[name].drawn or before
        for found, name, before in zip(fits, chosen, old, strict=True)
    ]


class _Clock:
    """Time that steps take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, step: str) -> None:
        """Note the time since the last step."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now
