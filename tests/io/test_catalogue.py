import sys

import numpy as np
import pyarrow.parquet
import pytest
import torch
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

from isolux.errors import InputError, MissingExtra
from isolux.io.catalogue import (
    CatalogueWriter,
    part_files,
    parts_folder,
    read_catalogue,
    recover,
    write_catalogue,
)

ENDINGS = ["fits", "parquet", "ecsv", "csv", "hdf5"]


def rows(*names, sky=True, **more):
    """Return rows of a catalogue: text, numbers with units, a vector, NaN."""
    n = len(names)
    table = QTable({"id": list(names)})
    if sky:
        table["ra"] = np.arange(n) * u.deg
    table["disc_effective_radius"] = np.linspace(1, 2, n) / 3 * u.arcsec
    table["disc_effective_radius"].info.description = "half-light semi-major axis"
    table["sky_level"] = np.where(np.arange(n) % 2, np.nan, 1e-12)
    table["profile_values"] = np.arange(3.0 * n).reshape(n, 3) * u.mag
    table["status"] = np.arange(n, dtype=np.int32)
    table["message"] = [f"galaxy {name}: a, “b” and\nc" for name in names]
    for name, values in more.items():
        table[name] = values
    return table


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    if request.param == "hdf5":
        pytest.importorskip("h5py")
    return tmp_path / f"catalogue.{request.param}"


def same(found, expected, path):
    """The same numbers and text; units and descriptions where the format can hold them."""
    assert len(found) == len(expected)
    found = found[np.argsort(found["id"])]
    for name in expected.colnames:
        if path.suffix == ".csv" and expected[name].ndim > 1:
            assert np.array_equal(found[f"{name}_2"], expected[name].value[:, 2], equal_nan=True)
            continue
        ours, theirs = (np.asarray(getattr(t[name], "value", t[name])) for t in (found, expected))
        if theirs.dtype.kind == "U":
            plain = [t.encode("ascii", "backslashreplace").decode() for t in theirs]
            assert list(ours) == (plain if path.suffix == ".fits" else list(theirs))
        else:
            assert np.array_equal(ours, theirs, equal_nan=True), name
        if path.suffix != ".csv":
            assert found[name].info.unit == expected[name].info.unit
            assert (found[name].info.description or None) == expected[name].info.description
    return True


def test_written_and_read(path):
    table = rows("001", "b", "c")
    assert write_catalogue(table, path) == path
    assert same(read_catalogue(path), table, path)
    assert not parts_folder(path).exists()


def test_batches_are_joined(path):
    with CatalogueWriter(path) as writer:
        writer.write(rows("a", "b"))
        writer.write(rows("c"))
        assert not path.exists()
        assert len(read_catalogue(path)) == 3
    found = read_catalogue(path)
    assert list(found["id"]) == ["a", "b", "c"]
    assert found["message"][2].startswith("galaxy c")


def test_batches_stand_in_their_order_not_in_that_of_writing(path):
    with CatalogueWriter(path) as writer:
        writer.write(rows("c"), place=3)
        writer.write(rows("a"), place=1)
        writer.write(rows("b"), place=2)
        writer.write(rows("d"))
    with CatalogueWriter(path, resume=True) as writer:
        writer.write(rows("f"), place=2)
        writer.write(rows("e"), place=1)
    assert list(read_catalogue(path)["id"]) == ["a", "b", "c", "d", "e", "f"]


def test_killed_run_is_recovered_or_resumed(path):
    class Killed(BaseException):
        pass

    def killed():
        with CatalogueWriter(path) as writer:
            writer.write(rows("a", "b"))
            raise Killed

    with pytest.raises(Killed):
        killed()
    assert not path.exists()
    assert len(read_catalogue(path)) == 2
    with pytest.raises(InputError, match="unfinished run"):
        CatalogueWriter(path)
    with CatalogueWriter(path, resume=True) as writer:
        assert writer.done == {"a", "b"}
        writer.write(rows("c"))
    assert sorted(read_catalogue(path)["id"]) == ["a", "b", "c"]
    with pytest.raises(InputError, match="holds no rows"):
        recover(path)


def test_recover(path):
    CatalogueWriter(path).write(rows("a", "b"))
    assert recover(path) == path
    assert same(read_catalogue(path), rows("a", "b"), path)


