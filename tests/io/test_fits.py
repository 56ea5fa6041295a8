import gzip
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from isolux.errors import InputError
from isolux.io.fits import image_shape, read_image
from isolux.io.wcs import pixel_scale


def astropy_pixels(path, hdu=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.squeeze(fits.getdata(path, hdu))


def tangent(**cards):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.1, "CRVAL2": 2.2})
    header.update(
        {"CRPIX1": 10.5, "CRPIX2": 8.0, "CD1_1": -5e-5, "CD1_2": 1e-6, "CD2_1": 1e-6, "CD2_2": 5e-5}
    )
    header.update(cards)
    return header


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8", "u2", "u4", "i1"])
def test_pixel_types_agree_with_astropy(tmp_path, kind):
    array = np.arange(12).reshape(3, 4).astype(kind)
    fits.writeto(tmp_path / "a.fits", array)
    picture = read_image(tmp_path / "a.fits")
    assert picture.pixels.dtype.isnative
    np.testing.assert_array_equal(picture.pixels, array)


@pytest.mark.parametrize(
    ("kind", "zero", "scale"), [("i2", 100.0, 0.5), ("i4", -3.0, 1e-3), ("u1", 0.0, 2.0)]
)
def test_scaled_integers_with_blank(tmp_path, kind, zero, scale):
    hdu = fits.PrimaryHDU(np.arange(12).reshape(3, 4).astype(kind))
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = scale, zero, 7
    hdu.writeto(tmp_path / "a.fits")
    pixels = read_image(tmp_path / "a.fits").pixels
    np.testing.assert_array_equal(pixels, astropy_pixels(tmp_path / "a.fits"))
    assert np.isnan(pixels[1, 3])
    assert pixels[0, 1] == zero + scale


def test_blank_without_scale_is_nan(tmp_path):
    hdu = fits.PrimaryHDU(np.arange(12, dtype="i4").reshape(3, 4))
    hdu.header["BLANK"] = 0
    hdu.writeto(tmp_path / "a.fits")
    pixels = read_image(tmp_path / "a.fits").pixels
    assert np.isnan(pixels[0, 0])
    assert pixels[2, 3] == 11


def test_blank_in_unsigned_integers_is_nan(tmp_path):
    hdu = fits.PrimaryHDU(np.arange(12, dtype="u2").reshape(3, 4))
    hdu.header["BLANK"] = -32768
    hdu.writeto(tmp_path / "a.fits")
    pixels = read_image(tmp_path / "a.fits").pixels
    assert np.isnan(pixels[0, 0])
    np.testing.assert_array_equal(pixels.ravel()[1:], np.arange(1, 12))


@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"])
@pytest.mark.parametrize("ending", ["fits", "fits.fz", "fits.gz"])
def test_compressed_hdus_agree_with_astropy(tmp_path, rng, algorithm, ending):
    path = tmp_path / f"a.{ending}"
    array = rng.integers(0, 1000, (40, 50)).astype(np.int32)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(array, compression_type=algorithm)]).writeto(path)
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels, array)
    assert image_shape(path) == (40, 50)
    assert picture.source.endswith("[1]")


def test_compressed_floats_with_nan_agree_with_astropy(tmp_path, rng):
    array = rng.normal(0, 1e-11, (40, 50)).astype(np.float32)
    array[3, 4] = np.nan
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(array, quantize_level=16)]).writeto(
        tmp_path / "a.fits"
    )
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.fits").pixels, astropy_pixels(tmp_path / "a.fits", 1)
    )


@pytest.mark.parametrize("ending", ["fits.gz", "fits", "fits.bz2"])
def test_packed_files_are_known_by_their_content(tmp_path, ending):
    import bz2

    array = np.arange(12.0).reshape(3, 4)
    fits.writeto(tmp_path / "plain.fits", array)
    pack = bz2.compress if ending.endswith("bz2") else gzip.compress
    path = tmp_path / f"a.{ending}"
    path.write_bytes(pack((tmp_path / "plain.fits").read_bytes()))
    np.testing.assert_array_equal(read_image(path).pixels, array)


def test_packed_file_is_found_under_its_plain_name(tmp_path):
    fits.writeto(tmp_path / "a.fits.gz", np.ones((3, 4)))
    assert image_shape(tmp_path / "a.fits") == (3, 4)


def test_hdu_by_number_name_and_version(tmp_path):
    planes = [
        fits.ImageHDU(np.full((3, 4), k), name=name, ver=ver)
        for k, (name, ver) in enumerate([("SCI", 1), ("ERR", 1), ("SCI", 2)])
    ]
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    assert read_image(path).pixels[0, 0] == 0
    assert read_image(path, 2).pixels[0, 0] == 1
    assert read_image(path, "err").pixels[0, 0] == 1
    assert read_image(f"{path}[ERR]").pixels[0, 0] == 1
    assert read_image(f"{path}[3]").pixels[0, 0] == 2
    assert read_image(f"{path}[SCI,2]").pixels[0, 0] == 2


def test_tables_and_empty_hdus_are_passed_over(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.arange(1000.0))])
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(np.ones((3, 4)))]).writeto(path)
    assert read_image(path).source.endswith("[2]")


@pytest.mark.parametrize("shape", [(1, 3, 4), (1, 1, 3, 4), (3, 1, 4), (1, 1, 4)])
def test_degenerate_axes_are_dropped(tmp_path, shape):
    fits.writeto(tmp_path / "a.fits", np.arange(np.prod(shape), dtype=float).reshape(shape))
    assert read_image(tmp_path / "a.fits").pixels.shape == (shape[-3] if shape[-2] == 1 else shape[-2], 4)


