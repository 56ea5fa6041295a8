"""The Cramer-Rao bound of single Sersic galaxies that nothing is near, with the sky of the stamp unknown.

The Fisher matrix J^T W J of the seven parameters and the sky is that of Isolux's fit at the truth: the data are the
noiseless image itself, and sigma^2 that of the sky and of the model's own photons. No unbiased fit of the same stamp
has smaller errors; a fit that knows more (the sky of a larger area, how galaxies are) may.
"""

import numpy as np
import torch
from field_mocks import Mock
from scipy.spatial import cKDTree

from isolux import Batch, Fixed, FlatSky, Free, Scene, Sersic, fit

SIDES = (48, 64, 96, 128, 192, 256)
REACH, MARGIN = 6.0, 2.0
"""Half a stamp's side: so many half-light radii and widths of the PSF."""
AT_ONCE = 32
NAMES = {"magnitude": "magnitude", "re": "effective_radius", "n": "sersic_index", "q": "axis_ratio"}
NEAR, FAINTER = 3.0, 2.0
"""A galaxy is isolated if no source that is at most so many magnitudes fainter is within so many times both radii."""
PSF_SHARE = 0.5


def isolated(mock: Mock) -> np.ndarray:
    """Which galaxies lie in the image with nothing near that matters."""
    truth = mock.truth
    x, y, magnitude = truth["x"], truth["y"], truth["magnitude"]
    size = reach(mock)
    good = mock.galaxies & (truth["inside"] > 0.98)
    tree = cKDTree(np.stack([x, y], 1))
    for k in np.flatnonzero(good):
        near = np.array(tree.query_ball_point((x[k], y[k]), NEAR * (size[k] + size.max())), int)
        near = near[(near != k) & (magnitude[near] < magnitude[k] + FAINTER)]
        good[k] = not (np.hypot(x[near] - x[k], y[near] - y[k]) < NEAR * (size[k] + size[near])).any()
    return good


def reach(mock: Mock) -> np.ndarray:
    """Half-light radius in pixels with half of the PSF's width."""
    return np.nan_to_num(mock.truth["half_light_radius"]) / mock.image.pixel_scale + PSF_SHARE * mock.fwhm


def bound(mock: Mock, rows: np.ndarray, sky: bool = True) -> dict[str, np.ndarray]:
    """Least standard deviations (row,) of some galaxies: ``magnitude``, ``re`` (arcsec), ``n``, ``q``.

    With ``sky=False`` as though the sky were known.
    """
    truth, scale = mock.truth, mock.image.pixel_scale
    need = 2 * (REACH * truth["effective_radius"][rows] / scale + MARGIN * mock.fwhm) + 1
    sides = np.array([next((s for s in SIDES if s >= n), SIDES[-1]) for n in need])
    out = {name: np.full(len(rows), np.nan) for name in NAMES}
    for side in np.unique(sides):
        places = np.flatnonzero(sides == side)
        for first in range(0, len(places), AT_ONCE):
            some = places[first : first + AT_ONCE]
            for name, values in _errors(mock, rows[some], int(side), sky).items():
                out[name][some] = values
    out["re"] *= scale
    return out


def _errors(mock: Mock, rows: np.ndarray, side: int, sky: bool) -> dict[str, np.ndarray]:
    truth, image = mock.truth, mock.image
    x, y = truth["x"][rows], truth["y"][rows]
    middle = (side - 1) // 2
    values = {
        "x": x - np.round(x) + middle,
        "y": y - np.round(y) + middle,
        "magnitude": truth["magnitude"][rows],
        "effective_radius": truth["effective_radius"][rows] / image.pixel_scale,
        "sersic_index": truth["sersic_index"][rows],
        "axis_ratio": truth["axis_ratio"][rows],
        "position_angle": truth["position_angle"][rows],
    }
    common = {
        "psf": mock.psf.at(x, y),
        "psf_oversampling": mock.psf.oversampling,
        "zero_point": image.zero_point,
        "dtype": torch.float64,
    }
    blank = np.zeros((len(rows), side, side))
    empty = Batch.from_arrays(blank, sigma=np.ones_like(blank), **common)
    scene = Scene(galaxy=Sersic(), sky=FlatSky(level=Free() if sky else Fixed(0.0)))
    known = {f"galaxy.{name}": v for name, v in values.items()}
    if sky:
        known["sky.level"] = np.zeros(len(rows))
    drawn = Scene(galaxy=Sersic(**values))
    light = sum(drawn.component_images(empty, drawn.values(len(rows))).values()).numpy()
    noise = np.sqrt(np.median(image.sigma) ** 2 + np.maximum(light, 0) / image.gain)
    result = fit(Batch.from_arrays(light, sigma=noise, **common), scene, start=known)
    return {name: np.asarray(result.error(f"galaxy.{theirs}")) for name, theirs in NAMES.items()}
