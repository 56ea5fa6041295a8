"""Isolux's images of the benchmark's cases."""

import warnings

import numpy as np
import torch

from exact.cases import Case, Galaxy
from exact.psfs import Psf
from isolux import Batch, Exponential, FitWarning, Gaussian, Moffat, PointSource, Scene, Sersic
from isolux.profiles.base import Profile, RadialProfile
from isolux.renderer import Renderer

HALF_LIGHT_OF_EXPONENTIAL = 1.6783469900166605
"""Half-light radius of an exponential in units of its scale."""


def image(case: Case, dtype: torch.dtype = torch.float64) -> np.ndarray:
    """A galaxy's image."""
    return draw(component(case.galaxy), case.psf, case.size, dtype)


def point(x: float, y: float, psf: Psf, size: int, dtype: torch.dtype = torch.float64) -> np.ndarray:
    """A point source's image."""
    return draw(PointSource(x=x, y=y, flux=1.0), psf, size, dtype)


def draw(profile: Profile, psf: Psf, size: int, dtype: torch.dtype) -> np.ndarray:
    """The image of one component with numbers for all parameters."""
    scene = Scene(galaxy=profile)
    return scene.images(batch_of(psf, size, dtype), scene.values())[0].double().numpy()


def slopes(
    profile: RadialProfile, psf: Psf, size: int, dtype: torch.dtype = torch.float64
) -> dict[str, np.ndarray]:
    """Derivative images by parameter, as a fit gets them."""
    scene, batch = Scene(galaxy=profile), batch_of(psf, size, dtype)
    names = [name.partition(".")[2] for name in scene.columns]
    wanted = [name for name in names if name != "boxiness" or profile.has_boxiness]
    slots = tuple(wanted.index(name) if name in wanted else None for name in names)
    renderer = Renderer.of(scene.components, batch)
    with torch.no_grad():
        rows, one = torch.tensor([0]), torch.ones_like(batch.image)
        maps = renderer.design(scene.values(), rows, slots, len(wanted), one).combined()
    return dict(zip(wanted, maps[0, 1:].double().numpy(), strict=True))


def batch_of(psf: Psf, size: int, dtype: torch.dtype) -> Batch:
    """An empty stamp with a PSF; that a PSF has too few samples is what the benchmark shows."""
    blank = np.zeros((1, size, size))
    given = {"psf_oversampling": psf.oversampling, "psf_includes_pixel": psf.includes_pixel}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return Batch.from_arrays(blank, sigma=blank + 1, psf=psf.image(), dtype=dtype, **given)


def component(galaxy: Galaxy) -> Profile:
    """The profile of a galaxy of unit flux."""
    common = {
        "x": galaxy.x,
        "y": galaxy.y,
        "flux": 1.0,
        "axis_ratio": galaxy.q,
        "position_angle": galaxy.angle,
    }
    match galaxy.kind:
        case "sersic":
            return Sersic(effective_radius=galaxy.radius, sersic_index=galaxy.index, **common)
        case "exponential":
            return Exponential(scale_radius=galaxy.radius / HALF_LIGHT_OF_EXPONENTIAL, **common)
        case "gaussian":
            return Gaussian(fwhm=2 * galaxy.radius, **common)
        case "moffat":
            return Moffat(fwhm=2 * galaxy.radius, beta=galaxy.index, **common)
    raise ValueError(galaxy.kind)
