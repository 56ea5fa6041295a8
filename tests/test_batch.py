"""Batches from arrays and NDData: what is accepted, repaired, refused."""

import numpy as np
import pytest
import torch
from astropy.nddata import CCDData, InverseVariance, NDData, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from isolux import Batch, FitWarning, Flag, InputError, Stamp, Status
from stubs import gaussian_psf

RNG = np.random.default_rng(7)
IMAGE = RNG.normal(1.0, 0.1, (3, 12, 14))
SIGMA = np.full_like(IMAGE, 0.1)


def test_uncertainty_in_every_form_is_the_same():
    batches = [
        Batch.from_arrays(IMAGE, sigma=SIGMA),
        Batch.from_arrays(IMAGE, variance=SIGMA**2),
        Batch.from_arrays(IMAGE, ivar=1 / SIGMA**2),
        Batch.from_arrays(list(IMAGE), sigma=[0.1, 0.1, 0.1]),
    ]
    for batch in batches:
        assert torch.allclose(batch.sigma, torch.tensor(SIGMA, dtype=torch.float32))
        assert batch.shape == (12, 14)


def test_sigma_from_gain_and_sky():
    """sqrt((data + sky) gain + read noise^2) / gain, never below the sky's own noise."""
    batch = Batch.from_arrays(
        np.array([[[100.0, -50.0]]]), gain=2.0, sky=30.0, read_noise=4.0, dtype=torch.float64
    )
    expected = np.sqrt(np.array([130.0, 30.0]) * 2 + 16) / 2
    assert np.allclose(batch.sigma[0, 0], expected)


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_nddata_brings_everything_along(kind):
    power = {StdDevUncertainty: 1, VarianceUncertainty: 2, InverseVariance: -2}[kind]
    mask = IMAGE[0] > 1.2
    data = NDData(IMAGE[0], uncertainty=kind(SIGMA[0] ** power), mask=mask, wcs=WCS(naxis=2))
    batch = Batch.from_arrays([data, data], id=["a", "b"])
    assert torch.allclose(batch.sigma[0][~batch.mask[0]], torch.tensor(0.1))
    assert np.array_equal(batch.mask[1], mask)
    assert batch.wcs[0] is not None
    single = CCDData(IMAGE[0], unit="adu", uncertainty=kind(SIGMA[0] ** power))
    assert len(Batch.from_arrays(single)) == 1


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<i2", ">i4", np.uint8, np.float16])
def test_any_number_type_and_byte_order(dtype):
    image = (IMAGE * 10).astype(dtype)
    batch = Batch.from_arrays(image, sigma=SIGMA)
    assert batch.image.dtype == torch.float32
    assert np.allclose(batch.image, image.astype(float))


def test_the_caller_s_arrays_are_left_alone():
    image, sigma, mask, psf = IMAGE.copy(), SIGMA.copy(), np.zeros(IMAGE.shape, bool), 5 * gaussian_psf()
    image[0, 3, 3] = np.nan
    before = [a.copy() for a in (image, sigma, mask, psf)]
    Batch.from_arrays(image, sigma=sigma, mask=mask, psf=psf)
    for now, then in zip((image, sigma, mask, psf), before, strict=True):
        assert np.array_equal(now, then, equal_nan=True)


def test_masked_arrays_and_integer_masks():
    image = np.ma.masked_array(IMAGE, mask=IMAGE > 1.2)
    batch = Batch.from_arrays(image, sigma=SIGMA)
    assert np.array_equal(batch.mask, IMAGE > 1.2)
    labelled = Batch.from_arrays(IMAGE, sigma=SIGMA, mask=3 * (IMAGE > 1.2).astype(int))
    assert torch.equal(labelled.mask, batch.mask)


def test_one_psf_for_all_or_one_each():
    one, each = gaussian_psf(11), [gaussian_psf(11, 2.5), gaussian_psf(15, 3.0), gaussian_psf(13, 4.0)]
    assert Batch.from_arrays(IMAGE, sigma=SIGMA, psf=one).psf.shape == (1, 11, 11)
    batch = Batch.from_arrays(IMAGE, sigma=SIGMA, psf=each)
    assert batch.psf.shape == (3, 15, 15)
    assert torch.allclose(batch.psf.sum((1, 2)), torch.ones(3))
    assert torch.allclose(batch.psf[0, 2:-2, 2:-2], torch.tensor(each[0], dtype=torch.float32))


def test_flags_of_psfs():
    tilted = gaussian_psf(11).copy()
    tilted[0] = -0.01
    with pytest.warns(FitWarning, match="undersampled"):  # by the edge of the tilted one
        batch = Batch.from_arrays(IMAGE, sigma=SIGMA, psf=[gaussian_psf(11), 7 * gaussian_psf(11), tilted])
    assert Flag.PSF_SCALED not in batch.flags[0]
    assert Flag.PSF_SCALED in batch.flags[1]
    assert Flag.PSF_NEGATIVE in batch.flags[2]
    assert all(status is Status.RUNNING for status in batch.status)
    assert Flag.NO_PSF in Batch.from_arrays(IMAGE, sigma=SIGMA).flags[0]


def test_select_split_and_move():
    batch = Batch.from_arrays(
        IMAGE, sigma=SIGMA, psf=gaussian_psf(11), id=["a", "b", "c"], zero_point=[20.0, 21.0, 22.0]
    )
    assert [part.id for part in batch.split(2)] == [("a", "b"), ("c",)]
    chosen = batch.select([2, 0])
    assert chosen.id == ("c", "a")
    assert chosen.zero_point.tolist() == [22.0, 20.0]
    assert torch.equal(chosen.image[0], batch.image[2])
    double = batch.to(dtype=torch.float64)
    assert double.image.dtype == double.psf.dtype == torch.float64
    assert double.mask.dtype == torch.bool


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"image": [], "sigma": []}, "at least one galaxy"),
        ({"image": IMAGE, "sigma": SIGMA[:2]}, "3 images but 2 values of sigma"),
        ({"image": IMAGE, "sigma": SIGMA, "variance": SIGMA}, "one of sigma, variance and ivar"),
        ({"image": IMAGE, "sigma": SIGMA, "id": ["a", "b", "a"]}, "more than one galaxy"),
        ({"image": IMAGE, "sigma": SIGMA, "id": ["a"]}, "3 images but 1 ids"),
        ({"image": IMAGE, "sigma": SIGMA, "zero_point": [1.0, 2.0]}, "3 images but 2 values of zero_point"),
    ],
)
def test_calls_that_cannot_be_meant(arguments, text):
    with pytest.raises(InputError, match=text):
        Batch.from_arrays(arguments.pop("image"), **arguments)


def test_stamp_with_a_fault_keeps_its_row():
    good = Stamp("good", image=IMAGE[0], sigma=SIGMA[0], source="good.fits")
    broken = Stamp("broken", fault="broken.fits: the file is truncated")
    batch = Batch.from_stamps([broken, good])
    assert batch.status == (Status.BAD_INPUT, Status.RUNNING)
    assert batch.message[0] == "broken.fits: the file is truncated"
    assert batch.shape == (12, 14)
