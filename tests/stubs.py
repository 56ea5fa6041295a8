"""Small made-up data: stamps drawn by Isolux itself, for tests of everything but the drawing."""

import numpy as np
import torch

import isolux
from isolux.profiles import FlatSky

PARAMETERS = ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")


def gaussian_psf(size: int = 21, fwhm: float = 3.0) -> np.ndarray:
    """A round Gaussian PSF that sums to one."""
    axis = np.arange(size) - size // 2
    profile = np.exp(-0.5 * (axis / (fwhm / 2.3548)) ** 2)
    psf = np.outer(profile, profile)
    return psf / psf.sum()


def truths(count: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Parameters of ``count`` galaxies near the centre of their stamps."""
    rng = np.random.default_rng(seed)
    middle = (size - 1) / 2
    return {
        "x": middle + rng.uniform(-1, 1, count),
        "y": middle + rng.uniform(-1, 1, count),
        "magnitude": rng.uniform(16.0, 17.5, count),
        "effective_radius": rng.uniform(3.0, 7.0, count),
        "sersic_index": rng.uniform(0.8, 4.0, count),
        "axis_ratio": rng.uniform(0.35, 0.9, count),
        "position_angle": rng.uniform(-80, 80, count),
    }


def mock_batch(
    count: int = 6,
    size: int = 48,
    seed: int = 1,
    sky: float = 0.0,
    noise: float = 0.03,
    dtype: torch.dtype = torch.float32,
) -> tuple[isolux.Batch, dict[str, np.ndarray]]:
    """A batch of single Sérsic galaxies with noise, and its truth."""
    truth = truths(count, size, seed)
    psf = gaussian_psf()
    blank = isolux.Batch.from_arrays(
        np.zeros((count, size, size)),
        sigma=np.ones((count, size, size)),
        psf=psf,
        zero_point=22.5,
        dtype=torch.float64,
    )
    scene = isolux.Scene(galaxy=isolux.Sersic(**truth), sky=FlatSky(level=sky))
    clean = scene.images(blank, scene.values(count)).numpy()
    rng = np.random.default_rng(seed + 1000)
    sigma = np.full_like(clean, noise)
    data = clean + sigma * rng.standard_normal(clean.shape)
    batch = isolux.Batch.from_arrays(
        data, sigma=sigma, psf=psf, zero_point=22.5, pixel_scale=0.4, dtype=dtype
    )
    return batch, truth


def drizzled(width: int = 4) -> np.ndarray:
    """The correlation function of noise that a triangular kernel has spread: (2 width - 1) on a side."""
    kernel = np.minimum(np.arange(1, width + 1), np.arange(width, 0, -1)).astype(float)
    line = np.correlate(kernel, kernel, "full")
    return np.outer(line, line) / line.max() ** 2


def first_use() -> None:
    """Have PyTorch give the warnings of its first use, which ``pytest.warns`` would otherwise pass on as errors."""
    ones = np.ones((1, 8, 8))
    isolux.fit(isolux.Batch.from_arrays(ones, sigma=ones), isolux.Scene(galaxy=isolux.Exponential()))
