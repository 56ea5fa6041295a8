"""HATS catalogues of runs as LSDB reads them: all galaxies, their numbers, units, margins, the match with the truth."""

import re
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import isolux
from isolux.errors import FitWarning, InputError, MissingExtra
from isolux.io import hats
from survey.made_run import make_run

LOST = 3
"""Galaxies without a position."""


@pytest.fixture(scope="module", autouse=True)
def _library():
    """Have hats run its small loops as they are: to compile them would take far longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        pytest.importorskip("hats_import")
        yield


@pytest.fixture(scope="module")
def lsdb():
    """Return the library."""
    return pytest.importorskip("lsdb")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with HATS catalogues of a run across 0 hours and of its truth; the run's rows; the result."""
    folder = tmp_path_factory.mktemp("hats")
    run = make_run(
        folder / "run", galaxies=40, parts=3, centre=(0.0, 2.0), spread=3.0, without_place=LOST, portraits=0
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hats, "CELL_ROWS", (10, 10))
        with pytest.warns(FitWarning, match="3 rows have no position"):
            done = isolux.export(run.path, folder / "galaxies", format="hats", margin=3600.0)
    with pytest.warns(FitWarning, match="3 rows have no position"):
        isolux.export(run.path, folder / "truth", format="hats", truth=True, margin=7200.0)
    return folder, pyarrow.concat_tables(run.rows()), done


def test_no_galaxy_is_lost(made, lsdb):
    folder, rows, done = made
    catalogue = lsdb.open_catalog(folder / "galaxies")
    found = catalogue.compute()
    apart = pyarrow.parquet.read_table(folder / "galaxies_without_position.parquet")
    assert done.rows == len(found) == 40 - LOST
    assert done.without_position == folder / "galaxies_without_position.parquet"
    assert sorted([*found["id"], *apart["id"].to_pylist()]) == sorted(rows["id"].to_pylist())
    assert catalogue.npartitions > 3
    ours = rows.to_pandas().set_index("id")
    theirs = found.set_index("id")
    for name in ours.columns:
        expected = ours.loc[theirs.index, name].to_numpy()
        assert np.array_equal(theirs[name].to_numpy(), expected, equal_nan=expected.dtype.kind == "f"), name


def test_units_and_notes_are_kept(made):
    """In each Parquet file, of the margin too, and in the properties."""
    folder, _, _ = made
    files = sorted((folder / "galaxies").rglob("Npix=*.parquet"))
    files += list((folder / "galaxies").rglob("_common_metadata"))
    margin = [file for file in files if "galaxies_" in str(file.relative_to(folder / "galaxies"))]
    assert margin
    for file in files:
        size = pyarrow.parquet.read_schema(file).field("sersic_effective_radius")
        assert size.metadata[b"unit"] == b"arcsec", file
        assert size.metadata[b"description"] == b"half-light semi-major axis, before the PSF", file
    properties = (folder / "galaxies" / "collection.properties").read_text()
    assert "isolux_complete=3 of 3 parts, 40 galaxies" in properties
    assert f"isolux_version={isolux.__version__}" in properties


def test_every_galaxy_is_found_at_its_true_place(made, lsdb):
    """Matched within 1 arcsec to the catalogue of the truth: the names agree row by row."""
    folder, rows, _ = made
    galaxies = lsdb.open_catalog(folder / "galaxies", columns=["id", "ra", "dec", "sersic_magnitude"])
    truth = lsdb.open_catalog(
        folder / "truth", columns=["id", "truth_ra", "truth_dec", "truth_sersic_magnitude"]
    )
    assert truth.margin is not None
    with hats.quiet():
        found = galaxies.crossmatch(
            truth, radius_arcsec=1.0, suffixes=("", "_t"), suffix_method="all_columns"
        ).compute()
    assert len(found) == 40 - LOST
    assert (found["id"] == found["id_t"]).all()
    assert (found["_dist_arcsec"] < 1.0).all()
    apart = (found["sersic_magnitude"] - found["truth_sersic_magnitude_t"]).abs()
    assert (apart < 0.2).all()
    order = {name: k for k, name in enumerate(rows["id"].to_pylist())}
    magnitude = np.asarray(rows["sersic_magnitude"])[[order[name] for name in found["id"]]]
    assert np.array_equal(found["sersic_magnitude"].to_numpy(), magnitude)


