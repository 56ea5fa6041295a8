"""The head of the page in words and numbers: what was fitted, when, how it ended, and how fast it was."""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isolux.io.catalogue import Rows
from isolux.report.page.columns import Column, model_of
from isolux.report.page.gather import Sampled
from isolux.report.page.origin import Origin
from isolux.report.page.speed import Speed
from isolux.report.page.truth import number
from isolux.status import FLAG_MESSAGES, Flag, Status

KINDS = {"survey": "a survey run", "fit": "a catalogue of fitted galaxies", "field": "a field"}
INPUTS = {
    "stamps": "stamps",
    "catalogue": "a catalogue of images",
    "fields": "fields",
    "mocks": "simulated stamps",
}
LONGEST = 400
"""Characters of a value of the configuration that are shown."""
MOST_QUARANTINED = 50


@dataclasses.dataclass(frozen=True)
class Fact:
    """A number of the head: its name, the number as text, and what more there is to say of it."""

    name: str
    value: str
    more: str = ""


@dataclasses.dataclass(frozen=True)
class Tally:
    """A line of the table of statuses or flags."""

    code: int
    name: str
    message: str
    count: int
    share: float
    fitted: bool = True


def tallies(sampled: Sampled) -> tuple[list[Tally], list[Tally]]:
    """Lines of statuses and of flags, the most frequent first."""
    total = max(sampled.total, 1)
    statuses = [
        Tally(code, Status(code).name.lower(), Status(code).message, n, n / total, Status(code).fitted)
        for code, n in sampled.status.items()
    ]
    flags = [
        Tally(code, str(Flag(code).name).lower(), FLAG_MESSAGES[Flag(code)], n, n / total)
        for code, n in sampled.flags.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.count, line.code)) for lines in (statuses, flags))  # type: ignore[return-value]


def facts(origin: Origin, sampled: Sampled, chi2: float, speed: Speed | None) -> list[Fact]:
    """The numbers of the head."""
    fitted = sum(n for code, n in sampled.status.items() if Status(code).fitted)
    converged = sampled.status.get(int(Status.CONVERGED), 0)
    lost = sum(part.galaxies for part in origin.quarantined)
    out = [Fact(noun(origin), spaced(sampled.total), _of_planned(origin, sampled.total))]
    out.append(Fact("converged", spaced(converged), _share(converged, sampled.total)))
    if fitted > converged:
        out.append(
            Fact(
                "fitted, not converged", spaced(fitted - converged), _share(fitted - converged, sampled.total)
            )
        )
    out.append(
        Fact("without a fit", spaced(sampled.total - fitted), _share(sampled.total - fitted, sampled.total))
    )
    if lost:
        parts = len(origin.quarantined)
        out.append(Fact("given up", spaced(lost), f"galaxies, in {parts} part{'s' * (parts != 1)}"))
    if np.isfinite(chi2):
        out.append(Fact("median reduced χ²", f"{chi2:.3f}"))
    return out + (
        _survey_facts(speed, noun(origin)) if speed is not None else _fit_facts(sampled.points, sampled.total)
    )


def _survey_facts(speed: Speed, rows: str) -> list[Fact]:
    machines = f"{speed.hosts} machine{'s' * (speed.hosts != 1)}"
    out = []
    if speed.working > 0:
        out.append(Fact(f"{rows} a second", f"{speed.galaxies / speed.working:.3g}", f"on {machines}"))
        out.append(Fact("time at work", duration(speed.working)))
    each = f"{1e3 * speed.cpu / max(speed.galaxies, 1):.3g} ms each"
    out.append(Fact("processor time", duration(speed.cpu), each))
    out.append(Fact("memory", size(speed.memory), "of a process, at most"))
    return out


def _fit_facts(points: Rows, total: int) -> list[Fact]:
    """Time of a catalogue that has a column of times."""
    if "seconds" not in points.column_names:
        return []
    mean = float(np.nanmean(np.append(number(points, "seconds"), 0.0)))
    return (
        [Fact("time of fitting", duration(mean * total), f"{1e3 * mean:.3g} ms a galaxy")] if mean > 0 else []
    )


def noun(origin: Origin) -> str:
    """What the rows are: a field's are stars too."""
    return "sources" if origin.what == "field" or "primary" in origin.schema.names else "galaxies"


def sentence(origin: Origin, sampled: Sampled, columns: Sequence[Column], speed: Speed | None) -> str:
    """What the page is about, in a sentence."""
    model = model_of(columns)
    kind = _configured(origin.about).get("kind", "")
    what = KINDS[origin.what]
    if kind in INPUTS:
        what += f" over {INPUTS[kind]}"
    text = what[0].upper() + what[1:]
    if model and origin.what != "field":
        text += f", model {model}"
    if "model" in sampled.points.column_names and sampled.total == len(sampled.points):
        counts = Counter(str(name) for name in sampled.points["model"].to_pylist() if name)
        text += ", as " + ", ".join(f"{name} ({n})" for name, n in counts.most_common(8)) if counts else ""
    if speed is not None:
        text += f", measured from {speed.first} to {speed.last} UTC"
    return text + "."


def about(origin: Origin, made_by: str) -> list[tuple[str, str]]:
    """Configuration and versions, line by line."""
    now = datetime.datetime.now(datetime.UTC)
    lines = [("page made", f"{now:%Y-%m-%d %H:%M} UTC by isolux {made_by}")]
    lines += [(key, _cut(value)) for key, value in _flat(origin.about)]
    return lines


def history(origin: Origin) -> list[tuple[str, str, str]]:
    """What has happened to a run: time, event, details."""
    told = []
    for event in origin.events[-100:]:
        rest = {k: v for k, v in event.items() if k not in ("time", "event")}
        words = ", ".join(f"{key} {value}" for key, value in _flat(rest))
        told.append((str(event.get("time", "")), str(event.get("event", "")), _cut(words)))
    return told


def duration(seconds: float) -> str:
    """A time with its unit."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 360_000 else f"{seconds / 86400:.4g} days"


def size(number: float) -> str:
    """Bytes with their unit."""
    for unit, bytes_of in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if number >= bytes_of:
            return f"{number / bytes_of:.3g} {unit}"
    return f"{number / 1024:.3g} KiB"


def _of_planned(origin: Origin, total: int) -> str:
    if origin.planned is None or origin.planned == total:
        return ""
    return f"of {spaced(origin.planned)} planned"


def _configured(about: Mapping[str, Any]) -> Mapping[str, Any]:
    found = about.get("configuration")
    return found if isinstance(found, dict) else {}


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _flat(value, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", f"{value:.6g}" if isinstance(value, float) else str(value)))
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def spaced(number: int) -> str:
    """A whole number with thin spaces, as the page's scripts write it."""
    return f"{number:,}".replace(",", "\u202f")  # a narrow space that does not break


def _share(number: int, total: int) -> str:
    if not number or number == total:
        return "all" if number else ""
    share = 100 * number / max(total, 1)
    return f"{share:.1f} %" if 0.05 <= share < 99.95 else f"{share:.2g} %" if share < 1 else f"{share:.3f} %"
