"""Profiles as tables, files, figures and on the command line."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from typer.testing import CliRunner

import isolux
from isolux.cli.app import app
from isolux.io.profile_tables import ProfileWriter, read_profiles
from isolux.isophotes import IsophoteOptions, Isophotes, measure_isophotes
from isolux.isophotes.profiles import POINT_COLUMNS
from isolux.report.isophotes import isophote_figure, profile_image, save_isophote_figures
from isophote_skies import batch_of, disc, noisy


@pytest.fixture(scope="module")
def batch():
    empty = np.random.default_rng(1).standard_normal((64, 64)) * 0.5
    return batch_of([noisy(disc()), empty, noisy(disc(q=0.4, angle=-40))], id=["one", "empty", "0007"])


@pytest.fixture(scope="module")
def found(batch):
    return measure_isophotes(batch)


def test_long_table_has_a_row_a_radius(found):
    table = found.table()
    assert set(table["id"]) == {"one", "0007"}
    assert len(table) == int(found.length.sum())
    assert [column.name for column in POINT_COLUMNS] == table.colnames[1:]
    assert table["sma"].unit == u.arcsec
    assert table["surface_brightness"].unit == u.mag / u.arcsec**2
    assert all(table[name].info.description for name in table.colnames)


def test_summary_has_a_row_a_galaxy(found):
    table = found.summary()
    assert list(table["id"]) == ["one", "empty", "0007"]
    assert table["d25"].unit == u.arcsec
    assert "no galaxy" in table["profile_flags_text"][1]
    assert all(table[name].info.description for name in table.colnames)


def test_parts_make_a_whole(batch, found):
    parts = [measure_isophotes(batch.select([k])) for k in range(3)]
    assert Isophotes.concatenate(parts).id == found.id
    assert found.select([2, 0]).id == ("0007", "one")


@pytest.mark.parametrize("kind", ["fits", "parquet", "ecsv", "csv"])
def test_tables_come_back(found, tmp_path, kind):
    with ProfileWriter(tmp_path, kind) as writer:
        writer.write(found.select([0, 1]))
        writer.write(found.select([2]))
    radii, galaxies = read_profiles(tmp_path)
    assert list(galaxies["id"]) == ["one", "empty", "0007"]
    assert len(radii) == int(found.length.sum())
    assert np.allclose(np.asarray(radii["intensity"]), np.asarray(found.table()["intensity"]), rtol=1e-6)
    with pytest.raises(isolux.InputError, match="already"):
        ProfileWriter(tmp_path, kind)
    with pytest.raises(isolux.InputError, match="kind"):
        ProfileWriter(tmp_path, "xlsx")


def test_no_tables_are_an_error(tmp_path):
    with pytest.raises(isolux.InputError, match="no tables"):
        read_profiles(tmp_path)


def test_figures_of_all_kinds(batch, found, tmp_path):
    assert len(save_isophote_figures(batch, found, tmp_path, ("png", "pdf"))) == 6
    assert isophote_figure(batch, found, "empty") is not None
    other = {"r": found}
    assert isophote_figure(batch, found, 0, other) is not None


def test_image_of_a_profile_is_the_galaxy(batch, found):
    model = profile_image(found, 0, (64, 64))
    assert np.abs(model - disc())[5:-5, 5:-5].max() < 6
    rest = batch.image[0].numpy() - model
    assert abs(rest.std() - 0.5) < 0.1


@pytest.fixture
def stamps(tmp_path):
    for k in range(2):
        for band, factor in (("g", 1), ("r", 2)):
            fits.writeto(
                tmp_path / f"gal{k}_{band}.fits", noisy(factor * disc(angle=20 * k), 0.5, 10 * k + factor)
            )
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, ["profile", *map(str, words)])


def test_command_writes_tables_and_figures(stamps):
    out = stamps / "out"
    result = call(
        f"{stamps}/*_g.fits", "--zero-point", 25, "--pixel-scale", 0.4, "--out", out, "--band", f"r={stamps}/*_r.fits",
        "--band-name", "g",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.iterdir()} == {"profiles.fits", "galaxies.fits", "colours.fits", "figures"}
    assert len(list((out / "figures").glob("*.png"))) == 2
    galaxies = read_profiles(out)[1]
    assert list(galaxies["id"]) == ["gal0", "gal1"] or list(galaxies["id"]) == ["0", "1"]
    with fits.open(out / "colours.fits") as file:
        colour = file[1].data["g_r"]
    assert abs(np.nanmedian(colour) - 2.5 * np.log10(2)) < 0.05


def test_command_takes_names_that_the_shell_expanded(stamps):
    names = sorted(stamps.glob("*_g.fits"))
    result = call(*names, "--zero-point", 25, "--pixel-scale", 0.4, "--out", stamps / "two", "--figures", 0)
    assert result.exit_code == 0, result.output
    assert len(read_profiles(stamps / "two")[1]) == 2
    assert not (stamps / "two" / "figures").exists()


def test_command_says_what_cannot_be(stamps):
    for words, text in (
        ((f"{stamps}/none*.fits",), "no file"),
        ((f"{stamps}/*_g.fits", "--method", "magic"), "method"),
        ((f"{stamps}/*_g.fits", "--band", "r"), "NAME=PATTERN"),
        ((f"{stamps}/*_g.fits", "--band-zero-point", "r=3"), "band"),
        ((f"{stamps}/*_g.fits", "--step", "0"), "step"),
    ):
        result = call(*words, "--pixel-scale", 0.4, "--out", stamps / "bad")
        assert result.exit_code == 2, result.output
        assert text in result.output.replace("\n", " ")


def test_command_ends_with_one_where_a_galaxy_has_no_profile(stamps):
    fits.writeto(stamps / "gal9_g.fits", np.random.default_rng(3).standard_normal((64, 64)))
    result = call(
        f"{stamps}/*_g.fits", "--pixel-scale", 0.4, "--out", stamps / "three", "--format", "parquet"
    )
    assert result.exit_code == 1
    assert "2 of 3 galaxies" in result.output


def test_options_of_the_command_are_those_of_python():
    from isolux.cli.profile_arguments import IsophoteArguments

    given = IsophoteArguments(step=0.5, axis_ratio=0.7, sky_level=2.0, levels=[24.0], keep_neighbours=True)
    assert given.options() == IsophoteOptions(
        step=0.5,
        geometry="fixed",
        axis_ratio=0.7,
        sky="given",
        sky_level=2.0,
        levels=(24.0,),
        find_neighbours=False,
    )
