"""A page in a browser, watched; and questions to it, in JavaScript, about whether everyone can use it."""

import re
from pathlib import Path

CONTROLS = """() => [...document.querySelectorAll('a, button, input, select, svg[role=img], img, [role=region]')]
  .filter((e) => e.offsetParent !== null || e.tagName === 'svg')
  .filter((e) => !(e.getAttribute('aria-label') || e.alt || e.labels?.length || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 120))"""
"""Controls, images and charts that have no name."""
HEADINGS = """() => [...document.querySelectorAll('h1, h2, h3, h4')].filter((e) => e.offsetParent !== null)
  .map((e) => Number(e.tagName[1]))"""
"""Levels of the headings that are seen."""
TWICE = """() => {
  const all = [...document.querySelectorAll('[id]')].map((e) => e.id);
  return all.filter((id, k) => all.indexOf(id) !== k);
}"""
"""Ids that stand for more than one element."""
MOVING = """() => [...document.querySelectorAll('*')]
  .filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"""
"""Elements that move when they change."""
BLANK = """() => [...document.querySelectorAll('.frame canvas')].filter((canvas) => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return !data.some((value) => value);
}).length"""
"""Charts on which nothing is drawn."""
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (all) => all.slice(0, 3).map((v) => linear(v / 255))
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
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)} ${ratio}`);
  }
  return poor;
}"""
"""Texts whose contrast is below 4.5, as WCAG 2 computes it."""


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
