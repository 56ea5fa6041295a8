import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.io.block_header import galfit_text
from isolux.io.blocks import block_path, read_block, write_blocks


@pytest.fixture
def written(tmp_path, result, rng):
    """Return batch, result and folder of three galaxies' blocks; the last one is smaller than the others."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (150, 2), (-1e-4, 1e-4)
    images = [rng.normal(size=shape) for shape in ((8, 9), (8, 9), (6, 5))]
    masks = [np.zeros(image.shape, bool) for image in images]
    masks[0][2, 3] = True
    batch = Batch.from_arrays(images, sigma=[image * 0 + 1 for image in images], mask=masks, id=result.id)
    result = dataclasses.replace(result, wcs=(wcs, None, None))
    model = torch.full_like(batch.image, 2.0)
    parts = {"disc": model * 0.75, "ring": model * 0.25}
    assert write_blocks(tmp_path, batch, result, model, parts) == [tmp_path / "a.fits", tmp_path / "c.fits"]
    return batch, result, tmp_path


def test_planes_in_galfits_order(written):
    batch, _, folder = written
    with fits.open(folder / "a.fits") as opened:
        opened.verify("exception")
        assert [hdu.name for hdu in opened] == ["PRIMARY", "INPUT", "MODEL", "RESIDUAL", "disc", "ring"]
        assert opened[0].data is None
        data = batch.image[0].numpy().copy()
        data[2, 3] = np.nan
        np.testing.assert_array_equal(opened[1].data, data)
        np.testing.assert_array_equal(opened[3].data, data - 2)
        np.testing.assert_array_equal(opened[4].data, 1.5)
        for hdu in opened[1:]:
            assert WCS(hdu.header).wcs.crval.tolist() == [150, 2]


def test_stamps_are_cut_to_their_own_size(written):
    batch, _, folder = written
    block = read_block(folder / "c.fits")
    assert block.data.shape == block.model.shape == block.components["ring"].shape == (6, 5)
    np.testing.assert_array_equal(block.data, batch.image[2, :6, :5].numpy())


def test_header_is_galfits(written):
    _, _, folder = written
    header = read_block(folder / "a.fits").header
    assert header["COMP_1"] == "sersic"
    assert header["1_XC"] == "65.4300 +/- 0.6443"
    assert header["1_MAG"] == "17.5000 +/- 0.1750"
    assert header["1_N"] == "[1.0000]"
    assert header["1_PA"] == "{30.0000} +/- {0.3000}"
    assert header["CHISQ"] == 100.0
    assert header["NDOF"] == 103
    assert header["CHI2NU"] == pytest.approx(100 / 103)
    assert header["MAGZPT"] == 22.5
    assert header["COMP_2"] == "ring"
    assert read_block(folder / "c.fits").header["1_AR"] == "*0.6000* +/- *nan*"


def test_values_come_back_in_full_precision(written):
    _, result, folder = written
    block = read_block(folder / "c.fits")
    assert block.values == {c.name: v for c, v in zip(result.columns, result.values[2].tolist(), strict=True)}
    errors = dict(zip((c.name for c in result.columns), result.errors[2].tolist(), strict=True))
    np.testing.assert_equal(block.errors, errors)
    assert "no PSF was given" in block.header["STATTEXT"]


def test_nothing_half_written_is_left(written):
    assert sorted(path.name for path in written[2].iterdir()) == ["a.fits", "c.fits"]


def test_other_files_are_refused(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.ones((3, 3)))
    with pytest.raises(InputError, match="not an image block"):
        read_block(tmp_path / "a.fits")
    with pytest.raises(InputError, match="cannot be read"):
        read_block(tmp_path / "b.fits")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((1.25, 0.5, "free", False), "1.2500 +/- 0.5000"),
        ((1.25, 0.0, "fixed", False), "[1.2500]"),
        ((1.25, 0.5, "free", True), "*1.2500* +/- *0.5000*"),
        ((1.25e-12, 5e-14, "free", False), "1.2500e-12 +/- 5.0000e-14"),
        ((0.0, 0.1, "tied", False), "{0.0000} +/- {0.1000}"),
        ((float("nan"), 0.1, "free", False), "*nan* +/- *0.1000*"),
    ],
)
def test_galfit_text(arguments, text):
    assert galfit_text(*arguments) == text


def test_names_that_no_file_can_have(tmp_path):
    assert block_path(tmp_path, "J09+01/2 a").name == "J09+01_2_a.fits"
