"""``isolux profile``: surface-brightness profiles of stamps, on the screen and in a folder."""

from __future__ import annotations

import dataclasses
import glob
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.cli import console
from isolux.cli.declare import number_or_text
from isolux.cli.profile_arguments import IsophoteArguments, PlaneArguments, ProfileBands, ProfileOutput
from isolux.errors import InputError, unknown_name
from isolux.io.listing import list_stamps
from isolux.io.profile_tables import ProfileWriter
from isolux.io.source import StampFiles, StampSource
from isolux.io.stamps import batch_of, load_stamps, shared_reader
from isolux.io.stream import plan_batches
from isolux.isophotes.colours import Colours, forced
from isolux.isophotes.measure import measure_isophotes
from isolux.isophotes.noise import sky_scatter
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.profiles import Isophotes
from isolux.isophotes.quality import PROFILE_MESSAGES, ProfileFlag
from isolux.stamp import Stamp

METHODS = ("isophotes",)
MOST_PIXELS = 1 << 22
"""Pixels of the stamps that are in memory together."""
NOISE = ("sigma", "variance", "ivar", "gain")


def profile_and_show(
    images: Sequence[str],
    method: str,
    planes: PlaneArguments,
    bands: ProfileBands,
    how: IsophoteArguments,
    output: ProfileOutput,
) -> bool:
    """Measure, write, draw, and say what was found; whether every galaxy has a profile.

    Raises
    ------
    InputError
        If the call cannot be meant.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    options = how.options()
    sources = {bands.band_name or "first": _source(images, planes.fields())}
    sources |= _other_bands(bands, planes)
    first = next(iter(sources.values()))
    files = {name: _chosen(source, images if source is first else ()) for name, source in sources.items()}
    folder = output.out or Path("profiles")
    formats = [name.strip() for name in (output.figure_format or "png").split(",")]
    most = 100 if output.figures is None else output.figures
    seen: list[Any] = []
    clock, drawn, measuring = time.perf_counter(), 0, 0.0
    main = next(iter(files.values()))
    with (
        console.Meter("galaxies") as meter,
        ProfileWriter(folder, output.format or "fits", bool(output.overwrite)) as writer,
    ):
        for batches in _batches(sources, files):
            begin = time.process_time()
            found = _measured(batches, options)
            measuring += time.process_time() - begin
            writer.write(found.reference, found if len(found.bands) > 1 else None)
            batch = next(iter(batches.values()))
            drawn += _draw(batch, found, folder / "figures", formats, most - drawn)
            seen.append((found.reference.summary(), found.reference.flags))
            done = sum(len(table) for table, _ in seen)
            failed = sum(int((table["n_radii"] == 0).sum()) for table, _ in seen)
            meter.show(done, len(main), time.perf_counter() - clock, failed)
    return _summary(seen, writer, folder, drawn, measuring)


def _source(images: Sequence[str], fields: dict[str, Any]) -> StampSource:
    """Where the stamps are; several names, as the shell makes of a pattern, become a pattern again."""
    paths = [str(image) for image in images]
    fields = {"pixel_scale": None, **fields}
    if len(paths) == 1:
        return StampSource(image=paths[0], **fields)
    names = [os.path.basename(path) for path in paths]
    folders = {os.path.dirname(path) for path in paths}
    begin = _shared(names)
    end = _shared([name[len(begin) :][::-1] for name in names])[::-1]
    if len(folders) == 1:
        pattern = os.path.join(folders.pop(), f"{glob.escape(begin)}*{glob.escape(end)}")
        return StampSource(image=pattern, **fields)
    return StampSource(image=list(paths), **fields)


def _shared(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    short, long = min(texts), max(texts)
    return short[: next((k for k, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))]


def _chosen(source: StampSource, images: Sequence[str]) -> list[StampFiles]:
    """The stamps of a source; only those that were named where several were."""
    files = list_stamps(source)
    if len(images) < 2:
        return files
    wanted = {os.path.normpath(image) for image in images}
    return [f for f in files if os.path.normpath(str(f.planes[0])) in wanted]


def _other_bands(bands: ProfileBands, planes: PlaneArguments) -> dict[str, StampSource]:
    zero, sigma = (_by_name(texts) for texts in (bands.band_zero_point, bands.band_sigma))
    found = {}
    for name, pattern in _by_name(bands.band).items():
        fields = {k: v for k, v in planes.fields().items() if k not in NOISE}
        if name in sigma:
            fields["sigma"] = number_or_text(sigma[name])
        if name in zero:
            fields["zero_point"] = number_or_text(zero[name])
        found[name] = StampSource(image=pattern, **{"pixel_scale": None, **fields})
    for name in (*zero, *sigma):
        if name not in found:
            raise unknown_name("band", name, found)
    return found


def _by_name(texts: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise InputError("a band is given as NAME=PATTERN", text)
        found[name] = value
    return found


def _batches(
    sources: dict[str, StampSource], files: dict[str, list[StampFiles]]
) -> Iterator[dict[str, Batch]]:
    """Batches of the same galaxies in each band."""
    first = next(iter(sources))
    others = {name: {f.id: f for f in listed} for name, listed in files.items() if name != first}
    read = shared_reader()
    for members, size in plan_batches(files[first], lambda size: max(1, MOST_PIXELS // (size[0] * size[1]))):
        made = {first: _loaded(members, sources[first], read, size)}
        for name, known in others.items():
            missing = f"no image in band {name}"
            same = [
                known.get(f.id) or StampFiles(f.id, (None,) * 8, (None,) * 5, None, missing) for f in members
            ]
            made[name] = _loaded(same, sources[name], read, None)
        yield made


def _loaded(files: Sequence[StampFiles], source: StampSource, read: Any, size: Any) -> Batch:
    """A batch; stamps whose noise nobody said have that of their sky."""
    stamps = [_with_noise(stamp, source) for stamp in load_stamps(files, read)]
    return batch_of(stamps, source, dtype=torch.float32, size=size)


def _with_noise(stamp: Stamp, source: StampSource) -> Stamp:
    given = any(getattr(stamp, name) is not None for name in NOISE)
    if given or stamp.image is None or np.ndim(stamp.image) != 2:
        return stamp
    masked = None if stamp.mask is None or np.shape(stamp.mask) != np.shape(stamp.image) else stamp.mask != 0
    return dataclasses.replace(stamp, sigma=sky_scatter(np.asarray(stamp.image, float), masked))


def _measured(batches: dict[str, Batch], options: IsophoteOptions) -> Colours:
    names = list(batches)
    first = _safely(batches[names[0]], options)
    return Colours({names[0]: first} | {name: forced(first, batches[name], options) for name in names[1:]})


def _safely(batch: Batch, options: IsophoteOptions) -> Isophotes:
    """Profiles of a batch; what is unexpected in one galaxy costs no other its profile."""
    try:
        return measure_isophotes(batch, options)
    except InputError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return _blank(batch, options, f"galaxy {batch.id[0]}: {type(error).__name__}: {error}")
    half = len(batch) // 2
    parts = (batch.select(range(half)), batch.select(range(half, len(batch))))
    return Isophotes.concatenate([_safely(part, options) for part in parts])


def _blank(batch: Batch, options: IsophoteOptions, what: str) -> Isophotes:
    from isolux.status import Status

    mask, zero, one = torch.ones_like(batch.mask), torch.zeros_like(batch.image), torch.ones_like(batch.sigma)
    bad = dataclasses.replace(
        batch, image=zero, sigma=one, mask=mask, psf=None, status=(Status.FAILED,), message=(what,)
    )
    return measure_isophotes(bad, options)


def _draw(batch: Batch, found: Colours, folder: Path, formats: list[str], most: int) -> int:
    if most <= 0:
        return 0
    from isolux.report.isophotes import save_isophote_figures

    others = {name: profile for name, profile in found.bands.items() if profile is not found.reference}
    return len(save_isophote_figures(batch, found.reference, folder, formats, most, others)) // len(formats)


def _summary(seen: list[Any], writer: ProfileWriter, folder: Path, drawn: int, seconds: float) -> bool:
    flags = [flag for _, own in seen for flag in own]
    lengths = np.concatenate([np.asarray(table["n_radii"]) for table, _ in seen])
    counts = Counter(str(flag.name) for own in flags for flag in ProfileFlag if flag in own)
    good = int((lengths > 0).sum())
    console.OUT.print(f"[bold]{good} of {len(lengths)} galaxies have a profile[/bold]")
    if counts:
        console.OUT.print()
        texts = {str(f.name): PROFILE_MESSAGES[f] for f in ProfileFlag}
        console.print_table("Remarks on them", console.count_rows(counts, texts), right=[0])
    rows = [("median number of radii", f"{np.median(lengths[lengths > 0]):.0f}")] if good else []
    rows += [
        (
            "time to measure",
            f"{console.duration(seconds)}, {1e3 * seconds / max(len(lengths), 1):.3g} ms a galaxy",
        )
    ]
    rows += [("radii", str(writer.profiles)), ("galaxies", str(writer.galaxies))]
    rows += [("colours", str(writer.colours))] if writer.colours.exists() else []
    rows += [("figures", str(folder / "figures"))] if drawn else []
    console.OUT.print()
    console.print_table("", rows)
    return good == len(lengths)
