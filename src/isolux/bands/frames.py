"""Which bands a galaxy is seen in, and in whose pixels its structure is described.

Each galaxy has a *frame*: the reference band, or the first that can be used where that one cannot. Centres, sizes
and angles are unknowns in the frame's pixels; :mod:`isolux.bands.grids` carries them to every other band.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from isolux.bands.grids import Grids, between, inside, middles
from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.status import Status
from isolux.types import Rows, Tensor


@dataclasses.dataclass(frozen=True)
class Frames:
    """Where each galaxy is seen.

    Attributes
    ----------
    frame : Tensor
        (galaxy,): number of the band in whose pixels the structure is described.
    present : Tensor
        (galaxy, band) of bool: whether the band takes part.
    mapped : Tensor
        (galaxy, band) of bool: whether the frame's pixels can be told from the band's.
    grids : tuple of Grids
        From the frame to each band; no change where it is not known.
    starts : tuple of Grids
        From the reference band to each band, in which starting values are carried; from the frame where that is
        not known.
    fates : tuple of tuple of Status
        For each band, a status a galaxy: ``RUNNING`` where it takes part.
    reasons : tuple of tuple of str
        For each band, why it does not take part, a sentence a galaxy; empty where it does.
    """

    frame: Rows
    present: Tensor
    mapped: Tensor
    grids: tuple[Grids, ...]
    starts: tuple[Grids, ...]
    fates: tuple[tuple[Status, ...], ...]
    reasons: tuple[tuple[str, ...], ...]

    def of_frame(self, tensors: Sequence[Tensor]) -> Tensor:
        """Each galaxy's numbers in its frame, of numbers (galaxy, ...) of each band."""
        stacked = torch.stack(list(tensors))
        return stacked[self.frame.to(stacked.device), torch.arange(len(self.frame), device=stacked.device)]


def find_frames(
    batches: Mapping[str, Batch], reference: str, geometry: Mapping[str, Any] | None, least: int
) -> Frames:
    """The frames of all galaxies; ``least`` is the number of good pixels below which a band is left out."""
    bands, names = list(batches.values()), list(batches)
    galaxies, home = len(bands[0]), names.index(reference)
    usable = torch.stack([band.usable.cpu() for band in bands], 1)
    few = torch.stack([(~band.mask).flatten(1).sum(1).cpu() < least for band in bands], 1)
    usable &= ~few
    hidden = torch.stack([_hidden(band) for band in bands], 1)
    hidden &= usable & (usable & ~hidden).any(1, keepdim=True)
    usable &= ~hidden
    order = torch.tensor([home, *(k for k in range(len(bands)) if k != home)])
    frame = order[usable[:, order].to(torch.int64).argmax(1)]
    known = _given(geometry, names, galaxies) if geometry is not None else None
    grids = [_from_frames(bands, frame, b, known) for b in range(len(bands))]
    starts = [_from_frames(bands, torch.full_like(frame, home), b, known) for b in range(len(bands))]
    middle = _pick([middles(band) for band in bands], frame)
    kinds = ("present", "mapped", "grids", "starts", "fates", "reasons")
    columns: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for b, (band, name) in enumerate(zip(bands, names, strict=True)):
        mapped = grids[b].known
        if known is None:
            _refuse_without_wcs(bands, names, frame, b, usable[:, b] & usable.any(1), mapped)
        straight, there = ~grids[b].sheared, inside(band, torch.nan_to_num(grids[b].points(middle), nan=-9e9))
        columns["present"].append(usable[:, b] & mapped & straight & there)
        columns["mapped"].append(mapped)
        absent = _absent(band, name, few[:, b], hidden[:, b], mapped, straight, there, least)
        columns["fates"].append(tuple(status for status, _ in absent))
        columns["reasons"].append(tuple(reason for _, reason in absent))
        columns["grids"].append(grids[b].or_identity(mapped))
        at_start = starts[b].where(starts[b].known, grids[b])
        columns["starts"].append(at_start.or_identity(at_start.known))
    return Frames(
        frame,
        torch.stack(columns["present"], 1),
        torch.stack(columns["mapped"], 1),
        *(tuple(columns[name]) for name in kinds[2:]),
    )


def _pick(tensors: Sequence[Tensor], which: Rows) -> Tensor:
    return torch.stack(list(tensors))[which, torch.arange(len(which))]


