"""A browser, and the page of a small run in it."""

import os
import shutil

import pytest

from isolux import write_report
from report.browsing import Watched
from survey.made_run import make_run

CHROMIUM = os.environ.get("ISOLUX_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="session")
def browser():
    """Return a headless browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this system; ISOLUX_CHROMIUM may name one")
    with playwright.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def run_page(tmp_path_factory):
    """Return the page of a survey's run of ten galaxies, and its rows."""
    folder = tmp_path_factory.mktemp("run")
    run = make_run(folder, galaxies=10, parts=2, portraits=5)
    rows = [row for table in run.rows() for row in table.to_pylist()]
    return write_report(folder).path, rows


@pytest.fixture
def watched(browser, run_page):
    """Return the page of a small run, open; nothing may have been wrong with it at the end."""
    made = Watched(browser, run_page[0])
    yield made
    assert made.faults == []
    made.context.close()
