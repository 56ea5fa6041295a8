import os
import pickle
import random
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import QTable, Table

import isolux
from isolux.errors import InputError
from isolux.io.rows import digest
from isolux.options import RunOptions
from isolux.priors import GaussianPrior
from isolux.status import Flag, Status
from isolux.survey import stamps
from isolux.survey.sky_parts import healpix_cells
from survey.stamp_samples import batches, ids, made, mocks, pixels, planned, stamp, write_files

NAMES = [f"g{k:02d}" for k in range(24)]


@pytest.fixture
def places(rng):
    return np.stack([rng.uniform(149.9, 150.1, 24), rng.uniform(2.0, 2.2, 24)], 1)


@pytest.fixture
def folder(tmp_path, rng, places):
    """Return a folder with the files of 24 galaxies."""
    write_files(tmp_path / "stamps", pixels(NAMES, rng), places)
    return tmp_path


def csv(path, columns):
    Table(columns).write(path, format="ascii.csv", overwrite=True)


def test_every_galaxy_is_in_one_part_within_the_limits(folder):
    source = made(folder, folder="stamps")
    for galaxies, most in ((7, 1 << 26), (1000, 5 * 480), (1, 1), (1000, 1 << 26)):
        parts = planned(source, galaxies, most)
        assert sorted(chain(*ids(parts))) == NAMES
        assert all(len(part) <= galaxies and (len(part) == 1 or part.pixels <= most) for part in parts)
        assert sum(part.pixels for part in parts) == 24 * 480


def test_parts_follow_the_sky(folder, places):
    parts = planned(made(folder, folder="stamps"), 6)
    cells = dict(zip(NAMES, healpix_cells(*places.T).tolist(), strict=True))
    there = [cells[name] for names in ids(parts) for name in names]
    assert there == sorted(there)
    assert all(part.place.startswith("HEALPix order") for part in parts)
    listed = np.array([[row["ra"], row["dec"]] for part in parts for row in part.listing.to_pylist()])
    expected = [places[NAMES.index(name)] for names in ids(parts) for name in names]
    assert listed == pytest.approx(np.array(expected), abs=1e-9)


