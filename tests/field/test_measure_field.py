"""A field from file to catalogue, in Python and from the command line."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.wcs import WCS
from typer.testing import CliRunner

import isolux
from isolux.cli.app import app
from isolux.errors import InputError
from isolux.measure_field import measure_field
from isolux.status import Flag

from .conftest import GAIN, NOISE, PSF, SCALE, ZERO_POINT

QUICK = isolux.FieldOptions(workers=1, models=("point", "sersic"), shapes=False)


def header(turn=0.0):
    wcs = WCS(naxis=2)
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150, 2], [130, 110]
    wcs.wcs.cd = SCALE / 3600 * np.array([[-cos, sin], [sin, cos]])
    cards = wcs.to_header()
    cards["MAGZERO"], cards["GAIN"], cards["FILTER"] = ZERO_POINT, GAIN, "r"
    return cards


@pytest.fixture
def files(tmp_path, sky):
    field = sky.field()
    fits.PrimaryHDU(field.data, header()).writeto(tmp_path / "image.fits")
    fits.PrimaryHDU(np.full(field.shape, 1 / NOISE**2, np.float32)).writeto(tmp_path / "image_weight.fits")
    fits.PrimaryHDU(PSF.astype(np.float32)).writeto(tmp_path / "psf.fits")
    return tmp_path


def run(files, **others):
    settings = {"psf": files / "psf.fits", "options": QUICK} | others
    return measure_field(files / "image.fits", **settings)


def test_all_files_are_written_beside_the_image(files, sky):
    done = run(files, weight=files / "image_weight.fits")
    folder = files / "image_sources"
    assert done.catalogue == folder / "catalogue.fits"
    again = isolux.read_catalogue(done.catalogue)
    assert len(again) == len(sky.components)
    assert again["effective_radius"].unit == u.arcsec
    assert again["ra"].unit == u.deg
    assert {"residual", "model", "segmentation", "background", "regions", "psf"} <= set(done.files)
    with fits.open(folder / "residual.fits") as hdus:
        assert hdus[0].data.shape == sky.image.shape
        assert WCS(hdus[0].header).wcs.crval[0] == 150
        left, rms = hdus[0].data, NOISE
    assert 0.9 * rms < left.std() < 1.15 * rms  # bright pixels have their own noise, too
    with fits.open(folder / "segmentation.fits") as hdus:
        assert set(np.unique(hdus[1].data)) == {0, *(int(name) for name in again["id"])}
    assert (folder / "sources.reg").read_text().count("ellipse") + (folder / "sources.reg").read_text().count(
        "point"
    ) >= len(again)
    psf = isolux.io.psfex.read_psf(folder / "psf.psf")
    assert psf.fwhm == pytest.approx(done.measured.psf.fwhm, rel=0.01)


def test_what_is_there_is_not_replaced_unless_asked(files):
    run(files)
    with pytest.raises(InputError, match="overwrite"):
        run(files)
    assert run(files, overwrite=True).catalogue.exists()


def test_isolux_measure_takes_an_image(files):
    done = isolux.measure(files / "image.fits", psf=files / "psf.fits", options=QUICK)
    assert len(done.table) > 0
    with pytest.raises(InputError, match="no scene"):
        isolux.measure(files / "image.fits", isolux.Scene(galaxy=isolux.Sersic()))
    with pytest.raises(InputError, match="need a scene"):
        isolux.measure(isolux.StampSource(image=str(files / "image.fits")))


def test_positions_on_the_sky_in_any_unit_of_angle(files):
    wcs = WCS(header())
    sky = wcs.pixel_to_world([70.0, 180.3, 9000.0], [90.0, 60.4, 50.0])
    table = QTable({"name": ["a", "b", "c"], "RA": sky.ra.to(u.hourangle), "Dec": sky.dec.to(u.arcmin)})
    table.write(files / "wanted.ecsv")
    found = run(files, positions=files / "wanted.ecsv").table
    assert list(found["id"]) == ["a", "b", "c"]
    np.testing.assert_allclose(found["x"].value[:2], [70.0, 180.3], atol=0.3)
    assert [bool(Flag.OUTSIDE & int(f)) for f in found["flags"]] == [False, False, True]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"ra": [10.0] * u.s, "dec": [2.0] * u.deg}, "unit of column ra"),
        ({"ra": [1000.0], "dec": [2.0]}, "ra in row 1"),
        ({"ra": [10.0], "dec": [np.nan]}, "dec in row 1 is not finite"),
        ({"x": [10.0] * u.m, "y": [2.0]}, "unit of column x"),
        ({"x": [1.0, 2.0], "y": [1.0, 2.0], "id": ["a", "a"]}, "more than one source"),
        ({"column": [1.0]}, "no columns ra and dec"),
        ({"x": ["left"], "y": ["right"]}, "does not hold numbers"),
    ],
)
def test_positions_that_cannot_be_used(files, columns, words):
    QTable(columns).write(files / "wanted.ecsv")
    with pytest.raises(InputError, match=words):
        run(files, positions=files / "wanted.ecsv")


def test_sky_positions_need_a_wcs(files, sky):
    fits.PrimaryHDU(sky.field().data).writeto(files / "bare.fits")
    Table({"ra": [150.0], "dec": [2.0]}).write(files / "wanted.csv")
    with pytest.raises(InputError, match="no WCS"):
        measure_field(files / "bare.fits", positions=files / "wanted.csv", options=QUICK)


def test_maps_that_do_not_belong_to_the_image(files):
    fits.PrimaryHDU(np.ones((10, 10), np.float32)).writeto(files / "small.fits")
    with pytest.raises(InputError, match=r"small.fits.*\(10, 10\)"):
        run(files, weight=files / "small.fits")
    with pytest.raises(InputError, match=r"\(10, 10\)"):
        run(files, mask=files / "small.fits")
    broken = PSF.astype(np.float32)
    broken[3, 4] = np.nan
    fits.PrimaryHDU(broken).writeto(files / "broken.fits")
    with pytest.raises(InputError, match=r"broken.fits"):
        run(files, psf=files / "broken.fits")


def test_a_band_elsewhere_is_refused_and_one_beside_is_flagged(files, sky):
    far = header()
    far["CRVAL1"], far["FILTER"] = 170.0, "g"
    fits.PrimaryHDU(sky.field(2).data, far).writeto(files / "far.fits")
    with pytest.raises(InputError, match="no source of the first band"):
        run(files, also=[files / "far.fits"])
    half = header()
    half["FILTER"] = "g"
    half["CRPIX1"] -= 130
    fits.PrimaryHDU(sky.field(2).data[:, 130:], half).writeto(files / "half.fits")
    field = isolux.read_field(files / "half.fits")
    done = run(files, also=[field], overwrite=True)
    table = done.table
    left = table["x"].value < 120
    assert (table["bands"][~left] == "r g").all()
    assert np.isnan(table["magnitude_g"].value[left]).all()
    assert np.isfinite(table["magnitude_g"].value[~left]).all()
    assert [bool(Flag.BAND_MISSING & int(f)) for f in table["flags_bands"]] == left.tolist()


def test_colours_from_two_bands(files, sky):
    cards = header()
    cards["FILTER"] = "g"
    fits.PrimaryHDU(sky.field(2).data, cards).writeto(files / "g.fits")
    done = run(files, also=[files / "g.fits"])
    table = done.table
    colour, error = table["colour_r_g"].value, table["colour_r_g_err"].value
    assert (np.abs(colour) < 4.5 * error).all()  # both bands show the same sky
    both = np.hypot(table["magnitude_r_err"].value, table["magnitude_g_err"].value)
    assert (error <= both * 1.0001).all()
    assert (files / "image_sources" / "residual_g.fits").exists()
    held = run(files, also=[files / "g.fits"], hold=True, overwrite=True).table
    assert held["structure_held"].all()
    size, kept = held["sersic_effective_radius"].value, held["sersic_effective_radius_joint"].value
    np.testing.assert_allclose(kept[np.isfinite(kept)], size[np.isfinite(kept)], rtol=1e-5)


def test_the_command(files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = [
        "measure",
        str(files / "image.fits"),
        "--psf",
        str(files / "psf.fits"),
        "--models",
        "point,sersic",
    ]
    words += ["--no-shapes", "--workers", "1", "--format", "ecsv"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "sources" in done.output
    assert "catalogue.ecsv" in done.output
    assert (files / "image_sources" / "field.png").exists()
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert "overwrite" in again.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models", "sersik"], "did you mean 'sersic'"),
        (["--degree", "effective_radius"], "NAME=N"),
        (["--threshold", "-1"], "above 0"),
        (["--zero-point", "NOKEY"], "NOKEY"),
    ],
)
def test_calls_that_cannot_be_used_are_a_sentence(files, words, message, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    done = CliRunner().invoke(app, ["measure", str(files / "image.fits"), *words])
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_missing_image_is_a_sentence(tmp_path):
    done = CliRunner().invoke(app, ["measure", str(tmp_path / "nothing.fits")])
    assert done.exit_code == 2
    assert "nothing.fits" in done.output
