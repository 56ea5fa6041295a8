"""Are the errors right under other losses than chi-square, and with priors?

    python benchmarks/coverage_losses.py --work build/coverage [--count 1000] [--jobs 2] [--only rays counts]

Takes the galaxies of coverage_mocks.py (drawn by GalSim, kept in the work folder), gives them noise that is not what
chi-square expects (long tails, cosmic rays, neighbours that nobody masked, few counts) or much of it (with priors for
what the image does not tell), and fits every family in several ways from Isolux's own starting values. Writes the
section "Losses and priors" of RESULTS.md.
"""

import argparse
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import coverage_mocks as mocks
import numpy as np
import pulls
import tables
import torch
from about import commit, processor
from coverage import catastrophic
from coverage_report import HEADS

import isolux
from isolux.priors import Prior

HERE = Path(__file__).resolve().parent
Noise = Callable[[np.ndarray, mocks.Truth, np.random.Generator], np.ndarray]
"""Noise over sigma (galaxy, y, x), from the shape of the stamps and the galaxies' places in them."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """A batch, its truth by full name, and priors on its galaxies."""

    batch: isolux.Batch
    truth: mocks.Truth
    priors: tuple[Prior, ...] = ()


@dataclasses.dataclass(frozen=True)
class Family:
    """Galaxies observed in one way and fitted in several.

    Parameters
    ----------
    title : str
        In the table.
    observe : callable
        A batch of galaxies without noise, and random numbers, to what is fitted.
    ways : mapping
        Title -> arguments of :func:`isolux.fit`; ``priors=True`` takes the family's own.
    """

    title: str
    observe: Callable[[mocks.Clean, np.random.Generator], Seen]
    ways: Mapping[str, Mapping[str, Any]]


def bright(clean: mocks.Clean, rng: np.random.Generator, noise: Noise) -> Seen:
    """Signal-to-noise 50 to 1000 in sigma, but with noise of another kind."""
    count = len(clean.models)
    electrons, sky = exposure(clean, rng, (50.0, 1000.0), (200.0, 20000.0))
    light = np.clip(clean.models * electrons[:, None, None], 0, None)
    sigma = np.sqrt(light + sky[:, None, None])
    image = light + sigma * noise(clean.models, clean.truth, rng)
    return seen(clean, image / mocks.GAIN, electrons, np.zeros(count), sigma=sigma / mocks.GAIN)


def few(
    clean: mocks.Clean,
    rng: np.random.Generator,
    galaxy: tuple[float, float],
    sky: tuple[float, float],
    guess: bool = False,
) -> Seen:
    """So many counts of the galaxy in all, and of the sky in each pixel; with ``guess`` sigma is their root."""
    electrons, level = (np.exp(rng.uniform(*np.log(ends), len(clean.models))) for ends in (galaxy, sky))
    expected = np.clip(clean.models * electrons[:, None, None], 0, None) + level[:, None, None]
    counts = rng.poisson(expected).astype(float)
    sigma = np.sqrt(np.maximum(counts, 1.0) if guess else expected)
    return seen(
        clean, counts / mocks.GAIN, electrons, level / mocks.GAIN, sigma=sigma / mocks.GAIN, gain=mocks.GAIN
    )


def faint(clean: mocks.Clean, rng: np.random.Generator) -> Seen:
    """Signal-to-noise 10 to 20; priors around which the truth scatters as they say."""
    electrons, sky = exposure(clean, rng, (10.0, 20.0), (200.0, 20000.0))
    light = np.clip(clean.models * electrons[:, None, None], 0, None)
    expected = light + sky[:, None, None]
    image = rng.poisson(expected) - sky[:, None, None]
    level = np.zeros(len(clean.models))
    found = seen(clean, image / mocks.GAIN, electrons, level, sigma=np.sqrt(expected) / mocks.GAIN)
    names = [f"galaxy.{name}" for name in ("sersic_index", "effective_radius", "axis_ratio")]
    n, radius, q = (found.truth[name] for name in names)
    off = rng.normal(size=(3, len(n)))
    priors = (
        isolux.LogNormalPrior(names[0], np.clip(n * 10 ** (0.15 * off[0]), 0.2, 10), 0.15),
        isolux.LogNormalPrior(names[1], radius * 10 ** (0.1 * off[1]), 0.1),
        isolux.GaussianPrior(names[2], np.clip(q + 0.1 * off[2], 0.05, 1), 0.1),
    )
    return dataclasses.replace(found, priors=priors)


def exposure(
    clean: mocks.Clean, rng: np.random.Generator, signal: tuple[float, float], sky: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Electrons of each galaxy and of its sky a pixel (galaxy,), for a range of signal-to-noise."""
    wanted, level = (np.exp(rng.uniform(*np.log(ends), len(clean.models))) for ends in (signal, sky))
    pairs = zip(clean.models, wanted, level, strict=True)
    return np.array([mocks.electrons_for(model, s, b) for model, s, b in pairs]), level


