"""``isolux profile``: surface-brightness profiles of stamps, on the screen and in a folder."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isolux.batch import Batch
from isolux.cli import console
from isolux.cli.profile_arguments import (
    IsophoteArguments,
    NetworkArguments,
    PlaneArguments,
    ProfileBands,
    ProfileOutput,
)
from isolux.cli.profile_methods import Found, Method, Read, method_of
from isolux.cli.profile_stamps import Sample
from isolux.io.profile_tables import ProfileWriter
from isolux.isophotes.quality import PROFILE_MESSAGES, ProfileFlag


def profile_and_show(
    images: Sequence[str],
    method: str,
    planes: PlaneArguments,
    bands: ProfileBands,
    how: IsophoteArguments,
    networks: NetworkArguments,
    output: ProfileOutput,
) -> bool:
    """Measure, write, draw, and say what was found; whether every galaxy has a profile.

    Raises
    ------
    InputError
        If the call cannot be meant.
    """
    chosen = method_of(method, how, networks, planes, bands)
    if isinstance(chosen, Read) and (said := chosen.card.remark(bands.band_name)):
        console.note(f"Note: {said}.")
    sample = Sample.of(images, planes, bands)
    folder = output.out or Path("profiles")
    setting = {**chosen.setting(), "stamps": _digest(sample)}
    with (
        console.Meter("galaxies") as meter,
        ProfileWriter(folder, output.format or "fits", bool(output.overwrite), setting) as writer,
    ):
        seen, drawn, seconds = _run(chosen, sample, writer, _Drawing.of(output, folder), meter)
    return _summary(seen, writer, folder, drawn, seconds)


@dataclasses.dataclass
class _Seen:
    """Points and remarks of the galaxies that are done."""

    lengths: list[int] = dataclasses.field(default_factory=list)
    flags: list[int] = dataclasses.field(default_factory=list)

    def add(self, table: Any) -> None:
        """Take in rows of the galaxies' table."""
        self.lengths += [int(n) for n in table["n_radii"]]
        self.flags += [int(n) for n in table["profile_flags"]]

    @property
    def failed(self) -> int:
        return self.lengths.count(0)


@dataclasses.dataclass
class _Drawing:
    """Figures of the first so many galaxies."""

    folder: Path
    formats: list[str]
    left: int
    done: int = 0

    @classmethod
    def of(cls, output: ProfileOutput, folder: Path) -> _Drawing:
        formats = [name.strip() for name in (output.figure_format or "png").split(",")]
        return cls(folder / "figures", formats, 100 if output.figures is None else output.figures)

    def draw(self, batch: Batch, found: Found) -> None:
        if self.left <= 0:
            return
        from isolux.report.isophotes import save_isophote_figures

        save_isophote_figures(batch, found.profiles, self.folder, self.formats, self.left, found.others)
        self.skip(len(batch))

    def skip(self, count: int) -> None:
        """Count galaxies whose figures are there."""
        now = max(0, min(count, self.left))
        self.left, self.done = self.left - now, self.done + now


def _run(
    method: Method, sample: Sample, writer: ProfileWriter, drawing: _Drawing, meter: console.Meter
) -> tuple[_Seen, int, float]:
    """All batches that are not done yet: galaxies, figures drawn, seconds of measuring."""
    seen, clock, measuring, here = _Seen(), time.perf_counter(), 0.0, 0
    if (before := writer.before()) is not None:
        seen.add(before)
        console.note(f"Going on after {len(before)} of {len(sample)} galaxies, which are done.")
    if writer.closing:
        return seen, min(len(sample), drawing.left), 0.0
    for size, batches in sample.batches(writer.done):
        if not batches:
            drawing.skip(size)
            continue
        begin = time.process_time()
        found = method.measure(batches)
        measuring += time.process_time() - begin
        # A batch counts as done when its rows are written: then its figures are there too.
        drawing.draw(next(iter(batches.values())), found)
        writer.write(found.profiles, found.colours)
        seen.add(found.profiles.summary())
        here += size
        meter.show(len(seen.lengths), len(sample), time.perf_counter() - clock, seen.failed, here)
    return seen, drawing.done, measuring / max(here, 1)


def _digest(sample: Sample) -> str:
    """Which stamps, of which files, and how they are read."""
    digest = hashlib.sha256()
    for name, source in sample.sources.items():
        digest.update(f"{name} {source}\n".encode())
        for files in sample.files[name]:
            planes = [
                p if isinstance(p, str | float | int | None) else type(p).__name__ for p in files.planes
            ]
            digest.update(f"{files.id} {planes} {files.numbers}\n".encode())
    return digest.hexdigest()


def _summary(seen: _Seen, writer: ProfileWriter, folder: Path, drawn: int, seconds: float) -> bool:
    lengths = np.array(seen.lengths)
    flags = [ProfileFlag(code) for code in seen.flags]
    counts = Counter(str(flag.name) for own in flags for flag in ProfileFlag if flag in own)
    good = int((lengths > 0).sum())
    console.OUT.print(f"[bold]{good} of {len(lengths)} galaxies have a profile[/bold]")
    if counts:
        console.OUT.print()
        texts = {str(f.name): PROFILE_MESSAGES[f] for f in ProfileFlag}
        console.print_table("Remarks on them", console.count_rows(counts, texts), right=[0])
    rows = [("median number of radii", f"{np.median(lengths[lengths > 0]):.0f}")] if good else []
    rows += [("time to measure", f"{1e3 * seconds:.3g} ms a galaxy")] if seconds else []
    rows += [("radii", str(writer.profiles)), ("galaxies", str(writer.galaxies))]
    rows += [("colours", str(writer.colours))] if writer.colours.exists() else []
    rows += [("figures", str(folder / "figures"))] if drawn else []
    console.OUT.print()
    console.print_table("", rows)
    return good == len(lengths)
