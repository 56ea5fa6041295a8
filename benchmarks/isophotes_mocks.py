"""Mock galaxies for the benchmark of isophotes, drawn by GalSim, with the truth of their profiles.

Each galaxy is drawn without noise at a quarter of the pixel scale, seen through PSF and pixel: the brightness that a
pixel centred anywhere would have. The truth is measured in that image with SciPy's quintic splines alone: at each
semi-major axis the ellipse along which the second-order Fourier terms vanish, about the true centre, and the mean
brightness along it. Kinds: one Sérsic profile, bulge and disc of different shape and angle, and a disc with bulge, bar
and spiral arms; a third has neighbours and stars, with a mask of the pixels where these are brighter than half of the
noise.
"""

import dataclasses
import os
from pathlib import Path

import galsim
import numpy as np
from scipy import ndimage

SIZE, SCALE, ZERO_POINT, GAIN, FINE = 128, 0.396, 22.5, 1000.0, 4
KINDS = ("sersic", "bulge+disc", "barred spiral")
PARAMS = galsim.GSParams(folding_threshold=2e-3, maximum_fft_size=16384)
FAINTEST = 28.5
"""Where the truth ends, mag/arcsec^2."""
ANGLES = 256


@dataclasses.dataclass
class Mock:
    """One mock galaxy: images (y, x) in nanomaggies a pixel, the fine one without noise, the truth by radius."""

    kind: str
    crowded: bool
    image: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray
    psf_fwhm: float
    x: float
    y: float
    fine: np.ndarray
    sma: np.ndarray
    brightness: np.ndarray
    ellipticity: np.ndarray
    position_angle: np.ndarray

    def mean_along(self, x, y, sma, ellipticity, position_angle) -> np.ndarray:
        """Mean brightness of the noiseless galaxy along ellipses in pixels and degrees from +y."""
        return mean_along(spline(self.fine), x, y, sma, ellipticity, position_angle)


