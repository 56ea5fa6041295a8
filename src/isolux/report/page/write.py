"""One HTML file with everything in it: no network, no library, nothing that a name could do harm with."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from isolux.errors import InputError
from isolux.io.catalogue import Rows
from isolux.io.safe_files import put_text
from isolux.report.page import columns as named
from isolux.report.page.encode import texts, to_json
from isolux.report.page.facts import MOST_QUARANTINED, about, facts, history, noun, sentence, spaced, tallies
from isolux.report.page.find import open_origin
from isolux.report.page.gather import Sampled, count, sample, varying, wide_ranging
from isolux.report.page.origin import Origin
from isolux.report.page.payload import CHI2, payload, tally_lines
from isolux.report.page.picture import largest_side, picture
from isolux.report.page.speed import speed
from isolux.report.page.truth import TruthTable, compared
from isolux.report.view import GalaxyView

HERE = Path(__file__).parent
SCRIPTS = (
    "format",
    "filter",
    "table",
    "state",
    "scale",
    "frame",
    "histogram",
    "scatter",
    "sky",
    "profile",
    "pictures",
    "gallery",
    "galaxy",
    "controls",
    "charts",
    "main",
)
"""Modules of the page in the order in which they need each other."""
IMPORT = re.compile(r"^import\s[^;]*;\n", flags=re.MULTILINE)
EXPORT = re.compile(r"^export\s+", flags=re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    path : Path
        The page.
    galaxies, points, gallery, pictures : int
        In the catalogue, in the charts, in the gallery, and those of the gallery that have images.
    size : int
        Bytes of the file.
    """

    path: Path
    galaxies: int
    points: int
    gallery: int
    pictures: int
    size: int


def write_report(
    run: str | Path,
    out: str | Path | None = None,
    *,
    gallery: int = 400,
    points: int = 20_000,
    truth: str | Path | None = None,
    overwrite: bool = False,
) -> Written:
    """Write a page that shows a run: summary, charts, and a gallery of galaxies with their models.

    Parameters
    ----------
    run : str or path
        A folder that ``isolux survey``, ``isolux fit`` or ``isolux measure`` wrote, or a catalogue.
    out : str or path, optional
        The page; ``report.html`` in the folder if left out.
    gallery : int
        Galaxies that are shown one by one, at most.
    points : int
        Galaxies that are drawn as points, at most; numbers, tables and grey histograms are over all.
    truth : str or path, optional
        A table with ``id`` and true values under the names of the catalogue's columns.
    overwrite : bool
        Whether a page that is there is replaced.

    Returns
    -------
    Written

    Raises
    ------
    InputError
        If there is nothing to show, or an option is out of range.
    """
    for name, value, least in (("gallery", gallery, 0), ("points", points, 100)):
        if value < least:
            raise InputError(name, value, f"{least} or more")
    origin = open_origin(run)
    path = Path(out).expanduser() if out is not None else _beside(Path(run).expanduser())
    if path.exists() and not overwrite:
        raise InputError(f"{path}: is there already; say overwrite, or give another name")
    text, written = page(origin, gallery, points, truth)
    put_text(path, text)
    return dataclasses.replace(written, path=path, size=path.stat().st_size)


def page(origin: Origin, gallery: int, points: int, truth: str | Path | None = None) -> tuple[str, Written]:
    """The page's text, and what is in it."""
    origin, columns = _with_truth(origin, truth)
    truths = compared(columns)
    names = [column.name for column in columns]
    sampled = sample(origin.pieces, names, points, gallery, origin.pictured())
    main = named.main_parameters(varying(sampled.points, columns))
    numbers = [c for c in columns if c.name in {*main, CHI2} and c.kind != "text"]
    logs = wide_ranging(sampled.points, [c for c in numbers if c.name != CHI2])
    counted = count(origin.pieces, sampled.points, [c.name for c in numbers], logs, truths)
    content = payload(sampled, counted, columns, main, truths)
    content["pictures"] = _pictures(origin, sampled.shown)
    times = speed(origin.receipts())
    content["speed"] = None if times is None else times.drawn
    statuses, flags = tallies(sampled)
    content |= {
        "statuses": tally_lines(statuses),
        "flags": tally_lines(flags),
        "name": origin.name,
        "noun": noun(origin),
    }
    chi2 = counted.values[CHI2].quantile(0.5) if CHI2 in counted.values else float("nan")
    shown = {
        "name": origin.name,
        "sentence": sentence(origin, sampled, columns, times),
        "facts": facts(origin, sampled, chi2, times),
        "statuses": statuses,
        "flags": flags,
        "quarantined": origin.quarantined[:MOST_QUARANTINED],
        "more_quarantined": max(len(origin.quarantined) - MOST_QUARANTINED, 0),
        "about": about(origin, _version()),
        "history": history(origin),
        "speed": times,
        "content": content,
        "total": sampled.total,
    }
    return _filled(shown, content), _written(sampled, content)


def _with_truth(origin: Origin, truth: str | Path | None) -> tuple[Origin, list[named.Column]]:
    """The origin with true values beside its rows, and its columns."""
    columns = named.columns_of(origin.schema)
    if truth is None:
        return origin, columns
    table = TruthTable(truth, columns)
    schema = origin.schema
    for field in table.fields:
        schema = schema.append(field)
    added = {field.name for field in table.fields}

    def pieces(wanted: Any) -> Any:
        there = None if wanted is None else sorted({*(n for n in wanted if n not in added), "id"})
        for piece in origin.pieces(there):
            rows = table.beside(piece)
            yield rows if wanted is None else rows.select(wanted)

    return dataclasses.replace(origin, schema=schema, pieces=pieces), named.columns_of(schema)


def _pictures(origin: Origin, shown: Rows) -> list[Any]:
    """Images of the gallery's galaxies, in its order; None for those without."""
    side = largest_side(len(shown))
    drawn = {name: _drawn(view, side) for name, view in origin.views(shown)}
    return [drawn.get(name) for name in shown["id"].to_pylist()]


def _drawn(view: GalaxyView, side: int) -> Any:
    return picture(view, side)


def _filled(shown: dict[str, Any], content: dict[str, Any]) -> str:
    """The template with style, script and data in place."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = bundle()
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    policy = "; ".join(f"{key} {value}" for key, value in rules.items())
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["spaced"] = spaced
    template = environment.get_template("template.html.j2")
    # These three are ours, or escaped for where they stand.
    ours = {"style": Markup(style), "script": Markup(script), "data": Markup(to_json(content))}
    return template.render(**shown, **ours, policy=policy)


def bundle() -> str:
    """The page's modules as one script: without their imports and exports, in one scope."""
    parts = []
    for name in SCRIPTS:
        source = (HERE / "js" / f"{name}.js").read_text(encoding="utf-8")
        parts.append(EXPORT.sub("", IMPORT.sub("", source)))
    return '"use strict";\n{\n' + "\n".join(parts) + "}\n"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _written(sampled: Sampled, content: dict[str, Any]) -> Written:
    pictures = sum(found is not None for found in content["pictures"])
    return Written(Path(), sampled.total, content["points"], len(texts(sampled.shown, "id")), pictures, 0)


def _beside(run: Path) -> Path:
    return (run if run.is_dir() else run.parent) / "report.html"


def _version() -> str:
    try:
        return version("isolux")
    except PackageNotFoundError:
        return "0+unknown"
