"""How far an image is from its reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from exact import brute, ours, points, slopes, truth
from exact.cases import Case
from exact.points import Point
from exact.slopes import Slopes
from exact.special import Special
from exact.store import kept

LARGEST, MEDIAN, SLOPE = 1e-3, 1e-4, 1e-2
"""Bounds: of the largest and of the median error of an image, and of the largest error of a derivative."""
Item = Case | Special | Point | Slopes


@dataclass(frozen=True)
class Outcome:
    """Errors of one image (or of the worst of its derivatives), as shares of the maximum of the truth.

    ``limit`` is the pair for the best image that the samples of the PSF allow, where it is known.
    """

    name: str
    words: str
    largest: float
    median: float
    limit: tuple[float, float] = (0.0, 0.0)
    bound: float = LARGEST

    @property
    def family(self) -> str:
        return self.name.split("-")[0]

    @property
    def share(self) -> float:
        """The worse of both errors in units of its bound; infinite for an image that is not finite."""
        share = max(self.largest / self.bound, self.median / MEDIAN)
        return share if np.isfinite(share) else np.inf

    @property
    def over(self) -> bool:
        return self.share > 1

    @property
    def limited(self) -> bool:
        """Whether no code could keep the bounds, for the PSF's samples do not determine the image so well."""
        return self.limit[0] > self.bound or self.limit[1] > MEDIAN


def reference(item: Item, folder: Path) -> dict[str, np.ndarray]:
    """The truth of an item, and the best image that the PSF's samples allow where that is known."""
    match item:
        case Case():
            return kept(folder, "galaxy", (item.galaxy, item.psf, item.size), lambda: truth.references(item))
        case Special():
            what = (item.kind, item.values, item.psf, item.size)
            return kept(
                folder, "special", what, lambda: {"truth": brute.image(item.radial, item.psf, item.size)}
            )
        case Point():
            what = (item.x, item.y, item.psf, item.size)
            return kept(folder, "point", what, lambda: points.references(item))
        case Slopes():
            return kept(folder, "slopes", item.of, lambda: slopes.references(item))


def score(item: Item, folder: Path, dtype: torch.dtype) -> Outcome:
    """Isolux's errors."""
    found = reference(item, folder)
    match item:
        case Slopes(of=of):
            profile = ours.component(of.galaxy) if isinstance(of, Case) else of.profile
            maps = ours.slopes(profile, of.psf, of.size, dtype)
            errors = slopes.errors(maps, found)
            worst = max(errors, key=lambda name: errors[name])
            accuracy = float(found.get(f"{worst}:", 0.0))
            words = f"d/d {worst} (reference good to {accuracy:.0e}) of {item.words}"
            return Outcome(item.name, words, errors[worst], 0.0, bound=SLOPE)
        case Point():
            image = ours.point(item.x, item.y, item.psf, item.size, dtype)
            return compare(item, image, found, float(found["peak"].max()))
        case Special():
            return compare(item, ours.draw(item.profile, item.psf, item.size, dtype), found)
        case Case():
            return compare(item, ours.image(item, dtype), found)


def compare(
    item: Item, image: np.ndarray, found: dict[str, np.ndarray], peak: float | None = None
) -> Outcome:
    """The errors of any code's image."""
    true = found["truth"]
    peak = peak or float(true.max())

    def errors(drawn: np.ndarray) -> tuple[float, float]:
        difference = np.abs(drawn - true) / peak
        return float(difference.max()), float(np.median(difference))

    limit = errors(found["ideal"]) if "ideal" in found else (0.0, 0.0)
    return Outcome(item.name, item.words, *errors(image), limit)


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Cells of a table: images, over a bound, limited by the PSF, and the errors."""
    largest, median = (np.array([getattr(o, name) for o in outcomes]) for name in ("largest", "median"))
    over = [o for o in outcomes if o.over]
    limited = sum(o.limited for o in over)
    words = f"{len(over)}" + (f" ({limited} by the PSF's samples)" if limited else "")
    return [
        str(len(outcomes)),
        words,
        *(f"{v:.1e}" for v in (np.median(largest), largest.max(), median.max())),
    ]
