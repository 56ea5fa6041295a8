"""Real images whose noise is correlated: galaxies of COSMOS with the correlation function measured there."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits

import isolux
from isolux import Flag, FlatSky, Scene, Sersic
from isolux.io.stamps import read_stamps
from isolux.noise import check_correlation, noise_correlation

pytestmark = pytest.mark.real
MODEL = Scene(galaxy=Sersic(), sky=FlatSky())


@pytest.fixture(scope="module")
def function(real_data):
    measured = fits.getdata(real_data / "cosmos-100" / "acs_I_unrot_sci_20_cf.fits").astype(float)
    return measured / measured.max()


@pytest.fixture(scope="module")
def batch(real_data, function, tmp_path_factory):
    """Galaxies on stamps of 60 to 120 pixels, with the function in a file for all."""
    path = tmp_path_factory.mktemp("noise") / "noise.fits"
    fits.writeto(path, function)
    everything = read_stamps(
        table=real_data / "cosmos-100" / "real_galaxy_catalog_26_extension_example.fits",
        id="IDENT",
        image="GAL_FILENAME",
        image_hdu="GAL_HDU",
        psf="PSF_FILENAME",
        psf_hdu="PSF_HDU",
        variance="NOISE_VARIANCE",
        noise_correlation=path,
        pixel_scale="PIXEL_SCALE",
        zero_point=25.937,
    )
    sides = list(zip(everything.height, everything.width, strict=True))
    small = [k for k, (tall, wide) in enumerate(sides) if min(tall, wide) > 60 and max(tall, wide) <= 120]
    return everything.select(small[:12])


def test_the_measured_function_is_one(function):
    rho = check_correlation(function)
    assert rho.shape == (81, 81)
    assert rho[40, 41] == pytest.approx(0.476, abs=1e-3)


def test_errors_are_twice_those_of_independent_pixels(batch):
    """A light spread over many pixels has the noise of the sum of the function, 6.1: 2.5 times the error."""
    known = isolux.fit(batch, MODEL)
    plain = isolux.fit(dataclasses.replace(batch, noise_correlation=None), MODEL)
    assert torch.equal(torch.nan_to_num(known.values), torch.nan_to_num(plain.values))
    ratio = (known.errors / plain.errors)[torch.tensor([Flag.AT_BOUND not in f for f in known.flags])]
    middle = dict(
        zip([c.name.partition(".")[2] for c in known.columns], ratio.nanmedian(0).values, strict=True)
    )
    for name in ("x", "y", "magnitude", "effective_radius", "sersic_index", "axis_ratio", "level"):
        assert 1.6 < middle[name] < 2.6, name
    assert np.nanmedian(known.n_effective) > 25  # for 8 free parameters


def test_the_function_measured_in_the_stamps_edges_is_like_the_catalogue_s(batch, function):
    """What is left of the stamps when the galaxies are fitted and their middles masked."""
    result = isolux.fit(batch, MODEL, errors="none")
    left = (batch.image - MODEL.images(batch, result.values)).numpy()
    mask = batch.mask.numpy().copy()
    for k, (tall, wide) in enumerate(zip(batch.height, batch.width, strict=True)):
        y, x = np.mgrid[: mask.shape[1], : mask.shape[2]]
        mask[k] |= np.hypot(y - tall / 2, x - wide / 2) < 0.35 * min(tall, wide)
    measured = noise_correlation(left, mask, reach=3)
    assert np.abs(measured - function[37:44, 37:44]).max() < 0.06
