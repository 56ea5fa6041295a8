"""The galaxies that every code fits, drawn by GalSim: images, noise, PSFs, the truth, and starting values.

One set is one ``.npz`` file. Positions are pixels from 0, sizes pixels along the major axis before the
PSF, angles degrees counter-clockwise from +y, fluxes nanomaggies. The last galaxy of a set is for warming
up and is not counted.
"""

from pathlib import Path

import galsim
import numpy as np
from tables import NAMES

SIZE, PIXEL_SCALE, ZERO_POINT, GAIN = 128, 0.396, 22.5, 1000.0
PSF_SIZE = 41
ACCURATE = galsim.GSParams(folding_threshold=5e-4, maxk_threshold=2e-4, maximum_fft_size=32768)


def make(path: Path, kind: str, count: int, seed: int) -> None:
    """Draw ``count`` galaxies and one more for warming up, and write them to ``path``."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list] = {name: [] for name in ("image", "sigma", "psf", "psf_eff", "truth", "start")}
    for _ in range(count + 1):
        for name, value in draw(kind, rng).items():
            rows[name].append(value)
    arrays = {name: np.array(values) for name, values in rows.items()}
    for name in ("truth", "start"):
        arrays[name] = as_stored(arrays[name], NAMES[kind])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, kind=kind, seed=seed, zero_point=ZERO_POINT, pixel_scale=PIXEL_SCALE, **arrays)


def draw(kind: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One galaxy; sizes in arcsec and angles from +x, as GalSim has them."""
    fwhm, sky = rng.uniform(1.2, 1.4), rng.uniform(0.02, 0.03)
    psf = galsim.Moffat(beta=3, fwhm=fwhm, gsparams=ACCURATE)
    centre = (SIZE - 1) / 2 + rng.uniform(-1, 1, 2)
    truth, start, galaxy = (single if kind == "single" else double)(centre, rng)
    galaxy = galaxy.shift(*(PIXEL_SCALE * (centre - (SIZE - 1) / 2)))
    model = render(galsim.Convolve(galaxy, psf, gsparams=ACCURATE), SIZE, "auto")
    sigma = np.sqrt(sky**2 + np.clip(model, 0, None) / GAIN)
    stamps = {
        name: render(psf, PSF_SIZE, method) for name, method in (("psf", "no_pixel"), ("psf_eff", "auto"))
    }
    return {
        "image": model + rng.normal(0, 1, model.shape) * sigma,
        "sigma": sigma,
        **{name: stamp / stamp.sum() for name, stamp in stamps.items()},
        "truth": np.array(truth),
        "start": np.array(start),
    }


def single(centre: np.ndarray, rng: np.random.Generator) -> tuple[tuple, tuple, galsim.GSObject]:
    """One Sérsic component."""
    n = 10 ** rng.uniform(np.log10(0.5), np.log10(6))
    re = 10 ** rng.uniform(np.log10(1.5), np.log10(8))
    q, pa, mag = rng.uniform(0.2, 0.95), rng.uniform(0, 180), rng.uniform(15, 18.5)
    start = (
        *(c + rng.normal(0, 0.5) for c in centre),
        mag + np.clip(rng.normal(0, 0.2), -0.5, 0.5),
        re * 10 ** rng.normal(0, 0.15),
        2.0,
        np.clip(q + rng.normal(0, 0.1), 0.15, 0.95),
        pa + rng.normal(0, 15),
    )
    return (*centre, mag, re, n, q, pa), start, sersic(mag, re, n, q, pa)


def double(centre: np.ndarray, rng: np.random.Generator) -> tuple[tuple, tuple, galsim.GSObject]:
    """A de Vaucouleurs bulge and an exponential disc with one centre."""
    mag, bulge_share = rng.uniform(15, 17.5), rng.uniform(0.1, 0.9)
    re_d = 10 ** rng.uniform(np.log10(3), np.log10(8))
    re_b = max(0.8, re_d * 10 ** rng.uniform(np.log10(0.15), np.log10(0.6)))
    q_b, q_d, pa_d = rng.uniform(0.55, 0.98), rng.uniform(0.25, 0.9), rng.uniform(0, 180)
    pa_b = pa_d + rng.normal(0, 20)
    mag_b, mag_d = mag - 2.5 * np.log10([bulge_share, 1 - bulge_share])
    start = (
        *(c + rng.normal(0, 0.5) for c in centre),
        mag + 0.75 + rng.normal(0, 0.1),
        re_b * 10 ** rng.normal(0, 0.15),
        np.clip(q_b + rng.normal(0, 0.1), 0.3, 0.95),
        pa_b + rng.normal(0, 15),
        mag + 0.75 + rng.normal(0, 0.1),
        re_d * 10 ** rng.normal(0, 0.15),
        np.clip(q_d + rng.normal(0, 0.1), 0.15, 0.95),
        pa_d + rng.normal(0, 15),
    )
    galaxy = sersic(mag_b, re_b, 4.0, q_b, pa_b) + sersic(mag_d, re_d, 1.0, q_d, pa_d)
    return (*centre, mag_b, re_b, q_b, pa_b, mag_d, re_d, q_d, pa_d), start, galaxy


def sersic(mag: float, re: float, n: float, q: float, pa: float) -> galsim.GSObject:
    """A Sérsic galaxy of major half-light axis ``re``; GalSim's own radius is the circularised one."""
    flux = 10 ** (-0.4 * (mag - ZERO_POINT))
    round_one = galsim.Sersic(n=n, half_light_radius=re * np.sqrt(q), flux=flux, gsparams=ACCURATE)
    return round_one.shear(q=q, beta=pa * galsim.degrees)


def render(thing: galsim.GSObject, size: int, method: str) -> np.ndarray:
    """Draw at the sets' pixel scale."""
    return thing.drawImage(nx=size, ny=size, scale=PIXEL_SCALE, method=method, dtype=float).array


def as_stored(table: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Sizes from arcsec to pixels, angles from those counted from +x to those counted from +y."""
    table = table.copy()
    for column, name in enumerate(names):
        if name.startswith("re"):
            table[:, column] /= PIXEL_SCALE
        elif name.startswith("pa"):
            table[:, column] = (table[:, column] - 90) % 180
    return table
