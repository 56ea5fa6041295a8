"""The quick way of reading takes plain files as astropy does, and leaves all others to it."""

import numpy as np
import pytest
from astropy.io import fits

from isolux.io.plain import plain_shape, read_plain


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("cards", [0, 5, 200])
def test_plain_files_as_astropy_reads_them(tmp_path, kind, cards):
    path = tmp_path / "a.fits"
    header = fits.Header([(f"KEY{k}", k / 3, "comment") for k in range(cards)])
    array = np.arange(12).reshape(3, 4).astype(kind)
    fits.HDUList([fits.PrimaryHDU(array, header), fits.ImageHDU(np.ones((5, 6)))]).writeto(path)
    found, pixels = read_plain(path)
    assert pixels.dtype == np.dtype(kind)
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, array)
    assert plain_shape(path) == (3, 4)
    assert found.tostring() == fits.getheader(path).tostring()


def scaled(**cards):
    hdu = fits.PrimaryHDU(np.arange(12).reshape(3, 4).astype("i2"))
    hdu.header.update(cards)
    return hdu


OTHERS = {
    "blank": lambda: scaled(BLANK=3),
    "scaled": lambda: scaled(BSCALE=2.0),
    "shifted": lambda: scaled(BZERO=1.0),
    "unsigned": lambda: fits.PrimaryHDU(np.arange(12, dtype="u2").reshape(3, 4)),
    "a cube": lambda: fits.PrimaryHDU(np.ones((1, 3, 4))),
    "no image": lambda: fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 4)))]),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS.keys())
def test_other_images_are_left_to_astropy(tmp_path, make):
    make().writeto(tmp_path / "a.fits")
    assert read_plain(tmp_path / "a.fits") is None
    assert plain_shape(tmp_path / "a.fits") is None


@pytest.mark.parametrize("length", [0, 100, 2879, 2880, 2900])
def test_files_that_are_cut_off_are_left_to_astropy(tmp_path, length):
    path = tmp_path / "a.fits"
    fits.writeto(path, np.ones((30, 40)))
    path.write_bytes(path.read_bytes()[:length])
    assert read_plain(path) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"SIMPLE  =                    T", b"SIMPLE  =                    F"),
        (b"END     ", b"FIN     "),
        (b"NAXIS1  =                   40", b"NAXIS1  =                 abc "),
        (b"NAXIS1  =                   40", b"NAXIS1  =                  4.5"),
        (b"NAXIS1  =                   40", b"NAXIS1  =                  -40"),
        (b"BITPIX  =                  -64", b"BITPIX  =                  -63"),
        (b"array data type", b"array d\xe4ta type"),
    ],
)
def test_spoilt_headers_are_left_to_astropy(tmp_path, old, new):
    path = tmp_path / "a.fits"
    fits.writeto(path, np.ones((30, 40)))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    assert read_plain(path) is None


def test_missing_file_is_left_to_astropy(tmp_path):
    assert read_plain(tmp_path / "a.fits") is None
    assert plain_shape(tmp_path) is None