def test_plan_does_not_depend_on_the_order_of_a_directory(folder, monkeypatch):
    source = made(folder, folder="stamps")
    once = planned(source, 6)
    scandir = os.scandir

    class Shuffled(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def shuffled(path):
        with scandir(path) as found:
            entries = Shuffled(found)
        random.Random(7).shuffle(entries)
        return entries

    monkeypatch.setattr(os, "scandir", shuffled)
    again = planned(source, 6)
    assert [p.place for p in again] == [p.place for p in once]
    assert all(digest(a.listing) == digest(b.listing) for a, b in zip(again, once, strict=True))


def test_a_plan_made_in_pieces_is_the_same(folder, monkeypatch):
    (folder / "stamps/g03_psf.fits").unlink()
    source = made(folder, folder="stamps")
    whole = planned(source, 6)
    monkeypatch.setattr(stamps, "AT_ONCE", 5)
    pieces = planned(source, 6)
    assert ids(pieces) == ids(whole)
    assert [part.pixels for part in pieces] == [part.pixels for part in whole]
    assert [part.listing.to_pylist() for part in pieces[:-1]] == [
        part.listing.to_pylist() for part in whole[:-1]
    ]


def test_portions_have_the_pixels_of_the_files(folder):
    source = made(folder, folder="stamps")
    found = batches(source, planned(source, 10))
    for name in NAMES:
        image, sigma, mask = stamp(found, name)
        bad = fits.getdata(folder / f"stamps/{name}_mask.fits") != 0
        assert np.array_equal(image, np.where(bad, 0, fits.getdata(folder / f"stamps/{name}_image.fits")))
        assert np.array_equal(mask, bad)
        assert np.array_equal(sigma[~bad], np.full((~bad).sum(), np.float32(0.1)))
        batch, k, carried = found[name]
        assert batch.status[k] is Status.RUNNING
        assert set(carried) == {"ra", "dec"}


def test_batches_are_of_one_size_class_and_of_a_number_that_is_given(folder, rng):
    write_files(folder / "stamps", pixels(["big0", "big1"], rng, (300, 300)))
    source = made(folder, None, RunOptions(batch_size=10), folder="stamps")
    sizes = [(len(p.batch), p.batch.shape) for p in source.portions(planned(source)[0])]
    assert sorted(sizes) == [(4, (20, 24)), (10, (20, 24)), (10, (20, 24))]
    (last,) = planned(source)[1:]
    assert [p.batch.shape for p in source.portions(last)] == [(300, 300)]


def test_an_input_is_small_and_can_be_sent(folder):
    source = made(folder, folder="stamps")
    sent = pickle.dumps(source)
    assert len(sent) < 5000
    part = planned(source)[0]
    (portion,) = pickle.loads(sent).portions(part)
    assert portion.batch.id == tuple(part.listing["id"].to_pylist())


def test_galaxies_without_a_place_come_last(folder, rng):
    write_files(folder / "stamps", pixels(["n1", "n0"], rng))
    parts = planned(made(folder, folder="stamps"))
    assert ids(parts)[-1] == ["n0", "n1"]
    assert parts[-1].place == "position not known"
    assert np.isnan(parts[-1].listing["ra"].to_numpy()).all()


def test_a_missing_file_is_a_fault_in_the_plan(folder):
    (folder / "stamps/g03_image.fits").unlink()
    (folder / "stamps/g04_sigma.fits").unlink()
    (folder / "stamps/g05_image.fits").write_bytes(b"no image")
    source = made(folder, table="t.csv")
    columns = {kind: [f"stamps/{n}_{kind}.fits" for n in NAMES] for kind in ("image", "sigma", "mask", "psf")}
    csv(folder / "t.csv", {"id": NAMES, **columns})
    parts = planned(source)
    found = batches(source, parts)
    assert len(found) == 24
    for name, text in (
        ("g03", "no such file"),
        ("g04", "g04_sigma.fits: no such file"),
        ("g05", "not a FITS file"),
    ):
        batch, k, _ = found[name]
        assert batch.status[k] is Status.BAD_INPUT
        assert text in batch.message[k]
    there = set(chain(*(source.files(part) for part in parts)))
    assert str(folder / "stamps/g05_image.fits") in there
    assert all(os.path.exists(path) for path in there)
    assert not any("g03" in path or "g04" in path for path in there)
    assert len(there) == 4 * 22


def test_a_file_that_vanishes_later_is_a_fault(folder):
    source = made(folder, folder="stamps")
    parts = planned(source)
    (folder / "stamps/g07_psf.fits").unlink()
    batch, k, _ = batches(source, parts)["g07"]
    assert batch.status[k] is Status.BAD_INPUT
    assert "no such file" in batch.message[k]
    assert any("g07_psf" in path for path in source.files(parts[0]))


def test_packed_files_and_hdus_are_found(folder, rng):
    name = folder / "stamps/g00_image.fits"
    data = fits.getdata(name)
    name.unlink()
    extra = fits.ImageHDU(np.ones((3, 3)), name="OTHER")
    fits.HDUList([fits.PrimaryHDU(), extra, fits.ImageHDU(data, name="SCI")]).writeto(f"{name}.gz")
    csv(folder / "t.csv", {"id": ["a"], "image": ["stamps/g00_image.fits"]})
    source = made(folder, table="t.csv", image_hdu="SCI", sigma=0.1)
    parts = planned(source)
    assert source.files(parts[0]) == [f"{name}.gz"]
    assert parts[0].pixels == 480
    assert np.array_equal(stamp(batches(source, parts), "a")[0], data)


@pytest.mark.parametrize("spelling", [("ra", "dec"), ("RA", "Dec"), ("ALPHA_J2000", "DELTA_J2000")])
def test_positions_come_from_the_table(folder, places, spelling):
    columns = {"id": NAMES, "image": [f"stamps/{n}_image.fits" for n in NAMES]}
    ra = places[:, 0] + 100
    ra[5], dec = np.nan, places[:, 1].copy()
    dec[6] = -999.0
    csv(folder / "t.csv", {**columns, spelling[0]: ra, spelling[1]: dec})
    parts = planned(made(folder, table="t.csv", sigma=0.1))
    rows = {row["id"]: row for part in parts for row in part.listing.to_pylist()}
    assert rows["g00"]["ra"] == pytest.approx(ra[0])
    # Where the table has none, the header has.
    assert rows["g05"]["ra"] == pytest.approx(places[5, 0])
    assert (rows["g06"]["ra"], rows["g06"]["dec"]) == pytest.approx(tuple(places[6]))


def test_positions_in_radians_are_turned_into_degrees(folder, places):
    table = QTable({"id": NAMES, "image": [f"stamps/{n}_image.fits" for n in NAMES]})
    table["ra"], table["dec"] = (np.radians(places[:, k]) for k in (0, 1))
    table["ra"].unit = table["dec"].unit = "rad"
    table.write(folder / "t.ecsv", format="ascii.ecsv")
    rows = planned(made(folder, table="t.ecsv", sigma=0.1))[0].listing
    assert sorted(rows["dec"].to_pylist()) == pytest.approx(sorted(places[:, 1]))
    path = folder / "t.ecsv"
    path.write_text(path.read_text().replace("unit: rad", "unit: Jy"))
    with pytest.raises(InputError, match=r"unit of column ra .*Jy.*an angle"):
        planned(made(folder, table="t.ecsv", sigma=0.1))


def test_starts_truth_and_carried_columns_follow_their_galaxies(folder):
    images = [f"stamps/{n}_image.fits" for n in NAMES]
    table = QTable({"id": NAMES, "image": images, "size": np.arange(24.0), "n0": 1 + np.arange(24) / 10})
    table["size"].unit = "arcsec"
    table["truth_sersic_index"] = np.arange(24) / 7
    table["note"] = [f"nøte {k}" for k in range(24)]
    table["unused"] = 1.0
    table.write(folder / "t.ecsv", format="ascii.ecsv")
    scene = isolux.Scene(galaxy=isolux.Sersic(effective_radius=isolux.Column("size")))
    prior = GaussianPrior("galaxy.sersic_index", isolux.Column("n0"), 0.5)
    options = RunOptions(priors=(prior,))
    source = made(folder, scene, options, table="t.ecsv", sigma=0.1, carry=["note"])
    parts = planned(source, 5)
    assert not any("unused" in name for name in parts[0].listing.column_names)
    for part in parts:
        for portion in source.portions(part):
            number = np.array([NAMES.index(name) for name in portion.batch.id])
            assert portion.start["size"] == pytest.approx(number / 0.4)  # arcsec to pixels
            assert portion.start["n0"] == pytest.approx(1 + number / 10)
            assert portion.carried["truth_sersic_index"].to_pylist() == pytest.approx(number / 7)
            assert portion.carried["note"].to_pylist() == [f"nøte {k}" for k in number]
    rows = source.carried(parts[0])
    assert rows.column_names == ["ra", "dec", "note", "truth_sersic_index"]


def test_columns_that_are_not_there_are_refused(folder):
    columns = {"id": NAMES, "image": [f"stamps/{n}_image.fits" for n in NAMES], "size": ["a"] * 24}
    csv(folder / "t.csv", columns)
    with pytest.raises(InputError, match=r"unknown column .*carry over 'nate'.*; allowed: id, image, size"):
        planned(made(folder, table="t.csv", sigma=0.1, carry=["nate"]))
    wanted = isolux.Scene(galaxy=isolux.Sersic(effective_radius=isolux.Column("sizes")))
    with pytest.raises(InputError, match=r"'sizes'; did you mean 'size'\?"):
        planned(made(folder, wanted, table="t.csv", sigma=0.1))
    words = isolux.Scene(galaxy=isolux.Sersic(effective_radius=isolux.Column("size")))
    with pytest.raises(InputError, match="size does not hold numbers"):
        planned(made(folder, words, table="t.csv", sigma=0.1))
    with pytest.raises(InputError, match="from columns, but there is no table"):
        planned(made(folder, words, folder="stamps"))
    with pytest.raises(InputError, match="carry: columns of which table"):
        made(folder, folder="stamps", carry=["size"])


def test_names_of_any_kind_are_text(folder):
    strange = ["../../etc/x", "a/b", "'; drop", '<script>"', "naïve ☃", "-", "0012"]
    table = pa.table({"id": strange, "image": [f"stamps/g{k:02d}_image.fits" for k in range(7)]})
    pq.write_table(table, folder / "t.parquet")
    before = sorted(folder.rglob("*"))
    source = made(folder, table="t.parquet", sigma=0.1)
    found = batches(source, planned(source))
    assert sorted(found) == sorted(strange)
    assert sorted(folder.rglob("*")) == before


def test_repeated_ids_and_empty_samples_are_refused(folder):
    csv(folder / "t.csv", {"id": ["a", "a"], "image": ["stamps/g00_image.fits"] * 2})
    with pytest.raises(InputError, match="more than one galaxy: a"):
        planned(made(folder, table="t.csv"))
    (folder / "t.csv").write_text("id,image\n")
    with pytest.raises(InputError, match="no galaxies"):
        planned(made(folder, table="t.csv"))


def test_rows_are_the_same_however_the_survey_is_cut(tmp_path):
    planes, names = mocks(6)
    write_files(tmp_path / "s", planes)
    source = made(tmp_path, None, RunOptions(batch_size=2), folder="s")
    whole = source.measure(planned(source)[0], frozenset([names[1]]))
    pieces = [source.measure(part, frozenset()) for part in planned(source, 2)]
    assert digest(whole.rows) == digest(pa.concat_tables([piece.rows for piece in pieces]))
    assert whole.rows["id"].to_pylist() == names
    assert whole.rows["status"].to_pylist() == [0] * 6
    assert [portrait.id for portrait in whole.portraits] == [names[1]]
    again = source.measure(planned(source)[0], frozenset())
    assert digest(again.rows) == digest(whole.rows)


def test_what_decides_is_described_in_plain_values(folder):
    said = made(folder, folder="stamps", psf_oversampling=2).describe()
    assert said["input"]["image"] == str(folder / "stamps/*_image.fits*")
    assert said["input"]["psf_oversampling"] == 2
    listed = made(folder, image=[f"stamps/{n}_image.fits" for n in NAMES], sigma=0.1).describe()
    assert listed["input"]["image"]["items"] == 24
    other = made(folder, image=[f"stamps/{n}_image.fits" for n in NAMES[::-1]], sigma=0.1).describe()
    assert other["input"] != listed["input"]


def test_the_row_of_a_lost_galaxy_has_the_same_columns(folder):
    source = made(folder, None, RunOptions(batch_size=8), folder="stamps")
    part = planned(source)[0].rows(2, 3)
    lost = source.lost(part, "killed by signal 9")
    measured = source.measure(part, frozenset()).rows
    assert lost.schema.equals(measured.schema)
    assert lost["id"].to_pylist() == part.listing["id"].to_pylist()
    assert lost["ra"].to_pylist() == part.listing["ra"].to_pylist()
    assert Flag(lost["flags"].to_pylist()[0]) & Flag.GPU_LOST == Flag(0)