def mocks(count: int, seed: int, folder: Path) -> list[Mock]:
    """The mocks, from the folder where they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    return [stored(folder / f"mock-{seed}-{k:03d}.npz", k, seed) for k in range(count)]


def stored(path: Path, number: int, seed: int) -> Mock:
    """A mock from its file, made if it is not there."""
    if not path.exists():
        made = make(number, np.random.default_rng([seed, number]))
        np.savez_compressed(path.with_suffix(".part.npz"), **dataclasses.asdict(made))
        os.replace(path.with_suffix(".part.npz"), path)
    with np.load(path) as file:
        return Mock(**{name: file[name][()] for name in file.files})


def make(number: int, rng: np.random.Generator) -> Mock:
    """Draw a mock."""
    kind = KINDS[(0, 0, 1, 1, 2)[number % 5]]
    crowded = number % 3 == 0
    fwhm, sky = rng.uniform(1.1, 1.4), rng.uniform(0.02, 0.03)
    psf = galsim.Moffat(beta=3, fwhm=fwhm, gsparams=PARAMS)
    seen = galsim.Convolve(psf, galsim.Pixel(SCALE), gsparams=PARAMS)
    centre = (SIZE - 1) / 2 + rng.uniform(-1, 1, 2)
    galaxy = {"sersic": sersic, "bulge+disc": double, "barred spiral": spiral}[kind](rng)
    fine = drawn(galsim.Convolve(galaxy, seen, gsparams=PARAMS), centre, FINE)
    clean = sample(spline(fine), *np.meshgrid(np.arange(SIZE), np.arange(SIZE)))
    others = np.zeros_like(clean)
    if crowded:
        for _ in range(rng.integers(1, 4)):
            others += neighbour(rng, centre, seen)
    sigma = np.sqrt(sky**2 + np.clip(clean + others, 0, None) / GAIN)
    image = clean + others + rng.normal(0, 1, clean.shape) * sigma
    truth = isophotes(spline(fine), *centre)
    return Mock(kind, crowded, image, sigma, others > 0.5 * sky, fwhm / SCALE, *centre, fine, *truth)


def sersic(rng: np.random.Generator) -> galsim.GSObject:
    """One Sérsic profile."""
    n, re = 10 ** rng.uniform(np.log10(0.5), np.log10(5)), 10 ** rng.uniform(np.log10(1.5), np.log10(6))
    return component(rng.uniform(15, 18.2), re, n, rng.uniform(0.25, 0.95), rng.uniform(0, 180))


def double(rng: np.random.Generator) -> galsim.GSObject:
    """Bulge and disc."""
    magnitude, share, re = rng.uniform(15, 17.5), rng.uniform(0.1, 0.7), rng.uniform(3, 7)
    angle, flux = rng.uniform(0, 180), np.array([share, 1 - share])
    mags = magnitude - 2.5 * np.log10(flux)
    small = max(0.8, re * rng.uniform(0.15, 0.5))
    bulge = component(mags[0], small, rng.uniform(2, 4), rng.uniform(0.6, 0.95), angle + rng.normal(0, 20))
    return bulge + component(mags[1], re, 1, rng.uniform(0.3, 0.9), angle)


def spiral(rng: np.random.Generator) -> galsim.GSObject:
    """A disc with bulge, bar and two arms, from an image of an eighth of a pixel."""
    side, step = 8 * 2 * SIZE // 2, SCALE / 8
    axis = (np.arange(side) - side / 2 + 0.5) * step
    q, angle, turn = rng.uniform(0.45, 0.9), rng.uniform(0, np.pi), rng.uniform(0, np.pi)
    x, y = np.meshgrid(axis, axis)
    u, v = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / q
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    length = rng.uniform(2.5, 4.0)
    arms = rng.uniform(0.2, 0.45) * np.cos(
        2 * (phi - np.log(np.maximum(r, 0.1)) / np.tan(rng.uniform(0.25, 0.5)))
    )
    disc = np.exp(-r / length) * (1 + arms * np.clip((r - length) / length, 0, 1))
    bu, bv = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    bar_length = rng.uniform(0.7, 1.1) * length
    bar = np.clip(1 - (bu / bar_length) ** 2 - (bv / (0.35 * bar_length)) ** 2, 0, None) ** 2
    bulge = np.exp(-((r / (0.25 * length)) ** 0.7))
    image = disc / disc.sum() + rng.uniform(0.05, 0.15) * bar / bar.sum()
    image = image + rng.uniform(0.03, 0.2) * bulge / bulge.sum()
    flux = 10 ** (-0.4 * (rng.uniform(15, 16.5) - ZERO_POINT))
    flat = galsim.Image(image / image.sum(), scale=step)
    return galsim.InterpolatedImage(flat, flux=flux, x_interpolant="cubic", gsparams=PARAMS)


def neighbour(rng: np.random.Generator, centre: np.ndarray, seen: galsim.GSObject) -> np.ndarray:
    """A star or a smaller galaxy some way off."""
    away, angle = rng.uniform(14, 58), rng.uniform(0, 2 * np.pi)
    place = centre + away * np.array([np.cos(angle), np.sin(angle)])
    if rng.random() < 0.5:
        thing = seen.withFlux(10 ** (-0.4 * (rng.uniform(16, 20) - ZERO_POINT)))
    else:
        own = component(
            rng.uniform(17, 20), rng.uniform(0.8, 2), 1, rng.uniform(0.4, 0.9), rng.uniform(0, 180)
        )
        thing = galsim.Convolve(own, seen, gsparams=PARAMS)
    return drawn(thing, place, 1)


def component(magnitude: float, re: float, n: float, q: float, angle: float) -> galsim.GSObject:
    """A Sérsic galaxy of major half-light axis ``re``."""
    flux = 10 ** (-0.4 * (magnitude - ZERO_POINT))
    round_one = galsim.Sersic(n=n, half_light_radius=re * np.sqrt(q), flux=flux, gsparams=PARAMS)
    return round_one.shear(q=q, beta=angle * galsim.degrees)


def drawn(thing: galsim.GSObject, centre: np.ndarray, finer: int) -> np.ndarray:
    """Brightness in image units a pixel, sampled at ``finer`` points a pixel from pixel 0 on, the pixel included."""
    count = finer * (SIZE - 1) + 1
    offset = finer * (centre - (SIZE - 1) / 2)
    image = thing.drawImage(
        nx=count, ny=count, scale=SCALE / finer, method="no_pixel", offset=tuple(offset), dtype=float
    )
    return image.array * finer**2


def spline(fine: np.ndarray) -> np.ndarray:
    """Coefficients of quintic splines."""
    return ndimage.spline_filter(np.asarray(fine, dtype=float), order=5, mode="mirror")


def sample(coefficients: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The fine image at positions in pixels."""
    return ndimage.map_coordinates(
        coefficients, [y * FINE, x * FINE], order=5, prefilter=False, mode="nearest"
    )


