"""Mock fields in files: astropy and Isolux read them, and the command writes them."""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from typer.testing import CliRunner

from isolux.cli import app
from isolux.errors import InputError
from isolux.io.tables import read_table
from isolux.io.write_field import write_field
from isolux.mock import FieldOptions
from isolux.mock.columns import COLUMNS
from isolux.psf_model import PsfModel


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    """Return the folder and the files of the small field."""
    folder = tmp_path_factory.mktemp("mock")
    return folder, write_field(small, folder, noiseless=True)


def test_image_and_header(small, written):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, header = fits.getdata(written[1]["r"], header=True)
        wcs = WCS(header)
    assert np.array_equal(
        pixels, np.where(small.bands["r"].saturated, small.full["r"], small.bands["r"].data)
    )
    assert (header["MAGZERO"], header["FILTER"]) == (22.5, "r")
    assert header["GAIN"] == pytest.approx(small.gain["r"])
    assert (pixels >= header["SATURATE"]).sum() == small.bands["r"].saturated.sum()
    x, y = wcs.all_world2pix(small.truth["ra"], small.truth["dec"], 0)
    assert np.allclose(x, small.truth["x_r"], atol=1e-4)
    assert np.allclose(y, small.truth["y_r"], atol=1e-4)


def test_weight_noiseless_and_psf(small, written):
    files = written[1]
    weight = fits.getdata(files["r weight"])
    assert np.allclose(weight, 1 / small.sigma["r"] ** 2)
    assert np.array_equal(fits.getdata(files["r noiseless"]), small.noiseless["r"])
    star, header = fits.getdata(files["r psf"], header=True)
    assert star.sum() == pytest.approx(1, abs=1e-5)
    assert header["OVERSAMP"] == 1


def test_psfex_file_gives_the_psf_at_any_position(small, written):
    with fits.open(written[1]["r psfex"]) as hdus:
        header, mask = hdus["PSF_DATA"].header, hdus["PSF_DATA"].data["PSF_MASK"][0]
    assert (header["POLDEG1"], header["PSF_SAMP"], mask.shape[0]) == (3, 1.0, header["PSFAXIS3"])
    # By PSFEx's rules: positions from 1, powers of x fastest.
    x, y = (
        (200.0 + 1 - header["POLZERO1"]) / header["POLSCAL1"],
        (20.0 + 1 - header["POLZERO2"]) / header["POLSCAL2"],
    )
    terms = [x**i * y**j for j in range(4) for i in range(4 - j)]
    image = np.tensordot(terms, mask, axes=1)
    ours = small.psf["r"].at(200.0, 20.0)[0]
    assert np.abs(image / image.sum() - ours).max() < 1e-6 * ours.max()
    assert isinstance(small.psf["r"], PsfModel)


@pytest.mark.parametrize("kind", ["fits", "parquet", "ecsv"])
def test_truth_in_every_format(small, tmp_path, kind):
    path = write_field(small, tmp_path, truth=kind)["truth"]
    table = read_table(path)
    assert len(table) == 14
    assert np.allclose(table["magnitude_r"].value, small.truth["magnitude_r"])
    assert str(table["effective_radius_r"].unit) == "arcsec"
    assert list(table["kind"]) == list(small.truth["kind"])


def test_truth_is_read_by_astropy_alone(small, written):
    table = Table.read(written[1]["truth"])
    assert table.meta["SEED"] == 2
    assert np.allclose(table["ra"], small.truth["ra"])
    assert table["clump_weight"].shape == small.truth["clump_weight"].shape


def test_files_are_not_replaced_unasked(small, written):
    with pytest.raises(InputError, match="is there already"):
        write_field(small, written[0])
    write_field(small, written[0], overwrite=True)
    with pytest.raises(InputError, match="format of the truth"):
        write_field(small, written[0], truth="xls")


def command(*words, code=0):
    """Return what a command prints."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_command(tmp_path):
    words = ("simulate", "euclid", "--size", "48,64", "--bands", "VIS,H", "--galaxies", 4, "--stars", 1)
    text = command(
        *words, "--morphology", "realistic", "--faint", 22, "--out", tmp_path, "--truth", "parquet"
    )
    assert "4 galaxies, 1 stars" in text
    assert "euclid_truth.parquet" in text
    assert fits.getdata(tmp_path / "euclid_VIS.fits").shape == (48, 64)
    assert fits.getdata(tmp_path / "euclid_H.fits").shape == (16, 22)
    assert len(read_table(tmp_path / "euclid_truth.parquet")) == 5
    assert "is there already" in command(*words, "--out", tmp_path, code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eucld",), "did you mean 'euclid'"),
        (("sdss", "--bands", "r,x"), "unknown band"),
        (("sdss", "--size", "a"), "rows,columns"),
        (("sdss", "--size", "3"), "16 to 32768"),
        (("sdss", "--psf-variation", "2"), "0 to 0.5"),
    ],
)
def test_command_says_what_is_wrong(words, message, tmp_path):
    assert message in command("simulate", *words, "--out", tmp_path, code=2)
    assert not list(tmp_path.iterdir())


def test_help_names_the_surveys():
    text = command("simulate", "--help")
    for word in ("sdss", "hst", "--morphology", "--psf-variation"):
        assert word in text


def test_the_page_names_every_column_and_setting():
    page = (Path(__file__).parents[2] / "docs" / "mock-fields.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)", row.split("|")[1])}
    named = {name.removesuffix("_") for name in named}
    assert set(COLUMNS) <= named
    assert {field.name for field in dataclasses.fields(FieldOptions)} <= named
    for name, (unit, text) in COLUMNS.items():
        assert any(f"| {unit} | {text} |" in row for row in rows if f"`{name}" in row), name
