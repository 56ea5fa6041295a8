"""The way of a field: sky -> sources -> PSF -> groups -> fits -> the best model of each. Read this first.

:func:`measure_sources` takes an image in memory and gives every source with all its fits; nothing here touches a file
(:mod:`isolux.measure_field`) or a table (:mod:`isolux.field.catalogue`).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isolux.crowd import Crowd
from isolux.field import starts
from isolux.field.choose import Limits, choose, is_meant
from isolux.field.cutouts import Cutout, Drawn, Sheet, cut
from isolux.field.detect import Detections, DetectOptions, detect
from isolux.field.fitting import Fitted, Fitter, do
from isolux.field.groups import group_sources
from isolux.field.image import FieldImage
from isolux.field.models import MODELS, Model, prefix_of, scene_of
from isolux.field.options import FieldOptions
from isolux.field.population import SIZE_DEX, Sizes, learn_sizes, population_columns, population_priors
from isolux.field.shapes import joined, shape_jobs
from isolux.field.stars import psf_from_stars, star_likeness
from isolux.field.wings import with_wings
from isolux.nonparametric import Shapes
from isolux.priors import Prior
from isolux.psf_model import PsfModel
from isolux.status import Flag

STAR = 0.9
"""Likeness to a star above which a source is one until it has been fitted as something else."""
KRON_REACH = 2.5
"""Kron apertures in units of the Kron radius."""
APART = 0.7
"""Sources are linked where ellipses touch that are so large, in Kron apertures."""
MARGIN = 10.0
"""Sky around a source in its stamp, in pixels."""
ROOM = 1.25
"""Kron apertures from a source's centre to the edge of its stamp, the margin apart."""
LARGE = 2.5
"""Half-light radius as detected, in half widths of the PSF, above which nobody asks whether a source is a point."""
FAINT = 0.05
"""A stamp reaches out to where a fitted galaxy is so bright, in standard deviations of the sky's noise a pixel."""
MOST_GROWN = 4.0
"""How many times larger than at first a stamp may become."""
TELLING = 20.0
"""Signal-to-noise from which a galaxy tells how large those of its field are."""
FOREIGN = 0.3
"""Part of a source's detected light that is of others outside its group, above which it is fitted once more."""
FAR_OFF = 4.0
"""A model is not believed if it holds so many times the light that was detected, or is so many times as large."""
Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and of how much."""


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
    clock = _Clock()
    tell = progress or (lambda what, done, total: None)
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
    half_width = 0.5 * psf.fwhm if psf is not None else 1.0
    star = star_likeness(found, 2 * half_width) if len(found) else np.zeros(0)
    reach = np.maximum(KRON_REACH * np.nan_to_num(found.kron_radius), 2 * half_width)
    groups = group_sources(
        found.x,
        found.y,
        APART * reach,
        APART * reach * np.clip(np.nan_to_num(found.b / found.a, nan=1.0), 0.1, 1),
        found.theta,
        options.most,
    )
    sigma = found.background.rms if field.sigma is None else field.sigma
    sheet = Sheet.of(field, found.background.level, sigma, found.segmentation, psf, len(found))
    clock.stop("groups")
    ids = [str(number) for number in found.number]
    total = len(found)
    with Crowd(do, options.workers or cores) as crowd:
        signal = np.nan_to_num(found.snr, nan=1.0)
        priors = population_priors if options.priors == "population" else _given(options.priors)
        fitter = Fitter(
            crowd, ids, signal, {"errors": options.errors}, priors, options.device, lambda n: None
        )
        blur = half_width if psf is None else psf.half_light_radius
        way = _Way(field, found, star, half_width, blur, groups, options, fitter, tell, total)
        baseline = way.baseline(sheet, reach)
        clock.stop("first fits")
        drawn = [way.believable(k, f) for k, f in enumerate(baseline)]
        sheet = way.again(sheet.with_models(drawn), reach, baseline, drawn)
        sheet = sheet.with_sky()
        way.learn(baseline)
        need = np.array([way.need(k, f, reach[k]) for k, f in enumerate(baseline)])
        fits = way.every_model(sheet, need, baseline, drawn)
        clock.stop("all models")
        chosen = [choose(candidates, way.limits(k)) for k, candidates in enumerate(fits)]
        drawn = [_drawn(f, name, old) for f, name, old in zip(fits, chosen, drawn, strict=True)]
        sheet = sheet.with_models(drawn)
        way.together(sheet, need, fits, chosen, drawn)
        clock.stop("groups at once")
        drawn = [_drawn(f, name, old) for f, name, old in zip(fits, chosen, drawn, strict=True)]
        sheet = sheet.with_models(drawn)
        shapes = way.shapes(crowd, sheet, need, drawn) if options.shapes and len(found) else None
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


def _given(priors: str | Sequence[Prior]) -> Callable[[Sequence[Model]], Sequence[Prior]]:
    """A user's priors for single sources: those on parameters that a model has."""
    chosen = () if isinstance(priors, str) else tuple(priors)

    def of(models: Sequence[Model]) -> Sequence[Prior]:
        names = scene_of(models, 64).columns
        return [p for p in chosen if isinstance(p.on, str) and p.on in names]

    return of


