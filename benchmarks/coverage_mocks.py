"""The mock galaxies of the coverage benchmarks: drawn once by GalSim, observed as often as wanted.

GalSim draws each galaxy without noise: an isolated Sérsic profile, Moffat PSF, averaged over pixels. With the
limits below its images differ from those with limits ten times stricter by less than 0.001 in chi-square at a
signal-to-noise of 1000. PSF stamps hold all but 4e-5 of the light. An observation then chooses, for every galaxy,
the electrons of the sky and of the galaxy so that the matched filter has the signal-to-noise S wanted,

    S^2 = sum of (g m)^2 / (g m + B),

with m the model of unit flux, g its electrons and B those of the sky in each pixel; and draws Poisson counts. Sigma
maps are the expected ones, sqrt(g m + B), of the model and not of the noisy image.
"""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import galsim
import numpy as np

import isolux

PIXEL_SCALE, ZERO_POINT, GAIN = 0.396, 22.5, 1000.0
PSF_SIZE = 81
SIZES = ((4.0, 64), (8.0, 96), (np.inf, 128))
"""Stamps have this many pixels a side for half-light radii up to so many pixels."""
ACCURATE = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=2e-4, maximum_fft_size=32768)
CHUNK = 250
"""Galaxies drawn to one file and fitted as one batch."""
Truth = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Observing:
    """How mocks are observed.

    Parameters
    ----------
    signal : (float, float)
        Range of the matched filter's signal-to-noise, log-uniform.
    sky_electrons : (float, float)
        Range of the sky's electrons a pixel, log-uniform.
    level : float
        Largest sky level left in the image, up or down, in units of the sky's noise.
    masked : float
        Share of the pixels under masks: discs beside the galaxy's centre, and bad pixels anywhere.
    noisy_sigma : bool
        Sigma from the noisy counts instead of the expected ones.
    seed : int
        Of noise, sky and masks.
    """

    signal: tuple[float, float] = (50.0, 1000.0)
    sky_electrons: tuple[float, float] = (200.0, 20000.0)
    level: float = 0.0
    masked: float = 0.0
    noisy_sigma: bool = False
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Observed:
    """A batch of mocks: the batch, the truth (galaxy,) by full name, and the signal-to-noise (galaxy,)."""

    batch: isolux.Batch
    truth: Truth
    signal: np.ndarray


@dataclasses.dataclass(frozen=True)
class Clean:
    """Galaxies of unit flux without noise: images and PSFs (galaxy, y, x), truth, names, number of their file."""

    models: np.ndarray
    psf: np.ndarray
    truth: Truth
    names: list[str]
    chunk: int