def test_the_page_on_reading_results_is_true(tmp_path, monkeypatch, lsdb):
    text = (Path(__file__).parents[2] / "docs" / "reading-results.md").read_text(encoding="utf-8")
    block = re.search(r"```python no-run\n(isolux\.export.*?)```", text, flags=re.DOTALL)[1]
    make_run(tmp_path / "run", galaxies=5, parts=1, portraits=0)
    monkeypatch.chdir(tmp_path)
    names = {"isolux": isolux}
    with hats.quiet():
        exec(block, names)
    assert len(names["pairs"]) == 5


def test_the_margin_holds_neighbours_of_the_cells(made, lsdb):
    folder, _, _ = made
    margin = lsdb.open_catalog(folder / "galaxies").margin
    assert margin is not None
    assert margin.hc_structure.catalog_info.margin_threshold == 3600.0


def test_nothing_is_left_behind(made):
    folder, _, _ = made
    names = {
        "run",
        "galaxies",
        "galaxies_without_position.parquet",
        "truth",
        "truth_without_position.parquet",
    }
    assert {path.name for path in folder.iterdir()} == names
    assert not list((folder / "galaxies").rglob("intermediate"))


def test_in_a_surveys_columns_and_again(tmp_path, lsdb):
    """Positions are found under the survey's names; one catalogue takes the other's place; without a margin."""
    run = make_run(tmp_path / "run", galaxies=3, parts=1, portraits=0)
    out = tmp_path / "cat"
    done = isolux.export(run.path, out, format="hats", columns="rubin", band="r", margin=0)
    assert done.without_position is None
    with pytest.raises(InputError, match="is there already"):
        isolux.export(run.path, out, format="hats")
    done = isolux.export(run.path, out, format="hats", columns="euclid", band="VIS", margin=0, overwrite=True)
    catalogue = lsdb.open_catalog(out)
    assert catalogue.margin is None
    assert catalogue.hc_structure.catalog_info.ra_column == "RIGHT_ASCENSION"
    assert len(catalogue.compute()) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat", "run"]


def test_what_is_no_hats_catalogue_is_never_replaced(tmp_path):
    run = make_run(tmp_path / "run", galaxies=2, parts=1, portraits=0)
    with pytest.raises(InputError, match="is no HATS catalogue"):
        isolux.export(run.path, tmp_path / "run" / "parts", format="hats", overwrite=True)
    assert run.part_files()


@pytest.mark.parametrize("margin", [-1.0, float("nan"), 40_000.0])
def test_margins_that_cannot_be(tmp_path, margin):
    run = make_run(tmp_path / "run", galaxies=2, parts=1, portraits=0)
    with pytest.raises(InputError, match="margin in arcsec"):
        isolux.export(run.path, tmp_path / "cat", format="hats", margin=margin)


def test_without_any_position_there_is_no_catalogue(tmp_path):
    run = make_run(tmp_path / "run", galaxies=2, parts=1, without_place=2, portraits=0)
    with pytest.raises(InputError, match=r"no row has a position \(ra, dec\)"):
        isolux.export(run.path, tmp_path / "cat", format="hats")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_extra_is_named(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", galaxies=2, parts=1, portraits=0)
    monkeypatch.setitem(sys.modules, "hats_import", None)
    with pytest.raises(MissingExtra, match=r"isolux\[hats\]"):
        isolux.export(run.path, tmp_path / "cat", format="hats")
