"""PSFs from files: images, PSFEx's tables, images at positions."""

import numpy as np
import pytest
from astropy.io import fits

from isolux.errors import InputError
from isolux.field.moffat import Moffat
from isolux.io.psfex import read_psf, write_psfex
from isolux.psf_model import PsfModel, half_maximum_width


def moffat(fwhm, side, x=0.0, y=0.0):
    v, u = np.mgrid[:side, :side] - (side - 1) / 2
    image = Moffat(fwhm, 3.5)(u - x, v - y)
    return image / image.sum()


def psfex_file(path, basis, step, degree=0, zero=(1.0, 1.0), scale=(1.0, 1.0), **changes):
    """Write PSFEx's table as PSFEx does."""
    count, tall, wide = basis.shape
    column = fits.Column("PSF_MASK", f"{basis.size}E", dim=f"({wide},{tall},{count})", array=basis[None])
    table = fits.BinTableHDU.from_columns([column], name="PSF_DATA")
    cards = {"LOADED": 30, "ACCEPTED": 20, "POLNAXIS": 2, "POLNGRP": 1, "POLDEG1": degree, "PSF_SAMP": step}
    for k in (1, 2):
        cards |= {f"POLGRP{k}": 1, f"POLNAME{k}": ("X_IMAGE", "Y_IMAGE")[k - 1]}
        cards |= {f"POLZERO{k}": zero[k - 1], f"POLSCAL{k}": scale[k - 1]}
    table.header.update(cards | changes)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


class TestPsfex:
    @pytest.mark.parametrize(("step", "oversampling"), [(0.5, 2), (0.81, 2), (1.0, 1), (0.31, 4), (1.2, 1)])
    def test_is_interpolated_to_whole_samples_of_a_pixel(self, tmp_path, step, oversampling):
        # A star 3.2 pixels wide, tabulated every `step` pixels.
        file = psfex_file(tmp_path / "a.psf", moffat(3.2 / step, 61)[None], step)
        psf = read_psf(file)
        assert psf.oversampling == oversampling
        assert psf.stars == 20
        assert psf.includes_pixel
        expected = moffat(3.2 * oversampling, psf.size[0])
        np.testing.assert_allclose(psf.at(5.0, 6.0)[0], expected, atol=2e-3 * expected.max())
        finer = read_psf(file, oversampling=5)
        assert finer.oversampling == 5
        assert half_maximum_width(finer.at(0, 0)[0], 5) == pytest.approx(3.2, rel=0.02)

    def test_polynomial_in_positions_that_count_from_one(self, tmp_path):
        basis = np.stack([moffat(3.0, 25), 0.1 * (moffat(4.0, 25) - moffat(3.0, 25)), np.zeros((25, 25))])
        psf = read_psf(psfex_file(tmp_path / "a.psf", basis, 1.0, 1, (101.0, 51.0), (100.0, 50.0)))
        assert psf.offset == (100.0, 50.0)
        expected = 0.9 * moffat(3.0, 25) + 0.1 * moffat(4.0, 25)
        np.testing.assert_allclose(psf.at(200.0, 50.0)[0], expected, atol=1e-7)

    def test_what_is_written_is_read(self, tmp_path, rng):
        basis = moffat(4.0, 31) * np.array([1, 0.05, 0.02, 0.01, 0.03, -0.01])[:, None, None]
        psf = PsfModel(basis, 2, (512.0, 400.0), (500.0, 390.0), 2, stars=77)
        again = read_psf(write_psfex(psf, tmp_path / "a.psf"))
        assert (again.degree, again.oversampling, again.stars) == (2, 2, 77)
        x, y = rng.uniform(0, 800, (2, 5))
        np.testing.assert_allclose(again.at(x, y), psf.at(x, y), atol=1e-7)

    def test_faults(self, tmp_path):
        basis = moffat(3.0, 25)[None].copy()
        basis[0, 3, :4] = np.nan
        with pytest.raises(InputError, match=r"a\.psf: 4 of 625 coefficients of the PSF are not finite"):
            read_psf(psfex_file(tmp_path / "a.psf", basis, 1.0))
        good = moffat(3.0, 25)[None]
        with pytest.raises(InputError, match="MAG_AUTO"):
            read_psf(psfex_file(tmp_path / "b.psf", np.repeat(good, 3, 0), 1.0, 1, POLNAME2="MAG_AUTO"))
        with pytest.raises(InputError, match="degree 2"):
            read_psf(psfex_file(tmp_path / "c.psf", good, 1.0, 2))
        with pytest.raises(InputError, match="PSF_SAMP"):
            read_psf(psfex_file(tmp_path / "d.psf", good, 0.0))
        with pytest.raises(InputError, match="no such file"):
            read_psf(tmp_path / "e.psf")


