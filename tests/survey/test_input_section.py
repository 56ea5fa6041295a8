import numpy as np
import pytest
from astropy.io import fits

import isolux
from isolux.errors import InputError
from isolux.options import RunOptions
from isolux.survey.catalogue import CatalogueInput
from isolux.survey.inputs import read_input
from isolux.survey.stamps import StampsInput
from survey.stamp_samples import NUMBERS, batches, ids, made, pixels, planned, write_files, write_parquet

SCENE = isolux.Scene(galaxy=isolux.Sersic())
NAMES = ["a", "b"]


@pytest.fixture
def folder(tmp_path, rng):
    write_files(tmp_path / "s", pixels(NAMES, rng))
    write_parquet(tmp_path / "c.parquet", pixels(NAMES, rng), NAMES)
    return tmp_path


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ({"folder": "s"}, StampsInput),
        ({"image": "s/*_image.fits", "sigma": "s/*_sigma.fits"}, StampsInput),
        ({"catalogue": "c.parquet"}, CatalogueInput),
        ({"table": "c.parquet"}, StampsInput),
    ],
)
def test_keys_tell_the_kind(folder, section, kind):
    source = read_input(section, folder, SCENE, RunOptions())
    assert type(source) is kind
    assert source.kind == ("catalogue" if kind is CatalogueInput else "stamps")


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"foldr": "s"}, "unknown key of .input. 'foldr'; did you mean 'folder'"),
        ({"catalogue": "c.parquet", "sgima": 1}, "did you mean 'sigma'"),
        ({"sigma": 0.1}, r"where are the galaxies.*allowed: image, table, folder, catalogue"),
        ({"folder": "s", "image": "s/*.fits"}, "exclude each other"),
        ({"folder": "s", "catalogue": "c.parquet"}, "exclude each other"),
        ({"catalogue": "c.parquet", "table": "t.csv"}, "exclude each other"),
        ({"folder": "s", "band": "r"}, "band is for images in a catalogue"),
        ({"folder": "x"}, "x: no such folder"),
        ({"folder": 3}, r"folder \(got 3\); allowed: a path"),
        ({"catalogue": ""}, "catalogue .*allowed: a path"),
        ({"catalogue": "c.parquet", "carry": 3}, "carry .*names of columns"),
        ({"catalogue": "c.parquet", "sigma": "sigma", "ivar": "sigma"}, "one of sigma, variance and ivar"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, section, text):
    with pytest.raises(InputError, match=text):
        read_input(section, folder, SCENE, RunOptions())


def test_paths_are_those_beside_the_run_file_wherever_one_is(folder, monkeypatch):
    monkeypatch.chdir(folder)
    here = read_input({"folder": "s"}, ".", SCENE, RunOptions())
    monkeypatch.chdir("/")
    there = read_input({"folder": "s"}, folder, SCENE, RunOptions())
    assert here.describe() == there.describe()
    catalogue = read_input({"catalogue": "c.parquet"}, folder / "s" / "..", SCENE, RunOptions())
    assert catalogue.path == str(folder / "c.parquet")


def test_a_table_with_images_in_it_is_a_catalogue(folder):
    with pytest.raises(InputError, match=r"c.parquet: has images in it; give it as catalogue"):
        planned(read_input({"table": "c.parquet"}, folder, SCENE, RunOptions()))


def test_a_folder_of_stamps_with_what_belongs_to_them(folder):
    source = made(folder, folder="s")
    assert ids(planned(source)) == [NAMES]
    assert source.source.psf == str(folder / "s/*_psf.fits*")
    assert made(folder, folder="s", sigma=0.2).source.sigma == 0.2
    (folder / "s/a_psf.fits").unlink()
    batch, k, _ = batches(source, planned(source))["a"]
    assert "no file for it among psf" in batch.message[k]


def test_a_folder_of_images_alone(folder, rng):
    alone = folder / "alone"
    alone.mkdir()
    for name in ("x", "y", "psf"):
        fits.writeto(alone / f"{name}.fits", np.ones((9, 9)))
    assert ids(planned(made(folder, folder="alone", sigma=0.1))) == [["psf", "x", "y"]]
    source = made(folder, folder="alone", sigma=0.1, psf="alone/psf.fits")
    assert ids(planned(source)) == [["x", "y"]]
    batch, _, _ = batches(source, planned(source))["x"]
    assert batch.psf.shape == (1, 9, 9)


def test_folders_without_stamps_are_refused(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no FITS files in it"):
        made(folder, folder="empty")
    (folder / "empty/a.parquet").write_text("")
    with pytest.raises(InputError, match="give its Parquet files as catalogue"):
        made(folder, folder="empty")
    (folder / "odd[1]").mkdir()
    with pytest.raises(InputError, match="its name has wildcards"):
        made(folder, folder="odd[1]")


def test_options_of_stamps_reach_them(folder):
    source = made(folder, catalogue="c.parquet", psf_oversampling=3, psf_includes_pixel=False)
    batch, _, _ = batches(source, planned(source))["a"]
    assert (batch.psf_oversampling, batch.psf_includes_pixel) == (3, False)
    assert batch.zero_point.tolist() == [NUMBERS["zero_point"]] * 2
