"""The same mock galaxies measured by statmorph (Rodriguez-Gomez et al. 2019), with the same ellipse and noise."""

import warnings

import numpy as np
import pytest

from isolux.nonparametric import Shapes, measure_shapes
from isolux.simulate import Observation, mock_stamps

COUNT, SIDE = 4, 72
# Statmorph integrates apertures exactly, Isolux to some 1e-4 of the flux with half-pixel shells; it begins its search
# for the first crossing at steps of 1 pixel, Isolux of a half, which under noise may find an earlier one. Its sky terms
# are those of one 32 x 32 box, those of Isolux come from sigma; its centre differs by some hundredths of a pixel. The
# half-light radius is that of all light within the outline at the noise of the sky, which is not smooth.
RELATIVE = {
    "petrosian_radius_circular": ("rpetro_circ", 0.01),
    "petrosian_radius": ("rpetro_ellip", 0.01),
    "petrosian_flux_circular": ("flux_circ", 0.002),
    "petrosian_flux": ("flux_ellip", 0.002),
    "half_light_radius": ("rhalf_ellip", 0.04),
    "r20": ("r20", 0.003),
    "r50": ("r50", 0.004),
    "r80": ("r80", 0.005),
    "signal_to_noise": ("sn_per_pixel", 0.02),
}
ABSOLUTE = {
    "concentration": ("concentration", 0.01),
    "asymmetry": ("asymmetry", 0.02),
    "outer_asymmetry": ("outer_asymmetry", 0.04),
    "shape_asymmetry": ("shape_asymmetry", 0.06),
    "smoothness": ("smoothness", 0.01),
    "gini": ("gini", 0.005),
    "m20": ("m20", 0.02),
    "ellipticity": ("ellipticity_asymmetry", 0.005),
    "x": ("xc_asymmetry", 0.1),
    "y": ("yc_asymmetry", 0.1),
}


@pytest.fixture(scope="module")
def both() -> tuple[Shapes, list]:
    """Return Isolux's shapes and statmorph's of bright, well resolved mocks."""
    statmorph = pytest.importorskip("statmorph")
    view = Observation(size=SIDE, pixel_scale=0.7, sky_sigma=(0.01, 0.01), psf_size=15, psf_fwhm=(1.6, 1.7))
    batch, _ = mock_stamps(COUNT, seed=12, observation=view)
    images = batch.image.double().numpy()
    segments = images > 0.05
    theirs = []
    for image, segment in zip(images, segments, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            labels = connected(segment)
            fit = {"maxiter": 1}
            theirs.append(
                statmorph.SourceMorphology(
                    image,
                    labels,
                    1,
                    gain=view.gain,
                    cutout_extent=9,
                    n_sigma_outlier=0,
                    sersic_fitting_args=fit,
                )
            )
    ours = measure_shapes(
        images,
        None,
        [t.sky_sigma for t in theirs],
        [t.xc_centroid for t in theirs],
        [t.yc_centroid for t in theirs],
        [1 / t.elongation_asymmetry for t in theirs],
        [np.degrees(t.orientation_asymmetry) - 90 for t in theirs],
        gain=view.gain,
        segmentation=np.stack([connected(segment) for segment in segments]),
    )
    return ours, theirs


def connected(segment: np.ndarray) -> np.ndarray:
    """Return one where the piece around the middle is."""
    from scipy.ndimage import label

    labels, _ = label(segment, np.ones((3, 3)))
    return (labels == labels[SIDE // 2, SIDE // 2]).astype(int)


@pytest.mark.parametrize("name", RELATIVE)
def test_sizes_and_fluxes_agree(both, name):
    ours, theirs = both
    attribute, tolerance = RELATIVE[name]
    for k in range(COUNT):
        assert float(ours[name][k]) == pytest.approx(getattr(theirs[k], attribute), rel=tolerance), k


@pytest.mark.parametrize("name", ABSOLUTE)
def test_shapes_agree(both, name):
    ours, theirs = both
    attribute, tolerance = ABSOLUTE[name]
    for k in range(COUNT):
        if name == "smoothness" and theirs[k].rpetro_circ < 8:  # squares of one pixel smooth nothing
            assert np.isnan(float(ours[name][k]))
        else:
            assert float(ours[name][k]) == pytest.approx(getattr(theirs[k], attribute), abs=tolerance), k
