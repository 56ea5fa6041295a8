"""Images for the benchmark of networks that read profiles, with the truth of each galaxy's profile on a common grid.

own      stamps of the simulator that trains the networks, of seeds that neither training nor validation uses
mocks    the mocks of isophotes_mocks.py, drawn by GalSim, with a truth by SciPy's splines
shifted  GalSim's galaxies of another population (profile_networks_shifted.py), the truth in the same way
empty    no galaxy (profile_networks_empty.py)

The truth is the mean along the true isophotes of the galaxy alone, convolved and without noise, from 0.8 pixels to
where the squared signal-to-noise of a ring a tenth of its radius wide falls below 4 (the rule by which the paper ends
profiles), the brightness below 28.5 mag/arcsec^2, or half of the ring is beyond the edge. Images are
kept in a folder, once drawn.
"""

import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import isophotes_mocks
import numpy as np
import torch
from about import commit
from profile_networks_truth import GRID, faintest, isophotes, on_grid
from scipy import ndimage

from isolux.nets.profile_data import Mixed, mixed
from isolux.nets.profile_draw import Universe, draw_lot

LOTS, SIDE = 12, 128
SEEDS = {"own": (31_415_926, 27_182_818), "mocks": (1, 7), "shifted": (11, 12), "empty": (21, 22)}
"""Of the test and of development."""
COUNTS = {"own": (600, 300), "mocks": (200, 50), "shifted": (200, 60), "empty": (200, 100)}


@dataclasses.dataclass
class Sample:
    """An image (y, x) in the survey's units, and the truth at :data:`GRID`, NaN beyond its end."""

    name: str
    population: str
    survey: str
    kind: str
    image: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray
    psf: np.ndarray
    psf_fwhm: float
    pixel_scale: float
    zero_point: float
    noise: float
    x: float
    y: float
    brightness: np.ndarray
    ellipticity: np.ndarray
    nearest: float
    """Pixels to the next neighbour or star on the drawing, infinite where there is none."""
    drawn_at: str = ""

    @property
    def magnitude(self) -> np.ndarray:
        """The truth in mag/arcsec^2."""
        return surface_brightness(self.brightness, self.zero_point, self.pixel_scale)

    def _inside(self) -> tuple[np.ndarray, np.ndarray]:
        """Radii of the truth and the flux inside of them."""
        good = np.isfinite(self.brightness)
        radii, level, e = GRID[good], self.brightness[good], self.ellipticity[good]
        area = np.maximum.accumulate(np.pi * (1 - e) * radii**2)
        rings = np.diff(area) * 0.5 * (level[1:] + level[:-1])
        return radii, area[0] * level[0] + np.concatenate([[0.0], np.cumsum(rings)])

    @property
    def half_light(self) -> float:
        """Semi-major axis in pixels that holds half of the light to the truth's end, as seen through the PSF."""
        radii, inside = self._inside()
        return float(np.interp(0.5 * inside[-1], inside, radii))

    @property
    def significance(self) -> float:
        """Signal-to-noise inside of that."""
        _, inside = self._inside()
        half, last = self.half_light, np.flatnonzero(np.isfinite(self.brightness))[-1]
        return float(0.5 * inside[-1] / (self.noise * half * np.sqrt(np.pi * (1 - self.ellipticity[last]))))

    @property
    def last_ellipticity(self) -> float:
        """Of the last isophote, as in the paper."""
        return float(self.ellipticity[np.isfinite(self.brightness)][-1])


def surface_brightness(flux: np.ndarray, zero_point: float, scale: float) -> np.ndarray:
    """Magnitudes of fluxes a pixel; that of 1e-9 where they are not positive."""
    return zero_point - 2.5 * np.log10(np.maximum(flux, 1e-9) / scale**2)


