"""The pages in docs/ are true: their Python runs, the files that they name exist, their tables are complete.

Every ```python block of a page runs, in the order of the page, in one namespace and in an empty folder; blocks
marked ```python no-run do not. An ```output block after a ```python block is what it prints. A ```toml
block is a run file, saved as run.toml.
"""

import contextlib
import io
import re
from pathlib import Path

import pytest

import isolux
from isolux import Fixed, Scene, Tied
from isolux.profiles import PROFILES, RadialProfile
from isolux.status import FLAG_MESSAGES, Flag, Status
from stubs import mock_batch
from test_layers import LAYERS, SOURCE, top

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
GUIDES = ("architecture.md", "tour.md")


def prose(page: str) -> str:
    """Return a page without its blocks."""
    return FENCE.sub("", TEXT[page])


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its header."""
    below = TEXT[page].split(f"{heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", below, flags=re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def slug(heading: str) -> str:
    """Return the anchor of a heading as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", TEXT)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    blocks = [(match[1].strip(), match[2], match.start(2)) for match in FENCE.finditer(TEXT[page])]
    namespace, printed = {"__name__": "__main__"}, ""
    for language, text, start in blocks:
        if language == "python":
            # Tracebacks and inspect find the block at its place in the page.
            padded = "\n" * TEXT[page].count("\n", 0, start) + text
            stream = io.StringIO()
            with contextlib.redirect_stdout(stream):
                exec(compile(padded, str(DOCS / page), "exec"), namespace)
            printed = stream.getvalue()
        elif language == "toml":
            Path("run.toml").write_text(text, encoding="utf-8")
        elif language == "output":
            assert printed.strip() == text.strip()


@pytest.mark.parametrize("page", TEXT)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (DOCS / path).resolve() if path else DOCS / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(
                r"^#+ (.*)$", FENCE.sub("", file.read_text(encoding="utf-8")), flags=re.MULTILINE
            )
            assert anchor in {slug(heading) for heading in headings}, target


def test_index_lists_every_page():
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", TEXT["index.md"]))
    assert linked == set(TEXT) - {"index.md"}


@pytest.mark.parametrize("page", GUIDES)
def test_files_named_in_guides_exist(page):
    named = {word for word in names(prose(page)) if word.endswith((".py", ".md", "/")) and " " not in word}
    assert named
    for word in named:
        places = [ROOT / word, SOURCE / word, DOCS / word, ROOT / "tests" / word]
        assert any(place.exists() for place in places), f"{page} names {word}"


@pytest.mark.parametrize("page", TEXT)
def test_paths_and_scripts_exist(page):
    paths = {
        word for word in names(prose(page)) if word.startswith(("src/", "tests/", "benchmarks/", "docs/"))
    }
    paths |= set(re.findall(r"python ((?:benchmarks|examples)/\S+\.py)", TEXT[page]))
    for path in paths:
        assert (ROOT / path).exists(), f"{page} names {path}"


def test_architecture_has_the_layers():
    rows = table("architecture.md", "## Layers")
    listed = {name: int(number) for number, files, _ in rows for name in names(files)}
    listed = {re.sub(r"\.py$|/$", "", name): number for name, number in listed.items()}
    built = {top(".".join(p.relative_to(SOURCE).with_suffix("").parts)) for p in SOURCE.rglob("*.py")}
    layer = {name: number for number, line in LAYERS.items() for name in line.split()}
    missing = built - set(listed)
    assert not missing, f"add to the table of layers in docs/architecture.md: {sorted(missing)}"
    assert {name: layer.get(name) for name in listed} == listed


def test_statuses_are_those_of_the_code():
    rows = table("conventions.md", "## Status: why a fit ended")
    assert rows == [[str(int(status)), status.name, status.message] for status in Status]


def test_flags_are_those_of_the_code():
    rows = table("conventions.md", "## Flags: remarks")
    assert rows == [[str(int(flag)), flag.name, FLAG_MESSAGES[flag]] for flag in Flag]


def test_every_status_and_flag_has_advice():
    rows = table("errors-and-status.md", "## What to do")
    advised = {name for row in rows for name in names(row[0])}
    assert advised == {status.name for status in Status} - {"RUNNING"} | {flag.name for flag in Flag}


@pytest.fixture(scope="module")
def columns() -> dict[str, tuple[str, str]]:
    """Return the units, in tables and inside, of each column that conventions.md lists."""
    rows = table("conventions.md", "## Columns of a table")
    return {name: (outside, inside) for cell, outside, inside, _ in rows for name in names(cell)}


def test_every_parameter_has_its_unit(columns):
    spelt = {"flux": "image unit", "flux/pixel2": "image unit / pixel", "flux/pixel3": "image unit / pixel²"}
    made = [kind() for kind in PROFILES]
    made += [
        kind(**{how: 1.0})
        for kind in PROFILES
        if issubclass(kind, RadialProfile)
        for how in ("flux", "intensity")
    ]
    for profile in made:
        for parameter in profile.declared(dict.fromkeys(profile._settings)):
            assert columns[f"*_{parameter.name}"][1] == spelt.get(parameter.unit, parameter.unit), (
                parameter.name
            )


def test_every_column_of_a_catalogue_is_listed(columns):
    batch, _ = mock_batch(count=1)
    scene = Scene(
        galaxy=isolux.Sersic(),
        disc=isolux.Exponential(x=Tied("galaxy.x"), y=Tied("galaxy.y"), flux=1.0),
        star=isolux.PointSource(x=Fixed(5.0), y=Fixed(5.0), flux=0.0),
        sky=isolux.FlatSky(),
    )
    result = isolux.fit(batch, scene, solver=isolux.LevenbergMarquardt(max_steps=1)).table()
    for name in result.colnames:
        plain = re.sub(r"_(err|mark)$", "", name)
        listed = columns.get(plain) or columns["*_" + plain.split("_", 1)[1]]
        if not name.endswith("_mark"):
            unit = "" if result[name].unit is None else str(result[name].unit)
            assert unit == ("" if listed[0].startswith("image unit") else listed[0]), name
