"""The methods of the benchmark of networks: each takes samples and says their profiles at the common radii.

polar, pix2prof  the networks, all stamps of a size in one batch
isophotes        isolux.isophotes with its defaults
Sersic           a fitted Sérsic profile and flat sky: the profile along isophotes of the model, seen through the PSF
photutils, AutoProf  settings as in isophotes_codes.py, one stamp at a time, kept in a folder
"""

import dataclasses
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import isophotes_codes as slow
import numpy as np
import torch
from profile_networks_sets import Sample
from profile_networks_truth import GRID, isophotes

import isolux
from isolux.io.weights import read_network
from isolux.isophotes import measure_isophotes
from isolux.nets import read_profiles

FAST = ("polar", "pix2prof", "isophotes", "Sersic")
DETECTED = 5.0
"""A fitted Sérsic galaxy is one if its flux is so many errors."""
FAINT = 1e-6
"""Of the brightest pixel: where profiles of fitted models end."""


@dataclasses.dataclass
class Reading:
    """What a code says of a sample at :data:`GRID`, image units; NaN where its profile is not."""

    level: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seconds: float
    there: bool


def nothing(seconds: float) -> Reading:
    """No profile."""
    none = np.full_like(GRID, np.nan)
    return Reading(none, none, none, seconds, False)


Code = Callable[[isolux.Batch], list[Reading]]
"""Readings of all galaxies of a batch; their seconds are filled in by :func:`in_batches`."""


def in_batches(samples: list[Sample], code: Code) -> list[Reading]:
    """Readings of samples in their order, those of a size together; seconds are each batch's mean."""
    found: dict[str, Reading] = {}
    for large in (False, True):
        some = [s for s in samples if (max(s.image.shape) > 128) == large]
        if not some:
            continue
        batch = batch_of(some)
        code(batch.select(range(min(2, len(batch)))))
        begin = time.process_time()
        readings = code(batch)
        seconds = (time.process_time() - begin) / len(some)
        found |= {
            s.name: dataclasses.replace(r, seconds=seconds) for s, r in zip(some, readings, strict=True)
        }
    return [found[s.name] for s in samples]


def batch_of(samples: list[Sample]) -> isolux.Batch:
    """Stamps with their PSFs; smaller ones are padded with masked pixels."""
    return isolux.Batch.from_arrays(
        [s.image for s in samples],
        sigma=[s.sigma for s in samples],
        mask=[s.mask for s in samples],
        psf=np.stack([s.psf for s in samples]),
        zero_point=[s.zero_point for s in samples],
        pixel_scale=[s.pixel_scale for s in samples],
    )


def polar(path: Path) -> Code:
    """The network whose weights are there."""
    network, card = read_network(path)

    def code(batch: isolux.Batch) -> list[Reading]:
        return of_isophotes(read_profiles(batch, network, card, sma=grid_of(batch)))

    return code


def pix2prof(path: Path) -> Code:
    """The published network; see :func:`readable` for what it may be given."""
    network, card = read_network(path)

    def code(batch: isolux.Batch) -> list[Reading]:
        return of_isophotes(read_profiles(batch, network, card))

    return code


def classical(batch: isolux.Batch) -> list[Reading]:
    """Isolux's isophotes."""
    return of_isophotes(measure_isophotes(batch, sma=grid_of(batch)))


def sersic(batch: isolux.Batch) -> list[Reading]:
    """A fit of a Sérsic profile and a flat sky."""
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    result = isolux.fit(batch, scene)
    table = result.table()
    flux, error = (np.asarray(table[f"galaxy_flux{part}"], float) for part in ("", "_err"))
    bad = ~np.isfinite(flux) | (flux <= 0)
    seen = scene.component_images(batch, result.values)["galaxy"].double().numpy()
    x, y = (np.asarray(table[f"galaxy_{n}"], float) for n in "xy")
    readings = []
    for k, light in enumerate(seen):
        if bad[k] or not np.isfinite(light).all():
            readings.append(nothing(0.0))
            continue
        sma, level, _ = isophotes(light, (x[k], y[k]), FAINT * float(light.max()), points=1)
        none = np.full_like(GRID, np.nan)
        found = on_grid(sma, level) if len(sma) > 2 else none
        readings.append(Reading(found, none, none, 0.0, bool(flux[k] > DETECTED * error[k])))
    return readings