def test_finished_catalogue_goes_on(path):
    write_catalogue(rows("01", "02"), path)
    with CatalogueWriter(path, resume=True) as writer:
        assert writer.done == {"01", "02"}
        writer.write(rows("03"))
    expected = QTable(rows("01", "02"))
    assert same(read_catalogue(path)[:2], expected, path)
    assert list(read_catalogue(path)["id"]) == ["01", "02", "03"]


def test_nothing_new_leaves_the_catalogue_alone(path):
    write_catalogue(rows("a"), path)
    before = path.read_bytes()
    with CatalogueWriter(path, resume=True):
        pass
    assert path.read_bytes() == before


def test_killed_while_closing_gives_no_row_twice(path):
    CatalogueWriter(path).write(rows("a", "b"))
    saved = [(part.name, part.read_bytes()) for part in part_files(parts_folder(path))]
    recover(path)
    parts_folder(path).mkdir()
    for name, data in saved:
        (parts_folder(path) / name).write_bytes(data)
    assert len(read_catalogue(path)) == 2
    with CatalogueWriter(path, resume=True) as writer:
        writer.write(rows("c"))
    assert list(read_catalogue(path)["id"]) == ["a", "b", "c"]


def test_what_is_there_is_not_overwritten_unasked(path):
    write_catalogue(rows("a"), path)
    with pytest.raises(InputError, match="is there already"):
        write_catalogue(rows("b"), path)
    write_catalogue(rows("b", "c"), path, overwrite=True)
    assert list(read_catalogue(path)["id"]) == ["b", "c"]


def test_rows_of_another_model_are_refused(path):
    write_catalogue(rows("a"), path)
    with pytest.raises(InputError, match=r"another model.*\['bulge_n'\]"):
        CatalogueWriter(path, resume=True).write(rows("b", bulge_n=[4.0]))


def test_sky_columns_may_be_missing(path):
    with CatalogueWriter(path) as writer:
        writer.write(rows("a", sky=False))
        writer.write(rows("b"))
        writer.write(rows("c", sky=False))
    ra = read_catalogue(path)["ra"]
    assert np.isnan(ra[[0, 2]]).all()
    assert ra[1] == 0 * ra.unit if ra.unit else ra[1] == 0


def test_fits_header_describes_the_columns(tmp_path):
    write_catalogue(rows("a", "b"), tmp_path / "c.fits")
    with fits.open(tmp_path / "c.fits") as opened:
        opened.verify("exception")
        hdu = opened["CATALOGUE"]
        number = hdu.columns.names.index("disc_effective_radius") + 1
        assert hdu.header[f"TUNIT{number}"] == "arcsec"
        assert hdu.header[f"TCOMM{number}"] == "half-light semi-major axis"
        assert hdu.data["profile_values"].shape == (2, 3)
    assert QTable.read(tmp_path / "c.fits")["disc_effective_radius"].unit == u.arcsec


def test_parquet_metadata(tmp_path):
    write_catalogue(rows("a"), tmp_path / "c.parquet")
    field = pyarrow.parquet.read_schema(tmp_path / "c.parquet").field("disc_effective_radius")
    assert field.metadata == {b"unit": b"arcsec", b"description": b"half-light semi-major axis"}


def test_ecsv_is_read_by_astropy(tmp_path):
    write_catalogue(rows("a", "b"), tmp_path / "c.ecsv")
    assert same(QTable.read(tmp_path / "c.ecsv"), rows("a", "b"), tmp_path / "c.ecsv")


def test_unknown_format_and_missing_file(tmp_path):
    with pytest.raises(InputError, match="unknown kind of table"):
        CatalogueWriter(tmp_path / "c.txt")
    with pytest.raises(InputError, match="no such file"):
        read_catalogue(tmp_path / "c.fits")


def test_result_is_written(tmp_path, result):
    path = write_catalogue(result, tmp_path / "c.fits")
    found = read_catalogue(path)
    assert list(found["id"]) == list(result.id)
    assert torch.isnan(result.chi2[1])
    assert np.isnan(found["chi2"][1])


def test_missing_library_is_told_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"isolux\[hdf5\]"):
        CatalogueWriter(tmp_path / "c.hdf5")
