"""``isolux report``: exit codes and what it says."""

import pytest

from report.pages import synthetic, write_catalogue


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Return a working folder with a catalogue in run/."""
    monkeypatch.chdir(tmp_path)
    write_catalogue(tmp_path / "run", synthetic(120))
    return tmp_path


def test_a_page_is_written_and_replaced_when_told(catalogue, run):
    said = run("report", "run", "--points", "100", "--gallery", "5")
    assert "120, 105 drawn" in said or "120, 100 drawn" in said
    assert "run/report.html" in said
    assert (catalogue / "run" / "report.html").stat().st_size > 50_000
    assert "there already" in run("report", "run", code=2)
    run("report", "run", "--overwrite")
    run("report", "run/catalogue.parquet", "--out", "elsewhere/page.html")
    assert (catalogue / "elsewhere" / "page.html").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nowhere",), "no such file"),
        (("run", "--points", "5"), "points"),
        (("run", "--truth", "truth.csv"), "truth.csv"),
        (("run", "--out", "run/catalogue.parquet/page.html"), "catalogue.parquet"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(catalogue, run, words, reason):
    said = run("report", *words, code=2)
    assert reason in said
    assert "Traceback" not in said