def about(path: Path) -> str:
    """What weights are."""
    _, card = read_network(path)
    known = ((name, card.training.get(name)) for name in ("steps_done", "seconds", "seed", "date"))
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in known if value is not None)
    return f"{card.network} ({said or 'no card'})"


def readable(sample: Sample) -> bool:
    """Whether Pix2Prof's weights are for such images: SDSS's pixels and zero point."""
    return abs(sample.pixel_scale / 0.396 - 1) < 0.02 and sample.zero_point == 22.5


def grid_of(batch: isolux.Batch) -> torch.Tensor:
    """The common radii for each galaxy."""
    return torch.from_numpy(GRID).expand(len(batch), -1)


def of_isophotes(found) -> list[Reading]:
    """Readings of :class:`isolux.isophotes.Isophotes`, of any radii."""
    readings = []
    intervals = found.method in ("polar", "pix2prof")
    for k in range(len(found)):
        count = int(found.length[k])
        if count < 2:
            readings.append(nothing(0.0))
            continue
        sma, level, error, low, high = (
            getattr(found, name)[k, :count].double().numpy()
            for name in ("sma", "intensity", "error", "low", "high")
        )
        if not intervals:
            low, high = level - error, level + error
        readings.append(Reading(*(on_grid(sma, v, level) for v in (level, low, high)), 0.0, True))
    return readings


def on_grid(sma: np.ndarray, values: np.ndarray, level: np.ndarray | None = None) -> np.ndarray:
    """Values at the common radii: a level straight in its logarithm, what belongs to a level straight in its ratio."""
    log_grid, log_sma = np.log(np.maximum(GRID, 0.2)), np.log(np.maximum(sma, 0.2))
    base = np.maximum(values if level is None else level, 1e-30)
    good = np.isfinite(base)
    if good.sum() < 2:
        return np.full_like(GRID, np.nan)
    found = np.exp(np.interp(log_grid, log_sma[good], np.log(base[good])))
    if level is not None and values is not level:
        apart = (values - level)[good]
        found = found + np.interp(log_grid, log_sma[good], apart)
    first, last = sma[good][0], 1.0001 * sma[good][-1]
    return np.where((first <= GRID) & (last >= GRID), found, np.nan)


def photutils(samples: list[Sample], folder: Path, *, missing: bool) -> list[Reading | None]:
    """From the folder; what is not there is done, or None."""
    found: list[Reading | None] = []
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        path = folder / f"{sample.name}.pickle"
        if not path.exists():
            if not missing:
                found.append(None)
                continue
            made = slow.photutils(stamp_of(sample))
            path.with_suffix(".part").write_bytes(pickle.dumps(dataclasses.asdict(made)))
            path.with_suffix(".part").rename(path)
        profile = slow.Profile(**pickle.loads(path.read_bytes()))
        found.append(of_profile(profile, unit_of(sample)))
    return found


def autoprof(samples: list[Sample], folder: Path, python: str | None) -> list[Reading | None]:
    """From the folder; what is not there is done where there is an interpreter, or None."""
    if python:
        slow.autoprof([stamp_of(s) for s in samples], python, folder)
    found: list[Reading | None] = []
    for sample in samples:
        path = folder / f"{sample.name}.result.json"
        if not path.exists():
            found.append(None)
            continue
        found.append(of_profile(slow.read_autoprof(path, sample.pixel_scale), unit_of(sample)))
    return found


def unit_of(sample: Sample) -> float:
    """What the slow codes' images are divided by: the noise, but for the mocks, which are measured as they are."""
    return 1.0 if sample.population == "mocks" else sample.noise


def stamp_of(sample: Sample) -> slow.Stamp:
    """For the slow codes."""
    unit = unit_of(sample)
    zero = sample.zero_point - 2.5 * np.log10(unit)
    image, sigma = sample.image / unit, sample.sigma / unit
    return slow.Stamp(sample.name, image, sigma, sample.mask, sample.pixel_scale, zero, sample.psf_fwhm)


def of_profile(profile: slow.Profile, unit: float) -> Reading:
    """A slow code's."""
    if len(profile.sma) < 2:
        return nothing(profile.seconds)
    good = np.isfinite(profile.intensity)
    sma, level, error = (v[good] for v in (profile.sma, profile.intensity * unit, profile.error * unit))
    parts = [on_grid(sma, v, level) for v in (level, level - error, level + error)]
    return Reading(*parts, profile.seconds, True)