def drawn(work: Path, count: int, seed: int, jobs: int = 1) -> list[Path]:
    """Files of noise-free galaxies, drawn where they are not there yet."""
    work.mkdir(parents=True, exist_ok=True)
    chunks = range(-(-count // CHUNK))
    paths = [work / f"galaxies_{seed}_{k}.npz" for k in chunks]
    todo = [(path, seed, k) for k, path in zip(chunks, paths, strict=True) if not path.exists()]
    if todo and jobs > 1:
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            list(pool.map(_draw_chunk, *zip(*todo, strict=True)))
    else:
        for task in todo:
            _draw_chunk(*task)
    return paths


def _draw_chunk(path: Path, seed: int, chunk: int) -> None:
    """Draw a chunk; its galaxies are sorted by the size of their stamps."""
    rng = np.random.default_rng([seed, chunk])
    shapes = sorted((_shape(rng) for _ in range(CHUNK)), key=lambda shape: shape["size"])
    arrays: dict[str, Any] = {f"truth_{name}": np.array([s[name] for s in shapes]) for name in shapes[0]}
    pairs = [_draw(shape) for shape in shapes]
    arrays["psf"] = np.array([psf for _, psf in pairs], dtype=np.float32)
    arrays["model"] = np.concatenate([model.ravel() for model, _ in pairs])
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.rename(path)


def _shape(rng: np.random.Generator) -> dict[str, float]:
    """One galaxy of unit flux; pixels, degrees from +y; the position is counted from the stamp's middle."""
    fwhm = rng.uniform(1.2, 1.4) / PIXEL_SCALE
    shape = {
        "fwhm": fwhm,
        "x": rng.uniform(-1, 1),
        "y": rng.uniform(-1, 1),
        "effective_radius": float(np.exp(rng.uniform(np.log(fwhm / 2), np.log(15)))),
        "sersic_index": float(np.exp(rng.uniform(np.log(0.5), np.log(6)))),
        "axis_ratio": rng.uniform(0.2, 0.95),
        "position_angle": rng.uniform(-90, 90),
    }
    shape["size"] = next(size for most, size in SIZES if shape["effective_radius"] <= most)
    return shape


def _draw(shape: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free image of unit flux, and the image of a star."""
    psf = galsim.Moffat(beta=3, fwhm=shape["fwhm"], gsparams=ACCURATE)
    q, size = shape["axis_ratio"], int(shape["size"])
    round_radius = shape["effective_radius"] * np.sqrt(q)
    galaxy = galsim.Sersic(n=shape["sersic_index"], half_light_radius=round_radius, gsparams=ACCURATE)
    galaxy = galaxy.shear(q=q, beta=(shape["position_angle"] + 90) * galsim.degrees)
    galaxy = galsim.Convolve(galaxy.shift(shape["x"], shape["y"]), psf, gsparams=ACCURATE)
    model, star = (
        thing.drawImage(nx=side, ny=side, scale=1.0, dtype=float).array
        for thing, side in ((galaxy, size), (psf, PSF_SIZE))
    )
    return model, star / star.sum()


def observe(path: Path, how: Observing, count: int = CHUNK) -> Iterator[Observed]:
    """The first galaxies of a file with noise, a batch for every size of stamp."""
    for clean in stamps(path, count):
        rng = np.random.default_rng([how.seed, clean.chunk, clean.models.shape[1]])
        yield _observed(clean.models, clean.psf, clean.truth, clean.names, how, rng)


def stamps(path: Path, count: int = CHUNK) -> Iterator[Clean]:
    """The first galaxies of a file without noise, those of one size of stamp together."""
    with np.load(path) as f:
        truth = {
            name.removeprefix("truth_"): f[name][:count] for name in f.files if name.startswith("truth_")
        }
        psf, pixels = f["psf"][:count], f["model"]
    chunk = int(path.stem.rpartition("_")[2])
    sizes = truth.pop("size").astype(int)
    truth.pop("fwhm")
    starts = np.concatenate([[0], np.cumsum(sizes**2)])
    for size in np.unique(sizes):
        some = np.flatnonzero(sizes == size)
        first = starts[some[0]]
        models = pixels[first : first + len(some) * size**2].reshape(-1, size, size)
        own = {name: values[some].copy() for name, values in truth.items()}
        for axis in "xy":
            own[axis] += (size - 1) / 2
        names = [f"{chunk}-{k}" for k in some]
        yield Clean(models, psf[some], own, names, chunk)


def _observed(
    models: np.ndarray,
    psf: np.ndarray,
    truth: Truth,
    names: list[str],
    how: Observing,
    rng: np.random.Generator,
) -> Observed:
    """Noise, sky and masks for stamps (galaxy, y, x) of one size."""
    galaxies = len(models)
    wanted, sky = (np.exp(rng.uniform(*np.log(ends), galaxies)) for ends in (how.signal, how.sky_electrons))
    electrons = np.array([electrons_for(m, s, b) for m, s, b in zip(models, wanted, sky, strict=True)])
    expected = np.clip(models * electrons[:, None, None], 0, None) + sky[:, None, None]
    counts = rng.poisson(expected).astype(float)
    level = how.level * rng.uniform(-1, 1, galaxies) * np.sqrt(sky)
    image = counts - sky[:, None, None] + level[:, None, None]
    sigma = np.sqrt(np.clip(counts, sky[:, None, None], None) if how.noisy_sigma else expected)
    mask = np.zeros(models.shape, bool)
    if how.masked > 0:
        for k in range(galaxies):
            mask[k] = _mask(models.shape[1], (truth["x"][k], truth["y"][k]), how.masked, rng)
        image = np.where(mask, rng.choice([np.nan, 1e6, -1e4], size=image.shape), image)
    seen = np.where(mask, 0, (expected - sky[:, None, None]) ** 2 / expected)
    own = {f"galaxy.{name}": values for name, values in truth.items()}
    own["galaxy.magnitude"] = ZERO_POINT - 2.5 * np.log10(electrons / GAIN)
    if how.level > 0:
        own["sky.level"] = level / GAIN
    batch = isolux.Batch.from_arrays(
        image / GAIN,
        sigma=sigma / GAIN,
        mask=mask,
        psf=psf,
        id=names,
        zero_point=ZERO_POINT,
        pixel_scale=PIXEL_SCALE,
    )
    return Observed(batch, own, np.sqrt(seen.sum((1, 2))))


def electrons_for(model: np.ndarray, signal: float, sky: float) -> float:
    """The galaxy's electrons that give the signal-to-noise wanted, by bisection in the logarithm."""
    low, high = 0.0, 25.0
    flat = np.clip(model.ravel(), 0, None)
    for _ in range(50):
        middle = (low + high) / 2
        light = np.exp(middle) * flat
        low, high = (middle, high) if (light * light / (light + sky)).sum() < signal**2 else (low, middle)
    return float(np.exp(low))


def _mask(size: int, centre: tuple[float, float], share: float, rng: np.random.Generator) -> np.ndarray:
    """Discs of 3 to 9 pixels radius that leave the galaxy's centre free, and one pixel in a hundred."""
    mask = rng.random((size, size)) < 0.01
    y, x = np.mgrid[:size, :size]
    while mask.mean() < share:
        radius, at = rng.uniform(3, 9), rng.uniform(0, size, 2)
        if np.hypot(at[0] - centre[0], at[1] - centre[1]) > radius + 1.5:
            mask |= np.hypot(x - at[0], y - at[1]) < radius
    return mask


def each(
    paths: list[Path], work: Callable[[Path], list[dict[str, np.ndarray]]], jobs: int
) -> list[dict[str, np.ndarray]]:
    """What ``work`` makes of each file, in order, in ``jobs`` processes."""
    if jobs == 1:
        return [found for path in paths for found in work(path)]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return [found for part in pool.map(work, paths) for found in part]
