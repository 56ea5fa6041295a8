"""The page in a browser without network: what a person sees, clicks, types and prints; what hostile text can do."""

import os
import re
import shutil
from pathlib import Path

import pytest

from isolux import write_report
from report.pages import HOSTILE, hostile, synthetic, write_catalogue
from survey.made_run import make_run

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("ISOLUX_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this system; ISOLUX_CHROMIUM may name one"
)


@pytest.fixture(scope="module")
def browser():
    """Return a headless browser."""
    with playwright.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Watched:
    """A page with all that it complained of, asked for, or popped up."""

    def __init__(self, browser, path: Path, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}} | options)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on(
            "dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        self.page.on("request", lambda request: self._asked(request.url))
        self.url = path.as_uri()
        self.go()

    def _asked(self, url: str) -> None:
        if not url.startswith("data:") and url.partition("#")[0] != self.url.partition("#")[0]:
            self.faults.append(f"request: {url}")

    def go(self, anchor: str = "") -> None:
        """Load the page afresh."""
        self.page.goto("about:blank")
        self.faults.clear()
        self.page.goto(self.url + anchor)
        self.page.wait_for_selector("html[data-ready]", timeout=20_000)

    def until(self, question: str) -> None:
        """Wait until the answer to a question in JavaScript is yes; the policy of the page forbids other ways."""
        for _ in range(200):
            if self.page.evaluate(question):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(question)

    def filter(self, text: str) -> None:
        """Type a filter, as a person does."""
        self.page.fill("#filter", text)
        self.page.press("#filter", "Enter")
        self.page.wait_for_timeout(30)

    def names(self) -> list[str]:
        """Return the names of the cards that are there."""
        return self.page.locator("#cards h3 a").evaluate_all("links => links.map((link) => link.title)")

    def chosen(self) -> tuple[int, ...]:
        """Return the numbers of the line that says how many galaxies are chosen."""
        text = self.page.inner_text("#chosen").replace("\u202f", "")
        return tuple(int(n) for n in re.findall(r"\d+", text))


@pytest.fixture(scope="module")
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


def test_ten_galaxies_are_shown(watched, run_page):
    page, rows = watched.page, run_page[1]
    assert watched.names() == [row["id"] for row in rows]
    assert page.locator("#cards img").count() == 30
    assert page.locator("#cards svg.profile").count() == 10
    sizes = page.locator("#cards img").evaluate_all("images => images.map((image) => image.naturalWidth)")
    assert set(sizes) == {40}
    assert page.title() == "made – Isolux"
    assert "10" in page.inner_text(".facts")


def test_sorting(watched, run_page):
    by_size = sorted(run_page[1], key=lambda row: row["sersic_effective_radius"])
    watched.page.select_option("#sort", "sersic_effective_radius")
    assert watched.names() == [row["id"] for row in by_size]
    watched.page.click("#direction")
    assert watched.names() == [row["id"] for row in reversed(by_size)]


def test_filtering_by_text(watched, run_page):
    wanted = [
        row["id"] for row in run_page[1] if row["sersic_sersic_index"] > 2 and row["sersic_magnitude"] < 18
    ]
    assert 0 < len(wanted) < 10
    watched.filter("n > 2 & sersic_magnitude < 18 & status = converged")
    assert watched.names() == wanted
    assert watched.chosen() == (len(wanted), 10, len(wanted), 10)
    assert watched.page.locator("#chips button").count() == 1
    watched.filter("n > > 2")
    assert "not expected" in watched.page.inner_text("#filter-error")
    assert watched.page.get_attribute("#filter", "aria-invalid") == "true"
    assert watched.names() == wanted  # the last one that was right stays
    watched.page.click("#clear")
    assert watched.page.inner_text("#filter-error") == ""
    assert len(watched.names()) == 10
    watched.filter("n > 1000")
    assert "None of the 10" in watched.page.inner_text("#gallery-count")


def test_a_brush_in_a_chart_chooses_in_the_gallery(watched, run_page):
    page = watched.page
    chart = page.locator("#explorer-chart svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 55, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 45, steps=4)
    page.mouse.up()
    chosen = watched.names()
    assert 0 < len(chosen) < 10
    mags = {row["id"]: row["sersic_magnitude"] for row in run_page[1]}
    left = [name for name in mags if name not in chosen]
    assert max(mags[name] for name in chosen) < min(mags[name] for name in left)
    assert page.locator("#chips button").count() == 2
    assert watched.chosen()[0] == len(chosen)
    for _ in range(2):
        page.locator("#chips button").first.click()
    assert len(watched.names()) == 10


def test_sliders_choose_by_keyboard(watched, run_page):
    page = watched.page
    slider = page.get_by_label("magnitude: from", exact=True)
    slider.focus()
    for _ in range(5):
        page.keyboard.press("PageUp")
    assert 0 < watched.chosen()[0] < 10
    mags = {row["id"]: row["sersic_magnitude"] for row in run_page[1]}
    chosen = watched.names()
    assert min(mags[n] for n in chosen) > max(mags[n] for n in mags if n not in chosen)
    page.keyboard.press("Home")
    assert page.locator("#chips button").count() == 0


def test_a_card_marks_its_galaxy_in_the_charts(watched):
    page = watched.page
    page.locator("#cards li").nth(2).hover()
    page.wait_for_timeout(50)
    page.locator("#explorer-chart").scroll_into_view_if_needed()
    assert page.locator("#cards li.pointed").count() <= 1
    page.locator("#cards li").nth(2).locator("a").focus()
    assert page.locator("#cards li.pointed").count() == 1


def test_the_page_of_a_galaxy_by_link_and_by_keyboard(watched, run_page):
    page, rows = watched.page, run_page[1]
    watched.go(f"#galaxy={rows[3]['id']}")
    assert page.inner_text("#galaxy h2") == rows[3]["id"]
    assert page.is_hidden("#overview")
    assert page.locator("#galaxy .large img").count() == 3
    assert f"{rows[3]['sersic_sersic_index']:.3f}"[:4] in page.inner_text("#galaxy .pair")
    listed = page.locator("#galaxy .every tbody th").all_inner_texts()
    assert listed == list(rows[3])
    page.keyboard.press("ArrowRight")
    watched.until(f"document.querySelector('#galaxy h2').textContent === '{rows[4]['id']}'")
    page.keyboard.press("ArrowLeft")
    watched.until(f"document.querySelector('#galaxy h2').textContent === '{rows[3]['id']}'")
    page.keyboard.press("Escape")
    page.wait_for_selector("#overview", state="visible")
    assert page.is_hidden("#galaxy")
    page.locator("#cards h3 a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#galaxy h2")
    assert page.inner_text("#galaxy h2") == rows[0]["id"]
    page.go_back()
    page.wait_for_selector("#overview", state="visible")
    watched.go("#galaxy=nobody")
    assert "No such galaxy" in page.inner_text("#galaxy h2")


def test_everything_is_reached_by_tab(watched):
    page = watched.page
    page.evaluate("document.body.focus()")
    reached = []
    for _ in range(90):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "() => {const e = document.activeElement; const r = getComputedStyle(e);"
            "return [e.id || e.className || e.tagName, r.outlineStyle !== 'none' || !!e.closest('.sliders, .galaxy')]}"
        )
        if seen[0] == "BODY":  # past the last
            break
        reached.append(seen[0])
        assert seen[1], f"{seen[0]} has the focus and does not show it"
    assert {"skip", "filter", "status", "flag", "explorer-x", "explorer-y"} <= set(reached)


CONTROLS = """() => [...document.querySelectorAll('a, button, input, select, svg[role=img], img, [role=region]')]
  .filter((e) => e.offsetParent !== null || e.tagName === 'svg')
  .filter((e) => !(e.getAttribute('aria-label') || e.alt || e.labels?.length || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 120))"""
HEADINGS = """() => [...document.querySelectorAll('h1, h2, h3, h4')].filter((e) => e.offsetParent !== null)
  .map((e) => Number(e.tagName[1]))"""
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const found = rgb(getComputedStyle(e).backgroundColor);
      if (found.length === 3 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(e.tagName) || (!e.getClientRects().length)) continue;
    if (e.closest('.ruler') || e.closest('.hidden')) continue;  // on the image itself; not seen
    const style = getComputedStyle(e);
    const front = rgb(e.namespaceURI.endsWith('svg') ? style.fill : style.color);
    const [a, b] = [light(front), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)} ${(a + 0.05) / (b + 0.05)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("anchor", ["", "#galaxy=mock_001"])
def test_it_can_be_read_by_everyone(browser, run_page, scheme, anchor):
    made = Watched(browser, run_page[0], color_scheme=scheme)
    made.go(anchor)
    page = made.page
    page.wait_for_timeout(100)
    assert page.evaluate(CONTROLS) == []
    assert page.evaluate(CONTRAST) == []
    levels = page.evaluate(HEADINGS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))
    assert page.get_attribute("html", "lang") == "en"
    twice = "() => {const all = [...document.querySelectorAll('[id]')].map((e) => e.id); return all.length - new Set(all).size}"
    assert page.evaluate(twice) == 0
    assert made.faults == []
    made.context.close()