def kept(folder: Path, name: str, draw: Callable[[], list[Sample]]) -> list[Sample]:
    """Samples from their file, drawn if it is not there; those of too short a truth are left out."""
    path = folder / f"{name}.pickle"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = [dataclasses.replace(s, drawn_at=commit()) for s in draw()]
        path.with_suffix(".part").write_bytes(pickle.dumps([dataclasses.asdict(s) for s in made]))
        os.replace(path.with_suffix(".part"), path)
    samples = [Sample(**fields) for fields in pickle.loads(path.read_bytes())]
    return [s for s in samples if s.population == "empty" or np.isfinite(s.brightness).sum() >= 3]


def own(count: int, seed: int) -> list[Sample]:
    """Stamps of the training simulator."""
    universe = Universe(size=SIDE, seed=seed)
    lots = [draw_lot((universe, k)) for k in range(LOTS)]
    samples = []
    for step in range(0, count, LOTS * 5):
        made = mixed(lots, universe, step, min(LOTS * 5, count - step))
        for k in torch.nonzero(made.present)[:, 0].tolist():
            preset = universe.presets[(k % LOTS) % len(universe.presets)]
            samples.append(_own_sample(made, k, f"own-{seed}-{step + k:04d}", preset))
    return samples


def _own_sample(made: Mixed, k: int, name: str, survey: str) -> Sample:
    batch, sigma = made.batch, float(made.sigma[k])
    scale, zero = float(batch.pixel_scale[k]), float(batch.zero_point[k])
    mask = batch.mask[k].numpy()
    rows, columns = np.flatnonzero(~mask.all(1)), np.flatnonzero(~mask.all(0))
    cut = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    image, own = (part[k].double().numpy()[cut] * sigma for part in (batch.image, made.own))
    x, y = float(made.labels.x[k]) - columns[0], float(made.labels.y[k]) - rows[0]
    truth = on_grid(*isophotes(own, (x, y), faintest(zero, scale), points=1), sigma)
    psf = batch.psf[k].double().numpy()
    places = made.places[k].double().numpy() - [columns[0], rows[0]]
    return Sample(
        name, "own", survey, "drawn", image, np.full_like(image, sigma), mask[cut], psf, width_of(psf), scale,
        zero, sigma, x, y, *truth, nearest_of(places, x, y),
    )  # fmt: skip


def width_of(psf: np.ndarray) -> float:
    """Full width at half maximum in pixels of the Gaussian of the same area; 3 where the PSF is not known."""
    area = 1 / np.square(psf / psf.sum()).sum()
    return float(2 * np.sqrt(2 * np.log(2)) * np.sqrt(area / (4 * np.pi))) if area > 1.001 else 3.0


def nearest_of(places: np.ndarray, x: float, y: float) -> float:
    """Pixels to the next of some places (source, 2), NaN where there is none; infinite without any."""
    away = np.hypot(*(places - [x, y]).T)
    return float(np.nanmin(away)) if np.isfinite(away).any() else np.inf


def mocks(count: int, seed: int, folder: Path) -> list[Sample]:
    """The mocks of the benchmark of isophotes."""
    made = isophotes_mocks.mocks(count, seed, folder)
    return [_mock_sample(m, f"mock-{seed}-{k:03d}") for k, m in enumerate(made)]


def _mock_sample(m: isophotes_mocks.Mock, name: str) -> Sample:
    import galsim

    scale, zero = isophotes_mocks.SCALE, isophotes_mocks.ZERO_POINT
    noise = float(np.median(m.sigma[:4]))
    truth = on_grid(m.sma, m.brightness, m.ellipticity, noise)
    psf = galsim.Moffat(beta=3, fwhm=float(m.psf_fwhm) * scale).drawImage(nx=41, ny=41, scale=scale).array
    return Sample(
        name, "mocks", "sdss-like", str(m.kind), m.image, m.sigma, m.mask, psf / psf.sum(), float(m.psf_fwhm),
        scale, zero, noise, float(m.x), float(m.y), *truth,
        nearest_of(_middles(m.mask), float(m.x), float(m.y)),
    )  # fmt: skip


def _middles(mask: np.ndarray) -> np.ndarray:
    """x and y of the middles of a mask's parts."""
    parts, count = ndimage.label(mask)
    found = ndimage.center_of_mass(mask, parts, range(1, count + 1))
    return np.array(found).reshape(-1, 2)[:, ::-1]
