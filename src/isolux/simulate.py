"""Mock stamps of galaxies with their truth, drawn by :mod:`isolux.scene`.

A mock image is the convolved model with the noise of photons and of the sky,

    image = Poisson(gain * model) / gain + Normal(0, sky_sigma),     sigma^2 = model / gain + sky_sigma^2

and its PSF a Moffat profile averaged over pixels, like the image of a star. Where pixels are to share noise, all of
it is Gaussian, image = model + sigma * n, with n drawn from its correlation function. Galaxies are spread like those of
a shallow survey: Sérsic index log-uniform from 0.5 to 6, half-light radius log-uniform from 1.5 to 8 arcsec.
What Isolux draws itself tests everything but the drawing; that is tested against GalSim.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.mock.psfs import Moffat
from isolux.noise import check_correlation, correlated_noise
from isolux.profiles import Exponential, FlatSky, Profile, Sersic
from isolux.profiles.exponential import HALF_LIGHT
from isolux.scene import Scene
from isolux.types import Images, Tensor

Truth = dict[str, np.ndarray]
"""Arrays (galaxy,) by full parameter name, in the units of a fit: pixels, magnitudes, degrees."""
AT_ONCE = 64
"""Stamps drawn at the same time."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """How the mock survey looks at its galaxies.

    Parameters
    ----------
    size : int
        Rows and columns of a stamp.
    pixel_scale : float
        Arcsec a pixel.
    zero_point : float
        AB magnitude of one image unit; 22.5 makes that a nanomaggie.
    psf_fwhm : (float, float)
        Range in arcsec from which each galaxy's full width at half maximum is drawn.
    psf_beta : float
        Exponent of the Moffat profile.
    psf_size : int
        Rows and columns of a PSF stamp; odd.
    gain : float
        Electrons per image unit.
    sky_sigma : (float, float)
        Range in image units from which the sky's noise a pixel is drawn.
    sky_level : float
        Sky left in the images, in image units a pixel; its own photons are part of ``sky_sigma``.

    Raises
    ------
    InputError
        If one of them cannot be.
    """

    size: int = 128
    pixel_scale: float = 0.396
    zero_point: float = 22.5
    psf_fwhm: tuple[float, float] = (1.2, 1.4)
    psf_beta: float = 3.5
    psf_size: int = 41
    gain: float = 1000.0
    sky_sigma: tuple[float, float] = (0.02, 0.03)
    sky_level: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 8:
            raise InputError("size of the mock stamps in pixels", self.size, "8 or more")
        if self.psf_size < 1 or self.psf_size % 2 == 0:
            raise InputError("psf_size in pixels", self.psf_size, "an odd number")
        if self.psf_beta <= 1:
            raise InputError("psf_beta", self.psf_beta, "above 1, where the flux is finite")
        for name in ("pixel_scale", "gain"):
            if not getattr(self, name) > 0:
                raise InputError(name, getattr(self, name), "above 0")
        for name in ("psf_fwhm", "sky_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(
                    f"{name}: range from which it is drawn", (low, high), "0 < lowest <= highest"
                )


def mock_stamps(
    count: int,
    model: str = "sersic",
    *,
    seed: int = 0,
    observation: Observation | None = None,
    noise_correlation: Any = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Batch, Truth]:
    """Simulate stamps of single galaxies.

    Parameters
    ----------
    count : int
        Number of galaxies.
    model : {"sersic", "bulge+disc"}
        A single Sérsic galaxy, or a bulge (Sérsic, index 4) and an exponential disc with one centre.
    seed : int
        The same seed gives the same stamps.
    observation : Observation, optional
        Size, pixel scale, PSF and noise of the survey; one like SDSS if left out.
    noise_correlation : array, optional
        (v, u): correlation function of the noise, as in drizzled images; see :mod:`isolux.noise`.
    dtype : torch.dtype
        Of the batch; the stamps are drawn in float64.

    Returns
    -------
    batch : Batch
        Images with the standard deviations of the noise that they hold and their PSFs; ids ``mock_000``, ...
    truth : dict
        Arrays (galaxy,) by full parameter name (``sersic.x``, ``sky.level``, ...), in a fit's units.

    Raises
    ------
    InputError
        For a count below 1, an unknown model or a correlation function that cannot be one.

    Examples
    --------
    >>> batch, truth = mock_stamps(3, seed=7)
    >>> batch.image.shape
    torch.Size([3, 128, 128])
    """
    if count < 1:
        raise InputError("number of mock galaxies", count, "1 or more")
    if model not in MODELS:
        raise unknown_name("mock model", model, MODELS)
    view = observation or Observation()
    rng = np.random.default_rng(seed)
    truth = MODELS[model](rng, count, view)
    truth["sky.level"] = np.full(count, view.sky_level)
    fwhm = rng.uniform(*view.psf_fwhm, count) / view.pixel_scale
    made = {width: moffat_psf(width, view.psf_beta, view.psf_size) for width in np.unique(fwhm).tolist()}
    psf = np.stack([made[width] for width in fwhm.tolist()])
    clean = _drawn(truth, psf, view)
    sky_sigma = rng.uniform(*view.sky_sigma, count)[:, None, None]
    sigma = np.sqrt(np.maximum(clean - view.sky_level, 0) / view.gain + sky_sigma**2)
    if noise_correlation is None:
        photons = rng.poisson(np.maximum(clean - view.sky_level, 0) * view.gain) / view.gain
        image = photons + view.sky_level + sky_sigma * rng.standard_normal(clean.shape)
    else:
        image = clean + sigma * _correlated(noise_correlation, clean.shape, rng)
    digits = max(3, len(str(count - 1)))
    batch = Batch.from_arrays(
        image,
        sigma=sigma,
        psf=psf,
        noise_correlation=noise_correlation,
        id=[f"mock_{k:0{digits}d}" for k in range(count)],
        zero_point=view.zero_point,
        pixel_scale=view.pixel_scale,
        dtype=dtype,
    )
    return batch, truth


def draw(
    scene: Scene, shape: tuple[int, int], *, psf: Any = None, zero_point: Any = 0.0, galaxies: int = 1
) -> tuple[Images, dict[str, Images]]:
    """The model images of a scene, without data and without a fit.

    Parameters
    ----------
    scene : Scene
        With a number for every parameter, or one a galaxy.
    shape : (int, int)
        Rows and columns of the images.
    psf : array, optional
        (v, u), or (galaxy, v, u): odd-sized, with the pixel in it like the image of a star; without it the
        model is averaged over pixels alone.
    zero_point : float or array
        AB magnitude of one image unit.
    galaxies : int
        Number of images, where the scene's numbers are one a galaxy.

    Returns
    -------
    total : Tensor
        (galaxy, y, x), float64.
    components : dict
        The same for each component by itself, by name.

    Raises
    ------
    InputError
        Where a parameter has no number.

    Examples
    --------
    >>> disc = Exponential(x=31, y=31, magnitude=17, scale_radius=6, axis_ratio=0.5, position_angle=30)
    >>> total, components = draw(Scene(disc=disc), (64, 64), zero_point=22.5)
    >>> total.shape
    torch.Size([1, 64, 64])
    """
    blank = np.zeros((galaxies, *shape))
    batch = Batch.from_arrays(
        blank, sigma=np.ones_like(blank), psf=psf, zero_point=zero_point, dtype=torch.float64
    )
    components = scene.component_images(batch, scene.values(galaxies))
    return torch.stack(list(components.values())).sum(0), components


def mock_scene(truth: Truth) -> Scene:
    """The scene that a truth was drawn with: its components, each parameter at its true value."""
    settings: dict[str, dict[str, np.ndarray]] = {}
    for full_name, values in truth.items():
        component, parameter = full_name.split(".")
        settings.setdefault(component, {})[parameter] = values
    kinds: dict[str, type[Profile]] = {"disc": Exponential, "sky": FlatSky}
    return Scene(**{name: kinds.get(name, Sersic)(**named) for name, named in settings.items()})


def moffat_psf(fwhm: float, beta: float = 3.5, size: int = 41) -> np.ndarray:
    """A round Moffat PSF averaged over pixels, as in the image of a star centred on a pixel.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum in pixels, before the pixel's average.
    beta : float
        Exponent.
    size : int
        Rows and columns; odd.

    Returns
    -------
    numpy.ndarray
        (size, size), summing to one.
    """
    averaged = Moffat(fwhm, beta).image(size // 2, 1.0, 1, np.eye(2), points=9)
    return averaged / averaged.sum()


def _drawn(truth: Truth, psf: np.ndarray, view: Observation) -> np.ndarray:
    """Convolved images (galaxy, y, x) without noise."""
    parts: list[Tensor] = []
    for first in range(0, len(psf), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        scene = mock_scene({name: values[some] for name, values in truth.items()})
        shape, count = (view.size, view.size), len(psf[some])
        parts.append(draw(scene, shape, psf=psf[some], zero_point=view.zero_point, galaxies=count)[0])
    return torch.cat(parts).numpy()


def _correlated(correlation: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise (galaxy, y, x) of unit standard deviation."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    rho = torch.as_tensor(check_correlation(correlation))
    return correlated_noise(rho, (shape[1], shape[2]), shape[0], generator).numpy()


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    return np.exp(rng.uniform(math.log(low), math.log(high), count))


def _centre(rng: np.random.Generator, count: int, view: Observation) -> tuple[np.ndarray, np.ndarray]:
    middle = (view.size - 1) / 2
    return middle + rng.uniform(-1, 1, count), middle + rng.uniform(-1, 1, count)


def _sersic(rng: np.random.Generator, count: int, view: Observation) -> Truth:
    x, y = _centre(rng, count, view)
    return {
        "sersic.x": x,
        "sersic.y": y,
        "sersic.magnitude": rng.uniform(15.0, 18.5, count),
        "sersic.effective_radius": _log_uniform(rng, 1.5, 8.0, count) / view.pixel_scale,
        "sersic.sersic_index": _log_uniform(rng, 0.5, 6.0, count),
        "sersic.axis_ratio": rng.uniform(0.2, 0.95, count),
        "sersic.position_angle": rng.uniform(-90, 90, count),
    }


def _bulge_disc(rng: np.random.Generator, count: int, view: Observation) -> Truth:
    x, y = _centre(rng, count, view)
    total = rng.uniform(15.0, 17.5, count)
    share = rng.uniform(0.15, 0.6, count)
    disc_radius = _log_uniform(rng, 3.0, 8.0, count) / view.pixel_scale
    angle = rng.uniform(-90, 90, count)
    return {
        "bulge.x": x,
        "bulge.y": y,
        "bulge.magnitude": total - 2.5 * np.log10(share),
        "bulge.effective_radius": disc_radius * _log_uniform(rng, 0.12, 0.4, count),
        "bulge.sersic_index": np.full(count, 4.0),
        "bulge.axis_ratio": rng.uniform(0.6, 0.95, count),
        "bulge.position_angle": (angle + rng.normal(0, 15, count) + 90) % 180 - 90,
        "disc.x": x,
        "disc.y": y,
        "disc.magnitude": total - 2.5 * np.log10(1 - share),
        "disc.scale_radius": disc_radius / HALF_LIGHT,
        "disc.axis_ratio": rng.uniform(0.25, 0.9, count),
        "disc.position_angle": angle,
    }


MODELS: dict[str, Callable[[np.random.Generator, int, Observation], Truth]] = {
    "sersic": _sersic,
    "bulge+disc": _bulge_disc,
}
"""What can be simulated, by name."""
