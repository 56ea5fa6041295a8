"""The page in a browser without network: what a person sees, clicks and types; what hostile text can do."""

import pytest

from isolux import write_report
from report.browsing import Watched
from report.pages import HOSTILE, hostile, synthetic, write_catalogue


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


def test_a_card_marks_its_galaxy_in_the_charts_and_a_point_its_card(watched):
    page = watched.page
    page.locator("#explorer-chart").scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    watched.until("!document.querySelector('#explorer-chart .frame').frame.stale")
    drawn = "document.querySelector('#explorer-chart canvas').toDataURL()"
    before = page.evaluate(drawn)
    card = page.locator("#cards li").nth(2)
    card.dispatch_event("pointerenter")
    page.wait_for_timeout(100)
    assert page.evaluate(drawn) != before
    card.dispatch_event("pointerleave")
    page.wait_for_timeout(100)
    assert page.evaluate(drawn) == before
    box = page.locator("#explorer-chart svg").bounding_box()
    for x in range(60, int(box["width"]), 8):  # sweep until a point is under the pointer
        for y in range(10, int(box["height"]) - 45, 8):
            page.mouse.move(box["x"] + x, box["y"] + y)
            if page.locator("#cards li.pointed").count():
                page.mouse.down()
                page.mouse.up()
                page.wait_for_selector("#galaxy h2")
                return
    raise AssertionError("no point was found")


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
    assert "20\u202f000 of the 100\u202f000 galaxies" in page.inner_text(".summary")
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
