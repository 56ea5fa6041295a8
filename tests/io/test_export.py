"""Catalogues written from the parts of a run or from a file, in every format but HATS."""

import shutil
import subprocess

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

import isolux
from isolux.errors import FitWarning, InputError
from isolux.io import votable
from isolux.io.rows import rows_from
from isolux.io.run_folder import RunFolder
from isolux.io.tables import from_arrow, read_table
from isolux.io.votable import UCDS, ucd_of
from survey.made_run import make_run

FILES = ("parquet", "fits", "votable", "ecsv", "csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run of nine galaxies in three parts, made once; not to be written in."""
    return make_run(tmp_path_factory.mktemp("made"), galaxies=9, parts=3, portraits=1)


@pytest.fixture
def run(made, tmp_path):
    """Return a copy of the run."""
    shutil.copytree(made.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def whole(run):
    """Return the rows of all parts as they are."""
    return pyarrow.concat_tables(run.rows())


def read(path):
    """Return a catalogue as an astropy table, whatever its format."""
    return (
        Table.read(path, format="votable")
        if path.suffix == ".vot"
        else read_table(path, ("id", "message", "flags_text"))
    )


@pytest.mark.parametrize("kind", FILES)
def test_every_format_holds_the_parts(made, tmp_path, kind):
    out = tmp_path / f"catalogue{ {'votable': '.vot'}.get(kind, '.' + kind) }"
    done = isolux.export(made.path, out)
    assert (done.path, done.rows, done.remarks) == (out, 9, ())
    found, expected = read(out), whole(made)
    assert found.colnames == expected.column_names
    for field in expected.schema:
        if pyarrow.types.is_string(field.type):
            assert [str(v) for v in found[field.name]] == expected[field.name].to_pylist(), field.name
        else:
            values = np.ma.filled(
                np.ma.asarray(getattr(found[field.name], "value", found[field.name]), float), np.nan
            )
            assert np.array_equal(values, np.asarray(expected[field.name], float), equal_nan=True), field.name
    if kind != "csv":
        assert str(found["sersic_effective_radius"].unit) == "arcsec"
        assert (
            found["sersic_effective_radius"].info.description == "half-light semi-major axis, before the PSF"
        )
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_files_say_what_they_were_made_of(made, tmp_path):
    said = "3 of 3 parts, 9 galaxies"
    for ending in ("parquet", "fits", "vot", "ecsv"):
        isolux.export(made.path, tmp_path / f"c.{ending}")
    assert pyarrow.parquet.read_schema(tmp_path / "c.parquet").metadata[b"isolux_complete"] == said.encode()
    history = list(fits.getheader(tmp_path / "c.fits", 1)["HISTORY"])
    assert f"isolux_complete: {said}" in history
    assert f"isolux_version: {isolux.__version__}" in history
    infos = {info.name: info.value for info in parse(tmp_path / "c.vot").resources[0].infos}
    assert infos["isolux_complete"] == said
    assert infos["isolux_columns"] == "isolux"
    for ending in ("parquet", "ecsv"):
        assert isolux.read_catalogue(tmp_path / f"c.{ending}").meta["isolux_complete"] == said


def test_the_same_run_gives_the_same_file(made, tmp_path):
    for name in ("a", "b"):
        isolux.export(made.path, tmp_path / f"{name}.fits", columns="legacy", band="r")
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_missing_parts_are_said(tmp_path):
    run = make_run(tmp_path / "run", galaxies=9, parts=3, lost=1)
    with pytest.warns(FitWarning, match=r"1 of 3 parts and 3 galaxies are missing, 1 of which were given up"):
        done = isolux.export(run.path, tmp_path / "c.parquet")
    assert done.rows == 6
    assert len(done.remarks) == 1
    metadata = pyarrow.parquet.read_schema(tmp_path / "c.parquet").metadata
    assert metadata[b"isolux_complete"] == b"2 of 3 parts, 6 galaxies"


def test_a_part_without_a_receipt_is_not_done(run, tmp_path):
    run.receipt_file(1).unlink()
    with pytest.warns(FitWarning, match="1 of 3 parts"):
        done = isolux.export(run.path, tmp_path / "c.fits")
    assert done.rows == 6


def test_a_run_without_a_part_that_is_done_is_refused(run):
    shutil.rmtree(run.path / "receipts")
    with pytest.raises(InputError, match="no part of this run is done"):
        isolux.export(run.path)


def test_damage_leaves_what_was_there(run, tmp_path):
    out = tmp_path / "c.fits"
    out.write_bytes(b"before")
    damaged = bytearray(run.part_file(2).read_bytes())
    damaged[200:260] = bytes(60)
    run.part_file(2).write_bytes(bytes(damaged))
    with pytest.raises(InputError, match=r"part-00000002.*is damaged.*resume"):
        isolux.export(run.path, out, overwrite=True)
    assert out.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.fits", "run"]


def test_parts_of_other_columns_are_refused(run):
    rows = next(run.rows())
    run.write_part(1, rows.drop_columns(["chi2"]))
    with pytest.raises(InputError, match=r"differ from those of part-00000000\.parquet.*chi2"):
        isolux.export(run.path)


def test_nothing_is_replaced_unasked(made, run, tmp_path):
    out = tmp_path / "c.parquet"
    isolux.export(run.path, out)
    with pytest.raises(InputError, match="is there already"):
        isolux.export(run.path, out)
    isolux.export(run.path, out, columns="euclid", band="VIS", overwrite=True)
    assert "OBJECT_ID" in pyarrow.parquet.read_schema(out).names
    with pytest.raises(InputError, match="the catalogue itself"):
        isolux.export(out, out, overwrite=True)
    with pytest.raises(InputError, match="is a folder"):
        isolux.export(out, tmp_path / "run", format="fits", overwrite=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "fit"}, "did you mean 'fits'"),
        ({"out": "c.txt"}, "unknown kind of catalogue"),
        ({"columns": "legacysurvey"}, "did you mean 'legacy'"),
        ({"columns": "rubin"}, "give band='r'"),
        ({"columns": "rubin", "band": "r", "component": "sersik"}, "did you mean 'sersic'"),
        ({"columns": "rubin", "band": "r", "pixel_scale": 0.0}, "pixel_scale"),
        ({"columns": "legacy", "truth": True}, "truth is exported in Isolux's columns"),
        ({"primary_only": True}, "no column primary"),
    ],
)
def test_calls_that_cannot_be_are_one_sentence(made, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        isolux.export(made.path, **{"out": "c.fits", **options})
    assert not list(tmp_path.iterdir())


def test_what_is_no_catalogue_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        isolux.export(tmp_path / "none.parquet", tmp_path / "c.fits")
    with pytest.raises(InputError, match="neither a survey run nor a catalogue"):
        isolux.export(tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        isolux.export(tmp_path / "bad.parquet", tmp_path / "c.fits")


def test_names_are_given_where_none_are(run):
    assert isolux.export(run.path).path == run.path / "catalogue.parquet"
    assert isolux.export(run.path, format="fits").path == run.path / "catalogue.fits"
    assert isolux.export(run.path, format="votable", truth=True).path == run.path / "catalogue_truth.vot"
    made = isolux.export(run.path / "catalogue.fits", columns="rubin", band="i", format="csv")
    assert made.path == run.path / "catalogue_rubin.csv"


@pytest.mark.parametrize("ending", ["fits", "ecsv", "parquet"])
def test_catalogues_of_fits_are_taken_too(made, tmp_path, ending):
    """From a file, and from the folder in which it is the only one."""
    rows = whole(made)
    isolux.write_catalogue(from_arrow(rows), tmp_path / f"catalogue.{ending}")
    for source in (tmp_path, tmp_path / f"catalogue.{ending}"):
        out = isolux.export(source, tmp_path / "out.parquet", columns="legacy", band="r", overwrite=True)
        found = pyarrow.parquet.read_table(out.path)
        assert np.asarray(found["shape_r"]) == pytest.approx(np.asarray(rows["sersic_effective_radius"]))
        assert found.schema.field("shape_r").metadata[b"unit"] == b"arcsec"


def test_rows_are_numbered_across_parts(made, tmp_path):
    out = isolux.export(made.path, tmp_path / "c.parquet", columns="legacy", band="r").path
    assert pyarrow.parquet.read_table(out)["objid"].to_pylist() == list(range(9))


def test_the_truth_alone(made, tmp_path):
    names = pyarrow.parquet.read_schema(
        isolux.export(made.path, tmp_path / "c.parquet", truth=True).path
    ).names
    assert names[:3] == ["id", "truth_ra", "truth_dec"]
    assert all(name.startswith("truth_") for name in names[1:])
    plain = rows_from({"id": np.array(["a"]), "sersic_magnitude": np.ones(1)})
    pyarrow.parquet.write_table(plain, tmp_path / "plain.parquet")
    with pytest.raises(InputError, match="no columns truth_"):
        isolux.export(tmp_path / "plain.parquet", tmp_path / "t.fits", truth=True)


def test_only_primary_sources(tmp_path):
    """Empty cells are not primary; True and False come through FITS, in which they are letters."""
    rows = rows_from({"id": np.array(["a", "b", "c", "d"]), "status": np.zeros(4, int)})
    rows = rows.append_column("primary", pyarrow.array([True, False, None, True]))
    pyarrow.parquet.write_table(rows, tmp_path / "fields.parquet")
    out = isolux.export(tmp_path / "fields.parquet", tmp_path / "c.fits", primary_only=True).path
    found = Table.read(out)
    assert found["id"].tolist() == ["a", "d"]
    assert found["primary"].dtype == bool
    assert found["primary"].tolist() == [True, True]
    rows = rows.set_column(2, "primary", pyarrow.array([True, False, False, True]))
    pyarrow.parquet.write_table(rows, tmp_path / "fields.parquet")
    found = Table.read(isolux.export(tmp_path / "fields.parquet", tmp_path / "d.fits").path)
    assert found["primary"].tolist() == [True, False, False, True]


def test_odd_columns_come_through(tmp_path):
    """Text of any length and script, lists, empty cells in some pieces and not in others, names with spaces."""
    run = RunFolder(tmp_path / "run")
    make_run(run.path, galaxies=2, parts=2, portraits=0)
    text = ["Ωmega 'quoted', \"twice\"", "x" * 300]
    for number, (words, count) in enumerate(zip(text, (None, 5), strict=True)):
        rows = rows_from(
            {"id": np.array([f"g{number}"]), "note": np.array([words]), "cheb": np.array([[1.0, 2.0]])}
        )
        rows = rows.append_column("count", pyarrow.array([count], pyarrow.int64()))
        run.write_part(number, rows)
    found = Table.read(isolux.export(run.path, tmp_path / "c.fits").path)
    assert found["note"][1] == "x" * 300
    assert "quoted" in found["note"][0]
    assert np.ma.is_masked(found["count"][0])
    assert found["count"][1] == 5
    assert found["cheb"].shape == (2, 2)
    plain = Table.read(isolux.export(run.path, tmp_path / "c.csv").path, format="ascii.csv")
    assert plain["cheb_1"].tolist() == [2.0, 2.0]
    assert plain["note"][0] == text[0]


def test_parts_without_galaxies_are_parts(tmp_path):
    run = make_run(tmp_path / "run", galaxies=2, parts=2, portraits=0)
    for number in (0, 1):
        run.write_part(number, next(run.rows()).slice(0, 0))
    for kind in FILES:
        done = isolux.export(run.path, tmp_path / f"c_{kind}", format=kind)
        assert done.rows == 0
    assert len(Table.read(tmp_path / "c_fits", format="fits")) == 0


def test_progress_counts_rows(made, tmp_path):
    seen = []
    isolux.export(made.path, tmp_path / "c.parquet", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 9), (6, 9), (9, 9)]


def test_a_large_votable_is_refused_with_advice(made, tmp_path, monkeypatch):
    monkeypatch.setattr(votable, "LARGEST", 8)
    with pytest.raises(InputError, match=r"Parquet or HATS.*got 9.*8 or fewer"):
        isolux.export(made.path, tmp_path / "c.vot")


def test_ucds_are_of_the_vocabulary():
    for _, ucd in UCDS:
        assert check_ucd(ucd, check_controlled_vocabulary=True), ucd
    assert ucd_of("sersic_magnitude") == "phot.mag"
    assert ucd_of("sersic_magnitude_err") == "stat.error;phot.mag"
    assert ucd_of("r_sersicFluxErr") == "stat.error;phot.flux"
    assert ucd_of("ra") == "pos.eq.ra;meta.main"
    assert ucd_of("truth_ra") == "pos.eq.ra"
    assert ucd_of("shape_r_ivar") == "stat.weight"
    assert ucd_of("sersic_x_mark") == "meta.code"
    assert ucd_of("aic") == ""


@pytest.mark.parametrize("columns", ["isolux", "legacy", "rubin", "euclid"])
def test_votables_say_what_columns_are(made, tmp_path, columns):
    out = isolux.export(made.path, tmp_path / "c.vot", columns=columns, band="r").path
    fields = {field.name: field for field in parse(out, verify="ignore").get_first_table().fields}
    ra = next(field for name, field in fields.items() if name.lower().endswith(("ra", "right_ascension")))
    assert ra.ucd == "pos.eq.ra;meta.main"
    assert str(ra.unit) == "deg"
    assert all(field.description for field in fields.values())


@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
@pytest.mark.parametrize("columns", ["isolux", "legacy"])
def test_stilts_reads_them(made, tmp_path, columns):
    def stilts(*words):
        done = subprocess.run(["stilts", *words], capture_output=True, text=True, check=True, timeout=120)
        return done.stdout + done.stderr

    isolux.export(made.path, tmp_path / "c.vot", columns=columns, band="r")
    isolux.export(made.path, tmp_path / "c.fits", columns=columns, band="r")
    said = [
        line for line in stilts("votlint", str(tmp_path / "c.vot")).splitlines() if "arraysize" not in line
    ]
    assert not said  # astropy writes arraysize="1" for text of one letter, which is out of use but valid
    size = "sersic_effective_radius" if columns == "isolux" else "shape_r"
    for name in ("c.vot", "c.fits"):
        command = f"cmd=keepcols 'id {size}'"
        lines = stilts("tpipe", f"in={tmp_path / name}", command, "ofmt=csv").splitlines()
        found = {line.split(",")[0]: float(line.split(",")[1]) for line in lines[1:]}
        rows = whole(made)
        assert found == dict(
            zip(rows["id"].to_pylist(), rows["sersic_effective_radius"].to_pylist(), strict=True)
        )