def _drawn(fits: Mapping[str, Fitted], name: str | None, old: Drawn | None) -> Drawn | None:
    return old if name is None else fits[name].drawn or old


@dataclasses.dataclass
class _Way:
    """The three rounds of fits."""

    field: FieldImage
    found: Detections
    star: np.ndarray
    half_width: float
    blur: float
    groups: Sequence[tuple[int, ...]]
    options: FieldOptions
    fitter: Fitter
    tell: Progress
    total: int

    def __post_init__(self) -> None:
        zero_point = self.field.zero_point
        count = range(len(self.found))
        self.flux = np.nan_to_num(np.array(self.found.flux, float))
        self.size = np.nan_to_num(np.array(self.found.half_light_radius, float))
        self.sizes: Sizes | None = None
        self.known = [starts.from_detection(self.found, k, self.blur, zero_point) for k in count]

    def baseline(self, sheet: Sheet, reach: np.ndarray) -> list[Fitted]:
        """One plain model a source, neighbours at the same time."""
        need = ROOM * reach + MARGIN
        x, y = self.found.x, self.found.y
        wanted = [self._sorted(cut(group, x, y, need, self.options.largest)) for group in self.groups]

        found: list[Fitted | None] = [None] * len(self.found)
        for fits in self._fit("fitting groups", sheet, wanted, self._begin, [None] * len(self.found)):
            for number, fitted in zip(fits[0].cutout.members, fits, strict=True):
                found[number] = fitted
        return [f for f in found if f is not None]

    def again(
        self, sheet: Sheet, reach: np.ndarray, baseline: list[Fitted], drawn: list[Drawn | None]
    ) -> Sheet:
        """Sources that sit in the light of others outside their group once more, with that light subtracted.

        While a large galaxy was only masked, a faint source in its wings has taken these for its own.
        """
        found = self.found
        in_footprint = sheet.light_of_others(self.groups, drawn)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = math.pi * reach**2 * np.clip(np.nan_to_num(found.b / found.a, nan=1.0), 0.1, 1)
            foreign = np.nan_to_num(in_footprint * area / np.maximum(found.npix, 1))
        much = (foreign > FOREIGN * self.flux) & (foreign > np.nan_to_num(found.flux_error))
        inside: list[int] = np.flatnonzero(much).tolist()
        for k in inside:
            drawn[k] = None
            self.flux[k] = max(self.flux[k] - float(foreign[k]), 3 * float(found.flux_error[k]))
            self.size[k] = min(self.size[k], 1.5 * self.blur)
            self.known[k] = starts.from_detection(self.found, k, self.blur, self.field.zero_point) | {
                "magnitude": self.field.zero_point - 2.5 * math.log10(max(self.flux[k], 1e-300)),
                "effective_radius": self.blur,
                "axis_ratio": 0.8,
            }
        if not inside:
            return sheet
        sheet = sheet.with_models(drawn)
        need = ROOM * reach + MARGIN
        wanted = []
        for k in inside:
            own = cut([k], self.found.x, self.found.y, need, self.options.largest)
            wanted.append(self._sorted(own))
        for (fitted,) in self._fit("fitting sources in wings", sheet, wanted, self._begin, drawn):
            source = fitted.cutout.members[0]
            baseline[source], drawn[source] = fitted, self.believable(source, fitted)
        return sheet.with_models(drawn)

    def _begin(self, cutout: Cutout, models: tuple[Model, ...]) -> dict[str, float]:
        """Starting values from what is known of the members before they are fitted."""
        values = self._columns(cutout, models)
        for k, (number, model) in enumerate(zip(cutout.members, models, strict=True)):
            values |= starts.for_model(model, self.known[number], cutout, prefix_of(models, k))
        return values

    def _sorted(self, cutout: Cutout) -> tuple[Cutout, tuple[Model, ...]]:
        """A cutout with its stars last, so that groups of as many stars and galaxies are of one kind."""
        members = sorted(cutout.members, key=lambda k: (self.star[k] > STAR, k))
        models = tuple(MODELS["point" if self.star[k] > STAR else "sersic"] for k in members)
        return dataclasses.replace(cutout, members=tuple(members)), models

    def believable(self, k: int, fitted: Fitted) -> Drawn | None:
        """The model of a source unless it has swallowed the light of others."""
        if fitted.drawn is None:
            return None
        return fitted.drawn if abs(float(fitted.drawn.image.sum())) < self.limits(k).light else None

    def limits(self, k: int) -> Limits:
        """How much light and what size a model of a source may have."""
        light = max(float(self.flux[k]), 3 * max(float(self.found.flux_error[k]), 0.0))
        size = float(self.size[k])
        return Limits(self.half_width, FAR_OFF * light, FAR_OFF * max(size, self.blur))

    def need(self, k: int, fitted: Fitted, reach: float) -> float:
        """Pixels from the centre to the edges of a source's stamp."""
        least = ROOM * reach + MARGIN
        if not fitted.status.fitted or fitted.model.name != "sersic":
            return least
        names = ("flux", "effective_radius", "sersic_index", "axis_ratio")
        flux, radius, index, ratio = (fitted.values[f"sersic.{name}"] for name in names)
        b = 2 * index - 1 / 3  # Graham & Driver 2005, section 2.1
        whole = 2 * math.pi * index * math.exp(b) * b ** (-2 * index) * math.gamma(2 * index)
        at_radius = flux / (whole * radius**2 * ratio)
        faint = FAINT * self.sky_noise(k)
        if not (at_radius > 0 and math.isfinite(at_radius)):
            return least
        out = radius * (1 + max(0.0, math.log(at_radius / faint)) / b) ** index
        return float(min(max(least, out), MOST_GROWN * least))

    def every_model(
        self, sheet: Sheet, need: np.ndarray, baseline: Sequence[Fitted], drawn: Sequence[Drawn | None]
    ) -> list[dict[str, Fitted]]:
        """Each source by itself with every model."""
        x, y = self.found.x, self.found.y
        known = [starts.plain_values(f, self.known[k]) for k, f in enumerate(baseline)]
        wanted: list[tuple[Cutout, tuple[Model, ...]]] = []
        for k in range(len(self.found)):
            own = cut([k], x, y, need, self.options.largest)
            wanted += [(own, (model,)) for model in self._models_for(k)]

        def start(cutout: Cutout, models: tuple[Model, ...]) -> dict[str, float]:
            return self._columns(cutout, models) | starts.for_model(
                models[0], known[cutout.members[0]], cutout
            )

        fits: list[dict[str, Fitted]] = [{} for _ in range(len(self.found))]
        for (fitted,) in self._fit("fitting models", sheet, wanted, start, drawn):
            fits[fitted.cutout.members[0]][fitted.model.name] = fitted
        return fits

    def _columns(self, cutout: Cutout, models: Sequence[Model]) -> dict[str, float]:
        """Numbers of the priors."""
        sizes = [self.expected_size(number) for number in cutout.members]
        noise = self.sky_noise(cutout.members[0])
        signal = max(float(np.nan_to_num(self.found.snr[k])) for k in cutout.members)
        dex = SIZE_DEX if self.sizes is None else self.sizes.dex
        return dict(population_columns(models, sizes, noise, signal, 0.4 * cutout.side, dex))

    def expected_size(self, k: int) -> float:
        """Half-light radius in pixels that a source is expected to have."""
        if self.sizes is None:
            return self.known[k]["effective_radius"]
        magnitude = self.field.zero_point - 2.5 * math.log10(max(float(self.flux[k]), 1e-300))
        return self.sizes.radius(magnitude)

    def learn(self, baseline: Sequence[Fitted]) -> None:
        """How sizes go with magnitudes among the galaxies of this field that are bright enough to tell."""
        bright = [
            k
            for k, fitted in enumerate(baseline)
            if fitted.model.name == "sersic"
            and self.found.snr[k] > TELLING
            and is_meant(fitted, self.limits(k))
            and Flag.AT_BOUND not in fitted.flags
        ]
        magnitude = np.array([baseline[k].values["sersic.magnitude"] for k in bright])
        radius = np.array([baseline[k].values["sersic.effective_radius"] for k in bright])
        self.sizes = learn_sizes(magnitude, radius)

    def sky_noise(self, k: int) -> float:
        """Noise of a pixel of sky where a source is."""
        row = int(np.clip(round(float(self.found.y[k])), 0, self.field.shape[0] - 1))
        column = int(np.clip(round(float(self.found.x[k])), 0, self.field.shape[1] - 1))
        sky = self.found.background.rms if self.field.sigma is None else self.field.sigma
        noise = float(sky[row, column])
        return noise if noise > 0 else 1.0

    def _models_for(self, k: int) -> list[Model]:
        bright = self.found.snr[k] >= self.options.composite_signal and not self.star[k] > STAR
        small = not self.found.half_light_radius[k] > LARGE * self.half_width
        models = [MODELS[name] for name in self.options.models]
        return [m for m in models if (bright or not m.composite) and (small or m.name != "point")] or models

    def together(
        self,
        sheet: Sheet,
        need: np.ndarray,
        fits: list[dict[str, Fitted]],
        chosen: Sequence[str | None],
        drawn: Sequence[Drawn | None],
    ) -> None:
        """Groups of several with their chosen models at the same time; they take the place of the fits one by one."""
        x, y = self.found.x, self.found.y
        wanted = []
        for group in self.groups:
            members = [k for k in group if chosen[k] is not None]
            if len(members) < 2:
                continue
            members.sort(key=lambda k: (list(MODELS).index(chosen[k] or ""), k))
            own = dataclasses.replace(cut(members, x, y, need, self.options.largest), members=tuple(members))
            wanted.append((own, tuple(MODELS[chosen[k] or ""] for k in members)))

        def start(cutout: Cutout, models: tuple[Model, ...]) -> dict[str, float]:
            values = self._columns(cutout, models)
            for k, number in enumerate(cutout.members):
                values |= starts.again(fits[number][models[k].name], cutout, prefix_of(models, k))
            return values

        for found in self._fit("fitting groups again", sheet, wanted, start, drawn):
            together = found[0].cutout.members
            if all(is_meant(f, self.limits(k)) for k, f in zip(together, found, strict=True)):
                for number, fitted in zip(together, found, strict=True):
                    fits[number][fitted.model.name] = fitted

    def shapes(
        self, crowd: Crowd[Any, Any], sheet: Sheet, need: np.ndarray, drawn: Sequence[Drawn | None]
    ) -> Shapes:
        """What needs no model, of every source."""
        found, count = self.found, len(self.found)
        cutouts = [cut([k], found.x, found.y, need, self.options.largest) for k in range(count)]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.clip(np.nan_to_num(found.b / found.a, nan=1.0), 0.1, 1.0)
        ellipses = {
            "x": found.x,
            "y": found.y,
            "axis_ratio": ratio,
            "position_angle": np.nan_to_num(found.theta),
        }
        answers = []
        done = 0
        for job, answer in crowd.map(shape_jobs(sheet, cutouts, drawn, ellipses, 2 * self.half_width)):
            answers.append((job, answer))
            done += len(job.sources)
            self.tell("measuring shapes", done, count)
        return joined(count, answers, self.field.zero_point, self.field.pixel_scale)

    def _fit(
        self,
        what: str,
        sheet: Sheet,
        wanted: Sequence[tuple[Cutout, tuple[Model, ...]]],
        start: Callable[[Cutout, tuple[Model, ...]], Mapping[str, float]],
        drawn: Sequence[Drawn | None],
    ) -> list[tuple[Fitted, ...]]:
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            self.tell(what, done, len(wanted))

        return dataclasses.replace(self.fitter, tell=tell).fit(sheet, wanted, start, drawn)


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