@pytest.mark.parametrize("kind", [">f4", "<f8", "bool", "i2"])
def test_numpy_files(tmp_path, kind):
    array = np.eye(3, 4).astype(kind)
    np.save(tmp_path / "a.npy", array)
    picture = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(picture.pixels, array)
    assert picture.pixels.dtype.isnative
    assert image_shape(tmp_path / "a.npy") == (3, 4)
    assert picture.wcs is None


def broken(tmp_path, how):
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((60, 50)), name="SCI")]).writeto(path)
    data = path.read_bytes()
    pieces = {
        "empty": b"",
        "text": b"# not an image\n" * 300,
        "cut in the data": data[:-3000],
        "cut in the header": data[:4000],
        "cut gzip": gzip.compress(data)[:-200],
        "no gzip": b"\x1f\x8b" + bytes(100),
    }
    path.write_bytes(pieces[how])
    return path


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("empty", "[Ee]mpty"),
        ("text", "not a FITS file"),
        ("cut in the data", "cut off within the data of HDU 1"),
        ("cut in the header", "within the header of HDU 1"),
        ("cut gzip", "cannot be read"),
        ("no gzip", "cannot be read"),
    ],
)
def test_broken_files_are_named(tmp_path, how, words):
    path = broken(tmp_path, how)
    with pytest.raises(InputError, match=words) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_compressed_image_that_is_cut_off_is_named(tmp_path, rng):
    path = tmp_path / "a.fits.fz"
    noise = fits.CompImageHDU(rng.integers(0, 1000, (60, 50)).astype(np.int32))
    fits.HDUList([fits.PrimaryHDU(), noise]).writeto(path)
    path.write_bytes(path.read_bytes()[:-3500])
    with pytest.raises(InputError, match="cut off within the data of HDU 1"):
        read_image(path)


def test_missing_file_hdu_and_image_are_named(tmp_path):
    path = tmp_path / "a.fits"
    with pytest.raises(InputError, match=r"a\.fits: no such file"):
        read_image(path)
    with pytest.raises(InputError, match=r"a\.npy: no such file"):
        read_image(tmp_path / "a.npy")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((6, 5)), name="SCI")]).writeto(path)
    with pytest.raises(InputError, match=r"no HDU 'ERR'; its HDUs are 0 PRIMARY .*; 1 SCI \(image, 5 x 6\)"):
        read_image(path, "ERR")
    with pytest.raises(InputError, match="holds no two-dimensional image"):
        read_image(path, 0)
    fits.writeto(path, np.ones(5), overwrite=True)
    with pytest.raises(InputError, match="has no two-dimensional image"):
        read_image(path)


def test_cubes_and_records_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4, 5)))
    with pytest.raises(InputError, match="not an image"):
        read_image(tmp_path / "a.npy")
    fits.writeto(tmp_path / "a.fits", np.ones((3, 4, 5)))
    with pytest.raises(InputError, match="5 x 4 x 3"):
        read_image(tmp_path / "a.fits")


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"PC1_1": 1.0, "CDELT1": -5e-5, "CDELT2": 5e-5, "CD1_1": None},
        {"CROTA2": 30.0, "CDELT1": -5e-5, "CDELT2": 5e-5, "CD1_1": None},
        {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.001, "PV1_0": 0.0, "PV2_1": 0.999},
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-5},
        {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"},
        {"RADECSYS": "FK5", "EQUINOX": 2000.0, "DATE-OBS": "20/03/99"},
        {"LONPOLE": 170.0},
    ],
)
def test_wcs_agrees_with_astropy(tmp_path, cards):
    header = tangent(**{k: v for k, v in cards.items() if v is not None})
    if None in cards.values():
        for keyword in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
            del header[keyword]
    fits.writeto(tmp_path / "a.fits", np.ones((20, 30)), header)
    mine = read_image(tmp_path / "a.fits").wcs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = WCS(fits.getheader(tmp_path / "a.fits"))
    points = np.array([[0.0, 0.0], [29.0, 3.0], [12.5, 19.0]])
    np.testing.assert_allclose(mine.all_pix2world(points, 0), theirs.all_pix2world(points, 0), atol=1e-11)
    assert pixel_scale(mine) == pytest.approx(0.18, rel=0.01)


def test_images_without_sky_coordinates_have_no_wcs(tmp_path):
    fits.writeto(
        tmp_path / "a.fits", np.ones((20, 30)), fits.Header({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"})
    )
    assert read_image(tmp_path / "a.fits").wcs is None
    fits.writeto(tmp_path / "b.fits", np.ones((20, 30)), tangent(CD1_1=0.0, CD1_2=0.0))
    assert read_image(tmp_path / "b.fits").wcs is None


def test_header_numbers_and_misspelt_keywords(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.ones((3, 4)), fits.Header({"MAGZERO": 25.5, "FILTER": "r"}))
    picture = read_image(tmp_path / "a.fits")
    assert picture.number("magzero") == 25.5
    with pytest.raises(InputError, match="did you mean 'MAGZERO'"):
        picture.number("MAGZER")
    with pytest.raises(InputError, match="FILTER is not a number"):
        picture.number("FILTER")


def test_odd_cards_are_read_quietly_by_many_threads(tmp_path):
    path = tmp_path / "a.fits"
    fits.writeto(path, np.ones((3, 4)), tangent(RUN="N", MAGZERO=25.5))
    path.write_bytes(path.read_bytes().replace(b"RUN     = 'N", b"RUN     ='N "))
    with pytest.warns(AstropyUserWarning, match="keyword is invalid"):
        fits.getheader(path)

    def look(_):
        picture = read_image(path)
        assert image_shape(path) == (3, 4)
        assert picture.wcs is not None
        return picture.number("MAGZERO")

    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(200))) == {25.5}
    assert warnings.filters == filters