def seen(
    clean: mocks.Clean, image: np.ndarray, electrons: np.ndarray, level: np.ndarray, **noise: Any
) -> Seen:
    """A batch with its truth."""
    truth = {f"galaxy.{name}": values for name, values in clean.truth.items()}
    truth["galaxy.magnitude"] = mocks.ZERO_POINT - 2.5 * np.log10(electrons / mocks.GAIN)
    truth["sky.level"] = level
    batch = isolux.Batch.from_arrays(
        image,
        psf=clean.psf,
        id=clean.names,
        zero_point=mocks.ZERO_POINT,
        pixel_scale=mocks.PIXEL_SCALE,
        **noise,
    )
    return Seen(batch, truth)


def gaussian(models: np.ndarray, truth: mocks.Truth, rng: np.random.Generator) -> np.ndarray:
    """What chi-square expects."""
    return rng.normal(size=models.shape)


def student(models: np.ndarray, truth: mocks.Truth, rng: np.random.Generator) -> np.ndarray:
    """Student's t of four degrees of freedom; sigma is the width of its core."""
    return rng.standard_t(4.0, models.shape)


def rays(models: np.ndarray, truth: mocks.Truth, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, and tracks of one to eight pixels over one pixel in a hundred, of 5 to 500 sigma each."""
    noise = gaussian(models, truth, rng)
    for image in noise:
        hit = struck(len(image), 0.01, rng)
        image[hit] += np.exp(rng.uniform(np.log(5), np.log(500), hit.sum()))
    return noise


def struck(side: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which pixels of a stamp tracks of one to eight pixels go through."""
    hit = np.zeros((side, side), bool)
    while hit.mean() < share:
        steps, angle, at = np.arange(rng.integers(1, 9)), rng.uniform(0, np.pi), rng.uniform(0, side, 2)
        y, x = np.floor(at[:, None] + steps * np.array([[np.sin(angle)], [np.cos(angle)]])).astype(int)
        inside = (y < side) & (x >= 0) & (x < side)
        hit[y[inside], x[inside]] = True
    return hit


def neighbours(models: np.ndarray, truth: mocks.Truth, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, and four faint sources a stamp outside the galaxy's half-light radius, of 10 to 40 sigma each."""
    noise, side = gaussian(models, truth, rng), models.shape[1]
    y, x = np.mgrid[:side, :side]
    for k, image in enumerate(noise):
        reach, placed = max(1.5 * truth["effective_radius"][k], 6.0), 0
        while placed < 4:
            at = rng.uniform(0, side, 2)
            if np.hypot(at[0] - truth["y"][k], at[1] - truth["x"][k]) > reach:
                blob = np.exp(-0.5 * ((y - at[0]) ** 2 + (x - at[1]) ** 2) / 2.0**2)
                image += rng.uniform(10, 40) * blob / np.sqrt((blob**2).sum())
                placed += 1
    return noise


LOSSES = {
    "chi2": {"loss": "chi2"},
    "Huber(1.345)": {"loss": "huber"},
    "StudentT(4)": {"loss": "student-t"},
    "StudentT(2)": {"loss": "student-t:2"},
}
COUNTING = {"chi2, expected sigma": {"loss": "chi2"}, "Cash": {"loss": "cash"}}
GUESSING = {"chi2, sigma = √max(counts, 1)": {"loss": "chi2"}}
LOW, LOWER = ((3e3, 3e4), (1.0, 10.0)), ((1e3, 1e4), (0.01, 0.1))
FAMILIES = {
    "gaussian": Family("Gaussian noise", partial(bright, noise=gaussian), LOSSES),
    "student": Family("noise of Student's t, ν = 4", partial(bright, noise=student), LOSSES),
    "rays": Family("cosmic rays on 1 % of the pixels", partial(bright, noise=rays), LOSSES),
    "neighbours": Family("four faint neighbours", partial(bright, noise=neighbours), LOSSES),
    "counts": Family("1 to 10 counts a pixel of sky", partial(few, galaxy=LOW[0], sky=LOW[1]), COUNTING),
    "counts guessed": Family("", partial(few, galaxy=LOW[0], sky=LOW[1], guess=True), GUESSING),
    "fewer": Family("0.01 to 0.1 counts", partial(few, galaxy=LOWER[0], sky=LOWER[1]), COUNTING),
    "fewer guessed": Family("", partial(few, galaxy=LOWER[0], sky=LOWER[1], guess=True), GUESSING),
    "priors": Family(
        "S/N 10 to 20", faint, {"without priors": {}, "priors on n, r_e and q": {"priors": True}}
    ),
}


def main() -> None:
    options = parse()
    paths = mocks.drawn(options.work, options.count, options.seed, options.jobs)
    rows: list[tuple[str, dict[str, np.ndarray]]] = []
    for name in options.only or FAMILIES:
        clock = time.perf_counter()
        parts = mocks.each(paths, partial(chunk, name), options.jobs)
        for way in FAMILIES[name].ways:
            own = [part for part in parts if part["way"][0] == way]
            keys = [key for key in own[0] if key != "way"]
            merged = {key: np.concatenate([part[key] for part in own])[: options.count] for key in keys}
            title = FAMILIES[name].title
            rows.append((f"{title}: {way}" if title else way, merged))
        print(f"{name}: {time.perf_counter() - clock:.0f} s", flush=True)
    text = section(rows, options.count)
    print(text)
    if not options.only:
        tables.put(options.results, "losses", text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn galaxies")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, help="families; nothing is written")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def chunk(name: str, path: Path) -> list[dict[str, np.ndarray]]:
    """Fits of the galaxies of one file in all ways, a set of rows for each way and size of stamp."""
    torch.set_num_threads(1)
    family = FAMILIES[name]
    observed = list(observations(family, path))
    return [
        {"way": np.array([way]), **fitted(found, options)}
        for way, options in family.ways.items()
        for found in observed
    ]


def observations(family: Family, path: Path) -> Iterator[Seen]:
    """The galaxies of one file with noise; families of one title have the same noise."""
    for clean in mocks.stamps(path):
        yield family.observe(clean, np.random.default_rng([7, clean.chunk, clean.models.shape[1]]))


def fitted(found: Seen, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Pulls, failures and CPU seconds (galaxy,)."""
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    own = {"priors": found.priors} if options.get("priors") else {}
    clock = time.process_time()
    result = isolux.fit(found.batch, scene, **(dict(options) | own))
    cpu = np.full(len(result), (time.process_time() - clock) / len(result))
    converged = result.converged.numpy()
    bad = catastrophic(result, found.truth)
    return {**pulls.of_result(result, found.truth), "cpu": cpu, "converged": converged, "bad": bad}


def section(rows: list[tuple[str, dict[str, np.ndarray]]], count: int) -> str:
    """The section of RESULTS.md."""
    command = f"python benchmarks/coverage_losses.py --count {count}"
    lines = [
        [
            title,
            f"{100 * (1 - found['converged'].mean()):.1f} %",
            f"{100 * found['bad'].mean():.1f} %",
            f"{1000 * np.median(found['cpu']):.0f}",
        ]
        for title, found in rows
    ]
    heads = ["", "not converged", "catastrophic", "CPU ms a galaxy"]
    return "\n\n".join(
        [
            "## Losses and priors",
            f"`{command}`, {datetime.date.today()}, Isolux at commit {commit()}, {processor()}.",
            INTRODUCTION,
            pulls.table(rows, HEADS),
            "Catastrophic: off by more than 0.15 dex in r_e or 0.3 mag.",
            tables.markdown(heads, lines),
        ]
    )


INTRODUCTION = """\
The galaxies of the section "Coverage", with a sky fitted, under noise that chi-square does not expect; pulls and
coverage as there. Signal-to-noise 50 to 1000 (of the Gaussian core) in the first four families.

- Cosmic rays: tracks of one to eight pixels, each pixel 5 to 500 σ, on one pixel in a hundred; no mask.
- Four faint neighbours: sources of 10 to 40 σ each, 1.4 to 5.6 σ in their brightest pixel, farther than 1.5 r_e from
  the centre; no mask.
- Counts: 3,000 to 30,000 of the galaxy on 1 to 10 a pixel of sky, and 1,000 to 10,000 on 0.01 to 0.1. "Expected sigma"
  is the root of what only a simulation knows; √max(counts, 1) is what is often used for it.
- Priors: log-normal on n (0.15 dex) and r_e (0.1 dex), Gaussian on q (0.1), around values from which the truth
  scatters by so much."""


if __name__ == "__main__":
    main()
