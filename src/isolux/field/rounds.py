"""The rounds of fits of a field: groups with plain models, every source with every model, groups with the best ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from isolux.field import starts
from isolux.field.choose import is_meant
from isolux.field.cutouts import Cutout, Drawn, Sheet, cut
from isolux.field.detect import Detections
from isolux.field.expected import Expected
from isolux.field.fitting import Fitted, Fitter
from isolux.field.models import MODELS, Model, prefix_of
from isolux.field.options import FieldOptions

STAR = 0.9
"""Likeness to a star above which a source is one until it has been fitted as something else."""
LARGE = 2.5
"""Half-light radius as detected, in half widths of the PSF, above which nobody asks whether a source is a point."""
FOREIGN = 0.3
"""Part of a source's detected light that is of others outside its group, above which it is fitted once more."""
Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and of how much."""
Wanted = tuple[Cutout, tuple[Model, ...]]
"""A stamp, and the models of its members."""


@dataclasses.dataclass(frozen=True, eq=False)
class Rounds:
    """The rounds of fits of a field.

    Attributes
    ----------
    found : Detections
        The sources.
    star : numpy.ndarray
        (source,): likeness to a star.
    groups : sequence of tuple of int
        Sources that are fitted at the same time.
    expected : Expected
        What is expected of them.
    options : FieldOptions
        How.
    fitter : Fitter
        Does the fits.
    tell : callable
        Told how far it is.
    """

    found: Detections
    star: np.ndarray
    groups: Sequence[tuple[int, ...]]
    expected: Expected
    options: FieldOptions
    fitter: Fitter
    tell: Progress

    def _cut(self, members: Sequence[int], need: np.ndarray) -> Cutout:
        return cut(members, self.found.x, self.found.y, need, self.options.largest)

    def baseline(self, sheet: Sheet) -> list[Fitted]:
        """One plain model a source, neighbours at the same time."""
        wanted = [self._plain(self._cut(group, self.expected.need)) for group in self.groups]
        found: list[Fitted | None] = [None] * len(self.found)
        nothing = [None] * len(self.found)
        for fits in self._fit("fitting groups", sheet, wanted, self.expected.begin, nothing):
            for number, fitted in zip(fits[0].cutout.members, fits, strict=True):
                found[number] = fitted
        return [f for f in found if f is not None]

    def again(self, sheet: Sheet, baseline: list[Fitted], drawn: list[Drawn | None]) -> Sheet:
        """Sources that sit in the light of others outside their group once more, with that light subtracted.

        While a large galaxy was only masked, a faint source in its wings has taken these for its own.
        """
        found, expected = self.found, self.expected
        area = math.pi * expected.reach**2 * expected.ratio
        foreign = sheet.light_of_others(self.groups, drawn) * area / np.maximum(found.npix, 1)
        foreign = np.nan_to_num(foreign)
        much = (foreign > FOREIGN * expected.flux) & (foreign > np.nan_to_num(found.flux_error))
        inside: list[int] = np.flatnonzero(much).tolist()
        if not inside:
            return sheet
        for k in inside:
            drawn[k] = None
            expected.in_wings(k, float(foreign[k]))
        sheet = sheet.with_models(drawn)
        wanted = [self._plain(self._cut([k], expected.need)) for k in inside]
        for (fitted,) in self._fit("fitting sources in wings", sheet, wanted, expected.begin, drawn):
            source = fitted.cutout.members[0]
            baseline[source], drawn[source] = fitted, self.believable(source, fitted)
        return sheet.with_models(drawn)

    def _plain(self, cutout: Cutout) -> Wanted:
        """A cutout with a plain model a member, stars last: groups of as many of both are then of one kind."""
        members = sorted(cutout.members, key=lambda k: (self.star[k] > STAR, k))
        models = tuple(MODELS["point" if self.star[k] > STAR else "sersic"] for k in members)
        return dataclasses.replace(cutout, members=tuple(members)), models

    def believable(self, k: int, fitted: Fitted) -> Drawn | None:
        """The model of a source unless it has swallowed the light of others."""
        if fitted.drawn is None:
            return None
        return fitted.drawn if abs(float(fitted.drawn.image.sum())) < self.expected.limits(k).light else None

    def every_model(
        self, sheet: Sheet, need: np.ndarray, baseline: Sequence[Fitted], drawn: Sequence[Drawn | None]
    ) -> list[dict[str, Fitted]]:
        """Each source by itself with every model."""
        known = [starts.plain_values(f, self.expected.known[k]) for k, f in enumerate(baseline)]
        wanted: list[Wanted] = []
        for k in range(len(self.found)):
            own = self._cut([k], need)
            wanted += [(own, (model,)) for model in self._models_for(k)]

        def start(cutout: Cutout, models: tuple[Model, ...]) -> dict[str, float]:
            return self.expected.columns(cutout, models) | starts.for_model(
                models[0], known[cutout.members[0]], cutout
            )

        fits: list[dict[str, Fitted]] = [{} for _ in range(len(self.found))]
        for (fitted,) in self._fit("fitting models", sheet, wanted, start, drawn):
            fits[fitted.cutout.members[0]][fitted.model.name] = fitted
        return fits

    def _models_for(self, k: int) -> list[Model]:
        bright = self.found.snr[k] >= self.options.composite_signal and not self.star[k] > STAR
        small = not self.found.half_light_radius[k] > LARGE * self.expected.half_width
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
        wanted = []
        for group in self.groups:
            members = [k for k in group if chosen[k] is not None]
            if len(members) < 2:
                continue
            members.sort(key=lambda k: (list(MODELS).index(chosen[k] or ""), k))
            own = dataclasses.replace(self._cut(members, need), members=tuple(members))
            wanted.append((own, tuple(MODELS[chosen[k] or ""] for k in members)))

        def start(cutout: Cutout, models: tuple[Model, ...]) -> dict[str, float]:
            values = self.expected.columns(cutout, models)
            for k, number in enumerate(cutout.members):
                values |= starts.again(fits[number][models[k].name], cutout, prefix_of(models, k))
            return values

        for found in self._fit("fitting groups again", sheet, wanted, start, drawn):
            together = found[0].cutout.members
            if all(is_meant(f, self.expected.limits(k)) for k, f in zip(together, found, strict=True)):
                for number, fitted in zip(together, found, strict=True):
                    fits[number][fitted.model.name] = fitted

    def _fit(
        self,
        what: str,
        sheet: Sheet,
        wanted: Sequence[Wanted],
        start: Callable[[Cutout, tuple[Model, ...]], Mapping[str, float]],
        drawn: Sequence[Drawn | None],
    ) -> list[tuple[Fitted, ...]]:
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            self.tell(what, done, len(wanted))

        return dataclasses.replace(self.fitter, tell=tell).fit(sheet, wanted, start, drawn)
