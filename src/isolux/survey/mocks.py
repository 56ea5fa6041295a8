"""Simulated stamps as an input: for trying a run out, for its benchmarks, and for knowing how far to trust a model.

Galaxies lie side by side on the sky, row by row, so that those of a part are neighbours. They are drawn in blocks of
``BLOCK`` from a seed of each block's own, so that a galaxy does not depend on how the survey is cut; a block has one
PSF, like a piece of sky.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.io.catalogue import Rows
from isolux.io.rows import numbers_of, rows_from
from isolux.io.runfile import check_names
from isolux.io.wcs import tangent_wcs
from isolux.options import DTYPES, RunOptions
from isolux.scene import Scene
from isolux.simulate import MODELS, Observation, Truth, mock_scene, mock_stamps
from isolux.survey.fitting import Portion, StampFitting, listing_of
from isolux.survey.part import Part

BLOCK = 128
UNITS = {"magnitude": "mag", "effective_radius": "arcsec", "scale_radius": "arcsec", "position_angle": "deg"}
UNITS |= {"x": "pix", "y": "pix"}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MocksInput(StampFitting):
    """Simulated galaxies.

    Attributes
    ----------
    count : int
        Number of galaxies.
    model : str
        ``sersic`` or ``bulge+disc``.
    seed : int
        The same seed gives the same galaxies.
    observation : Observation
        Stamps, PSF and noise.
    ra, dec : float
        Middle of the survey in degrees.
    density : float
        Galaxies a square arcminute.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    kind: ClassVar[str] = "mocks"
    count: int
    model: str = "sersic"
    seed: int = 1
    observation: Observation = dataclasses.field(default_factory=lambda: Observation(size=64))
    ra: float = 150.0
    dec: float = 2.2
    density: float = 3.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError("mocks: number of galaxies", self.count, "1 or more")
        if self.model not in MODELS:
            raise unknown_name("mock model", self.model, MODELS)
        if not self.density > 0:
            raise InputError("density in galaxies a square arcminute", self.density, "above 0")
        if not abs(self.dec) + self.side * math.sqrt(self.count) / 2 < 80:
            raise InputError(
                "mocks: the survey reaches too near a pole; dec", self.dec, "smaller, or more density"
            )

    @property
    def side(self) -> float:
        """Degrees from galaxy to galaxy."""
        return 1 / (60 * math.sqrt(self.density))

    def describe(self) -> Mapping[str, Any]:
        """All that decides over the result."""
        names = ("count", "model", "seed", "ra", "dec", "density")
        mocks = {name: getattr(self, name) for name in names}
        return {"input": mocks | {"observation": dataclasses.asdict(self.observation)}, **self.describe_fit()}

    def plan(self, galaxies: int, pixels: int) -> Iterator[Part]:
        """Parts of neighbouring galaxies."""
        stamp = self.observation.size**2
        most = max(1, min(galaxies, pixels // stamp))
        for first in range(0, self.count, most):
            numbers = np.arange(first, min(first + most, self.count))
            listing = listing_of(self.ids(numbers), number=numbers)
            ra, dec = self.places(numbers)
            yield Part(listing, stamp * len(numbers), f"ra {ra.mean():.3f}, dec {dec.mean():.3f}")

    def files(self, part: Part) -> Sequence[str]:
        """None."""
        return ()

    def portions(self, part: Part) -> Iterator[Portion]:
        """The galaxies, block by block."""
        numbers = numbers_of(part.listing, "number")
        for block in np.unique(numbers // BLOCK):
            rows = numbers[numbers // BLOCK == block]
            drawn, truth = self._block(int(block))
            chosen = (rows - block * BLOCK).tolist()
            ra, dec = self.places(rows)
            scale, middle = self.observation.pixel_scale, (self.observation.size - 1) / 2
            wcs = tuple(tangent_wcs(r, d, scale, middle, middle) for r, d in zip(ra, dec, strict=True))
            batch = dataclasses.replace(drawn.select(chosen), id=tuple(self.ids(rows)), wcs=wcs)
            carried = self._truth({name: values[chosen] for name, values in truth.items()}, wcs)
            for first in range(0, len(rows), self.batch_size):
                some = list(range(first, min(first + self.batch_size, len(rows))))
                yield Portion(batch.select(some), {}, carried.slice(first, len(some)))

    def carried(self, part: Part) -> Rows | None:
        """The truth."""
        return next(self.portions(part)).carried

    def ids(self, numbers: np.ndarray) -> list[str]:
        """Names of galaxies."""
        digits = max(6, len(str(self.count - 1)))
        return [f"mock_{number:0{digits}d}" for number in numbers.tolist()]

    def places(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination in degrees of the middles of stamps: rows from south to north, to and fro."""
        wide = max(1, math.isqrt(self.count))
        row, column = np.divmod(numbers, wide)
        column = np.where(row % 2 == 0, column, wide - 1 - column)
        tall = -(-self.count // wide)
        dec = self.dec + (row - (tall - 1) / 2) * self.side
        return self.ra + (column - (wide - 1) / 2) * self.side / np.cos(np.radians(dec)), dec

    def _names(self, truth: Truth) -> dict[str, str]:
        """By component of the mocks, the fitted one of that name, or the only one of its kind, or its own name."""
        kinds = {name: type(profile) for name, profile in mock_scene(truth).components.items()}
        fitted = {name: type(profile) for name, profile in self.scene.components.items()}
        own, theirs = Counter(kinds.values()), Counter(fitted.values())
        alike = {k: name for name, k in fitted.items() if theirs[k] == own[k] == 1 and name not in kinds}
        return {name: name if name in fitted else alike.get(kind, name) for name, kind in kinds.items()}

    def _block(self, block: int) -> tuple[Batch, Truth]:
        return _drawn(block, self.count, self.model, self.seed, self.observation, self.options.dtype)

    def _truth(self, truth: Truth, wcs: Sequence[Any]) -> Rows:
        """The truth in the catalogue's columns and units."""
        columns: dict[str, Any] = {}
        names = self._names(truth)
        for full_name, values in truth.items():
            component, _, short = full_name.partition(".")
            scaled = values * self.observation.pixel_scale if UNITS.get(short) == "arcsec" else values
            columns[f"truth_{names[component]}_{short}"] = (scaled, UNITS.get(short, ""))
        x, y = (next(v for name, v in truth.items() if name.endswith(end)) for end in (".x", ".y"))
        sky = np.array([w.all_pix2world([[a, b]], 0)[0] for w, a, b in zip(wcs, x, y, strict=True)])
        return rows_from(columns | {"truth_ra": (sky[:, 0], "deg"), "truth_dec": (sky[:, 1], "deg")})


def mocks_input(table: Mapping[str, Any], folder: Path, scene: Scene, options: RunOptions) -> MocksInput:
    """The input of a run file's section ``[input]`` with ``mocks = <number of galaxies>``.

    Its other keys are fields of :class:`MocksInput` and of :class:`isolux.simulate.Observation`.

    Raises
    ------
    InputError
        If a key is unknown, or a value cannot be used.
    """
    own = ("model", "seed", "ra", "dec", "density")
    view = [field.name for field in dataclasses.fields(Observation)]
    check_names("key of [input]", table, ("mocks", *own, *view))
    if not isinstance(table["mocks"], int):
        raise InputError("mocks", table["mocks"], "a whole number of galaxies")
    seen: dict[str, Any] = {"size": 64}
    seen |= {name: tuple(v) if isinstance(v, list) else v for name, v in table.items() if name in view}
    observation = Observation(**seen)
    chosen = {name: table[name] for name in own if name in table}
    return MocksInput(scene=scene, options=options, count=table["mocks"], observation=observation, **chosen)


@lru_cache(maxsize=2)
def _drawn(
    block: int, count: int, model: str, seed: int, observation: Observation, dtype: str
) -> tuple[Batch, Truth]:
    """A block of galaxies; the last may be cut short, and is drawn whole all the same."""
    rng = np.random.default_rng((seed, block))
    fwhm = float(rng.uniform(*observation.psf_fwhm))
    view = dataclasses.replace(observation, psf_fwhm=(fwhm, fwhm))
    seed = int(rng.integers(2**62))
    return mock_stamps(BLOCK, model, seed=seed, observation=view, dtype=DTYPES[dtype])
