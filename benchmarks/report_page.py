"""What a page of a run costs: time, memory and bytes for catalogues of 10,000 to a million galaxies.

    python benchmarks/report_page.py --write
    python benchmarks/report_page.py --figure RUN      # the picture in docs/report.md, of a survey's run

Catalogues are made-up numbers in the columns of a Sérsic fit with truth, in Parquet; 400 galaxies have images of
100 x 100 pixels with noise. There is no opponent: no other code makes such a page.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from about import commit, processor

ROOT = Path(__file__).resolve().parents[1]
SIDE, PICTURES, PART = 100, 400, 10_000
COUNTS = (10_000, 100_000, 1_000_000)
RESULT = ROOT / "benchmarks" / "results" / "report_page.json"
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
TABLE = ("<!-- report page -->", "<!-- end of report page -->")


def make_run(folder: Path, galaxies: int) -> None:
    """Make the folder of a survey's run in parts of ``PART`` galaxies."""
    from isolux.io.portraits import Portrait, write_portraits
    from isolux.io.run_folder import Receipt, RunFolder

    sys.path.insert(0, str(ROOT / "tests"))
    from report.pages import synthetic

    run, rng = RunFolder(folder), np.random.default_rng(1)
    run.write_manifest({"name": f"{galaxies} galaxies", "plan": {"galaxies": galaxies}})
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    model = np.exp(-np.hypot(y, x) / 8.0)
    parts = galaxies // PART
    for part in range(parts):
        rows = synthetic(PART, seed=part, whole_sky=True)
        names = [f"p{part}_{name}" for name in rows["id"].to_pylist()]
        rows = rows.set_column(0, rows.schema.field("id"), [names])
        size, checksum = run.write_part(part, rows)
        sigma = np.full(model.shape, 0.01)
        shown = [
            Portrait(
                name,
                model + sigma * rng.normal(size=model.shape),
                model,
                sigma,
                sigma < 0,
                0.3,
                22.5,
                50,
                50,
                0.9,
                30,
            )
            for name in names[: PICTURES // parts]
        ]
        write_portraits(run.portraits_file(part), shown)
        times = {"seconds": 30.0, "fitting": 25.0, "cpu": 28.0, "memory": 1 << 28}
        ended = f"2026-01-01T{part // 60 % 24:02d}:{part % 60:02d}:00+00:00"
        run.write_receipt(
            Receipt(
                part,
                PART,
                size,
                checksum,
                **times,
                status={},
                flags={},
                remarks=(),
                attempt=1,
                host="a, b",
                finished=ended,
            )
        )


def measure_one(galaxies: int) -> None:
    """Make a page in this process, and print what it took."""
    from isolux import write_report

    with tempfile.TemporaryDirectory() as folder:
        make_run(Path(folder) / "run", galaxies)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        clock = time.process_time()
        done = write_report(Path(folder) / "run")
        took = time.process_time() - clock
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "galaxies": galaxies,
                "cpu": took,
                "mib": after / 1024,
                "before": before / 1024,
                "bytes": done.size,
            }
        )
    )


def measure() -> list[dict]:
    """Measure each size in a process of its own."""
    rows = []
    for galaxies in COUNTS:
        words = [sys.executable, __file__, "--one", str(galaxies)]
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    return rows


def write(rows: list[dict]) -> None:
    """Put the result into its file and the table into RESULTS.md."""
    about = {"command": "python benchmarks/report_page.py --write", "commit": commit().replace("`", "")}
    about |= {"date": str(date.today()), "hardware": processor()}
    RESULT.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")
    lines = [
        "## The page of a run",
        "",
        f"Catalogues of made-up numbers; {PICTURES} galaxies have images of {SIDE} x {SIDE} pixels, 20,000 are points.",
        f"`{about['command']}`, {about['date']}, Isolux at commit `{about['commit']}`, {about['hardware']}.",
        "Memory is the largest of the process; libraries and the making of the catalogue take the first number of it.",
        "",
        "| galaxies | CPU s | memory, MiB | page, MB |",
        "| ---: | ---: | ---: | ---: |",
        *(
            f"| {r['galaxies']:,} | {r['cpu']:.1f} | {r['before']:.0f} → {r['mib']:.0f} | {r['bytes'] / 1e6:.1f} |"
            for r in rows
        ),
    ]
    text, table = RESULTS.read_text(), "\n".join([TABLE[0], *lines, TABLE[1]])
    if TABLE[0] in text:
        start, end = text.index(TABLE[0]), text.index(TABLE[1]) + len(TABLE[1])
        text = text[:start] + table + text[end:]
    else:
        text = text.rstrip() + "\n\n" + table + "\n"
    RESULTS.write_text(text)


def figure(run: Path) -> None:
    """Draw the picture of the documentation with a headless Chromium: the head and the gallery of a page."""
    import io
    import shutil

    from PIL import Image
    from playwright.sync_api import sync_playwright

    from isolux import write_report

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as tool:
        page_file = write_report(run, Path(folder) / "page.html").path
        browser = tool.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        views = []
        for scheme, anchor, text in (
            ("light", "", ""),
            ("light", "correlations", "n > 3"),
            ("dark", "gallery", ""),
        ):
            page = browser.new_page(viewport={"width": 1280, "height": 880}, color_scheme=scheme)
            page.goto(page_file.as_uri())
            page.wait_for_selector("html[data-ready]")
            page.fill("#filter", text)
            page.press("#filter", "Enter")
            page.evaluate("document.activeElement.blur()")
            if anchor:
                page.evaluate(
                    f"document.documentElement.style.scrollBehavior = 'auto'; location.hash = '{anchor}'"
                )
            page.wait_for_timeout(1500)
            views.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        page.evaluate("location.hash = document.querySelectorAll('#cards a')[6].getAttribute('href')")
        page.wait_for_timeout(1000)
        views.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        browser.close()
    wide, tall = views[0].size
    sheet = Image.new("RGB", (2 * wide + 24, 2 * tall + 24), (160, 160, 160))
    for k, view in enumerate(views):
        sheet.paste(view, (k % 2 * (wide + 24), k // 2 * (tall + 24)))
    small = sheet.resize((sheet.width * 5 // 8, sheet.height * 5 // 8), Image.Resampling.LANCZOS)
    small.quantize(256, kmeans=2).save(ROOT / "docs" / "figures" / "report.png", optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write the result's file and the table")
    parser.add_argument("--figure", type=Path, help="draw the documentation's picture of this run")
    chosen = parser.parse_args()
    if chosen.one:
        measure_one(chosen.one)
    elif chosen.figure:
        figure(chosen.figure)
    else:
        found = measure()
        if chosen.write:
            write(found)