def ring(x: float, y: float, sma: float, e: float, angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of an ellipse, and their anomalies."""
    phi = np.arange(ANGLES) * 2 * np.pi / ANGLES
    turn = np.radians(angle)
    u, v = sma * np.cos(phi), sma * (1 - e) * np.sin(phi)
    return x - u * np.sin(turn) - v * np.cos(turn), y + u * np.cos(turn) - v * np.sin(turn), phi


def mean_along(coefficients, x, y, sma, ellipticity, position_angle) -> np.ndarray:
    """Mean brightness along ellipses."""
    each = zip(sma, ellipticity, position_angle, strict=True)
    return np.array([sample(coefficients, *ring(x, y, a, e, t)[:2]).mean() for a, e, t in each])


def isophotes(coefficients: np.ndarray, x: float, y: float) -> tuple[np.ndarray, ...]:
    """Semi-major axes, brightness, ellipticity and angle of the true isophotes, from the centre outwards."""
    sma = np.concatenate([[0.0], 0.4 * 1.08 ** np.arange(75)])
    rows, shape = [], np.array([0.1, 0.0])
    for a in sma[sma < 0.7 * SIZE]:
        if a > 0:
            shape = isophote(coefficients, x, y, a, shape)
        e, angle = np.hypot(*shape), 0.5 * np.degrees(np.arctan2(shape[1], shape[0]))
        level = sample(coefficients, *ring(x, y, a, e, angle)[:2]).mean()
        rows.append((a, level, e, angle))
        if level < 10 ** (-0.4 * (FAINTEST - ZERO_POINT)) * SCALE**2 or a > 0.5 * SIZE / max(1 - e, 0.7):
            break
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def isophote(coefficients: np.ndarray, x: float, y: float, a: float, shape: np.ndarray) -> np.ndarray:
    """The shape (e cos 2 PA, e sin 2 PA) of the isophote of one semi-major axis, by Newton steps with differences."""

    def second(s: np.ndarray) -> np.ndarray:
        e, angle = min(np.hypot(*s), 0.94), 0.5 * np.degrees(np.arctan2(s[1], s[0]))
        px, py, phi = ring(x, y, a, e, angle)
        light = sample(coefficients, px, py)
        level = np.array([(light * np.cos(2 * phi)).mean(), (light * np.sin(2 * phi)).mean()]) / light.mean()
        # In the frame of the image, so that the angle of a round ellipse does not matter.
        twice = 2 * np.radians(angle)
        return np.array(
            [
                level[0] * np.cos(twice) - level[1] * np.sin(twice),
                level[0] * np.sin(twice) + level[1] * np.cos(twice),
            ]
        )

    for _ in range(12):
        here = second(shape)
        if np.hypot(*here) < 1e-6:
            break
        step = 1e-3
        jacobian = np.stack([(second(shape + step * unit) - here) / step for unit in np.eye(2)], 1)
        change = np.linalg.lstsq(jacobian, -here, rcond=1e-3)[0]
        shape = shape + change * min(1.0, 0.1 / max(np.hypot(*change), 1e-9))
        if (size := np.hypot(*shape)) > 0.92:
            shape *= 0.92 / size
    return shape
