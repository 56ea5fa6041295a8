"""Galaxies on the sky, drawn by GalSim through three cameras: pixels turned, mirrored, of other sizes and PSFs."""

import dataclasses

import numpy as np
import torch
from astropy.wcs import WCS

import isolux

RA, DEC = 150.0, 2.0


@dataclasses.dataclass(frozen=True)
class Camera:
    """How a band looks at the sky."""

    wavelength: float
    scale: float
    turn: float
    zero_point: float
    fwhm: float
    noise: float
    size: int
    mirrored: bool = False

    @property
    def jacobian(self) -> np.ndarray:
        """Arcsec to the west and north of a step of one pixel along x and y: (2, 2)."""
        angle = np.radians(self.turn)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return self.scale * turned @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])

    def wcs(self) -> WCS:
        """The stamp's WCS, with a place half a pixel off the middle at RA, DEC."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [RA, DEC]
        wcs.wcs.crpix = [self.middle + 1.3, self.middle + 0.8]
        wcs.wcs.cd = np.diag([-1.0, 1.0]) @ self.jacobian / 3600
        return wcs

    @property
    def middle(self) -> float:
        """Column and row of the stamp's centre."""
        return (self.size - 1) / 2

    @property
    def origin(self) -> np.ndarray:
        """Pixel position of RA, DEC."""
        return np.array([self.middle + 0.3, self.middle - 0.2])

    def pixel(self, west: np.ndarray, north: np.ndarray) -> np.ndarray:
        """Positions (2, galaxy) of places so many arcsec away from RA, DEC."""
        return self.origin[:, None] + np.linalg.inv(self.jacobian) @ np.stack([west, north])

    def angle(self, pa: np.ndarray) -> np.ndarray:
        """Position angles in the image of angles from north, counter-clockwise where west is right."""
        direction = np.linalg.inv(self.jacobian) @ np.stack([-np.sin(np.radians(pa)), np.cos(np.radians(pa))])
        return np.degrees(np.arctan2(-direction[0], direction[1]))


CAMERAS = {
    "g": Camera(480.0, 0.30, 0.0, 27.0, 1.0, 0.9, 44),
    "r": Camera(620.0, 0.40, 25.0, 25.0, 0.9, 0.12, 36),
    "i": Camera(760.0, 0.25, -50.0, 30.0, 0.8, 10.0, 52, mirrored=True),
}


def truths(count: int, seed: int, spread: float = 0.6) -> dict[str, np.ndarray]:
    """Galaxies on the sky: arcsec, degrees, magnitudes by band."""
    rng = np.random.default_rng(seed)
    r = rng.uniform(19.5, 20.5, count)
    return {
        "west": rng.uniform(-spread, spread, count),
        "north": rng.uniform(-spread, spread, count),
        "radius": rng.uniform(1.1, 1.8, count),
        "index": rng.uniform(0.8, 2.5, count),
        "axis_ratio": rng.uniform(0.4, 0.8, count),
        "pa": rng.uniform(-85, 85, count),
        "g": r + rng.uniform(0.4, 1.0, count),
        "r": r,
        "i": r - rng.uniform(0.2, 0.5, count),
    }


def drawn(
    truth: dict[str, np.ndarray],
    cameras: dict[str, Camera] = CAMERAS,
    seed: int = 0,
    slopes: dict[str, float] | None = None,
    dtype: torch.dtype = torch.float32,
    noise: float = 1.0,
) -> dict[str, isolux.Batch]:
    """Batches of the galaxies; ``slopes`` add to log radius, log index or axis ratio over the scaled wavelength."""
    import galsim

    rng = np.random.default_rng(seed)
    count, batches = len(truth["west"]), {}
    for band, camera in cameras.items():
        shape = in_band(truth, camera, cameras, slopes)
        wcs = galsim.JacobianWCS(*camera.jacobian.ravel())
        kernel = galsim.Moffat(beta=3.0, fwhm=camera.fwhm, trunc=4 * camera.fwhm)
        psf = kernel.drawImage(nx=33, ny=33, wcs=wcs, dtype=float).array
        images = []
        for k in range(count):
            q = shape["axis_ratio"][k]
            galaxy = galsim.Sersic(
                n=shape["index"][k],
                half_light_radius=shape["radius"][k] * np.sqrt(q),
                flux=10 ** (-0.4 * (truth[band][k] - camera.zero_point)),
            ).shear(q=q, beta=(truth["pa"][k] + 90) * galsim.degrees)
            off = camera.jacobian @ (camera.pixel(truth["west"], truth["north"])[:, k] - camera.middle)
            whole = galsim.Convolve(galaxy.shift(*off), kernel)
            images.append(whole.drawImage(nx=camera.size, ny=camera.size, wcs=wcs, dtype=float).array)
        sigma = np.full((count, camera.size, camera.size), noise * camera.noise)
        batches[band] = isolux.Batch.from_arrays(
            np.stack(images) + sigma * rng.standard_normal(sigma.shape),
            sigma=sigma,
            psf=psf / psf.sum(),
            zero_point=camera.zero_point,
            pixel_scale=camera.scale,
            wcs=[camera.wcs()] * count,
            dtype=dtype,
        )
    return batches


def in_band(truth, camera, cameras=CAMERAS, slopes=None) -> dict[str, np.ndarray]:
    """Radius in arcsec, index and axis ratio in a band."""
    waves = [c.wavelength for c in cameras.values()]
    place = 2 * (camera.wavelength - min(waves)) / (max(waves) - min(waves)) - 1
    slopes = slopes or {}
    return {
        "radius": truth["radius"] * np.exp(slopes.get("radius", 0.0) * place),
        "index": truth["index"] * np.exp(slopes.get("index", 0.0) * place),
        "axis_ratio": truth["axis_ratio"] + slopes.get("axis_ratio", 0.0) * place,
    }


def expected(truth, camera, band, cameras=CAMERAS, slopes=None) -> dict[str, np.ndarray]:
    """What a fit of a band should find, in its own pixels."""
    shape = in_band(truth, camera, cameras, slopes)
    x, y = camera.pixel(truth["west"], truth["north"])
    return {
        "x": x,
        "y": y,
        "magnitude": truth[band],
        "effective_radius": shape["radius"] / camera.scale,
        "sersic_index": shape["index"],
        "axis_ratio": shape["axis_ratio"],
        "position_angle": camera.angle(truth["pa"]),
    }


WAVELENGTHS = {band: camera.wavelength for band, camera in CAMERAS.items()}