def _from_frames(
    bands: Sequence[Batch], frame: Rows, target: int, known: Mapping[int, Grids] | None
) -> Grids:
    """From each galaxy's frame to a band."""
    galaxies = len(frame)
    found = Grids(
        torch.full((galaxies, 2, 2), torch.nan).double(), torch.full((galaxies, 2), torch.nan).double()
    )
    for source in frame.unique().tolist():
        here = frame == source
        if source == target:
            same = Grids(torch.eye(2).double().expand(galaxies, 2, 2), torch.zeros(galaxies, 2).double())
        elif known is not None:
            same = known[target].after(known[source].inverse())
        else:
            same = between(bands[source], bands[target], torch.nonzero(here)[:, 0].tolist())
        found = same.where(here, found)
    return found


def _given(geometry: Mapping[str, Any], names: Sequence[str], galaxies: int) -> dict[int, Grids]:
    """The caller's maps from the reference band, by number of the band."""
    for name in geometry:
        if name not in names:
            raise unknown_name("band in geometry", name, names)
    found = {}
    for k, name in enumerate(names):
        affine = torch.as_tensor(geometry.get(name, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), dtype=torch.float64)
        if affine.shape not in ((2, 3), (1, 2, 3), (galaxies, 2, 3)):
            allowed = f"(2, 3) or ({galaxies}, 2, 3): x' = M (x, y) + t, M and t side by side"
            raise InputError(f"geometry of band {name!r}: its shape", tuple(affine.shape), allowed)
        found[k] = Grids.of(affine.expand(galaxies, 2, 3))
        unknown = affine.ndim == 2 and not bool(found[k].known.all())
        if unknown or bool((found[k].scale == 0).any()):
            raise InputError(f"geometry of band {name!r} is not finite, or no map between pixels at all")
    return found


def _refuse_without_wcs(
    bands: Sequence[Batch], names: Sequence[str], frame: Rows, b: int, wanted: Tensor, mapped: Tensor
) -> None:
    """Refuse bands whose pixels nothing relates to those of the others."""
    rows = torch.nonzero(wanted & (frame != b))[:, 0].tolist()
    without = [k for k in rows if bands[b].wcs[k] is None or bands[int(frame[k])].wcs[k] is None]
    if rows and len(without) == len(rows) and not bool(mapped[rows].any()):
        raise InputError(
            f"bands {names[int(frame[rows[0]])]!r} and {names[b]!r}: stamps of other sizes or pixel scales need a WCS "
            "in both, or geometry="
        )


def _hidden(band: Batch) -> Tensor:
    """(galaxy,) of bool: whether the middle half of the stamp, by its sides, has no good pixel."""
    size = torch.tensor([band.height, band.width], dtype=torch.float64).T
    inner = []
    for length, side in zip(band.shape, size.unbind(1), strict=True):
        place = torch.arange(length, dtype=torch.float64)
        inner.append((place - (side[:, None] - 1) / 2).abs() <= side[:, None] / 4)
    middle = inner[0][:, :, None] & inner[1][:, None, :]
    return ~(middle & ~band.mask.cpu()).flatten(1).any(1)


def _absent(
    band: Batch,
    name: str,
    few: Tensor,
    hidden: Tensor,
    mapped: Tensor,
    straight: Tensor,
    there: Tensor,
    least: int,
) -> list[tuple[Status, str]]:
    """Status and reason of each galaxy's absence from a band; ``RUNNING`` and nothing where it takes part."""
    found = []
    for k, identifier in enumerate(band.id):
        status, text = band.status[k], ""
        if status is not Status.RUNNING:
            text = band.message[k] or status.message
        elif few[k]:
            status, text = Status.TOO_FEW_PIXELS, f"galaxy {identifier}: fewer than {least} good pixels"
        elif hidden[k]:
            text = f"galaxy {identifier}: no good pixel in the middle half of its stamp"
        elif not mapped[k]:
            text = f"galaxy {identifier}: its pixels cannot be placed on those of the other bands"
        elif not straight[k]:
            text = f"galaxy {identifier}: pixels of another shape than the other bands'"
        elif not there[k]:
            text = f"galaxy {identifier}: it lies outside the stamp"
        if text and status is Status.RUNNING:
            status = Status.MASKED_OUT
        found.append((status, text and f"band {name}: {text}"))
    return found