@pytest.mark.parametrize("width", [380, 768, 1600])
@pytest.mark.parametrize("anchor", ["", "#galaxy=mock_001"])
def test_nothing_sticks_out_at_any_width(browser, run_page, width, anchor):
    made = Watched(browser, run_page[0], viewport={"width": width, "height": 800})
    made.go(anchor)
    assert made.page.evaluate("document.documentElement.scrollWidth") <= width
    made.context.close()


def test_it_prints(watched, tmp_path):
    watched.page.wait_for_timeout(100)
    content = watched.page.pdf(format="A4", print_background=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 3 <= pages <= 15
    watched.page.emulate_media(media="print", color_scheme="dark")
    assert watched.page.is_hidden("#filter")
    paper = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    blank = """() => [...document.querySelectorAll('.frame canvas')].filter((canvas) => {
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return !data.some((value) => value);
    }).length"""
    assert watched.page.evaluate(blank) == 0


def test_less_motion_where_it_is_asked_for(browser, run_page):
    made = Watched(browser, run_page[0], reduced_motion="reduce")
    moving = "() => [...document.querySelectorAll('*')].filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    assert made.page.evaluate(moving) == 0
    assert made.page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    made.context.close()


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """Return a page of a catalogue whose texts mean harm."""
    folder = tmp_path_factory.mktemp("bad") / '"><img src=x onerror=alert(9)><script>alert(0)<'
    return write_report(write_catalogue(folder, hostile())).path


def test_hostile_names_do_nothing(browser, hostile_page):
    made = Watched(browser, hostile_page)
    page = made.page
    assert sorted(made.names()) == sorted(HOSTILE)
    click = "(links, name) => links.find((link) => link.title === name).click()"
    for name in HOSTILE:
        page.locator("#cards h3 a").evaluate_all(click, name)
        page.wait_for_selector("#galaxy h2")
        assert page.locator("#galaxy h2").text_content() == (name or "(no name)")
        assert (
            page.locator("#galaxy script, #cards script, #cards img, main a[href^=javascript]").count() == 0
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 1300
        page.keyboard.press("Escape")
        page.wait_for_selector("#overview", state="visible")
    for name in HOSTILE[:2]:
        made.go("#galaxy=" + page.evaluate("(name) => encodeURIComponent(name)", name))
        assert page.locator("#galaxy h2").text_content() == name
    made.go("#galaxy=%E0%A4%A")  # no text in any encoding
    assert "No such galaxy" in page.inner_text("#galaxy h2")
    assert made.faults == []
    made.context.close()


def test_the_policy_forbids_network_and_foreign_scripts(browser, run_page):
    """What would slip through everything else: the browser itself refuses it."""
    made = Watched(browser, run_page[0])
    page = made.page
    page.evaluate(
        "() => {const e = document.createElement('div');"
        'e.innerHTML = \'<img src="https://example.org/a.png" onerror="window.broken = 1">\'; document.body.append(e);'
        "const s = document.createElement('script'); s.textContent = 'window.broken = 2'; document.body.append(s)}"
    )
    page.evaluate("() => fetch('https://example.org/').catch(() => {})")
    page.wait_for_timeout(100)
    assert page.evaluate("window.broken") is None
    refused = [
        fault for fault in made.faults if not fault.startswith("request:")
    ]  # asked for, and not let out
    assert len(refused) >= 4
    assert all("Content Security Policy" in fault for fault in refused), refused
    made.context.close()


@pytest.fixture(scope="module")
def long_page(tmp_path_factory):
    """Return the page of a hundred thousand galaxies all over the sky."""
    folder = write_catalogue(tmp_path_factory.mktemp("long"), synthetic(100_000, whole_sky=True))
    return write_report(folder)


def test_a_hundred_thousand_galaxies(browser, long_page):
    assert (long_page.galaxies, long_page.points) == (100_000, 20_000)
    assert long_page.size < 15e6
    made = Watched(browser, long_page.path)
    page = made.page
    assert "20,000 of the 100,000 galaxies" in page.inner_text(".summary")
    assert "Aitoff" in page.inner_text("#sky")
    assert page.locator("#cards li").count() < 60  # the others come into view
    made.filter("dec > 30 & n > 3")
    points, of, shown, gallery = made.chosen()
    assert (of, gallery) == (20_000, 400)
    # A quarter of the sky is above 30 degrees, and 3/5.5 of the indices above 3; 5 % have no fit: 2590 to 48.
    assert points == pytest.approx(20_000 * 0.25 * 3 / 5.5 * 0.95, abs=250)
    assert shown == pytest.approx(points / 50, abs=40)
    page.click("#status-table button[data-code='4']")
    assert made.chosen()[0] == 0
    assert page.locator("#chips button").count() == 2
    made.page.click("#clear")
    assert made.faults == []
    made.context.close()


def test_more_cards_come_by_scrolling(browser, long_page):
    made = Watched(browser, long_page.path)
    before = len(made.names())
    made.page.locator(".more").scroll_into_view_if_needed()
    made.until(f"document.querySelectorAll('#cards li').length > {before}")
    assert made.faults == []
    made.context.close()
