"""``isolux export`` on the screen."""

from pathlib import Path

import pyarrow.parquet

from survey.made_run import make_run


def test_export(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    make_run("run", galaxies=6, parts=3, portraits=0, lost=1, without_place=1)
    said = run(
        "export", "run", "--format", "fits", "--columns", "legacy", "--band", "r", "--out", "catalogue.fits"
    )
    assert "4 rows in catalogue.fits" in said
    assert "1 of 3 parts and 2 galaxies are missing" in said
    assert Path("catalogue.fits").stat().st_size > 0
    said = run("export", "run", "--columns", "legacy", "--out", "other.fits", code=2)
    assert "give band='r'" in said
    said = run("export", "run", "--truth")
    assert "4 rows in run/catalogue_truth.parquet" in said
    assert "truth_sersic_magnitude" in pyarrow.parquet.read_schema("run/catalogue_truth.parquet").names
    assert "did you mean 'votable'" in run("export", "run", "--format", "votabel", code=2)
    assert "no column primary" in run("export", "run", "--primary", code=2)
