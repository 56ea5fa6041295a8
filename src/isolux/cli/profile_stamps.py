"""The stamps of ``isolux profile``: of each band, batch by batch, the same galaxies together."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from isolux.batch import Batch
from isolux.cli.declare import number_or_text
from isolux.cli.profile_arguments import PlaneArguments, ProfileBands
from isolux.errors import InputError, unknown_name
from isolux.io.listing import list_stamps
from isolux.io.source import StampFiles, StampSource
from isolux.io.stamps import batch_of, load_stamps, shared_reader
from isolux.io.stream import plan_batches
from isolux.isophotes.noise import sky_scatter
from isolux.stamp import Stamp

MOST_PIXELS = 1 << 22
"""Pixels of the stamps that are in memory together."""
NOISE = ("sigma", "variance", "ivar", "gain")
FIRST_ONLY = (*NOISE, "psf")
"""What is of the first band alone."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Stamps of the same galaxies by band, the one that gives the isophotes first.

    Attributes
    ----------
    sources : dict of str to StampSource
        Where they are.
    files : dict of str to list of StampFiles
        Those of each band.
    """

    sources: dict[str, StampSource]
    files: dict[str, list[StampFiles]]

    @classmethod
    def of(cls, images: Sequence[str], planes: PlaneArguments, bands: ProfileBands) -> Sample:
        """From the options."""
        sources = {bands.band_name or "first": source_of(images, planes.fields())}
        sources |= other_bands(bands, planes)
        first = next(iter(sources.values()))
        return cls(sources, {k: chosen(s, images if s is first else ()) for k, s in sources.items()})

    def __len__(self) -> int:
        return len(next(iter(self.files.values())))

    def batches(self, skipped: int = 0) -> Iterator[tuple[int, dict[str, Batch]]]:
        """Batches of the same galaxies in each band with their size; those skipped, the first ones, are empty."""
        first = next(iter(self.sources))
        others = {name: {f.id: f for f in listed} for name, listed in self.files.items() if name != first}
        read = shared_reader()
        plan = plan_batches(self.files[first], lambda size: max(1, MOST_PIXELS // (size[0] * size[1])))
        for number, (members, size) in enumerate(plan):
            if number < skipped:
                yield len(members), {}
                continue
            made = {first: loaded(members, self.sources[first], read, size)}
            for name, known in others.items():
                missing = f"no image in band {name}"
                same = [
                    known.get(f.id) or StampFiles(f.id, (None,) * 8, (None,) * 5, None, missing)
                    for f in members
                ]
                made[name] = loaded(same, self.sources[name], read, None)
            yield len(members), made


def source_of(images: Sequence[str], fields: dict[str, Any]) -> StampSource:
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


def chosen(source: StampSource, images: Sequence[str]) -> list[StampFiles]:
    """The stamps of a source; only those that were named where several were."""
    files = list_stamps(source)
    if len(images) < 2:
        return files
    wanted = {os.path.normpath(image) for image in images}
    return [f for f in files if os.path.normpath(str(f.planes[0])) in wanted]


def other_bands(bands: ProfileBands, planes: PlaneArguments) -> dict[str, StampSource]:
    """Where the stamps of the other bands are."""
    zero, sigma = (_by_name(texts) for texts in (bands.band_zero_point, bands.band_sigma))
    found = {}
    for name, pattern in _by_name(bands.band).items():
        fields = {k: v for k, v in planes.fields().items() if k not in FIRST_ONLY}
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


def loaded(files: Sequence[StampFiles], source: StampSource, read: Any, size: Any) -> Batch:
    """A batch; stamps whose noise nobody said have that of their sky."""
    stamps = [_with_noise(stamp, source) for stamp in load_stamps(files, read)]
    return batch_of(stamps, source, dtype=torch.float32, size=size)


def _with_noise(stamp: Stamp, source: StampSource) -> Stamp:
    given = any(getattr(stamp, name) is not None for name in NOISE)
    if given or stamp.image is None or np.ndim(stamp.image) != 2:
        return stamp
    masked = None if stamp.mask is None or np.shape(stamp.mask) != np.shape(stamp.image) else stamp.mask != 0
    return dataclasses.replace(stamp, sigma=sky_scatter(np.asarray(stamp.image, float), masked))