class TestImages:
    def test_odd_and_centred_is_left_as_it_is(self, tmp_path):
        fits.writeto(tmp_path / "a.fits", 300 * moffat(3.0, 25))
        psf = read_psf(tmp_path / "a.fits", oversampling=2, includes_pixel=False)
        np.testing.assert_allclose(psf.at(0, 0)[0], moffat(3.0, 25), rtol=1e-12)
        assert (psf.oversampling, psf.includes_pixel, psf.remarks) == (2, False, ())

    @pytest.mark.parametrize("middle", [0.0, 0.5, -0.5])
    def test_even_sizes_are_centred(self, tmp_path, middle):
        np.save(tmp_path / "a.npy", moffat(3.0, 40, middle, middle))
        psf = read_psf(tmp_path / "a.npy")
        assert psf.size == (41, 41)
        expected = moffat(3.0, 41)
        # A Moffat profile of three samples has detail finer than the grid: moving it by half a sample shows that.
        np.testing.assert_allclose(psf.at(0, 0)[0], expected, atol=0.01 * expected.max())
        assert "even size (40 x 40)" in psf.remarks[0]

    def test_one_off_its_middle_is_moved(self, tmp_path):
        np.save(tmp_path / "a.npy", moffat(3.0, 41, 2.3, -1.0))
        psf = read_psf(tmp_path / "a.npy")
        expected = moffat(3.0, 41)
        np.testing.assert_allclose(psf.at(0, 0)[0], expected, atol=2e-3 * expected.max())
        assert "not centred" in psf.remarks[0]

    def test_images_at_positions(self, tmp_path):
        y, x = (g.ravel() for g in np.mgrid[0:1000:5j, 0:2000:5j])
        images = np.stack([moffat(3.0, 25) * (1 - u) + moffat(4.0, 25) * u for u in x / 2000])
        table = fits.BinTableHDU.from_columns(
            [fits.Column("x", "D", array=x), fits.Column("y", "D", array=y)]
        )
        fits.HDUList([fits.PrimaryHDU(images), table]).writeto(tmp_path / "a.fits")
        psf = read_psf(tmp_path / "a.fits")
        np.testing.assert_allclose(
            psf.at(500.0, 10.0)[0], 0.75 * moffat(3.0, 25) + 0.25 * moffat(4.0, 25), atol=1e-9
        )
        assert "25 PSF images" in psf.remarks[0]
        np.save(tmp_path / "b.npy", images)
        other = read_psf(tmp_path / "b.npy", positions=np.stack([x, y], 1))
        np.testing.assert_allclose(other.at(500.0, 10.0), psf.at(500.0, 10.0), atol=1e-12)
        with pytest.raises(InputError, match="positions of 25 PSF images"):
            read_psf(tmp_path / "b.npy")

    def test_few_images_make_a_polynomial_of_low_degree(self, tmp_path):
        np.save(tmp_path / "a.npy", np.stack([moffat(3.0, 25)] * 4))
        assert read_psf(tmp_path / "a.npy", positions=[[0, 0], [9, 0], [0, 9], [9, 9]]).degree == 0

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (np.full((5, 5), np.nan), "25 of 25 values"),
            (-np.ones((5, 5)), "sum of the PSF"),
            (np.ones(7), "shape of the PSF"),
        ],
    )
    def test_faults(self, tmp_path, image, message):
        np.save(tmp_path / "a.npy", image)
        with pytest.raises(InputError, match=message):
            read_psf(tmp_path / "a.npy")

    def test_bad_options(self, tmp_path):
        with pytest.raises(InputError, match="oversampling"):
            read_psf(tmp_path / "a.npy", oversampling=0)
        (tmp_path / "b.fits").write_text("nothing")
        with pytest.raises(InputError, match="cannot be read"):
            read_psf(tmp_path / "b.fits")
