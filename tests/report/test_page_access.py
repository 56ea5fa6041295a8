"""Whether everyone can use the page: by keyboard, in the dark, on paper, on a phone, by ear."""

import itertools
import re

import pytest

from report.browsing import BLANK, CONTRAST, CONTROLS, HEADINGS, MOVING, TWICE, Watched


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
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert page.get_attribute("html", "lang") == "en"
    assert page.evaluate(TWICE) == []
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
    assert watched.page.evaluate(BLANK) == 0


def test_less_motion_where_it_is_asked_for(browser, run_page):
    made = Watched(browser, run_page[0], reduced_motion="reduce")
    assert made.page.evaluate(MOVING) == 0
    assert made.page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    made.context.close()
