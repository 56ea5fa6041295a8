"""The filter's language, run by node: what it accepts, what it finds, and what it says of mistakes."""

import json
import shutil
import subprocess

import pytest

from isolux.report.page.write import HERE

NODE = shutil.which("node") or shutil.which("nodejs")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")

ROWS = [
    {"id": "NGC 1", "n": 1.0, "mag": 18.0, "status": 0, "flags": 0, "model": "Sersic", "primary": 1},
    {"id": "b", "n": 4.0, "mag": 21.0, "status": 1, "flags": 256, "model": "point", "primary": 0},
    {"id": "c", "n": 2.5, "mag": None, "status": 0, "flags": 257, "model": "", "primary": 1},
    {"id": "d", "n": float("nan"), "mag": 20.0, "status": 6, "flags": 0, "model": "point", "primary": 0},
]
GOOD = {
    "": "0123",
    "n > 2": "12",
    "n>2 & status = converged": "2",
    "N >= 2.5 and STATUS = Converged": "2",
    "sersic_n > 2": "12",
    "1 < n < 4": "2",
    "n < 2 | n > 3": "01",
    "!(n > 2)": "03",
    "not n > 2, mag < 19": "0",
    "status != converged": "13",
    "status = 6": "3",
    "flags has low_signal": "12",
    "flags = low_signal & !flags has at_bound": "1",
    "flags != low_signal": "03",
    "model = point": "13",
    "model = 'sersic'": "0",
    'id = "ngc 1"': "0",
    "id ~ ngc": "0",
    "`id` = b": "1",
    "missing(mag)": "2",
    "missing(n) | missing(model)": "23",
    "primary": "02",
    "!primary & model = point": "13",
    "mag - 2 * n > 12.5": "01",
    "abs(n - 4) < 0.1": "1",
    "n ^ 2 >= 16": "1",
    "-n < -3": "1",
    "n > 1e0": "12",
    "mag ≥ 20": "13",
    "log10(n * 10) = 1": "0",
    "n = n": "012",
}
BAD = {
    "n >": "missing at the end",
    "n": None,
    "sersic_m > 2": "no column “sersic_m”; do you mean sersic_n?",
    "zzzzzzzz > 2": "no column “zzzzzzzz”",
    "status = convergd": "no status “convergd”; do you mean converged?",
    "flags has egde": "no flag “egde”; do you mean edge?",
    "flags > edge": "flags can be",
    "(n > 2": "not closed",
    "n > 2)": "not expected",
    "n > 'a": "quote is not closed",
    "n > 2 2": "not expected",
    "n # 2": "means nothing",
    "nonsense(n) > 1": "no function",
    "(n > 1) > 2": "compares values",
    "model": "comparison is missing",
    "& n > 2": "not expected",
    "alert": "no column",
    "constructor > 1": "no column",
    "__proto__": "no column",
}
DRIVER = """
import {FilterError, parseFilter} from "./filter.js";
import {readFileSync} from "node:fs";
const {rows, texts, kinds} = JSON.parse(readFileSync(0, "utf8"));
const known = {
  columns: new Map(Object.entries(kinds).map(([name, kind]) => [name, {kind}])),
  aliases: {sersic_n: "n"},
  statuses: {converged: 0, step_limit: 1, bad_input: 6},
  flags: {low_signal: 256, at_bound: 1, edge: 524288},
};
console.log(JSON.stringify(texts.map((text) => {
  try {
    const {test} = parseFilter(text, known);
    return rows.map((row) => test((name) => row[name] ?? null));
  } catch (error) {
    return error instanceof FilterError ? `${error.message} @${error.at}` : `CRASH ${error.stack}`;
  }
})));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Return a function that runs a script beside the page's modules."""
    folder = tmp_path_factory.mktemp("js")
    shutil.copytree(HERE / "js", folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')

    def run(script, **given):
        (folder / "driver.js").write_text(script)
        # JSON has no NaN; an empty cell is null for the page as well.
        text = json.dumps(given).replace("NaN", "null")
        done = subprocess.run(
            [NODE, "driver.js"], cwd=folder, input=text, capture_output=True, text=True, timeout=60
        )
        assert not done.stderr, done.stderr
        return json.loads(done.stdout)

    return run


def test_filters_find_what_they_say_and_mistakes_are_explained(node):
    kinds = {name: "text" if name in ("id", "model") else "number" for name in ROWS[0]}
    found = node(DRIVER, rows=ROWS, texts=[*GOOD, *BAD], kinds=kinds)
    for (text, wanted), passed in zip(GOOD.items(), found, strict=False):
        assert isinstance(passed, list), f"{text}: {passed}"
        assert "".join(str(k) for k, ok in enumerate(passed) if ok) == wanted, text
    for (text, words), said in zip(BAD.items(), found[len(GOOD) :], strict=True):
        if words is None:
            assert isinstance(said, list)
        else:
            assert isinstance(said, str), text
            assert words in said, f"{text}: {said}"


def test_numbers_as_text(node):
    script = """
import {count, logTicks, number, ticks, withError} from "./format.js";
console.log(JSON.stringify([
  number(3.14159), number(-0.00001234), number(1234567), number(null), number(0), withError(3.14159, 0.0273),
  withError(17, null), withError(0.00012, 0.000034), withError(null, 1), count(1234567), ticks(0, 10), ticks(-1, 1, 4),
  logTicks(0, 2), ticks(1, 1),
]));
"""
    minus = "\u2212"
    assert node(script) == [
        "3.142",
        f"{minus}1.23×10⁻⁵",
        "1.23×10⁶",
        "–",
        "0",
        "3.142 ± 0.027",
        "17",
        "(1.20 ± 0.34)×10⁻⁴",
        "–",
        "1\u202f234\u202f567",
        [0, 2, 4, 6, 8, 10],
        [-1, -0.5, 0, 0.5, 1],
        [1, 3, 10, 30, 100],
        [1],
    ]


def test_scales_go_to_and_fro(node):
    script = """
import {Scale} from "./scale.js";
const scale = new Scale(0, 2, {log: true}), back = new Scale(0, 10, {reversed: true});
console.log(JSON.stringify([scale.to(10), scale.from(0.5), back.to(0), back.from(0.25), scale.from(scale.to(37))]));
"""
    assert node(script) == pytest.approx([0.5, 10, 1, 7.5, 37])
