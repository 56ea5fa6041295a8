"""Survey images with all that their files say of them."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from isolux.errors import FitWarning, InputError
from isolux.io import field_header
from isolux.io.field_image import read_field

SHAPE = (60, 80)


@pytest.fixture
def pixels(rng):
    return rng.normal(0.0, 2.0, SHAPE).astype(np.float32)


def write(path, pixels, *others, **cards):
    """Write an image, and further (name, array) HDUs."""
    extra = [fits.ImageHDU(array, name=name) for name, array in others]
    fits.HDUList([fits.PrimaryHDU(pixels, fits.Header(cards)), *extra]).writeto(path, overwrite=True)
    return path


class TestFiles:
    def test_nothing_but_pixels(self, tmp_path, pixels):
        field = read_field(write(tmp_path / "a.fits", pixels))
        np.testing.assert_array_equal(field.data, pixels)
        assert field.data.dtype == np.float32
        assert field.sigma is None
        assert not field.mask.any()
        assert (field.zero_point, field.pixel_scale) == (0.0, 1.0)
        assert np.isnan(field.gain)
        assert field.wcs is None
        said = " ".join(field.remarks)
        assert "no celestial WCS" in said
        assert "no pixel scale" in said
        assert "no zero point" in said

    def test_compressed_inside_gzip(self, tmp_path, pixels):
        hdus = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, compression_type="RICE_1")])
        hdus.writeto(tmp_path / "a.fits")
        (tmp_path / "b.fits.gz").write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
        field = read_field(tmp_path / "b.fits.gz")
        np.testing.assert_allclose(field.data, pixels, atol=0.3)
        assert read_field(tmp_path / "b.fits").shape == SHAPE

    def test_npy_and_arrays(self, tmp_path, pixels):
        np.save(tmp_path / "a.npy", pixels)
        field = read_field(tmp_path / "a.npy", weight=np.full(SHAPE, 0.25), weight_type="ivar", zero_point=25)
        np.testing.assert_allclose(field.sigma, 2.0)
        assert field.zero_point == 25

    @pytest.mark.parametrize("dtype", [">i2", ">f8", "uint16"])
    def test_other_numbers(self, tmp_path, pixels, dtype):
        whole = np.rint(10 * np.abs(pixels)).astype(dtype)
        np.testing.assert_array_equal(read_field(write(tmp_path / "a.fits", whole)).data, whole)

    def test_a_plane_of_a_cube_of_one(self, tmp_path, pixels):
        assert read_field(write(tmp_path / "a.fits", pixels[None])).shape == SHAPE

    def test_the_image_among_several(self, tmp_path, pixels):
        file = tmp_path / "a.fits"
        fits.HDUList(
            [
                fits.PrimaryHDU(header=fits.Header({"MAGZERO": 26.5, "FILTER": "F814W"})),
                fits.ImageHDU(np.ones(SHAPE), name="WHT"),
                fits.ImageHDU(pixels, name="SCI"),
                fits.ImageHDU(pixels + 1, name="SCI", ver=2),
            ]
        ).writeto(file)
        field = read_field(file)
        np.testing.assert_array_equal(field.data, pixels)
        assert field.zero_point == 26.5
        assert (field.band, field.wavelength) == ("F814W", 814)
        assert "HDU 3" in " ".join(field.remarks)
        assert read_field(f"{file}[3]").data[0, 0] == read_field(file, hdu="SCI,2").data[0, 0]
        assert read_field(file, hdu=3).data[0, 0] == pixels[0, 0] + 1

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda p: fits.PrimaryHDU(p[0]), "no two-dimensional image"),
            (lambda p: fits.PrimaryHDU(np.stack([p, p])), "is a cube"),
            (lambda p: fits.PrimaryHDU(), "no two-dimensional image"),
            (lambda p: fits.PrimaryHDU(np.full_like(p, np.nan)), "no good pixel among 4800"),
        ],
    )
    def test_no_image(self, tmp_path, pixels, make, message):
        make(pixels).writeto(tmp_path / "a.fits")
        with pytest.raises(InputError, match=message):
            read_field(tmp_path / "a.fits")

    def test_files_that_are_none(self, tmp_path, pixels):
        with pytest.raises(InputError, match="no such file"):
            read_field(tmp_path / "a.fits")
        (tmp_path / "b.fits").write_text("not FITS")
        with pytest.raises(InputError, match="cannot be read"):
            read_field(tmp_path / "b.fits")
        with pytest.raises(InputError, match="no image in HDU 'ERR'"):
            read_field(write(tmp_path / "c.fits", pixels), hdu="ERR")


class TestBadPixels:
    def test_nan_and_empty_regions(self, tmp_path, pixels):
        pixels[5:10] = np.nan
        pixels[:, 70:] = 0
        pixels[30, 30] = 0
        field = read_field(write(tmp_path / "a.fits", pixels))
        bad = np.zeros(SHAPE, bool)
        bad[5:10] = bad[:, 70:] = True
        np.testing.assert_array_equal(field.mask, bad)
        assert np.isfinite(field.data).all()
        assert "patches of exactly 0" in " ".join(field.remarks)

    def test_saturation(self, tmp_path, pixels):
        pixels[4, 5] = 6e4
        field = read_field(write(tmp_path / "a.fits", pixels, SATURATE=5e4))
        assert field.saturated.sum() == 1
        assert field.saturated[4, 5]
        assert field.mask[4, 5]
        assert read_field(tmp_path / "a.fits", saturation=1e5).saturated.sum() == 0

    def test_a_saturation_level_that_cannot_be(self, tmp_path, pixels):
        field = read_field(write(tmp_path / "a.fits", pixels, SATURATE=0.001))
        assert not field.saturated.any()
        assert "SATURATE" in " ".join(field.remarks)

    def test_masks(self, tmp_path, pixels):
        flags = np.zeros(SHAPE, np.int16)
        flags[3, 4] = 2
        write(tmp_path / "a.fits", pixels, ("DQ", flags))
        assert read_field(tmp_path / "a.fits").mask.sum() == 1
        other = np.zeros(SHAPE)
        other[:2] = 1
        assert read_field(tmp_path / "a.fits", mask=other).mask.sum() == 2 * SHAPE[1]
        with pytest.raises(InputError, match="shape of the mask"):
            read_field(tmp_path / "a.fits", mask=other[:10])

    def test_bit_planes_of_lsst(self, tmp_path, pixels):
        planes = {"MP_BAD": 0, "MP_SAT": 1, "HIERARCH MP_DETECTED": 5, "HIERARCH MP_NO_DATA": 8}
        flags = np.zeros(SHAPE, np.int32)
        flags[0, 0], flags[0, 1], flags[0, 2], flags[0, 3] = 1, 2, 32, 256
        hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, name="IMAGE")])
        hdus.append(fits.ImageHDU(flags, fits.Header(planes), name="MASK"))
        hdus.append(fits.ImageHDU(np.full(SHAPE, 4.0), name="VARIANCE"))
        hdus.writeto(tmp_path / "a.fits")
        field = read_field(tmp_path / "a.fits")
        np.testing.assert_array_equal(field.mask[0, :5], [True, True, False, True, False])
        np.testing.assert_array_equal(field.saturated[0, :5], [False, True, False, False, False])
        np.testing.assert_allclose(field.sigma[1:], 2.0)


class TestWeights:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("ERR", 2.0), ("RMS", 2.0), ("VAR", 4.0), ("IVAR", 0.25), ("WHT", 0.25), ("WEIGHT", 2.0)],
    )
    def test_in_the_same_file(self, tmp_path, pixels, name, value):
        field = read_field(write(tmp_path / "a.fits", pixels, (name, np.full(SHAPE, value))))
        np.testing.assert_allclose(field.sigma, 2.0, rtol=1e-6)

    def test_of_a_file_of_its_own(self, tmp_path, pixels):
        image = write(tmp_path / "a.fits", pixels)
        field = read_field(image, weight=write(tmp_path / "a_invvar.fits", np.full(SHAPE, 0.25)))
        np.testing.assert_allclose(field.sigma, 2.0)

    def test_a_relative_one_is_scaled_to_the_noise(self, tmp_path, pixels):
        seconds = np.where(np.arange(SHAPE[1]) < 40, 900.0, 3600.0) + np.zeros(SHAPE)
        pixels[:, :40] *= 2
        field = read_field(write(tmp_path / "a.fits", pixels, ("WHT", seconds)))
        # The noise of 4800 pixels is known to a hundredth, that of a mesh of few boxes to some hundredths.
        assert np.median(field.sigma[:, 40:]) == pytest.approx(2.0, rel=0.15)
        np.testing.assert_allclose(field.sigma[:, :40] / field.sigma[:1, 50:51], 2.0, rtol=1e-5)
        assert "relative" in " ".join(field.remarks)

    def test_pixels_without_weight_are_bad(self, tmp_path, pixels):
        weight = np.full(SHAPE, 0.25)
        weight[0], weight[1], weight[2] = 0, -1, np.nan
        field = read_field(write(tmp_path / "a.fits", pixels), weight=weight, weight_type="ivar")
        np.testing.assert_array_equal(field.mask.all(axis=1)[:4], [True, True, True, False])
        assert np.isfinite(field.sigma).all()
        assert "80 pixels have a negative weight" in " ".join(field.remarks)

    def test_bad_input(self, tmp_path, pixels):
        image = write(tmp_path / "a.fits", pixels)
        with pytest.raises(InputError, match=r"shape of the weight map \(got \(3, 3\)\)"):
            read_field(image, weight=np.ones((3, 3)))
        with pytest.raises(InputError, match="weight_type"):
            read_field(image, weight_type="inverse")
        with pytest.raises(InputError, match="no good pixel has a positive weight"):
            read_field(image, weight=np.zeros(SHAPE))

    def test_a_map_of_another_shape_in_the_file_is_left_out(self, tmp_path, pixels):
        field = read_field(write(tmp_path / "a.fits", pixels, ("WHT", np.ones((3, 3)))))
        assert field.sigma is None
        assert "3 x 3" in " ".join(field.remarks)


class TestPhotometry:
    @pytest.mark.parametrize(
        ("cards", "expected"),
        [
            ({"MAGZERO": 22.5}, 22.5),
            ({"MAGZPT": 25.1, "BUNIT": "adu"}, 25.1),
            ({"FLUXMAG0": 10**10.8}, 27.0),
            ({"BUNIT": "nanomaggy"}, 22.5),
            ({"BUNIT": "nanomaggies"}, 22.5),
            ({"BUNIT": "maggies"}, 0.0),
            ({"BUNIT": "1E-9 maggy"}, 22.5),
            ({"BUNIT": "Jy"}, 8.9),
            ({"BUNIT": "uJy"}, 23.9),
            ({"BUNIT": "nJy"}, 31.4),
            ({"BUNIT": "nJy/pixel"}, 31.4),
            # ACS/WFC F814W: zero point 25.94 for electrons a second (ACS zero point calculator, 2009).
            ({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 7.0332e-20, "PHOTPLAM": 8057.0}, 25.94),
            ({"BUNIT": "ELECTRONS", "PHOTFLAM": 7.0332e-20, "PHOTPLAM": 8057.0, "EXPTIME": 100.0}, 30.94),
            # NIRCam: MJy/sr on pixels of 0.04 arcsec; 3.7607e-14 sr.
            ({"BUNIT": "MJy/sr", "PIXAR_SR": 3.7607e-14}, 27.46),
            ({"MAGZERO": "none", "BUNIT": "nJy"}, 31.4),
            ({"BUNIT": "adu"}, None),
            ({}, None),
        ],
    )
    def test_zero_points(self, cards, expected):
        found = field_header.zero_point(cards, 0.2)
        assert (found and found[0]) == (None if expected is None else pytest.approx(expected, abs=0.01))

    @pytest.mark.parametrize(
        ("cards", "expected"),
        [
            ({"GAIN": 2.5}, 2.5),
            ({"EGAIN": 1.5, "BUNIT": "adu"}, 1.5),
            ({"CCDGAIN": 2.0, "BUNIT": "COUNTS/S", "EXPTIME": 300.0}, 600.0),
            ({"BUNIT": "ELECTRONS/S", "EXPTIME": 500.0, "CCDGAIN": 2.0}, 500.0),
            ({"BUNIT": "electron"}, 1.0),
            ({"GAIN": 0.0}, None),
            ({"GAIN": 4.0, "BUNIT": "nanomaggy"}, None),
            ({"GAIN": 4.0, "BUNIT": "adu/s"}, None),
            ({}, None),
        ],
    )
    def test_gains(self, cards, expected):
        found = field_header.gain(cards)
        assert (found and found[0]) == expected

    @pytest.mark.parametrize(
        ("cards", "name", "expected"),
        [
            ({"FILTER": "r"}, "", "r"),
            ({"FILTER": "g DECam SDSS c0001 4720.0 1520.0"}, "", "g"),
            ({"FILTER": "i.MP9702"}, "", "i"),
            ({"FILTER": "HSC-G"}, "", "g"),
            ({"FILTER1": "CLEAR1L", "FILTER2": "F814W"}, "", "F814W"),
            ({}, "field-r.fits.gz", "r"),
            ({}, "survey_VIKING_Z.fits", "Z"),
            ({}, "picture.fits", ""),
        ],
    )
    def test_bands(self, cards, name, expected):
        assert field_header.band(cards, name) == expected

    @pytest.mark.parametrize(
        ("cards", "name", "expected"),
        [
            ({}, "r", 623),
            ({}, "F606W", 606),
            ({}, "F160W", 1600),
            ({"INSTRUME": "NIRCAM"}, "F444W", 4440),
            ({"INSTRUME": "MIRI"}, "F1000W", 10000),
            ({"PHOTPLAM": 8057.0}, "F814W", 805.7),
        ],
    )
    def test_wavelengths(self, cards, name, expected):
        assert field_header.wavelength(cards, name) == pytest.approx(expected)

    def test_an_unknown_unit_is_warned_of(self, tmp_path, pixels):
        write(tmp_path / "a.fits", pixels, BUNIT="furlong")
        with pytest.warns(FitWarning, match="unknown unit 'furlong'"):
            assert read_field(tmp_path / "a.fits").zero_point == 0
        assert read_field(tmp_path / "a.fits", zero_point=21.0).zero_point == 21

    def test_what_is_given_counts(self, tmp_path, pixels):
        write(tmp_path / "a.fits", pixels, MAGZERO=25.0, ZPX=26.0, GAIN=2.0, FILTER="r")
        options = {"zero_point": "ZPX", "gain": 7, "pixel_scale": 0.3, "band": "i", "wavelength": 760}
        field = read_field(tmp_path / "a.fits", **options)
        assert (field.zero_point, field.gain, field.pixel_scale) == (26.0, 7.0, 0.3)
        assert (field.band, field.wavelength) == ("i", 760)

    @pytest.mark.parametrize(
        "wrong", [{"gain": -1}, {"gain": "NOGAIN"}, {"zero_point": np.nan}, {"pixel_scale": 0}]
    )
    def test_numbers_that_cannot_be(self, tmp_path, pixels, wrong):
        with pytest.raises(InputError, match=next(iter(wrong))):
            read_field(write(tmp_path / "a.fits", pixels), **wrong)

    def test_scale_of_the_wcs(self, tmp_path, pixels):
        cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0}
        cards |= {"CRPIX1": 1.0, "CRPIX2": 1.0, "CD1_1": -0.2 / 3600, "CD2_2": 0.2 / 3600}
        field = read_field(write(tmp_path / "a.fits", pixels, **cards))
        assert field.pixel_scale == pytest.approx(0.2)
        assert field.wcs is not None
        assert read_field(write(tmp_path / "b.fits", pixels, PIXSCALE=0.263)).pixel_scale == 0.263
